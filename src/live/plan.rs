//! From what was decided to the writes that do it. Pure: the objects are those that the decision
//! saw, so that a write can say on which version it is based.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::cache::Place;
use super::diff::merge_patch;
use crate::engine::objects::{self, Kind, Object, ObjectRef, kind_of};
use crate::engine::{Action, ObjectKey, ReplicaSet, RolloutPatch};
use crate::routers::Change;
use crate::sim::carry_out::select;
use crate::spec::analysis::{Measurement, Metric};
use crate::spec::kubernetes::Service;

/// Something to be done, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Write(Write),
    StopMeasurement {
        metric: Box<Metric>,
        measurement: Box<Measurement>,
    },
    /// The decision cannot be carried out further.
    Fail(String),
}

/// A call that changes an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    pub target: ObjectRef,
    pub call: Call,
    /// Resource version of the object as it was decided on: the write is refused when it has
    /// changed since. None where nothing is overwritten that somebody else may have set.
    pub based_on: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    Create(Value),
    /// A merge patch.
    Patch(Value),
    /// A merge patch of the status subresource.
    PatchStatus(Value),
    /// Of the object with this uid.
    Delete {
        uid: String,
    },
    Evict,
}

/// The writes for the actions decided on `object`.
pub fn steps(place: &Place, object: &ObjectRef, actions: Vec<Action>) -> Vec<Step> {
    let mut planner = Planner {
        place,
        namespace: &object.namespace,
        written: BTreeMap::new(),
        steps: Vec::new(),
    };
    for action in actions {
        planner.plan(object, action);
    }
    planner.steps
}

/// The write of a status that differs; `old` and `new` are whole status objects.
pub fn status_write(target: &ObjectRef, version: &str, old: &Value, new: &Value) -> Option<Write> {
    let patch = json!({ "status": merge_patch(old, new)? });
    let call = match target.kind {
        Kind::Rollout => Call::PatchStatus(patch),
        // Their status is no subresource.
        Kind::AnalysisRun
        | Kind::Experiment
        | Kind::AnalysisTemplate
        | Kind::ClusterAnalysisTemplate
        | Kind::ReplicaSet
        | Kind::Pod
        | Kind::Service
        | Kind::Secret
        | Kind::Other { .. } => Call::Patch(patch),
    };
    Some(Write {
        target: target.clone(),
        call,
        based_on: Some(version.to_owned()),
    })
}

struct Planner<'a> {
    place: &'a Place,
    namespace: &'a str,
    /// Objects as earlier steps leave them; none: deleted.
    written: BTreeMap<ObjectRef, Option<Object>>,
    steps: Vec<Step>,
}

