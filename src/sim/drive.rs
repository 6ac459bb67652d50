//! The loops that drive the engine: decide, carry out, store the status, come back in time.

use crate::engine::analysis::{self, MeasurementAnswer};
use crate::engine::{Action, Decision, Event, experiment, rollout};
use crate::time::{Duration, Timestamp};

use super::metrics::MetricSource;
use super::observer::{DecisionRecord, Observer};
use super::pods::PodModel;
use super::queue::Task;
use super::simulation::{Rest, Simulation};
use super::store::{Object, Status};
use super::time_fields::TruncateTimes;
use super::world::ObjectRef;

/// The reference's rate limiter: first wait after a failure, doubled up to the longest
/// (argo-rollouts `utils/queue`).
const FIRST_BACKOFF: Duration = Duration::from_millis(1);
const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// Rounds of measurements in one reconciliation of a run; more means that the run never settles.
pub(crate) const MAX_ROUNDS: usize = 8;

impl<M: MetricSource, P: PodModel> Simulation<M, P> {
    pub(super) fn reconcile_rollout(&mut self, object: &ObjectRef, observer: &mut dyn Observer) {
        let now = self.controller_now();
        if let Some(rest) = self.at_rest.get(object).copied()
            && now < rest.until
            && !observer.wants_decisions()
        {
            debug_assert!(self.decides_again(object, rest), "{object} is not at rest");
            return self.come_back(object, rest.wake_at);
        }
        let Some(Object::Rollout(rollout)) = self.store.get(object) else {
            return;
        };
        if !self.announced.contains(&rollout.metadata.uid) {
            self.announced.insert(rollout.metadata.uid.clone());
            let message = format!(
                "Rollout resource added to informer: {}/{}",
                object.namespace, object.name
            );
            let event = Event::normal("RolloutAddedToInformer", message);
            self.emit(object, &[event], observer);
        }
        let Some(observed) = self.store.world.observed(&object.namespace) else {
            return;
        };
        let decision = rollout::decide(&rollout, observed, now);
        if observer.wants_decisions() {
            let record = DecisionRecord::Rollout {
                rollout: &rollout,
                observed,
                decision: &decision,
            };
            observer.decided(self.now, object, &record);
        }
        if let Some(until) = rollout::rests_until(&rollout, &decision) {
            let wake_at = decision.wake_at;
            self.at_rest.insert(object.clone(), Rest { until, wake_at });
        }
        // So that the status is stored without a copy of the object.
        drop(rollout);
        self.settle(object, decision, Status::Rollout, observer);
    }

    /// Whether a decision without effect comes again, as is assumed where nobody looks.
    fn decides_again(&self, object: &ObjectRef, rest: Rest) -> bool {
        let place = self.store.world.namespaces.get(&*object.namespace);
        let rollout = place.and_then(|place| place.rollouts.get(&*object.name));
        place.zip(rollout).is_some_and(|(place, rollout)| {
            let decision = rollout::decide(rollout, &place.observed, self.controller_now());
            rollout::rests_until(rollout, &decision) == Some(rest.until)
                && decision.wake_at == rest.wake_at
        })
    }

    pub(super) fn reconcile_experiment(&mut self, object: &ObjectRef, observer: &mut dyn Observer) {
        let Some(Object::Experiment(experiment)) = self.store.get(object) else {
            return;
        };
        let now = self.controller_now();
        let Some(observed) = self.store.world.observed(&object.namespace) else {
            return;
        };
        let decision = experiment::decide(&experiment, observed, now);
        if observer.wants_decisions() {
            let record = DecisionRecord::Experiment {
                experiment: &experiment,
                observed,
                decision: &decision,
            };
            observer.decided(self.now, object, &record);
        }
        drop(experiment);
        self.settle(object, decision, Status::Experiment, observer);
    }

