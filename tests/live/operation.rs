//! Operation of `rollproof controller`: kinds that arrive later, objects that cannot be read, its
//! options, and its end.

use std::time::{Duration, Instant};

use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::control_plane::{ControlPlane, with_control_plane};
use super::controller::Controller;
use super::objects::{
    client, create, create_namespace, install_kinds, resource, rollout, rollouts, wait,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing has to happen where nothing should.
const QUIET: Duration = Duration::from_secs(4);
const INSTANCE: &str = "argo-rollouts.argoproj.io/controller-instance-id";

#[test]
#[ignore = "takes about a minute"]
fn operation() {
    with_control_plane("operation", |plane| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(play(plane));
    });
}

async fn play(plane: &mut ControlPlane) {
    let kubeconfig = plane.file("kubeconfig");
    let admin = client(&kubeconfig).await;
    for namespace in ["one", "two"] {
        create_namespace(&admin, namespace).await;
    }
    let start = |name: &str, arguments: &[&str]| {
        let log = plane.file(&format!("{name}.log"));
        let mut all = vec!["--metrics-port=0", "--healthz-port=0"];
        all.extend(arguments);
        Controller::start(&kubeconfig, &log, &all)
    };

    // The kinds arrive when the controller runs already.
    let mut first = start("all", &["--leader-election-namespace=default"]);
    sleep(Duration::from_secs(2)).await;
    install_kinds(&admin).await;
    accept_any_rollout(&admin).await;
    create(&admin, "one", sized("early")).await;
    wait(
        "a rollout of a kind that arrived later",
        PATIENCE,
        async || phase(&admin, "one", "early").await.as_deref() == Some("Healthy"),
    )
    .await;
    println!("operation: kinds that arrived later are picked up");

    // One that cannot be read holds up no other.
    let mut broken = sized("broken");
    broken["spec"]["minReadySeconds"] = json!("many");
    create(&admin, "one", broken).await;
    create(&admin, "one", sized("good")).await;
    wait("the good one beside the broken one", PATIENCE, async || {
        phase(&admin, "one", "good").await.as_deref() == Some("Healthy")
    })
    .await;
    let told = async || {
        let status = status(&admin, "one", "broken").await;
        let conditions = status["conditions"].as_array().cloned();
        conditions.is_some_and(|conditions| {
            conditions.iter().any(|condition| {
                condition["type"] == "InvalidSpec" && condition["status"] == "True"
            })
        })
    };
    wait("the broken one's condition", PATIENCE, told).await;
    println!("operation: a rollout that cannot be read is told so and holds up no other");

    // Mended, it goes on.
    let mend = json!({"spec": {"minReadySeconds": 0}});
    patch(&admin, "one", "broken", mend).await;
    wait("the broken one when mended", PATIENCE, async || {
        phase(&admin, "one", "broken").await.as_deref() == Some("Healthy")
    })
    .await;

    scale(&admin).await;

    // Objects of another instance are left to it.
    let mut other = sized("other");
    other["metadata"]["labels"] = json!({INSTANCE: "x"});
    create(&admin, "one", other).await;
    sleep(QUIET).await;
    assert_eq!(phase(&admin, "one", "other").await, None);
    let mut instance = start(
        "instance",
        &["--instance-id=x", "--leader-election-namespace=default"],
    );
    wait("the other instance", PATIENCE, async || {
        phase(&admin, "one", "other").await.as_deref() == Some("Healthy")
    })
    .await;
    instance.kill();
    println!("operation: instances keep apart");

    // Asked to end, it ends, and gives its lease back.
    let asked = Instant::now();
    let ended = first.end();
    assert!(ended.success(), "{ended}: {}", first.log());
    println!(
        "operation: ended {:?} after it was asked to",
        asked.elapsed()
    );
    let leases: Api<DynamicObject> = Api::namespaced_with(
        admin.clone(),
        "default",
        &resource("coordination.k8s.io/v1", "Lease"),
    );
    let lease = leases.get("argo-rollouts-controller-lock").await;
    let lease = lease.expect("the lease");
    let holder = lease.data["spec"]["holderIdentity"].as_str();
    assert_eq!(
        holder.unwrap_or_default(),
        "",
        "the lease is not given back"
    );

    // In one namespace only, others are not looked at.
    let mut namespaced = start(
        "namespaced",
        &["--namespaced", "--namespace=two", "--leader-elect=false"],
    );
    create(&admin, "one", sized("outside")).await;
    create(&admin, "two", sized("inside")).await;
    wait("the rollout of its namespace", PATIENCE, async || {
        phase(&admin, "two", "inside").await.as_deref() == Some("Healthy")
    })
    .await;
    sleep(QUIET).await;
    assert_eq!(phase(&admin, "one", "outside").await, None);
    namespaced.kill();
    println!("operation: a controller of one namespace leaves others alone");

    // A dry run says what it would do.
    let mut dry = start("dry", &["--dry-run"]);
    wait("what would be done", PATIENCE, async || {
        dry.log().contains("would create ReplicaSet one/outside-")
    })
    .await;
    sleep(QUIET).await;
    assert_eq!(phase(&admin, "one", "outside").await, None);
    let sets: Api<DynamicObject> =
        Api::namespaced_with(admin.clone(), "one", &resource("apps/v1", "ReplicaSet"));
    let sets = sets.list(&Default::default()).await.expect("a list").items;
    let is_outside = |set: &DynamicObject| {
        let name = set.metadata.name.as_deref();
        name.is_some_and(|name| name.starts_with("outside-"))
    };
    assert!(!sets.iter().any(is_outside), "a dry run has written");
    assert!(dry.end().success());
    println!("operation: a dry run tells and writes nothing");
}

