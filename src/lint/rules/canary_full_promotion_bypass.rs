//! `full-promotion-bypass`.

use crate::lint::context::{AnalysisPlace, AnalysisUse, Context, RolloutView};
use crate::lint::facts::demonstrate::demonstrate;
use crate::lint::{Counterexample, Findings, Rule};
use crate::sim::play::Verdict;
use crate::sim::scenario::{Always, Period, Release, Scenario, ScenarioEvent};
use crate::source::Severity;
use crate::time::Duration;

pub static RULE: Rule = Rule {
    name: "full-promotion-bypass",
    summary: "`promote --full` skips every analysis",
    severity: Severity::Info,
    finds: "
Canaries whose only analyses are steps, inline or in experiments, so that no analysis runs beside the
steps from early on.",
    hurts: "
`promote --full` goes to the end at once, past all steps that are still to come. Where the analysis is one
of these, the version is released without a single measurement. One that runs beside the steps ends with
the promotion as well, but has judged until then, and has aborted what was bad.",
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
        - setWeight: 20
        - analysis:
            templates:
              - templateName: success-rate
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      interval: 1m
      count: 5
      failureLimit: 1
      successCondition: result[0] >= 0.95
      provider:
        prometheus:
          address: http://prometheus.monitoring:9090
          query: |
            sum(rate(http_requests_total{app=\"shop-canary\",code!~\"5..\"}[5m]))
            /
            sum(rate(http_requests_total{app=\"shop-canary\"}[5m]))
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
      analysis:
        templates:
          - templateName: success-rate
        startingStep: 1
      steps:
        - setWeight: 20
        - pause: {duration: 10m}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      interval: 1m
      count: 5
      failureLimit: 1
      successCondition: result[0] >= 0.95
      provider:
        prometheus:
          address: http://prometheus.monitoring:9090
          query: |
            sum(rate(http_requests_total{app=\"shop-canary\",code!~\"5..\"}[5m]))
            /
            sum(rate(http_requests_total{app=\"shop-canary\"}[5m]))
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        if rollout.canary().is_none() {
            continue;
        }
        let is_in_steps = |analysis: &&AnalysisUse<'_>| match analysis.place {
            AnalysisPlace::Step { step: _ }
            | AnalysisPlace::ExperimentStep {
                step: _,
                analysis: _,
            } => true,
            AnalysisPlace::Background { starting_step: _ }
            | AnalysisPlace::PrePromotion
            | AnalysisPlace::PostPromotion
            | AnalysisPlace::Experiment { analysis: _ }
            | AnalysisPlace::Run
            | AnalysisPlace::Alone => false,
        };
        let analyses = &rollout.analyses;
        let (Some(first), true) = (analyses.first(), analyses.iter().all(|it| is_in_steps(&it)))
        else {
            continue;
        };
        let place = rollout.object.node.span_of(&first.path);
        let span = place.key.unwrap_or(place.value);
        let finding = findings
            .report_at(
                rollout.object,
                first.path.clone(),
                span,
                "`promote --full` releases the version without any measurement: every analysis is a step, and it skips them",
            )
            .help("let an analysis run beside the steps as well, or bound who may promote in full");
        for other in analyses.iter().skip(1) {
            let place = rollout.object.node.span_of(&other.path);
            finding.related(place.key.unwrap_or(place.value), "skipped as well");
        }
        if let Some(example) = promoted_in_full(context, rollout) {
            finding.counterexample(example);
        }
    }
}

/// A full promotion right after the release.
fn promoted_in_full(context: &Context<'_>, rollout: &RolloutView<'_>) -> Option<Counterexample> {
    let scenario = Scenario {
        until: Some(Period(Duration::from_secs(3600))),
        release: Some(Release::default()),
        events: vec![ScenarioEvent {
            at: Some(Period(Duration::from_secs(1))),
            promote_full: Some(Always(true)),
            ..ScenarioEvent::default()
        }],
        ..Scenario::default()
    };
    let play = demonstrate(context, rollout, scenario)?;
    let is_shown = play.outcome.verdict == Verdict::Promoted && play.totals.measurements == 0;
    is_shown.then(|| Counterexample {
        given: "promote --full, a second after the release".to_owned(),
        evaluated: "simulation".to_owned(),
        outcome: "promoted, after 0 measurements".to_owned(),
    })
}
