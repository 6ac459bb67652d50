//! Carries out planned writes, and takes what the API server answers into the cache at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::api::CallError;
use super::controller::Controller;
use super::decode;
use super::plan::{Call, Step, Write};
use super::reconcile::Failure;
use super::signals::lock;
use super::watch::percent_encode;
use crate::engine::POD_TEMPLATE_HASH_LABEL;
use crate::engine::objects::{Kind, Object, ObjectRef};
use crate::spec::analysis::AnalysisRun;

/// Resource versions of what was written in this reconciliation: further writes follow them.
pub type Versions = BTreeMap<ObjectRef, String>;

impl Controller {
    /// Does a step.
    pub(super) async fn carry_out(
        self: &Arc<Self>,
        object: &ObjectRef,
        step: Step,
        versions: &mut Versions,
    ) -> Result<(), Failure> {
        match step {
            Step::Write(write) => self.write(write, versions).await,
            Step::StopMeasurement {
                metric: _,
                measurement,
            } => {
                let run = lock(&self.cache).get(object);
                if let Some(Object::AnalysisRun(run)) = run {
                    self.measurer.stop(&run, &measurement).await?;
                }
                Ok(())
            }
            Step::Fail(message) => Err(Failure::Decision(message)),
        }
    }

    /// Writes. After a conflict the object is read again, so that the next decision is on what is.
    pub(super) async fn write(
        self: &Arc<Self>,
        write: Write,
        versions: &mut Versions,
    ) -> Result<(), Failure> {
        let Write {
            target,
            call,
            based_on,
        } = write;
        let Some(resource) = self.watches.resource(&target.kind) else {
            let message = format!("{target} is of no known kind");
            return Err(Failure::Decision(message));
        };
        let path = resource.object(&target);
        let plural = &resource.plural;
        let version = versions.get(&target).cloned().or(based_on);
        let answer = match call {
            Call::Create(mut body) => {
                if let Some(members) = body.as_object_mut() {
                    members.insert("apiVersion".into(), resource.api_version().into());
                    members.insert("kind".into(), resource.kind.clone().into());
                }
                let collection = resource.collection(Some(&target.namespace));
                self.api.write("create", plural, &collection, &body).await
            }
            Call::Patch(patch) => {
                let patch = on_version(patch, version);
                self.api.write("patch", plural, &path, &patch).await
            }
            Call::PatchStatus(patch) => {
                let patch = on_version(patch, version);
                let path = format!("{path}/status");
                self.api.write("patch", plural, &path, &patch).await
            }
            Call::Delete { uid } => {
                let body = json!({
                    "propagationPolicy": "Background", "preconditions": {"uid": uid},
                });
                match self.api.write("delete", plural, &path, &body).await {
                    // It is there until its finalizers are gone.
                    Ok(left) if decode::stamp(&left).is_ok_and(|left| left.kind != "Status") => {
                        Ok(left)
                    }
                    Ok(_) | Err(CallError::NotFound(_)) => {
                        self.gone(&target, Some(&uid));
                        return Ok(());
                    }
                    // Another object of this name is not the one to be deleted.
                    Err(error) => Err(error),
                }
            }
            Call::Evict => {
                let body = json!({
                    "apiVersion": "policy/v1", "kind": "Eviction",
                    "metadata": {"name": target.name, "namespace": target.namespace},
                });
                let path = format!("{path}/eviction");
                return match self.api.write("create", "pods", &path, &body).await {
                    Ok(_) | Err(CallError::NotFound(_)) => Ok(()),
                    Err(error) => Err(error.into()),
                };
            }
        };
        match answer {
            Ok(text) => {
                if let Ok(stamped) = decode::stamp(&text) {
                    let version = stamped.metadata.resource_version.into_owned();
                    versions.insert(target.clone(), version);
                }
                // Pods are not kept.
                if target.kind != Kind::Pod {
                    self.observe(&target.kind, &text);
                }
                Ok(())
            }
            Err(error) => {
                match &error {
                    CallError::Conflict(_) | CallError::AlreadyExists(_) => {
                        self.read_again(&target).await;
                    }
                    CallError::NotFound(_) => self.gone(&target, None),
                    CallError::Expired(_)
                    | CallError::Refused {
                        code: _,
                        message: _,
                    }
                    | CallError::Unreachable(_)
                    | CallError::Unreadable(_)
                    | CallError::NotLeading => {}
                }
                Err(error.into())
            }
        }
    }

