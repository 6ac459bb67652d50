//! The controller with the rights that `rollproof manifests` gives it, and no others: every kind of
//! write it knows is allowed, and it asks for nothing that is not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use rollproof::source::Sources;
use rollproof::spec::yaml;
use serde_json::{Value, json};

use super::control_plane::{ControlPlane, with_control_plane};
use super::controller::Controller;
use super::objects::{
    client, create, create_namespace, ingress, release, resource, rollout, rollouts, service, wait,
};

const PATIENCE: Duration = Duration::from_secs(90);

#[test]
#[ignore = "takes about a minute"]
fn the_printed_rights_are_enough() {
    with_control_plane("rights", |plane| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let admin = client(&plane.file("kubeconfig")).await;
            everywhere(plane, &admin).await;
            in_one_namespace(plane, &admin).await;
        });
    });
}

/// With a ClusterRole: something of all that the controller can do.
async fn everywhere(plane: &ControlPlane, admin: &Client) {
    apply(admin, &["-n", "ops"]).await;
    create_namespace(admin, "shop").await;
    let (mut controller, log) = start(plane, admin, "ops", &[]).await;
    for (name, objects) in [
        ("everything", everything()),
        ("preview", blue_green()),
        ("referring", workload_ref()),
        ("alone", vec![experiment()]),
    ] {
        for object in objects {
            if object["kind"] == "ClusterAnalysisTemplate" {
                create_anywhere(admin, object).await;
            } else {
                create(admin, "shop", object).await;
            }
        }
        println!("rights: {name} is created");
    }
    let all = ["everything", "preview", "referring"];
    rest(admin, "shop", &all).await;
    for version in ["app:v2", "app:v3"] {
        for name in ["everything", "preview"] {
            release(admin, "shop", name, version).await;
        }
        rest(admin, "shop", &all).await;
    }
    release(admin, "shop", "everything", "app:bad").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    patch(admin, "everything", &json!({"status": {"abort": true}})).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let restarted = Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .args(["restart", "preview", "-n", "shop", "--kubeconfig"])
        .arg(plane.file("kubeconfig"))
        .status();
    assert!(restarted.is_ok_and(|status| status.success()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let params = kube::api::DeleteParams::background();
    let deleted = rollouts(admin, "shop").delete("everything", &params).await;
    deleted.expect("a deleted Rollout");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(controller.runs(), "it ended by itself");
    let writes = refused_nothing(plane, "system:serviceaccount:ops:rollproof", &log);
    println!(
        "rights: everywhere: {} kinds of writes, none refused",
        writes.len()
    );
    // What was to be tried was tried.
    for wanted in [
        "create analysisruns",
        "delete analysisruns",
        "create events",
        "create experiments",
        "create ingresses",
        "create jobs",
        "create leases",
        "create pods/eviction",
        "create replicasets",
        "create services",
        "delete replicasets",
        "delete services",
        "patch deployments",
        "patch ingresses",
        "patch pods",
        "patch replicasets",
        "patch rollouts/status",
        "patch services",
    ] {
        assert!(
            writes.iter().any(|it| it == wanted),
            "{wanted}: not in {writes:?}"
        );
    }
}

/// With a Role in one namespace, blind to all others.
async fn in_one_namespace(plane: &ControlPlane, admin: &Client) {
    let namespaced = [
        "-n",
        "team",
        "--namespaced",
        "--only",
        "namespace,rbac,controller",
    ];
    apply(admin, &namespaced).await;
    let (mut controller, log) = start(plane, admin, "team", &["--namespaced"]).await;
    let steps = json!([{"setWeight": 50}, {"pause": {"duration": "1s"}}]);
    let simple = rollout("simple", json!({"canary": {"steps": steps}}));
    create(admin, "team", simple).await;
    rest(admin, "team", &["simple"]).await;
    release(admin, "team", "simple", "app:v2").await;
    rest(admin, "team", &["simple"]).await;
    assert!(controller.runs(), "it ended by itself");
    let writes = refused_nothing(plane, "system:serviceaccount:team:rollproof", &log);
    println!(
        "rights: namespaced: {} kinds of writes, none refused",
        writes.len()
    );
}

/// Analyses by Jobs with a secret, experiments, NGINX, metadata of pods, and nothing
/// kept of what has ended.
fn everything() -> Vec<Value> {
    let container = json!({
        "name": "check", "image": "check", "command": ["sh", "-c", "exit 0"],
        "env": [{"name": "TOKEN", "value": "{{args.token}}"}],
    });
    let job = json!({"spec": {"backoffLimit": 0, "template": {"spec": {
        "restartPolicy": "Never", "containers": [container],
    }}}});
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ClusterAnalysisTemplate",
        "metadata": {"name": "by-job"},
        "spec": {
            "args": [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}}],
            "metrics": [{"name": "job", "count": 1, "provider": {"job": job}}],
        },
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"},
        "stringData": {"value": "t0ken"},
    });
    let steps = json!([
        {"setWeight": 20},
        {"experiment": {"duration": "3s", "templates": [
            {"name": "try", "specRef": "canary", "replicas": 1},
        ]}},
        {"analysis": {"templates": [{"templateName": "by-job", "clusterScope": true}]}},
        {"setWeight": 60},
        {"pause": {"duration": "1s"}},
    ]);
    let strategy = json!({"canary": {
        "stableService": "everything", "canaryService": "everything-canary",
        "trafficRouting": {"nginx": {"stableIngress": "everything"}},
        "canaryMetadata": {"labels": {"role": "canary"}},
        "stableMetadata": {"labels": {"role": "stable"}},
        "scaleDownDelaySeconds": 1,
        "steps": steps,
    }});
    let mut whole = rollout("everything", strategy);
    whole["spec"]["revisionHistoryLimit"] = json!(0);
    whole["spec"]["analysis"] =
        json!({"successfulRunHistoryLimit": 0, "unsuccessfulRunHistoryLimit": 0});
    vec![
        secret,
        template,
        service("everything", "everything"),
        service("everything-canary", "everything"),
        ingress("everything", "everything"),
        whole,
    ]
}

