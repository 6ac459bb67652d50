//! The controller: what its stages share, and its life.

#![allow(clippy::disallowed_methods)] // A controller lives by the wall clock.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures::FutureExt as _;
use tokio::sync::watch;

use super::api::{Api, CallError};
use super::cache::{Cache, decides_on};
use super::decode::{self, Decoded, Stamp};
use super::events::{Events, Outbox};
use super::health::Readiness;
use super::leader::Fence;
use super::providers::Measurer;
use super::queue::{DEBOUNCE, Queue, Workers};
use super::reconcile::Failure;
use super::redact::SecretBook;
use super::signals::{Listener, Signals, lock};
use super::watch::Watches;
use crate::engine::objects::{Kind, Object, ObjectRef};
use crate::engine::rollout::release_services;
use crate::spec::rollout::Rollout;
use crate::time::Timestamp;

/// How long to wait until the objects that a decision needs are known.
const UNKNOWN_RETRY: Duration = Duration::from_millis(50);
/// How long what is under way may take when the controller stops: a measurement may wait for ever.
const MAX_FINISH: Duration = Duration::from_secs(10);
/// Everything is looked at again this often (the reference's default), whatever was missed.
const RESYNC: Duration = Duration::from_secs(15 * 60);

/// What the controller is asked to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The only namespace to look at; none: all.
    pub namespace: Option<String>,
    /// Only objects with this label of an instance; none: only those without.
    pub instance_id: Option<String>,
    /// Decide and report, but write nothing.
    pub dry_run: bool,
    pub workers: Workers,
    /// Calls of the API server a second, on average and at once.
    pub qps: f64,
    pub burst: u32,
    /// Of Prometheus metrics that name none; may be empty.
    pub prometheus_address: String,
    /// Whether this controller may write.
    pub fence: Fence,
    /// Told when everything is listed.
    pub ready: Readiness,
    /// Told of the secrets that are used, so that the log does not show them.
    pub secrets: SecretBook,
}

/// What the stages share.
pub struct Controller {
    pub options: Options,
    pub api: Api,
    pub cache: Mutex<Cache>,
    pub queue: Queue,
    pub watches: Watches,
    pub events: Events,
    pub signals: Signals,
    pub measurer: Measurer,
    outbox: Mutex<Option<Outbox>>,
    /// Uids of Rollouts whose existence was told.
    pub announced: Mutex<BTreeSet<String>>,
}

impl Controller {
    pub fn new(client: kube::Client, options: Options, signals: Signals) -> Arc<Self> {
        let prometheus_address = options.prometheus_address.clone();
        let (events, outbox) = Events::new();
        Arc::new(Self {
            measurer: Measurer::new(client.clone(), prometheus_address),
            api: Api::new(
                client,
                options.qps,
                options.burst,
                signals.clone(),
                options.fence.clone(),
            ),
            cache: Mutex::new(Cache::default()),
            queue: Queue::new(options.workers),
            watches: Watches::default(),
            events,
            signals,
            outbox: Mutex::new(Some(outbox)),
            announced: Mutex::new(BTreeSet::new()),
            options,
        })
    }

