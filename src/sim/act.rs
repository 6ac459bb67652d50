//! Carries out commands.

use std::sync::Arc;

use serde_json::Value;

use crate::engine::Pod;
use crate::engine::verbs::{self, Patch, Target, Verb, Write};

use super::apply::{merge_patch, three_way_merge};
use super::command::Command;
use super::faults::{Fault, Outage, PodSelection, owning_replica_set};
use super::metrics::MetricSource;
use super::observer::Observer;
use super::pods::{PodLife, PodModel, PodStart};
use super::queue::Task;
use super::replica_sets::under_fault;
use super::simulation::Simulation;
use super::store::{Object, kind_of, not_found};
use super::world::{Kind, ObjectRef};

impl<M: MetricSource, P: PodModel> Simulation<M, P> {
    /// Does something at the present instant.
    ///
    /// # Errors
    /// What the API server or the kubectl plugin refuses; nothing has then been done by the write
    /// that was refused.
    pub fn act(&mut self, command: Command, observer: &mut dyn Observer) -> Result<(), String> {
        match command {
            Command::Apply { namespace, object } => self.apply(&namespace, object, observer),
            Command::Delete { object } => {
                if object.kind == Kind::Rollout {
                    self.release(&object, observer)?;
                }
                let written = self
                    .store
                    .delete(&object)
                    .ok_or_else(|| not_found(&object))?;
                self.wrote(Some(written), observer);
                Ok(())
            }
            Command::Patch { object, patch } => self.patch(
                &object,
                observer,
                |tree| merge_patch(tree, &patch),
                Part::Main,
            ),
            Command::Rollout {
                namespace,
                name,
                verb,
            } => self.act_on_rollout(&namespace, &name, &verb, observer),
            Command::Scale {
                namespace,
                name,
                replicas,
            } => {
                let object = ObjectRef::new(Kind::Rollout, namespace, name);
                let patch = serde_json::json!({"spec": {"replicas": replicas}});
                self.patch(
                    &object,
                    observer,
                    |tree| merge_patch(tree, &patch),
                    Part::Main,
                )
            }
            Command::DeletePods(selection) => {
                for pod in self.selected_pods(&selection) {
                    self.delete_pod(&selection.namespace, &pod.metadata.name, observer);
                }
                Ok(())
            }
            Command::Fault(fault) => {
                self.disturb(fault);
                Ok(())
            }
        }
    }

    /// Every object of a namespace, and the namespace itself.
    pub fn delete_namespace(&mut self, namespace: &str, observer: &mut dyn Observer) {
        let Some(place) = self.store.world.namespaces.get(namespace) else {
            return;
        };
        let observed = &place.observed;
        let reference =
            |kind: Kind| move |name: &String| ObjectRef::new(kind.clone(), namespace, name);
        let mut all: Vec<ObjectRef> = place
            .rollouts
            .keys()
            .map(reference(Kind::Rollout))
            .collect();
        all.extend(observed.experiments.keys().map(reference(Kind::Experiment)));
        all.extend(
            observed
                .analysis_runs
                .keys()
                .map(reference(Kind::AnalysisRun)),
        );
        all.extend(
            observed
                .analysis_templates
                .keys()
                .map(reference(Kind::AnalysisTemplate)),
        );
        all.extend(
            observed
                .replica_sets
                .keys()
                .map(reference(Kind::ReplicaSet)),
        );
        all.extend(observed.services.keys().map(reference(Kind::Service)));
        all.extend(observed.pods.keys().map(reference(Kind::Pod)));
        all.extend(observed.secrets.keys().map(reference(Kind::Secret)));
        all.extend(
            observed
                .others
                .keys()
                .map(|key| ObjectRef::new(kind_of(key), namespace, key.name.clone())),
        );
        for object in all {
            let written = self.store.delete(&object);
            self.wrote(written, observer);
        }
        self.store.world.namespaces.remove(namespace);
    }

