//! What the steps of a canary come to: the share of the requests after each weight, what holds the
//! rollout between two weights, and whether a background analysis measures there.

use crate::lint::context::{AnalysisPlace, AnalysisUse, MetricView, RolloutView};
use crate::spec::rollout::CanaryStep;
use crate::time::Duration;

/// A `setWeight` step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightStep {
    /// Index of the step, from 0.
    pub step: usize,
    /// As written.
    pub weight: i32,
    /// Percent of the requests that the new version gets; the weight itself where pods carry it
    /// and their number is not known.
    pub percent: f64,
    /// Whether the number of pods, where it matters, is known.
    pub is_known: bool,
}

/// The `setWeight` steps of a canary, in order.
pub fn weight_steps(rollout: &RolloutView<'_>) -> Vec<WeightStep> {
    let Some(canary) = rollout.canary() else {
        return Vec::new();
    };
    let weights = canary.steps.iter().enumerate();
    weights
        .filter_map(|(step, canary_step)| {
            let weight = canary_step.set_weight?;
            let percent = rollout.percent_at(weight);
            Some(WeightStep {
                step,
                weight,
                percent: percent.unwrap_or_else(|| wanted_percent(rollout, weight)),
                is_known: percent.is_some(),
            })
        })
        .collect()
}

/// Percent of the requests that a weight asks for.
pub fn wanted_percent(rollout: &RolloutView<'_>, weight: i32) -> f64 {
    let max_weight = rollout.rollout.spec.max_traffic_weight_or_default().max(1);
    f64::from(weight) * 100.0 / f64::from(max_weight)
}

/// What makes a canary stay at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hold {
    /// Nothing but pods and routers that have to follow.
    None,
    Pause(Duration),
    /// A pause that only people end.
    UntilPromoted,
    Analysis,
    /// `length` is none where its analyses end it, or nothing does.
    Experiment {
        length: Option<Duration>,
        has_analyses: bool,
    },
    /// What it does is not known.
    Plugin,
}

impl Hold {
    /// Of a step; a pause of no length holds nothing.
    pub fn of(step: &CanaryStep) -> Self {
        if let Some(pause) = &step.pause {
            return match pause.seconds() {
                None => Hold::UntilPromoted,
                Some(seconds) if seconds > 0 => Hold::Pause(Duration::from_secs(seconds.into())),
                Some(_) => Hold::None,
            };
        }
        if let Some(experiment) = &step.experiment {
            return Hold::Experiment {
                length: experiment.duration.parse().ok(),
                has_analyses: !experiment.analyses.is_empty(),
            };
        }
        if step.analysis.is_some() {
            return Hold::Analysis;
        }
        if step.plugin.is_some() {
            return Hold::Plugin;
        }
        Hold::None
    }

    /// How long it lasts at least; none where it may last for ever.
    fn length(self) -> Option<Duration> {
        match self {
            Hold::None => Some(Duration::ZERO),
            Hold::Pause(length) => Some(length),
            Hold::Experiment {
                length,
                has_analyses: _,
            } => length,
            Hold::UntilPromoted | Hold::Analysis | Hold::Plugin => None,
        }
    }
}

/// The holds of the steps behind `from` and before `to`.
pub fn holds_between(
    rollout: &RolloutView<'_>,
    from: usize,
    to: usize,
) -> impl Iterator<Item = Hold> {
    let steps = rollout.steps();
    let behind = from.saturating_add(1);
    steps
        .get(behind..to)
        .unwrap_or_default()
        .iter()
        .map(Hold::of)
}

/// Whether a measurement of the background analysis is due after step `from` has begun and by the
/// time step `to` begins, if pods and routers take no time. Templates that are not among the files
/// count as measured.
pub fn is_measured_between(rollout: &RolloutView<'_>, from: usize, to: usize) -> bool {
    rollout
        .analyses
        .iter()
        .any(|analysis| match analysis.place {
            AnalysisPlace::Background { starting_step } if starting_step < to => {
                !analysis.missing.is_empty() || measures(rollout, analysis, starting_step, from, to)
            }
            AnalysisPlace::Background { starting_step: _ }
            | AnalysisPlace::Step { step: _ }
            | AnalysisPlace::PrePromotion
            | AnalysisPlace::PostPromotion
            | AnalysisPlace::ExperimentStep {
                step: _,
                analysis: _,
            }
            | AnalysisPlace::Experiment { analysis: _ }
            | AnalysisPlace::Run
            | AnalysisPlace::Alone => false,
        })
}

fn measures(
    rollout: &RolloutView<'_>,
    analysis: &AnalysisUse<'_>,
    starting_step: usize,
    from: usize,
    to: usize,
) -> bool {
    // Seconds; none where something between may last for ever.
    let length = |from: usize, to: usize| {
        let steps = rollout.steps();
        steps
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .map(|step| Some(Hold::of(step).length()?.as_secs_f64()))
            .sum::<Option<f64>>()
    };
    let window = length(from.max(starting_step), to).unwrap_or(f64::INFINITY);
    // From the start of the analysis to the start of the window.
    let before = length(starting_step, from);
    let begins_within = starting_step > from;
    analysis
        .metrics
        .iter()
        .filter(|metric| !metric.is_dry_run)
        .any(|metric| match before {
            _ if begins_within => metric.initial_delay().as_secs_f64() <= window,
            Some(before) => is_due(metric, before, before + window),
            // Somebody or something decides how long it takes: the times are any.
            None => metric
                .interval()
                .is_some_and(|interval| interval.as_secs_f64() <= window),
        })
}

/// Whether a measurement falls behind `after` and at or before `until`, in seconds from the start
/// of the analysis.
fn is_due(metric: &MetricView<'_>, after: f64, until: f64) -> bool {
    let first = metric.initial_delay().as_secs_f64();
    if first > after {
        return first <= until;
    }
    let Some(interval) = metric
        .interval()
        .map(Duration::as_secs_f64)
        .filter(|interval| *interval > 0.0)
    else {
        return false;
    };
    let index = ((after - first) / interval).floor() + 1.0;
    let count = metric
        .metric
        .effective_count()
        .map_or(f64::INFINITY, |count| count.int_value() as f64);
    index < count && first + index * interval <= until
}
