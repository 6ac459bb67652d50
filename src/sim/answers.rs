//! Takes measurements: of Jobs from the simulated cluster, of all else from the metric source.

use serde_json::Value;

use crate::engine::{POD_TEMPLATE_HASH_LABEL, Pod};
use crate::providers::job::StuckPod;
use crate::providers::{self, job};
use crate::spec::analysis::{AnalysisRun, Measurement, Metric};
use crate::time::Duration;

use super::metrics::{MetricAnswer, MetricRequest, MetricSource};
use super::observer::Observer;
use super::pods::PodModel;
use super::simulation::Simulation;
use super::store::{Object, kind_of};
use super::time_fields::TruncateTimes;
use super::world::{ObjectRef, job_key};

impl<M: MetricSource, P: PodModel> Simulation<M, P> {
    /// A measurement and how long it took.
    pub(super) fn measure(
        &mut self,
        object: &ObjectRef,
        run: &AnalysisRun,
        metric: &Metric,
        resume: Option<&Measurement>,
        observer: &mut dyn Observer,
    ) -> (Measurement, Duration) {
        let now = self.controller_now();
        let (mut result, took) = if metric.provider.job.is_some() {
            (
                self.measure_by_job(&object.namespace, run, metric, resume, observer),
                Duration::ZERO,
            )
        } else if let Some(message) = self.faults.outage(&metric.name, self.now) {
            (
                providers::error_measurement(message, now, now),
                Duration::ZERO,
            )
        } else {
            let answer = self.metrics.measure(&MetricRequest {
                metric,
                judged: run
                    .metadata
                    .labels
                    .get(POD_TEMPLATE_HASH_LABEL)
                    .map(String::as_str),
                now,
                cluster_time: self.now,
            });
            let MetricAnswer { measurement, took } = answer;
            (measurement, took.max(Duration::ZERO))
        };
        result.truncate_times();
        observer.measured(self.now, object, metric, &result);
        (result, took)
    }

    fn measure_by_job(
        &mut self,
        namespace: &str,
        run: &AnalysisRun,
        metric: &Metric,
        resume: Option<&Measurement>,
        observer: &mut dyn Observer,
    ) -> Measurement {
        let now = self.controller_now();
        if let Some(measurement) = resume {
            let name = measurement
                .metadata
                .get(job::JOB_NAME_KEY)
                .cloned()
                .unwrap_or_default();
            let stored = self.stored_job(namespace, &name);
            let stuck = self.stuck_pod(namespace, &name);
            return job::resume(measurement, stored.as_ref(), stuck.as_ref(), now);
        }
        let wanted = match job::create(run, metric) {
            Ok(wanted) => wanted,
            Err(message) => return providers::error_measurement(message, now, now),
        };
        let name = wanted
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        // One that this run made before is as good as a new one.
        if self.stored_job(namespace, &name).is_none() {
            let created = Object::from_json(wanted)
                .and_then(|object| self.controller_create(namespace, object, observer));
            if let Err(message) = created {
                return providers::error_measurement(message, now, now);
            }
        }
        job::started(&name, namespace, now)
    }

    fn stored_job(&self, namespace: &str, name: &str) -> Option<Value> {
        let object = ObjectRef::new(kind_of(&job_key(name)), namespace, name);
        match self.store.get(&object)? {
            Object::Other { key: _, value } => Some(value.as_ref().clone()),
            _ => None,
        }
    }

    /// The first pod of a Job that waits for something.
    fn stuck_pod(&self, namespace: &str, job: &str) -> Option<StuckPod> {
        let observed = self.store.world.observed(namespace)?;
        let is_own = |pod: &&std::sync::Arc<Pod>| {
            let owner = pod.metadata.controller();
            owner.is_some_and(|owner| owner.kind == "Job" && owner.name == job)
        };
        let waits = |pod: &&std::sync::Arc<Pod>| !pod.waiting_reason.is_empty();
        let pod = observed.pods.values().filter(is_own).find(waits)?;
        let container = self
            .stored_job(namespace, job)?
            .pointer("/spec/template/spec/containers/0/name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        Some(StuckPod {
            pod: pod.metadata.name.clone(),
            container,
            reason: pod.waiting_reason.clone(),
            message: "Back-off pulling image".into(),
        })
    }

    /// Deletes the Job of an unfinished measurement.
    pub(super) fn stop_measurement(
        &mut self,
        namespace: &str,
        measurement: &Measurement,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        if let Some(name) = measurement.metadata.get(job::JOB_NAME_KEY) {
            let object = ObjectRef::new(kind_of(&job_key(name)), namespace, name);
            let written = self.store.delete(&object);
            self.wrote(written, observer);
        }
        Ok(())
    }
}
