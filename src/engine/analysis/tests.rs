//! Runs driven through time with scripted answers, against what was recorded of the reference
//! controller (`fixtures/analysis`, excerpts of its trajectories).

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::engine::{Action, Decision, Observed};
use crate::spec::analysis::{AnalysisPhase, AnalysisRun, AnalysisRunStatus};
use crate::spec::decode::decode;
use crate::time::{Duration, Timestamp};

/// A run, the clock and the answers to come, by metric; the last one repeats.
struct Driver {
    run: AnalysisRun,
    observed: Observed,
    now: Timestamp,
    answers: BTreeMap<String, Vec<Measurement>>,
    asked: BTreeMap<String, usize>,
    asked_at: Vec<Timestamp>,
    stopped: usize,
    deleted: bool,
}

impl Driver {
    fn new(spec: Value, answers: Value) -> Self {
        Self {
            run: decode(json!({"metadata": {"name": "run", "uid": "u"}, "spec": spec})).unwrap(),
            observed: Observed::default(),
            now: Timestamp::from_secs(1_000) + Duration::from_millis(700),
            answers: decode(answers).unwrap(),
            asked: BTreeMap::new(),
            asked_at: Vec::new(),
            stopped: 0,
            deleted: false,
        }
    }

    /// One reconciliation with its measurements; whether it changed the run.
    fn step(&mut self) -> (bool, Decision<AnalysisRunStatus>) {
        let mut answers = Vec::new();
        let mut decision = decide(&self.run, &self.observed, &answers, self.now);
        for action in &decision.actions {
            if let Action::Measure { metric, .. } = action {
                let asked = self.asked.entry(metric.name.clone()).or_insert(0);
                let script = &self.answers[&metric.name];
                let result = script.get(*asked).or(script.last()).unwrap().clone();
                *asked += 1;
                self.asked_at.push(self.now);
                answers.push(MeasurementAnswer {
                    metric: metric.name.clone(),
                    result: Measurement {
                        started_at: Some(self.now),
                        ..result
                    },
                });
            }
        }
        if !answers.is_empty() {
            assert_eq!(decision.status, None);
            decision = decide(&self.run, &self.observed, &answers, self.now);
        }
        for action in &decision.actions {
            match action {
                Action::StopMeasurement { .. } => self.stopped += 1,
                Action::DeleteAnalysisRun { .. } => self.deleted = true,
                other => panic!("{other:?}"),
            }
        }
        if let Some(status) = &decision.status {
            assert_ne!(*status, self.run.status);
            self.run.status = status.clone();
        }
        (decision.status.is_some(), decision)
    }

    /// Goes on until nothing is to come, at most for this many changes.
    fn drive(&mut self, changes: usize, mut seen: impl FnMut(&mut AnalysisRun)) {
        for _ in 0..changes * 2 {
            let (changed, decision) = self.step();
            if changed {
                seen(&mut self.run);
                self.now = self.now + Duration::from_millis(20);
                continue;
            }
            match decision.wake_at {
                Some(at) => self.now = self.now.max(at),
                None => return,
            }
        }
    }
}

fn observe(run: &AnalysisRun, seen: &mut BTreeMap<String, Vec<Value>>) {
    let mut note = |variable: String, value: Value| {
        let is_empty = match &value {
            Value::String(text) => text.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Bool(flag) => !flag,
            Value::Null | Value::Number(_) | Value::Array(_) => false,
        };
        let sequence = seen.entry(variable).or_default();
        if sequence.last() != Some(&value) && !(is_empty && sequence.is_empty()) {
            sequence.push(value);
        }
    };
    let status = &run.status;
    note("phase".into(), json!(status.phase));
    note("message".into(), json!(status.message));
    note("runSummary".into(), json!(status.run_summary));
    if let Some(summary) = &status.dry_run_summary {
        note("dryRunSummary".into(), json!(summary));
    }
    for result in &status.metric_results {
        let name = |part: &str| format!("metric/{}/{part}", result.name);
        note(name("phase"), json!(result.phase));
        note(name("message"), json!(result.message));
        note(name("dryRun"), json!(result.dry_run));
        note(
            name("counts"),
            json!({
                "consecutiveError": result.consecutive_error,
                "consecutiveSuccess": result.consecutive_success,
                "count": result.count, "error": result.error, "failed": result.failed,
                "inconclusive": result.inconclusive, "successful": result.successful,
            }),
        );
        let values = result
            .measurements
            .iter()
            .filter(|measurement| measurement.finished_at.is_some())
            .map(|measurement| {
                let value = Some(&measurement.value).filter(|value| !value.is_empty());
                json!([measurement.phase, value])
            });
        note(name("values"), values.collect());
    }
}