    /// Reconciles a run; `answers` are those it waited for (by the run with this uid).
    pub(super) fn reconcile_run(
        &mut self,
        object: &ObjectRef,
        uid: Option<&str>,
        mut answers: Vec<MeasurementAnswer>,
        observer: &mut dyn Observer,
    ) {
        let decide = if observer.wants_decisions() {
            analysis::decide
        } else {
            analysis::decide_tacitly
        };
        for _ in 0..MAX_ROUNDS {
            let Some(Object::AnalysisRun(run)) = self.store.get(object) else {
                return;
            };
            if uid.is_some_and(|uid| uid != run.metadata.uid) {
                return;
            }
            let now = self.controller_now();
            let Some(observed) = self.store.world.observed(&object.namespace) else {
                return;
            };
            let mut decision = decide(&run, observed, &answers, now);
            if observer.wants_decisions() {
                let record = DecisionRecord::AnalysisRun {
                    run: &run,
                    observed,
                    answers: &answers,
                    decision: &decision,
                };
                observer.decided(self.now, object, &record);
            }
            let (asked, others): (Vec<Action>, Vec<Action>) = decision
                .actions
                .into_iter()
                .partition(|action| asks_anew(action, &answers));
            decision.actions = others;
            if asked.is_empty() || decision.status.is_some() {
                drop(run);
                return self.settle(object, decision, Status::AnalysisRun, observer);
            }
            let mut longest = Duration::ZERO;
            for action in asked {
                let Action::Measure { metric, resume } = action else {
                    continue;
                };
                let (result, took) =
                    self.measure(object, &run, &metric, resume.as_deref(), observer);
                longest = longest.max(took);
                answers.push(MeasurementAnswer {
                    metric: metric.name,
                    result,
                });
            }
            if longest > Duration::ZERO {
                self.measuring.insert(object.clone());
                let task = Task::Answers {
                    run: object.clone(),
                    uid: run.metadata.uid.clone(),
                    epoch: self.controller_epoch,
                    answers,
                };
                self.queue.schedule(self.now + longest, task);
                return;
            }
        }
        self.fail(
            object,
            "the run asks for measurements without end",
            observer,
        );
    }

    /// Carries a decision out, stores the status, and asks for the next reconciliation.
    fn settle<S: TruncateTimes>(
        &mut self,
        object: &ObjectRef,
        decision: Decision<S>,
        of_kind: fn(Box<S>) -> Status,
        observer: &mut dyn Observer,
    ) {
        let Decision {
            status,
            actions,
            wake_at,
            events,
            reasons: _,
            failure,
        } = decision;
        let mut outcome =
            (actions.into_iter()).try_for_each(|action| self.carry_out(object, action, observer));
        self.emit(object, &events, observer);
        if let (Ok(()), Some(mut status)) = (&outcome, status) {
            status.truncate_times();
            outcome = self.store_status(object, of_kind(Box::new(status)), observer);
        }
        self.come_back(object, wake_at);
        match outcome.err().or(failure) {
            Some(reason) => self.fail(object, &reason, observer),
            None => {
                self.failures.remove(object);
            }
        }
    }

    fn come_back(&mut self, object: &ObjectRef, wake_at: Option<Timestamp>) {
        if let Some(at) = wake_at {
            self.queue.reconcile(self.at_controller_time(at), object);
        }
    }

    /// Stores a status of the rollout controller; that of an object that is gone is forgotten.
    fn store_status(
        &mut self,
        object: &ObjectRef,
        status: Status,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        if !self.store.contains(object) {
            return Ok(());
        }
        self.may_write()?;
        let written = self.store.update_status(object, status)?;
        self.wrote(written, observer);
        Ok(())
    }

    /// The simulation's time of an instant on the controller's clock; where that is past, as soon as
    /// after any change.
    fn at_controller_time(&self, at: Timestamp) -> Timestamp {
        let at = at - self.faults.clock_offset;
        if at > self.now {
            at
        } else {
            self.now + self.settings.reconcile_delay.max(Duration::from_millis(1))
        }
    }

    fn fail(&mut self, object: &ObjectRef, reason: &str, observer: &mut dyn Observer) {
        observer.failed(self.now, object, reason);
        if !self.store.contains(object) {
            return;
        }
        let failures = self.failures.entry(object.clone()).or_insert(0);
        let factor = 1i64.checked_shl((*failures).min(32)).unwrap_or(i64::MAX);
        *failures = failures.saturating_add(1);
        let delay = FIRST_BACKOFF.saturating_mul(factor).min(MAX_BACKOFF);
        self.queue.reconcile(self.now + delay, object);
    }
}

/// Whether this action takes a measurement that has not been answered.
pub(crate) fn asks_anew(action: &Action, answers: &[MeasurementAnswer]) -> bool {
    match action {
        Action::Measure { metric, resume: _ } => {
            !answers.iter().any(|answer| answer.metric == metric.name)
        }
        _ => false,
    }
}
