//! `weight-needs-router`.

use crate::engine::rollout::replicas::{ReplicaCounts, pods_for_weight};
use crate::lint::context::{Context, RolloutView};
use crate::lint::facts::canary_course::{WeightStep, wanted_percent, weight_steps};
use crate::lint::{Confidence, Findings, Rule, Setting};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "weight-needs-router",
    summary: "the pods cannot be split as the weights say",
    severity: Severity::Warning,
    finds: "
Canaries without a traffic router where the requests that the new version gets differ by more than
`max_weight_error` points from a `setWeight`: only whole pods can be had. Where an autoscaler sets the
number of pods, it is found if no number that it may choose comes near enough.",
    hurts: "
The new version gets many more requests than the step says, or none: 5% of 4 pods is one in five
requests. Where the weight comes to no pod at all, the step and its pause test nothing.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 4
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
    canary:
      steps:
        - setWeight: 5
        - pause: {duration: 10m}
        - setWeight: 40
        - pause: {duration: 10m}
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 4
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
    canary:
      steps:
        - setWeight: 20
        - pause: {duration: 10m}
        - setWeight: 40
        - pause: {duration: 10m}
",
    settings: &[Setting {
        name: "max_weight_error",
        default: "5",
        about: "points by which the share of the pods may differ from the weight",
    }],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        if !rollout.has_router() {
            check_rollout(rollout, context.settings.max_weight_error, findings);
        }
    }
}

/// One finding for a rollout: more pods or a router mend all its steps.
fn check_rollout(rollout: &RolloutView<'_>, limit: i32, findings: &mut Findings<'_>) {
    let pods = possible_pods(rollout);
    let wrong: Vec<(WeightStep, ReplicaCounts)> = weight_steps(rollout)
        .into_iter()
        .filter_map(|step| {
            let wanted = wanted_percent(rollout, step.weight);
            let nearest = pods
                .clone()
                .map(|replicas| counts(rollout, replicas, step.weight))
                .min_by(|a, b| {
                    let distance = |counts: &ReplicaCounts| (share(*counts) - wanted).abs();
                    distance(a).total_cmp(&distance(b))
                })?;
            ((share(nearest) - wanted).abs() > f64::from(limit) && is_split(nearest))
                .then_some((step, nearest))
        })
        .collect();
    let Some(((step, counts), others)) = wrong.split_first() else {
        return;
    };
    let wanted = wanted_percent(rollout, step.weight);
    let by_pods = share(*counts);
    let message = if counts.canary == 0 {
        format!("weight {wanted:.0} comes to no pod of the new version: the step tests nothing")
    } else {
        format!(
            "weight {wanted:.0} gives the new version {by_pods:.0}% of the requests: {} of {} pods, and there is no traffic router",
            counts.canary,
            counts.canary.saturating_add(counts.stable)
        )
    };
    let finding = findings
        .report(
            rollout.object,
            rollout.step_path(step.step, "setWeight"),
            message,
        )
        .help("split the requests by a traffic router, run more pods, or use weights that whole pods give")
        .confidence(if pods.clone().count() > 1 {
            Confidence::Medium
        } else {
            Confidence::High
        });
    for (other, counts) in others {
        finding.related(
            rollout.span_of(&rollout.step_path(other.step, "setWeight")),
            format!("and {:.0}% here", share(*counts)),
        );
    }
}

/// Numbers of pods that the rollout may have.
fn possible_pods(rollout: &RolloutView<'_>) -> std::ops::RangeInclusive<i32> {
    let spec = &rollout.rollout.spec;
    let count = spec.replicas_or_default();
    if spec.replicas.is_some() || rollout.autoscalers.is_empty() {
        return count..=count;
    }
    let bound = |names: [&str; 2]| {
        let bounds = rollout.autoscalers.iter().filter_map(|autoscaler| {
            let spec = autoscaler.json().get("spec")?;
            names.iter().find_map(|name| spec.get(name)?.as_i64())
        });
        let bounds = bounds.filter_map(|bound| i32::try_from(bound).ok());
        bounds.collect::<Vec<_>>().into_iter()
    };
    let least = bound(["minReplicas", "minReplicaCount"]).min().unwrap_or(1);
    // More pods come nearer to any weight; beyond these they do so anyhow.
    let most = bound(["maxReplicas", "maxReplicaCount"])
        .max()
        .unwrap_or(100)
        .min(100);
    least.min(most)..=most
}

fn counts(rollout: &RolloutView<'_>, replicas: i32, weight: i32) -> ReplicaCounts {
    let spec = &rollout.rollout.spec;
    if spec.replicas_or_default() == replicas {
        return pods_for_weight(&rollout.rollout, weight);
    }
    let mut scaled = rollout.rollout.clone();
    scaled.spec.replicas = Some(replicas);
    pods_for_weight(&scaled, weight)
}

/// Percent of the pods that are of the new version.
fn share(counts: ReplicaCounts) -> f64 {
    let all = counts.canary.saturating_add(counts.stable).max(1);
    f64::from(counts.canary) * 100.0 / f64::from(all)
}

/// Whether there are pods at all.
fn is_split(counts: ReplicaCounts) -> bool {
    counts.canary > 0 || counts.stable > 0
}
