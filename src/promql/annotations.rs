//! Warnings and infos that go with a result.

use std::collections::{BTreeMap, BTreeSet};

use super::ast::Span;
use super::functions::date;
use super::gofmt::{format_g, format_g_precision, quote};

/// What histograms were combined for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Addition,
    Subtraction,
    Aggregation,
}

impl Operation {
    fn text(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

/// How far classic buckets had to be changed to grow with their bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Monotonicity {
    pub min_time: i64,
    pub max_time: i64,
    pub min_bucket: f64,
    pub max_bucket: f64,
    pub max_diff: f64,
    /// Merges with equal annotations so far.
    pub merges: i64,
}

/// One remark, without its position. `metric` is empty where the name is not known any more.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    InvalidRatio {
        got: f64,
        capped_to: f64,
    },
    InvalidQuantile(f64),
    BadBucketLabel {
        metric: String,
        label: String,
    },
    MixedFloatsHistograms {
        metric: String,
    },
    MixedFloatsHistogramsInAggregation,
    MixedClassicNative {
        metric: String,
    },
    HistogramNotCounter {
        metric: String,
    },
    HistogramNotGauge {
        metric: String,
    },
    MixedExponentialCustom {
        metric: String,
    },
    IncompatibleBucketLayout {
        op: &'static str,
    },
    SortInRangeQuery,
    ResetCollision(Operation),
    StartTimeOverlap {
        metric: String,
    },
    PossibleNonCounter {
        metric: String,
    },
    PossibleNonCounterType {
        metric: String,
        type_label: String,
    },
    ForcedMonotonicity {
        metric: String,
        extent: Monotonicity,
    },
    IncompatibleTypes {
        lhs: &'static str,
        op: &'static str,
        rhs: &'static str,
    },
    HistogramIgnoredInAggregation {
        aggregation: &'static str,
    },
    HistogramIgnoredInMixedRange {
        metric: String,
    },
    QuantileOfNans {
        metric: String,
    },
    QuantileSkewedByNans {
        metric: String,
    },
    FractionWithoutNans {
        metric: String,
    },
    MismatchedCustomBuckets(Operation),
}

fn for_metric(text: &str, metric: &str) -> String {
    if metric.is_empty() {
        text.to_owned()
    } else {
        format!("{text} for metric name {}", quote(metric))
    }
}

impl Note {
    /// Warnings point at results that are likely wrong; the rest are infos.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::InvalidRatio { .. }
            | Self::InvalidQuantile(_)
            | Self::BadBucketLabel { .. }
            | Self::MixedFloatsHistograms { .. }
            | Self::MixedFloatsHistogramsInAggregation
            | Self::MixedClassicNative { .. }
            | Self::HistogramNotCounter { .. }
            | Self::HistogramNotGauge { .. }
            | Self::MixedExponentialCustom { .. }
            | Self::IncompatibleBucketLayout { .. }
            | Self::SortInRangeQuery
            | Self::ResetCollision(_)
            | Self::StartTimeOverlap { .. } => true,
            Self::PossibleNonCounter { .. }
            | Self::PossibleNonCounterType { .. }
            | Self::ForcedMonotonicity { .. }
            | Self::IncompatibleTypes { .. }
            | Self::HistogramIgnoredInAggregation { .. }
            | Self::HistogramIgnoredInMixedRange { .. }
            | Self::QuantileOfNans { .. }
            | Self::QuantileSkewedByNans { .. }
            | Self::FractionWithoutNans { .. }
            | Self::MismatchedCustomBuckets(_) => false,
        }
    }

    /// The text without position and extent; equal texts are one annotation.
    fn key(&self) -> String {
        let body = match self {
            Self::InvalidRatio { got, capped_to } => format!(
                "ratio value should be between -1 and 1, got {}, capping to {}",
                format_g(*got),
                format_g(*capped_to)
            ),
            Self::InvalidQuantile(got) => {
                format!(
                    "quantile value should be between 0 and 1, got {}",
                    format_g(*got)
                )
            }
            Self::BadBucketLabel { metric, label } => for_metric(
                &format!(
                    "bucket label \"le\" is missing or has a malformed value of {}",
                    quote(label)
                ),
                metric,
            ),
            Self::MixedFloatsHistograms { metric } => {
                format!(
                    "encountered a mix of histograms and floats for metric name {}",
                    quote(metric)
                )
            }
            Self::MixedFloatsHistogramsInAggregation => {
                "encountered a mix of histograms and floats for aggregation".to_owned()
            }
            Self::MixedClassicNative { metric } => for_metric(
                "vector contains a mix of classic and native histograms",
                metric,
            ),
            Self::HistogramNotCounter { metric } => {
                format!(
                    "this native histogram metric is not a counter: {}",
                    quote(metric)
                )
            }
            Self::HistogramNotGauge { metric } => {
                format!(
                    "this native histogram metric is not a gauge: {}",
                    quote(metric)
                )
            }
            Self::MixedExponentialCustom { metric } => format!(
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
                quote(metric)
            ),
            Self::IncompatibleBucketLayout { op } => {
                format!("incompatible bucket layout encountered for binary operator {op}")
            }
            Self::SortInRangeQuery => {
                "sort is ineffective for range queries since results are always ordered by labels"
                    .to_owned()
            }
            Self::ResetCollision(operation) => {
                format!(
                    "conflicting counter resets during histogram {}",
                    operation.text()
                )
            }
            Self::StartTimeOverlap { metric } => format!(
                "sample has start time that overlaps with previous sample timestamp for metric {}",
                quote(metric)
            ),
            Self::PossibleNonCounter { metric } => format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
                quote(metric)
            ),
            Self::PossibleNonCounterType { metric, type_label } => format!(
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
                quote(type_label),
                quote(metric)
            ),
            Self::ForcedMonotonicity { metric, extent: _ } => for_metric(
                "input to histogram_quantile needed to be fixed for monotonicity \
                 (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
                metric,
            ),
            Self::IncompatibleTypes { lhs, op, rhs } => {
                let op_quoted = quote(op);
                format!(
                    "incompatible sample types encountered for binary operator {op_quoted}: {lhs} {op} {rhs}"
                )
            }
            Self::HistogramIgnoredInAggregation { aggregation } => {
                format!("ignored histogram in {aggregation} aggregation")
            }
            Self::HistogramIgnoredInMixedRange { metric } => format!(
                "ignored histograms in a range containing both floats and histograms for metric name {}",
                quote(metric)
            ),
            Self::QuantileOfNans { metric } => for_metric(
                "input to histogram_quantile has NaN observations, result is NaN",
                metric,
            ),
            Self::QuantileSkewedByNans { metric } => for_metric(
                "input to histogram_quantile has NaN observations, result is skewed higher",
                metric,
            ),
            Self::FractionWithoutNans { metric } => for_metric(
                "input to histogram_fraction has NaN observations, which are excluded from all fractions",
                metric,
            ),
            Self::MismatchedCustomBuckets(operation) => {
                format!(
                    "mismatched custom buckets were reconciled during {}",
                    operation.text()
                )
            }
        };
        let kind = if self.is_warning() { "warning" } else { "info" };
        format!("PromQL {kind}: {body}")
    }
}

