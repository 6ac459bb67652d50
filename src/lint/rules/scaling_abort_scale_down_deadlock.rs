//! `abort-scale-down-deadlock`.

use crate::lint::context::{Context, RolloutView};
use crate::lint::edits::remove_entry;
use crate::lint::facts::canary_course::weight_steps;
use crate::lint::facts::demonstrate::play_rollout;
use crate::lint::facts::schedule::Schedule;
use crate::lint::{Applicability, Counterexample, Findings, Rule, Setting};
use crate::sim::play::Verdict;
use crate::sim::scenario::{Always, Period, Release, Scenario, ScenarioEvent};
use crate::source::Severity;
use crate::time::Duration;

pub static RULE: Rule = Rule {
    name: "abort-scale-down-deadlock",
    summary: "an abort gets stuck or overloads pods",
    severity: Severity::Warning,
    finds: "
`dynamicStableScale` together with `abortScaleDownDelaySeconds`, where a simulated abort in the middle of
a release ends stuck, or gives pods more than `max_canary_load` times the requests that they are sized
for. If `target_version` is before 1.10, any delay above 0 is found: there, pods and weights can wait for
each other for ever.",
    hurts: "
With `dynamicStableScale` the stable version has fewer pods while the new one has traffic. An abort has to
bring them back before the requests come, and to let the new version go: if the two wait for each other,
the abort that was to end an incident makes one.",
    bad: "
# settings: {\"target_version\": [1, 9]}
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
      canaryService: shop-canary
      stableService: shop-stable
      dynamicStableScale: true
      abortScaleDownDelaySeconds: 600
      trafficRouting:
        istio:
          virtualService: {name: shop}
      steps:
        - setWeight: 50
        - pause: {duration: 10m}
---
apiVersion: v1
kind: Service
metadata:
  name: shop-canary
spec:
  selector: {app: shop}
  ports:
    - port: 80
---
apiVersion: v1
kind: Service
metadata:
  name: shop-stable
spec:
  selector: {app: shop}
  ports:
    - port: 80
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: shop
spec:
  hosts: [shop]
  http:
    - route:
        - destination: {host: shop-stable}
          weight: 100
        - destination: {host: shop-canary}
          weight: 0
",
    good: "
# settings: {\"target_version\": [1, 9]}
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
      canaryService: shop-canary
      stableService: shop-stable
      dynamicStableScale: true
      trafficRouting:
        istio:
          virtualService: {name: shop}
      steps:
        - setWeight: 50
        - pause: {duration: 10m}
---
apiVersion: v1
kind: Service
metadata:
  name: shop-canary
spec:
  selector: {app: shop}
  ports:
    - port: 80
---
apiVersion: v1
kind: Service
metadata:
  name: shop-stable
spec:
  selector: {app: shop}
  ports:
    - port: 80
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: shop
spec:
  hosts: [shop]
  http:
    - route:
        - destination: {host: shop-stable}
          weight: 100
        - destination: {host: shop-canary}
          weight: 0
",
    settings: &[
        Setting {
            name: "target_version",
            default: "[1,10]",
            about: "major and minor version of Argo Rollouts that will run the rollout",
        },
        Setting {
            name: "max_canary_load",
            default: "2.0",
            about: "how many times the requests that it is sized for a pod may get",
        },
    ],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    let (major, minor) = context.settings.target_version;
    for rollout in &context.rollouts {
        let Some(canary) = rollout.canary() else {
            continue;
        };
        let (true, Some(delay)) = (
            canary.dynamic_stable_scale && canary.traffic_routing.is_some(),
            canary.abort_scale_down_delay_seconds,
        ) else {
            continue;
        };
        let (message, example) = if (major, minor) < (1, 10) && delay > 0 {
            let message = format!(
                "with Argo Rollouts {major}.{minor} an abort can get stuck: the new version's pods and the weights wait for each other"
            );
            (message, None)
        } else if let Some((message, example)) = aborted(context, rollout) {
            (message, Some(example))
        } else {
            continue;
        };
        let finding = findings
            .report(
                rollout.object,
                "spec.strategy.canary.abortScaleDownDelaySeconds",
                message,
            )
            .help("leave `abortScaleDownDelaySeconds` out: with `dynamicStableScale` the pods of the new version then go as their requests do")
            .related(
                rollout.span_of("spec.strategy.canary.dynamicStableScale"),
                "the stable version shrinks as the new one grows",
            );
        let map = rollout.object.node.at("spec.strategy.canary");
        let edit =
            map.and_then(|map| remove_entry(context.sources, map, "abortScaleDownDelaySeconds"));
        if let Some(edit) = edit {
            finding.fix(
                Applicability::Unsafe,
                "remove `abortScaleDownDelaySeconds`",
                vec![edit],
            );
        }
        if let Some(example) = example {
            finding.counterexample(example);
        }
    }
}

/// What goes wrong where a release is aborted at its last intermediate weight.
fn aborted(context: &Context<'_>, rollout: &RolloutView<'_>) -> Option<(String, Counterexample)> {
    let last = weight_steps(rollout)
        .into_iter()
        .rev()
        .find(|step| step.percent > 0.0 && step.percent < 100.0)?;
    let way = Schedule::new(rollout).map_or(Duration::ZERO, |it| it.known_time(0, last.step));
    let at = way + Duration::from_secs(120);
    let scenario = Scenario {
        until: Some(Period(at + Duration::from_secs(3600))),
        release: Some(Release::default()),
        events: vec![ScenarioEvent {
            at: Some(Period(at)),
            abort: Some(Always(true)),
            ..ScenarioEvent::default()
        }],
        ..Scenario::default()
    };
    let play = play_rollout(context, rollout, scenario)?;
    let given = format!("an abort {at} after a release");
    let replicas = f64::from(rollout.rollout.spec.replicas_or_default());
    if play.outcome.verdict == Verdict::Stuck {
        let example = Counterexample {
            given,
            evaluated: "simulation of the hour behind".to_owned(),
            outcome: play.outcome.message,
        };
        return Some(("an abort gets stuck".to_owned(), example));
    }
    let limit = context.settings.max_canary_load;
    let after = play.samples.iter().filter(|sample| sample.at >= at);
    let (load, sample) = after
        .map(|sample| {
            let load = |share: f64, pods: i32| {
                if share <= 0.0 {
                    0.0
                } else {
                    share * replicas / f64::from(pods.max(0))
                }
            };
            let stable = load(
                1.0 - sample.share,
                sample.pods.saturating_sub(sample.release_pods),
            );
            (stable.max(load(sample.share, sample.release_pods)), sample)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (load > limit).then(|| {
        let message =
            format!("an abort gives pods {load:.1} times the requests that they are sized for");
        let example = Counterexample {
            given,
            evaluated: format!("simulation, at {}", sample.at),
            outcome: format!(
                "{} pods of the new version have {:.0}% of the requests, {} others the rest",
                sample.release_pods,
                sample.share * 100.0,
                sample.pods.saturating_sub(sample.release_pods)
            ),
        };
        (message, example)
    })
}