    /// Works until `stop` says so; writes only while `leads` does. What is under way then is
    /// brought to an end.
    pub async fn run(
        self: &Arc<Self>,
        mut leads: watch::Receiver<bool>,
        stop: impl Future<Output = ()>,
    ) {
        tokio::pin!(stop);
        let mut base = BTreeSet::from([
            Kind::Rollout,
            Kind::AnalysisTemplate,
            Kind::AnalysisRun,
            Kind::Experiment,
            Kind::ReplicaSet,
        ]);
        if self.options.namespace.is_none() {
            base.insert(Kind::ClusterAnalysisTemplate);
        }
        if let Some(outbox) = lock(&self.outbox).take() {
            let controller = self.clone();
            tokio::spawn(async move { outbox.run(&controller.api).await });
        }
        while !self.need(&base) {
            tokio::select! {
                () = tokio::time::sleep(UNKNOWN_RETRY) => {}
                () = &mut stop => return,
            }
        }
        tracing::info!("everything is listed");
        self.options.ready.set(true);
        let mut resync = tokio::time::interval(RESYNC);
        resync.tick().await;
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            if !*leads.borrow() {
                // What was decided before somebody else led is not to be carried out afterwards.
                tokio::select! {
                    changed = leads.changed() => if changed.is_err() { break },
                    () = &mut stop => break,
                }
                self.wake_all();
                continue;
            }
            tokio::select! {
                object = self.queue.next() => {
                    let controller = self.clone();
                    tasks.spawn(async move { controller.look_at(object).await });
                }
                _ = resync.tick() => self.wake_all(),
                Some(_) = tasks.join_next() => {}
                changed = leads.changed() => if changed.is_err() { break },
                () = &mut stop => break,
            }
        }
        self.options.ready.set(false);
        let finish = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(MAX_FINISH, finish).await.is_err() {
            tracing::warn!("what is still waited for is given up");
        }
    }

    /// One reconciliation with all that can go wrong.
    async fn look_at(self: Arc<Self>, object: ObjectRef) {
        let started = Instant::now();
        let mut holds_worker = true;
        let outcome = AssertUnwindSafe(self.reconcile(&object, &mut holds_worker))
            .catch_unwind()
            .await;
        let error = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(panic) => Some(Failure::Panicked(panic_text(panic.as_ref()))),
        };
        match &error {
            None => self.queue.succeeded(&object),
            // Whoever leads next looks at everything.
            Some(Failure::Call(CallError::NotLeading)) => {}
            Some(Failure::NotYet) => self.queue.add(&object, UNKNOWN_RETRY),
            Some(failure) => {
                let wait = self.queue.backoff(&object);
                tracing::warn!(object = %object, error = %failure, "tried again in {wait:?}");
                self.queue.add(&object, wait);
            }
        }
        self.signals
            .reconciled(&object, started.elapsed(), error.as_ref());
        self.queue.done(&object, holds_worker);
        self.signals.queued(self.queue.length());
    }

    /// Takes what the API server says of an object into the cache, and wakes who is concerned.
    /// Its name, if it can be read.
    pub fn observe(self: &Arc<Self>, kind: &Kind, text: &str) -> Option<ObjectRef> {
        let unreadable = |error: String| {
            tracing::warn!(kind = kind.as_str(), %error, "an object cannot be read");
        };
        let stamped = decode::stamp(text).map_err(unreadable).ok()?;
        let Stamp {
            name,
            namespace,
            uid,
            resource_version,
        } = stamped.metadata;
        let reference = ObjectRef::new(kind.clone(), namespace, name);
        // Most of what a watch tells are the controller's own writes.
        if lock(&self.cache).is_known(&reference, &uid, &resource_version) {
            return Some(reference);
        }
        let decoded = match decode::read(kind, text) {
            Ok(decoded) => decoded,
            Err(error) => {
                unreadable(error);
                return Some(reference);
            }
        };
        let now = Instant::now();
        let mut cache = lock(&self.cache);
        let concerned = match decoded {
            Decoded::Object(object) => {
                let concerned = cache.concerned(&reference, &object);
                if !cache.put(&reference, object, now) {
                    return Some(reference);
                }
                concerned
            }
            Decoded::Broken(broken) => {
                if !cache.put_broken(&reference, *broken) {
                    return Some(reference);
                }
                vec![reference.clone()]
            }
        };
        drop(cache);
        self.wake(&concerned);
        Some(reference)
    }

    /// Takes an object out of the cache; given a uid, only if that is it.
    pub fn gone(self: &Arc<Self>, reference: &ObjectRef, uid: Option<&str>) {
        let mut cache = lock(&self.cache);
        let Some(object) = cache.remove(reference, uid, Instant::now()) else {
            return;
        };
        let mut concerned = cache.concerned(reference, &object);
        drop(cache);
        concerned.retain(|other| other != reference);
        self.wake(&concerned);
        if decides_on(&reference.kind) {
            self.queue.forget(reference);
            self.events.forget(reference);
            self.signals.forgotten(reference);
        }
        if let Object::Rollout(rollout) = object {
            lock(&self.announced).remove(&rollout.metadata.uid);
            self.release_of(reference.clone(), rollout);
        }
    }

    /// Takes the routers and services of a Rollout that is gone back to where they are without it.
    fn release_of(self: &Arc<Self>, object: ObjectRef, rollout: Arc<Rollout>) {
        let routing = rollout.spec.strategy.canary.as_ref();
        let is_routed = routing.is_some_and(|canary| canary.traffic_routing.is_some());
        let has_services = lock(&self.cache)
            .place(&object.namespace)
            .is_some_and(|place| !release_services(&object.name, &place.observed).is_empty());
        if !is_routed && !has_services {
            return;
        }
        let controller = self.clone();
        tokio::spawn(async move { controller.release(&object, &rollout).await });
    }

    fn wake(&self, objects: &[ObjectRef]) {
        for object in objects {
            self.queue.add(object, DEBOUNCE);
        }
    }

    fn wake_all(&self) {
        for kind in [Kind::Rollout, Kind::AnalysisRun, Kind::Experiment] {
            let all = lock(&self.cache).of_kind(&kind);
            self.wake(&all);
        }
    }
}

