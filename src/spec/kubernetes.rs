//! The few core Kubernetes objects a rollout leans on. What is not named is kept in `rest`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::meta::{IntOrString, LabelSelector, ObjectMeta, is_zero};
use super::shared::Shared;
use super::string_map::StringMap;

/// A `PodTemplateSpec` as written; a JSON object, or nothing. Copies share it until one changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodTemplate(Shared<Map<String, Value>>);

impl From<Map<String, Value>> for PodTemplate {
    fn from(object: Map<String, Value>) -> Self {
        Self(Shared::from(object))
    }
}

impl PodTemplate {
    /// The object as written.
    pub fn as_object(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The object for changing; what shares it stays as it is.
    pub fn as_object_mut(&mut self) -> &mut Map<String, Value> {
        self.0.make_mut()
    }

    /// Gives back the memory beyond what its members take: readers make room for four at once.
    pub fn shrink(&mut self) {
        shrink_object(self.as_object_mut());
    }

    /// The digest that `compute` gives of the object; see [`Shared::digest`].
    pub fn digest(&self, compute: impl FnOnce(&Map<String, Value>) -> u32) -> u32 {
        self.0.digest(compute)
    }

    /// Whether the template says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `metadata.labels`; values that are no strings are left out.
    pub fn labels(&self) -> StringMap {
        self.metadata_strings("labels")
    }

    /// `metadata.annotations`; values that are no strings are left out.
    pub fn annotations(&self) -> StringMap {
        self.metadata_strings("annotations")
    }

    /// `metadata.labels` for changing; made if absent or no object.
    pub fn labels_mut(&mut self) -> &mut Map<String, Value> {
        child_object(child_object(self.as_object_mut(), "metadata"), "labels")
    }

    /// `metadata.annotations` for changing; made if absent or no object.
    pub fn annotations_mut(&mut self) -> &mut Map<String, Value> {
        child_object(
            child_object(self.as_object_mut(), "metadata"),
            "annotations",
        )
    }

    /// `spec`, if it is an object.
    pub fn spec(&self) -> Option<&Map<String, Value>> {
        self.0.get("spec")?.as_object()
    }

    /// `spec` for changing; made if absent or no object.
    pub fn spec_mut(&mut self) -> &mut Map<String, Value> {
        child_object(self.as_object_mut(), "spec")
    }

    /// `spec.containers`, in order.
    pub fn containers(&self) -> impl Iterator<Item = &Map<String, Value>> {
        self.spec()
            .and_then(|spec| spec.get("containers"))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
    }

    /// Name and image of each container, in order; empty where absent.
    pub fn images(&self) -> impl Iterator<Item = (&str, &str)> {
        fn text<'a>(container: &'a Map<String, Value>, key: &str) -> &'a str {
            container
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        }
        self.containers()
            .map(|container| (text(container, "name"), text(container, "image")))
    }

    /// Image of the first container.
    pub fn first_image(&self) -> Option<&str> {
        self.images().next().map(|(_, image)| image)
    }

    /// Sets the image of the container `name`, or of the first one if `name` is `None`.
    /// Returns whether there was such a container.
    pub fn set_image(&mut self, name: Option<&str>, image: &str) -> bool {
        let containers = self
            .as_object_mut()
            .get_mut("spec")
            .and_then(|spec| spec.get_mut("containers"))
            .and_then(Value::as_array_mut);
        let container = containers
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
            .find(|container| match name {
                Some(name) => container.get("name").and_then(Value::as_str) == Some(name),
                None => true,
            });
        match container {
            Some(container) => {
                container.insert("image".into(), image.into());
                true
            }
            None => false,
        }
    }

    fn metadata_strings(&self, key: &str) -> StringMap {
        self.0
            .get("metadata")
            .and_then(|metadata| metadata.get(key))
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_string())))
            .collect()
    }
}

fn shrink_object(object: &mut Map<String, Value>) {
    let members = std::mem::take(object).into_iter();
    *object = members
        .map(|(name, mut value)| {
            shrink_value(&mut value);
            (name, value)
        })
        .collect();
}

fn shrink_value(value: &mut Value) {
    match value {
        Value::Object(object) => shrink_object(object),
        Value::Array(values) => {
            values.shrink_to_fit();
            values.iter_mut().for_each(shrink_value);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The object under `key`, replacing anything else there by an empty one.
fn child_object<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let child = parent
        .entry(key)
        .or_insert_with(|| Value::Object(Map::new()));
    if !child.is_object() {
        *child = Value::Object(Map::new());
    }
    match child {
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("made an object above")
        }
    }
}

/// A `v1` Service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    pub metadata: ObjectMeta,
    pub spec: ServiceSpec,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What a Service selects and offers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    #[serde(skip_serializing_if = "StringMap::is_empty")]
    pub selector: StringMap,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A port of a Service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub port: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_port: Option<IntOrString>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// An `apps/v1` Deployment; ReplicaSets named by a `workloadRef` fit as well.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Deployment {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    pub metadata: ObjectMeta,
    pub spec: DeploymentSpec,
    #[serde(skip_serializing_if = "is_zero")]
    pub status: DeploymentStatus,
}

/// What a Deployment asks for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    #[serde(skip_serializing_if = "PodTemplate::is_empty")]
    pub template: PodTemplate,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What a Deployment reports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStatus {
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub updated_replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub ready_replicas: i32,
    #[serde(skip_serializing_if = "is_zero")]
    pub available_replicas: i32,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// An `autoscaling/v2` HorizontalPodAutoscaler.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HorizontalPodAutoscaler {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    pub metadata: ObjectMeta,
    pub spec: HorizontalPodAutoscalerSpec,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What an autoscaler scales, and between which bounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HorizontalPodAutoscalerSpec {
    pub scale_target_ref: ScaleTargetRef,
    /// Absent means 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<i32>,
    pub max_replicas: i32,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Names the object an autoscaler scales.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScaleTargetRef {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    pub kind: String,
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pod_templates_are_read_and_changed_in_place() {
        let mut template: PodTemplate = serde_json::from_value(serde_json::json!({
            "metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "x", "image": "i:1"}, {"name": "y", "image": "j:1"}]}
        }))
        .unwrap();
        assert_eq!(template.first_image(), Some("i:1"));
        assert!(template.set_image(Some("y"), "j:2"));
        assert!(!template.set_image(Some("z"), "j:2"));
        assert_eq!(
            template.images().collect::<Vec<_>>(),
            [("x", "i:1"), ("y", "j:2")]
        );
        template.labels_mut().insert("b".into(), "c".into());
        assert_eq!(template.labels().len(), 2);
        assert!(PodTemplate::default().labels().is_empty());
    }

    #[test]
    fn unknown_fields_of_a_service_survive() {
        let tree = serde_json::json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "finalizers": ["f"]},
            "spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "protocol": "TCP"}], "clusterIP": "None"},
            "status": {"loadBalancer": {}}
        });
        let service: Service = serde_json::from_value(tree.clone()).unwrap();
        assert_eq!(serde_json::to_value(service).unwrap(), tree);
    }
}
