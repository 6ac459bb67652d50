//! The CustomResourceDefinitions of Argo Rollouts, made from our types.

use serde_json::{Value as Json, json};

use super::own;

/// The kinds that are defined.
pub const KINDS: [&str; 5] = [
    "AnalysisRun",
    "AnalysisTemplate",
    "ClusterAnalysisTemplate",
    "Experiment",
    "Rollout",
];

/// The definition of a kind; `None` for kinds that are not of Argo Rollouts.
pub fn definition(kind: &str) -> Option<Json> {
    let schema = own::open_api(kind)?;
    let phase = ("Status", "string", ".status.phase");
    let age = ("Age", "date", ".metadata.creationTimestamp");
    let (singular, plural, short, columns, subresources) = match kind {
        "AnalysisRun" => (
            "analysisrun",
            "analysisruns",
            "ar",
            vec![phase, age],
            json!({}),
        ),
        "AnalysisTemplate" => (
            "analysistemplate",
            "analysistemplates",
            "at",
            vec![age],
            json!({}),
        ),
        "ClusterAnalysisTemplate" => (
            "clusteranalysistemplate",
            "clusteranalysistemplates",
            "cat",
            vec![age],
            json!({}),
        ),
        "Experiment" => (
            "experiment",
            "experiments",
            "exp",
            vec![phase, age],
            json!({}),
        ),
        "Rollout" => (
            "rollout",
            "rollouts",
            "ro",
            vec![
                ("Desired", "integer", ".spec.replicas"),
                ("Current", "integer", ".status.replicas"),
                ("Up-to-date", "integer", ".status.updatedReplicas"),
                ("Available", "integer", ".status.availableReplicas"),
                age,
            ],
            json!({
                "scale": {
                    "labelSelectorPath": ".status.selector",
                    "specReplicasPath": ".spec.replicas",
                    "statusReplicasPath": ".status.HPAReplicas",
                },
                "status": {},
            }),
        ),
        _ => return None,
    };
    let scope = if kind.starts_with("Cluster") {
        "Cluster"
    } else {
        "Namespaced"
    };
    let columns: Vec<Json> = columns
        .into_iter()
        .map(|(name, value_type, path)| json!({"name": name, "type": value_type, "jsonPath": path}))
        .collect();
    Some(json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.argoproj.io")},
        "spec": {
            "group": "argoproj.io",
            "names": {
                "kind": kind,
                "listKind": format!("{kind}List"),
                "plural": plural,
                "shortNames": [short],
                "singular": singular,
            },
            "scope": scope,
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": schema},
                "subresources": subresources,
            }],
        },
    }))
}
