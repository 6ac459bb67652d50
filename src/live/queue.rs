//! Which object is to be looked at when: each at most once at a time, the earliest time wins.

#![allow(clippy::disallowed_methods)] // Objects become due by the wall clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::signals::lock;
use crate::engine::objects::{Kind, ObjectRef};

/// From a change to the look that it causes: what comes with it is seen at once.
pub const DEBOUNCE: Duration = Duration::from_millis(2);
/// From the end of a look at an object to the next: what it has caused is seen together.
const REST: Duration = Duration::from_millis(20);
/// The same where a look has started AnalysisRuns: the next one sees their first measurements.
const REST_AFTER_RUNS: Duration = Duration::from_millis(40);
/// So many Rollouts that are looked at within so long are a crowd.
const CROWD: usize = 25;
const CROWD_SPAN: Duration = Duration::from_secs(3);
/// How long counts of pods may wait in a crowd for what comes after them, so that both are one write.
const COUNTS_WAIT: Duration = Duration::from_secs(5);
/// Objects whose last look is remembered before those that were looked at too long ago for a crowd are
/// forgotten.
const REMEMBERED: usize = 100;
/// The reference's rate limiter: first wait after a failure, doubled up to the longest
/// (argo-rollouts `utils/queue`).
const FIRST_BACKOFF: Duration = Duration::from_millis(1);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// How many objects of a kind are looked at at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    pub rollouts: usize,
    pub runs: usize,
    pub experiments: usize,
}

impl Workers {
    fn of(&self, kind: &Kind) -> usize {
        match kind {
            Kind::AnalysisRun => self.runs,
            Kind::Experiment => self.experiments,
            Kind::Rollout
            | Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate
            | Kind::ReplicaSet
            | Kind::Pod
            | Kind::Service
            | Kind::Secret
            | Kind::Other { .. } => self.rollouts,
        }
    }
}

/// The queue.
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
    workers: Workers,
}

#[derive(Default)]
struct State {
    due: BTreeMap<(Instant, u64), ObjectRef>,
    standing: BTreeMap<ObjectRef, (Instant, u64)>,
    next_sequence: u64,
    /// Being looked at.
    running: BTreeSet<ObjectRef>,
    /// Of these, how many of a kind take a worker.
    busy: BTreeMap<Kind, usize>,
    /// Until when objects rest after the last look at them.
    rested: BTreeMap<ObjectRef, Instant>,
    /// Being looked at, and to rest longer afterwards.
    starts_runs: BTreeSet<ObjectRef>,
    /// Failures in a row.
    failures: BTreeMap<ObjectRef, u32>,
    /// Since when counts of a Rollout's pods wait to be written.
    waiting: BTreeMap<ObjectRef, Instant>,
}

impl Queue {
    pub fn new(workers: Workers) -> Self {
        Self {
            state: Mutex::new(State::default()),
            changed: Notify::new(),
            workers,
        }
    }

    /// Asks for a look at an object after `delay`; one that is due earlier already covers it.
    pub fn add(&self, object: &ObjectRef, delay: Duration) {
        let now = Instant::now();
        lock(&self.state).add(object, now, now + delay);
        self.changed.notify_one();
    }

    /// The wait that follows another failure of this object.
    pub fn backoff(&self, object: &ObjectRef) -> Duration {
        let mut state = lock(&self.state);
        let failures = state.failures.entry(object.clone()).or_insert(0);
        let factor = 1u32.checked_shl(*failures).unwrap_or(u32::MAX);
        *failures = failures.saturating_add(1).min(31);
        FIRST_BACKOFF.saturating_mul(factor).min(MAX_BACKOFF)
    }

    pub fn succeeded(&self, object: &ObjectRef) {
        lock(&self.state).failures.remove(object);
    }

    /// The look that is under way at this object starts AnalysisRuns.
    pub fn starts_runs(&self, object: &ObjectRef) {
        lock(&self.state).starts_runs.insert(object.clone());
    }

    /// Whether a status in which only counts of pods are new is not written yet: in a crowd, for a
    /// while. Then the Rollout is looked at again in time.
    pub fn postpone(&self, object: &ObjectRef) -> bool {
        let postponed = lock(&self.state).postpone(object, Instant::now());
        if postponed {
            self.changed.notify_one();
        }
        postponed
    }

