//! One reconciliation: look into the cache, let the engine decide, carry it out, store the status.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use serde::Serialize;
use serde_json::Value;

use super::api::CallError;
use super::apply::Versions;
use super::cache::{Broken, Place};
use super::controller::{Controller, now};
use super::plan::{self, Call, Step, Write};
use super::providers::MeasureError;
use super::redact::{Redactor, secrets_of_run};
use super::signals::{Listener, lock};
use crate::engine::analysis::{self, MeasurementAnswer};
use crate::engine::objects::{Kind, Object, ObjectRef};
use crate::engine::rollout::{conditions, messages, phase, release_services};
use crate::engine::{Action, Decision, Event, experiment, rollout};
use crate::routers;
use crate::sim::DecisionRecord;
use crate::sim::drive::{MAX_ROUNDS, asks_anew};
use crate::sim::time_fields::TruncateTimes;
use crate::spec::analysis::AnalysisRun;
use crate::spec::meta::{ConditionStatus, ObjectMeta};
use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::{RolloutCondition, RolloutConditionType, RolloutStatus};
use crate::time::Timestamp;

/// Why a reconciliation broke off.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Objects that it needs are not known yet.
    #[error("waits for objects to be listed")]
    NotYet,
    #[error("{0}")]
    Call(#[from] CallError),
    #[error("{0}")]
    Measure(#[from] MeasureError),
    /// The decision itself could not go on.
    #[error("{0}")]
    Decision(String),
    #[error("a bug of rollproof: {0}")]
    Panicked(String),
}

/// What comes of a decision besides the status.
struct Outcome {
    steps: Vec<Step>,
    status: Option<Write>,
    /// Nothing else is new in the status.
    counts_only: bool,
    wake_at: Option<Timestamp>,
    events: Vec<Event>,
    reasons: Vec<String>,
    failure: Option<String>,
}

impl Controller {
    /// Looks at an object. `holds_worker` is cleared when its worker was given free.
    pub(super) async fn reconcile(
        self: &Arc<Self>,
        object: &ObjectRef,
        holds_worker: &mut bool,
    ) -> Result<(), Failure> {
        match &object.kind {
            Kind::Rollout => self.reconcile_rollout(object).await,
            Kind::Experiment => self.reconcile_experiment(object).await,
            Kind::AnalysisRun => self.reconcile_run(object, holds_worker).await,
            Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate
            | Kind::ReplicaSet
            | Kind::Pod
            | Kind::Service
            | Kind::Secret
            | Kind::Other { .. } => Ok(()),
        }
    }

    async fn reconcile_rollout(self: &Arc<Self>, object: &ObjectRef) -> Result<(), Failure> {
        let (rollout, broken) = {
            let cache = lock(&self.cache);
            let Some(place) = cache.place(&object.namespace) else {
                return Ok(());
            };
            let broken = place.broken.get(&*object.name).cloned();
            (place.rollouts.get(&*object.name).cloned(), broken)
        };
        if let Some(broken) = broken {
            return self.reject(object, &broken).await;
        }
        let Some(rollout) = rollout else {
            return Ok(());
        };
        if !self.need(&needs_of_rollout(&rollout)) {
            return Err(Failure::NotYet);
        }
        if lock(&self.announced).insert(rollout.metadata.uid.clone()) {
            let message = format!(
                "Rollout resource added to informer: {}/{}",
                object.namespace, object.name
            );
            let event = Event::normal("RolloutAddedToInformer", message);
            self.emit(object, &rollout.metadata, &[event]);
        }
        let has_pods = restarts(&rollout);
        if has_pods {
            self.fetch_pods(object).await?;
        }
        let Some((mut outcome, touches_pods)) = self.decide_on_rollout(object) else {
            return Ok(());
        };
        if touches_pods && !has_pods {
            self.fetch_pods(object).await?;
            outcome = match self.decide_on_rollout(object) {
                Some((outcome, _)) => outcome,
                None => return Ok(()),
            };
        }
        if has_pods || touches_pods {
            self.forget_pods(object);
        }
        self.settle(object, &rollout.metadata, outcome).await
    }

    /// The decision, and whether it is about metadata of pods.
    fn decide_on_rollout(&self, object: &ObjectRef) -> Option<(Outcome, bool)> {
        let cache = lock(&self.cache);
        let place = cache.place(&object.namespace)?;
        let rollout = place.rollouts.get(&*object.name)?;
        let now = now();
        let decision = rollout::decide(rollout, &place.observed, now);
        let record = DecisionRecord::Rollout {
            rollout,
            observed: &place.observed,
            decision: &decision,
        };
        self.signals.decided(now, object, &record);
        let touches_pods = has_pod_metadata(rollout)
            && decision
                .actions
                .iter()
                .any(|action| matches!(action, Action::UpdateReplicaSet(_)));
        let counts_only = decision
            .status
            .as_ref()
            .is_some_and(|status| differ_in_counts_only(&rollout.status, status));
        let status = decision.status.as_ref().and_then(|status| {
            let mut status = status.clone();
            status.truncate_times();
            status_write(object, &rollout.metadata, &rollout.status, &status)
        });
        let outcome = Outcome {
            counts_only,
            ..outcome(place, object, decision, status)
        };
        Some((outcome, touches_pods))
    }

    async fn reconcile_experiment(self: &Arc<Self>, object: &ObjectRef) -> Result<(), Failure> {
        let needs = {
            let cache = lock(&self.cache);
            let Some(Object::Experiment(experiment)) = cache.get(object) else {
                return Ok(());
            };
            let mut templates = experiment.spec.templates.iter();
            if templates.any(|template| template.service.is_some()) {
                BTreeSet::from([Kind::Service])
            } else {
                BTreeSet::new()
            }
        };
        if !self.need(&needs) {
            return Err(Failure::NotYet);
        }
        let (meta, outcome) = {
            let cache = lock(&self.cache);
            let Some(place) = cache.place(&object.namespace) else {
                return Ok(());
            };
            let Some(experiment) = place.observed.experiments.get(&*object.name) else {
                return Ok(());
            };
            let now = now();
            let decision = experiment::decide(experiment, &place.observed, now);
            let record = DecisionRecord::Experiment {
                experiment,
                observed: &place.observed,
                decision: &decision,
            };
            self.signals.decided(now, object, &record);
            let mut actions = decision.actions.iter();
            if actions.any(|action| matches!(action, Action::CreateAnalysisRun(_))) {
                self.queue.starts_runs(object);
            }
            let status = decision.status.as_ref().and_then(|status| {
                let mut status = status.clone();
                status.truncate_times();
                status_write(object, &experiment.metadata, &experiment.status, &status)
            });
            let meta = experiment.metadata.clone();
            (meta, outcome(place, object, decision, status))
        };
        self.settle(object, &meta, outcome).await
    }

    /// Reconciles a run. It keeps no worker while it waits for measurements.
    async fn reconcile_run(
        self: &Arc<Self>,
        object: &ObjectRef,
        holds_worker: &mut bool,
    ) -> Result<(), Failure> {
        let mut answers: Vec<MeasurementAnswer> = Vec::new();
        let mut uid: Option<String> = None;
        for _ in 0..MAX_ROUNDS {
            let Some(Object::AnalysisRun(run)) = lock(&self.cache).get(object) else {
                return Ok(());
            };
            if uid.as_ref().is_some_and(|uid| *uid != run.metadata.uid) {
                return Ok(());
            }
            uid = Some(run.metadata.uid.clone());
            if run.spec.metrics.iter().any(|it| it.provider.job.is_some()) {
                // Only to be told when they end.
                self.need(&BTreeSet::from([Kind::of("batch/v1", "Job")]));
            }
            let secrets = self.fetch_secrets(object, &run).await?;
            let (asked, outcome, redactor) = {
                let mut cache = lock(&self.cache);
                let Some(place) = cache.known_place_mut(&object.namespace) else {
                    return Ok(());
                };
                // Seen by this decision only.
                place.observed.secrets = secrets;
                let Some(run) = place.observed.analysis_runs.get(&*object.name).cloned() else {
                    return Ok(());
                };
                let run = run.as_ref();
                let now = now();
                let mut decision = analysis::decide(run, &place.observed, &answers, now);
                let record = DecisionRecord::AnalysisRun {
                    run,
                    observed: &place.observed,
                    answers: &answers,
                    decision: &decision,
                };
                self.signals.decided(now, object, &record);
                let (asked, others): (Vec<Action>, Vec<Action>) = decision
                    .actions
                    .into_iter()
                    .partition(|action| asks_anew(action, &answers));
                decision.actions = others;
                let status = decision.status.as_ref().and_then(|status| {
                    let mut status = status.clone();
                    status.truncate_times();
                    status_write(object, &run.metadata, &run.status, &status)
                });
                let secrets = secrets_of_run(run, &place.observed);
                self.options.secrets.learn(secrets.iter().cloned());
                let redactor = Redactor::new(secrets);
                let settles = asked.is_empty() || decision.status.is_some();
                let outcome = settles.then(|| outcome(place, object, decision, status));
                place.observed.secrets.clear();
                (asked, outcome, redactor)
            };
            if let Some(outcome) = outcome {
                return self.settle(object, &run.metadata, outcome).await;
            }
            if self.options.dry_run {
                for action in asked {
                    tracing::info!(object = %object, "would {}", action.describe());
                }
                return Ok(());
            }
            if *holds_worker {
                *holds_worker = false;
                self.queue.release_worker(object);
            }
            let measured = asked
                .into_iter()
                .map(|action| self.measure(&run, action, &redactor));
            for answer in futures::future::join_all(measured).await {
                answers.extend(answer?);
            }
        }
        Err(Failure::Decision(
            "the run asks for measurements without end".into(),
        ))
    }

    async fn measure(
        &self,
        run: &AnalysisRun,
        action: Action,
        secrets: &Redactor,
    ) -> Result<Option<MeasurementAnswer>, Failure> {
        let Action::Measure { metric, resume } = action else {
            return Ok(None);
        };
        // A Job is a write.
        if self.api.fence.limit().is_none() {
            return Err(CallError::NotLeading.into());
        }
        let measured = self
            .measurer
            .measure(run, &metric, resume.as_deref(), secrets, now());
        let mut answer = measured.await?;
        answer.result.truncate_times();
        Ok(Some(answer))
    }

    /// Carries a decision out, stores the status, and asks for the next reconciliation.
    async fn settle(
        self: &Arc<Self>,
        object: &ObjectRef,
        meta: &ObjectMeta,
        outcome: Outcome,
    ) -> Result<(), Failure> {
        let Outcome {
            steps,
            status,
            counts_only,
            wake_at,
            events,
            reasons,
            failure,
        } = outcome;
        if !steps.is_empty() || status.is_some() {
            tracing::debug!(object = %object, reasons = reasons.join("; "), "decided");
        }
        if self.options.dry_run {
            report(object, &steps, status.as_ref(), &reasons);
            return Ok(());
        }
        // What is done now follows from no count that is stored.
        let status = status.filter(|_| !counts_only || !self.queue.postpone(object));
        let mut versions = Versions::default();
        let mut done = Ok(());
        for step in steps {
            done = self.carry_out(object, step, &mut versions).await;
            if done.is_err() {
                break;
            }
        }
        self.emit(object, meta, &events);
        if done.is_ok()
            && let Some(write) = status
        {
            done = self.write(write, &mut versions).await;
            self.queue.written(object);
        }
        if let Some(at) = wake_at {
            let wait = at.since(now()).as_nanos();
            let wait = StdDuration::from_nanos(u64::try_from(wait).unwrap_or(0));
            self.queue.add(object, wait.max(super::queue::DEBOUNCE));
        }
        done?;
        match failure {
            Some(failure) => Err(Failure::Decision(failure)),
            None => Ok(()),
        }
    }

    /// Emits events about an object, or about the Rollout that owns it.
    fn emit(&self, object: &ObjectRef, meta: &ObjectMeta, events: &[Event]) {
        if self.options.dry_run {
            return;
        }
        for event in events {
            if !event.about_owner {
                self.events.emit(now(), object, meta, event);
                continue;
            }
            let mut owners = meta.owner_references.iter();
            let Some(owner) = owners.find(|owner| owner.kind == "Rollout") else {
                continue;
            };
            let owner = ObjectRef::new(Kind::Rollout, &object.namespace, &owner.name);
            let Some(Object::Rollout(rollout)) = lock(&self.cache).get(&owner) else {
                continue;
            };
            self.events.emit(now(), &owner, &rollout.metadata, event);
        }
    }

    /// Tells users that a Rollout cannot be read.
    async fn reject(self: &Arc<Self>, object: &ObjectRef, broken: &Broken) -> Result<(), Failure> {
        let Broken { rest, message } = broken;
        let message = format!("The Rollout \"{}\" is invalid: {message}", object.name);
        let mut status = rest.status.clone();
        let type_ = RolloutConditionType::InvalidSpec;
        let known = conditions::condition(&status, type_);
        if known.is_some_and(|known| known.message == message) {
            return Ok(());
        }
        conditions::remove_condition(&mut status, type_);
        let condition = conditions::new_condition(
            type_,
            ConditionStatus::True,
            messages::INVALID_SPEC_REASON,
            message.clone(),
            now(),
        );
        conditions::set_condition(&mut status, condition);
        status.observed_generation = rest.metadata.generation.to_string();
        (status.phase, status.message) = phase::rollout_phase(&rest.spec, &status);
        status.truncate_times();
        let event = Event::warning(messages::INVALID_SPEC_REASON, message);
        let outcome = Outcome {
            steps: Vec::new(),
            status: status_write(object, &rest.metadata, &rest.status, &status),
            counts_only: false,
            wake_at: None,
            events: vec![event],
            reasons: Vec::new(),
            failure: None,
        };
        self.settle(object, &rest.metadata, outcome).await
    }

    /// Takes the routers and services of a Rollout that is gone back to where they are without it.
    pub(super) async fn release(self: Arc<Self>, object: &ObjectRef, rollout: &Rollout) {
        const ATTEMPTS: u32 = 5;
        for attempt in 0..ATTEMPTS {
            // One that has only moved to another instance of the controller keeps its routers.
            match self.exists(object).await {
                Ok(false) => {}
                Ok(true) => return,
                Err(error) => {
                    tracing::warn!(object = %object, %error, "its routers and services are not released yet");
                    tokio::time::sleep(StdDuration::from_millis(50 << attempt)).await;
                    continue;
                }
            }
            let steps = {
                let cache = lock(&self.cache);
                let Some(place) = cache.place(&object.namespace) else {
                    return;
                };
                let (_, writing, _) = routers::release(rollout, &place.observed.others);
                let changes = writing.changes;
                let mut actions = vec![Action::ChangeRouters { changes }];
                actions.extend(release_services(&object.name, &place.observed));
                plan::steps(place, object, actions)
            };
            if self.options.dry_run {
                return report(object, &steps, None, &[]);
            }
            let mut versions = Versions::default();
            let mut done = Ok(());
            for step in steps {
                done = self.carry_out(object, step, &mut versions).await;
                if done.is_err() {
                    break;
                }
            }
            match done {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(object = %object, %error, "its routers and services are not released yet");
                    tokio::time::sleep(StdDuration::from_millis(50 << attempt)).await;
                }
            }
        }
    }
}

