//! `deprecated-field`.

use crate::lint::context::Context;
use crate::lint::edits::remove_entry;
use crate::lint::facts::pod_templates::{self, PodTemplatePlace};
use crate::lint::{Applicability, Edit, Findings, Rule};
use crate::source::Severity;
use crate::spec::yaml::Node;

pub static RULE: Rule = Rule {
    name: "deprecated-field",
    summary: "a field that the API calls deprecated",
    severity: Severity::Warning,
    finds: "
Fields, annotations and node labels of pod templates that the Kubernetes API calls deprecated: in
rollouts, the workloads they name, experiments, and jobs that measure. Volumes of storage that has moved to
CSI drivers are found with the severity info, as they still work where the driver is installed.",
    hurts: "
A deprecated field is ignored by some version to come, or is ignored already: pods then start without
their volume, their profile or their place, or do not start.",
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
      serviceAccount: shop
      containers:
        - name: shop
          image: shop:1.0.0
  strategy:
    canary:
      steps:
        - setWeight: 20
        - pause: {duration: 10m}
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
      serviceAccountName: shop
      containers:
        - name: shop
          image: shop:1.0.0
  strategy:
    canary:
      steps:
        - setWeight: 20
        - pause: {duration: 10m}
",
    settings: &[],
    check,
};

/// Volume sources, whether they work no more, and what to do instead (Kubernetes
/// `core/v1/types.go` and `pkg/api/pod/warnings.go`).
const VOLUMES: [(&str, bool, &str); 17] = [
    (
        "gitRepo",
        true,
        "clone the repository in an init container, into an `emptyDir`",
    ),
    ("glusterfs", true, "use a CSI driver"),
    ("rbd", true, "use the CSI driver of Ceph"),
    ("cephfs", true, "use the CSI driver of Ceph"),
    ("flocker", true, "use a CSI driver"),
    ("quobyte", true, "use the CSI driver of Quobyte"),
    ("storageos", true, "use a CSI driver"),
    ("scaleIO", true, "use a CSI driver"),
    ("photonPersistentDisk", true, "use a CSI driver"),
    ("flexVolume", false, "use a CSI driver"),
    (
        "awsElasticBlockStore",
        false,
        "use a claim with the CSI driver `ebs.csi.aws.com`",
    ),
    (
        "gcePersistentDisk",
        false,
        "use a claim with the CSI driver `pd.csi.storage.gke.io`",
    ),
    (
        "azureDisk",
        false,
        "use a claim with the CSI driver `disk.csi.azure.com`",
    ),
    (
        "azureFile",
        false,
        "use a claim with the CSI driver `file.csi.azure.com`",
    ),
    (
        "cinder",
        false,
        "use a claim with the CSI driver `cinder.csi.openstack.org`",
    ),
    (
        "vsphereVolume",
        false,
        "use a claim with the CSI driver `csi.vsphere.vmware.com`",
    ),
    (
        "portworxVolume",
        false,
        "use a claim with the CSI driver `pxd.portworx.com`",
    ),
];

/// Annotations by their beginning, and what to use instead.
const ANNOTATIONS: [(&str, &str); 6] = [
    (
        "container.apparmor.security.beta.kubernetes.io/",
        "`securityContext.appArmorProfile`",
    ),
    (
        "seccomp.security.alpha.kubernetes.io/pod",
        "`securityContext.seccompProfile`",
    ),
    (
        "container.seccomp.security.alpha.kubernetes.io/",
        "`securityContext.seccompProfile`",
    ),
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "`priorityClassName`",
    ),
    (
        "security.alpha.kubernetes.io/sysctls",
        "`securityContext.sysctls`",
    ),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "`securityContext.sysctls`",
    ),
];

/// Node labels, and what replaces them.
const NODE_LABELS: [(&str, &str); 5] = [
    ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "kubernetes.io/os"),
    (
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/zone",
    ),
    (
        "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/region",
    ),
];

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for template in pod_templates::all(context) {
        check_service_account(context, &template, findings);
        check_volumes(&template, findings);
        check_hooks(&template, findings);
        check_annotations(&template, findings);
        check_node_selector(&template, findings);
    }
}

