//! The simulation itself: time, the store and the controllers that share them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::engine::Event;
use crate::spec::rollout::Rollout;
use crate::time::{Duration, Timestamp};

use super::event_recorder::EventRecorder;
use super::faults::Faults;
use super::metrics::MetricSource;
use super::observer::{Change, ChangeKind, Observer};
use super::pods::PodModel;
use super::queue::{PodId, Queue, Task};
use super::replica_sets::PodRecord;
use super::settings::Settings;
use super::store::{Store, Written, mix};
use super::world::{Kind, ObjectRef, World};

/// A virtual cluster with a rollout controller. What it is made of is shared, so that copies are cheap.
#[derive(Debug, Clone)]
pub struct Simulation<M = Box<dyn MetricSource>, P = Box<dyn PodModel>> {
    pub(super) settings: Settings,
    pub(super) now: Timestamp,
    pub(super) store: Store,
    pub(super) queue: Queue,
    pub(super) metrics: M,
    pub(super) pod_model: P,
    pub(super) faults: Faults,
    pub(super) events: EventRecorder,
    /// How the present pods of ReplicaSets live, by uid.
    pub(super) pods: BTreeMap<String, PodRecord>,
    /// Pods created so far, by the uid of their ReplicaSet.
    pub(super) pods_created: BTreeMap<String, u64>,
    /// Jobs whose command runs or has run, by uid.
    pub(super) jobs_started: BTreeSet<String>,
    /// What was applied last, for the next apply.
    pub(super) applied: BTreeMap<ObjectRef, Arc<serde_json::Value>>,
    /// Failed reconciliations in a row.
    pub(super) failures: BTreeMap<ObjectRef, u32>,
    /// Decisions in the present second.
    pub(super) paces: BTreeMap<ObjectRef, (i64, u32)>,
    /// Runs whose measurements have not come back yet.
    pub(super) measuring: BTreeSet<ObjectRef>,
    /// Rollouts that the controller has seen, by uid.
    pub(super) announced: BTreeSet<String>,
    /// Rollouts whose last decision would come again, and before when; until something is written
    /// that a rollout reads.
    pub(super) at_rest: BTreeMap<ObjectRef, Rest>,
    pub(super) controller_up: bool,
    /// Counts starts of the controller: what an earlier one waited for is lost.
    pub(super) controller_epoch: u32,
}

/// A decision that did nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    /// On the controller's clock.
    pub until: Timestamp,
    pub wake_at: Option<Timestamp>,
}

