//! What absent fields mean (argo-rollouts `utils/defaults/defaults.go` and the getters of its types).

use super::analysis::Metric;
use super::experiment::Experiment;
use super::meta::IntOrString;
use super::rollout::{CanaryStrategy, Rollout, RolloutSpec};
use crate::time::Duration;

pub const REPLICAS: i32 = 1;
pub const REVISION_HISTORY_LIMIT: i32 = 10;
pub const SUCCESSFUL_RUN_HISTORY_LIMIT: i32 = 5;
pub const UNSUCCESSFUL_RUN_HISTORY_LIMIT: i32 = 5;
/// Percent of `spec.replicas`.
pub const MAX_SURGE_PERCENT: &str = "25%";
/// Percent of `spec.replicas`.
pub const MAX_UNAVAILABLE_PERCENT: &str = "25%";
pub const PROGRESS_DEADLINE_SECONDS: i32 = 600;
pub const SCALE_DOWN_DELAY_SECONDS: i32 = 30;
pub const ABORT_SCALE_DOWN_DELAY_SECONDS: i32 = 30;
pub const CONSECUTIVE_ERROR_LIMIT: i32 = 4;
/// Sum of traffic weights.
pub const MAX_TRAFFIC_WEIGHT: i32 = 100;
/// Time between a measurement that erred and the next, whatever the metric's interval.
pub const ERROR_RETRY_INTERVAL: Duration = Duration::from_secs(10);
pub const NGINX_ANNOTATION_PREFIX: &str = "nginx.ingress.kubernetes.io";

/// What happens to the new version's ReplicaSet after an abort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortScaleDown {
    /// It stays as it is (`abortScaleDownDelaySeconds: 0`).
    Never,
    /// It is scaled down after the delay; `explicit` tells whether the user set the delay.
    After { delay: Duration, explicit: bool },
}

impl RolloutSpec {
    /// Desired pods.
    pub fn replicas_or_default(&self) -> i32 {
        self.replicas.unwrap_or(REPLICAS)
    }

    pub fn revision_history_limit_or_default(&self) -> i32 {
        self.revision_history_limit
            .unwrap_or(REVISION_HISTORY_LIMIT)
    }

    pub fn successful_run_history_limit_or_default(&self) -> i32 {
        self.analysis
            .as_ref()
            .and_then(|analysis| analysis.successful_run_history_limit)
            .unwrap_or(SUCCESSFUL_RUN_HISTORY_LIMIT)
    }

    pub fn unsuccessful_run_history_limit_or_default(&self) -> i32 {
        self.analysis
            .as_ref()
            .and_then(|analysis| analysis.unsuccessful_run_history_limit)
            .unwrap_or(UNSUCCESSFUL_RUN_HISTORY_LIMIT)
    }

    /// Seconds.
    pub fn progress_deadline_seconds_or_default(&self) -> i32 {
        self.progress_deadline_seconds
            .unwrap_or(PROGRESS_DEADLINE_SECONDS)
    }

    /// Only a canary has this setting.
    pub fn max_surge_or_default(&self) -> IntOrString {
        self.canary()
            .and_then(|canary| canary.max_surge.clone())
            .unwrap_or_else(|| MAX_SURGE_PERCENT.into())
    }

    pub fn max_unavailable_or_default(&self) -> IntOrString {
        let blue_green = self.strategy.blue_green.as_ref();
        blue_green
            .and_then(|blue_green| blue_green.max_unavailable.clone())
            .or_else(|| {
                self.canary()
                    .and_then(|canary| canary.max_unavailable.clone())
            })
            .unwrap_or_else(|| MAX_UNAVAILABLE_PERCENT.into())
    }

    /// How long the old ReplicaSet outlives a promotion. Zero for a canary without traffic
    /// routing, which has no such delay; zero otherwise means at once.
    pub fn scale_down_delay_or_default(&self) -> Duration {
        let configured = match (&self.strategy.blue_green, self.routed_canary()) {
            (_, Some(canary)) => canary.scale_down_delay_seconds,
            (Some(blue_green), None) => blue_green.scale_down_delay_seconds,
            (None, None) => return Duration::ZERO,
        };
        seconds(configured.unwrap_or(SCALE_DOWN_DELAY_SECONDS))
    }

    /// What to do after an abort. A canary without traffic routing scales down without a delay.
    pub fn abort_scale_down_or_default(&self) -> AbortScaleDown {
        let configured = match (&self.strategy.blue_green, self.routed_canary()) {
            (Some(blue_green), _) => blue_green.abort_scale_down_delay_seconds,
            (None, Some(canary)) => canary.abort_scale_down_delay_seconds,
            (None, None) => {
                return AbortScaleDown::After {
                    delay: Duration::ZERO,
                    explicit: false,
                };
            }
        };
        match configured {
            Some(0) => AbortScaleDown::Never,
            Some(delay) => AbortScaleDown::After {
                delay: seconds(delay),
                explicit: true,
            },
            None => AbortScaleDown::After {
                delay: seconds(ABORT_SCALE_DOWN_DELAY_SECONDS),
                explicit: false,
            },
        }
    }