/// Pods are counted and set through the subresource that autoscalers use.
async fn scale(admin: &kube::Client) {
    let api = rollouts(admin, "one");
    let patch = Patch::Merge(json!({"spec": {"replicas": 3}}));
    api.patch_scale("good", &PatchParams::default(), &patch)
        .await
        .expect("a scale");
    wait("the new scale", PATIENCE, async || {
        let scale = api.get_scale("good").await.expect("a scale");
        let status = scale.status.unwrap_or_default();
        status.replicas == 3 && status.selector.as_deref() == Some("app=good")
    })
    .await;
    wait("its pods", PATIENCE, async || {
        status(admin, "one", "good").await["availableReplicas"] == 3
    })
    .await;
    println!("operation: scaled through its subresource");
}

fn sized(name: &str) -> Value {
    let mut rollout = rollout(name, json!({"canary": {}}));
    rollout["spec"]["replicas"] = 1.into();
    rollout
}

async fn status(admin: &kube::Client, namespace: &str, name: &str) -> Value {
    let found = rollouts(admin, namespace).get(name).await;
    found.expect("the rollout").data["status"].take()
}

/// None as long as no controller has looked at it.
async fn phase(admin: &kube::Client, namespace: &str, name: &str) -> Option<String> {
    let status = status(admin, namespace, name).await;
    status["phase"].as_str().map(str::to_owned)
}

async fn patch(admin: &kube::Client, namespace: &str, name: &str, patch: Value) {
    rollouts(admin, namespace)
        .patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .expect("a patch");
}

/// Lets the API server store Rollouts of any shape, as the definitions of other versions may.
async fn accept_any_rollout(admin: &kube::Client) {
    let definitions: Api<DynamicObject> = Api::all_with(
        admin.clone(),
        &resource("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    );
    const NAME: &str = "rollouts.argoproj.io";
    let mut definition = definitions.get(NAME).await.expect("the definition");
    definition.data["spec"]["versions"][0]["schema"]["openAPIV3Schema"] =
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    definitions
        .replace(NAME, &PostParams::default(), &definition)
        .await
        .expect("another schema");
    // The API server takes it in a moment later.
    sleep(Duration::from_secs(2)).await;
}
