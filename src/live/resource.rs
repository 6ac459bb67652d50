//! Which resource of the API holds a kind of object, and the paths to it.

use crate::engine::objects::{Kind, ObjectRef};
use crate::routers;

/// A resource of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub group: String,
    pub version: String,
    /// As in paths and RBAC.
    pub plural: String,
    pub kind: String,
    pub namespaced: bool,
}

impl Resource {
    fn new(group: &str, version: &str, plural: &str, kind: &str) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            kind: kind.to_owned(),
            namespaced: true,
        }
    }

    /// The resource of a kind that the controller reads or writes; none of kinds it has nothing to
    /// do with.
    pub fn of(kind: &Kind) -> Option<Self> {
        let rollouts = |plural: &str| Self::new("argoproj.io", "v1alpha1", plural, kind.as_str());
        Some(match kind {
            Kind::Rollout => rollouts("rollouts"),
            Kind::AnalysisTemplate => rollouts("analysistemplates"),
            Kind::ClusterAnalysisTemplate => Self {
                namespaced: false,
                ..rollouts("clusteranalysistemplates")
            },
            Kind::AnalysisRun => rollouts("analysisruns"),
            Kind::Experiment => rollouts("experiments"),
            Kind::ReplicaSet => Self::new("apps", "v1", "replicasets", "ReplicaSet"),
            Kind::Pod => Self::new("", "v1", "pods", "Pod"),
            Kind::Service => Self::new("", "v1", "services", "Service"),
            Kind::Secret => Self::new("", "v1", "secrets", "Secret"),
            Kind::Other { group, kind } => match (group.as_str(), kind.as_str()) {
                ("apps", "Deployment") => Self::new("apps", "v1", "deployments", kind),
                ("apps", "ReplicaSet") => Self::new("apps", "v1", "replicasets", kind),
                ("", "PodTemplate") => Self::new("", "v1", "podtemplates", kind),
                ("batch", "Job") => Self::new("batch", "v1", "jobs", kind),
                _ => {
                    let mut kinds = routers::facts().flat_map(|facts| facts.kinds);
                    let known = kinds.find(|known| (known.group, known.kind) == (group, kind))?;
                    Self::new(known.group, known.version, known.resource, known.kind)
                }
            },
        })
    }

    /// `group/version`, or `version` for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Path of the API's part that has this resource.
    pub fn api_path(&self) -> String {
        if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        }
    }

    /// Path of all objects, or of those of a namespace.
    pub fn collection(&self, namespace: Option<&str>) -> String {
        let (api, plural) = (self.api_path(), &self.plural);
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{api}/namespaces/{namespace}/{plural}"),
            None => format!("{api}/{plural}"),
        }
    }

    /// Path of one object.
    pub fn object(&self, object: &ObjectRef) -> String {
        let collection = self.collection(Some(&object.namespace));
        format!("{collection}/{}", object.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        let path = |kind: Kind| {
            let resource = Resource::of(&kind).unwrap();
            resource.object(&ObjectRef::new(kind, "ns", "x"))
        };
        assert_eq!(
            path(Kind::Rollout),
            "/apis/argoproj.io/v1alpha1/namespaces/ns/rollouts/x"
        );
        assert_eq!(path(Kind::Service), "/api/v1/namespaces/ns/services/x");
        assert_eq!(
            path(Kind::ClusterAnalysisTemplate),
            "/apis/argoproj.io/v1alpha1/clusteranalysistemplates/x"
        );
        let unknown = Kind::of("example.com/v1", "Thing");
        assert_eq!(Resource::of(&unknown), None);
    }
}