impl Planner<'_> {
    fn plan(&mut self, object: &ObjectRef, action: Action) {
        let reference = |kind: Kind, name: &str| ObjectRef::new(kind, self.namespace, name);
        match action {
            Action::PatchRollout(patch) => {
                let RolloutPatch {
                    annotations,
                    replicas,
                } = patch;
                let mut body = Map::new();
                if !annotations.is_empty() {
                    body.insert("metadata".into(), json!({ "annotations": annotations }));
                }
                if let Some(replicas) = replicas {
                    body.insert("spec".into(), json!({ "replicas": replicas }));
                }
                self.patch(object.clone(), Value::Object(body), true);
            }
            Action::CreateReplicaSet(set) => {
                let target = reference(Kind::ReplicaSet, set.name());
                self.create(target, Object::ReplicaSet(Arc::new(*set)));
            }
            Action::UpdateReplicaSet(set) => {
                let target = reference(Kind::ReplicaSet, set.name());
                let Some(Object::ReplicaSet(old)) = self.get(&target) else {
                    return self.not_found(&target);
                };
                if let Some(patch) = replica_set_patch(&old, &set) {
                    self.patch(target.clone(), patch, true);
                    self.remember(target, Object::ReplicaSet(Arc::new(*set)));
                }
            }
            Action::DeleteReplicaSet { name } => self.delete(reference(Kind::ReplicaSet, &name)),
            Action::CreateService(service) => {
                let target = reference(Kind::Service, &service.metadata.name);
                self.create(target, Object::Service(Arc::new(*service)));
            }
            Action::DeleteService { name } => self.delete(reference(Kind::Service, &name)),
            Action::SelectService {
                name,
                hash,
                managed_by,
            } => {
                let target = reference(Kind::Service, &name);
                let Some(Object::Service(old)) = self.get(&target) else {
                    return self.not_found(&target);
                };
                let mut new = Service::clone(&old);
                select(&mut new, hash, managed_by);
                let [before, after] = [old.as_ref(), &new].map(|service| {
                    json!({
                        "metadata": {"annotations": service.metadata.annotations},
                        "spec": {"selector": service.spec.selector},
                    })
                });
                if let Some(patch) = merge_patch(&before, &after) {
                    self.patch(target.clone(), patch, true);
                    self.remember(target, Object::Service(Arc::new(new)));
                }
            }
            Action::SetTraffic { split: _, changes } | Action::ChangeRouters { changes } => {
                self.change_routers(changes);
            }
            Action::CreateAnalysisRun(run) => {
                let target = reference(Kind::AnalysisRun, &run.metadata.name);
                self.create(target, Object::AnalysisRun(Arc::new(*run)));
            }
            Action::TerminateAnalysisRun { name } => {
                let target = reference(Kind::AnalysisRun, &name);
                self.patch(target, json!({"spec": {"terminate": true}}), false);
            }
            Action::DeleteAnalysisRun { name } => self.delete(reference(Kind::AnalysisRun, &name)),
            Action::CreateExperiment(experiment) => {
                let target = reference(Kind::Experiment, &experiment.metadata.name);
                self.create(target, Object::Experiment(Arc::new(*experiment)));
            }
            Action::TerminateExperiment { name } => {
                let target = reference(Kind::Experiment, &name);
                self.patch(target, json!({"spec": {"terminate": true}}), false);
            }
            Action::DeleteExperiment { name } => self.delete(reference(Kind::Experiment, &name)),
            Action::ScaleDeployment { name, replicas } => {
                let key = ObjectKey::new("apps/v1", "Deployment", &name);
                let target = reference(kind_of(&key), &name);
                self.patch(target, json!({"spec": {"replicas": replicas}}), true);
            }
            Action::EvictPod { name } => self.steps.push(Step::Write(Write {
                target: reference(Kind::Pod, &name),
                call: Call::Evict,
                based_on: None,
            })),
            Action::UpdatePodMetadata {
                name,
                labels,
                annotations,
            } => {
                let target = reference(Kind::Pod, &name);
                let Some(Object::Pod(old)) = self.get(&target) else {
                    return self.not_found(&target);
                };
                let before = json!({
                    "labels": old.metadata.labels, "annotations": old.metadata.annotations,
                });
                let after = json!({"labels": labels, "annotations": annotations});
                if let Some(patch) = merge_patch(&before, &after) {
                    self.patch(target, json!({ "metadata": patch }), false);
                }
            }
            // Taken before the rest is carried out.
            Action::Measure {
                metric: _,
                resume: _,
            } => {}
            Action::StopMeasurement {
                metric,
                measurement,
            } => self.steps.push(Step::StopMeasurement {
                metric,
                measurement,
            }),
        }
    }

    fn change_routers(&mut self, changes: Vec<Change>) {
        for change in changes {
            let target = ObjectRef::new(kind_of(change.key()), self.namespace, &change.key().name);
            match change {
                Change::Create { key, object } => {
                    let value = Arc::new(object);
                    self.create(target, Object::Other { key, value });
                }
                Change::Update { key, object } => {
                    let Some(Object::Other { key: _, value: old }) = self.get(&target) else {
                        self.not_found(&target);
                        continue;
                    };
                    if let Some(patch) = merge_patch(&old, &object) {
                        self.patch(target.clone(), patch, true);
                        let value = Arc::new(object);
                        self.remember(target, Object::Other { key, value });
                    }
                }
                Change::Delete { key: _ } => self.delete(target),
            }
        }
    }

    /// An object as earlier steps leave it.
    fn get(&self, target: &ObjectRef) -> Option<Object> {
        match self.written.get(target) {
            Some(written) => written.clone(),
            None => objects::get(&self.place.rollouts, &self.place.observed, target),
        }
    }

    fn remember(&mut self, target: ObjectRef, object: Object) {
        self.written.insert(target, Some(object));
    }

    fn create(&mut self, target: ObjectRef, object: Object) {
        let mut body = object.to_json();
        // Where the status is no subresource it is stored, with an empty phase.
        let keeps_status = matches!(target.kind, Kind::AnalysisRun | Kind::Experiment);
        if let Some(members) = body.as_object_mut().filter(|_| !keeps_status) {
            members.remove("status");
        }
        self.steps.push(Step::Write(Write {
            target: target.clone(),
            call: Call::Create(body),
            based_on: None,
        }));
        self.remember(target, object);
    }

    fn patch(&mut self, target: ObjectRef, patch: Value, is_based: bool) {
        let known = objects::get(&self.place.rollouts, &self.place.observed, &target);
        let version = known.map(|known| known.identity().1.to_owned());
        let based_on = version.filter(|version| is_based && !version.is_empty());
        self.steps.push(Step::Write(Write {
            target,
            call: Call::Patch(patch),
            based_on,
        }));
    }

    fn delete(&mut self, target: ObjectRef) {
        let uid = match self.get(&target) {
            Some(known) => known.identity().0.to_owned(),
            // Deleting what is gone is done.
            None => return,
        };
        self.steps.push(Step::Write(Write {
            target: target.clone(),
            call: Call::Delete { uid },
            based_on: None,
        }));
        self.written.insert(target, None);
    }

    fn not_found(&mut self, target: &ObjectRef) {
        let message = format!("{} {:?} not found", target.kind.as_str(), target.name);
        self.steps.push(Step::Fail(message));
    }
}

