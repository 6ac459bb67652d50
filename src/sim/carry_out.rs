//! Carries out actions on the simulated API server.

use std::sync::Arc;

use serde_json::Value;

use crate::engine::rollout::release_services;
use crate::engine::{
    Action, MANAGED_BY_ANNOTATION, ObjectKey, POD_TEMPLATE_HASH_LABEL, RolloutPatch, Split,
};
use crate::routers;
use crate::spec::kubernetes::Service;
use crate::spec::rollout_status::WeightDestination;

use super::metrics::MetricSource;
use super::observer::{Change, ChangeKind, Observer};
use super::pods::PodModel;
use super::queue::Task;
use super::simulation::Simulation;
use super::store::{Object, Written, kind_of, not_found};
use super::traffic::Traffic;
use super::world::{Kind, ObjectRef, deployment_key};

impl<M: MetricSource, P: PodModel> Simulation<M, P> {
    /// Does one thing that was decided about `object`.
    ///
    /// # Errors
    /// What the API server refuses.
    pub(super) fn carry_out(
        &mut self,
        object: &ObjectRef,
        action: Action,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        let namespace: &str = &object.namespace;
        let reference = |kind: Kind, name: &str| object.neighbour(kind, name);
        match action {
            Action::PatchRollout(patch) => self.patch_rollout(object, patch, observer),
            Action::CreateReplicaSet(set) => {
                let mut set = *set;
                set.status = Default::default();
                self.controller_create(namespace, Object::ReplicaSet(Arc::new(set)), observer)
            }
            Action::UpdateReplicaSet(set) => {
                let target = reference(Kind::ReplicaSet, set.name());
                let Some(Object::ReplicaSet(stored)) = self.store.get(&target) else {
                    return Err(not_found(&target));
                };
                let mut set = *set;
                set.status = stored.status.clone();
                self.controller_update(&target, Object::ReplicaSet(Arc::new(set)), observer)
            }
            Action::DeleteReplicaSet { name } => {
                self.controller_delete(&reference(Kind::ReplicaSet, &name), observer)
            }
            Action::CreateService(service) => {
                self.controller_create(namespace, Object::Service(Arc::new(*service)), observer)
            }
            Action::DeleteService { name } => {
                self.controller_delete(&reference(Kind::Service, &name), observer)
            }
            Action::SelectService {
                name,
                hash,
                managed_by,
            } => {
                let target = reference(Kind::Service, &name);
                let Some(Object::Service(mut service)) = self.store.get(&target) else {
                    return Err(not_found(&target));
                };
                select(Arc::make_mut(&mut service), hash, managed_by);
                self.controller_update(&target, Object::Service(service), observer)
            }
            Action::SetTraffic { split, changes } => {
                self.set_traffic(object, *split, changes, observer)
            }
            Action::ChangeRouters { changes } => {
                let place = self.store.world.namespaces.get(namespace);
                let present = place.and_then(|place| place.traffic.get(&*object.name));
                match present.map(|traffic| traffic.wanted.clone()) {
                    Some(wanted) => self.set_traffic(object, wanted, changes, observer),
                    None => self.change_router_objects(namespace, changes, observer),
                }
            }
            Action::CreateAnalysisRun(run) => {
                self.controller_create(namespace, Object::AnalysisRun(Arc::new(*run)), observer)
            }
            Action::TerminateAnalysisRun { name } => {
                let target = reference(Kind::AnalysisRun, &name);
                let Some(Object::AnalysisRun(mut run)) = self.store.get(&target) else {
                    return Err(not_found(&target));
                };
                Arc::make_mut(&mut run).spec.terminate = true;
                self.controller_update(&target, Object::AnalysisRun(run), observer)
            }
            Action::DeleteAnalysisRun { name } => {
                self.controller_delete(&reference(Kind::AnalysisRun, &name), observer)
            }
            Action::CreateExperiment(experiment) => self.controller_create(
                namespace,
                Object::Experiment(Arc::new(*experiment)),
                observer,
            ),
            Action::TerminateExperiment { name } => {
                let target = reference(Kind::Experiment, &name);
                let Some(Object::Experiment(mut experiment)) = self.store.get(&target) else {
                    return Err(not_found(&target));
                };
                Arc::make_mut(&mut experiment).spec.terminate = true;
                self.controller_update(&target, Object::Experiment(experiment), observer)
            }
            Action::DeleteExperiment { name } => {
                self.controller_delete(&reference(Kind::Experiment, &name), observer)
            }
            Action::ScaleDeployment { name, replicas } => {
                let key = deployment_key(&name);
                let target = reference(kind_of(&key), &name);
                let Some(Object::Other { key, mut value }) = self.store.get(&target) else {
                    return Err(not_found(&target));
                };
                if let Some(Value::Object(spec)) = Arc::make_mut(&mut value).get_mut("spec") {
                    spec.insert("replicas".into(), replicas.into());
                }
                self.controller_update(&target, Object::Other { key, value }, observer)
            }
            Action::EvictPod { name } => {
                self.controller_delete(&reference(Kind::Pod, &name), observer)
            }
            Action::UpdatePodMetadata {
                name,
                labels,
                annotations,
            } => {
                let target = reference(Kind::Pod, &name);
                let Some(Object::Pod(mut pod)) = self.store.get(&target) else {
                    return Err(not_found(&target));
                };
                let metadata = &mut Arc::make_mut(&mut pod).metadata;
                metadata.labels = labels.into();
                metadata.annotations = annotations.into();
                self.controller_update(&target, Object::Pod(pod), observer)
            }
            // Answered already; measurements are taken before the rest is carried out.
            Action::Measure { .. } => Ok(()),
            Action::StopMeasurement {
                metric: _,
                measurement,
            } => self.stop_measurement(namespace, &measurement, observer),
        }
    }