fn check_service_account(
    context: &Context<'_>,
    template: &PodTemplatePlace<'_>,
    findings: &mut Findings<'_>,
) {
    let Some(spec) = template.node.get("spec") else {
        return;
    };
    let Some(entry) = spec.entry("serviceAccount") else {
        return;
    };
    let finding = findings
        .report_at(
            template.object,
            format!("{}.spec.serviceAccount", template.path),
            entry.key_span,
            "`serviceAccount` is deprecated: `serviceAccountName` is the field that counts",
        )
        .help("write `serviceAccountName`");
    match spec.get("serviceAccountName") {
        None => {
            let edit = Edit {
                span: entry.key_span,
                replacement: "serviceAccountName".to_owned(),
            };
            let message = "rename it to `serviceAccountName`";
            finding.fix(Applicability::Safe, message, vec![edit]);
        }
        Some(name) => {
            let is_equal = name.value == entry.value.value;
            finding.related(name.span, "the field that counts");
            if let Some(edit) =
                remove_entry(context.sources, spec, "serviceAccount").filter(|_| is_equal)
            {
                finding.fix(Applicability::Safe, "remove `serviceAccount`", vec![edit]);
            }
        }
    }
}

fn check_volumes(template: &PodTemplatePlace<'_>, findings: &mut Findings<'_>) {
    let volumes = template.node.at("spec.volumes").and_then(Node::as_seq);
    for (index, volume) in volumes.into_iter().flatten().enumerate() {
        for (field, is_gone, instead) in VOLUMES {
            let Some(entry) = volume.entry(field) else {
                continue;
            };
            let message = if field == "gitRepo" {
                "`gitRepo` volumes are deprecated, and off since Kubernetes 1.33: pods with one do not start".to_owned()
            } else if is_gone {
                format!(
                    "`{field}` volumes are deprecated, and Kubernetes has them no more: pods with one do not start"
                )
            } else {
                format!(
                    "`{field}` volumes are deprecated: they work only where a driver takes their place"
                )
            };
            let finding = findings
                .report_at(
                    template.object,
                    format!("{}.spec.volumes[{index}].{field}", template.path),
                    entry.key_span,
                    message,
                )
                .help(instead);
            if !is_gone {
                finding.severity(Severity::Info);
            }
        }
    }
}

fn check_hooks(template: &PodTemplatePlace<'_>, findings: &mut Findings<'_>) {
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        let containers = template.node.at(&format!("spec.{list}"));
        let containers = containers.and_then(Node::as_seq).unwrap_or_default();
        for (index, container) in containers.iter().enumerate() {
            for hook in ["postStart", "preStop"] {
                let handler = container.at(&format!("lifecycle.{hook}"));
                let Some(entry) = handler.and_then(|handler| handler.entry("tcpSocket")) else {
                    continue;
                };
                findings
                    .report_at(
                        template.object,
                        format!(
                            "{}.spec.{list}[{index}].lifecycle.{hook}.tcpSocket",
                            template.path
                        ),
                        entry.key_span,
                        format!("`tcpSocket` is deprecated here: a `{hook}` hook with it fails when it runs"),
                    )
                    .help("use `exec`, `httpGet` or `sleep`");
            }
        }
    }
}

fn check_annotations(template: &PodTemplatePlace<'_>, findings: &mut Findings<'_>) {
    let annotations = template
        .node
        .at("metadata.annotations")
        .and_then(Node::as_map);
    for entry in annotations.map_or(&[][..], |map| map.entries()) {
        let Some((_, instead)) = ANNOTATIONS
            .iter()
            .find(|(start, _)| entry.key.starts_with(start))
        else {
            continue;
        };
        findings
            .report_at(
                template.object,
                format!("{}.metadata.annotations[{}]", template.path, entry.key),
                entry.key_span,
                format!(
                    "annotation `{}` is deprecated: newer clusters do not heed it",
                    entry.key
                ),
            )
            .help(format!("use {instead}"));
    }
}

fn check_node_selector(template: &PodTemplatePlace<'_>, findings: &mut Findings<'_>) {
    let selector = template.node.at("spec.nodeSelector").and_then(Node::as_map);
    for entry in selector.map_or(&[][..], |map| map.entries()) {
        let Some((_, instead)) = NODE_LABELS.iter().find(|(label, _)| *label == entry.key) else {
            continue;
        };
        findings
            .report_at(
                template.object,
                format!("{}.spec.nodeSelector[{}]", template.path, entry.key),
                entry.key_span,
                format!(
                    "node label `{}` is deprecated: nodes without it get none of these pods",
                    entry.key
                ),
            )
            .help(format!("select `{instead}`"))
            .fix(
                Applicability::Unsafe,
                format!("select `{instead}`"),
                vec![Edit {
                    span: entry.key_span,
                    replacement: (*instead).to_owned(),
                }],
            );
    }
}
