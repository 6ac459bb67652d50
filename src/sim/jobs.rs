//! The Job controller: a Job is its pod's command.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::engine::Pod;
use crate::spec::meta::{ObjectMeta, OwnerReference};
use crate::time::Duration;

use super::metrics::MetricSource;
use super::observer::Observer;
use super::pods::{JobRun, PodModel};
use super::queue::Task;
use super::simulation::Simulation;
use super::store::Object;
use super::world::{ObjectRef, job_key};

/// Kubernetes' default of `backoffLimit`.
const BACKOFF_LIMIT: i64 = 6;
/// First and longest wait before a failed Job's pod is made again.
const RETRY_DELAY: Duration = Duration::from_secs(10);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(360);
/// Attempts looked at; each takes at least ten seconds.
const MAX_ATTEMPTS: i64 = 10_000;

impl<M: MetricSource, P: PodModel> Simulation<M, P> {
    /// Starts the command of a new Job.
    pub(super) fn reconcile_job(&mut self, object: &ObjectRef, observer: &mut dyn Observer) {
        let Some(Object::Other { key: _, value }) = self.store.get(object) else {
            return;
        };
        let uid = value
            .pointer("/metadata/uid")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if !self.jobs_started.insert(uid.clone()) {
            return;
        }
        let spec = value.get("spec").cloned().unwrap_or_default();
        let mut random = self.random(&format!("job {}/{}", object.namespace, object.name), 0);
        let run = self.pod_model.run_job(&spec, &mut random);
        if !run.waiting_reason.is_empty() {
            self.create_stuck_pod(object, &uid, &run.waiting_reason, observer);
        }
        if let Some((ends_after, succeeded)) = job_end(&spec, &run, self.settings.job_overhead) {
            let task = Task::JobEnd {
                namespace: object.namespace.to_string(),
                name: object.name.to_string(),
                uid,
                succeeded,
            };
            self.queue.schedule(self.now + ends_after, task);
        }
    }

    /// The pod of a Job whose container never starts.
    fn create_stuck_pod(
        &mut self,
        job: &ObjectRef,
        uid: &str,
        waiting_reason: &str,
        observer: &mut dyn Observer,
    ) {
        let pod = Pod {
            metadata: ObjectMeta {
                generate_name: format!("{}-", job.name),
                owner_references: vec![OwnerReference {
                    api_version: "batch/v1".into(),
                    kind: "Job".into(),
                    name: job.name.to_string(),
                    uid: uid.to_owned(),
                    controller: Some(true),
                    block_owner_deletion: Some(true),
                }]
                .into(),
                ..ObjectMeta::default()
            },
            ready_since: None,
            waiting_reason: waiting_reason.to_owned(),
        };
        let written = self
            .store
            .create(&job.namespace, Object::Pod(Arc::new(pod)), self.now);
        self.wrote(written.ok(), observer);
    }

    pub(super) fn job_end(
        &mut self,
        namespace: &str,
        name: &str,
        uid: &str,
        succeeded: bool,
        observer: &mut dyn Observer,
    ) {
        let object = ObjectRef::new(super::store::kind_of(&job_key(name)), namespace, name);
        let Some(Object::Other { key, mut value }) = self.store.get(&object) else {
            return;
        };
        if value.pointer("/metadata/uid").and_then(Value::as_str) != Some(uid) {
            return;
        }
        let condition = if succeeded { "Complete" } else { "Failed" };
        if let Value::Object(members) = Arc::make_mut(&mut value) {
            let status = json!({
                "conditions": [{
                    "type": condition, "status": "True",
                    "lastTransitionTime": self.now.truncate_to_seconds(),
                }]
            });
            members.insert("status".into(), status);
        }
        let written = self.store.update(&object, Object::Other { key, value });
        self.wrote(written.ok().flatten(), observer);
    }
}

/// When a Job ends and whether it succeeds, with its retries and its deadline; none: never.
fn job_end(spec: &Value, run: &JobRun, overhead: Duration) -> Option<(Duration, bool)> {
    let number = |key: &str| spec.get(key).and_then(Value::as_i64);
    let deadline = number("activeDeadlineSeconds").map(Duration::from_secs);
    let end = run.runs_for.map(|runs_for| {
        if run.succeeds {
            return (runs_for + overhead, true);
        }
        let retries = number("backoffLimit")
            .unwrap_or(BACKOFF_LIMIT)
            .clamp(0, MAX_ATTEMPTS);
        let mut total = runs_for;
        let mut delay = RETRY_DELAY;
        for _ in 0..retries {
            total = total + delay + runs_for;
            delay = (delay + delay).min(MAX_RETRY_DELAY);
        }
        (total + overhead, false)
    });
    match (end, deadline) {
        (Some((at, _)), Some(deadline)) if deadline < at => Some((deadline, false)),
        (None, Some(deadline)) => Some((deadline, false)),
        (end, _) => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_jobs_are_retried_until_the_limit_or_the_deadline() {
        let seconds = Duration::from_secs;
        let failing = JobRun {
            waiting_reason: String::new(),
            runs_for: Some(seconds(1)),
            succeeds: false,
        };
        let end = |spec: Value, run: &JobRun| job_end(&spec, run, seconds(2));
        assert_eq!(
            end(json!({"backoffLimit": 0}), &failing),
            Some((seconds(3), false))
        );
        assert_eq!(
            end(json!({"backoffLimit": 2}), &failing),
            Some((seconds(3 + 30 + 2), false))
        );
        let passing = JobRun {
            waiting_reason: String::new(),
            runs_for: Some(seconds(1)),
            succeeds: true,
        };
        assert_eq!(end(json!({}), &passing), Some((seconds(3), true)));
        assert_eq!(
            end(json!({"activeDeadlineSeconds": 2}), &passing),
            Some((seconds(2), false))
        );
        let endless = JobRun {
            waiting_reason: String::new(),
            runs_for: None,
            succeeds: false,
        };
        assert_eq!(end(json!({}), &endless), None);
    }
}
