//! Two replicas: when the leader dies or hangs the other goes on, and there are never two writers.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::control_plane::{ControlPlane, with_control_plane};
use super::controller::Controller;
use super::objects::{
    client, create, create_namespace, install_kinds, release, rollout, rollouts, wait,
};

/// Seconds of the lease, of its renewal and between attempts.
const LEASE: [&str; 4] = [
    "--leader-elect=true",
    "--leader-election-lease-duration=6s",
    "--leader-election-renew-deadline=4s",
    "--leader-election-retry-period=1s",
];
const LEASE_DURATION: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "takes about two minutes"]
fn the_other_replica_goes_on_and_never_both() {
    with_control_plane("leader", |plane| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(play(plane));
    });
}

async fn play(plane: &mut ControlPlane) {
    let admin = client(&plane.file("kubeconfig")).await;
    install_kinds(&admin).await;
    create_namespace(&admin, "default-leader").await;
    create_namespace(&admin, "argo-rollouts").await;
    let mut replicas = [0, 1].map(|index| start(plane, index));
    for index in 0..10 {
        let steps = json!([{"setWeight": 20}, {"pause": {"duration": "2s"}}, {"setWeight": 60}, {"pause": {"duration": "2s"}}]);
        let rollout = rollout(&format!("r{index}"), json!({"canary": {"steps": steps}}));
        create(&admin, "default-leader", rollout).await;
    }
    let all_run = async |image: &str| {
        let listed = rollouts(&admin, "default-leader")
            .list(&Default::default())
            .await;
        listed.is_ok_and(|listed| {
            listed.items.iter().all(|rollout| {
                let status = &rollout.data["status"];
                status["phase"] == "Healthy"
                    && status["currentPodHash"] == status["stableRS"]
                    && rollout.data["spec"]["template"]["spec"]["containers"][0]["image"] == image
                    && status["observedGeneration"].as_str()
                        == rollout
                            .metadata
                            .generation
                            .map(|it| it.to_string())
                            .as_deref()
            })
        })
    };
    wait("the first version", PATIENCE, async || {
        all_run("app:v1").await
    })
    .await;

    // The leader dies in mid-release.
    let first = leader(plane);
    for index in 0..10 {
        release(&admin, "default-leader", &format!("r{index}"), "app:v2").await;
    }
    sleep(Duration::from_secs(2)).await;
    replicas[first].kill();
    let died = Instant::now();
    wait("the other replica", PATIENCE, async || {
        leader(plane) != first
    })
    .await;
    let gap = died.elapsed();
    println!(
        "leader: the other replica wrote {:.1} s after the death of the first",
        gap.as_secs_f64()
    );
    assert!(gap < LEASE_DURATION + Duration::from_secs(4), "{gap:?}");
    wait("the second version", PATIENCE, async || {
        all_run("app:v2").await
    })
    .await;

    // The leader hangs, loses its lease, and wakes up again in the midst of the other's work.
    replicas[first] = start(plane, first);
    let second = leader(plane);
    for index in 0..10 {
        release(&admin, "default-leader", &format!("r{index}"), "app:v3").await;
    }
    sleep(Duration::from_secs(2)).await;
    signal(&replicas[second], "STOP");
    wait("the first replica again", PATIENCE, async || {
        leader(plane) == first
    })
    .await;
    signal(&replicas[second], "CONT");
    wait("the third version", PATIENCE, async || {
        all_run("app:v3").await
    })
    .await;
    sleep(Duration::from_secs(2)).await;

    let writes = writes(plane);
    let turns = writes.chunk_by(|one, next| one == next).count();
    println!(
        "leader: {} writes in {turns} turns of two replicas",
        writes.len()
    );
    // First, second, first: whoever lost the lease has not written since.
    assert_eq!(turns, 3, "two replicas wrote at the same time");
}

fn start(plane: &ControlPlane, index: usize) -> Controller {
    let kubeconfig = plane.file(&format!("kubeconfig-writer-{index}"));
    let log = plane.file(&format!("controller-{index}.log"));
    let mut arguments = LEASE.to_vec();
    arguments.extend(["--metricsPort=0", "--healthzPort=0"]);
    Controller::start(&kubeconfig, &log, &arguments)
}

fn signal(replica: &Controller, name: &str) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(replica.process_id().to_string())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
}

/// Which replica wrote last.
fn leader(plane: &ControlPlane) -> usize {
    writes(plane).last().copied().unwrap_or(0)
}

/// Who wrote something else than its lease, in the order of the audit log.
fn writes(plane: &ControlPlane) -> Vec<usize> {
    let log = std::fs::read_to_string(plane.file("audit.log")).expect("an audit log");
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|entry| entry["objectRef"]["resource"] != "leases")
        .filter(|entry| {
            entry["responseStatus"]["code"]
                .as_u64()
                .is_some_and(|code| code < 300)
        })
        .filter_map(|entry| {
            let name = entry["user"]["username"]
                .as_str()?
                .strip_prefix("writer-")?;
            name.parse().ok()
        })
        .collect()
}