    fn patch_rollout(
        &mut self,
        object: &ObjectRef,
        patch: RolloutPatch,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        let RolloutPatch {
            annotations,
            replicas,
        } = patch;
        let Some(Object::Rollout(mut rollout)) = self.store.get(object) else {
            return Err(not_found(object));
        };
        let changed = Arc::make_mut(&mut rollout);
        let present = changed.metadata.annotations.make_mut();
        for (key, value) in annotations {
            match value {
                Some(value) => present.insert(key, value),
                None => present.remove(&key),
            };
        }
        if let Some(replicas) = replicas {
            changed.spec.replicas = Some(replicas);
        }
        self.controller_update(object, Object::Rollout(rollout), observer)
    }

    fn set_traffic(
        &mut self,
        object: &ObjectRef,
        wanted: Split,
        changes: Vec<routers::Change>,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        self.change_router_objects(&object.namespace, changes, observer)?;
        let wanted = self.as_written(object, wanted);
        let (now, lag) = (self.now, self.settings.router_lag);
        let place = self.store.world.namespaces.get(&*object.namespace);
        let present = place.and_then(|place| place.traffic.get(&*object.name));
        if present.is_some_and(|traffic| traffic.wanted == wanted) {
            return Ok(());
        }
        let effective = present.and_then(|traffic| traffic.effective.clone());
        self.may_write()?;
        let changed = Traffic {
            effective: if lag.is_zero() {
                Some(wanted.clone())
            } else {
                effective
            },
            wanted,
            since: now,
        };
        let traffic = &mut self.store.namespace_mut(&object.namespace).traffic;
        traffic.insert(object.name.to_string(), changed);
        if !lag.is_zero() {
            let task = Task::TrafficEffective {
                namespace: object.namespace.to_string(),
                rollout: object.name.to_string(),
            };
            self.queue.schedule(now + lag, task);
        }
        self.traffic_changed(object, observer);
        Ok(())
    }

    /// What the routers' objects say, with the pods that only the decision knows.
    fn as_written(&self, rollout: &ObjectRef, decided: Split) -> Split {
        let written = (self.store.world.namespaces.get(&*rollout.namespace))
            .and_then(|place| Some((place.rollouts.get(&*rollout.name)?, &place.observed.others)))
            .and_then(|(rollout, objects)| routers::read(rollout, objects));
        let Some(mut written) = written else {
            return decided;
        };
        let known = [&decided.canary, &decided.stable]
            .into_iter()
            .chain(&decided.additional);
        let known: Vec<&WeightDestination> = known.collect();
        let parts = [&mut written.canary, &mut written.stable].into_iter();
        for part in parts.chain(&mut written.additional) {
            let same = known.iter().find(|it| it.service_name == part.service_name);
            if let (true, Some(same)) = (part.pod_template_hash.is_empty(), same) {
                part.pod_template_hash.clone_from(&same.pod_template_hash);
            }
        }
        written
    }