impl<M: MetricSource, P: PodModel> Simulation<M, P> {
    pub fn new(settings: Settings, metrics: M, pod_model: P) -> Self {
        Self {
            now: settings.start,
            store: Store::new(settings.seed),
            queue: Queue::default(),
            metrics,
            pod_model,
            faults: Faults::default(),
            events: EventRecorder::default(),
            pods: BTreeMap::new(),
            pods_created: BTreeMap::new(),
            jobs_started: BTreeSet::new(),
            applied: BTreeMap::new(),
            failures: BTreeMap::new(),
            paces: BTreeMap::new(),
            measuring: BTreeSet::new(),
            announced: BTreeSet::new(),
            at_rest: BTreeMap::new(),
            controller_up: true,
            controller_epoch: 0,
            settings,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn world(&self) -> &World {
        &self.store.world
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// When something happens next without a command; none when all is at rest.
    pub fn next_event(&self) -> Option<Timestamp> {
        self.queue.next_at().map(|at| at.max(self.now))
    }

    /// Lets everything happen that is due up to and including `end`; then it is `end`.
    pub fn run_until(&mut self, end: Timestamp, observer: &mut dyn Observer) {
        while self.step(end, observer) {}
        self.pass_time(end);
    }

    fn pass_time(&mut self, to: Timestamp) {
        if to > self.now {
            self.metrics.time_passes(self.now, &self.store.world);
            self.now = to;
        }
    }

    /// Lets the next task due at or before `end` happen. False where there is none.
    pub fn step(&mut self, end: Timestamp, observer: &mut dyn Observer) -> bool {
        let Some((at, task)) = self.queue.pop_until(end) else {
            return false;
        };
        self.pass_time(at);
        match task {
            Task::Reconcile(object) => self.reconcile(&object, observer),
            Task::PodReady { pod, token } => self.pod_ready(&pod, token, observer),
            Task::PodCrash { pod, token } => self.pod_crash(&pod, token, observer),
            Task::JobEnd {
                namespace,
                name,
                uid,
                succeeded,
            } => {
                self.job_end(&namespace, &name, &uid, succeeded, observer);
            }
            Task::Answers {
                run,
                uid,
                epoch,
                answers,
            } => {
                if epoch == self.controller_epoch {
                    self.measuring.remove(&run);
                    self.reconcile_run(&run, Some(&uid), answers, observer);
                }
            }
            Task::TrafficEffective { namespace, rollout } => {
                self.traffic_effective(&namespace, &rollout, observer);
            }
            Task::ControllerStart => self.controller_start(),
        }
        true
    }

    fn reconcile(&mut self, object: &ObjectRef, observer: &mut dyn Observer) {
        match &object.kind {
            Kind::Rollout | Kind::AnalysisRun | Kind::Experiment => {
                if !self.controller_up || self.measuring.contains(object) {
                    return;
                }
                if !self.within_pace(object) {
                    let next_second = self.now.truncate_to_seconds() + Duration::SECOND;
                    self.queue.reconcile(next_second, object);
                    return;
                }
                match &object.kind {
                    Kind::Rollout => self.reconcile_rollout(object, observer),
                    Kind::Experiment => self.reconcile_experiment(object, observer),
                    _ => self.reconcile_run(object, None, Vec::new(), observer),
                }
            }
            Kind::ReplicaSet => self.reconcile_replica_set(object, observer),
            Kind::Other { group, kind } => match (group.as_str(), kind.as_str()) {
                ("apps", "Deployment") => self.reconcile_deployment(object, observer),
                ("batch", "Job") => self.reconcile_job(object, observer),
                _ => {}
            },
            Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate
            | Kind::Pod
            | Kind::Service
            | Kind::Secret => {}
        }
    }

    fn within_pace(&mut self, object: &ObjectRef) -> bool {
        let second = self.now.as_secs();
        let decisions = match self.paces.get_mut(object) {
            Some((since, decisions)) if *since == second => {
                *decisions = decisions.saturating_add(1);
                *decisions
            }
            Some(pace) => {
                *pace = (second, 1);
                1
            }
            None => {
                self.paces.insert(object.clone(), (second, 1));
                1
            }
        };
        decisions <= self.settings.decisions_per_second
    }

    /// The time on the rollout controller's clock.
    pub(super) fn controller_now(&self) -> Timestamp {
        self.now + self.faults.clock_offset
    }

    /// Randomness that depends on the seed and `what` alone.
    pub(super) fn random(&self, what: &str, count: u64) -> ChaCha8Rng {
        use std::hash::Hasher as _;
        let mut hasher = fnv::FnvHasher::default();
        hasher.write(what.as_bytes());
        ChaCha8Rng::seed_from_u64(mix(self.settings.seed ^ hasher.finish(), count))
    }

    /// Tells the observer of a write, and the controllers that watch the object.
    pub(super) fn wrote(&mut self, written: Option<Written>, observer: &mut dyn Observer) {
        let Some(written) = written else {
            return;
        };
        if written.shows {
            self.at_rest.clear();
        }
        observer.changed(self.now, &written.change, &self.store.world);
        self.wake_watchers(&written);
        let Change { object, kind } = &written.change;
        match kind {
            ChangeKind::Created | ChangeKind::Updated => {}
            ChangeKind::Deleted => {
                self.forget(object, &written.uid);
                for owned in self.store.owned_by(&object.namespace, &written.uid) {
                    let deleted = self.store.delete(&owned);
                    self.wrote(deleted, observer);
                }
            }
        }
    }

    fn forget(&mut self, object: &ObjectRef, uid: &str) {
        self.queue.forget(object);
        self.events.forget(object);
        self.applied.remove(object);
        self.failures.remove(object);
        self.paces.remove(object);
        self.measuring.remove(object);
        self.announced.remove(uid);
        self.pods.remove(uid);
        self.pods_created.remove(uid);
        self.jobs_started.remove(uid);
    }

    fn wake_watchers(&mut self, written: &Written) {
        let Change { object, kind } = &written.change;
        let exists = match kind {
            ChangeKind::Created | ChangeKind::Updated => true,
            ChangeKind::Deleted => false,
        };
        if exists && object.kind != Kind::Pod {
            self.wake(object);
        }
        for controller in &written.controllers {
            self.wake(controller);
        }
        for watcher in self.referrers(object) {
            self.wake(&watcher);
        }
    }

    /// Lets the controller of `object` look at it soon.
    pub(super) fn wake(&mut self, object: &ObjectRef) {
        let delay = match &object.kind {
            Kind::Rollout | Kind::AnalysisRun | Kind::Experiment => self.settings.reconcile_delay,
            Kind::ReplicaSet if self.has_surplus_pods(object) => self.settings.pod_removal_delay,
            Kind::ReplicaSet | Kind::Other { .. } => self.settings.built_in_delay,
            Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate
            | Kind::Pod
            | Kind::Service
            | Kind::Secret => return,
        };
        if self.store.contains(object) {
            self.queue.reconcile(self.now + delay, object);
        }
    }

    fn has_surplus_pods(&self, object: &ObjectRef) -> bool {
        let observed = self.store.world.observed(&object.namespace);
        let set = observed.and_then(|observed| observed.replica_sets.get(&*object.name));
        set.is_some_and(|set| set.status.replicas > set.replicas)
    }

    /// The objects whose spec names `object`.
    fn referrers(&self, object: &ObjectRef) -> Vec<ObjectRef> {
        let world = &self.store.world;
        let places = world
            .namespaces
            .iter()
            .filter(|(name, _)| object.namespace.is_empty() || name.as_str() == &*object.namespace);
        let mut found = Vec::new();
        for (namespace, place) in places {
            for (name, rollout) in &place.rollouts {
                if rollout_refers_to(rollout, object) {
                    found.push(ObjectRef::new(Kind::Rollout, namespace, name));
                }
            }
            match &object.kind {
                Kind::AnalysisTemplate | Kind::ClusterAnalysisTemplate => {
                    for name in place.observed.experiments.keys() {
                        found.push(ObjectRef::new(Kind::Experiment, namespace, name));
                    }
                }
                Kind::Secret => {
                    for (name, run) in &place.observed.analysis_runs {
                        if !run.status.phase.is_completed() {
                            found.push(ObjectRef::new(Kind::AnalysisRun, namespace, name));
                        }
                    }
                }
                Kind::Rollout
                | Kind::AnalysisRun
                | Kind::Experiment
                | Kind::ReplicaSet
                | Kind::Pod
                | Kind::Service
                | Kind::Other { .. } => {}
            }
        }
        found
    }

    pub(super) fn emit(
        &mut self,
        object: &ObjectRef,
        events: &[Event],
        observer: &mut dyn Observer,
    ) {
        if !observer.wants_events() {
            return;
        }
        for event in events {
            let owner = if event.about_owner {
                match self.owning_rollout(object) {
                    Some(owner) => Some(owner),
                    None => continue,
                }
            } else {
                None
            };
            let subject = owner.as_ref().unwrap_or(object);
            let outcome = self.events.record(self.now, subject, event);
            observer.event(self.now, subject, event, outcome);
        }
    }

    /// The Rollout that an experiment belongs to, if it exists.
    fn owning_rollout(&self, object: &ObjectRef) -> Option<ObjectRef> {
        let place = self.store.world.observed(&object.namespace)?;
        let experiment = place.experiments.get(&*object.name)?;
        let mut owners = experiment.metadata.owner_references.iter();
        let owner = owners.find(|owner| owner.kind == "Rollout")?;
        let rollout = ObjectRef::new(Kind::Rollout, &object.namespace, &owner.name);
        self.store.contains(&rollout).then_some(rollout)
    }

    /// The controller starts: it lists everything there is.
    pub(super) fn controller_start(&mut self) {
        if self.controller_up {
            return;
        }
        self.controller_up = true;
        self.failures.clear();
        self.wake_all();
    }

    /// Lets the rollout controller look at everything.
    pub(super) fn wake_all(&mut self) {
        self.at_rest.clear();
        let mut all = Vec::new();
        for (namespace, place) in &self.store.world.namespaces {
            let of_kind =
                |kind: Kind| move |name: &String| ObjectRef::new(kind.clone(), namespace, name);
            all.extend(place.rollouts.keys().map(of_kind(Kind::Rollout)));
            all.extend(
                place
                    .observed
                    .experiments
                    .keys()
                    .map(of_kind(Kind::Experiment)),
            );
            all.extend(
                place
                    .observed
                    .analysis_runs
                    .keys()
                    .map(of_kind(Kind::AnalysisRun)),
            );
        }
        for object in all {
            self.wake(&object);
        }
    }

    /// The controller stops; what it waited for is lost.
    pub(super) fn controller_stop(&mut self, up_after: Option<Duration>) {
        self.controller_up = false;
        self.controller_epoch = self.controller_epoch.wrapping_add(1);
        self.measuring.clear();
        if let Some(delay) = up_after {
            self.queue.schedule(self.now + delay, Task::ControllerStart);
        }
    }

    pub(super) fn pod_id(namespace: &str, name: &str, uid: &str) -> PodId {
        PodId {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
        }
    }
}

/// Whether a Rollout has to be looked at when `object` changes.
pub(crate) fn rollout_refers_to(rollout: &Rollout, object: &ObjectRef) -> bool {
    let strategy = &rollout.spec.strategy;
    match &object.kind {
        Kind::Service => {
            let name: &str = &object.name;
            let in_blue_green = strategy.blue_green.as_ref().is_some_and(|blue_green| {
                [&blue_green.active_service, &blue_green.preview_service]
                    .iter()
                    .any(|known| *known == name)
            });
            let in_canary = strategy.canary.as_ref().is_some_and(|canary| {
                let ping_pong = canary
                    .ping_pong
                    .iter()
                    .flat_map(|pair| [&pair.ping_service, &pair.pong_service]);
                [&canary.canary_service, &canary.stable_service]
                    .into_iter()
                    .chain(ping_pong)
                    .any(|known| known == name)
            });
            in_blue_green || in_canary
        }
        Kind::AnalysisTemplate | Kind::ClusterAnalysisTemplate => {
            let in_canary = strategy.canary.as_ref().is_some_and(|canary| {
                canary.analysis.is_some()
                    || canary
                        .steps
                        .iter()
                        .any(|step| step.analysis.is_some() || step.experiment.is_some())
            });
            let in_blue_green = strategy.blue_green.as_ref().is_some_and(|blue_green| {
                blue_green.pre_promotion_analysis.is_some()
                    || blue_green.post_promotion_analysis.is_some()
            });
            in_canary || in_blue_green
        }
        Kind::Other { group, kind } => {
            let refers_to_workload =
                rollout.spec.workload_ref.as_ref().is_some_and(|workload| {
                    *workload.name == *object.name && &workload.kind == kind
                });
            // Which router objects a Rollout names is the routers' knowledge: any may concern it.
            let built_in = matches!(group.as_str(), "apps" | "batch" | "");
            let routed = strategy
                .canary
                .as_ref()
                .is_some_and(|canary| canary.traffic_routing.is_some());
            refers_to_workload || (routed && !built_in)
        }
        Kind::ReplicaSet => rollout.spec.workload_ref.as_ref().is_some_and(|workload| {
            *workload.name == *object.name && workload.kind == "ReplicaSet"
        }),
        Kind::Rollout | Kind::AnalysisRun | Kind::Experiment | Kind::Pod | Kind::Secret => false,
    }
}
