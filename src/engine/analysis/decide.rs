//! One reconciliation of an AnalysisRun (argo-rollouts `analysis/analysis.go`).

use std::borrow::Cow;
use std::sync::Arc;

use crate::engine::{Action, Decision, Event, Observed};
use crate::spec::analysis::{
    AnalysisPhase, AnalysisRun, AnalysisRunStatus, Measurement, Metric, MetricResult,
};
use crate::spec::string_map::StringMap;
use crate::time::{Duration, Timestamp};

use super::MeasurementAnswer;
use super::assess::{self, RunAssessment};
use super::prepare::Prepared;
use super::schedule::{Next, Waiting, next_measurement};

/// Message of a measurement that was stopped.
const MEASUREMENT_TERMINATED: &str = "Metric Terminated";

/// Decides on a run.
///
/// Where measurements are due and not among `answers`, the decision is to take them
/// ([`Action::Measure`]) and nothing else; the driver takes them and asks again at once.
/// An answer counts even if its metric is no longer due.
///
/// `Measure` holds the values of secrets.
pub fn decide(
    run: &AnalysisRun,
    observed: &Observed,
    answers: &[MeasurementAnswer],
    now: Timestamp,
) -> Decision<AnalysisRunStatus> {
    decide_with(run, observed, answers, now, true)
}

/// As [`decide`], but says no reasons, which take longer to write than what is decided.
pub fn decide_tacitly(
    run: &AnalysisRun,
    observed: &Observed,
    answers: &[MeasurementAnswer],
    now: Timestamp,
) -> Decision<AnalysisRunStatus> {
    decide_with(run, observed, answers, now, false)
}

fn decide_with(
    run: &AnalysisRun,
    observed: &Observed,
    answers: &[MeasurementAnswer],
    now: Timestamp,
    tells: bool,
) -> Decision<AnalysisRunStatus> {
    let mut decision = Decision::default();
    if run.metadata.deletion_timestamp.is_some() {
        if tells {
            decision.reasons.push("the run is being deleted".to_owned());
        }
        return decision;
    }
    if run.status.phase.is_completed() {
        expire(run, now, &mut decision);
        if !tells {
            decision.reasons.clear();
        }
        return decision;
    }
    let prepared = match Prepared::new(run, observed, answers) {
        Ok(prepared) => prepared,
        Err(message) => {
            if tells {
                decision.reasons.push(message.clone());
            }
            decision.events.push(completion_event(AnalysisPhase::Error));
            decision.status = Some(AnalysisRunStatus {
                phase: AnalysisPhase::Error,
                message,
                ..run.status.clone()
            });
            return decision;
        }
    };
    let mut pass = Pass {
        run,
        prepared: &prepared,
        answers,
        now,
        tells,
        terminating: assess::is_terminating(run.spec.terminate, &run.status.metric_results),
        status: Cow::Borrowed(&run.status),
        decision,
    };
    pass.measure();
    if pass
        .decision
        .actions
        .iter()
        .any(|action| matches!(action, Action::Measure { .. }))
    {
        // The rest is decided when the answers are there.
        pass.decision
            .actions
            .retain(|action| matches!(action, Action::Measure { .. }));
        return pass.decision;
    }
    pass.assess();
    pass.forget_old_measurements();
    pass.schedule();
    let (status, mut decision) = (pass.status, pass.decision);
    decision.status = (*status != run.status).then(|| status.into_owned());
    decision
}

struct Pass<'a> {
    run: &'a AnalysisRun,
    prepared: &'a Prepared,
    answers: &'a [MeasurementAnswer],
    now: Timestamp,
    /// Whether reasons are wanted.
    tells: bool,
    terminating: bool,
    /// The next status.
    status: Cow<'a, AnalysisRunStatus>,
    decision: Decision<AnalysisRunStatus>,
}

