//! All rules, one file each: add a file, its `mod` line and its line in [`RULES`].

mod analysis_brittle_failure_limit;
mod analysis_duplicate_metric_name;
mod analysis_empty_result_passes;
mod analysis_ends_before_detection;
mod analysis_errors_never_fail;
mod analysis_invalid_analysis;
mod analysis_invalid_condition;
mod analysis_invalid_provider;
mod analysis_invalid_query;
mod analysis_loose_failure_limit;
mod analysis_metric_cannot_fail;
mod analysis_missing_arg;
mod analysis_nan_passes;
mod analysis_ratio_without_traffic_guard;
mod analysis_secret_in_template;
mod analysis_starts_before_traffic;
mod analysis_steady_interval_without_count;
mod analysis_too_few_samples;
mod analysis_zero_measurements_pass;
mod blue_green_auto_promotion_unchecked;
mod canary_full_promotion_bypass;
mod canary_indefinite_pause;
mod canary_no_pause_between_weights;
mod canary_oversized_first_weight;
mod canary_single_replica_canary;
mod canary_unreachable_step;
mod canary_weight_jump;
mod canary_weight_needs_router;
mod experiment_invalid_experiment;
mod experiment_without_port;
mod query_ignores_canary;
mod query_includes_health_checks;
mod query_rate_on_gauge;
mod query_unused_arg;
mod query_window_longer_than_step;
mod query_window_shorter_than_scrape;
mod read_invalid_object;
pub(super) mod read_invalid_yaml;
mod reference_unknown_reference;
mod reference_unknown_template;
mod rollout_deprecated_field;
mod rollout_invalid_pod_template;
mod rollout_invalid_reference;
mod rollout_invalid_rollout;
mod rollout_no_analysis;
mod rollout_pause_exceeds_progress_deadline;
mod rollout_rollback_impossible;
mod router_header_route_unsupported_router;
mod scaling_abort_scale_down_deadlock;
mod scaling_canary_scale_below_weight;
mod scaling_hpa_conflict;
mod scaling_surge_ignored_with_steps;
mod scaling_workload_ref_double_capacity;
mod schema_invalid_type;
mod schema_missing_field;
mod schema_unknown_field;
mod service_canary_service_unused;
mod service_selector_mismatch;
mod suppression_unused;

use super::rule::Rule;

/// Every rule, in any order.
pub static RULES: &[&Rule] = &[
    &analysis_brittle_failure_limit::RULE,
    &analysis_duplicate_metric_name::RULE,
    &analysis_empty_result_passes::RULE,
    &analysis_ends_before_detection::RULE,
    &analysis_errors_never_fail::RULE,
    &analysis_invalid_analysis::RULE,
    &analysis_invalid_condition::RULE,
    &analysis_invalid_provider::RULE,
    &analysis_invalid_query::RULE,
    &blue_green_auto_promotion_unchecked::RULE,
    &canary_full_promotion_bypass::RULE,
    &canary_indefinite_pause::RULE,
    &canary_no_pause_between_weights::RULE,
    &analysis_loose_failure_limit::RULE,
    &analysis_metric_cannot_fail::RULE,
    &analysis_missing_arg::RULE,
    &analysis_nan_passes::RULE,
    &analysis_ratio_without_traffic_guard::RULE,
    &analysis_secret_in_template::RULE,
    &analysis_starts_before_traffic::RULE,
    &analysis_steady_interval_without_count::RULE,
    &analysis_too_few_samples::RULE,
    &analysis_zero_measurements_pass::RULE,
    &canary_oversized_first_weight::RULE,
    &canary_single_replica_canary::RULE,
    &canary_unreachable_step::RULE,
    &canary_weight_jump::RULE,
    &canary_weight_needs_router::RULE,
    &experiment_invalid_experiment::RULE,
    &experiment_without_port::RULE,
    &query_ignores_canary::RULE,
    &query_includes_health_checks::RULE,
    &query_rate_on_gauge::RULE,
    &query_unused_arg::RULE,
    &query_window_longer_than_step::RULE,
    &query_window_shorter_than_scrape::RULE,
    &read_invalid_object::RULE,
    &read_invalid_yaml::RULE,
    &reference_unknown_reference::RULE,
    &reference_unknown_template::RULE,
    &rollout_deprecated_field::RULE,
    &rollout_invalid_pod_template::RULE,
    &rollout_invalid_reference::RULE,
    &rollout_invalid_rollout::RULE,
    &rollout_no_analysis::RULE,
    &rollout_pause_exceeds_progress_deadline::RULE,
    &rollout_rollback_impossible::RULE,
    &router_header_route_unsupported_router::RULE,
    &scaling_abort_scale_down_deadlock::RULE,
    &scaling_canary_scale_below_weight::RULE,
    &scaling_hpa_conflict::RULE,
    &scaling_surge_ignored_with_steps::RULE,
    &scaling_workload_ref_double_capacity::RULE,
    &schema_invalid_type::RULE,
    &schema_missing_field::RULE,
    &schema_unknown_field::RULE,
    &suppression_unused::RULE,
    &service_canary_service_unused::RULE,
    &service_selector_mismatch::RULE,
];

/// The rule of a name.
pub fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.name == name)
}