/// The kinds that a decision on a Rollout looks at, besides those that are always known.
fn needs_of_rollout(rollout: &Rollout) -> BTreeSet<Kind> {
    let mut needs = BTreeSet::new();
    if let Some(workload) = &rollout.spec.workload_ref {
        let group = workload.api_version.split_once('/').map_or("", |it| it.0);
        let kind = Kind::Other {
            group: group.to_owned(),
            kind: workload.kind.clone(),
        };
        // Others are refused without a look.
        if super::resource::Resource::of(&kind).is_some() {
            needs.insert(kind);
        }
    }
    add_needs_of_strategy(rollout, &mut needs);
    if let Some(before) = routers::removed(rollout) {
        add_needs_of_strategy(&before, &mut needs);
    }
    needs
}

fn add_needs_of_strategy(rollout: &Rollout, needs: &mut BTreeSet<Kind>) {
    let strategy = &rollout.spec.strategy;
    if strategy.blue_green.is_some() {
        needs.insert(Kind::Service);
    }
    let Some(canary) = &strategy.canary else {
        return;
    };
    let names_services = !canary.canary_service.is_empty()
        || !canary.stable_service.is_empty()
        || canary.ping_pong.is_some();
    if names_services || canary.traffic_routing.is_some() {
        needs.insert(Kind::Service);
    }
    let routing = canary.traffic_routing.as_deref().into_iter();
    for router in routing.flat_map(routers::used_by) {
        let kinds = router.facts().kinds.iter();
        needs.extend(kinds.map(|it| match (it.group, it.kind) {
            ("", "Service") => Kind::Service,
            (group, kind) => Kind::Other {
                group: group.to_owned(),
                kind: kind.to_owned(),
            },
        }));
    }
}

