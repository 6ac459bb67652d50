//! All rules, one file each: add a file, its `mod` line and its line in [`RULES`].

mod analysis_empty_result_passes;
mod canary_oversized_first_weight;
mod read_invalid_yaml;

use super::rule::Rule;

/// Every rule, in any order.
pub static RULES: &[&Rule] = &[
    &analysis_empty_result_passes::RULE,
    &canary_oversized_first_weight::RULE,
    &read_invalid_yaml::RULE,
];

/// The rule of a name.
pub fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.name == name)
}
