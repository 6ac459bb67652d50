//! Requests to an API server, objects as JSON.

use futures::{Stream, StreamExt};
use kube::Client;
use kube::api::{
    DynamicObject, GetParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::core::{ApiResource, GroupVersionKind, Request};
use serde_json::Value;

use super::failure::{FailedRequest, Failure};

/// A kind of object that users' commands read or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    /// The resource's plural, as in a URL.
    pub resource: &'static str,
    pub namespaced: bool,
}

const fn of_argo(kind: &'static str, resource: &'static str, namespaced: bool) -> Kind {
    Kind {
        group: "argoproj.io",
        version: "v1alpha1",
        kind,
        resource,
        namespaced,
    }
}

const fn of_kubernetes(group: &'static str, kind: &'static str, resource: &'static str) -> Kind {
    Kind {
        group,
        version: "v1",
        kind,
        resource,
        namespaced: true,
    }
}

pub const ROLLOUT: Kind = of_argo("Rollout", "rollouts", true);
pub const EXPERIMENT: Kind = of_argo("Experiment", "experiments", true);
pub const ANALYSIS_RUN: Kind = of_argo("AnalysisRun", "analysisruns", true);
pub const ANALYSIS_TEMPLATE: Kind = of_argo("AnalysisTemplate", "analysistemplates", true);
pub const CLUSTER_ANALYSIS_TEMPLATE: Kind =
    of_argo("ClusterAnalysisTemplate", "clusteranalysistemplates", false);
pub const REPLICA_SET: Kind = of_kubernetes("apps", "ReplicaSet", "replicasets");
pub const DEPLOYMENT: Kind = of_kubernetes("apps", "Deployment", "deployments");
pub const POD: Kind = of_kubernetes("", "Pod", "pods");
pub const POD_TEMPLATE: Kind = of_kubernetes("", "PodTemplate", "podtemplates");

impl Kind {
    /// As messages name it: `rollouts.argoproj.io`, `pods`.
    pub fn full_name(&self) -> String {
        match self.group {
            "" => self.resource.to_owned(),
            group => format!("{}.{group}", self.resource),
        }
    }

    fn url(&self, namespace: Option<&str>) -> String {
        let gvk = GroupVersionKind::gvk(self.group, self.version, self.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, self.resource);
        let namespace = namespace.filter(|_| self.namespaced);
        <DynamicObject as kube::Resource>::url_path(&resource, namespace)
    }
}

/// An API server, and the namespace to work in.
#[derive(Clone)]
pub struct Cluster {
    pub client: Client,
    pub namespace: String,
    /// Address of the server, for messages.
    pub server: String,
}

/// Objects, and the version of the collection they were read at.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub items: Vec<Value>,
    pub resource_version: String,
}

impl Cluster {
    /// One object.
    ///
    /// # Errors
    /// What the server refuses; see [`Failure`].
    pub async fn get(&self, kind: &Kind, name: &str) -> Result<Value, Failure> {
        check_name(kind, name)?;
        let request = Request::new(kind.url(Some(&self.namespace)));
        self.send("get", kind, request.get(name, &GetParams::default()))
            .await
    }

    /// The objects of the namespace, or of all where `everywhere`.
    ///
    /// # Errors
    /// As [`Cluster::get`].
    pub async fn list(
        &self,
        kind: &Kind,
        everywhere: bool,
        parameters: &ListParams,
    ) -> Result<Listed, Failure> {
        let namespace = (!everywhere).then_some(self.namespace.as_str());
        let request = Request::new(kind.url(namespace)).list(parameters);
        let mut list: Value = self.send("list", kind, request).await?;
        let resource_version = list
            .pointer("/metadata/resourceVersion")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let items = match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            Some(_) | None => Vec::new(),
        };
        Ok(Listed {
            items,
            resource_version,
        })
    }

    /// What happens to the objects after `resource_version`.
    ///
    /// # Errors
    /// As [`Cluster::get`].
    pub async fn watch(
        &self,
        kind: &Kind,
        everywhere: bool,
        parameters: &WatchParams,
        resource_version: &str,
    ) -> Result<impl Stream<Item = Result<WatchEvent<Value>, Failure>> + use<>, Failure> {
        let namespace = (!everywhere).then_some(self.namespace.as_str());
        let request = Request::new(kind.url(namespace))
            .watch(parameters, resource_version)
            .map_err(|error| self.failure("watch", kind, kube::Error::BuildRequest(error)))?;
        let events = self.client.request_events::<Value>(request).await;
        let events = events.map_err(|error| self.failure("watch", kind, error))?;
        let (cluster, kind) = (self.clone(), *kind);
        Ok(events.map(move |event: kube::Result<WatchEvent<Value>>| {
            event.map_err(|error| cluster.failure("watch", &kind, error))
        }))
    }

    /// The object as changed by `patch`, which goes to its status where `status`.
    ///
    /// # Errors
    /// As [`Cluster::get`].
    pub async fn patch(
        &self,
        kind: &Kind,
        name: &str,
        status: bool,
        patch: &Patch<Value>,
    ) -> Result<Value, Failure> {
        check_name(kind, name)?;
        let request = Request::new(kind.url(Some(&self.namespace)));
        let parameters = PatchParams::default();
        let request = if status {
            request.patch_subresource("status", name, &parameters, patch)
        } else {
            request.patch(name, &parameters, patch)
        };
        self.send("patch", kind, request).await
    }

    /// The object as created in its own namespace, else in the one to work in.
    ///
    /// # Errors
    /// As [`Cluster::get`].
    pub async fn create(&self, kind: &Kind, object: &Value) -> Result<Value, Failure> {
        let own = object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str);
        let namespace = own.unwrap_or(&self.namespace);
        let request = Request::new(kind.url(Some(namespace)))
            .create(&PostParams::default(), object.to_string().into_bytes());
        self.send("create", kind, request).await
    }

    async fn send(
        &self,
        verb: &'static str,
        kind: &Kind,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Value, Failure> {
        let answer = match request {
            Ok(request) => self.client.request::<Value>(request).await,
            Err(error) => Err(kube::Error::BuildRequest(error)),
        };
        answer.map_err(|error| self.failure(verb, kind, error))
    }

    fn failure(&self, verb: &'static str, kind: &Kind, error: kube::Error) -> Failure {
        Failure::Request(Box::new(FailedRequest {
            verb,
            kind: *kind,
            namespace: self.namespace.clone(),
            server: self.server.clone(),
            error,
        }))
    }
}

/// Names stand in URLs as they are.
fn check_name(kind: &Kind, name: &str) -> Result<(), Failure> {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !name.is_empty() && name.bytes().all(is_usual) && !name.starts_with('.') {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "{name:?} is no name of an object; `rollproof list {}` shows those there are",
        kind.resource
    )))
}
