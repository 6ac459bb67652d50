//! The simulator against the real thing: short releases with random measurements end as often this
//! way or that way on a real control plane as in simulation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use kube::api::DynamicObject;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rollproof::sim::play;
use rollproof::sim::scenario::{MetricScript, Release, Scenario};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::control_plane::{ControlPlane, with_control_plane};
use super::controller::Controller;
use super::objects::{
    client, create, create_namespace, install_kinds, release, resource, rollouts, wait,
};

const LIVE: usize = 240;
const SIMULATED: usize = 4000;
const MEASUREMENTS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(300);

/// How a release ended, and after how many measurements.
type Ending = (&'static str, usize);

#[test]
#[ignore = "takes about two minutes"]
fn live_outcomes_are_distributed_as_simulated() {
    let simulated = simulate();
    with_control_plane("calibration", |plane| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let live = runtime.block_on(play_live(plane));
        compare(&simulated, &live);
    });
}

/// What one measurement answers: mostly good, else bad, neither, or an error of the server.
fn answer(random: &mut ChaCha8Rng) -> Value {
    match random.random_range(0..100) {
        0..70 => json!(1),
        70..84 => json!(0),
        84..90 => json!(0.5),
        _ => json!("error"),
    }
}

fn objects(name: &str, metrics: &str) -> [Value; 2] {
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name},
        "spec": {"metrics": [{
            "name": "random",
            "count": MEASUREMENTS,
            "interval": "1s",
            "failureLimit": 1,
            "consecutiveErrorLimit": 1,
            "successCondition": "result > 0.9",
            "failureCondition": "result < 0.1",
            "provider": {"web": {"url": format!("{metrics}/{name}"), "jsonPath": "{$.value}"}},
        }]},
    });
    let steps = json!([
        {"setWeight": 50},
        {"analysis": {"templates": [{"templateName": name}]}},
    ]);
    let mut rollout = super::objects::rollout(name, json!({"canary": {"steps": steps}}));
    rollout["spec"]["replicas"] = 1.into();
    [template, rollout]
}

fn ending(verdict: &'static str, measurements: usize) -> Ending {
    (verdict, measurements)
}

fn simulate() -> BTreeMap<Ending, usize> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut endings = BTreeMap::new();
    for _ in 0..SIMULATED {
        let answers = (0..MEASUREMENTS + 4).map(|_| answer(&mut random)).collect();
        let scenario = Scenario {
            metrics: BTreeMap::from([("random".to_owned(), MetricScript::Answers(answers))]),
            release: Some(Release {
                image: Some("app:v2".to_owned()),
                patch: None,
            }),
            ..Scenario::default()
        };
        let played = play::play(&objects("r", "http://metrics.example"), &scenario);
        let played = played.expect("a scenario that can be played");
        let verdict = match played.outcome.verdict {
            play::Verdict::Promoted => "promoted",
            play::Verdict::Aborted => "aborted",
            play::Verdict::WaitsForPeople => "inconclusive",
            other => panic!("{other:?}: {}", played.outcome.message),
        };
        *endings
            .entry(ending(verdict, played.totals.measurements))
            .or_default() += 1;
    }
    endings
}

async fn play_live(plane: &ControlPlane) -> BTreeMap<Ending, usize> {
    let kubeconfig = plane.file("kubeconfig");
    let admin = client(&kubeconfig).await;
    install_kinds(&admin).await;
    create_namespace(&admin, "calibration").await;
    let (address, asked) = serve().await;
    let log = plane.file("controller.log");
    let _controller = Controller::start(&kubeconfig, &log, &["--leader-elect=false"]);
    for index in 0..LIVE {
        for object in objects(&format!("r{index}"), &address) {
            create(&admin, "calibration", object).await;
        }
    }
    let mut endings = Vec::new();
    let mut all_end = async |released: bool| {
        let listed = rollouts(&admin, "calibration")
            .list(&Default::default())
            .await;
        let listed = listed.expect("a list");
        let found: Vec<_> = listed
            .items
            .iter()
            .map_while(|rollout| {
                let name = rollout.metadata.name.clone().unwrap_or_default();
                Some((name, verdict(rollout, released)?))
            })
            .collect();
        endings = found;
        endings.len() == LIVE
    };
    wait("the first version", PATIENCE, async || all_end(false).await).await;
    for index in 0..LIVE {
        release(&admin, "calibration", &format!("r{index}"), "app:v2").await;
    }
    wait("the second version", PATIENCE, async || all_end(true).await).await;
    let stored = stored_measurements(&admin).await;
    let asked = asked.lock().expect("no panic");
    let differ: Vec<_> = stored
        .iter()
        .filter(|(name, (count, _))| asked.get(*name) != Some(count))
        .map(|(name, (count, runs))| {
            format!(
                "{name}: {:?} asked, {count} stored: {runs:?}",
                asked.get(name)
            )
        })
        .collect();
    println!(
        "calibration: {} of {LIVE} runs were measured as often as stored",
        stored.len() - differ.len()
    );
    assert!(
        differ.is_empty(),
        "measured more often than stored:\n{}",
        differ.join("\n")
    );
    let twice: Vec<_> = stored
        .iter()
        .filter(|(_, (_, runs))| runs.len() > 1)
        .collect();
    assert!(twice.is_empty(), "analysed more than once: {twice:?}");
    let mut counts = BTreeMap::new();
    for (name, verdict) in endings {
        let measurements = asked.get(&name).copied().unwrap_or(0);
        // Seldom, and worth a look.
        if measurements > MEASUREMENTS + 2
            && let Some((_, runs)) = stored.get(&name)
        {
            println!("calibration: {name} {verdict}: {runs:?}");
        }
        *counts.entry(ending(verdict, measurements)).or_default() += 1;
    }
    counts
}

