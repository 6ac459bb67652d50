//! Watches: every kind that is needed, listed in pages and then followed.
//!
//! A kind that does not exist is empty, and looked for again; one that arrives later is picked up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::AsyncBufReadExt;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::api::{CallError, of_status};
use super::cache::is_newer;
use super::controller::Controller;
use super::decode::{self, Stamp};
use super::resource::Resource;
use super::signals::lock;
use crate::engine::objects::{Kind, ObjectRef};
use crate::engine::{INSTANCE_ID_LABEL, POD_TEMPLATE_HASH_LABEL};
use crate::providers::job;

/// Objects of a page of a list: what is in memory as text at once.
const PAGE: u32 = 100;
/// How long the server follows a watch; then it is asked anew from where it ended.
const WATCH_SECONDS: u32 = 240;
/// A server that says nothing for longer than a watch lasts is gone.
const SILENCE: Duration = Duration::from_secs(300);
/// How often a kind that does not exist is looked for.
const REDISCOVER: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const MAX_RETRY: Duration = Duration::from_secs(10);

/// Which kinds are watched, and which of them are known.
#[derive(Debug, Default)]
pub struct Watches(Mutex<BTreeMap<Kind, Watched>>);

#[derive(Debug, Clone, Default)]
struct Watched {
    /// Its list has been read, or there is no such kind.
    is_known: bool,
    /// As the server serves it; none before, or where there is no such kind.
    resource: Option<Arc<Resource>>,
}

impl Watches {
    /// The kinds not watched so far, which are to be watched from now on.
    fn start(&self, kinds: impl IntoIterator<Item = Kind>) -> Vec<Kind> {
        let mut watched = lock(&self.0);
        let mut new = Vec::new();
        for kind in kinds {
            if !watched.contains_key(&kind) {
                watched.insert(kind.clone(), Watched::default());
                new.push(kind);
            }
        }
        new
    }

    /// Whether all objects of these kinds are in the cache.
    pub fn are_known<'k>(&self, kinds: impl IntoIterator<Item = &'k Kind>) -> bool {
        let watched = lock(&self.0);
        kinds
            .into_iter()
            .all(|kind| watched.get(kind).is_some_and(|watched| watched.is_known))
    }

    fn set(&self, kind: &Kind, resource: Option<Arc<Resource>>, is_known: bool) {
        let watched = Watched { is_known, resource };
        lock(&self.0).insert(kind.clone(), watched);
    }

    /// The resource of a kind, in the version that the server serves where that is known.
    pub fn resource(&self, kind: &Kind) -> Option<Arc<Resource>> {
        let known = lock(&self.0)
            .get(kind)
            .and_then(|watched| watched.resource.clone());
        known.or_else(|| Resource::of(kind).map(Arc::new))
    }
}

impl Controller {
    /// Watches kinds that are not watched yet; true when all objects of all of them are known.
    pub fn need(self: &Arc<Self>, kinds: &BTreeSet<Kind>) -> bool {
        for kind in self.watches.start(kinds.iter().cloned()) {
            let controller = self.clone();
            tokio::spawn(async move {
                controller.follow(&kind).await;
            });
        }
        self.watches.are_known(kinds)
    }

    /// Keeps the cache up to date with all objects of a kind, for ever.
    async fn follow(self: &Arc<Self>, kind: &Kind) {
        let mut retry = FIRST_RETRY;
        loop {
            match self.follow_once(kind).await {
                Ok(()) => retry = FIRST_RETRY,
                Err(CallError::NotFound(_)) => {
                    self.no_longer(kind, &BTreeSet::new(), None);
                    self.watches.set(kind, None, true);
                    tokio::time::sleep(REDISCOVER).await;
                }
                Err(CallError::Expired(_)) => {}
                Err(error) => {
                    tracing::warn!(kind = kind.as_str(), %error, "the watch is tried again");
                    tokio::time::sleep(retry).await;
                    retry = retry.saturating_mul(2).min(MAX_RETRY);
                }
            }
        }
    }

