//! `histogram_quantile`, `histogram_quantiles` and `histogram_fraction` over a vector that may
//! hold classic buckets and native histograms.

use std::collections::{BTreeMap, BTreeSet};

use super::evaluator::{Collector, Evaluator, PointValue, Walker};
use super::plan::{Node, NodeKind};
use super::{EvalError, Series, Steps};
use crate::promql::annotations::{Annotations, Note};
use crate::promql::functions::FunctionId;
use crate::promql::functions::quantile::{
    ClassicBucket, classic_fraction, classic_quantile, native_fraction, native_quantile,
};
use crate::promql::gofmt::format_openmetrics;
use crate::promql::labels::{BUCKET_BOUND, Labels};

/// What is computed of each histogram.
enum Question {
    /// Values over the steps, and the label value of each if results are told apart by a label.
    Quantiles {
        values: Vec<Vec<f64>>,
        label: Option<String>,
    },
    Fraction {
        lower: Vec<f64>,
        upper: Vec<f64>,
    },
}

/// One input series in its role.
enum Role {
    Bucket {
        group: usize,
        upper: f64,
    },
    /// A bucket whose bound cannot be read.
    BadBucket,
}

/// A histogram of the input: classic, by its labels without `le`, or native.
struct Group {
    labels: Labels,
    metric: String,
    buckets: Vec<ClassicBucket>,
    conflicts: bool,
}