/// Whether pods may have to be restarted.
fn restarts(rollout: &Rollout) -> bool {
    let restart_at = rollout.spec.restart_at;
    restart_at.is_some() && rollout.status.restarted_at != restart_at
}

fn has_pod_metadata(rollout: &Rollout) -> bool {
    let strategy = &rollout.spec.strategy;
    let canary = strategy
        .canary
        .as_ref()
        .is_some_and(|canary| canary.canary_metadata.is_some() || canary.stable_metadata.is_some());
    let blue_green = strategy.blue_green.as_ref().is_some_and(|blue_green| {
        blue_green.preview_metadata.is_some() || blue_green.active_metadata.is_some()
    });
    canary || blue_green
}

fn outcome<S>(
    place: &Place,
    object: &ObjectRef,
    decision: Decision<S>,
    status: Option<Write>,
) -> Outcome {
    let Decision {
        status: _,
        actions,
        wake_at,
        events,
        reasons,
        failure,
    } = decision;
    Outcome {
        steps: plan::steps(place, object, actions),
        status,
        counts_only: false,
        wake_at,
        events,
        reasons,
        failure,
    }
}

/// Whether nothing is new but counts of pods, what is said of them, and that there is progress.
fn differ_in_counts_only(old: &RolloutStatus, new: &RolloutStatus) -> bool {
    let same = RolloutStatus {
        replicas: old.replicas,
        updated_replicas: old.updated_replicas,
        ready_replicas: old.ready_replicas,
        available_replicas: old.available_replicas,
        hpa_replicas: old.hpa_replicas,
        message: old.message.clone(),
        conditions: old.conditions.clone(),
        ..new.clone()
    };
    // A condition that is set anew moves to the end.
    let known = |condition: &RolloutCondition| {
        conditions::condition(old, condition.type_).is_some_and(|known| {
            let mut known = known.clone();
            if condition.type_ == RolloutConditionType::Progressing {
                known.last_update_time = condition.last_update_time;
            }
            known == *condition
        })
    };
    same == *old && old.conditions.len() == new.conditions.len() && new.conditions.iter().all(known)
}

