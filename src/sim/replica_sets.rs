//! The ReplicaSet controller and the pods it makes.

use std::sync::Arc;

use crate::engine::{Pod, ReplicaSet, ReplicaSetStatus};
use crate::spec::meta::{ObjectMeta, OwnerReference};
use crate::time::{Duration, Timestamp};

use super::faults::PodFaultEffect;
use super::metrics::MetricSource;
use super::observer::Observer;
use super::pods::{PodLife, PodModel, PodStart};
use super::queue::{PodId, Task};
use super::simulation::Simulation;
use super::store::{Object, PodStatus, Status, mix, short_code};
use super::world::{Kind, ObjectRef};

/// Upper bound on the pods that one reconciliation makes or removes, as in Kubernetes.
const BURST_REPLICAS: usize = 500;

/// The batch of the pod with this index, in batches of 1, 2, 4, ...
fn batch(index: usize) -> i64 {
    i64::from((index.saturating_add(1)).ilog2())
}

/// A pod as the node sees it.
#[derive(Debug, Clone)]
pub(super) struct PodRecord {
    pub life: PodLife,
    /// Told apart from events scheduled for an earlier life.
    pub token: u32,
}

impl<M: MetricSource, P: PodModel> Simulation<M, P> {
    /// Makes or removes pods, and writes the status of what was there before: the effect of its own
    /// deeds is seen when it is woken by them.
    pub(super) fn reconcile_replica_set(
        &mut self,
        object: &ObjectRef,
        observer: &mut dyn Observer,
    ) {
        let Some(Object::ReplicaSet(set)) = self.store.get(object) else {
            return;
        };
        let pods = self.pods_of(&object.namespace, &set);
        let wanted = usize::try_from(set.replicas).unwrap_or(0);
        if pods.len() < wanted {
            for index in 0..(wanted - pods.len()).min(BURST_REPLICAS) {
                let batch_delay = self.settings.pod_batch_delay.saturating_mul(batch(index));
                self.create_pod(&object.namespace, &set, batch_delay, observer);
            }
        } else if pods.len() > wanted {
            let surplus = (pods.len() - wanted).min(BURST_REPLICAS);
            for name in pods_to_delete(pods.clone()).into_iter().take(surplus) {
                self.delete_pod(&object.namespace, &name, observer);
            }
        }
        self.write_replica_set_status(object, set, pods, observer);
    }

    fn write_replica_set_status(
        &mut self,
        object: &ObjectRef,
        set: Arc<ReplicaSet>,
        pods: Vec<Arc<Pod>>,
        observer: &mut dyn Observer,
    ) {
        let min_ready = Duration::from_secs(i64::from(set.min_ready_seconds.max(0)));
        let ready_since = pods.iter().filter_map(|pod| pod.ready_since);
        let (available, pending): (Vec<Timestamp>, Vec<Timestamp>) =
            ready_since.partition(|since| *since + min_ready <= self.now);
        let status = ReplicaSetStatus {
            replicas: count(pods.len()),
            ready_replicas: count(available.len() + pending.len()),
            available_replicas: count(available.len()),
            observed_generation: set.metadata.generation,
            conditions: set.status.conditions.clone(),
        };
        // So that the status is stored without a copy of the object.
        drop(set);
        if let Some(next) = pending.into_iter().min() {
            self.queue.reconcile(next + min_ready, object);
        }
        // The set was there an instant ago, so a missing one is no error.
        let written = self.store.update_status(object, Status::ReplicaSet(status));
        self.wrote(written.ok().flatten(), observer);
    }

    fn pods_of(&self, namespace: &str, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let Some(observed) = self.store.world.observed(namespace) else {
            return Vec::new();
        };
        let is_own = |pod: &&Arc<Pod>| {
            pod.metadata
                .controller()
                .is_some_and(|owner| owner.uid == set.metadata.uid)
        };
        observed.pods.values().filter(is_own).cloned().collect()
    }

    /// `batch_delay` is how much later than the first of its batches it is started.
    fn create_pod(
        &mut self,
        namespace: &str,
        set: &ReplicaSet,
        batch_delay: Duration,
        observer: &mut dyn Observer,
    ) {
        let uid = &set.metadata.uid;
        let created = self.pods_created.entry(uid.clone()).or_insert(0);
        let ordinal = *created;
        *created = ordinal.saturating_add(1);
        let stem = format!("{namespace}/{}", set.name());
        let name = self.free_pod_name(namespace, set.name(), &stem, ordinal);
        let pod = Pod {
            metadata: ObjectMeta {
                name: name.clone(),
                labels: set.template.labels().into(),
                annotations: set.template.annotations().into(),
                owner_references: vec![OwnerReference {
                    api_version: "apps/v1".into(),
                    kind: "ReplicaSet".into(),
                    name: set.name().to_owned(),
                    uid: uid.clone(),
                    controller: Some(true),
                    block_owner_deletion: Some(true),
                }]
                .into(),
                ..ObjectMeta::default()
            },
            ready_since: None,
            waiting_reason: String::new(),
        };
        let mut random = self.random(&stem, ordinal);
        let life = self.pod_model.start(&mut PodStart {
            namespace,
            name: &name,
            replica_set: set,
            ordinal,
            now: self.now,
            default_ready_after: self.settings.pod_ready_after,
            random: &mut random,
        });
        let mut life = match self.faults.pod_effect(namespace, set) {
            Some(effect) => under_fault(life, effect),
            None => life,
        };
        life.ready_after = life.ready_after.map(|delay| delay + batch_delay);
        let pod = Pod {
            waiting_reason: life.waiting_reason.clone(),
            ..pod
        };
        let Ok(written) = self
            .store
            .create(namespace, Object::Pod(Arc::new(pod)), self.now)
        else {
            return;
        };
        let id = Self::pod_id(namespace, &name, &written.uid);
        self.begin_life(id, life);
        self.wrote(Some(written), observer);
    }