    fn apply(
        &mut self,
        namespace: &str,
        wanted: Value,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        let own_namespace = wanted
            .pointer("/metadata/namespace")
            .and_then(Value::as_str);
        let namespace = own_namespace
            .filter(|own| !own.is_empty())
            .unwrap_or(namespace)
            .to_owned();
        let object = Object::from_json(wanted.clone())?;
        let name = object.metadata().name.clone();
        let reference = object.reference(&namespace, &name);
        match self.store.get(&reference) {
            None => {
                let object = without_initial_status(object);
                let written = self.store.create(&namespace, object, self.now)?;
                self.applied.insert(reference, Arc::new(wanted));
                self.wrote(Some(written), observer);
            }
            Some(live) => {
                let last = self.applied.get(&reference).map(Arc::as_ref);
                let mut tree = live.to_json();
                three_way_merge(&mut tree, last, &wanted);
                let changed = Object::from_json_of(&reference.kind, tree)?;
                let changed = keep_status(changed, &live);
                let written = self.store.update(&reference, changed)?;
                self.applied.insert(reference, Arc::new(wanted));
                self.wrote(written, observer);
            }
        }
        Ok(())
    }

    fn patch(
        &mut self,
        reference: &ObjectRef,
        observer: &mut dyn Observer,
        change: impl FnOnce(&mut Value),
        part: Part,
    ) -> Result<(), String> {
        let live = self
            .store
            .get(reference)
            .ok_or_else(|| not_found(reference))?;
        let mut tree = live.to_json();
        change(&mut tree);
        let changed = Object::from_json_of(&reference.kind, tree)?;
        let changed = match part {
            Part::Main => keep_status(changed, &live),
            Part::Status => only_status(changed, &live),
        };
        let written = self.store.update(reference, changed)?;
        self.wrote(written, observer);
        Ok(())
    }

    fn act_on_rollout(
        &mut self,
        namespace: &str,
        name: &str,
        verb: &Verb,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        let object = ObjectRef::new(Kind::Rollout, namespace, name);
        let Some(Object::Rollout(rollout)) = self.store.get(&object) else {
            return Err(not_found(&object));
        };
        let observed = self
            .store
            .world
            .observed(namespace)
            .ok_or_else(|| not_found(&object))?;
        for write in verbs::writes(&rollout, verb, observed, self.now)? {
            let Write { target, patch } = write;
            let (reference, part) = match target {
                Target::Rollout => (object.clone(), Part::Main),
                Target::RolloutStatus => (object.clone(), Part::Status),
                Target::Workload(key) => (
                    ObjectRef::new(kind_of_workload(&key), namespace, &key.name),
                    Part::Main,
                ),
                Target::AnalysisRun(name) => (
                    ObjectRef::new(Kind::AnalysisRun, namespace, name),
                    Part::Main,
                ),
                Target::Experiment(name) => (
                    ObjectRef::new(Kind::Experiment, namespace, name),
                    Part::Main,
                ),
            };
            match patch {
                Patch::Merge(patch) => {
                    self.patch(&reference, observer, |tree| merge_patch(tree, &patch), part)?
                }
                Patch::Template(template) => {
                    if let Some(Object::Rollout(mut rollout)) = self.store.get(&reference) {
                        Arc::make_mut(&mut rollout).spec.template = template;
                        let changed = Object::Rollout(rollout);
                        let written = self.store.update(&reference, changed)?;
                        self.wrote(written, observer);
                        continue;
                    }
                    let replace = |tree: &mut Value| {
                        if let Some(Value::Object(spec)) = tree.get_mut("spec") {
                            spec.insert(
                                "template".into(),
                                Value::Object(template.as_object().clone()),
                            );
                        }
                    };
                    self.patch(&reference, observer, replace, part)?;
                }
            }
        }
        Ok(())
    }