impl Pass<'_> {
    /// Takes in what came back, asks for what is due, and stops what is not wanted any more.
    fn measure(&mut self) {
        let prepared = self.prepared;
        for metric in prepared.metrics.iter() {
            let result = find(&self.status.metric_results, &metric.name);
            if result.is_some_and(|result| result.phase.is_completed()) {
                continue;
            }
            let unfinished = result
                .and_then(|result| result.measurements.last())
                .filter(|measurement| measurement.finished_at.is_none())
                .map(|measurement| Measurement::clone(measurement));
            let answer = self
                .answers
                .iter()
                .rfind(|answer| answer.metric == metric.name)
                .map(|answer| answer.result.clone())
                .filter(|answer| {
                    !self.terminating || unfinished.is_none() || answer.phase.is_completed()
                });
            if let Some(answer) = answer {
                self.take_in(metric, answer, unfinished.is_some());
                continue;
            }
            if self.terminating {
                self.stop(metric, unfinished);
                continue;
            }
            let next = next_measurement(metric, result, self.status.started_at);
            if next.is_due(self.now) {
                self.decision.actions.push(Action::Measure {
                    metric: Box::new(metric.clone()),
                    resume: unfinished.map(Box::new),
                });
            }
        }
    }

    /// Stops the Job of an unfinished measurement. Of other providers none is known to leave
    /// measurements unfinished that could be stopped.
    fn stop(&mut self, metric: &Metric, unfinished: Option<Measurement>) {
        let name = &metric.name;
        match unfinished {
            Some(mut measurement) if metric.provider.job.is_some() => {
                self.decision.actions.push(Action::StopMeasurement {
                    metric: Box::new(metric.clone()),
                    measurement: Box::new(measurement.clone()),
                });
                measurement.phase = AnalysisPhase::Inconclusive;
                measurement.message = MEASUREMENT_TERMINATED.to_owned();
                measurement.finished_at = Some(self.now);
                self.take_in(metric, measurement, true);
            }
            Some(_) => self.reason(|| format!("metric {name}: left unfinished, the run ends")),
            None => self.reason(|| format!("metric {name}: not measured, the run ends")),
        }
    }

    /// Counts a measurement and keeps it, in the place of the unfinished one that it goes on with.
    fn take_in(&mut self, metric: &Metric, mut measurement: Measurement, replaces_last: bool) {
        if measurement.phase.is_completed() {
            measurement.finished_at.get_or_insert(self.now);
        }
        measurement.message = self.prepared.redact(&measurement.message);
        for time in [
            &mut measurement.started_at,
            &mut measurement.finished_at,
            &mut measurement.resume_at,
        ] {
            *time = time.map(Timestamp::truncate_to_seconds);
        }
        let phase = measurement.phase;
        self.reason(|| {
            let mut shown = format!("metric {}: measured {phase}", metric.name);
            if !measurement.value.is_empty() {
                shown.push_str(&format!(", value {}", measurement.value));
            }
            if !measurement.message.is_empty() {
                shown.push_str(&format!(", {}", measurement.message));
            }
            shown
        });
        let results = &mut self.status.to_mut().metric_results;
        let index = match results.iter().position(|result| result.name == metric.name) {
            Some(index) => index,
            None => {
                results.push(MetricResult {
                    name: metric.name.clone(),
                    phase: AnalysisPhase::Running,
                    dry_run: self.prepared.dry_run.contains(&metric.name),
                    metadata: result_metadata(metric, self.prepared).into(),
                    ..MetricResult::default()
                });
                results.len() - 1
            }
        };
        let Some(result) = results.get_mut(index) else {
            return;
        };
        assess::count_measurement(result, phase);
        let measurement = Arc::new(measurement);
        let measurements = result.measurements.make_mut();
        match measurements.last_mut() {
            Some(last) if replaces_last => *last = measurement,
            Some(_) | None => measurements.push(measurement),
        }
    }

    fn assess(&mut self) {
        let status = self.status.to_mut();
        status
            .started_at
            .get_or_insert(self.now.truncate_to_seconds());
        let RunAssessment {
            phase,
            message,
            run_summary,
            dry_run_summary,
            completed,
        } = assess::assess_run(
            &self.prepared.metrics,
            &self.prepared.dry_run,
            self.run.spec.terminate,
            &mut status.metric_results,
        );
        for (metric, phase) in completed {
            let reason = format!("Metric{phase}");
            let message = format!("Metric '{metric}' Completed. Result: {phase}");
            self.decision.events.push(event(phase, reason, message));
            self.reason(|| format!("metric {metric}: ends as {phase}"));
        }
        let status = self.status.to_mut();
        status.run_summary = run_summary;
        status.dry_run_summary = Some(dry_run_summary);
        if phase == status.phase {
            return;
        }
        status.phase = phase;
        status.message = message;
        if phase.is_completed() {
            self.decision.events.push(completion_event(phase));
            status
                .completed_at
                .get_or_insert(self.now.truncate_to_seconds());
            let message = status.message.clone();
            self.reason(|| {
                if message.is_empty() {
                    format!("the run ends as {phase}")
                } else {
                    format!("the run ends as {phase}: {message}")
                }
            });
        }
    }

    /// Keeps the last measurements of each metric, and the Jobs that made them.
    fn forget_old_measurements(&mut self) {
        for result in &mut self.status.to_mut().metric_results {
            let Some(metric) = find_metric(self.prepared, &result.name) else {
                continue;
            };
            let limit = self.prepared.retained(&result.name);
            let excess = result.measurements.len().saturating_sub(limit);
            if excess == 0 {
                continue;
            }
            for measurement in result.measurements.make_mut().drain(..excess) {
                if metric.provider.job.is_some() {
                    self.decision.actions.push(Action::StopMeasurement {
                        metric: Box::new(metric.clone()),
                        measurement: Box::new(Arc::unwrap_or_clone(measurement)),
                    });
                }
            }
        }
    }

    /// When to come back: the next measurement, or the end of a finished run's time to live.
    fn schedule(&mut self) {
        if self.status.phase.is_completed() {
            if let Some(at) = expiry(self.run, &self.status) {
                self.decision.wake(at);
            }
            return;
        }
        for metric in self.prepared.metrics.iter() {
            let result = find(&self.status.metric_results, &metric.name);
            if result.is_some_and(|result| result.phase.is_completed()) {
                continue;
            }
            if let Next::At(at, waiting) = next_measurement(metric, result, self.status.started_at)
            {
                self.decision.wake(at);
                let why = match waiting {
                    Waiting::InitialDelay => "initialDelay",
                    Waiting::Interval => "interval",
                    Waiting::ErrorRetry => "a retry after the error",
                    Waiting::Resume => "the unfinished measurement",
                };
                let name = &metric.name;
                self.reason(|| format!("metric {name}: waits for {why} until {at}"));
            }
        }
    }

    fn reason(&mut self, text: impl FnOnce() -> String) {
        if self.tells {
            self.decision.reasons.push(text());
        }
    }
}