    async fn read_again(self: &Arc<Self>, target: &ObjectRef) {
        let Some(resource) = self.watches.resource(&target.kind) else {
            return;
        };
        match self
            .api
            .read("get", &resource.plural, &resource.object(target))
            .await
        {
            Ok(text) => {
                self.observe(&target.kind, &text);
            }
            Err(CallError::NotFound(_)) => self.gone(target, None),
            Err(error) => tracing::debug!(object = %target, %error, "not read again"),
        }
    }

    /// Whether an object of this name exists, whatever the cache says.
    pub(super) async fn exists(&self, object: &ObjectRef) -> Result<bool, CallError> {
        let Some(resource) = self.watches.resource(&object.kind) else {
            return Ok(false);
        };
        let path = resource.object(object);
        match self.api.read("get", &resource.plural, &path).await {
            Ok(_) => Ok(true),
            Err(CallError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts the pods of a Rollout's namespace into the cache for one decision.
    pub(super) async fn fetch_pods(self: &Arc<Self>, object: &ObjectRef) -> Result<(), Failure> {
        let path = format!(
            "/api/v1/namespaces/{}/pods?labelSelector={POD_TEMPLATE_HASH_LABEL}",
            object.namespace
        );
        let list = self.api.tree("list", "pods", &path).await?;
        let items = list.get("items").and_then(Value::as_array);
        let mut pods = BTreeMap::new();
        for item in items.into_iter().flatten() {
            if let Ok(Object::Pod(pod)) = Object::from_json_of(&Kind::Pod, item.clone()) {
                pods.insert(pod.metadata.name.clone(), pod);
            }
        }
        if let Some(place) = lock(&self.cache).known_place_mut(&object.namespace) {
            place.observed.pods = pods;
        }
        Ok(())
    }

    pub(super) fn forget_pods(&self, object: &ObjectRef) {
        if let Some(place) = lock(&self.cache).known_place_mut(&object.namespace) {
            place.observed.pods.clear();
        }
    }

    /// The data of the secrets that an unfinished run's arguments name; those that are missing are
    /// left out.
    pub(super) async fn fetch_secrets(
        &self,
        object: &ObjectRef,
        run: &AnalysisRun,
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, Failure> {
        let mut secrets = BTreeMap::new();
        if run.status.phase.is_completed() {
            return Ok(secrets);
        }
        let references = run.spec.args.iter().filter_map(|argument| {
            let from = argument.value_from.as_ref()?;
            Some(from.secret_key_ref.as_ref()?.name.as_str())
        });
        for name in references.collect::<BTreeSet<_>>() {
            let name_in_path = percent_encode(name);
            let path = format!(
                "/api/v1/namespaces/{}/secrets/{name_in_path}",
                object.namespace
            );
            let tree = match self.api.tree("get", "secrets", &path).await {
                Ok(tree) => tree,
                Err(CallError::NotFound(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            let read = Object::from_json_of(&Kind::Secret, tree).map_err(Failure::Decision)?;
            if let Object::Secret { name, data } = read {
                secrets.insert(name, data);
            }
        }
        Ok(secrets)
    }
}

fn on_version(mut patch: Value, version: Option<String>) -> Value {
    if let (Some(version), Some(members)) = (version, patch.as_object_mut()) {
        let metadata = members.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("resourceVersion".into(), version.into());
        }
    }
    patch
}