impl Evaluator<'_> {
    pub(super) fn histogram_call(
        &mut self,
        id: FunctionId,
        args: &[Node<'_>],
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        let vector_at = match id {
            FunctionId::HistogramQuantile => 1,
            FunctionId::HistogramFraction => 2,
            _ => 0,
        };
        let Some(vector) = args.get(vector_at) else {
            return Ok(Vec::new());
        };
        let mut scalars = Vec::new();
        let mut series = Vec::new();
        let mut quantile_spans = Vec::new();
        let mut label = None;
        for (i, arg) in args.iter().enumerate() {
            if i == vector_at {
                series = self.eval(arg, steps)?;
            } else if let NodeKind::Text(text) = &arg.kind {
                label = Some((*text).to_owned());
            } else {
                scalars.push(self.eval_scalar(arg, steps)?);
                quantile_spans.push(arg.span);
            }
        }
        let question = if id == FunctionId::HistogramFraction {
            let mut scalars = scalars.into_iter();
            Question::Fraction {
                lower: scalars.next().unwrap_or_default(),
                upper: scalars.next().unwrap_or_default(),
            }
        } else {
            Question::Quantiles {
                values: scalars,
                label,
            }
        };
        let delayed = self.settings.delayed_name_removal;
        let mut groups: Vec<Group> = Vec::new();
        let mut group_of: BTreeMap<Labels, usize> = BTreeMap::new();
        let mut last_group = 0;
        let mut roles = Vec::with_capacity(series.len());
        for one in &series {
            roles.push(match self.bucket_bound(&one.labels) {
                Some(upper) => {
                    // Mostly buckets follow each other.
                    let is_of_last = groups.get(last_group).is_some_and(|group| {
                        let labels = one.labels.iter();
                        let others = labels.filter(|(name, _)| *name != BUCKET_BOUND);
                        group.labels.iter().eq(others)
                    });
                    if !is_of_last {
                        let labels = one.labels.without_one(BUCKET_BOUND);
                        last_group = *group_of.entry(labels.clone()).or_insert_with(|| {
                            groups.push(Group {
                                metric: labels.metric_name().to_owned(),
                                labels,
                                buckets: Vec::new(),
                                conflicts: false,
                            });
                            groups.len() - 1
                        });
                    }
                    let group = last_group;
                    Role::Bucket { group, upper }
                }
                None => Role::BadBucket,
            });
        }
        let mut walkers: Vec<Walker<'_>> = series.iter().map(Walker::new).collect();
        let mut collector = Collector::new(self, steps);
        let mut call_annotations = Annotations::default();
        let mut seen = BTreeSet::new();
        for (step, time) in steps.iter().enumerate() {
            self.spend(series.len() + 1)?;
            let mut notes = Annotations::default();
            if let Question::Quantiles { values, label: _ } = &question {
                for (values, span) in values.iter().zip(&quantile_spans) {
                    let q = values.get(step).copied().unwrap_or(f64::NAN);
                    if !(0.0..=1.0).contains(&q) {
                        notes.add(Note::InvalidQuantile(q), *span);
                    }
                }
            }
            for group in &mut groups {
                group.buckets.clear();
                group.conflicts = false;
            }
            let mut natives = Vec::new();
            for ((one, walker), role) in series.iter().zip(&mut walkers).zip(&roles) {
                let shown = |name: &str| {
                    if delayed {
                        name.to_owned()
                    } else {
                        String::new()
                    }
                };
                match (walker.at(time), role) {
                    (None, _) => {}
                    (Some(PointValue::Histogram(histogram)), _) => natives.push((one, histogram)),
                    (Some(PointValue::Float(count)), Role::Bucket { group, upper }) => {
                        if let Some(group) = groups.get_mut(*group) {
                            group.buckets.push(ClassicBucket {
                                upper: *upper,
                                count,
                            });
                        }
                    }
                    (Some(PointValue::Float(_)), Role::BadBucket) => {
                        let label = one.labels.get(BUCKET_BOUND).to_owned();
                        let metric = shown(one.labels.metric_name());
                        notes.add(Note::BadBucketLabel { metric, label }, vector.span);
                    }
                }
            }
            natives.retain(|(one, _)| {
                let Some(group) = group_of
                    .get(&one.labels)
                    .and_then(|group| groups.get_mut(*group))
                else {
                    return true;
                };
                if group.buckets.is_empty() && !group.conflicts {
                    return true;
                }
                group.conflicts = true;
                let metric = if delayed {
                    group.metric.clone()
                } else {
                    String::new()
                };
                notes.add(Note::MixedClassicNative { metric }, vector.span);
                false
            });
            let variants = match &question {
                Question::Quantiles { values, label: _ } => values.len(),
                Question::Fraction { .. } => 1,
            };
            for variant in 0..variants {
                let at = |values: &[f64]| values.get(step).copied().unwrap_or(f64::NAN);
                let place = |labels: &Labels| {
                    let labels = if delayed {
                        labels.clone()
                    } else {
                        labels.drop_metadata()
                    };
                    match &question {
                        Question::Quantiles {
                            values,
                            label: Some(name),
                        } => {
                            let q = values.get(variant).map_or(f64::NAN, |values| at(values));
                            labels.with(name, &format_openmetrics(q))
                        }
                        Question::Quantiles { .. } | Question::Fraction { .. } => labels,
                    }
                };
                for (one, histogram) in &natives {
                    let metric = if delayed {
                        one.labels.metric_name()
                    } else {
                        ""
                    };
                    let value = match &question {
                        Question::Quantiles { values, label: _ } => {
                            let q = values.get(variant).map_or(f64::NAN, |values| at(values));
                            native_quantile(q, histogram, metric, vector.span, &mut notes)
                        }
                        Question::Fraction { lower, upper } => native_fraction(
                            at(lower),
                            at(upper),
                            histogram,
                            metric,
                            vector.span,
                            &mut notes,
                        ),
                    };
                    let slot = collector.slot(&place(&one.labels), true);
                    collector.push(slot, time, PointValue::Float(value))?;
                }
                for group in groups
                    .iter_mut()
                    .filter(|group| !group.buckets.is_empty() && !group.conflicts)
                {
                    let value = match &question {
                        Question::Quantiles { values, label: _ } => {
                            let q = values.get(variant).map_or(f64::NAN, |values| at(values));
                            let (value, forced) = classic_quantile(q, &mut group.buckets, time);
                            if let Some(extent) = forced {
                                let metric = if delayed {
                                    group.metric.clone()
                                } else {
                                    String::new()
                                };
                                notes.add(Note::ForcedMonotonicity { metric, extent }, vector.span);
                            }
                            value
                        }
                        Question::Fraction { lower, upper } => {
                            classic_fraction(at(lower), at(upper), &mut group.buckets)
                        }
                    };
                    let slot = collector.slot(&place(&group.labels), true);
                    collector.push(slot, time, PointValue::Float(value))?;
                }
            }
            // The reference adds each step's notes to those of the call, then those to themselves.
            call_annotations.merge(notes);
            call_annotations.merge_with_self(&mut seen);
        }
        self.annotations.merge(call_annotations);
        Ok(collector.finish())
    }
}
