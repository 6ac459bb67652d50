//! The job provider: a metric that is a Kubernetes Job (argo-rollouts `metricproviders/job`).

use serde_json::{Map, Value, json};

use crate::spec::analysis::{AnalysisPhase, AnalysisRun, Measurement, Metric};
use crate::spec::string_map::StringMap;
use crate::time::{Duration, Timestamp};

use super::error_measurement;

/// Metadata of a measurement: its Job.
pub const JOB_NAME_KEY: &str = "job-name";
pub const JOB_NAMESPACE_KEY: &str = "job-namespace";
/// Label of a Job: the uid of its run.
pub const UID_LABEL: &str = "analysisrun.argoproj.io/uid";
/// Longest name that fits into a label.
const MAX_NAME_LENGTH: usize = 63;

/// The Job for the next measurement of `metric`.
///
/// # Errors
/// A metric without a job, or a job spec that is no object.
pub fn create(run: &AnalysisRun, metric: &Metric) -> Result<Value, String> {
    let job = metric
        .provider
        .job
        .as_ref()
        .ok_or("the metric has no job")?;
    let Value::Object(spec) = &job.spec else {
        return Err("the job's spec is not an object".into());
    };
    let mut spec = spec.clone();
    let mut labels = StringMap::clone(&job.metadata.labels);
    labels.insert(UID_LABEL.into(), run.metadata.uid.clone());
    let mut annotations = StringMap::clone(&job.metadata.annotations);
    for (key, value) in [
        ("analysisrun.argoproj.io/name", &run.metadata.name),
        ("analysisrun.argoproj.io/namespace", &run.metadata.namespace),
        ("analysisrun.argoproj.io/metric-name", &metric.name),
    ] {
        annotations.insert(key.into(), value.clone());
    }
    member(member(member(&mut spec, "template"), "metadata"), "labels")
        .insert(UID_LABEL.into(), run.metadata.uid.clone().into());
    Ok(json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": name(run, metric), "labels": labels, "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "name": run.metadata.name,
                "uid": run.metadata.uid, "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    }))
}

/// `uid.metric.n`, n counting all measurements; the metric's name is cut so that it fits a label.
fn name(run: &AnalysisRun, metric: &Metric) -> String {
    let result = run
        .status
        .metric_results
        .iter()
        .find(|result| result.name == metric.name);
    let number = result.map_or(0, |result| {
        i64::from(result.count) + i64::from(result.error)
    }) + 1;
    let rest = run.metadata.uid.len() + number.to_string().len() + 2;
    let room = MAX_NAME_LENGTH.saturating_sub(rest);
    let short: String = metric.name.chars().take(room).collect();
    format!("{}.{short}.{number}", run.metadata.uid)
}

/// The measurement of a Job that was just created. It is looked at again at once.
pub fn started(name: &str, namespace: &str, now: Timestamp) -> Measurement {
    Measurement {
        phase: AnalysisPhase::Running,
        message: String::new(),
        started_at: Some(now),
        finished_at: None,
        value: String::new(),
        metadata: StringMap::from([
            (JOB_NAME_KEY.to_owned(), name.to_owned()),
            (JOB_NAMESPACE_KEY.to_owned(), namespace.to_owned()),
        ]),
        resume_at: Some(now),
    }
}

/// A container of a Job that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckPod {
    pub pod: String,
    pub container: String,
    /// A waiting reason, such as `ImagePullBackOff`.
    pub reason: String,
    pub message: String,
}

impl StuckPod {
    /// Whether it will never start by itself.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self.reason.as_str(),
            "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName"
        )
    }
}

/// The measurement after a look at its Job (none: it is gone) and at a pod of it that waits.
pub fn resume(
    measurement: &Measurement,
    job: Option<&Value>,
    stuck: Option<&StuckPod>,
    now: Timestamp,
) -> Measurement {
    let mut next = measurement.clone();
    let started_at = measurement.started_at.unwrap_or(now);
    let Some(job) = job else {
        let name = measurement.metadata.get(JOB_NAME_KEY);
        let message = match name {
            Some(name) => format!("job.batch \"{name}\" not found"),
            None => "job metadata reference missing".to_owned(),
        };
        let metadata = std::mem::take(&mut next.metadata);
        return Measurement {
            metadata,
            ..error_measurement(message, started_at, now)
        };
    };
    for condition in job
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let phase = match condition.get("type").and_then(Value::as_str) {
            Some("Complete") => AnalysisPhase::Successful,
            Some("Failed") => AnalysisPhase::Failed,
            Some(_) | None => continue,
        };
        next.phase = phase;
        next.finished_at = Some(now);
    }
    if next.phase.is_completed() {
        return next;
    }
    if let Some(stuck) = stuck.filter(|stuck| stuck.is_terminal()) {
        next.phase = AnalysisPhase::Inconclusive;
        next.finished_at = Some(now);
        next.message = format!(
            "Pod {}, container {} has terminal error ({}): {}\n",
            stuck.pod, stuck.container, stuck.reason, stuck.message
        );
        return next;
    }
    // Looked at less and less often the longer it takes.
    let elapsed = now.since(started_at).as_secs_f64().max(0.0);
    next.resume_at = Some(now + Duration::from_secs_f64((2.0 * elapsed).sqrt()));
    next
}

fn member<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = parent.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("made an object above")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::decode::decode;

    #[test]
    fn a_job_is_named_by_run_metric_and_number() {
        let run: AnalysisRun = decode(json!({
            "metadata": {"name": "r", "namespace": "ns", "uid": "u"},
            "status": {"metricResults": [{"name": "m", "phase": "Running", "count": 2, "error": 1}]}
        }))
        .unwrap();
        let metric: Metric =
            decode(json!({"name": "m", "provider": {"job": {"spec": {}}}})).unwrap();
        let job = create(&run, &metric).unwrap();
        assert_eq!(job.pointer("/metadata/name"), Some(&json!("u.m.4")));
        assert_eq!(
            job.pointer("/spec/template/metadata/labels/analysisrun.argoproj.io~1uid"),
            Some(&json!("u"))
        );
        let long = Metric {
            name: "x".repeat(100),
            ..metric
        };
        assert_eq!(name(&run, &long).len(), MAX_NAME_LENGTH);
    }

    #[test]
    fn a_job_ends_a_measurement() {
        let at = Timestamp::from_secs;
        let measurement = started("j", "ns", at(10));
        let waiting = resume(&measurement, Some(&json!({})), None, at(18));
        assert_eq!(waiting.resume_at, Some(at(22)));
        let failed = json!({"status": {"conditions": [{"type": "Failed", "status": "True"}]}});
        let done = resume(&measurement, Some(&failed), None, at(12));
        assert_eq!(
            (done.phase, done.finished_at),
            (AnalysisPhase::Failed, Some(at(12)))
        );
        let stuck = StuckPod {
            pod: "p".into(),
            container: "c".into(),
            reason: "ImagePullBackOff".into(),
            message: "m".into(),
        };
        let given_up = resume(&measurement, Some(&json!({})), Some(&stuck), at(12));
        assert_eq!(given_up.phase, AnalysisPhase::Inconclusive);
        assert_eq!(
            resume(&measurement, None, None, at(12)).phase,
            AnalysisPhase::Error
        );
    }
}
