//! All objects of a set of files, typed where this program knows the kind, and how they refer to each other.

mod decode_object;
mod references;
#[cfg(test)]
mod tests;
mod workload;

use std::collections::BTreeSet;
use std::hash::Hasher;
use std::sync::OnceLock;

use fnv::FnvHasher;
use serde_json::Value as Json;

use super::analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
use super::experiment::Experiment;
use super::kubernetes::{Deployment, Service};
use super::rollout::Rollout;
use super::yaml::{self, Comment, Kind, Node, Value};
use crate::source::{Problem, Severity, SourceId, Sources, Span};

pub use decode_object::{TYPE_CODE, is_rollouts_kind};
pub use references::{InNamespace, REFERENCE_MISSING, Reference, TEMPLATE_MISSING};
pub use workload::Workload;

/// API group of Argo Rollouts.
pub const ROLLOUTS_GROUP: &str = "argoproj.io";
/// Its only version.
pub const ROLLOUTS_VERSION: &str = "v1alpha1";
/// The namespace of an object that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The objects of all files, in the order of files and documents; lists are taken apart.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    objects: Vec<Object>,
    comments: Vec<Comment>,
    /// Objects by the hash of what makes them the same as others, and by index.
    by_key: BTreeSet<(u64, usize)>,
}

/// An object as written, and typed.
#[derive(Clone, Debug)]
pub struct Object {
    /// As written, such as `apps/v1`.
    pub api_version: String,
    pub kind: String,
    /// Empty where only `generateName` is given.
    pub name: String,
    /// As written; see [`Object::namespace_or_default`].
    pub namespace: Option<String>,
    pub source: SourceId,
    /// The object without the comments around it.
    pub span: Span,
    /// The part of the tree that holds the object.
    pub node: Node,
    pub typed: Typed,
    /// Whether it is an item of a typed list, which says version and kind for all.
    is_listed: bool,
    /// Made when it is asked for: most rules look at the tree or the type.
    json: OnceLock<Json>,
}

/// The typed form of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Typed {
    Rollout(Box<Rollout>),
    AnalysisTemplate(Box<AnalysisTemplate>),
    ClusterAnalysisTemplate(Box<ClusterAnalysisTemplate>),
    AnalysisRun(Box<AnalysisRun>),
    Experiment(Box<Experiment>),
    Service(Box<Service>),
    Deployment(Box<Deployment>),
    /// Of one of these kinds, but with a value of a wrong type: there is a problem that says so.
    Broken,
    /// Of any other kind.
    Untyped,
}

/// What makes an object the same as another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key<'k> {
    group: &'k str,
    kind: &'k str,
    /// Empty for kinds of the cluster.
    namespace: &'k str,
    name: &'k str,
}

impl<'k> Key<'k> {
    fn new(group: &'k str, kind: &'k str, namespace: &'k str, name: &'k str) -> Self {
        Self {
            group,
            kind,
            namespace: if is_of_cluster(kind) { "" } else { namespace },
            name,
        }
    }

    fn hash(self) -> u64 {
        let Self {
            group,
            kind,
            namespace,
            name,
        } = self;
        let mut hasher = FnvHasher::default();
        for part in [name, namespace, kind, group] {
            hasher.write(part.as_bytes());
            hasher.write_u8(0);
        }
        hasher.finish()
    }
}

impl Bundle {
    /// Reads files given as name and content. One that is broken hides no other.
    pub fn read(sources: &mut Sources, files: &[(&str, &[u8])]) -> (Bundle, Vec<Problem>) {
        let mut reader = Reader::default();
        for (name, bytes) in files {
            let (source, stream) = yaml::read_bytes(sources, name, bytes);
            reader.problems.extend(stream.problems);
            for document in stream.documents {
                reader.bundle.comments.extend(document.comments);
                if !document.root.is_null() {
                    reader.take(document.root, source, None);
                }
            }
        }
        (reader.bundle, reader.problems)
    }

    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// All comments of all files, in order.
    pub fn comments(&self) -> &[Comment] {
        &self.comments
    }

