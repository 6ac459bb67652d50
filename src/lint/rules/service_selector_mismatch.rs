//! `service-selector-mismatch`.

use crate::lint::context::{Context, RolloutView, ServiceUse};
use crate::lint::edits::remove_entry;
use crate::lint::facts::pod_templates;
use crate::lint::{Applicability, Confidence, Findings, Rule};
use crate::source::{Severity, SourceId, Span};
use crate::spec::bundle::{Object, Workload};
use crate::spec::kubernetes::Service;

pub static RULE: Rule = Rule {
    name: "service-selector-mismatch",
    summary: "a service does not select exactly the rollout's pods",
    severity: Severity::Warning,
    finds: "
Services of a rollout (canary, stable, active, preview, ping, pong) whose selector matches none of its
pods, or is empty; which match the pods of another workload of the same file, too; or which hold a
`rollouts-pod-template-hash` by hand. A service of the same file that two rollouts name is found as well.
The Deployment that a `workloadRef` names is no other workload.",
    hurts: "
The controller adds the hash of a version to the selector and keeps all else. A label that the pods do
not have leaves the service without endpoints; a selector that other pods match sends them requests
until the hash is there, and again when the rollout is deleted; a hash in the file points the service
at pods of long ago each time the file is applied.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
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
  strategy:
    blueGreen:
      activeService: shop-active
      previewService: shop-preview
      autoPromotionEnabled: false
---
apiVersion: v1
kind: Service
metadata:
  name: shop-active
spec:
  selector: {app: shop}
  ports:
    - port: 80
---
apiVersion: v1
kind: Service
metadata:
  name: shop-preview
spec:
  selector:
    app: shop
    rollouts-pod-template-hash: 687d76d795
  ports:
    - port: 80
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
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
  strategy:
    blueGreen:
      activeService: shop-active
      previewService: shop-preview
      autoPromotionEnabled: false
---
apiVersion: v1
kind: Service
metadata:
  name: shop-active
spec:
  selector: {app: shop}
  ports:
    - port: 80
---
apiVersion: v1
kind: Service
metadata:
  name: shop-preview
spec:
  selector: {app: shop}
  ports:
    - port: 80
",
    settings: &[],
    check,
};

/// The label by which the controller tells versions apart.
const HASH_LABEL: &str = "rollouts-pod-template-hash";

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for (index, rollout) in context.rollouts.iter().enumerate() {
        for (position, used) in rollout.services.iter().enumerate() {
            let Some((object, service)) = used.found else {
                continue;
            };
            // Refused elsewhere: one service in two roles.
            let mut before = rollout.services.iter().take(position);
            let is_known = before.any(|known| known.name == used.name);
            if is_known {
                continue;
            }
            check_hash(context, object, service, used, findings);
            check_selector(rollout, object, service, used, findings);
            check_others(context, rollout, object, service, used, findings);
            let earlier = context.rollouts.get(..index).unwrap_or_default();
            check_sharing(rollout, earlier, object, used, findings);
        }
    }
}

fn check_hash(
    context: &Context<'_>,
    object: &Object,
    service: &Service,
    used: &ServiceUse<'_>,
    findings: &mut Findings<'_>,
) {
    if !service.spec.selector.contains_key(HASH_LABEL) {
        return;
    }
    let finding = findings
        .report(
            object,
            format!("spec.selector[{HASH_LABEL}]"),
            format!(
                "each time this file is applied, service `{}` points at the pods of one fixed version",
                used.name
            ),
        )
        .help(format!("leave `{HASH_LABEL}` out: the controller writes it"))
        .related(used.span, "the rollout that uses it");
    let selector = object.node.at("spec.selector");
    if let Some(edit) =
        selector.and_then(|selector| remove_entry(context.sources, selector, HASH_LABEL))
    {
        finding.fix(
            Applicability::Safe,
            format!("remove `{HASH_LABEL}`"),
            vec![edit],
        );
    }
}

fn check_selector(
    rollout: &RolloutView<'_>,
    object: &Object,
    service: &Service,
    used: &ServiceUse<'_>,
    findings: &mut Findings<'_>,
) {
    if pod_templates::of_rollout(rollout).is_none() {
        return;
    }
    let place = labels_of(rollout);
    let mut own = own_selector(service).peekable();
    if own.peek().is_none() {
        findings
            .report(
                object,
                "spec.selector",
                format!(
                    "service `{}` selects no pods until the controller has added its hash",
                    used.name
                ),
            )
            .help("select the labels of the rollout's pods")
            .confidence(Confidence::Medium)
            .related(place, "the labels of its pods");
        return;
    }
    let labels = rollout.rollout.spec.template.labels();
    if let Some((label, value)) = own.find(|(label, value)| labels.get(*label) != Some(*value)) {
        findings
            .report(
                object,
                format!("spec.selector[{label}]"),
                format!(
                    "service `{}` selects none of the rollout's pods: they do not have the label `{label}: {value}`",
                    used.name
                ),
            )
            .help("select labels that the pod template has")
            .related(place, "the labels of its pods")
            .related(used.span, "the rollout that uses it");
    }
}

