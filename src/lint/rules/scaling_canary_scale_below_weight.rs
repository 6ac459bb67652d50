//! `canary-scale-below-weight`.

use crate::lint::context::{Context, RolloutView};
use crate::lint::facts::canary_course::wanted_percent;
use crate::lint::{Findings, Rule, Setting};
use crate::source::Severity;
use crate::spec::rollout::SetCanaryScale;

pub static RULE: Rule = Rule {
    name: "canary-scale-below-weight",
    summary: "a scale that was set for one step leaves the canary too small for its weight",
    severity: Severity::Warning,
    finds: "
Steps where the canary has a size of its own, by `setCanaryScale`, and the weight gives each of its pods
more than `max_canary_load` times the requests that a pod is sized for. A size that was set holds for all
later steps, until `setCanaryScale` with `matchTrafficWeight: true`.",
    hurts: "
One pod that was meant for testers serves half of the users: it slows down or fails, the analysis sees a
bad version, or nobody does, and a good release is aborted or an overload is released.",
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
      canaryService: shop-canary
      stableService: shop-stable
      trafficRouting:
        istio:
          virtualService: {name: shop}
      steps:
        - setCanaryScale: {replicas: 1}
        - setWeight: 5
        - pause: {duration: 10m}
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
      trafficRouting:
        istio:
          virtualService: {name: shop}
      steps:
        - setCanaryScale: {replicas: 1}
        - setWeight: 5
        - pause: {duration: 10m}
        - setCanaryScale: {matchTrafficWeight: true}
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
    settings: &[Setting {
        name: "max_canary_load",
        default: "2.0",
        about: "how many times the requests that it is sized for a pod may get",
    }],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for rollout in &context.rollouts {
        if rollout.has_router() {
            check_rollout(rollout, context.settings.max_canary_load, findings);
        }
    }
}

/// One finding for a rollout: what mends the first step mends those behind it.
fn check_rollout(rollout: &RolloutView<'_>, limit: f64, findings: &mut Findings<'_>) {
    let steps = rollout.steps();
    let spec = &rollout.rollout.spec;
    let replicas = f64::from(spec.replicas_or_default());
    let is_scaled = spec.replicas.is_none() && !rollout.autoscalers.is_empty();
    let mut size: Option<(usize, &SetCanaryScale)> = None;
    let mut percent = 0.0;
    for (step, canary_step) in steps.iter().enumerate() {
        if let Some(scale) = &canary_step.set_canary_scale {
            size = (!scale.match_traffic_weight).then_some((step, scale));
        }
        if let Some(weight) = canary_step.set_weight {
            percent = wanted_percent(rollout, weight);
        }
        let Some((set_at, scale)) = size else {
            continue;
        };
        let needed = replicas * percent / 100.0;
        let (pods, load) = match (scale.replicas, scale.weight) {
            // How many pods there are is up to the autoscaler.
            (Some(_), _) if is_scaled => continue,
            (Some(pods), _) => (count_of(pods), needed / f64::from(pods)),
            (None, Some(weight)) => {
                let pods = (replicas * f64::from(weight) / 100.0).ceil();
                let load = if is_scaled {
                    percent / f64::from(weight)
                } else {
                    needed / pods
                };
                (format!("pods for a weight of {weight}"), load)
            }
            (None, None) => continue,
        };
        if percent <= 0.0 || load.is_nan() || load <= limit {
            continue;
        }
        let how_much = if load.is_finite() {
            format!("each gets {load:.1} times the requests that it is sized for")
        } else {
            "nobody answers them".to_owned()
        };
        let is_weight = canary_step.set_weight.is_some();
        let field = if is_weight {
            "setWeight"
        } else {
            "setCanaryScale"
        };
        findings
            .report(
                rollout.object,
                rollout.step_path(step, field),
                format!("at {percent:.0}% of the requests the canary still has {pods}: {how_much}"),
            )
            .help("put `setCanaryScale: {matchTrafficWeight: true}` before the weight")
            .related(
                rollout.span_of(&rollout.step_path(set_at, "setCanaryScale")),
                "its size was set here",
            );
        return;
    }
}

fn count_of(pods: i32) -> String {
    match pods {
        0 => "no pods".to_owned(),
        1 => "1 pod".to_owned(),
        _ => format!("{pods} pods"),
    }
}
