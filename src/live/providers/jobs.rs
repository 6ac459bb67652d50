//! Measurements that are Jobs of the cluster.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::{Api, Client, Resource};
use serde_json::{Map, Value};

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
        serde_json::from_value::<DynamicObject>(wanted).map_err(|error| error.to_string())
    });
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(message) => return Ok(error_measurement(message, now, now)),
    };
    let namespace = &run.metadata.namespace;
    let name = wanted.metadata.name.clone().unwrap_or_default();
    let jobs = objects_of::<Job>(client, namespace);
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
    let jobs = objects_of::<Job>(client, namespace);
    let Some(found) = jobs.get_opt(name).await? else {
        return Ok(job::resume(measurement, None, None, now));
    };
    let stuck = stuck_pod(client, namespace, &found.data).await?;
    Ok(job::resume(
        measurement,
        Some(&found.data),
        stuck.as_ref(),
        now,
    ))
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
    let jobs = objects_of::<Job>(client, namespace);
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

/// Objects of a kind as JSON: their types with all that pods can say would be the largest part of
/// the program.
fn objects_of<K: Resource<DynamicType = ()>>(
    client: &Client,
    namespace: &str,
) -> Api<DynamicObject> {
    let kind = ApiResource::erase::<K>(&());
    Api::namespaced_with(client.clone(), namespace, &kind)
}

/// The first container of an unfinished Job that will never start by itself.
async fn stuck_pod(
    client: &Client,
    namespace: &str,
    job: &Value,
) -> Result<Option<StuckPod>, MeasureError> {
    let active = job.pointer("/status/active").and_then(Value::as_i64);
    let selector = job.pointer("/spec/selector/matchLabels");
    let Some(selector) = selector
        .and_then(Value::as_object)
        .filter(|_| active.is_some_and(|active| active > 0))
    else {
        return Ok(None);
    };
    let selector: Vec<String> = selector
        .iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    let selected = ListParams::default().labels(&selector.join(","));
    let pods = objects_of::<Pod>(client, namespace).list(&selected).await?;
    Ok(pods.into_iter().find_map(|pod| {
        let name = pod.metadata.name.unwrap_or_default();
        ["initContainerStatuses", "containerStatuses"]
            .iter()
            .filter_map(|member| pod.data.get("status")?.get(member)?.as_array())
            .flatten()
            .filter_map(|container| waiting(&name, container))
            .find(StuckPod::is_terminal)
    }))
}

fn waiting(pod: &str, container: &Value) -> Option<StuckPod> {
    let waiting = container.pointer("/state/waiting")?.as_object()?;
    let text = |of: &Map<String, Value>, member: &str| {
        let text = of.get(member).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    Some(StuckPod {
        pod: pod.to_owned(),
        container: text(container.as_object()?, "name")?,
        reason: text(waiting, "reason")?,
        message: text(waiting, "message").unwrap_or_default(),
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
