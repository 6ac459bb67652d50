//! `weight-jump`.

use crate::lint::canary_course::{
    Hold, WeightStep, holds_between, is_measured_between, weight_steps,
};
use crate::lint::context::{Context, RolloutView};
use crate::lint::{Confidence, Findings, Rule, Setting};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "weight-jump",
    summary: "the share of the new version grows by leaps between two looks at it",
    severity: Severity::Warning,
    finds: "
Two `setWeight` steps that follow each other, where the share of the requests that the new version
gets grows more than `max_weight_factor` times or by more than `max_weight_points` points, and no
analysis looks at it in between: neither an inline analysis, nor an experiment with an analysis, nor
a measurement of the background analysis that is due there. Without a traffic router the share is
what the number of pods makes of the weight. The last jump to all requests, which comes behind the
steps, does not count; nor does the first weight (`oversized-first-weight`). Where somebody has to
promote in between, the confidence is low: people may have looked.",
    hurts: "
What a small share of users would have shown hits many at once: a fault that needs load, a cache or a
lock that many share, or an error that few requests meet.",
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
    canary:
      steps:
        - setWeight: 10
        - pause: {duration: 10m}
        - setWeight: 80
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
      containers:
        - name: shop
          image: shop:1.0.0
  strategy:
    canary:
      steps:
        - setWeight: 10
        - pause: {duration: 10m}
        - setWeight: 40
        - pause: {duration: 10m}
        - setWeight: 80
        - pause: {duration: 10m}
",
    settings: &[
        Setting {
            name: "max_weight_factor",
            default: "4.0",
            about: "how many times the share may grow between two looks",
        },
        Setting {
            name: "max_weight_points",
            default: "50",
            about: "how many points the share may grow between two looks",
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        let weights = weight_steps(rollout);
        for (from, to) in weights.iter().zip(weights.iter().skip(1)) {
            if is_looked_at(rollout, from.step, to.step) {
                continue;
            }
            let factor = context.settings.max_weight_factor;
            let points = f64::from(context.settings.max_weight_points);
            // From nothing, every share is infinitely more.
            let is_multiplied = from.percent > 0.0 && to.percent > from.percent * factor;
            if is_multiplied || to.percent - from.percent > points {
                report(rollout, *from, *to, findings);
            }
        }
    }
}

/// Whether an analysis judges the new version between two steps.
fn is_looked_at(rollout: &RolloutView<'_>, from: usize, to: usize) -> bool {
    let is_look = |hold| match hold {
        Hold::Analysis | Hold::Plugin => true,
        Hold::Experiment {
            length: _,
            has_analyses,
        } => has_analyses,
        Hold::None | Hold::Pause(_) | Hold::UntilPromoted => false,
    };
    holds_between(rollout, from, to).any(is_look) || is_measured_between(rollout, from, to)
}

fn report(
    rollout: &RolloutView<'_>,
    from: WeightStep,
    to: WeightStep,
    findings: &mut Findings<'_>,
) {
    let is_promoted =
        holds_between(rollout, from.step, to.step).any(|hold| hold == Hold::UntilPromoted);
    let confidence = if is_promoted {
        Confidence::Low
    } else if to.is_known {
        Confidence::High
    } else {
        Confidence::Medium
    };
    findings
        .report(
            rollout.object,
            rollout.step_path(to.step, "setWeight"),
            format!(
                "the new version's share jumps from {:.0}% to {:.0}% of the requests, and no analysis looks at it in between",
                from.percent, to.percent
            ),
        )
        .help("put a weight between the two, or an analysis before the larger one")
        .confidence(confidence)
        .related(
            rollout.span_of(&rollout.step_path(from.step, "setWeight")),
            "the weight before",
        );
}