fn status_write<S: Serialize>(
    object: &ObjectRef,
    meta: &ObjectMeta,
    old: &S,
    new: &S,
) -> Option<Write> {
    // Our own types always serialize.
    let tree = |status: &S| serde_json::to_value(status).unwrap_or(Value::Null);
    plan::status_write(object, &meta.resource_version, &tree(old), &tree(new))
}

fn report(object: &ObjectRef, steps: &[Step], status: Option<&Write>, reasons: &[String]) {
    let show = |write: &Write| match &write.call {
        Call::Create(_) => format!("create {}", write.target),
        Call::Patch(patch) => format!("patch {} {patch}", write.target),
        Call::PatchStatus(patch) => format!("patch status of {} {patch}", write.target),
        Call::Delete { uid: _ } => format!("delete {}", write.target),
        Call::Evict => format!("evict {}", write.target),
    };
    let steps = steps.iter().map(|step| match step {
        Step::Write(write) => show(write),
        Step::StopMeasurement {
            metric,
            measurement: _,
        } => format!("stop the measurement of {}", metric.name),
        Step::Fail(message) => format!("fail: {message}"),
    });
    for line in steps.chain(status.map(show)) {
        tracing::info!(object = %object, reasons = reasons.join("; "), "would {line}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_are_told_from_what_matters() {
        let first = json!({
            "phase": "Progressing", "message": "more replicas need to be updated",
            "replicas": 1, "conditions": [{
                "type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated",
                "lastUpdateTime": "2026-01-01T00:00:00Z",
            }, {"type": "Available", "status": "True", "reason": "AvailableReason"}],
        });
        let status = |change: &Value| -> RolloutStatus {
            let mut status = first.clone();
            for (path, value) in change.as_object().into_iter().flatten() {
                if let Some(place) = status.pointer_mut(path) {
                    *place = value.clone();
                }
            }
            serde_json::from_value(status).unwrap()
        };
        let old = status(&json!({}));
        for (change, counts_only) in [
            (json!({"/replicas": 2, "/message": "old replicas"}), true),
            (
                json!({"/conditions/0/lastUpdateTime": "2026-01-01T00:00:01Z"}),
                true,
            ),
            (json!({"/replicas": 2, "/phase": "Healthy"}), false),
            (
                json!({"/conditions/0/reason": "NewReplicaSetAvailable"}),
                false,
            ),
            (json!({"/conditions/1/status": "False"}), false),
            (json!({"/conditions/1/type": "Paused"}), false),
        ] {
            let mut new = status(&change);
            assert_eq!(differ_in_counts_only(&old, &new), counts_only, "{change}");
            new.conditions.make_mut().reverse();
            assert_eq!(differ_in_counts_only(&old, &new), counts_only, "{change}");
        }
    }
}