/// The merge patch of metadata and spec.
fn replica_set_patch(old: &ReplicaSet, new: &ReplicaSet) -> Option<Value> {
    let shown = |set: &ReplicaSet| {
        let mut spec = json!({
            "replicas": set.replicas, "minReadySeconds": set.min_ready_seconds,
        });
        // Templates are big and seldom change.
        if old.template != new.template
            && let Some(spec) = spec.as_object_mut()
        {
            let template = set.template.as_object().clone();
            spec.insert("template".into(), Value::Object(template));
        }
        json!({
            "metadata": {
                "labels": set.metadata.labels,
                "annotations": set.metadata.annotations,
                "ownerReferences": set.metadata.owner_references,
            },
            "spec": spec,
        })
    };
    merge_patch(&shown(old), &shown(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(objects: &[Value]) -> Place {
        let mut place = Place::default();
        for object in objects {
            let object = Object::from_json(object.clone()).unwrap();
            let name = object.metadata().name.clone();
            objects::insert(&mut place.rollouts, &mut place.observed, &name, object);
        }
        place
    }

    #[test]
    fn replica_sets_are_patched_by_what_differs_on_the_version_that_was_seen() {
        let place = place(&[json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": "a", "resourceVersion": "5", "annotations": {"x": "1", "y": "2"}},
            "spec": {"replicas": 1, "template": {"spec": {}}}
        })]);
        let mut set = ReplicaSet::clone(&place.observed.replica_sets["a"]);
        set.replicas = 3;
        set.metadata.annotations.make_mut().remove("x");
        let mut again = set.clone();
        again.replicas = 4;
        let object = ObjectRef::new(Kind::Rollout, "ns", "r");
        let actions = [set.clone(), set, again].map(|set| Action::UpdateReplicaSet(Box::new(set)));
        let steps = steps(&place, &object, actions.to_vec());
        let writes: Vec<_> = steps
            .iter()
            .map(|step| match step {
                Step::Write(write) => (write.call.clone(), write.based_on.as_deref()),
                _ => panic!("no write"),
            })
            .collect();
        let patch = |patch| (Call::Patch(patch), Some("5"));
        assert_eq!(
            writes,
            [
                patch(json!({"metadata": {"annotations": {"x": null}}, "spec": {"replicas": 3}})),
                patch(json!({"spec": {"replicas": 4}})),
            ]
        );
    }

    #[test]
    fn what_is_gone_is_not_deleted_and_cannot_be_changed() {
        let place = place(&[]);
        let object = ObjectRef::new(Kind::Rollout, "ns", "r");
        let delete = Action::DeleteReplicaSet { name: "a".into() };
        assert_eq!(steps(&place, &object, vec![delete]), []);
        let select = Action::SelectService {
            name: "s".into(),
            hash: None,
            managed_by: None,
        };
        assert_eq!(
            steps(&place, &object, vec![select]),
            [Step::Fail("Service \"s\" not found".into())]
        );
    }

    #[test]
    fn fields_that_disappear_from_a_status_are_removed() {
        let target = ObjectRef::new(Kind::Rollout, "ns", "r");
        let old = json!({"abort": true, "canary": {"weights": {"canary": 1}}, "replicas": 1});
        let new = json!({"canary": {}, "replicas": 1});
        let write = status_write(&target, "7", &old, &new).unwrap();
        assert_eq!(
            write.call,
            Call::PatchStatus(json!({"status": {"abort": null, "canary": {"weights": null}}}))
        );
        assert_eq!(write.based_on.as_deref(), Some("7"));
        assert_eq!(status_write(&target, "7", &new, &new), None);
    }
}
