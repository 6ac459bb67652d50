//! Kubernetes events: what users see in `kubectl describe`.
//!
//! What becomes of equal and of many events is decided as in a simulation; see
//! [`crate::sim::event_recorder`]. They are sent in the background and are never worth waiting for.

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::api::{Api, CallError};
use super::signals::lock;
use crate::engine::objects::ObjectRef;
use crate::engine::{Event, EventKind};
use crate::sim::EventOutcome;
use crate::sim::event_recorder::EventRecorder;
use crate::spec::meta::ObjectMeta;
use crate::time::Timestamp;

/// Name of the controller in events, as users and tools know it.
const COMPONENT: &str = "rollouts-controller";
/// Events that wait to be sent; beyond it the newest are lost.
const WAITING: usize = 10_000;
/// How many of them are taken at a time, and of how many objects they are sent at once.
const AT_A_TIME: usize = 32;
const LANES: usize = 4;

/// Takes events and sends them.
pub struct Events {
    recorder: Mutex<EventRecorder>,
    sender: mpsc::Sender<Sending>,
}

/// An event on its way, smaller than its JSON.
struct Sending {
    about: ObjectRef,
    uid: String,
    resource_version: String,
    kind: EventKind,
    reason: String,
    message: String,
    count: u32,
    first: Timestamp,
    last: Timestamp,
    /// It was stored before, and only counts up.
    is_known: bool,
}

impl Sending {
    fn name(&self) -> String {
        format!("{}.{:x}", self.about.name, self.first.as_nanos())
    }

    /// The whole event, as when it is stored first.
    fn body(&self) -> Value {
        let type_ = match self.kind {
            EventKind::Normal => "Normal",
            EventKind::Warning => "Warning",
        };
        let about = &self.about;
        json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": self.name(), "namespace": about.namespace},
            "involvedObject": {
                "apiVersion": "argoproj.io/v1alpha1", "kind": about.kind.as_str(),
                "name": about.name, "namespace": about.namespace, "uid": self.uid,
                "resourceVersion": self.resource_version,
            },
            "reason": self.reason, "message": self.message, "type": type_, "count": self.count,
            "firstTimestamp": self.first.truncate_to_seconds(),
            "lastTimestamp": self.last.truncate_to_seconds(),
            "source": {"component": COMPONENT}, "reportingComponent": COMPONENT,
            "reportingInstance": "",
        })
    }

    /// What changes when it has happened again.
    fn patch(&self) -> Value {
        json!({
            "count": self.count, "lastTimestamp": self.last.truncate_to_seconds(),
            "message": self.message,
        })
    }
}

/// Sends what the [`Events`] of the same pair take.
pub struct Outbox(mpsc::Receiver<Sending>);

impl Events {
    pub fn new() -> (Self, Outbox) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let events = Self {
            recorder: Mutex::new(EventRecorder::default()),
            sender,
        };
        (events, Outbox(receiver))
    }

    /// Takes an event about an object of the group of Rollouts.
    pub fn emit(&self, now: Timestamp, object: &ObjectRef, meta: &ObjectMeta, event: &Event) {
        let recorded = lock(&self.recorder).count(now, object, event);
        let is_known = match recorded.outcome {
            EventOutcome::Stored => false,
            EventOutcome::Counted => true,
            EventOutcome::Dropped => return,
        };
        let message = if recorded.combined {
            format!("(combined from similar events): {}", event.message)
        } else {
            event.message.clone()
        };
        let sending = Sending {
            about: object.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            kind: event.kind,
            reason: event.reason.clone(),
            message,
            count: recorded.count,
            first: recorded.first,
            last: now,
            is_known,
        };
        if self.sender.try_send(sending).is_err() {
            tracing::warn!(object = %object, reason = event.reason, "too many events wait: one is lost");
        }
    }

    pub fn forget(&self, object: &ObjectRef) {
        lock(&self.recorder).forget(object);
    }
}

impl Outbox {
    /// Sends events until nobody can make any more.
    pub async fn run(mut self, api: &Api) {
        let mut waiting = Vec::new();
        while self.0.recv_many(&mut waiting, AT_A_TIME).await > 0 {
            let mut by_object: BTreeMap<ObjectRef, Vec<Sending>> = BTreeMap::new();
            for sending in waiting.drain(..) {
                let of_object = by_object.entry(sending.about.clone()).or_default();
                of_object.push(sending);
            }
            // Those of an object one after the other: a count follows what it counts.
            stream::iter(by_object.into_values())
                .for_each_concurrent(LANES, |sendings| async move {
                    for sending in sendings {
                        if let Err(error) = send(api, &sending).await {
                            tracing::debug!(object = %sending.about, reason = sending.reason, %error, "an event is lost");
                        }
                    }
                })
                .await;
        }
    }
}

async fn send(api: &Api, sending: &Sending) -> Result<(), CallError> {
    let collection = format!("/api/v1/namespaces/{}/events", sending.about.namespace);
    if sending.is_known {
        let path = format!("{collection}/{}", sending.name());
        match api.write("patch", "events", &path, &sending.patch()).await {
            // It has expired, or never arrived.
            Err(CallError::NotFound(_)) => {}
            other => return other.map(|_| ()),
        }
    }
    let body = sending.body();
    api.write("create", "events", &collection, &body)
        .await
        .map(|_| ())
}