    /// What the controller does to the objects of routers and to services when it sees a Rollout go.
    pub(super) fn release(
        &mut self,
        object: &ObjectRef,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        let place = self.store.world.namespaces.get(&*object.namespace);
        let Some((rollout, place)) =
            place.and_then(|place| Some((place.rollouts.get(&*object.name)?, place)))
        else {
            return Ok(());
        };
        let (_, writing, _) = routers::release(rollout, &place.observed.others);
        let services = release_services(&object.name, &place.observed);
        self.change_router_objects(&object.namespace, writing.changes, observer)?;
        services
            .into_iter()
            .try_for_each(|action| self.carry_out(object, action, observer))
    }

    fn change_router_objects(
        &mut self,
        namespace: &str,
        changes: Vec<routers::Change>,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        changes
            .into_iter()
            .try_for_each(|change| self.change_router_object(namespace, change, observer))
    }

    fn change_router_object(
        &mut self,
        namespace: &str,
        change: routers::Change,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        let target = |key: &ObjectKey| ObjectRef::new(kind_of(key), namespace, &key.name);
        match change {
            routers::Change::Create { key, object } => {
                let object = Object::Other {
                    key,
                    value: Arc::new(object),
                };
                self.controller_create(namespace, object, observer)
            }
            routers::Change::Update { key, object } => {
                let target = target(&key);
                let object = Object::Other {
                    key,
                    value: Arc::new(object),
                };
                self.controller_update(&target, object, observer)
            }
            routers::Change::Delete { key } => self.controller_delete(&target(&key), observer),
        }
    }

    pub(super) fn traffic_effective(
        &mut self,
        namespace: &str,
        rollout: &str,
        observer: &mut dyn Observer,
    ) {
        let (now, lag) = (self.now, self.settings.router_lag);
        let traffic = &mut self.store.namespace_mut(namespace).traffic;
        let Some(traffic) = traffic.get_mut(rollout) else {
            return;
        };
        // A newer configuration has a task of its own.
        if traffic.since + lag > now || traffic.effective.as_ref() == Some(&traffic.wanted) {
            return;
        }
        traffic.effective = Some(traffic.wanted.clone());
        let object = ObjectRef::new(Kind::Rollout, namespace, rollout);
        self.traffic_changed(&object, observer);
    }

    /// Shows a change of routing as one of a made-up object of the Rollout's name.
    fn traffic_changed(&mut self, rollout: &ObjectRef, observer: &mut dyn Observer) {
        let kind = Kind::Other {
            group: "rollproof".into(),
            kind: "RouteTable".into(),
        };
        let change = Change {
            object: ObjectRef {
                kind,
                ..rollout.clone()
            },
            kind: ChangeKind::Updated,
        };
        observer.changed(self.now, &change, &self.store.world);
    }

    /// Refuses the rollout controller's write where a fault asks for it.
    pub(super) fn may_write(&mut self) -> Result<(), String> {
        if self.faults.refuse_write() {
            return Err("the API server refused the write".into());
        }
        Ok(())
    }

    pub(super) fn controller_create(
        &mut self,
        namespace: &str,
        object: Object,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        self.may_write()?;
        let written = self.store.create(namespace, object, self.now)?;
        self.wrote(Some(written), observer);
        Ok(())
    }

    pub(super) fn controller_update(
        &mut self,
        reference: &ObjectRef,
        object: Object,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        self.may_write()?;
        let written = self.store.update(reference, object)?;
        self.wrote(written, observer);
        Ok(())
    }

    /// Deleting what is gone is done.
    fn controller_delete(
        &mut self,
        reference: &ObjectRef,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        self.may_write()?;
        let written: Option<Written> = self.store.delete(reference);
        self.wrote(written, observer);
        Ok(())
    }
}

pub(crate) fn select(service: &mut Service, hash: Option<String>, managed_by: Option<String>) {
    let selector = &mut service.spec.selector;
    match hash {
        Some(hash) => selector.insert(POD_TEMPLATE_HASH_LABEL.into(), hash),
        None => {
            let annotations = service.metadata.annotations.make_mut();
            annotations.remove(MANAGED_BY_ANNOTATION);
            selector.remove(POD_TEMPLATE_HASH_LABEL)
        }
    };
    if let Some(name) = managed_by {
        let annotations = service.metadata.annotations.make_mut();
        annotations.insert(MANAGED_BY_ANNOTATION.into(), name);
    }
}
