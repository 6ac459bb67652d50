//! `rollback-impossible`.

use crate::lint::context::{Context, RolloutView};
use crate::lint::facts::demonstrate::demonstrate;
use crate::lint::{Applicability, Counterexample, Edit, Findings, Rule};
use crate::sim::scenario::{Always, Period, Release, Scenario, ScenarioEvent, Undo};
use crate::sim::timeline::EntryKind;
use crate::source::Severity;
use crate::time::Duration;

pub static RULE: Rule = Rule {
    name: "rollback-impossible",
    summary: "no old version is kept to go back to",
    severity: Severity::Warning,
    finds: "
`revisionHistoryLimit: 0`.",
    hurts: "
The ReplicaSet of the version before is deleted as soon as it has no pods. `undo` then has nothing to go
back to, and the way back is a new release of the old version, through all the steps, on the worst day.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 10
  revisionHistoryLimit: 0
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
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 10
  revisionHistoryLimit: 3
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
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        if rollout.rollout.spec.revision_history_limit != Some(0) {
            continue;
        }
        let path = "spec.revisionHistoryLimit";
        let span = rollout.span_of(path);
        let finding = findings
            .report(
                rollout.object,
                path,
                "no old version is kept: once a release is promoted, `undo` has nothing to go back to",
            )
            .help("keep a few revisions (10 without the field)")
            .fix(
                Applicability::Unsafe,
                "keep 3 revisions",
                vec![Edit {
                    span,
                    replacement: "3".to_owned(),
                }],
            );
        if let Some(example) = undo_after_a_release(context, rollout) {
            finding.counterexample(example);
        }
    }
}

/// What `undo` says after a release that was promoted.
fn undo_after_a_release(
    context: &Context<'_>,
    rollout: &RolloutView<'_>,
) -> Option<Counterexample> {
    let at = |seconds| Some(Period(Duration::from_secs(seconds)));
    let scenario = Scenario {
        until: at(7200),
        release: Some(Release::default()),
        events: vec![
            ScenarioEvent {
                at: at(300),
                promote_full: Some(Always(true)),
                ..ScenarioEvent::default()
            },
            ScenarioEvent {
                at: at(3600),
                undo: Some(Undo::Previous(Always(true))),
                ..ScenarioEvent::default()
            },
        ],
        ..Scenario::default()
    };
    let play = demonstrate(context, rollout, scenario)?;
    let refused = play
        .timeline
        .iter()
        .find(|entry| entry.kind == EntryKind::Problem && entry.at >= Duration::from_secs(3600))?;
    Some(Counterexample {
        given: "a release that is promoted in full".to_owned(),
        evaluated: "undo, an hour later".to_owned(),
        outcome: refused.text.clone(),
    })
}
