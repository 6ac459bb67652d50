//! Facts that several rules ask for, each found in one way.

pub mod canary;
pub mod canary_course;
pub mod demonstrate;
pub mod idle;
pub mod limits;
pub mod pod_templates;
pub mod router_abilities;
pub mod samples;
pub mod schedule;
pub mod selectors;
pub mod service_mentions;

use std::collections::BTreeSet;

use super::context::{
    AnalysisPlace, AnalysisUse, Context, MetricView, RolloutView, argument_names,
};
use crate::source::Span;
use crate::spec::meta::IntOrString;

/// A metric where it is used.
#[derive(Clone, Copy, Debug)]
pub struct Used<'c, 'b> {
    /// The rollout whose analysis it is; `None` for experiments, runs and templates alone.
    pub rollout: Option<&'c RolloutView<'b>>,
    pub analysis: &'c AnalysisUse<'b>,
    pub metric: &'c MetricView<'b>,
}

/// All metrics that can be measured, in every place of use; those of a template by itself only
/// where nothing uses it, since how often and for how long a metric is measured depends on the
/// place.
pub fn metrics_in_use<'c, 'b>(context: &'c Context<'b>) -> impl Iterator<Item = Used<'c, 'b>> {
    let used = used_templates(context);
    let of_rollouts = context.rollouts.iter().flat_map(|rollout| {
        rollout
            .analyses
            .iter()
            .map(move |analysis| (Some(rollout), analysis))
    });
    let others = context
        .runs
        .iter()
        .chain(&context.templates)
        .map(|analysis| (None, analysis));
    of_rollouts
        .chain(others)
        .filter(move |(_, analysis)| {
            analysis.place != AnalysisPlace::Alone || !used.contains(&analysis.owner.span)
        })
        .flat_map(|(rollout, analysis)| {
            analysis.metrics.iter().map(move |metric| Used {
                rollout,
                analysis,
                metric,
            })
        })
        // What does not resolve is refused elsewhere.
        .filter(|used| used.metric.unresolved.is_none())
}

/// The templates that something in the files uses, by their places.
pub fn used_templates(context: &Context<'_>) -> BTreeSet<Span> {
    context
        .rollouts
        .iter()
        .flat_map(|rollout| &rollout.analyses)
        .chain(&context.runs)
        .flat_map(|analysis| &analysis.templates)
        .map(|template| template.object.span)
        .collect()
}

/// Whether a text of the metric holds a placeholder without a known value, so that what stands
/// in the filled metric is a guess.
pub fn is_guessed(metric: &MetricView<'_>, written: &str) -> bool {
    argument_names(written).any(|name| {
        !metric
            .arguments
            .iter()
            .any(|argument| argument.name == name && argument.value.is_some())
    })
}

/// [`is_guessed`] for a number.
pub fn is_number_guessed(metric: &MetricView<'_>, written: Option<&IntOrString>) -> bool {
    match written {
        None | Some(IntOrString::Int(_)) => false,
        Some(IntOrString::String(text)) => is_guessed(metric, text),
    }
}
