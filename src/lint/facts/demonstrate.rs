//! Shows dangers of rollouts by playing them in the simulator.

use serde_json::Value as Json;

use crate::lint::context::{Context, RolloutView};
use crate::sim::play::{Play, Verdict, play};
use crate::sim::scenario::{Period, Scenario};
use crate::spec::bundle::Workload;
use crate::time::Duration;

/// Rollouts above this many pods are not played.
const MOST_PODS: i32 = 200;
/// Nor are those with more steps.
const MOST_STEPS: usize = 100;
/// Metrics that are asked more often make a simulation long.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);
/// What a simulation looks at beside what the rollout names.
const ROUTING_KINDS: [&str; 3] = ["VirtualService", "DestinationRule", "Ingress"];
/// The longest simulation.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// [`play_rollout`] for a counterexample alone: `None` also where the settings leave those out.
pub fn demonstrate(
    context: &Context<'_>,
    rollout: &RolloutView<'_>,
    scenario: Scenario,
) -> Option<Play> {
    context
        .settings
        .demonstrations
        .then(|| play_rollout(context, rollout, scenario))?
}

/// Plays a rollout with its services, workload and templates. `None` where it cannot be played: it
/// is refused, something that it refers to is missing, or it is too large to be played in passing.
///
/// A simulation takes milliseconds: ask only about what a rule has already found.
pub fn play_rollout(
    context: &Context<'_>,
    rollout: &RolloutView<'_>,
    mut scenario: Scenario,
) -> Option<Play> {
    let spec = &rollout.rollout.spec;
    let steps = rollout.canary().map_or(0, |canary| canary.steps.len());
    let is_playable = rollout.refusals.is_empty()
        && spec.replicas_or_default() <= MOST_PODS
        && steps <= MOST_STEPS
        && !matches!(
            rollout.workload,
            Workload::Missing(_) | Workload::Refused(_)
        )
        && rollout
            .analyses
            .iter()
            .all(|analysis| analysis.missing.is_empty())
        && rollout
            .analyses
            .iter()
            .flat_map(|analysis| &analysis.metrics)
            .filter_map(|metric| metric.interval())
            .all(|interval| interval >= SHORTEST_INTERVAL);
    if !is_playable {
        return None;
    }
    let namespace = rollout.object.namespace_or_default();
    let mut objects: Vec<Json> = Vec::new();
    let mut add = |object: &crate::spec::bundle::Object| {
        let json = in_namespace(object.json(), namespace);
        if !objects.contains(&json) {
            objects.push(json);
        }
    };
    add(rollout.object);
    if let Workload::Resolved(workload) = rollout.workload {
        add(workload);
    }
    for service in &rollout.services {
        if let Some((object, _)) = service.found {
            add(object);
        }
    }
    for template in rollout
        .analyses
        .iter()
        .flat_map(|analysis| &analysis.templates)
    {
        add(template.object);
    }
    // Routers, ingresses and the like are only looked at where they are there.
    for kind in ROUTING_KINDS {
        for object in context.objects_of(kind, namespace) {
            add(object);
        }
    }
    scenario.rollout = Some(rollout.object.name.clone());
    scenario.namespace = Some(namespace.to_owned());
    let until = scenario.until.map_or(LONGEST, |until| until.0.min(LONGEST));
    scenario.until = Some(Period(until));
    let play = play(&objects, &scenario).ok()?;
    (play.outcome.verdict != Verdict::Invalid).then_some(play)
}

/// The object as it will be in the cluster.
fn in_namespace(object: &Json, namespace: &str) -> Json {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    object
}
