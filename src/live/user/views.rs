//! Rollouts and Experiments of a cluster as they are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::failure::Failure;
use super::follow::{Found, Query};
use super::verbs::read_object;
use crate::engine::objects::{self, Kind, Object};
use crate::engine::{Observed, POD_TEMPLATE_HASH_LABEL};
use crate::report::objects::{ExperimentView, PodView, RolloutView, experiment_view, rollout_view};
use crate::spec::rollout::Rollout;

/// What a view of this Rollout is made from; see [`rollout`].
pub fn rollout_queries(name: &str) -> Vec<Query> {
    let mut queries = vec![
        Query::named(Kind::Rollout, name),
        Query::all(Kind::Experiment),
    ];
    queries.extend(queries_below());
    queries
}

/// What a view of this Experiment is made from; see [`experiment`].
pub fn experiment_queries(name: &str) -> Vec<Query> {
    let mut queries = vec![Query::named(Kind::Experiment, name)];
    queries.extend(queries_below());
    queries
}

/// All pods and ReplicaSets of Rollouts and Experiments have this label, and few others.
fn queries_below() -> [Query; 3] {
    [
        Query::all(Kind::AnalysisRun),
        Query::labelled(Kind::ReplicaSet, POD_TEMPLATE_HASH_LABEL),
        Query::labelled(Kind::Pod, POD_TEMPLATE_HASH_LABEL),
    ]
}

/// The view of a Rollout; none if it does not exist (any more).
///
/// # Errors
/// A Rollout of another shape. Of other objects those that cannot be read are left out.
pub fn rollout(name: &str, found: &Found) -> Result<Option<RolloutView>, Failure> {
    let world = World::read(found, &Kind::Rollout)?;
    let rollout = world.rollouts.get(name);
    Ok(rollout.map(|rollout| rollout_view(rollout, &world.observed, &world.pods)))
}

/// The view of an Experiment; none if it does not exist (any more).
///
/// # Errors
/// As [`rollout`].
pub fn experiment(name: &str, found: &Found) -> Result<Option<ExperimentView>, Failure> {
    let world = World::read(found, &Kind::Experiment)?;
    let experiment = world.observed.experiments.get(name);
    Ok(experiment.map(|experiment| experiment_view(experiment, &world.observed, &world.pods)))
}

#[derive(Default)]
struct World {
    rollouts: BTreeMap<String, Arc<Rollout>>,
    observed: Observed,
    pods: Vec<PodView>,
}

impl World {
    /// One bad object of another kind than `wanted` does not hide the others.
    fn read(found: &Found, wanted: &Kind) -> Result<Self, Failure> {
        let mut world = World::default();
        for object in found.iter().flatten() {
            let kind = kind_of(object);
            if kind == Kind::Pod {
                world.pods.push(PodView::of_object(object));
                continue;
            }
            match read_object(&kind, object.clone()) {
                Ok(read) => world.add(object, read),
                Err(failure) if kind == *wanted => return Err(failure),
                Err(_) => {}
            }
        }
        Ok(world)
    }

    fn add(&mut self, object: &Value, read: Object) {
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        let name = name.unwrap_or_default();
        objects::insert(&mut self.rollouts, &mut self.observed, name, read);
    }
}

fn kind_of(object: &Value) -> Kind {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    Kind::of(text("apiVersion"), text("kind"))
}
