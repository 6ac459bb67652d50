//! The loops that drive the engine: decide, carry out, store the status, come back in time.

use crate::engine::analysis::{self, MeasurementAnswer};
use crate::engine::{Action, Decision, Event, experiment, rollout};
use crate::time::{Duration, Timestamp};

use super::metrics::MetricSource;
use super::observer::{DecisionRecord, Observer};
use super::pods::PodModel;
use super::queue::Task;
use super::simulation::Simulation;
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
        let Some(Object::Rollout(rollout)) = self.store.get(object) else {
            return;
        };
        if !self.announced.contains(&rollout.metadata.uid) {
            self.announced.insert(rollout.metadata.uid.clone());
            let message = format!(
                "Rollout resource added to informer: {}/{}",
                object.namespace, object.name
            );
            self.emit(
                object,
                &[Event::normal("RolloutAddedToInformer", message)],
                observer,
            );
        }
        let now = self.controller_now();
        let Some(observed) = self.store.world.observed(&object.namespace) else {
            return;
        };
        let mut decision = rollout::decide(&rollout, observed, now);
        let record = DecisionRecord::Rollout {
            rollout: &rollout,
            observed,
            decision: &decision,
        };
        observer.decided(self.now, object, &record);
        // So that the status is stored without a copy of the object.
        drop(rollout);
        let status = decision.status.take();
        self.settle(object, decision, observer, |simulation, observer| {
            let Some(mut status) = status else {
                return Ok(());
            };
            status.truncate_times();
            simulation.store_status(object, Status::Rollout(Box::new(status)), observer)
        });
    }

    pub(super) fn reconcile_experiment(&mut self, object: &ObjectRef, observer: &mut dyn Observer) {
        let Some(Object::Experiment(experiment)) = self.store.get(object) else {
            return;
        };
        let now = self.controller_now();
        let Some(observed) = self.store.world.observed(&object.namespace) else {
            return;
        };
        let mut decision = experiment::decide(&experiment, observed, now);
        let record = DecisionRecord::Experiment {
            experiment: &experiment,
            observed,
            decision: &decision,
        };
        observer.decided(self.now, object, &record);
        // So that the status is stored without a copy of the object.
        drop(experiment);
        let status = decision.status.take();
        self.settle(object, decision, observer, |simulation, observer| {
            let Some(mut status) = status else {
                return Ok(());
            };
            status.truncate_times();
            simulation.store_status(object, Status::Experiment(Box::new(status)), observer)
        });
    }

    /// Reconciles a run; `answers` are those it waited for (by the run with this uid).
    pub(super) fn reconcile_run(
        &mut self,
        object: &ObjectRef,
        uid: Option<&str>,
        mut answers: Vec<MeasurementAnswer>,
        observer: &mut dyn Observer,
    ) {
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
            let mut decision = analysis::decide(&run, observed, &answers, now);
            let record = DecisionRecord::AnalysisRun {
                run: &run,
                observed,
                answers: &answers,
                decision: &decision,
            };
            observer.decided(self.now, object, &record);
            let (asked, others): (Vec<Action>, Vec<Action>) = decision
                .actions
                .into_iter()
                .partition(|action| asks_anew(action, &answers));
            decision.actions = others;
            if asked.is_empty() || decision.status.is_some() {
                drop(run);
                let status = decision.status.take();
                self.settle(object, decision, observer, |simulation, observer| {
                    let Some(mut status) = status else {
                        return Ok(());
                    };
                    status.truncate_times();
                    simulation.store_status(object, Status::AnalysisRun(Box::new(status)), observer)
                });
                return;
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
                    metric: metric.name.clone(),
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
    fn settle<S>(
        &mut self,
        object: &ObjectRef,
        decision: Decision<S>,
        observer: &mut dyn Observer,
        store_status: impl FnOnce(&mut Self, &mut dyn Observer) -> Result<(), String>,
    ) {
        let Decision {
            status: _,
            actions,
            wake_at,
            events,
            reasons: _,
            failure,
        } = decision;
        let mut outcome = Ok(());
        for action in actions {
            outcome = self.carry_out(object, action, observer);
            if outcome.is_err() {
                break;
            }
        }
        self.emit(object, &events, observer);
        if outcome.is_ok() {
            outcome = store_status(self, observer);
        }
        if let Some(at) = wake_at {
            self.queue.reconcile(self.at_controller_time(at), object);
        }
        match outcome.err().or(failure) {
            Some(reason) => self.fail(object, &reason, observer),
            None => {
                self.failures.remove(object);
            }
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
