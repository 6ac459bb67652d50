//! What became of a namespace's objects, value by value.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::objects::{client, resource};

/// Sequences of values, equal neighbours merged, by what they are of.
pub type Sequences = BTreeMap<String, Vec<String>>;

/// Watches a namespace from now on; ends with this value.
pub struct History {
    seen: Arc<Mutex<Seen>>,
    watches: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    sequences: Sequences,
    /// Image of each pod template hash.
    images: BTreeMap<String, String>,
}

impl History {
    pub async fn of(kubeconfig: &Path, namespace: &str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let client = client(kubeconfig).await;
        let kinds = [
            ("apps/v1", "ReplicaSet"),
            ("v1", "Service"),
            ("networking.k8s.io/v1", "Ingress"),
            ("argoproj.io/v1alpha1", "Rollout"),
        ];
        let watches = kinds.map(|(api_version, kind)| {
            let resource = resource(api_version, kind);
            let api: Api<DynamicObject> =
                Api::namespaced_with(client.clone(), namespace, &resource);
            let seen = seen.clone();
            tokio::spawn(async move {
                let stream = watcher(api, watcher::Config::default()).default_backoff();
                let mut changes = stream.applied_objects().boxed();
                while let Some(change) = changes.next().await {
                    if let Ok(object) = change {
                        let object = serde_json::to_value(object).expect("JSON");
                        seen.lock().expect("no panic").note(kind, &object);
                    }
                }
            })
        });
        Self {
            seen,
            watches: watches.into(),
        }
    }

    /// Hashes are told as the images of their pods.
    pub fn sequences(&self) -> Sequences {
        let seen = self.seen.lock().expect("no panic");
        let named = |text: &String| seen.images.get(text).unwrap_or(text).clone();
        seen.sequences
            .iter()
            .map(|(key, values)| (key.clone(), values.iter().map(named).collect()))
            .collect()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.watches.iter().for_each(JoinHandle::abort);
    }
}

impl Seen {
    fn note(&mut self, kind: &str, object: &Value) {
        let at = |path: &str| match object.pointer(path) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let name = at("/metadata/name");
        let hash = "rollouts-pod-template-hash";
        match kind {
            "ReplicaSet" => {
                let image = at("/spec/template/spec/containers/0/image");
                self.images
                    .insert(at(&format!("/metadata/labels/{hash}")), image.clone());
                let owner = at("/metadata/ownerReferences/0/name");
                self.push(format!("{owner}: pods of {image}"), at("/spec/replicas"));
            }
            "Service" => self.push(
                format!("service {name}"),
                at(&format!("/spec/selector/{hash}")),
            ),
            "Ingress" => self.push(
                format!("weight of {name}"),
                at("/metadata/annotations/nginx.ingress.kubernetes.io~1canary-weight"),
            ),
            _ => self.push(format!("{name}: stable"), at("/status/stableRS")),
        }
    }

    fn push(&mut self, key: String, value: String) {
        let sequence = self.sequences.entry(key).or_default();
        if sequence.last() != Some(&value) {
            sequence.push(value);
        }
    }
}

/// What `found` has that no run without a fault shows: a value more, another order or another end.
/// Values between may be missing, for a watch that was cut off does not show them.
pub fn deviations(expected: &Sequences, found: &Sequences) -> Vec<String> {
    let keys: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let empty = Vec::new();
    keys.into_iter()
        .filter_map(|key| {
            let wanted = expected.get(key).unwrap_or(&empty);
            let got = found.get(key).unwrap_or(&empty);
            let mut rest = wanted.iter();
            let in_order = got.iter().all(|value| rest.any(|it| it == value));
            let told = format!("{key}: expected {wanted:?}, found {got:?}");
            (!in_order || got.last() != wanted.last()).then_some(told)
        })
        .collect()
}
