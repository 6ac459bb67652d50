//! Plants a secret on a real control plane and looks for it in everything the controller writes.
//!
//! ROLLPROOF_KUBECONFIG names the kubeconfig of a cluster with the Argo Rollouts CRDs.

#![allow(clippy::disallowed_methods, reason = "a cluster has its own clock")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::{Value, json};

const SECRET: &str = "p1anted-s3cret/+";
/// As it stands in URLs, and in base64.
const FORMS: [&str; 3] = [SECRET, "p1anted-s3cret%2F%2B", "cDFhbnRlZC1zM2NyZXQvKw"];
/// Written into a template without a Secret.
const HEADER: &str = "plain-header-token";
const PASSWORD: &str = "plain-passw0rd";
const NAMESPACE: &str = "rollproof-secrets";

struct Cluster {
    kubeconfig: PathBuf,
}

impl Cluster {
    fn kubectl(&self, arguments: &[&str], input: Option<&Value>) -> String {
        let mut command = Command::new("kubectl");
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["-n", NAMESPACE])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl runs");
        if let Some(input) = input {
            serde_json::to_writer(child.stdin.take().unwrap(), input).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn get(&self, what: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", what, "-o", "json"], None)).unwrap()
    }
}

/// Fails, or not, and repeats what it was told.
async fn serve() -> u16 {
    async fn echo(status: StatusCode, request: Request) -> (StatusCode, String) {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body = String::from_utf8_lossy(&body);
        let told = format!("{} {:?} {body}", parts.uri, parts.headers);
        (status, told)
    }
    let router = Router::new()
        .route(
            "/fail",
            axum::routing::any(|it| echo(StatusCode::FORBIDDEN, it)),
        )
        .fallback(|it| echo(StatusCode::OK, it));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    port
}

fn objects(port: u16) -> Value {
    let base = format!("http://127.0.0.1:{port}");
    let web = |name: &str, mut web: Value| {
        web["headers"] = json!([
            {"key": "Authorization", "value": "Bearer {{args.token}}"},
            {"key": "X-Api-Key", "value": HEADER}]);
        json!({"name": name, "successCondition": "result == 'never'", "failureLimit": 2,
            "count": 2, "interval": "1s", "provider": {"web": web}})
    };
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "planted"},
            "stringData": {"value": SECRET}},
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
            "metadata": {"name": "planted"},
            "spec": {
                "args": [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "planted", "key": "value"}}}],
                "metrics": [
                    web("echo", json!({"url": format!("{base}/x?t={{{{args.token}}}}"),
                        "method": "POST", "body": "t={{args.token}}"})),
                    web("fail", json!({"url": format!("{base}/fail?t={{{{args.token}}}}")})),
                    web("nowhere", json!({"url": "http://u:{{args.token}}@127.0.0.1:9/{{args.token}}"})),
                    web("condition", json!({"url": base, "jsonPath": "{.{{args.token}}}"})),
                    {"name": "oauth", "provider": {"web": {"url": base,
                        "authentication": {"oauth2": {"tokenUrl": format!("{base}/fail"),
                            "clientId": "id", "clientSecret": "{{args.token}}"}}}}},
                    {"name": "prometheus", "provider": {"prometheus": {
                        "address": base, "query": "up{token=\"{{args.token}}\"}",
                        "authentication": {"basicAuth": {"username": "me", "password": PASSWORD}}}}},
                    {"name": "job", "provider": {"job": {"spec": {"backoffLimit": 0, "template": {"spec": {
                        "restartPolicy": "Bad {{args.token}}",
                        "containers": [{"name": "c", "image": "i", "args": ["{{args.token}}"]}]}}}}}},
                ]}},
    ]})
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn end_gently(mut child: Running) {
    let pid = child.0.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Some(status) = child.0.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the controller does not stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_shown() {
    let Some(kubeconfig) = std::env::var_os("ROLLPROOF_KUBECONFIG").map(PathBuf::from) else {
        println!("skipped: no cluster is named by ROLLPROOF_KUBECONFIG");
        return;
    };
    let cluster = Cluster { kubeconfig };
    let folder = std::env::temp_dir().join(format!("rollproof-secrets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let log = folder.join("log");
    let recording = folder.join("recording");
    cluster.kubectl(
        &["apply", "-f", "-"],
        Some(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})),
    );
    cluster.kubectl(&["delete", "analysisruns", "--all"], None);
    let port = serve().await;
    let controller = Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .arg("controller")
        .arg("--kubeconfig")
        .arg(&cluster.kubeconfig)
        .args(["--namespaced", "-n", NAMESPACE, "--loglevel", "debug"])
        .args(["--healthz-port", "0", "--metrics-port", "0"])
        .args(["--leader-election-namespace", NAMESPACE])
        .arg("--record")
        .arg(&recording)
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .map(Running)
        .unwrap();
    cluster.kubectl(&["apply", "-f", "-"], Some(&objects(port)));
    let deadline = Instant::now() + Duration::from_secs(90);
    let run = loop {
        let run = cluster.get("analysisrun/planted");
        let measured = run
            .pointer("/status/metricResults")
            .and_then(Value::as_array);
        let is_done = measured.is_some_and(|measured| {
            measured.len() == 7
                && measured.iter().all(|metric| {
                    metric["measurements"]
                        .as_array()
                        .is_some_and(|it| !it.is_empty())
                })
        });
        if is_done || Instant::now() > deadline {
            break run;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    end_gently(controller);

    let status = run["status"].to_string();
    let events = cluster.get("events").to_string();
    let logged = std::fs::read_to_string(&log).unwrap();
    let mut recorded = String::new();
    for file in std::fs::read_dir(&recording).unwrap() {
        recorded.push_str(&std::fs::read_to_string(file.unwrap().path()).unwrap());
    }
    // All of this has been reached, and is not merely absent.
    assert_eq!(
        run["status"]["metricResults"].as_array().map(Vec::len),
        Some(7),
        "{status}\n{logged}"
    );
    assert!(status.contains("*****"), "{status}");
    assert!(recorded.contains("Bearer *****") || recorded.contains("\"value\":\"*****\""));
    println!("{}", serde_json::to_string_pretty(&run["status"]).unwrap());
    for (place, text) in [
        ("status", &status),
        ("events", &events),
        ("log", &logged),
        ("recording", &recorded),
    ] {
        for secret in FORMS.iter().chain(&[HEADER, PASSWORD]) {
            let found = text.find(secret);
            assert_eq!(
                found.map(|at| &text[at.saturating_sub(200)..at + secret.len()]),
                None,
                "{secret} is shown in the {place}"
            );
        }
    }
    println!(
        "looked for {} secrets in {} bytes of status, {} of events, {} of log, {} of recording",
        FORMS.len() + 2,
        status.len(),
        events.len(),
        logged.len(),
        recorded.len()
    );
    let replayed = Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .arg("replay")
        .arg(&recording)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&replayed.stdout);
    println!("{said}");
    assert!(replayed.status.success(), "{said}");
    cluster.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"], None);
    std::fs::remove_dir_all(&folder).unwrap();
}