/// Workloads whose pods the service selects, too. Only those of the same file: a folder may hold
/// examples that are never applied together.
fn check_others(
    context: &Context<'_>,
    rollout: &RolloutView<'_>,
    object: &Object,
    service: &Service,
    used: &ServiceUse<'_>,
    findings: &mut Findings<'_>,
) {
    if own_selector(service).next().is_none() {
        return;
    }
    let is_selected = |labels: &dyn Fn(&str) -> Option<String>| {
        own_selector(service).all(|(label, value)| labels(label).as_deref() == Some(value.as_str()))
    };
    let is_near = |other: &Object| other.namespace_or_default() == object.namespace_or_default();
    let source = object.source;
    let rollouts = of_source(&context.rollouts, source, |other| other.object.source);
    let rollouts = rollouts.iter().filter(|other| {
        !std::ptr::eq(other.object, rollout.object) && is_near(other.object) && {
            let labels = other.rollout.spec.template.labels();
            is_selected(&|label| labels.get(label).cloned())
        }
    });
    let workload = match rollout.workload {
        Workload::Resolved(workload) => Some(workload),
        Workload::None | Workload::Missing(_) | Workload::Refused(_) => None,
    };
    let objects = of_source(context.bundle.objects(), source, |other| other.source);
    let workloads = objects.iter().filter(|other| {
        is_near(other)
            && matches!(
                (other.group(), other.kind.as_str()),
                (
                    "apps",
                    "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet"
                )
            )
            && !workload.is_some_and(|workload| std::ptr::eq(workload, *other))
            && other
                .json()
                .pointer("/spec/replicas")
                .and_then(serde_json::Value::as_i64)
                != Some(0)
            && is_selected(&|label| {
                let labels = other.json().pointer("/spec/template/metadata/labels")?;
                Some(labels.get(label)?.as_str()?.to_owned())
            })
    });
    let others: Vec<(&Object, Span)> = rollouts
        .map(|other| (other.object, labels_of(other)))
        .chain(workloads.map(|other| (other, other.span_of("spec.template.metadata.labels"))))
        .collect();
    let Some((first, _)) = others.first() else {
        return;
    };
    let finding = findings
        .report(
            object,
            "spec.selector",
            format!(
                "service `{}` selects the pods of {}, too, until the controller has added its hash",
                used.name,
                first.title()
            ),
        )
        .help("give the pods of each workload a label of their own, and select it")
        .confidence(Confidence::Medium)
        .related(used.span, "the rollout that uses it");
    for (other, labels) in others {
        finding.related(labels, format!("pods of {}", other.title()));
    }
}

fn check_sharing(
    rollout: &RolloutView<'_>,
    earlier: &[RolloutView<'_>],
    object: &Object,
    used: &ServiceUse<'_>,
    findings: &mut Findings<'_>,
) {
    let shares = |other: &&ServiceUse<'_>| {
        other
            .found
            .is_some_and(|(found, _)| std::ptr::eq(found, object))
    };
    let near = of_source(earlier, rollout.object.source, |other| other.object.source);
    let other = near.iter().find_map(|other| {
        let found = other.services.iter().find(shares)?;
        Some((other.object, found))
    });
    if let Some((other, place)) = other {
        findings
            .report(
                rollout.object,
                used.path.clone(),
                format!(
                    "service `{}` belongs to {} already: each rollout points it at its own pods",
                    used.name,
                    other.title()
                ),
            )
            .help("give each rollout services of its own")
            .related(place.span, "named here, too");
    }
}

/// Where the labels of a rollout's pods are written.
fn labels_of(rollout: &RolloutView<'_>) -> Span {
    match pod_templates::of_rollout(rollout) {
        Some(template) => template
            .object
            .span_of(&format!("{}.metadata.labels", template.path)),
        None => rollout.object.span,
    }
}

/// The part of a list in the order of files that is of one file.
fn of_source<T>(list: &[T], source: SourceId, source_of: impl Fn(&T) -> SourceId) -> &[T] {
    let start = list.partition_point(|item| source_of(item) < source);
    let end = list.partition_point(|item| source_of(item) <= source);
    list.get(start..end).unwrap_or_default()
}

/// The selector as the user means it.
fn own_selector(service: &Service) -> impl Iterator<Item = (&String, &String)> {
    let selector = service.spec.selector.iter();
    selector.filter(|(label, _)| *label != HASH_LABEL)
}
