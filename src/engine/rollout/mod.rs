//! The Rollout engine: one call is one reconciliation of argo-rollouts' rollout controller.
//!
//! | file | job |
//! |---|---|
//! | `context` | the working copy of a pass: which ReplicaSet is new, stable, other |
//! | `references` | workloadRef, validation of the spec and of what it refers to |
//! | `revision` | the new ReplicaSet, revision numbers |
//! | `canary`, `blue_green` | the strategies: what a pass does, in order |
//! | `steps`, `replicas`, `scale` | steps; sizes; scaling and scale-down delays |
//! | `pause` | pauses and aborts |
//! | `services`, `traffic` | selectors; weights and managed routes |
//! | `analysis_runs`, `experiments`, `experiment_step` | what a rollout starts and judges by |
//! | `restart`, `metadata`, `anti_affinity` | pods: restartAt, injected metadata and affinity |
//! | `status`, `conditions`, `phase`, `duration`, `messages` | the next status |

mod analysis_runs;
pub mod anti_affinity;
mod blue_green;
mod canary;
pub mod conditions;
mod context;
mod duration;
pub mod experiment_step;
mod experiments;
pub mod messages;
pub mod metadata;
mod pause;
pub mod phase;
mod references;
pub mod replicas;
mod restart;
mod revision;
mod scale;
mod services;
mod status;
pub mod steps;
mod traffic;

use std::borrow::Cow;

use crate::engine::{Action, Decision, Observed, RolloutPatch};
use crate::spec::meta::ConditionStatus;
use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::{RolloutConditionType, RolloutStatus};
use crate::time::{Duration, Timestamp};

pub use analysis_runs::shows_the_same;
use context::Context;
pub use services::release_services;

/// Decides what to do for a rollout, given what is observed in its namespace.
///
/// `now` is the wall clock, to be given in full resolution; what is stored has whole seconds.
/// Errors of the spec become an `InvalidSpec` condition; a failed look-up becomes
/// [`Decision::failure`].
pub fn decide(rollout: &Rollout, observed: &Observed, now: Timestamp) -> Decision<RolloutStatus> {
    if rollout.metadata.deletion_timestamp.is_some() {
        let mut context = Context::new(Cow::Borrowed(rollout), observed, now);
        context.release_routers();
        return context.decision;
    }
    let (resolved, unresolved) = references::resolve_workload(rollout, observed);
    let mut context = Context::new(resolved, observed, now);
    context
        .next
        .canary
        .weights
        .clone_from(&rollout.status.canary.weights);
    context.sync_workload_generation(rollout);
    let invalid = unresolved.or_else(|| context.validation_error());
    if let Some(error) = invalid {
        context.store_invalid(&error);
        return context.decision;
    }
    context.reconcile();
    context.decision
}

/// Before when this decision would come again, as long as nothing is observed but other measurements, see
/// [`shows_the_same`]. None where that is not known: it did something, or asked to be called after a while
/// and not at a certain time.
pub fn rests_until(rollout: &Rollout, decision: &Decision<RolloutStatus>) -> Option<Timestamp> {
    let Decision {
        status,
        actions,
        wake_at,
        events,
        reasons: _,
        failure,
    } = decision;
    let did_nothing =
        status.is_none() && actions.is_empty() && events.is_empty() && failure.is_none();
    let restarts = rollout.spec.restart_at != rollout.status.restarted_at;
    let weights = rollout.status.canary.weights.as_ref();
    let verifies = weights.is_some_and(|weights| weights.verified == Some(false));
    (did_nothing && !restarts && !verifies)
        .then(|| wake_at.map_or(Timestamp::MAX, |at| at - status::WOKEN_LATE))
}

