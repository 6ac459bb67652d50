//! Objects as they are now, and as they change.
#![allow(clippy::disallowed_methods)] // What changes on a cluster is looked at by the wall clock.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::try_join_all;
use futures::stream::{self, StreamExt};
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::cluster::{Cluster, resource};
use super::failure::Failure;
use crate::engine::objects::Kind;

/// Objects that are wanted.
#[derive(Debug, Clone)]
pub struct Query {
    pub kind: Kind,
    /// In all namespaces.
    pub everywhere: bool,
    pub label_selector: Option<String>,
    pub field_selector: Option<String>,
}

impl Query {
    /// All of a kind in the namespace.
    pub fn all(kind: Kind) -> Self {
        Self {
            kind,
            everywhere: false,
            label_selector: None,
            field_selector: None,
        }
    }

    /// Those with this label.
    pub fn labelled(kind: Kind, label: &str) -> Self {
        Self {
            label_selector: Some(label.to_owned()),
            ..Self::all(kind)
        }
    }

    /// The one of this name.
    pub fn named(kind: Kind, name: &str) -> Self {
        Self {
            field_selector: Some(format!("metadata.name={name}")),
            ..Self::all(kind)
        }
    }
}

/// The objects of each query, in its order.
pub type Found = Vec<Vec<Value>>;

/// Reads once.
///
/// # Errors
/// What the server refuses.
pub async fn gather(cluster: &Cluster, queries: &[Query]) -> Result<Found, Failure> {
    try_join_all(queries.iter().map(|query| async move {
        let parameters = ListParams {
            label_selector: query.label_selector.clone(),
            field_selector: query.field_selector.clone(),
            ..ListParams::default()
        };
        cluster
            .list(&query.kind, query.everywhere, &parameters)
            .await
    }))
    .await
}

/// Of what a watcher is told.
#[derive(Debug)]
pub enum Update<'a> {
    /// All objects, after a change, or a second after the last time.
    Objects(&'a Found),
    /// The server cannot be watched now; it is tried again.
    Trouble(String),
}

/// Whether to go on watching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<T> {
    Watch,
    End(T),
}

/// Changes are told at most so often, so that a terminal does not flicker.
const QUIET: Duration = Duration::from_millis(200);
/// Ages grow.
const REFRESH: Duration = Duration::from_secs(1);

/// Tells `told` of changes until it has seen enough, or until `timeout`, which gives none.
///
/// # Errors
/// Those of `told`, and kinds that are not known.
pub async fn follow<T, E: From<Failure>>(
    cluster: &Cluster,
    queries: &[Query],
    timeout: Option<Duration>,
    mut told: impl FnMut(Update<'_>) -> Result<Next<T>, E>,
) -> Result<Option<T>, E> {
    let mut streams = Vec::new();
    for (index, query) in queries.iter().enumerate() {
        let watched = watcher::watcher(api(cluster, query)?, configuration(query));
        let numbered = watched.default_backoff().map(move |event| (index, event));
        streams.push(numbered.boxed());
    }
    let mut events = stream::select_all(streams);
    let mut stores: Vec<Store> = queries.iter().map(|_| Store::default()).collect();
    let mut ticks = interval(QUIET);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let end = timeout.map(|timeout| Instant::now() + timeout);
    let (mut changed, mut told_at) = (false, Instant::now());
    loop {
        let over = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = events.next() => match event {
                Some((index, Ok(event))) => {
                    if let Some(store) = stores.get_mut(index) {
                        changed |= store.take(event);
                    }
                }
                Some((_, Err(error))) => {
                    if let Next::End(result) = told(Update::Trouble(error.to_string()))? {
                        return Ok(Some(result));
                    }
                }
                None => return Ok(None),
            },
            _ = ticks.tick() => {
                let is_complete = stores.iter().all(|store| store.is_complete);
                if is_complete && (changed || told_at.elapsed() >= REFRESH) {
                    (changed, told_at) = (false, Instant::now());
                    let found = stores.iter().map(Store::values).collect();
                    if let Next::End(result) = told(Update::Objects(&found))? {
                        return Ok(Some(result));
                    }
                }
            }
            () = over => return Ok(None),
        }
    }
}

fn api(cluster: &Cluster, query: &Query) -> Result<Api<DynamicObject>, Failure> {
    let resource = resource(&query.kind)?;
    let gvk = GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind);
    let described = ApiResource::from_gvk_with_plural(&gvk, &resource.plural);
    let client = cluster.client.clone();
    Ok(if query.everywhere || !resource.namespaced {
        Api::all_with(client, &described)
    } else {
        Api::namespaced_with(client, &cluster.namespace, &described)
    })
}

fn configuration(query: &Query) -> watcher::Config {
    watcher::Config {
        label_selector: query.label_selector.clone(),
        field_selector: query.field_selector.clone(),
        ..watcher::Config::default()
    }
}

/// The objects of a query by namespace and name.
#[derive(Default)]
struct Store {
    objects: BTreeMap<(String, String), Value>,
    /// Of a list that is not at its end.
    arriving: BTreeMap<(String, String), Value>,
    is_complete: bool,
}

impl Store {
    /// Whether something has changed.
    fn take(&mut self, event: Event<DynamicObject>) -> bool {
        match event {
            Event::Apply(object) => {
                let (key, value) = entry(object);
                self.objects.insert(key, value);
                true
            }
            Event::Delete(object) => {
                self.objects.remove(&entry(object).0);
                true
            }
            Event::Init => {
                self.arriving.clear();
                false
            }
            Event::InitApply(object) => {
                let (key, value) = entry(object);
                self.arriving.insert(key, value);
                false
            }
            Event::InitDone => {
                self.objects = std::mem::take(&mut self.arriving);
                self.is_complete = true;
                true
            }
        }
    }

    fn values(&self) -> Vec<Value> {
        self.objects.values().cloned().collect()
    }
}

fn entry(object: DynamicObject) -> ((String, String), Value) {
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let name = object.metadata.name.clone().unwrap_or_default();
    // What was read from JSON can be written as JSON.
    let value = serde_json::to_value(object).unwrap_or_default();
    ((namespace, name), value)
}
