//! Structural schemas: what the API server asks of an object's fields and types.
//!
//! | part | job |
//! |---|---|
//! | `kubernetes.schema`, `notation` | the shapes that Kubernetes owns, and how they are read |
//! | `own` | the schemas of our types (`spec::rollout`, ...), derived from them |
//! | [`shape`] | a schema as a tree that is fast to walk; built once a kind |
//! | [`check`] | an object against its shape, with places |
//! | [`definitions`] | the CustomResourceDefinitions, from the same schemas |

pub mod check;
pub mod definitions;
mod notation;
mod own;
pub mod shape;

use std::sync::OnceLock;

pub(crate) use own::{job_spec, pod_metadata};

use shape::Shape;

/// The shape of objects of this `apiVersion` and kind; `None` for kinds that are not checked.
pub fn shape_of(api_version: &str, kind: &str) -> Option<&'static Shape> {
    macro_rules! once {
        ($make:expr) => {{
            static SHAPE: OnceLock<Option<Shape>> = OnceLock::new();
            SHAPE.get_or_init(|| $make).as_ref()
        }};
    }
    match (api_version, kind) {
        ("argoproj.io/v1alpha1", "Rollout") => once!(own::shape("Rollout")),
        // Both kinds of templates have the same fields.
        ("argoproj.io/v1alpha1", "AnalysisTemplate" | "ClusterAnalysisTemplate") => {
            once!(own::shape("AnalysisTemplate"))
        }
        ("argoproj.io/v1alpha1", "AnalysisRun") => once!(own::shape("AnalysisRun")),
        ("argoproj.io/v1alpha1", "Experiment") => once!(own::shape("Experiment")),
        ("v1", "Service") => once!(notation::shape("Service")),
        ("networking.k8s.io/v1", "Ingress") => once!(notation::shape("Ingress")),
        ("networking.k8s.io/v1beta1" | "extensions/v1beta1", "Ingress") => {
            once!(notation::shape("IngressV1beta1"))
        }
        (_, _) => None,
    }
}