    /// The objects of a kind, in order. The group is empty for `v1`.
    pub fn of_kind<'b>(
        &'b self,
        group: &'b str,
        kind: &'b str,
    ) -> impl Iterator<Item = &'b Object> {
        self.objects
            .iter()
            .filter(move |object| object.kind == kind && object.group() == group)
    }

    /// The object of this name; of several, the last. The namespace does not matter for kinds of the cluster.
    pub fn find(&self, group: &str, kind: &str, namespace: &str, name: &str) -> Option<&Object> {
        self.last_of(Key::new(group, kind, namespace, name))
    }

    fn last_of(&self, key: Key<'_>) -> Option<&Object> {
        let hash = key.hash();
        self.by_key
            .range((hash, 0)..=(hash, usize::MAX))
            .rev()
            .filter_map(|(_, index)| self.objects.get(*index))
            .find(|object| object.key() == key)
    }

    /// The rollouts that could be typed, each with its object.
    pub fn rollouts(&self) -> impl Iterator<Item = (&Object, &Rollout)> {
        self.objects
            .iter()
            .filter_map(|object| match &object.typed {
                Typed::Rollout(rollout) => Some((object, rollout.as_ref())),
                Typed::AnalysisTemplate(_)
                | Typed::ClusterAnalysisTemplate(_)
                | Typed::AnalysisRun(_)
                | Typed::Experiment(_)
                | Typed::Service(_)
                | Typed::Deployment(_)
                | Typed::Broken
                | Typed::Untyped => None,
            })
    }
}

impl Object {
    /// What Kubernetes sees.
    pub fn json(&self) -> &Json {
        self.json.get_or_init(|| {
            let mut json = self.node.to_json();
            if let (true, Some(members)) = (self.is_listed, json.as_object_mut()) {
                for (field, text) in [("apiVersion", &self.api_version), ("kind", &self.kind)] {
                    members.entry(field).or_insert_with(|| text.as_str().into());
                }
            }
            json
        })
    }

    /// The part of `apiVersion` before the slash; empty for `v1`.
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    pub fn namespace_or_default(&self) -> &str {
        self.namespace
            .as_deref()
            .filter(|namespace| !namespace.is_empty())
            .unwrap_or(DEFAULT_NAMESPACE)
    }

    /// `Kind/name`, for messages.
    pub fn title(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// The place to underline for a path such as `spec.strategy.canary.steps[0].setWeight`.
    pub fn span_of(&self, path: &str) -> Span {
        self.node.span_of(path).best()
    }

    fn key(&self) -> Key<'_> {
        Key::new(
            self.group(),
            &self.kind,
            self.namespace_or_default(),
            &self.name,
        )
    }
}

/// Kinds without a namespace, as far as they are known.
fn is_of_cluster(kind: &str) -> bool {
    kind.starts_with("Cluster")
        || matches!(
            kind,
            "APIService"
                | "CSIDriver"
                | "CSINode"
                | "CustomResourceDefinition"
                | "GatewayClass"
                | "IngressClass"
                | "MutatingWebhookConfiguration"
                | "Namespace"
                | "Node"
                | "PersistentVolume"
                | "PriorityClass"
                | "RuntimeClass"
                | "StorageClass"
                | "ValidatingAdmissionPolicy"
                | "ValidatingAdmissionPolicyBinding"
                | "ValidatingWebhookConfiguration"
                | "VolumeAttachment"
        )
}

#[derive(Default)]
struct Reader {
    bundle: Bundle,
    problems: Vec<Problem>,
}

/// What the items of a typed list are, where they do not say so themselves.
#[derive(Clone)]
struct ListKind {
    api_version: String,
    kind: String,
}

impl Reader {
    /// Takes an object, or all objects of a list. Depth is bounded by that of the tree.
    fn take(&mut self, node: Node, source: SourceId, list: Option<&ListKind>) {
        let Value::Map(map) = &node.value else {
            self.problems.push(Problem::error(
                "object-expected",
                format!("an object is expected here, not {}", node.kind().name()),
                node.span,
            ));
            return;
        };
        let is_list = node
            .get("kind")
            .and_then(Node::as_str)
            .is_some_and(|kind| kind.ends_with("List"));
        let has_items = map
            .get("items")
            .is_some_and(|items| matches!(items.value.kind(), Kind::Seq | Kind::Null));
        if is_list && has_items {
            self.take_list(node, source);
        } else {
            self.take_object(node, source, list);
        }
    }

    fn take_list(&mut self, node: Node, source: SourceId) {
        let kind = node.get("kind").and_then(Node::as_str).unwrap_or_default();
        let item_kind = kind.strip_suffix("List").filter(|kind| !kind.is_empty());
        let list = item_kind.map(|kind| ListKind {
            api_version: node
                .get("apiVersion")
                .and_then(Node::as_str)
                .unwrap_or_default()
                .to_owned(),
            kind: kind.to_owned(),
        });
        let Some(items) = node.into_entry("items").and_then(Node::into_items) else {
            return;
        };
        for item in items {
            self.take(item, source, list.as_ref());
        }
    }