    /// Lists, and follows until the server has forgotten where we are.
    async fn follow_once(self: &Arc<Self>, kind: &Kind) -> Result<(), CallError> {
        let resource = Arc::new(self.discover(kind).await?);
        let mut version = self.list(kind, &resource).await?;
        self.watches.set(kind, Some(resource.clone()), true);
        let mut retry = FIRST_RETRY;
        loop {
            match self.watch(kind, &resource, &mut version).await {
                Ok(()) => retry = FIRST_RETRY,
                Err(error @ (CallError::Expired(_) | CallError::NotFound(_))) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::debug!(kind = kind.as_str(), %error, "the watch broke off");
                    tokio::time::sleep(retry).await;
                    retry = retry.saturating_mul(2).min(MAX_RETRY);
                }
            }
        }
    }

    /// The resource in the version that is built, or where that is not served in the preferred one.
    async fn discover(&self, kind: &Kind) -> Result<Resource, CallError> {
        let missing = || CallError::NotFound(format!("no resource of kind {}", kind.as_str()));
        let mut resource = Resource::of(kind).ok_or_else(missing)?;
        let built_in = matches!(
            resource.group.as_str(),
            "" | "apps" | "batch" | "networking.k8s.io"
        );
        if built_in {
            return Ok(resource);
        }
        let group: Value = self
            .api
            .tree("get", "discovery", &format!("/apis/{}", resource.group))
            .await?;
        let versions = group.get("versions").and_then(Value::as_array);
        let served = versions
            .into_iter()
            .flatten()
            .filter_map(|version| version.get("version")?.as_str());
        if !served.clone().any(|version| version == resource.version) {
            let preferred = group.pointer("/preferredVersion/version");
            let preferred = preferred.and_then(Value::as_str).ok_or_else(missing)?;
            preferred.clone_into(&mut resource.version);
        }
        Ok(resource)
    }

    async fn list(self: &Arc<Self>, kind: &Kind, resource: &Resource) -> Result<String, CallError> {
        let collection = resource.collection(self.options.namespace.as_deref());
        let selector = self.selector(kind);
        let mut seen = BTreeSet::new();
        let mut next = String::new();
        loop {
            let mut path = format!("{collection}?limit={PAGE}{selector}");
            if !next.is_empty() {
                path.push_str("&continue=");
                path.push_str(&percent_encode(&next));
            }
            let text = self.api.read("list", &resource.plural, &path).await?;
            let page: Page = serde_json::from_str(&text)
                .map_err(|error| CallError::Unreadable(error.to_string()))?;
            for item in &page.items {
                seen.extend(self.observe(kind, item.get()));
            }
            next = page.metadata.next.unwrap_or_default();
            if next.is_empty() {
                let version = page.metadata.resource_version;
                self.no_longer(kind, &seen, Some(&version));
                return Ok(version);
            }
        }
    }

    /// Follows from `version` on, which moves along; ends when the server ends it.
    async fn watch(
        self: &Arc<Self>,
        kind: &Kind,
        resource: &Resource,
        version: &mut String,
    ) -> Result<(), CallError> {
        let collection = resource.collection(self.options.namespace.as_deref());
        let selector = self.selector(kind);
        let path = format!(
            "{collection}?watch=1&resourceVersion={version}&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}{selector}"
        );
        let mut lines = self.api.watch(&resource.plural, &path).await?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = tokio::time::timeout(SILENCE, lines.read_until(b'\n', &mut line)).await;
            match read {
                Err(_) => return Err(CallError::Unreachable("silence".into())),
                Ok(Err(error)) => return Err(CallError::Unreachable(error.to_string())),
                Ok(Ok(0)) => return Ok(()),
                Ok(Ok(_)) => {}
            }
            let event: Event = serde_json::from_slice(&line)
                .map_err(|error| CallError::Unreadable(error.to_string()))?;
            let text = event.object.get();
            match event.type_ {
                "ADDED" | "MODIFIED" => {
                    self.observe(kind, text);
                }
                "DELETED" => self.take_out(kind, text),
                "BOOKMARK" => {}
                _ => {
                    let status: Status = serde_json::from_str(text)
                        .map_err(|error| CallError::Unreadable(error.to_string()))?;
                    return Err(of_status(status.code, &status.reason, status.message));
                }
            }
            let stamped = decode::stamp(text).map_err(CallError::Unreadable)?;
            stamped
                .metadata
                .resource_version
                .as_ref()
                .clone_into(version);
            // A line is as long as its object; the longest is not to be kept.
            if line.capacity() > 64 << 10 {
                line = Vec::new();
            }
        }
    }

    fn take_out(self: &Arc<Self>, kind: &Kind, text: &str) {
        if let Ok(stamped) = decode::stamp(text) {
            let Stamp {
                name,
                namespace,
                uid,
                resource_version: _,
            } = stamped.metadata;
            let reference = ObjectRef::new(kind.clone(), namespace, name);
            self.gone(&reference, Some(&uid));
        }
    }

    /// Drops what a list as of `version` did not have.
    fn no_longer(self: &Arc<Self>, kind: &Kind, seen: &BTreeSet<ObjectRef>, version: Option<&str>) {
        let known = lock(&self.cache).of_kind(kind);
        for reference in known {
            if seen.contains(&reference) {
                continue;
            }
            let object = lock(&self.cache).get(&reference);
            let Some(object) = object else {
                self.gone(&reference, None);
                continue;
            };
            let (uid, its_version) = object.identity();
            // What was written since is in no list of before.
            if version.is_none_or(|version| !is_newer(its_version, version)) {
                self.gone(&reference, Some(uid));
            }
        }
    }

    /// `&labelSelector=...` of the objects of a kind that concern this controller.
    fn selector(&self, kind: &Kind) -> String {
        let selector = match kind {
            Kind::Rollout
            | Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate
            | Kind::AnalysisRun
            | Kind::Experiment => match &self.options.instance_id {
                Some(id) => format!("{INSTANCE_ID_LABEL}={id}"),
                None => format!("!{INSTANCE_ID_LABEL}"),
            },
            Kind::ReplicaSet => POD_TEMPLATE_HASH_LABEL.to_owned(),
            Kind::Other { group, kind } if group == "batch" && kind == "Job" => {
                job::UID_LABEL.to_owned()
            }
            Kind::Pod | Kind::Service | Kind::Secret | Kind::Other { group: _, kind: _ } => {
                return String::new();
            }
        };
        format!("&labelSelector={}", percent_encode(&selector))
    }
}

