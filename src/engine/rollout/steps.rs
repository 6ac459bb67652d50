//! Where a canary stands in its list of steps (argo-rollouts `utils/replicaset/canary.go`,
//! `utils/rollout/rolloututil.go`).

use crate::spec::rollout::{CanaryStep, Rollout, RolloutExperimentStep};

/// Index of the current step; none for a strategy without steps. Equal to their number once all
/// are done, and beyond it after steps were taken out of the spec.
///
/// An index that was never recorded, or is negative, counts as 0.
pub fn current_step_index(rollout: &Rollout) -> Option<usize> {
    let canary = rollout.spec.strategy.canary.as_ref()?;
    if canary.steps.is_empty() {
        return None;
    }
    let index = rollout.status.current_step_index.unwrap_or(0);
    Some(usize::try_from(index).unwrap_or(0))
}

/// The current step with its index; none without steps and when all are done.
pub fn current_step(rollout: &Rollout) -> Option<(usize, &CanaryStep)> {
    let index = current_step_index(rollout)?;
    let canary = rollout.spec.strategy.canary.as_ref()?;
    Some((index, canary.steps.get(index)?))
}

/// The steps up to and including the current one, latest first; none when all are done.
pub fn steps_back_from_current(rollout: &Rollout) -> Option<impl Iterator<Item = &CanaryStep>> {
    let (index, _) = current_step(rollout)?;
    let canary = rollout.spec.strategy.canary.as_ref()?;
    Some(canary.steps.iter().take(index.saturating_add(1)).rev())
}

/// The experiment of the current step, or else of the last step before it that has one.
pub fn current_experiment_step(rollout: &Rollout) -> Option<&RolloutExperimentStep> {
    steps_back_from_current(rollout)?.find_map(|step| step.experiment.as_deref())
}

/// Whether the background analysis has yet to wait for its `startingStep`. False once all steps
/// are done.
pub fn before_starting_step(rollout: &Rollout) -> bool {
    let starting_step = rollout
        .spec
        .strategy
        .canary
        .as_ref()
        .and_then(|canary| canary.analysis.as_ref()?.starting_step);
    match (starting_step, current_step_index(rollout)) {
        (Some(starting_step), Some(index)) => {
            usize::try_from(starting_step).is_ok_and(|starting_step| index < starting_step)
        }
        (Some(_) | None, _) => false,
    }
}

/// The step in words, as events and the command-line plugin of Argo Rollouts show it.
pub fn step_text(step: &CanaryStep) -> String {
    let CanaryStep {
        set_weight,
        pause,
        experiment,
        analysis,
        set_canary_scale,
        set_header_route,
        set_mirror_route,
        plugin,
    } = step;
    if let Some(weight) = set_weight {
        return format!("setWeight: {weight}");
    }
    if let Some(pause) = pause {
        return match &pause.duration {
            Some(duration) => format!("pause: {duration}"),
            None => "pause".to_owned(),
        };
    }
    if experiment.is_some() {
        return "experiment".to_owned();
    }
    if analysis.is_some() {
        return "analysis".to_owned();
    }
    if let Some(scale) = set_canary_scale {
        if let Some(weight) = scale.weight {
            return format!("setCanaryScale{{weight: {weight}}}");
        }
        if scale.match_traffic_weight {
            return "setCanaryScale{matchTrafficWeight: true}".to_owned();
        }
        if let Some(replicas) = scale.replicas {
            return format!("setCanaryScale{{replicas: {replicas}}}");
        }
    }
    if let Some(plugin) = plugin {
        return format!("plugin: {}", plugin.name);
    }
    if let Some(route) = set_header_route {
        return format!("setHeaderRoute: {}", route.name);
    }
    if let Some(route) = set_mirror_route {
        return format!("setMirrorRoute: {}", route.name);
    }
    "invalid".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rollout(steps: serde_json::Value, index: Option<i32>) -> Rollout {
        serde_json::from_value(json!({
            "spec": {"strategy": {"canary": {"steps": steps, "analysis": {"startingStep": 1}}}},
            "status": index.map_or(json!({}), |index| json!({"currentStepIndex": index})),
        }))
        .unwrap()
    }

    #[test]
    fn a_position_may_lie_behind_the_last_step() {
        let steps = json!([{"setWeight": 10}, {"pause": {}}]);
        for (index, at, step) in [
            (None, 0, Some("setWeight: 10")),
            (Some(-1), 0, Some("setWeight: 10")),
            (Some(1), 1, Some("pause")),
            (Some(2), 2, None),
            (Some(7), 7, None),
        ] {
            let rollout = rollout(steps.clone(), index);
            assert_eq!(current_step_index(&rollout), Some(at));
            let found = current_step(&rollout).map(|(_, step)| step_text(step));
            assert_eq!(found.as_deref(), step);
            assert_eq!(before_starting_step(&rollout), at == 0);
        }
        assert_eq!(current_step_index(&rollout(json!([]), Some(0))), None);
        assert!(!before_starting_step(&rollout(json!([]), Some(0))));
    }

    #[test]
    fn the_latest_experiment_stays_current() {
        let steps = json!([
            {"experiment": {"duration": "1m"}}, {"setWeight": 1}, {"experiment": {"duration": "2m"}}
        ]);
        let duration = |index| {
            current_experiment_step(&rollout(steps.clone(), Some(index)))
                .map(|step| step.duration.to_string())
        };
        assert_eq!(duration(1).as_deref(), Some("1m"));
        assert_eq!(duration(2).as_deref(), Some("2m"));
        assert_eq!(duration(3), None);
    }

    #[test]
    fn steps_are_named() {
        for (step, text) in [
            (json!({"pause": {"duration": "1h"}}), "pause: 1h"),
            (json!({"pause": {"duration": 20}}), "pause: 20"),
            (json!({"experiment": {}}), "experiment"),
            (json!({"analysis": {}}), "analysis"),
            (
                json!({"setCanaryScale": {"weight": 5, "replicas": 2}}),
                "setCanaryScale{weight: 5}",
            ),
            (
                json!({"setCanaryScale": {"replicas": 2}}),
                "setCanaryScale{replicas: 2}",
            ),
            (
                json!({"setCanaryScale": {"matchTrafficWeight": true}}),
                "setCanaryScale{matchTrafficWeight: true}",
            ),
            (json!({"setCanaryScale": {}}), "invalid"),
            (json!({"plugin": {"name": "p"}}), "plugin: p"),
            (
                json!({"setHeaderRoute": {"name": "h"}}),
                "setHeaderRoute: h",
            ),
            (
                json!({"setMirrorRoute": {"name": "m"}}),
                "setMirrorRoute: m",
            ),
            (json!({}), "invalid"),
        ] {
            assert_eq!(step_text(&serde_json::from_value(step).unwrap()), text);
        }
    }
}
