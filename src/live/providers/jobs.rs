//! Measurements that are Jobs of the cluster.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::Value;

use crate::providers::job::{self, StuckPod};
use crate::providers::{error_measurement, job::JOB_NAME_KEY, job::JOB_NAMESPACE_KEY};
use crate::spec::analysis::{AnalysisRun, Measurement, Metric};
use crate::time::Timestamp;

use super::MeasureError;

/// Creates the Job of the next measurement; one that this run made before is as good.
pub(super) async fn start(
    client: &Client,
    run: &AnalysisRun,
    metric: &Metric,
    now: Timestamp,
) -> Result<Measurement, MeasureError> {
    let wanted = job::create(run, metric).and_then(|wanted| {
        serde_json::from_value::<Job>(wanted).map_err(|error| error.to_string())
    });
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(message) => return Ok(error_measurement(message, now, now)),
    };
    let namespace = &run.metadata.namespace;
    let name = wanted.metadata.name.clone().unwrap_or_default();
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let created = jobs.create(&PostParams::default(), &wanted).await;
    let refusal = match created {
        Ok(_) => return Ok(job::started(&name, namespace, now)),
        Err(error) => refusal(error)?,
    };
    if refusal.code == 409 {
        let existing = jobs.get_opt(&name).await?;
        let owners = existing.and_then(|job| job.metadata.owner_references);
        if owners
            .into_iter()
            .flatten()
            .any(|owner| owner.controller == Some(true) && owner.uid == run.metadata.uid)
        {
            return Ok(job::started(&name, namespace, now));
        }
    }
    Ok(error_measurement(refusal.message, now, now))
}

/// Looks at the Job of an unfinished measurement.
pub(super) async fn look(
    client: &Client,
    run: &AnalysisRun,
    measurement: &Measurement,
    now: Timestamp,
) -> Result<Measurement, MeasureError> {
    let Some((namespace, name)) = named(run, measurement) else {
        return Ok(job::resume(measurement, None, None, now));
    };
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let Some(found) = jobs.get_opt(name).await? else {
        return Ok(job::resume(measurement, None, None, now));
    };
    let stuck = stuck_pod(client, namespace, &found).await?;
    let found: Value = serde_json::to_value(&found)?;
    Ok(job::resume(measurement, Some(&found), stuck.as_ref(), now))
}

/// Deletes the Job of a measurement, with its pods.
pub(super) async fn stop(
    client: &Client,
    run: &AnalysisRun,
    measurement: &Measurement,
) -> Result<(), MeasureError> {
    let Some((namespace, name)) = named(run, measurement) else {
        return Ok(());
    };
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    match jobs.delete(name, &DeleteParams::foreground()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn named<'a>(run: &'a AnalysisRun, measurement: &'a Measurement) -> Option<(&'a str, &'a str)> {
    let metadata = &measurement.metadata;
    let filled = |key: &str| {
        metadata
            .get(key)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    };
    let namespace = filled(JOB_NAMESPACE_KEY).unwrap_or(&run.metadata.namespace);
    Some((namespace, filled(JOB_NAME_KEY)?))
}

/// The first container of an unfinished Job that will never start by itself.
async fn stuck_pod(
    client: &Client,
    namespace: &str,
    job: &Job,
) -> Result<Option<StuckPod>, MeasureError> {
    let status = job.status.as_ref();
    let is_active = status.is_some_and(|status| status.active.unwrap_or(0) > 0);
    let selector = job
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.as_ref()?.match_labels.as_ref());
    let Some(selector) = selector.filter(|_| is_active) else {
        return Ok(None);
    };
    let selector: Vec<String> = selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = pods
        .list(&ListParams::default().labels(&selector.join(",")))
        .await?;
    Ok(pods.into_iter().find_map(|pod| {
        let status = pod.status?;
        let statuses = status.init_container_statuses.into_iter().flatten();
        let name = pod.metadata.name.unwrap_or_default();
        statuses
            .chain(status.container_statuses.into_iter().flatten())
            .filter_map(|container| waiting(&name, container))
            .find(StuckPod::is_terminal)
    }))
}

fn waiting(pod: &str, container: ContainerStatus) -> Option<StuckPod> {
    let waiting = container.state?.waiting?;
    Some(StuckPod {
        pod: pod.to_owned(),
        container: container.name,
        reason: waiting.reason?,
        message: waiting.message.unwrap_or_default(),
    })
}

/// The API server's verdict on a request; another error, and a server that cannot serve now, says
/// nothing about the Job.
fn refusal(error: kube::Error) -> Result<Box<kube::core::Status>, MeasureError> {
    match error {
        kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429 => {
            Ok(status)
        }
        other => Err(other.into()),
    }
}
