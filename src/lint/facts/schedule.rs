//! How long the steps of a canary take, and how often metrics are measured meanwhile.

use super::{Used, is_guessed};
use crate::lint::context::{AnalysisPlace, AnalysisUse, MetricView, RolloutView};
use crate::spec::bundle::Typed;
use crate::spec::rollout::CanaryStep;
use crate::time::Duration;

/// How long something takes at least. Time that pods need to start is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Known(Duration),
    /// Until somebody promotes.
    UntilPromoted,
    /// Depends on what is not in the files.
    Unknown,
}

/// The steps of a canary.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub steps: Vec<Length>,
    /// The weight in force from each step on.
    pub weights: Vec<i32>,
    /// The weight of all traffic.
    pub whole: i32,
}

/// Time at one weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub weight: i32,
    /// The step that sets it, and the one behind the last step at it.
    pub from: usize,
    pub to: usize,
}

impl Schedule {
    /// `None` for a rollout without the canary strategy.
    pub fn new(rollout: &RolloutView<'_>) -> Option<Self> {
        let canary = rollout.canary()?;
        let mut weight = 0;
        let (mut steps, mut weights) = (Vec::new(), Vec::new());
        for (index, step) in canary.steps.iter().enumerate() {
            weight = step.set_weight.unwrap_or(weight);
            weights.push(weight);
            steps.push(step_length(rollout, index, step));
        }
        Some(Self {
            steps,
            weights,
            whole: rollout.rollout.spec.max_traffic_weight_or_default().max(1),
        })
    }

    /// The least time of steps `from..to`; `None` where one waits for a person or is unknown.
    pub fn time(&self, from: usize, to: usize) -> Option<Duration> {
        let mut sum = Duration::ZERO;
        for length in self.between(from, to) {
            match length {
                Length::Known(duration) => sum = sum + *duration,
                Length::UntilPromoted | Length::Unknown => return None,
            }
        }
        Some(sum)
    }

    /// As [`Self::time`], where steps of unknown length count as none.
    pub fn known_time(&self, from: usize, to: usize) -> Duration {
        let mut sum = Duration::ZERO;
        for length in self.between(from, to) {
            match length {
                Length::Known(duration) => sum = sum + *duration,
                Length::UntilPromoted | Length::Unknown => {}
            }
        }
        sum
    }

    /// Index of the first step that gives the new version traffic.
    pub fn first_traffic(&self) -> Option<usize> {
        self.weights.iter().position(|weight| *weight > 0)
    }

    /// The stretches of steps with some but not all traffic on the new version, in order.
    pub fn stretches(&self) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut before = 0;
        for (step, weight) in self.weights.iter().copied().enumerate() {
            match stretches.last_mut() {
                Some(last) if last.to == step && weight == before => last.to = step + 1,
                Some(_) | None if weight > 0 && weight < self.whole => stretches.push(Stretch {
                    weight,
                    from: step,
                    to: step + 1,
                }),
                Some(_) | None => {}
            }
            before = weight;
        }
        stretches
    }

    fn between(&self, from: usize, to: usize) -> &[Length] {
        let to = to.min(self.steps.len());
        self.steps.get(from..to).unwrap_or_default()
    }
}

fn step_length(rollout: &RolloutView<'_>, index: usize, step: &CanaryStep) -> Length {
    if let Some(pause) = &step.pause {
        return match pause.seconds() {
            None => Length::UntilPromoted,
            Some(seconds) => Length::Known(Duration::from_secs(i64::from(seconds.max(0)))),
        };
    }
    if step.analysis.is_some() {
        let analysis = rollout
            .analyses
            .iter()
            .find(|analysis| analysis.place == AnalysisPlace::Step { step: index });
        return analysis.map_or(Length::Unknown, analysis_length);
    }
    if let Some(experiment) = &step.experiment {
        return match experiment.duration.parse() {
            Ok(duration) => Length::Known(duration),
            Err(_) => Length::Unknown,
        };
    }
    if step.plugin.is_some() {
        return Length::Unknown;
    }
    Length::Known(Duration::ZERO)
}

/// The least time in which an analysis ends by itself, if nothing fails.
pub fn analysis_length(analysis: &AnalysisUse<'_>) -> Length {
    if !analysis.missing.is_empty() {
        return Length::Unknown;
    }
    let mut longest = Duration::ZERO;
    for metric in &analysis.metrics {
        match metric_length(metric) {
            Some(length) => longest = longest.max(length),
            None => return Length::Unknown,
        }
    }
    Length::Known(longest)
}

