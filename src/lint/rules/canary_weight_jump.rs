//! `weight-jump`.

use crate::lint::context::{Context, RolloutView};
use crate::lint::facts::canary_course::{
    Hold, WeightStep, holds_between, is_measured_between, weight_steps,
};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::{Settings, lint};
    use crate::source::Sources;
    use crate::spec::bundle::Bundle;

    /// Whether 10% to `second` with a pause of 5 minutes is found.
    fn is_found(second: i32, starting_step: Option<i32>, interval: &str) -> bool {
        let analysis = starting_step.map_or(String::new(), |step| {
            format!("analysis: {{startingStep: {step}, templates: [{{templateName: rate}}]}}")
        });
        let yaml = format!(
            "apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: shop}}
spec:
  replicas: 100
  strategy:
    canary:
      {analysis}
      steps:
        - setWeight: 10
        - pause: {{duration: 5m}}
        - setWeight: {second}
        - pause: {{duration: 5m}}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {{name: rate}}
spec:
  metrics:
    - name: rate
      {interval}
      provider: {{prometheus: {{address: 'http://p', query: up}}}}
"
        );
        let mut sources = Sources::new();
        let (bundle, problems) = Bundle::read(&mut sources, &[("f", yaml.as_bytes())]);
        let report = lint(&sources, &bundle, problems, &Settings::default());
        report
            .findings
            .iter()
            .any(|finding| finding.rule == RULE.name)
    }

    #[test]
    fn bounds_are_allowed() {
        assert!(!is_found(40, None, ""));
        assert!(is_found(41, None, ""));
    }

    #[test]
    fn only_measurements_between_the_weights_count() {
        assert!(!is_found(80, Some(1), "interval: 1m"));
        // Taken when the analysis begins, at the first weight.
        assert!(!is_found(80, Some(1), ""));
        // Taken when the first weight is set, and then too late.
        assert!(is_found(80, Some(0), ""));
        assert!(is_found(80, Some(0), "interval: 6m"));
        assert!(!is_found(80, Some(0), "interval: 5m"));
        assert!(is_found(80, Some(1), "initialDelay: 6m"));
        // Begins too late.
        assert!(is_found(80, Some(2), "interval: 1m"));
    }
}