impl Context<'_> {
    fn reconcile(&mut self) {
        self.release_removed_routers();
        self.release_removed_services();
        if self.new.is_none() {
            self.create_new_set();
            return;
        }
        if self.is_fully_promoted() && self.is_aborted() {
            self.pause.remove_abort();
        }
        if self.rollout.spec.replicas.is_none() {
            self.act(Action::PatchRollout(RolloutPatch {
                replicas: Some(self.replicas()),
                ..RolloutPatch::default()
            }));
            self.reason("spec.replicas is absent and set to its default");
            return;
        }
        if self.store_changed_pause() {
            return;
        }
        self.sync_revision();
        if self.is_scaling_event() {
            self.sync_replicas_only();
        } else if self.rollout.spec.strategy.blue_green.is_some() {
            self.reconcile_blue_green();
        } else {
            self.reconcile_canary();
        }
    }

    /// A changed `spec.replicas` is applied before anything else.
    fn sync_replicas_only(&mut self) {
        self.reason("spec.replicas has changed: only sizes are adjusted");
        let mut status = self.rollout.status.clone();
        if self.rollout.spec.strategy.blue_green.is_some() {
            self.reconcile_blue_green_sets();
            let active = self.replica_sets.iter().find(|set| {
                !set.hash().is_empty() && set.hash() == status.blue_green.active_selector
            });
            (status.hpa_replicas, status.available_replicas) = match active {
                Some(active) => (active.status.replicas, active.status.available_replicas),
                None => (
                    self.total(|set| set.status.replicas),
                    self.total(|set| set.status.available_replicas),
                ),
            };
        } else {
            self.reconcile_canary_sets(true);
            status.available_replicas = self.total(|set| set.status.available_replicas);
            status.hpa_replicas = self.total(|set| set.status.replicas);
        }
        self.store(status);
    }

    /// Shows in the conditions that the rollout was paused, resumed or retried, before anything is
    /// done about it; true if there was something to show.
    fn store_changed_pause(&mut self) -> bool {
        use ConditionStatus::{False, True, Unknown};
        use RolloutConditionType::{Paused, Progressing};

        let stored = &self.rollout.status;
        if !self.rollout.is_observed() {
            return false;
        }
        let progressing = conditions::condition(stored, Progressing);
        let reason_is =
            |reason: &str| progressing.is_some_and(|condition| condition.reason == reason);
        let shown_as_paused = reason_is(messages::ROLLOUT_PAUSED_REASON);
        let shown_as_aborted = reason_is(messages::ROLLOUT_ABORTED_REASON);
        let paused = !stored.pause_conditions.is_empty() || self.rollout.spec.paused;
        let mut changes = Vec::new();
        if paused != shown_as_paused && !shown_as_aborted && !conditions::rollout_completed(stored)
        {
            changes.push(if paused {
                (
                    Progressing,
                    Unknown,
                    messages::ROLLOUT_PAUSED_REASON,
                    messages::ROLLOUT_PAUSED_MESSAGE,
                )
            } else {
                (
                    Progressing,
                    Unknown,
                    messages::ROLLOUT_RESUMED_REASON,
                    messages::ROLLOUT_RESUMED_MESSAGE,
                )
            });
        }
        if !stored.abort && shown_as_aborted {
            changes.push((
                Progressing,
                Unknown,
                messages::ROLLOUT_RETRY_REASON,
                messages::ROLLOUT_RETRY_MESSAGE,
            ));
        }
        let paused_condition =
            conditions::condition(stored, Paused).is_some_and(|condition| condition.status == True);
        if paused != paused_condition && !shown_as_aborted {
            changes.push((
                Paused,
                if paused { True } else { False },
                messages::ROLLOUT_PAUSED_REASON,
                messages::ROLLOUT_PAUSED_MESSAGE,
            ));
        }
        if changes.is_empty() {
            return false;
        }
        let mut status = stored.clone();
        for (type_, condition, reason, message) in changes {
            let condition = conditions::new_condition(type_, condition, reason, message, self.now);
            conditions::set_condition(&mut status, condition);
        }
        self.store_conditions(status);
        true
    }

    /// Stores conditions with the phase that follows from them, and nothing else.
    fn store_conditions(&mut self, mut status: RolloutStatus) {
        status.observed_generation = self.rollout.metadata.generation.to_string();
        (status.phase, status.message) = phase::rollout_phase(&self.rollout.spec, &status);
        status.duration = self.duration(&status);
        if status != self.rollout.status {
            self.decision.status = Some(status);
        }
    }

    fn store_invalid(&mut self, error: &str) {
        let message = format!(
            "The Rollout \"{}\" is invalid: {error}",
            self.rollout.metadata.name
        );
        self.reason(message.clone());
        let mut status = self.rollout.status.clone();
        let previous = conditions::condition(&status, RolloutConditionType::InvalidSpec);
        if self.rollout.is_observed()
            && previous.is_some_and(|previous| previous.message == message)
        {
            return;
        }
        if previous.is_some_and(|previous| previous.message != message) {
            conditions::remove_condition(&mut status, RolloutConditionType::InvalidSpec);
        }
        let condition = conditions::new_condition(
            RolloutConditionType::InvalidSpec,
            ConditionStatus::True,
            messages::INVALID_SPEC_REASON,
            message,
            self.now,
        );
        conditions::set_condition(&mut status, condition);
        self.store_conditions(status);
    }
}

/// The first instant after `time`: deadlines are compared strictly.
fn just_after(time: Timestamp) -> Timestamp {
    time + Duration::from_millis(1)
}