/// The time from the start of a run to the last measurement of the metric; `None` where it has no
/// end, or numbers are guessed.
pub fn metric_length(metric: &MetricView<'_>) -> Option<Duration> {
    if is_timing_guessed(metric) {
        return None;
    }
    let count = metric.metric.effective_count()?.int_value().max(1);
    let between = metric.interval().unwrap_or(Duration::ZERO);
    Some(metric.initial_delay() + between.saturating_mul(count - 1))
}

/// Whether count, interval or delay of the metric depend on an argument without a known value.
pub fn is_timing_guessed(metric: &MetricView<'_>) -> bool {
    is_guessed(metric, metric.written.interval.as_str())
        || is_guessed(metric, metric.written.initial_delay.as_str())
        || super::is_number_guessed(metric, metric.written.count.as_ref())
}

/// The time after which a run is ended from outside, whatever its metrics want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ends by itself.
    ByItself,
    After(Duration),
    /// By a person, or not known.
    Unknown,
}

/// When the run of a use is ended from outside, on the normal path.
pub fn ending(used: &Used<'_, '_>) -> Ending {
    let of = |length: Option<Duration>| length.map_or(Ending::Unknown, Ending::After);
    match used.analysis.place {
        AnalysisPlace::Background { starting_step } => {
            let schedule = used.rollout.and_then(Schedule::new);
            of(schedule.and_then(|schedule| schedule.time(starting_step, schedule.steps.len())))
        }
        AnalysisPlace::Step { step: _ }
        | AnalysisPlace::PrePromotion
        | AnalysisPlace::PostPromotion => Ending::ByItself,
        AnalysisPlace::ExperimentStep { step, analysis } => {
            let experiment = used
                .rollout
                .and_then(RolloutView::canary)
                .and_then(|canary| canary.steps.get(step)?.experiment.as_ref());
            match experiment {
                Some(experiment)
                    if experiment
                        .analyses
                        .get(analysis)
                        .is_some_and(|analysis| analysis.required_for_completion) =>
                {
                    Ending::ByItself
                }
                Some(experiment) => of(experiment.duration.parse().ok()),
                None => Ending::Unknown,
            }
        }
        AnalysisPlace::Experiment { analysis } => match &used.analysis.owner.typed {
            Typed::Experiment(experiment)
                if experiment
                    .spec
                    .analyses
                    .get(analysis)
                    .is_some_and(|analysis| analysis.required_for_completion) =>
            {
                Ending::ByItself
            }
            Typed::Experiment(experiment) => of(experiment.spec.duration.parse().ok()),
            Typed::Rollout(_)
            | Typed::AnalysisTemplate(_)
            | Typed::ClusterAnalysisTemplate(_)
            | Typed::AnalysisRun(_)
            | Typed::Service(_)
            | Typed::Deployment(_)
            | Typed::Broken
            | Typed::Untyped => Ending::Unknown,
        },
        AnalysisPlace::Run | AnalysisPlace::Alone => Ending::Unknown,
    }
}

/// How many measurements are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measurements {
    Number(i64),
    /// No end in sight.
    Endless,
    Unknown,
}

/// How many measurements of a metric its run takes where it is used, if nothing goes wrong.
pub fn measurements(used: &Used<'_, '_>) -> Measurements {
    let metric = used.metric;
    if is_timing_guessed(metric) {
        return Measurements::Unknown;
    }
    let count = metric
        .metric
        .effective_count()
        .map(|count| count.int_value().max(0));
    let until_ended = match ending(used) {
        Ending::After(time) => metric.interval().and_then(|interval| {
            let nanos = interval.as_nanos();
            let left = time
                .as_nanos()
                .checked_sub(metric.initial_delay().as_nanos())?;
            Some(if left < 0 {
                0
            } else {
                left.checked_div(nanos)?.saturating_add(1)
            })
        }),
        Ending::ByItself | Ending::Unknown => None,
    };
    match (count, until_ended) {
        (Some(count), Some(until)) => Measurements::Number(count.min(until)),
        (Some(number), None) | (None, Some(number)) => Measurements::Number(number),
        (None, None) => match used.analysis.place {
            // Ended by a person, sooner or later.
            AnalysisPlace::Background { starting_step: _ } => Measurements::Unknown,
            AnalysisPlace::Step { step: _ }
            | AnalysisPlace::PrePromotion
            | AnalysisPlace::PostPromotion
            | AnalysisPlace::ExperimentStep {
                step: _,
                analysis: _,
            }
            | AnalysisPlace::Experiment { analysis: _ }
            | AnalysisPlace::Run
            | AnalysisPlace::Alone => Measurements::Endless,
        },
    }
}