fn blue_green() -> Vec<Value> {
    let strategy = json!({"blueGreen": {
        "activeService": "preview-active", "previewService": "preview-next",
        "autoPromotionEnabled": true, "scaleDownDelaySeconds": 1,
    }});
    vec![
        service("preview-active", "preview"),
        service("preview-next", "preview"),
        rollout("preview", strategy),
    ]
}

/// A Rollout that takes its pods' template from a Deployment, which it scales down.
fn workload_ref() -> Vec<Value> {
    let template = json!({
        "metadata": {"labels": {"app": "referring"}},
        "spec": {"containers": [{"name": "app", "image": "app:v1"}]},
    });
    let selector = json!({"matchLabels": {"app": "referring"}});
    let workload = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "referred"},
        "spec": {"replicas": 2, "selector": selector, "template": template},
    });
    let mut referring = rollout(
        "referring",
        json!({"canary": {"steps": [{"setWeight": 50}]}}),
    );
    if let Some(spec) = referring["spec"].as_object_mut() {
        spec.remove("template");
        spec.insert(
            "workloadRef".into(),
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "name": "referred",
                "scaleDown": "onsuccess",
            }),
        );
    }
    vec![workload, referring]
}

/// An Experiment of its own, with a Service.
fn experiment() -> Value {
    let template = json!({
        "metadata": {"labels": {"app": "alone"}},
        "spec": {"containers": [{"name": "app", "image": "app:v1", "ports": [{"containerPort": 80}]}]},
    });
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "metadata": {"name": "alone"},
        "spec": {"duration": "5s", "scaleDownDelaySeconds": 1, "templates": [{
            "name": "try", "replicas": 1, "service": {},
            "selector": {"matchLabels": {"app": "alone"}}, "template": template,
        }]},
    })
}

/// Applies what `rollproof manifests` prints.
async fn apply(admin: &Client, arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .arg("manifests")
        .args(arguments)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let stream = yaml::read_bytes(&mut Sources::new(), "manifests", &output.stdout).1;
    assert!(stream.problems.is_empty(), "{:?}", stream.problems);
    for document in &stream.documents {
        create_anywhere(admin, document.root.to_json()).await;
    }
}