#[derive(Clone, Debug)]
struct Entry {
    note: Note,
    span: Span,
    /// How often an overlap of start times was seen.
    occurrences: u64,
}

impl Entry {
    fn render(&self, key: &str) -> String {
        let span = self.span;
        match &self.note {
            Note::ForcedMonotonicity { metric: _, extent } => format!(
                "{key}, from buckets {} to {}, with a max diff of {}, over {} samples from {} to {} ({span})",
                format_g(extent.min_bucket),
                format_g(extent.max_bucket),
                format_g_precision(extent.max_diff, 2),
                extent.merges.wrapping_add(1),
                date::rfc3339(extent.min_time.div_euclid(1000)),
                date::rfc3339(extent.max_time.div_euclid(1000)),
            ),
            Note::StartTimeOverlap { metric: _ } if self.occurrences > 1 => {
                format!("{key} ({} occurrences) ({span})", self.occurrences)
            }
            _ => format!("{key} ({span})"),
        }
    }
}

/// The annotations of an evaluation, one for each text; the last position given stands.
#[derive(Clone, Debug, Default)]
pub struct Annotations {
    entries: BTreeMap<String, Entry>,
}

impl Annotations {
    pub fn add(&mut self, note: Note, span: Span) {
        let key = note.key();
        let mut entry = Entry {
            note,
            span,
            occurrences: 1,
        };
        if let Some(previous) = self.entries.get(&key) {
            entry.occurrences += previous.occurrences;
            if let (
                Note::ForcedMonotonicity {
                    metric: _,
                    extent: new,
                },
                Note::ForcedMonotonicity {
                    metric: _,
                    extent: old,
                },
            ) = (&mut entry.note, &previous.note)
            {
                *new = Monotonicity {
                    min_time: new.min_time.min(old.min_time),
                    max_time: new.max_time.max(old.max_time),
                    min_bucket: new.min_bucket.min(old.min_bucket),
                    max_bucket: new.max_bucket.max(old.max_bucket),
                    max_diff: new.max_diff.max(old.max_diff),
                    merges: old.merges.wrapping_add(new.merges).wrapping_add(1),
                };
                entry.span = previous.span;
            }
        }
        self.entries.insert(key, entry);
    }

    /// What merging annotations with themselves does: the reference engine does so at every step
    /// of a call after the one an annotation came up in, and the count of samples shows it.
    /// `seen` holds the annotations of earlier steps.
    pub(crate) fn merge_with_self(&mut self, seen: &mut BTreeSet<String>) {
        for (key, entry) in &mut self.entries {
            if !seen.insert(key.clone())
                && let Note::ForcedMonotonicity { metric: _, extent } = &mut entry.note
            {
                extent.merges = extent.merges.wrapping_mul(2).wrapping_add(1);
            }
        }
    }

    pub(crate) fn merge(&mut self, other: Annotations) {
        for (key, entry) in other.entries {
            match self.entries.get_mut(&key) {
                None => {
                    self.entries.insert(key, entry);
                }
                Some(previous) => {
                    let before = previous.occurrences;
                    let after = entry.occurrences;
                    self.add(entry.note, entry.span);
                    if let Some(merged) = self.entries.get_mut(&key) {
                        merged.occurrences = before + after;
                    }
                }
            }
        }
    }

    /// The texts of warnings, and of infos, sorted, as the HTTP API renders them.
    pub fn into_texts(self) -> (Vec<String>, Vec<String>) {
        if self.entries.is_empty() {
            return Default::default();
        }
        let (warnings, infos): (Vec<_>, Vec<_>) = self
            .entries
            .into_iter()
            .partition(|(_, entry)| entry.note.is_warning());
        let render = |entries: Vec<(String, Entry)>| {
            entries
                .into_iter()
                .map(|(key, entry)| entry.render(&key))
                .collect()
        };
        (render(warnings), render(infos))
    }
}
