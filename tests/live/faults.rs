//! Faults in mid-release: every rollout ends as without them, and nothing is scaled or switched twice.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use kube::api::{Api, DynamicObject};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::control_plane::{ControlPlane, with_control_plane};
use super::controller::Controller;
use super::history::{History, Sequences, deviations};
use super::objects::{
    client, create, create_namespace, ingress, install_kinds, release, resource, rollout, rollouts,
    service, template, wait,
};

const ROLLOUTS: usize = 20;
const KILLS: usize = 50;
/// The longest that all rollouts together may take to end, under any fault.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is done to a release that is under way.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// kill -9 of the controller, at random moments.
    Kills,
    ServerRestarts,
    WatchDrops,
    /// This status for a part of all requests.
    Refusals(u16),
    /// Watches that are late.
    StaleCache,
    /// Metric providers that take a request and say nothing.
    HangingMetrics,
}

#[test]
#[ignore = "takes about ten minutes"]
fn every_release_ends_as_without_the_fault() {
    with_control_plane("faults", |plane| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(play_all(plane));
    });
}

async fn play_all(plane: &mut ControlPlane) {
    let admin = client(&plane.file("kubeconfig")).await;
    install_kinds(&admin).await;
    let metrics = Metrics::serve().await;
    let log = plane.file("controller.log");
    let mut controller = Controller::start(
        &plane.file("kubeconfig-faults"),
        &log,
        &["--leader-elect=false"],
    );
    let expected = play(plane, &mut controller, &metrics, "none", Fault::None).await;
    println!(
        "faults: {ROLLOUTS} rollouts, {} sequences of values",
        expected.len()
    );
    let mut failed = Vec::new();
    for (name, fault) in [
        ("kills", Fault::Kills),
        ("restarts", Fault::ServerRestarts),
        ("drops", Fault::WatchDrops),
        ("too-many-requests", Fault::Refusals(429)),
        ("server-errors", Fault::Refusals(500)),
        ("stale", Fault::StaleCache),
        ("hanging-metrics", Fault::HangingMetrics),
    ] {
        let found = play(plane, &mut controller, &metrics, name, fault).await;
        let different = deviations(&expected, &found);
        println!(
            "faults: {name}: {} of {} sequences as without the fault",
            expected.len() - different.len().min(expected.len()),
            expected.len()
        );
        failed.extend(different.into_iter().map(|it| format!("{name}: {it}")));
        assert!(
            controller.runs(),
            "the controller ended by itself:\n{}",
            controller.log()
        );
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Releases a new version of all rollouts while the fault lasts, and tells what was seen.
async fn play(
    plane: &mut ControlPlane,
    controller: &mut Controller,
    metrics: &Metrics,
    namespace: &str,
    fault: Fault,
) -> Sequences {
    let kubeconfig: PathBuf = plane.file("kubeconfig");
    let admin = client(&kubeconfig).await;
    create_namespace(&admin, namespace).await;
    for template in metrics.templates() {
        create(&admin, namespace, template).await;
    }
    for index in 0..ROLLOUTS {
        for object in objects(index) {
            create(&admin, namespace, object).await;
        }
    }
    let all_at_rest = async |image: &str| {
        let listed = rollouts(&admin, namespace).list(&Default::default()).await;
        let Ok(listed) = listed else { return false };
        listed.items.iter().all(|rollout| {
            let status = &rollout.data["status"];
            let observed = status["observedGeneration"].as_str().unwrap_or_default();
            let current = rollout.metadata.generation.map(|it| it.to_string());
            let phase = status["phase"].as_str();
            current.as_deref() == Some(observed)
                && rollout.data["spec"]["template"]["spec"]["containers"][0]["image"] == image
                && match phase {
                    Some("Healthy") => status["currentPodHash"] == status["stableRS"],
                    Some("Degraded") => status["abort"] == true,
                    Some(_) | None => false,
                }
        })
    };
    wait("the first version", PATIENCE, async || {
        all_at_rest("app:v1").await
    })
    .await;
    let history = History::of(&kubeconfig, namespace).await;
    sleep(Duration::from_secs(1)).await;
    for index in 0..ROLLOUTS {
        release(&admin, namespace, &format!("r{index}"), "app:v2").await;
    }
    let mut random = ChaCha8Rng::seed_from_u64(7);
    match fault {
        Fault::None => {}
        Fault::Kills => {
            for _ in 0..KILLS {
                sleep(Duration::from_millis(random.random_range(50..900))).await;
                controller.kill_and_start();
            }
        }
        Fault::ServerRestarts => {
            for _ in 0..3 {
                sleep(Duration::from_secs(2)).await;
                plane.tell("restart kube-apiserver");
            }
        }
        Fault::WatchDrops => {
            for _ in 0..20 {
                sleep(Duration::from_millis(500)).await;
                plane.tell("fault drop");
            }
        }
        Fault::Refusals(status) => {
            plane.tell(&format!("fault refuse {status} 0.5"));
            sleep(Duration::from_secs(15)).await;
        }
        Fault::StaleCache => {
            plane.tell("fault lag 2s");
            sleep(Duration::from_secs(20)).await;
        }
        Fault::HangingMetrics => {
            metrics.hang.store(true, Ordering::Relaxed);
            sleep(Duration::from_secs(8)).await;
        }
    }
    metrics.hang.store(false, Ordering::Relaxed);
    plane.tell("fault none");
    let what = format!("all to end ({fault:?})");
    wait(&what, PATIENCE, async || all_at_rest("app:v2").await).await;
    // Delayed scale-downs come last, and after refused writes later still: see the longest backoff.
    wait(
        &format!("old pods to go ({fault:?})"),
        PATIENCE,
        async || has_one_version_each(&admin, namespace).await,
    )
    .await;
    // What comes now is too much.
    sleep(Duration::from_secs(4)).await;
    history.sequences()
}

/// Whether each rollout has pods of one version alone.
async fn has_one_version_each(admin: &kube::Client, namespace: &str) -> bool {
    let sets: Api<DynamicObject> =
        Api::namespaced_with(admin.clone(), namespace, &resource("apps/v1", "ReplicaSet"));
    let Ok(listed) = sets.list(&Default::default()).await else {
        return false;
    };
    let with_pods = listed
        .items
        .iter()
        .filter(|set| set.data["spec"]["replicas"] != 0)
        .count();
    with_pods == ROLLOUTS
}

/// Twelve canaries with an ingress, of which four fail their analysis, and eight blue-green ones.
fn objects(index: usize) -> Vec<serde_json::Value> {
    let name = format!("r{index}");
    let [first, second] = ["stable", "canary"].map(|part| format!("{name}-{part}"));
    let mut objects = vec![service(&first, &name), service(&second, &name)];
    let strategy = if index < 12 {
        objects.push(ingress(&name, &first));
        let analysis = if index < 8 { "good" } else { "bad" };
        json!({"canary": {
            "stableService": first,
            "canaryService": second,
            "scaleDownDelaySeconds": 1,
            "abortScaleDownDelaySeconds": 1,
            "trafficRouting": {"nginx": {"stableIngress": name}},
            "steps": [
                {"setWeight": 20},
                {"pause": {"duration": "2s"}},
                {"analysis": {"templates": [{"templateName": analysis}]}},
                {"setWeight": 60},
                {"pause": {"duration": "1s"}},
            ],
        }})
    } else {
        json!({"blueGreen": {
            "activeService": first,
            "previewService": second,
            "scaleDownDelaySeconds": 1,
            "prePromotionAnalysis": {"templates": [{"templateName": "good"}]},
        }})
    };
    objects.push(rollout(&name, strategy));
    objects
}

/// Answers of metric providers: `/good` and `/bad`, which can be made to hang.
struct Metrics {
    address: String,
    hang: Arc<AtomicBool>,
}

impl Metrics {
    async fn serve() -> Self {
        let hang = Arc::new(AtomicBool::new(false));
        let answer = |value: i32| {
            let hang = hang.clone();
            any(async move || {
                while hang.load(Ordering::Relaxed) {
                    sleep(Duration::from_millis(100)).await;
                }
                format!("{{\"value\": {value}}}")
            })
        };
        let service = Router::new()
            .route("/good", answer(1))
            .route("/bad", answer(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async { axum::serve(listener, service).await });
        Self { address, hang }
    }

    fn templates(&self) -> [serde_json::Value; 2] {
        ["good", "bad"].map(|name| template(name, &format!("http://{}/{name}", self.address)))
    }
}