    /// Nothing waits to be written any more.
    pub fn written(&self, object: &ObjectRef) {
        lock(&self.state).waiting.remove(object);
    }

    /// Drops what is known of an object that is gone.
    pub fn forget(&self, object: &ObjectRef) {
        let mut state = lock(&self.state);
        state.failures.remove(object);
        state.rested.remove(object);
        state.waiting.remove(object);
        if let Some(key) = state.standing.remove(object) {
            state.due.remove(&key);
        }
    }

    /// The next object that is due and has a worker; it is not given out again before
    /// [`Self::done`].
    pub async fn next(&self) -> ObjectRef {
        loop {
            let wait = {
                let mut state = lock(&self.state);
                match state.take(Instant::now(), &self.workers) {
                    Ok(object) => return object,
                    Err(at) => at,
                }
            };
            match wait {
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at.into()) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    /// Gives the worker of an object free, which is still not given out again.
    pub fn release_worker(&self, object: &ObjectRef) {
        lock(&self.state).release(&object.kind);
        self.changed.notify_one();
    }

    /// The object may be given out again; `holds_worker` unless that was given free before.
    pub fn done(&self, object: &ObjectRef, holds_worker: bool) {
        lock(&self.state).finish(object, holds_worker, Instant::now());
        self.changed.notify_one();
    }

    /// How many objects are due now.
    pub fn length(&self) -> usize {
        let now = Instant::now();
        lock(&self.state).due.range(..(now, u64::MAX)).count()
    }
}

impl State {
    fn add(&mut self, object: &ObjectRef, now: Instant, at: Instant) {
        let is_running = self.running.contains(object);
        let rested = self.rested.get(object).filter(|_| !is_running);
        let at = rested
            .filter(|rested| **rested > now)
            .map_or(at, |rested| at.max(*rested));
        if let Some(standing) = self.standing.get(object) {
            if standing.0 <= at {
                return;
            }
            self.due.remove(standing);
        }
        let key = (at, self.next_sequence);
        self.next_sequence = self.next_sequence.wrapping_add(1);
        self.standing.insert(object.clone(), key);
        self.due.insert(key, object.clone());
    }

    /// An object to look at now, or when to ask again without a change.
    fn take(&mut self, now: Instant, workers: &Workers) -> Result<ObjectRef, Option<Instant>> {
        let mut found = None;
        for (key, object) in &self.due {
            if key.0 > now {
                return Err(Some(key.0));
            }
            let busy = self.busy.get(&object.kind).copied().unwrap_or(0);
            if !self.running.contains(object) && busy < workers.of(&object.kind).max(1) {
                found = Some((*key, object.clone()));
                break;
            }
        }
        let (key, object) = found.ok_or(None)?;
        self.due.remove(&key);
        self.standing.remove(&object);
        self.running.insert(object.clone());
        let busy = self.busy.entry(object.kind.clone()).or_insert(0);
        *busy = busy.saturating_add(1);
        Ok(object)
    }

    fn finish(&mut self, object: &ObjectRef, holds_worker: bool, now: Instant) {
        self.running.remove(object);
        if holds_worker {
            self.release(&object.kind);
        }
        if self.rested.len() > REMEMBERED {
            self.rested.retain(|_, rested| *rested + CROWD_SPAN > now);
        }
        let rest = match self.starts_runs.remove(object) {
            true => REST_AFTER_RUNS,
            false => REST,
        };
        let rested = now + rest;
        self.rested.insert(object.clone(), rested);
        // What was asked for meanwhile is not looked at before the rest is over.
        if let Some(key) = self.standing.get(object).filter(|key| key.0 < rested) {
            self.due.remove(key);
            self.standing.remove(object);
            self.add(object, now, rested);
        }
    }

    fn is_crowd(&self, now: Instant) -> bool {
        let looked_at = self
            .rested
            .iter()
            .filter(|(object, rested)| object.kind == Kind::Rollout && **rested + CROWD_SPAN > now);
        looked_at.take(CROWD).count() == CROWD
    }

    fn postpone(&mut self, object: &ObjectRef, now: Instant) -> bool {
        let until = self.is_crowd(now).then(|| {
            let since = self.waiting.entry(object.clone()).or_insert(now);
            *since + COUNTS_WAIT
        });
        match until.filter(|until| *until > now) {
            Some(until) => {
                self.add(object, now, until);
                true
            }
            None => {
                self.waiting.remove(object);
                false
            }
        }
    }

    fn release(&mut self, kind: &Kind) {
        if let Some(busy) = self.busy.get_mut(kind) {
            *busy = busy.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKERS: Workers = Workers {
        rollouts: 1,
        runs: 1,
        experiments: 1,
    };

    fn rollout(name: &str) -> ObjectRef {
        ObjectRef::new(Kind::Rollout, "ns", name)
    }

    #[test]
    fn each_object_once_at_a_time_in_the_order_of_time() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let workers = Workers {
            rollouts: 2,
            ..WORKERS
        };
        let mut state = State::default();
        let add = |state: &mut State, name: &str, millis: u64| {
            state.add(&rollout(name), start, at(millis));
        };
        add(&mut state, "a", 5);
        add(&mut state, "b", 3);
        add(&mut state, "a", 2);
        add(&mut state, "a", 9);
        assert_eq!(state.take(at(1), &workers), Err(Some(at(2))));
        assert_eq!(state.take(at(4), &workers), Ok(rollout("a")));
        assert_eq!(state.take(at(4), &workers), Ok(rollout("b")));
        add(&mut state, "a", 4);
        assert_eq!(state.take(at(6), &workers), Err(None));
        state.finish(&rollout("a"), true, at(6));
        assert_eq!(state.take(at(6), &workers), Err(Some(at(26))));
        assert_eq!(state.take(at(26), &workers), Ok(rollout("a")));
        // After a look that started runs it rests longer.
        add(&mut state, "a", 26);
        state.starts_runs.insert(rollout("a"));
        state.finish(&rollout("a"), true, at(30));
        assert_eq!(state.take(at(69), &workers), Err(Some(at(70))));
        assert!(state.starts_runs.is_empty());
    }

    #[test]
    fn workers_of_a_kind_do_not_hold_up_another_kind() {
        let now = Instant::now();
        let run = ObjectRef::new(Kind::AnalysisRun, "ns", "a");
        let mut state = State::default();
        state.add(&rollout("a"), now, now);
        state.add(&rollout("b"), now, now);
        state.add(&run, now, now);
        assert_eq!(state.take(now, &WORKERS), Ok(rollout("a")));
        assert_eq!(state.take(now, &WORKERS), Ok(run));
        assert_eq!(state.take(now, &WORKERS), Err(None));
    }

    #[test]
    fn in_a_crowd_counts_wait_until_it_is_over() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let a = rollout("a");
        let mut state = State::default();
        let look_at_others = |state: &mut State, millis: u64| {
            for other in 0..25 {
                state.finish(&rollout(&format!("other-{other}")), false, at(millis));
            }
        };
        assert!(!state.postpone(&a, at(0)));
        look_at_others(&mut state, 0);
        assert!(state.postpone(&a, at(200)));
        look_at_others(&mut state, 2900);
        assert_eq!(state.take(at(5199), &WORKERS), Err(Some(at(5200))));
        assert!(state.postpone(&a, at(5199)));
        assert_eq!(state.take(at(5200), &WORKERS), Ok(a.clone()));
        assert!(!state.postpone(&a, at(5200)));
        assert!(state.postpone(&a, at(5201)));
        assert!(!state.postpone(&a, at(5920)));
        assert!(state.waiting.is_empty());
    }

    #[test]
    fn failures_back_off() {
        let queue = Queue::new(WORKERS);
        let waits: Vec<u128> = (0..16)
            .map(|_| queue.backoff(&rollout("a")).as_millis())
            .collect();
        assert_eq!(waits.get(..4), Some(&[1, 2, 4, 8][..]));
        assert_eq!(waits.last(), Some(&10_000));
        queue.succeeded(&rollout("a"));
        assert_eq!(queue.backoff(&rollout("a")).as_millis(), 1);
    }
}