#[test]
fn runs_go_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/analysis");
    let mut cases = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let fixture: Map<String, Value> =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let terminate_after = fixture.get("terminateAfter").and_then(Value::as_i64);
        let mut driver = Driver::new(fixture["spec"].clone(), fixture["answers"].clone());
        let mut seen = BTreeMap::new();
        driver.drive(30, |run| {
            observe(run, &mut seen);
            let taken = run.status.metric_results.first();
            let taken = taken.map(|result| i64::from(result.count + result.error));
            run.spec.terminate |= terminate_after.is_some() && taken >= terminate_after;
        });
        let mut expected: BTreeMap<String, Vec<Value>> =
            decode(fixture["expected"].clone()).unwrap();
        expected.remove("terminate");
        for sequence in expected.values_mut() {
            sequence.retain(|value| !value.is_null() && *value != json!(""));
        }
        seen.retain(|_, sequence| !sequence.is_empty());
        assert_eq!(seen, expected, "{}", path.display());
        cases += 1;
    }
    assert!(cases > 15);
}

fn script(phases: &[AnalysisPhase]) -> Value {
    phases
        .iter()
        .map(|phase| json!({ "phase": phase }))
        .collect()
}

fn web(fields: Value) -> Value {
    let mut metric = json!({"name": "m", "provider": {"web": {"url": "http://x"}}});
    for (key, value) in fields.as_object().unwrap() {
        metric[key] = value.clone();
    }
    metric
}

#[test]
fn intervals_count_from_the_stored_second_and_errors_wait_ten() {
    use AnalysisPhase::{Error, Successful};
    let mut driver = Driver::new(
        json!({"metrics": [web(json!({"count": 3, "interval": "3s"}))]}),
        json!({"m": script(&[Successful, Error, Successful])}),
    );
    driver.drive(20, |_| {});
    let after: Vec<i64> = driver
        .asked_at
        .iter()
        .map(|at| at.since(Timestamp::from_secs(1_000)).as_millis())
        .collect();
    assert_eq!(after, [700, 3_001, 13_001, 16_001]);
    assert_eq!(driver.run.status.phase, Successful);
    assert_eq!(driver.run.status.metric_results[0].error, 1);
}