    fn selected_pods(&self, selection: &PodSelection) -> Vec<Arc<Pod>> {
        let Some(observed) = self.store.world.observed(&selection.namespace) else {
            return Vec::new();
        };
        observed
            .pods
            .values()
            .filter(|pod| {
                match owning_replica_set(pod).and_then(|name| observed.replica_sets.get(name)) {
                    Some(set) => selection.covers(&selection.namespace, set),
                    None => selection.is_open(),
                }
            })
            .take(selection.limit.unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }

    fn disturb(&mut self, fault: Fault) {
        match fault {
            Fault::Pods { selection, effect } => {
                self.faults.set_pods(selection.clone(), effect);
                self.restart_unready(&selection);
            }
            Fault::CrashPods {
                selection,
                restart_after,
            } => {
                for pod in self.selected_pods(&selection) {
                    let uid = &pod.metadata.uid;
                    let Some(record) = self.pods.get_mut(uid) else {
                        continue;
                    };
                    record.life.restart_after = restart_after;
                    let task = Task::PodCrash {
                        pod: Self::pod_id(&selection.namespace, &pod.metadata.name, uid),
                        token: record.token,
                    };
                    if pod.ready_since.is_some() {
                        self.queue.schedule(self.now, task);
                    }
                }
            }
            Fault::ProviderOutage {
                metric,
                message,
                until,
            } => {
                self.faults.outages.push(Outage {
                    metric,
                    message,
                    until,
                });
            }
            Fault::ProviderRecovery => self.faults.outages.clear(),
            Fault::ControllerDown { up_after } => self.controller_stop(up_after),
            Fault::ControllerUp => self.controller_start(),
            Fault::ClockOffset(offset) => {
                self.faults.clock_offset = offset;
                // What was due by the old clock may be due by now.
                self.wake_all();
            }
            Fault::RefuseWrites { count } => self.faults.writes_to_refuse = count,
        }
    }

    /// Gives the pods of the selection that are not ready the life that a new pod would have now.
    fn restart_unready(&mut self, selection: &PodSelection) {
        for pod in self.selected_pods(selection) {
            if pod.ready_since.is_some() {
                continue;
            }
            let namespace = selection.namespace.as_str();
            let set = owning_replica_set(&pod)
                .and_then(|name| self.store.world.observed(namespace)?.replica_sets.get(name))
                .cloned();
            let Some(set) = set else {
                continue;
            };
            let mut random = self.random(&pod.metadata.uid, 0);
            let life: PodLife = self.pod_model.start(&mut PodStart {
                namespace,
                name: &pod.metadata.name,
                replica_set: &set,
                ordinal: 0,
                now: self.now,
                default_ready_after: self.settings.pod_ready_after,
                random: &mut random,
            });
            let life = match self.faults.pod_effect(namespace, &set) {
                Some(effect) => under_fault(life, effect),
                None => life,
            };
            let id = Self::pod_id(namespace, &pod.metadata.name, &pod.metadata.uid);
            self.begin_life(id, life);
        }
    }
}

/// Which part of an object a write may change.
#[derive(Debug, Clone, Copy)]
enum Part {
    Main,
    Status,
}

/// A workload kind as it is stored: ReplicaSets have a store of their own.
fn kind_of_workload(key: &crate::engine::ObjectKey) -> Kind {
    Kind::of(&format!("{}/", key.group), &key.kind)
}

/// Status is a subresource of these kinds: a write of the object leaves it alone.
fn keep_status(changed: Object, live: &Object) -> Object {
    match (changed, live) {
        (Object::Rollout(mut changed), Object::Rollout(live)) => {
            Arc::make_mut(&mut changed).status = live.status.clone();
            Object::Rollout(changed)
        }
        (Object::ReplicaSet(mut changed), Object::ReplicaSet(live)) => {
            Arc::make_mut(&mut changed).status = live.status.clone();
            Object::ReplicaSet(changed)
        }
        (Object::Pod(mut changed), Object::Pod(live)) => {
            let pod = Arc::make_mut(&mut changed);
            pod.ready_since = live.ready_since;
            pod.waiting_reason.clone_from(&live.waiting_reason);
            Object::Pod(changed)
        }
        (changed, _) => changed,
    }
}

/// A write of the status subresource changes nothing else.
fn only_status(changed: Object, live: &Object) -> Object {
    match (changed, live) {
        (Object::Rollout(changed), Object::Rollout(live)) => {
            let mut kept = live.as_ref().clone();
            kept.status = changed.status.clone();
            Object::Rollout(Arc::new(kept))
        }
        (changed, _) => changed,
    }
}

/// A new object of a kind with a status subresource has no status.
fn without_initial_status(object: Object) -> Object {
    match object {
        Object::Rollout(mut rollout) => {
            Arc::make_mut(&mut rollout).status = Default::default();
            Object::Rollout(rollout)
        }
        Object::ReplicaSet(mut set) => {
            Arc::make_mut(&mut set).status = Default::default();
            Object::ReplicaSet(set)
        }
        object => object,
    }
}