/// Deletes a finished run whose time to live is over.
///
/// The reference means to as well, but never looks at a finished run again.
fn expire(run: &AnalysisRun, now: Timestamp, decision: &mut Decision<AnalysisRunStatus>) {
    let phase = run.status.phase;
    match expiry(run, &run.status) {
        Some(at) if at <= now => {
            decision
                .reasons
                .push("the run's ttlStrategy is exceeded".to_owned());
            decision.actions.push(Action::DeleteAnalysisRun {
                name: run.metadata.name.clone(),
            });
        }
        Some(at) => {
            decision
                .reasons
                .push(format!("the run has ended as {phase}; kept until {at}"));
            decision.wake(at);
        }
        None => decision
            .reasons
            .push(format!("the run has ended as {phase}")),
    }
}

/// The first instant at which more whole seconds than allowed have passed since the end. None
/// without a limit, and for a run that ended because it is invalid: it has no time of completion.
fn expiry(run: &AnalysisRun, status: &AnalysisRunStatus) -> Option<Timestamp> {
    let strategy = run.spec.ttl_strategy.as_ref()?;
    let by_result = match status.phase {
        AnalysisPhase::Successful => strategy.seconds_after_success,
        AnalysisPhase::Failed => strategy.seconds_after_failure,
        AnalysisPhase::Error
        | AnalysisPhase::Inconclusive
        | AnalysisPhase::Unset
        | AnalysisPhase::Pending
        | AnalysisPhase::Running => None,
    };
    let seconds = by_result.or(strategy.seconds_after_completion)?;
    let kept = Duration::from_secs(i64::from(seconds).saturating_add(1));
    Some(status.completed_at? + kept)
}

fn find<'r>(results: &'r [MetricResult], name: &str) -> Option<&'r MetricResult> {
    results.iter().find(|result| result.name == name)
}

fn find_metric<'p>(prepared: &'p Prepared, name: &str) -> Option<&'p Metric> {
    prepared.metrics.iter().find(|metric| metric.name == name)
}

/// What the providers of the reference show about a metric: the query with arguments filled in.
fn result_metadata(metric: &Metric, prepared: &Prepared) -> StringMap {
    let provider = &metric.provider;
    let prometheus = provider
        .prometheus
        .as_ref()
        .map(|prometheus| ("ResolvedPrometheusQuery", &prometheus.query));
    let new_relic = provider
        .new_relic
        .as_ref()
        .map(|new_relic| ("ResolvedNewRelicQuery", &new_relic.query));
    prometheus
        .or(new_relic)
        .into_iter()
        .filter(|(_, query)| !query.is_empty())
        .map(|(key, query)| (key.to_owned(), prepared.redact(query)))
        .collect()
}

fn completion_event(phase: AnalysisPhase) -> Event {
    let message = format!("Analysis Completed. Result: {phase}");
    event(phase, format!("AnalysisRun{phase}"), message)
}

fn event(phase: AnalysisPhase, reason: String, message: String) -> Event {
    match phase {
        AnalysisPhase::Error | AnalysisPhase::Failed => Event::warning(reason, message),
        AnalysisPhase::Unset
        | AnalysisPhase::Pending
        | AnalysisPhase::Running
        | AnalysisPhase::Successful
        | AnalysisPhase::Inconclusive => Event::normal(reason, message),
    }
}