/// For a value in a query.
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[derive(Deserialize)]
struct Page<'t> {
    metadata: PageMetadata,
    // The API gives null for an empty list of some kinds.
    #[serde(borrow, default, deserialize_with = "items_or_null")]
    items: Vec<&'t RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

fn items_or_null<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<&'de RawValue>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize)]
struct Event<'t> {
    #[serde(rename = "type")]
    type_: &'t str,
    #[serde(borrow)]
    object: &'t RawValue,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_events_are_read_without_copies() {
        let page: Page = serde_json::from_str(
            r#"{"kind":"L","metadata":{"resourceVersion":"5","continue":"a/b"},"items":[{"a":1},{}]}"#,
        )
        .unwrap();
        assert_eq!(page.items.len(), 2);
        assert_eq!(page.metadata.next.as_deref(), Some("a/b"));
        let empty: Page =
            serde_json::from_str(r#"{"metadata":{"resourceVersion":"5"},"items":null}"#).unwrap();
        assert!(empty.items.is_empty());
        let event: Event =
            serde_json::from_str(r#"{"type":"ADDED","object":{"metadata":{}}}"#).unwrap();
        assert_eq!(event.type_, "ADDED");
        assert_eq!(percent_encode("!a/b=c"), "%21a%2Fb%3Dc");
    }

    #[test]
    fn a_kind_is_started_once() {
        let watches = Watches::default();
        assert_eq!(watches.start([Kind::Rollout]), [Kind::Rollout]);
        assert_eq!(watches.start([Kind::Rollout, Kind::Pod]), [Kind::Pod]);
        assert!(!watches.are_known(&[Kind::Rollout]));
        watches.set(&Kind::Rollout, None, true);
        assert!(watches.are_known(&[Kind::Rollout]));
    }
}