/// The time on this machine's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::DecisionRecord;

    /// Panics at decisions on one object, and counts how reconciliations end.
    #[derive(Default)]
    struct Trap {
        panicked: Mutex<Vec<String>>,
        decided: Mutex<Vec<String>>,
    }

    impl Listener for Trap {
        fn decided(&self, _now: Timestamp, object: &ObjectRef, _record: &DecisionRecord<'_>) {
            assert!(&*object.name != "bad", "trapped");
            lock(&self.decided).push(object.name.to_string());
        }

        fn reconciled(&self, object: &ObjectRef, _took: Duration, error: Option<&Failure>) {
            if let Some(Failure::Panicked(text)) = error {
                lock(&self.panicked).push(format!("{}: {text}", object.name));
            }
        }
    }

    #[tokio::test]
    async fn a_panic_is_told_and_holds_up_no_other() {
        crate::live::client::use_ring();
        let nowhere = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
        let trap = Arc::new(Trap::default());
        let options = Options {
            namespace: None,
            instance_id: None,
            dry_run: true,
            workers: Workers {
                rollouts: 1,
                runs: 1,
                experiments: 1,
            },
            qps: 100.0,
            burst: 100,
            prometheus_address: String::new(),
            fence: Fence::open(),
            ready: Readiness::default(),
            secrets: SecretBook::default(),
        };
        let controller = Controller::new(
            kube::Client::try_from(nowhere).unwrap(),
            options,
            Signals::new(vec![trap.clone()]),
        );
        for name in ["bad", "good"] {
            let text = format!(
                r#"{{"metadata": {{"name": "{name}", "namespace": "ns", "uid": "{name}",
                "resourceVersion": "1"}}, "spec": {{"strategy": {{"canary": {{}}}}}}}}"#
            );
            controller.observe(&Kind::Rollout, &text).unwrap();
        }
        for _ in 0..2 {
            let object = controller.queue.next().await;
            controller.clone().look_at(object).await;
        }
        assert_eq!(*lock(&trap.panicked), ["bad: trapped"]);
        assert_eq!(*lock(&trap.decided), ["good"]);
        // Tried again, after a rest.
        let again = controller.queue.next().await;
        assert_eq!(again, ObjectRef::new(Kind::Rollout, "ns", "bad"));
    }
}
