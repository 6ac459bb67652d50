//! Plants a secret on a real control plane and looks for it in everything the controller writes.

use std::process::Command;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};

use super::control_plane::{ControlPlane, with_control_plane};
use super::controller::Controller;
use super::objects::{client, create, create_namespace, install_kinds, resource};

const SECRET: &str = "p1anted-s3cret/+";
/// As it stands in URLs, and in base64.
const FORMS: [&str; 3] = [SECRET, "p1anted-s3cret%2F%2B", "cDFhbnRlZC1zM2NyZXQvKw"];
/// Written into a template without a Secret.
const HEADER: &str = "plain-header-token";
const PASSWORD: &str = "plain-passw0rd";
const NAMESPACE: &str = "rollproof-secrets";

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

fn objects(port: u16) -> [Value; 2] {
    let base = format!("http://127.0.0.1:{port}");
    let web = |name: &str, mut web: Value| {
        web["headers"] = json!([
            {"key": "Authorization", "value": "Bearer {{args.token}}"},
            {"key": "X-Api-Key", "value": HEADER}]);
        json!({"name": name, "successCondition": "result == 'never'", "failureLimit": 2,
            "count": 2, "interval": "1s", "provider": {"web": web}})
    };
    [
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "planted"},
            "stringData": {"value": SECRET}}),
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
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
            ]}}),
    ]
}

#[test]
#[ignore = "takes about a minute"]
fn no_secret_is_shown() {
    with_control_plane("secrets", |plane| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(play(plane));
    });
}

async fn play(plane: &mut ControlPlane) {
    let kubeconfig = plane.file("kubeconfig");
    let admin = client(&kubeconfig).await;
    install_kinds(&admin).await;
    create_namespace(&admin, NAMESPACE).await;
    let (log, recording) = (plane.file("controller.log"), plane.file("recording"));
    let port = serve().await;
    let namespace = format!("--namespace={NAMESPACE}");
    let lease = format!("--leader-election-namespace={NAMESPACE}");
    let record = format!("--record={}", recording.display());
    let mut controller = Controller::start(
        &kubeconfig,
        &log,
        &[
            "--namespaced",
            &namespace,
            "--loglevel=debug",
            "--healthz-port=0",
            "--metrics-port=0",
            &lease,
            &record,
        ],
    );
    for object in objects(port) {
        create(&admin, NAMESPACE, object).await;
    }
    let runs: Api<DynamicObject> = Api::namespaced_with(
        admin.clone(),
        NAMESPACE,
        &resource("argoproj.io/v1alpha1", "AnalysisRun"),
    );
    let deadline = Instant::now() + Duration::from_secs(90);
    let run = loop {
        let run = runs.get("planted").await.expect("the run").data;
        let measured = run["status"]["metricResults"].as_array();
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
    let ended = controller.end();
    assert!(ended.success(), "{ended}");

    let status = run["status"].to_string();
    let events: Api<DynamicObject> =
        Api::namespaced_with(admin.clone(), NAMESPACE, &resource("v1", "Event"));
    let events = events.list(&Default::default()).await.expect("events");
    let events = serde_json::to_string(&events).expect("JSON");
    let logged = controller.log();
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
}
