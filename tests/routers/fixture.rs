//! Files of `fixtures/routers/<router>/`: a Rollout and what it refers to, before anything is
//! written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rollproof::engine::ObjectKey;
use rollproof::routers::{self, Change, Objects, Router};
use rollproof::source::Sources;
use rollproof::spec::rollout::{Rollout, SetHeaderRoute, SetMirrorRoute};
use rollproof::spec::yaml;
use serde_json::{Value, json};

#[derive(Clone)]
pub struct Fixture {
    /// `<router>/<case>`
    pub name: String,
    pub documents: Vec<Value>,
    pub rollout: Rollout,
    pub objects: Objects,
}

/// All fixtures, by name.
pub fn fixtures() -> Vec<Fixture> {
    let mut files = Vec::new();
    for folder in entries(&root()) {
        if folder.is_dir() {
            files.extend(entries(&folder));
        }
    }
    files.retain(|file| file.extension().is_some_and(|it| it == "yaml"));
    files.sort();
    files.iter().map(|file| Fixture::read(file)).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/routers")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .expect("a folder of fixtures")
        .map(|entry| entry.expect("a folder that can be read").path())
        .collect()
}

/// The YAML documents of a text.
pub fn documents(text: &str) -> Vec<Value> {
    let mut sources = Sources::new();
    let source = sources.add("fixture", text.to_owned());
    let stream = yaml::read(&sources, source);
    let problem = stream.problems.iter().find(|problem| problem.is_error());
    assert!(problem.is_none(), "{problem:?}");
    let documents = stream.documents.iter();
    documents
        .map(|document| document.root.to_json())
        .filter(|object| !object.is_null())
        .collect()
}

impl Fixture {
    fn read(file: &Path) -> Self {
        let name = file.with_extension("");
        let name = name.strip_prefix(root()).expect("below the root");
        let text = std::fs::read_to_string(file).expect("a fixture that can be read");
        Self::of(&name.to_string_lossy(), &text)
    }

    pub fn of(name: &str, text: &str) -> Self {
        let documents = documents(text);
        let text = |object: &Value, pointer: &str| -> String {
            let text = object.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let mut rollout = None;
        let mut objects = Objects::new();
        for object in &documents {
            match text(object, "/kind").as_str() {
                "Rollout" => {
                    let read = serde_json::from_value(object.clone());
                    rollout = Some(read.expect("a Rollout"));
                }
                "Service" | "Gateway" => {}
                kind => {
                    let version = text(object, "/apiVersion");
                    let key = ObjectKey::new(&version, kind, &text(object, "/metadata/name"));
                    objects.insert(key, Arc::new(object.clone()));
                }
            }
        }
        Self {
            name: name.to_owned(),
            rollout: rollout.expect("a Rollout in the fixture"),
            documents,
            objects,
        }
    }

    pub fn folder(&self) -> PathBuf {
        let (folder, _) = self.name.split_once('/').expect("router/case");
        root().join(folder)
    }

    pub fn stem(&self) -> &str {
        self.name.split_once('/').expect("router/case").1
    }

    pub fn router(&self) -> &'static dyn Router {
        let canary = self.rollout.spec.strategy.canary.as_ref();
        let routing = canary.and_then(|canary| canary.traffic_routing.as_ref());
        let mut used = routers::used_by(routing.expect("traffic routing"));
        used.next().expect("a router that is built")
    }

    /// The routes that the steps set.
    pub fn routes(&self) -> (Vec<SetHeaderRoute>, Vec<SetMirrorRoute>) {
        let steps = || {
            let canary = self.rollout.spec.strategy.canary.iter();
            canary.flat_map(|canary| canary.steps.iter())
        };
        let headers = steps().filter_map(|step| step.set_header_route.as_deref());
        let mirrors = steps().filter_map(|step| step.set_mirror_route.as_deref());
        (
            headers
                .filter(|route| !route.match_.is_empty())
                .cloned()
                .collect(),
            mirrors
                .filter(|route| !route.match_.is_empty())
                .cloned()
                .collect(),
        )
    }

    pub fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Create { key, object } => {
                    let before = self.objects.insert(key.clone(), Arc::new(object));
                    assert!(before.is_none(), "{}: {key:?} was there", self.name);
                }
                Change::Update { key, object } => {
                    let before = self.objects.insert(key.clone(), Arc::new(object));
                    assert!(before.is_some(), "{}: {key:?} was not there", self.name);
                }
                Change::Delete { key } => {
                    let before = self.objects.remove(&key);
                    assert!(before.is_some(), "{}: {key:?} was not there", self.name);
                }
            }
        }
    }

    pub fn router_objects(&self) -> Vec<&Value> {
        self.objects.values().map(Arc::as_ref).collect()
    }

    /// What is marked as foreign in the objects that the fixture began with, each with its object.
    pub fn markers(&self) -> Vec<(String, String)> {
        let mut markers = Vec::new();
        for object in &self.documents {
            let kind = object["kind"].as_str().unwrap_or_default();
            let version = object["apiVersion"].as_str().unwrap_or_default();
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            if let Some(object) = self.objects.get(&ObjectKey::new(version, kind, name)) {
                collect(object, &mut |text| {
                    markers.push((format!("{kind}/{name}"), text.to_owned()));
                });
            }
        }
        markers.sort();
        // Managed routes repeat what the routes that they narrow have.
        markers.dedup();
        markers
    }

    pub fn set_load_balancer(&mut self, ingress: &str, host: &str) {
        let key = ObjectKey::new("networking.k8s.io/v1", "Ingress", ingress);
        let object = self.objects.get_mut(&key).expect("the ingress is there");
        Arc::make_mut(object)["status"] =
            json!({"loadBalancer": {"ingress": [{"hostname": host}]}});
    }
}

fn collect(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        // Where a schema wants a duration, this is the mark.
        Value::String(text) if text.contains("foreign") || text == "7007ms" => found(text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