/// Creates an object with or without a namespace; a definition is waited for.
async fn create_anywhere(admin: &Client, object: Value) {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or("");
    let resource = resource(text("/apiVersion"), text("/kind"));
    let api: Api<DynamicObject> = match text("/metadata/namespace") {
        "" => Api::all_with(admin.clone(), &resource),
        namespace => Api::namespaced_with(admin.clone(), namespace, &resource),
    };
    let parsed: DynamicObject = serde_json::from_value(object.clone()).expect("an object");
    let created = api.create(&PostParams::default(), &parsed).await;
    let created = created.unwrap_or_else(|error| panic!("{object}: {error}"));
    if resource.kind == "CustomResourceDefinition" {
        let name = created.metadata.name.unwrap_or_default();
        wait(&name, PATIENCE, async || {
            api.get(&name).await.is_ok_and(|definition| {
                let conditions = definition.data["status"]["conditions"].as_array().cloned();
                conditions.unwrap_or_default().iter().any(|condition| {
                    condition["type"] == "Established" && condition["status"] == "True"
                })
            })
        })
        .await;
    }
}

async fn patch(admin: &Client, name: &str, patch: &Value) {
    let api = rollouts(admin, "shop");
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    let patched = match &patch {
        Patch::Merge(content) if content.get("status").is_some() => {
            api.patch_status(name, &params, &patch).await
        }
        _ => api.patch(name, &params, &patch).await,
    };
    patched.expect("a patched Rollout");
}

/// A controller with a token of the account that the manifests made.
async fn start(
    plane: &ControlPlane,
    admin: &Client,
    namespace: &str,
    arguments: &[&str],
) -> (Controller, PathBuf) {
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec::default()),
        ..TokenRequest::default()
    };
    let answer = accounts
        .create_token_request("rollproof", &PostParams::default(), &request)
        .await
        .expect("a token");
    let token = answer.status.and_then(|status| status.token);
    let token = token.expect("a token");
    let kubeconfig = plane.file(&format!("kubeconfig-{namespace}"));
    let text = as_user(&plane.file("kubeconfig"), &token, namespace);
    std::fs::write(&kubeconfig, text).expect("a kubeconfig");
    let log = plane.file(&format!("controller-{namespace}.log"));
    let mut all = vec![
        "--metricsPort=0",
        "--healthzPort=0",
        "--namespace",
        namespace,
    ];
    all.push("--leader-election-namespace");
    all.push(namespace);
    all.extend(arguments);
    (Controller::start(&kubeconfig, &log, &all), log)
}

/// The same server for another user.
fn as_user(kubeconfig: &Path, token: &str, namespace: &str) -> String {
    let file = kube::config::Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let mut file = serde_json::to_value(&file).expect("a kubeconfig");
    file["users"][0]["user"] = json!({"token": token});
    file["contexts"][0]["context"]["namespace"] = json!(namespace);
    file.to_string()
}

/// Waits until Rollouts are Healthy with all of their newest revision.
async fn rest(admin: &Client, namespace: &str, names: &[&str]) {
    for name in names {
        let what = format!("{namespace}/{name} to be Healthy");
        wait(&what, PATIENCE, async || {
            let found = rollouts(admin, namespace).get(name).await;
            found.is_ok_and(|rollout| {
                let status = &rollout.data["status"];
                let generation = rollout.metadata.generation.map(|it| it.to_string());
                status["phase"] == "Healthy"
                    && status["currentPodHash"] == status["stableRS"]
                    && status["observedGeneration"].as_str() == generation.as_deref()
            })
        })
        .await;
    }
}

/// The kinds of writes that a user did (`verb resource`); none was refused, and no read either.
fn refused_nothing(plane: &ControlPlane, user: &str, log: &Path) -> Vec<String> {
    let audit = std::fs::read_to_string(plane.file("audit.log")).expect("an audit log");
    let mut writes = Vec::new();
    let mut refused = Vec::new();
    for line in audit.lines() {
        let Ok(entry) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        if entry["user"]["username"] != user {
            continue;
        }
        let text = |path: &str| entry.pointer(path).and_then(Value::as_str).unwrap_or("");
        let mut write = format!("{} {}", text("/verb"), text("/objectRef/resource"));
        if !text("/objectRef/subresource").is_empty() {
            write = format!("{write}/{}", text("/objectRef/subresource"));
        }
        if entry["responseStatus"]["code"] == 403 {
            refused.push(write.clone());
        }
        if !writes.contains(&write) {
            writes.push(write);
        }
    }
    assert!(refused.is_empty(), "refused: {refused:?}");
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let forbidden: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("forbidden"))
        .collect();
    assert!(forbidden.is_empty(), "{}", forbidden.join("\n"));
    writes.sort();
    writes
}
