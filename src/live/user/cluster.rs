//! Requests to an API server, objects as JSON.

use kube::Client;
use kube::api::{GetParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use serde_json::Value;

use super::failure::{FailedRequest, Failure};
use crate::engine::objects::Kind;
use crate::live::resource::Resource;

/// An API server, and the namespace to work in.
#[derive(Clone)]
pub struct Cluster {
    pub client: Client,
    pub namespace: String,
    /// Address of the server, for messages.
    pub server: String,
}

impl Cluster {
    /// One object.
    ///
    /// # Errors
    /// What the server refuses; see [`Failure`].
    pub async fn get(&self, kind: &Kind, name: &str) -> Result<Value, Failure> {
        let resource = resource(kind)?;
        check_name(&resource, name)?;
        let request = Request::new(resource.collection(Some(&self.namespace)));
        self.send("get", &resource, request.get(name, &GetParams::default()))
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
    ) -> Result<Vec<Value>, Failure> {
        let namespace = (!everywhere).then_some(self.namespace.as_str());
        let resource = resource(kind)?;
        let request = Request::new(resource.collection(namespace)).list(parameters);
        let mut list: Value = self.send("list", &resource, request).await?;
        let mut items = match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            Some(_) | None => Vec::new(),
        };
        // Lists of built-in objects do not repeat what these are.
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.insert("apiVersion".into(), resource.api_version().into());
            item.insert("kind".into(), resource.kind.clone().into());
        }
        Ok(items)
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
        let resource = resource(kind)?;
        check_name(&resource, name)?;
        let request = Request::new(resource.collection(Some(&self.namespace)));
        let parameters = PatchParams::default();
        let request = if status {
            request.patch_subresource("status", name, &parameters, patch)
        } else {
            request.patch(name, &parameters, patch)
        };
        self.send("patch", &resource, request).await
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
        let resource = resource(kind)?;
        let request = Request::new(resource.collection(Some(namespace)))
            .create(&PostParams::default(), object.to_string().into_bytes());
        self.send("create", &resource, request).await
    }

    async fn send(
        &self,
        verb: &'static str,
        resource: &Resource,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Value, Failure> {
        let answer = match request {
            Ok(request) => self.client.request::<Value>(request).await,
            Err(error) => Err(kube::Error::BuildRequest(error)),
        };
        answer.map_err(|error| {
            Failure::Request(Box::new(FailedRequest {
                verb,
                resource: resource.clone(),
                namespace: self.namespace.clone(),
                server: self.server.clone(),
                error,
            }))
        })
    }
}

/// Where the API has objects of this kind.
pub(super) fn resource(kind: &Kind) -> Result<Resource, Failure> {
    Resource::of(kind).ok_or_else(|| {
        Failure::Refused(format!(
            "objects of kind {} are not known here",
            kind.as_str()
        ))
    })
}

/// Names stand in URLs as they are.
fn check_name(resource: &Resource, name: &str) -> Result<(), Failure> {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !name.is_empty() && name.bytes().all(is_usual) && !name.starts_with('.') {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "{name:?} is no name of an object; `rollproof list {}` shows those there are",
        resource.plural
    )))
}