#[test]
fn secrets_reach_the_provider_but_no_message() {
    let mut driver = Driver::new(
        json!({
            "args": [{"name": "t", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "metrics": [web(json!({"provider": {"web": {"url": "http://x/{{args.t}}"}}}))]
        }),
        json!({"m": [{"phase": "Error", "message": "no route to http://x/hush"}]}),
    );
    let refused = driver.step().1.status.unwrap();
    assert_eq!(
        refused.message,
        "Unable to resolve metric arguments: secrets \"s\" not found"
    );
    driver.run.status = AnalysisRunStatus::default();
    let mut secret = BTreeMap::new();
    driver.observed.secrets.insert("s".into(), secret.clone());
    assert_eq!(
        driver.step().1.status.unwrap().message,
        "Unable to resolve metric arguments: key 'k' does not exist in secret 's'"
    );
    driver.run.status = AnalysisRunStatus::default();
    secret.insert("k".into(), "hush".into());
    driver.observed.secrets.insert("s".into(), secret);
    let asked = decide(&driver.run, &driver.observed, &[], driver.now);
    let Some(Action::Measure { metric, .. }) = asked.actions.first() else {
        panic!("nothing asked");
    };
    assert_eq!(metric.provider.web.as_ref().unwrap().url, "http://x/hush");
    driver.step();
    let measurement = &driver.run.status.metric_results[0].measurements[0];
    assert_eq!(measurement.message, "no route to http://x/*****");
}

#[test]
fn a_condition_that_cannot_compile_is_an_error_of_the_spec() {
    let broken = web(json!({"successCondition": "result >"}));
    let mut driver = Driver::new(
        json!({ "metrics": [broken.clone()] }),
        json!({"m": [{"phase": "Error"}]}),
    );
    let (_, decision) = driver.step();
    assert_eq!(driver.run.status.phase, AnalysisPhase::Error);
    let message = &driver.run.status.message;
    let start =
        "Analysis spec invalid: metrics[0]: could not evaluate successCondition \"result >\": ";
    assert!(message.starts_with(start), "{message}");
    assert_eq!(decision.events[0].reason, "AnalysisRunError");
    assert!(driver.asked_at.is_empty());
    let mut dry = Driver::new(
        json!({"metrics": [broken], "dryRun": [{"metricName": "m"}]}),
        json!({"m": [{"phase": "Error"}]}),
    );
    dry.drive(20, |_| {});
    assert_eq!(dry.run.status.phase, AnalysisPhase::Successful);
}

fn job_run() -> Driver {
    let at = Timestamp::from_secs(1_000);
    Driver::new(
        json!({"metrics": [
            {"name": "job", "provider": {"job": {"spec": {}}}},
            web(json!({"interval": "1s"}))
        ]}),
        json!({
            "job": [
                {"phase": "Running", "resumeAt": at, "metadata": {"job-name": "j"}},
                {"phase": "Running", "resumeAt": at + Duration::from_secs(3)},
                {"phase": "Failed"}
            ],
            "m": script(&[AnalysisPhase::Successful])
        }),
    )
}

#[test]
fn an_unfinished_job_is_resumed_when_its_time_has_come() {
    let mut driver = job_run();
    driver.drive(20, |_| {});
    let result = &driver.run.status.metric_results[0];
    assert_eq!(result.measurements.len(), 1);
    assert_eq!(driver.asked["job"], 3);
    assert_eq!(result.phase, AnalysisPhase::Failed);
    assert_eq!(driver.run.status.phase, AnalysisPhase::Failed);
    assert_eq!(driver.now.as_secs(), 1_003);
}

#[test]
fn a_terminated_job_is_inconclusive_and_stopped() {
    let mut driver = job_run();
    driver.step();
    driver.run.spec.terminate = true;
    let (_, decision) = driver.step();
    assert_eq!(driver.stopped, 1);
    assert_eq!(driver.run.status.phase, AnalysisPhase::Inconclusive);
    assert_eq!(
        driver.run.status.message,
        "Metric \"job\" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0): \"Error Message: Metric Terminated\""
    );
    let reasons: Vec<&str> = decision
        .events
        .iter()
        .map(|event| event.reason.as_str())
        .collect();
    assert_eq!(
        reasons,
        [
            "MetricInconclusive",
            "MetricSuccessful",
            "AnalysisRunInconclusive"
        ]
    );
}

#[test]
fn missing_successes_give_a_reason() {
    use AnalysisPhase::{Failed, Successful};
    let mut driver = Driver::new(
        json!({"metrics": [web(json!({
            "interval": "1s", "count": 4, "failureLimit": -1, "consecutiveSuccessLimit": 3
        }))]}),
        json!({"m": script(&[Successful, Successful, Failed, Successful])}),
    );
    driver.drive(20, |_| {});
    assert_eq!(driver.run.status.phase, Failed);
    assert_eq!(
        driver.run.status.message,
        "Metric \"m\" assessed Failed due to consecutiveSuccessLimit (3) not reached within count (4)"
    );
}

#[test]
fn a_finished_run_is_deleted_when_its_time_is_over() {
    let mut driver = Driver::new(
        json!({
            "metrics": [web(json!({}))],
            "ttlStrategy": {"secondsAfterCompletion": 60, "secondsAfterSuccess": 2}
        }),
        json!({"m": script(&[AnalysisPhase::Successful])}),
    );
    driver.drive(20, |_| {});
    assert!(driver.deleted);
    assert_eq!(driver.now.as_secs(), 1_003);
}

#[test]
fn answers_count_even_when_the_run_was_told_to_end_meanwhile() {
    let mut driver = Driver::new(
        json!({"metrics": [web(json!({"interval": "1s"}))]}),
        json!({"m": script(&[AnalysisPhase::Failed])}),
    );
    let answers = [MeasurementAnswer {
        metric: "m".into(),
        result: Measurement {
            phase: AnalysisPhase::Failed,
            ..Measurement::default()
        },
    }];
    driver.run.spec.terminate = true;
    let decision = decide(&driver.run, &driver.observed, &answers, driver.now);
    assert_eq!(decision.status.unwrap().phase, AnalysisPhase::Failed);
    let (_, decision) = driver.step();
    assert_eq!(driver.run.status.phase, AnalysisPhase::Successful);
    assert_eq!(driver.run.status.message, "Run Terminated");
    assert_eq!(decision.wake_at, None);
}

fn any_phase() -> impl Strategy<Value = AnalysisPhase> {
    prop_oneof![
        4 => Just(AnalysisPhase::Successful),
        2 => Just(AnalysisPhase::Failed),
        1 => Just(AnalysisPhase::Inconclusive),
        2 => Just(AnalysisPhase::Error),
    ]
}

proptest! {
    #[test]
    fn every_run_ends_for_a_reason(
        phases in prop::collection::vec(any_phase(), 1..12),
        // failureLimit, consecutiveSuccessLimit, inconclusiveLimit, consecutiveErrorLimit
        limits in (-1_i64..3, 0_i64..3, 0_i64..3, 0_i64..3),
        spare in 1_i64..4,
        terminate_after in prop::option::of(0_usize..6),
    ) {
        let (failure, success, inconclusive, error) = limits;
        prop_assume!(failure >= 0 || success > 0);
        let count = (failure.max(0) + success).max(inconclusive) + spare;
        let mut driver = Driver::new(
            json!({"metrics": [web(json!({
                "interval": "1s", "count": count, "failureLimit": failure,
                "consecutiveSuccessLimit": success, "inconclusiveLimit": inconclusive,
                "consecutiveErrorLimit": error
            }))]}),
            json!({ "m": script(&phases) }),
        );
        let mut changes = 0;
        driver.drive(200, |run| {
            changes += 1;
            run.spec.terminate |= !run.status.phase.is_completed()
                && terminate_after.is_some_and(|after| changes > after);
        });
        let status = &driver.run.status;
        prop_assert!(status.phase.is_completed());
        prop_assert!(status.completed_at.is_some());
        let Some(result) = status.metric_results.first() else {
            return Ok(());
        };
        prop_assert_eq!(result.count, result.successful + result.failed + result.inconclusive);
        prop_assert_eq!(driver.asked["m"], usize::try_from(result.count + result.error).unwrap());
        prop_assert!(result.measurements.len() <= 10);
        prop_assert_eq!(result.phase, status.phase);
        let exceeded = (failure >= 0 && i64::from(result.failed) > failure)
            || i64::from(result.inconclusive) > inconclusive
            || i64::from(result.consecutive_error) > error;
        let terminated = driver.run.spec.terminate;
        let in_a_row = i64::from(result.consecutive_success);
        let lacks_successes =
            success > 0 && in_a_row < success && i64::from(result.count) >= count;
        prop_assert_eq!(
            status.phase == AnalysisPhase::Successful,
            !exceeded && !lacks_successes
        );
        prop_assert!(
            exceeded
                || terminated
                || i64::from(result.count) >= count
                || (success > 0 && in_a_row >= success)
        );
        prop_assert_eq!(
            status.message.is_empty(),
            status.phase == AnalysisPhase::Successful && !terminated
        );
    }
}
