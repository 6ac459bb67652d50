//! `workload-ref-double-capacity`.

use serde_json::Value as Json;

use crate::lint::context::Context;
use crate::lint::edits::add_entry;
use crate::lint::{Applicability, Edit, Findings, Rule};
use crate::source::Severity;
use crate::spec::bundle::Workload;

pub static RULE: Rule = Rule {
    name: "workload-ref-double-capacity",
    summary: "the replaced Deployment keeps its pods",
    severity: Severity::Warning,
    finds: "
A `workloadRef` whose `scaleDown` is `never` or not set, to a Deployment or ReplicaSet of the files that
has pods (`replicas` is not 0). One that is not among the files is not judged.",
    hurts: "
The pods of the Deployment run on beside those of the rollout. That is twice the capacity, and where
their labels fit the service, users get answers of a version that no promotion and no rollback changes.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 10
  workloadRef:
    apiVersion: apps/v1
    kind: Deployment
    name: shop
  strategy:
    canary:
      steps:
        - setWeight: 20
        - pause: {duration: 10m}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  replicas: 10
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 10
  workloadRef:
    apiVersion: apps/v1
    kind: Deployment
    name: shop
    scaleDown: onsuccess
  strategy:
    canary:
      steps:
        - setWeight: 20
        - pause: {duration: 10m}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  replicas: 10
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        let (Some(reference), Workload::Resolved(workload)) =
            (&rollout.rollout.spec.workload_ref, &rollout.workload)
        else {
            continue;
        };
        let is_kept = matches!(reference.scale_down.as_str(), "" | "never");
        // The API server fills in 1.
        let pods = match workload.json().pointer("/spec/replicas") {
            None | Some(Json::Null) => 1,
            Some(replicas) => replicas.as_i64().unwrap_or(0),
        };
        if !is_kept || workload.kind == "PodTemplate" || pods == 0 {
            continue;
        }
        let is_written = !reference.scale_down.is_empty();
        let path = if is_written {
            "spec.workloadRef.scaleDown"
        } else {
            "spec.workloadRef"
        };
        let place = rollout.object.node.span_of(path);
        let span = if is_written {
            place.value
        } else {
            place.key.unwrap_or(place.value)
        };
        let finding = findings
            .report_at(
                rollout.object,
                path,
                span,
                format!(
                    "the {pods} pods of {} run on beside those of the rollout: nothing scales them down",
                    workload.title()
                ),
            )
            .help("set `scaleDown` to `onsuccess` (when the rollout is healthy) or `progressively`, or the Deployment's `replicas` to 0 after the migration")
            .related(workload.span_of("spec.replicas"), "its pods");
        let edit = if is_written {
            Some(Edit {
                span,
                replacement: "onsuccess".to_owned(),
            })
        } else {
            let map = rollout.object.node.at("spec.workloadRef");
            map.and_then(|map| add_entry(context.sources, map, "scaleDown", "onsuccess"))
        };
        if let Some(edit) = edit {
            let message = "scale the Deployment down when the rollout is healthy";
            finding.fix(Applicability::Unsafe, message, vec![edit]);
        }
    }
}