    fn take_object(&mut self, node: Node, source: SourceId, list: Option<&ListKind>) {
        let Some(kind) = self.header(&node, "kind", list.map(|list| &list.kind)) else {
            return;
        };
        // Without it nothing takes the object for one of its own, but it is there.
        let api_version = self
            .header(&node, "apiVersion", list.map(|list| &list.api_version))
            .unwrap_or_default();
        let name = self.text_at(&node, "metadata.name").unwrap_or_default();
        let namespace = self.text_at(&node, "metadata.namespace");
        if name.is_empty() {
            self.check_name(&node, &api_version, &kind);
        }
        self.check_version(&node, &api_version, &kind);
        let mut object = Object {
            api_version,
            kind,
            name,
            namespace,
            source,
            span: node.span,
            node,
            typed: Typed::Untyped,
            is_listed: list.is_some(),
            json: OnceLock::new(),
        };
        object.typed = decode_object::decode(&object, &mut self.problems);
        self.add(object);
    }

    fn add(&mut self, object: Object) {
        let index = self.bundle.objects.len();
        if !object.name.is_empty() {
            let key = object.key();
            if let Some(earlier) = self.bundle.last_of(key) {
                let problem = Problem::warning(
                    "object-duplicate",
                    format!(
                        "{} is defined a second time in namespace `{}`",
                        object.title(),
                        object.namespace_or_default()
                    ),
                    object.span_of("metadata.name"),
                )
                .with_help("keep one: the one that is applied last replaces the other")
                .with_related(earlier.span_of("metadata.name"), "first defined here");
                self.problems.push(problem);
            }
            self.bundle.by_key.insert((key.hash(), index));
        }
        self.bundle.objects.push(object);
    }

    /// `kind` or `apiVersion`.
    fn header(&mut self, node: &Node, field: &str, default: Option<&String>) -> Option<String> {
        let found = self.text_at(node, field).filter(|text| !text.is_empty());
        if let Some(text) = found.as_ref().or(default) {
            return Some(text.clone());
        }
        // A value of another type has been reported.
        if node
            .get(field)
            .is_none_or(|value| value.is_null() || value.as_str().is_some())
        {
            let mut problem = Problem::error(
                "object-incomplete",
                format!("`{field}` is missing, so nothing reads this object"),
                Span {
                    end: node.span.start,
                    ..node.span
                },
            )
            .with_help("give manifests only; other files hold no objects");
            if field == "apiVersion" {
                problem.severity = Severity::Warning;
            }
            self.problems.push(problem);
        }
        None
    }

    /// The text at a path of keys; anything else there is a problem.
    fn text_at(&mut self, node: &Node, path: &str) -> Option<String> {
        let value = node.at(path).filter(|value| !value.is_null())?;
        match value.as_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.problems.push(
                    Problem::error(
                        decode_object::TYPE_CODE,
                        format!("`{path}` must be a string, not {}", value.kind().name()),
                        value.span,
                    )
                    .with_help("put it in quotes"),
                );
                None
            }
        }
    }

    fn check_name(&mut self, node: &Node, api_version: &str, kind: &str) {
        let is_given = |path: &str| node.at(path).is_some_and(|value| !value.is_null());
        // What kustomize reads has no name; a wrong type has been reported.
        let nameless = matches!(kind, "Kustomization" | "Component");
        if nameless || is_given("metadata.generateName") {
            return;
        }
        let empty = node
            .at("metadata.name")
            .is_some_and(|name| name.as_str() == Some(""));
        if empty || !is_given("metadata.name") {
            let mut problem = Problem::error(
                "object-incomplete",
                format!("this {kind} has no `metadata.name`"),
                node.span_of("metadata.name").best(),
            );
            // Other kinds may come from files of other tools, which this program does not judge.
            if !api_version.starts_with("argoproj.io/") || !decode_object::is_rollouts_kind(kind) {
                problem.severity = Severity::Warning;
            }
            self.problems.push(problem);
        }
    }

    fn check_version(&mut self, node: &Node, api_version: &str, kind: &str) {
        if !decode_object::is_rollouts_kind(kind) {
            return;
        }
        if let Some((ROLLOUTS_GROUP, version)) = api_version.split_once('/')
            && version != ROLLOUTS_VERSION
        {
            self.problems.push(
                Problem::error(
                    "object-version",
                    format!("`kind`: {kind} has no version `{version}`"),
                    node.span_of("apiVersion").best(),
                )
                .with_help(format!("write {ROLLOUTS_GROUP}/{ROLLOUTS_VERSION}")),
            );
        }
    }
}