    /// Whether a blue-green rollout switches by itself.
    pub fn auto_promotion_enabled_or_default(&self) -> bool {
        self.strategy
            .blue_green
            .as_ref()
            .and_then(|blue_green| blue_green.auto_promotion_enabled)
            .unwrap_or(true)
    }

    /// What a step's `setWeight` is a share of.
    pub fn max_traffic_weight_or_default(&self) -> i32 {
        self.canary()
            .and_then(|canary| canary.traffic_routing.as_deref()?.max_traffic_weight)
            .unwrap_or(MAX_TRAFFIC_WEIGHT)
    }

    /// Prefix of the annotations written to ingresses for nginx.
    pub fn nginx_annotation_prefix_or_default(&self) -> &str {
        self.canary()
            .and_then(|canary| canary.traffic_routing.as_deref()?.nginx.as_ref())
            .map(|nginx| nginx.annotation_prefix.as_str())
            .filter(|prefix| !prefix.is_empty())
            .unwrap_or(NGINX_ANNOTATION_PREFIX)
    }

    fn canary(&self) -> Option<&CanaryStrategy> {
        self.strategy.canary.as_deref()
    }

    fn routed_canary(&self) -> Option<&CanaryStrategy> {
        self.canary()
            .filter(|canary| canary.traffic_routing.is_some())
    }
}

impl Rollout {
    /// Weight in force at step `index`: that of the last `setWeight` at or before it, 0 if there
    /// is none, and the whole when every step is done.
    pub fn weight_at_step(&self, index: usize) -> i32 {
        let Some(canary) = &self.spec.strategy.canary else {
            return 0;
        };
        match canary.steps.get(..=index) {
            None => self.spec.max_traffic_weight_or_default(),
            Some(steps) => steps
                .iter()
                .rev()
                .find_map(|step| step.set_weight)
                .unwrap_or(0),
        }
    }
}

impl Experiment {
    /// Seconds.
    pub fn progress_deadline_seconds_or_default(&self) -> i32 {
        self.spec
            .progress_deadline_seconds
            .unwrap_or(PROGRESS_DEADLINE_SECONDS)
    }

    /// How long pods outlive the experiment.
    pub fn scale_down_delay_or_default(&self) -> Duration {
        seconds(
            self.spec
                .scale_down_delay_seconds
                .unwrap_or(SCALE_DOWN_DELAY_SECONDS),
        )
    }
}

impl Metric {
    /// Errors in a row allowed before the metric errs; text that is no number counts as 0.
    pub fn consecutive_error_limit_or_default(&self) -> i64 {
        self.consecutive_error_limit
            .as_ref()
            .map_or(i64::from(CONSECUTIVE_ERROR_LIMIT), IntOrString::int_value)
    }
}

fn seconds(count: i32) -> Duration {
    Duration::from_secs(i64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::decode::decode;
    use serde_json::json;

    fn spec(strategy: serde_json::Value) -> RolloutSpec {
        decode(json!({ "strategy": strategy })).unwrap()
    }

    #[test]
    fn delays_depend_on_strategy_and_routing() {
        let plain = spec(json!({"canary": {}}));
        assert_eq!(plain.scale_down_delay_or_default(), Duration::ZERO);
        let routed = spec(json!({"canary": {"trafficRouting": {}}}));
        assert_eq!(
            routed.scale_down_delay_or_default(),
            Duration::from_secs(30)
        );
        let at_once = spec(json!({"blueGreen": {"scaleDownDelaySeconds": 0}}));
        assert_eq!(at_once.scale_down_delay_or_default(), Duration::ZERO);
        let never =
            spec(json!({"canary": {"trafficRouting": {}, "abortScaleDownDelaySeconds": 0}}));
        assert_eq!(never.abort_scale_down_or_default(), AbortScaleDown::Never);
        assert_eq!(
            plain.abort_scale_down_or_default(),
            AbortScaleDown::After {
                delay: Duration::ZERO,
                explicit: false
            }
        );
    }

    #[test]
    fn weight_is_that_of_the_last_set_weight() {
        let rollout = Rollout {
            spec: spec(json!({"canary": {"steps": [
                {"pause": {}}, {"setWeight": 20}, {"pause": {"duration": "1m"}}, {"setWeight": 60}
            ]}})),
            ..Rollout::default()
        };
        assert_eq!(
            [0, 1, 2, 3, 4].map(|i| rollout.weight_at_step(i)),
            [0, 20, 20, 60, 100]
        );
    }
}