/// By Rollout: how many measurements its runs have, and these runs' results.
async fn stored_measurements(admin: &kube::Client) -> BTreeMap<String, (usize, Vec<Value>)> {
    let runs: kube::Api<DynamicObject> = kube::Api::namespaced_with(
        admin.clone(),
        "calibration",
        &resource("argoproj.io/v1alpha1", "AnalysisRun"),
    );
    let listed = runs.list(&Default::default()).await.expect("a list");
    let mut stored: BTreeMap<String, (usize, Vec<Value>)> = BTreeMap::new();
    for run in listed.items {
        let owners = run.metadata.owner_references.unwrap_or_default();
        let owner = owners.first().expect("a run has an owner").name.clone();
        let results = run.data["status"]["metricResults"].clone();
        let field = |name: &str| results[0][name].as_u64().unwrap_or(0);
        let (count, runs) = stored.entry(owner).or_default();
        *count += (field("count") + field("error")) as usize;
        runs.push(json!({"run": run.metadata.name, "results": results}));
    }
    stored
}

/// How this Rollout ended; none while it has not.
fn verdict(rollout: &DynamicObject, released: bool) -> Option<&'static str> {
    let status = &rollout.data["status"];
    let observed = status["observedGeneration"].as_str()?;
    let current = rollout.metadata.generation?.to_string();
    let is_new = rollout.data["spec"]["template"]["spec"]["containers"][0]["image"] == "app:v2";
    if observed != current || is_new != released {
        return None;
    }
    match status["phase"].as_str()? {
        "Healthy" if status["currentPodHash"] == status["stableRS"] => Some("promoted"),
        "Degraded" if status["abort"] == true => Some("aborted"),
        "Paused" => Some("inconclusive"),
        _ => None,
    }
}

/// A server of random measurements, and how often it was asked for which.
async fn serve() -> (String, Arc<Mutex<BTreeMap<String, usize>>>) {
    let asked = Arc::new(Mutex::new(BTreeMap::new()));
    let random = Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(2)));
    let count = asked.clone();
    let service = Router::new().route(
        "/{name}",
        get(async move |Path(name): Path<String>| {
            *count.lock().expect("no panic").entry(name).or_default() += 1;
            match answer(&mut random.lock().expect("no panic")) {
                Value::String(_) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
                value => (StatusCode::OK, json!({ "value": value }).to_string()),
            }
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async { axum::serve(listener, service).await });
    (format!("http://{address}"), asked)
}

/// Each ending's share of the live releases, against the simulated one: at most four standard
/// deviations of the live sample apart. Endings that less than one live
/// release in all is expected to have are counted together: for them alone the normal distribution
/// says nothing.
fn compare(simulated: &BTreeMap<Ending, usize>, live: &BTreeMap<Ending, usize>) {
    let endings: BTreeSet<_> = simulated.keys().chain(live.keys()).collect();
    let count = |of: &BTreeMap<Ending, usize>, ending| of.get(ending).copied().unwrap_or(0);
    let (mut cells, mut rare) = (Vec::new(), (0, 0));
    for ending in endings {
        let (expected, found) = (count(simulated, ending), count(live, ending));
        let (verdict, measurements) = ending;
        if expected * LIVE >= SIMULATED {
            let name = format!("{verdict} after {measurements} measurements");
            cells.push((name, expected, found));
        } else {
            println!(
                "calibration: rare: {verdict} after {measurements} measurements: {expected} of {SIMULATED} \
                 simulated, {found} of {LIVE} live"
            );
            rare = (rare.0 + expected, rare.1 + found);
        }
    }
    cells.push(("rare ones together".to_owned(), rare.0, rare.1));
    let mut wrong = Vec::new();
    for (name, expected, found) in cells {
        let (expected, found) = (
            expected as f64 / SIMULATED as f64,
            found as f64 / LIVE as f64,
        );
        // The simulated share is itself uncertain: by one in its number of runs where it was never seen.
        let share = expected.max(1.0 / SIMULATED as f64);
        let deviation =
            (share * (1.0 - share) * (1.0 / LIVE as f64 + 1.0 / SIMULATED as f64)).sqrt();
        let distance = (found - expected) / deviation;
        println!(
            "calibration: {name}: simulated {:.1} %, live {:.1} % ({distance:+.1} standard deviations)",
            100.0 * expected,
            100.0 * found,
        );
        if distance.abs() > 4.0 {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "differ by more than chance: {wrong:?}");
}
