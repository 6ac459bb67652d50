//! Kubernetes events: what users see in `kubectl describe`.
//!
//! What becomes of equal and of many events is decided as in a simulation; see
//! [`crate::sim::event_recorder`]. They are sent in the background and are never worth waiting for.

use std::sync::Mutex;

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
const WAITING: usize = 1000;

/// Takes events and sends them.
pub struct Events {
    recorder: Mutex<EventRecorder>,
    sender: mpsc::Sender<Sending>,
}

/// An event on its way.
struct Sending {
    namespace: String,
    name: String,
    /// The whole event, as when it is stored first.
    body: Value,
    /// It was stored before, and only counts up.
    is_known: bool,
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
        let type_ = match event.kind {
            EventKind::Normal => "Normal",
            EventKind::Warning => "Warning",
        };
        let message = if recorded.combined {
            format!("(combined from similar events): {}", event.message)
        } else {
            event.message.clone()
        };
        let name = format!("{}.{:x}", object.name, recorded.first.as_nanos());
        let body = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": object.namespace},
            "involvedObject": {
                "apiVersion": "argoproj.io/v1alpha1", "kind": object.kind.as_str(),
                "name": object.name, "namespace": object.namespace, "uid": meta.uid,
                "resourceVersion": meta.resource_version,
            },
            "reason": event.reason, "message": message, "type": type_, "count": recorded.count,
            "firstTimestamp": recorded.first.truncate_to_seconds(),
            "lastTimestamp": now.truncate_to_seconds(),
            "source": {"component": COMPONENT}, "reportingComponent": COMPONENT,
            "reportingInstance": "",
        });
        let sending = Sending {
            namespace: object.namespace.clone(),
            name,
            body,
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
        while let Some(sending) = self.0.recv().await {
            if let Err(error) = send(api, &sending).await {
                let Sending {
                    namespace,
                    name,
                    body: _,
                    is_known: _,
                } = &sending;
                tracing::debug!(%namespace, %name, %error, "an event is lost");
            }
        }
    }
}

async fn send(api: &Api, sending: &Sending) -> Result<(), CallError> {
    let Sending {
        namespace,
        name,
        body,
        is_known,
    } = sending;
    let collection = format!("/api/v1/namespaces/{namespace}/events");
    if *is_known {
        let patch = json!({
            "count": body.get("count"), "lastTimestamp": body.get("lastTimestamp"),
            "message": body.get("message"),
        });
        let path = format!("{collection}/{name}");
        match api.write("patch", "events", &path, &patch).await {
            // It has expired, or never arrived.
            Err(CallError::NotFound(_)) => {}
            other => return other.map(|_| ()),
        }
    }
    api.write("create", "events", &collection, body)
        .await
        .map(|_| ())
}
