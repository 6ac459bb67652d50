//! Objects of the tests, and how they are brought to the API server.

use std::path::Path;
use std::time::{Duration, Instant};

use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Config};
use serde_json::{Value, json};

pub async fn client(kubeconfig: &Path) -> Client {
    let file = kube::config::Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(file, &Default::default())
        .await
        .expect("a configuration");
    Client::try_from(config).expect("a client")
}

pub fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

pub fn rollouts(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let resource = resource("argoproj.io/v1alpha1", "Rollout");
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Creates the definitions of the kinds, and waits until they are served.
pub async fn install_kinds(client: &Client) {
    let definitions: Api<DynamicObject> = Api::all_with(
        client.clone(),
        &resource("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/crds");
    for entry in std::fs::read_dir(folder).expect("schemas/crds") {
        let text = std::fs::read(entry.expect("a file").path()).expect("a schema");
        let object: DynamicObject = serde_json::from_slice(&text).expect("a definition");
        definitions
            .create(&PostParams::default(), &object)
            .await
            .expect("an accepted definition");
    }
    wait(
        "the kinds to be served",
        Duration::from_secs(20),
        async || {
            for kind in ["Rollout", "AnalysisRun", "AnalysisTemplate", "Experiment"] {
                let resource = resource("argoproj.io/v1alpha1", kind);
                let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
                if api.list(&ListParams::default().limit(1)).await.is_err() {
                    return false;
                }
            }
            true
        },
    )
    .await;
}

pub async fn create(client: &Client, namespace: &str, object: Value) {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or("");
    let resource = resource(text("/apiVersion"), text("/kind"));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let parsed: DynamicObject = serde_json::from_value(object.clone()).expect("an object");
    if let Err(error) = api.create(&PostParams::default(), &parsed).await {
        panic!("{object}: {error}");
    }
}

pub async fn create_namespace(client: &Client, name: &str) {
    let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    let object = json!({"metadata": {"name": name}});
    let object = serde_json::from_value(object).expect("a namespace");
    api.create(&PostParams::default(), &object)
        .await
        .expect("a namespace");
}

/// Sets the image of a Rollout's only container.
pub async fn release(client: &Client, namespace: &str, rollout: &str, image: &str) {
    let containers = json!([{"name": "app", "image": image}]);
    let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    rollouts(client, namespace)
        .patch(rollout, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .expect("a released image");
}

/// Waits until `holds`; panics when it takes too long.
pub async fn wait(what: &str, patience: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + patience;
    while !holds().await {
        assert!(Instant::now() < end, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A Rollout of five pods whose image is `app:v1`, with the given strategy.
pub fn rollout(name: &str, strategy: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name},
        "spec": {
            "replicas": 5,
            "selector": {"matchLabels": {"app": name}},
            "strategy": strategy,
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": "app:v1"}]},
            },
        },
    })
}

pub fn service(name: &str, rollout: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": rollout}, "ports": [{"port": 80}]},
    })
}

pub fn ingress(name: &str, service: &str) -> Value {
    let backend = json!({"service": {"name": service, "port": {"number": 80}}});
    let paths = json!([{"path": "/", "pathType": "Prefix", "backend": backend}]);
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": format!("{name}.example"), "http": {"paths": paths}}],
        },
    })
}

/// Measures `url`, which answers `{"value": number}`, three times a second; 1 is good.
pub fn template(name: &str, url: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name},
        "spec": {"metrics": [{
            "name": name,
            "count": 3,
            "interval": "1s",
            "successCondition": "result == 1",
            "provider": {"web": {"url": url, "jsonPath": "{$.value}"}},
        }]},
    })
}