    /// The same whatever a run's own seed is, so that runs can have in common what names its pods.
    fn free_pod_name(&self, namespace: &str, set: &str, stem: &str, ordinal: u64) -> String {
        use std::hash::Hasher as _;
        let mut hasher = fnv::FnvHasher::default();
        hasher.write(stem.as_bytes());
        let seed = self.store.seed() ^ hasher.finish();
        let taken = self.store.world.observed(namespace);
        (0u64..)
            .map(|attempt| {
                format!(
                    "{set}-{}",
                    short_code(mix(seed, ordinal) ^ mix(!seed, attempt))
                )
            })
            .find(|name| taken.is_none_or(|observed| !observed.pods.contains_key(name)))
            .unwrap_or_default()
    }

    /// Starts (or, after a fault, starts again) a pod's way to readiness.
    pub(super) fn begin_life(&mut self, pod: PodId, life: PodLife) {
        let token = self
            .pods
            .get(&pod.uid)
            .map_or(0, |record| record.token.wrapping_add(1));
        let ready_after = life.ready_after;
        self.pods.insert(pod.uid.clone(), PodRecord { life, token });
        if let Some(delay) = ready_after {
            self.queue
                .schedule(self.now + delay, Task::PodReady { pod, token });
        }
    }

    pub(super) fn pod_ready(&mut self, id: &PodId, token: u32, observer: &mut dyn Observer) {
        let Some(life) = self.life(id, token) else {
            return;
        };
        let now = self.now;
        let status = PodStatus {
            ready_since: Some(now),
            waiting_reason: String::new(),
        };
        self.change_pod(id, status, observer);
        if let Some(delay) = life.crash_after {
            self.queue.schedule(
                now + delay,
                Task::PodCrash {
                    pod: id.clone(),
                    token,
                },
            );
        }
    }

    pub(super) fn pod_crash(&mut self, id: &PodId, token: u32, observer: &mut dyn Observer) {
        let Some(life) = self.life(id, token) else {
            return;
        };
        let status = PodStatus {
            ready_since: None,
            waiting_reason: "CrashLoopBackOff".into(),
        };
        self.change_pod(id, status, observer);
        if let Some(delay) = life.restart_after {
            self.queue.schedule(
                self.now + delay,
                Task::PodReady {
                    pod: id.clone(),
                    token,
                },
            );
        }
    }

    /// How a pod lives, if it still lives the life of `token`.
    fn life(&self, id: &PodId, token: u32) -> Option<PodLife> {
        let record = self.pods.get(&id.uid)?;
        (record.token == token).then(|| record.life.clone())
    }

    /// Nothing happens to a pod that is gone, nor to another one of its name.
    fn change_pod(&mut self, id: &PodId, status: PodStatus, observer: &mut dyn Observer) {
        let observed = self.store.world.observed(&id.namespace);
        let pod = observed.and_then(|observed| observed.pods.get(&id.name));
        if pod.is_none_or(|pod| pod.metadata.uid != id.uid) {
            return;
        }
        let object = ObjectRef::new(Kind::Pod, &id.namespace, &id.name);
        let written = self.store.update_status(&object, Status::Pod(status));
        self.wrote(written.ok().flatten(), observer);
    }

    pub(super) fn delete_pod(&mut self, namespace: &str, name: &str, observer: &mut dyn Observer) {
        let written = self
            .store
            .delete(&ObjectRef::new(Kind::Pod, namespace, name));
        self.wrote(written, observer);
    }
}

/// Names of pods in the order in which a scale-down takes them: first those that are not ready, then
/// those that became ready last, then the newest (`k8s.io/kubernetes` `controller_utils.go`).
fn pods_to_delete(mut pods: Vec<Arc<Pod>>) -> Vec<String> {
    pods.sort_by(|a, b| {
        let ready_rank = |pod: &Pod| pod.ready_since.is_some();
        ready_rank(a)
            .cmp(&ready_rank(b))
            .then(b.ready_since.cmp(&a.ready_since))
            .then(
                b.metadata
                    .creation_timestamp
                    .cmp(&a.metadata.creation_timestamp),
            )
            .then(a.metadata.name.cmp(&b.metadata.name))
    });
    pods.iter().map(|pod| pod.metadata.name.clone()).collect()
}

pub(super) fn under_fault(life: PodLife, effect: &PodFaultEffect) -> PodLife {
    match effect {
        PodFaultEffect::None => life,
        PodFaultEffect::NeverReady { waiting_reason } => PodLife::never_ready(waiting_reason),
        PodFaultEffect::ReadyAfter(delay) => PodLife {
            ready_after: Some(*delay),
            ..life
        },
        PodFaultEffect::CrashAfter {
            ready_for,
            restart_after,
        } => PodLife {
            crash_after: Some(*ready_for),
            restart_after: *restart_after,
            ..life
        },
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
