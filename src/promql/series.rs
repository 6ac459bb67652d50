//! The store: series in memory, floats in columns, native histograms, start timestamps.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::histogram::{Histogram, ResetHint};
use super::labels::{Labels, Matcher};

/// The bit pattern of the NaN that marks a series as gone.
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The staleness marker.
pub fn stale_marker() -> f64 {
    f64::from_bits(STALE_BITS)
}

pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

/// A native histogram at a time.
#[derive(Clone, Debug)]
pub struct HistogramSample {
    /// Milliseconds since the epoch.
    pub time: i64,
    /// When counting began, in milliseconds since the epoch; 0 if unknown.
    pub start: i64,
    pub histogram: Arc<Histogram>,
}

/// The samples of one series, in order of time. Times are unique across floats and histograms.
#[derive(Clone, Debug, Default)]
pub struct SeriesData {
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<f64>,
    /// Start timestamps of the floats; empty if none is known.
    pub(crate) starts: Vec<i64>,
    pub(crate) histograms: Vec<HistogramSample>,
    pub(crate) has_stale: bool,
}

impl SeriesData {
    pub fn len(&self) -> usize {
        self.times.len() + self.histograms.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The floats as `(time, value)`, staleness markers included.
    pub fn floats(&self) -> impl Iterator<Item = (i64, f64)> {
        self.times.iter().copied().zip(self.values.iter().copied())
    }

    pub fn histograms(&self) -> &[HistogramSample] {
        &self.histograms
    }

    fn last_time(&self) -> Option<i64> {
        self.times
            .last()
            .copied()
            .max(self.histograms.last().map(|sample| sample.time))
    }
}

/// A sample that cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfOrder {
    pub time: i64,
    pub newest: i64,
}

impl fmt::Display for OutOfOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sample at {} ms is not newer than the series' last one at {} ms",
            self.time, self.newest
        )
    }
}

impl std::error::Error for OutOfOrder {}

/// All series, in the order they came. A float sample takes 16 bytes.
#[derive(Clone, Debug, Default)]
pub struct Store {
    series: Vec<(Labels, SeriesData)>,
    /// Where a series stands; looked up, never walked over.
    index: BTreeMap<Labels, usize>,
}

impl Store {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn clear(&mut self) {
        self.series.clear();
        self.index.clear();
    }

    pub fn series(&self) -> impl Iterator<Item = (&Labels, &SeriesData)> {
        self.series.iter().map(|(labels, data)| (labels, data))
    }

    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    pub fn sample_count(&self) -> usize {
        self.series.iter().map(|(_, data)| data.len()).sum()
    }

    /// Gives back memory reserved for growth; worth it after loading.
    pub fn shrink_to_fit(&mut self) {
        for (_, data) in &mut self.series {
            data.times.shrink_to_fit();
            data.values.shrink_to_fit();
            data.starts.shrink_to_fit();
            data.histograms.shrink_to_fit();
        }
    }

    /// The series all matchers fit, in the order they came.
    pub(crate) fn select<'a>(
        &'a self,
        matchers: &'a [Matcher],
    ) -> impl Iterator<Item = (&'a Labels, &'a SeriesData)> {
        self.series().filter(move |(labels, _)| {
            // The name's matcher stands last and rules out most.
            matchers
                .iter()
                .rev()
                .all(|matcher| matcher.matches(labels.get(&matcher.name)))
        })
    }

    fn entry(&mut self, labels: &Labels) -> &mut SeriesData {
        let at = match self.index.get(labels) {
            Some(at) => *at,
            None => {
                self.index.insert(labels.clone(), self.series.len());
                self.series.push((labels.clone(), SeriesData::default()));
                self.series.len() - 1
            }
        };
        &mut self.series[at].1
    }

    /// Appends a float; times in milliseconds since the epoch, `start` 0 if unknown.
    ///
    /// # Errors
    /// The time is not after the last one of the series.
    pub fn append_float(
        &mut self,
        labels: &Labels,
        start: i64,
        time: i64,
        value: f64,
    ) -> Result<(), OutOfOrder> {
        let data = self.entry(labels);
        check_order(data, time)?;
        if start != 0 && data.starts.is_empty() {
            data.starts.resize(data.times.len(), 0);
        }
        if start != 0 || !data.starts.is_empty() {
            data.starts.push(start);
        }
        data.times.push(time);
        data.values.push(value);
        data.has_stale |= is_stale(value);
        Ok(())
    }

    /// Appends a native histogram. What its hint says about a reset is replaced by what the
    /// series shows: a counter histogram that continues the one before is marked as no reset, the
    /// first after a reset or a change of layout as unknown.
    ///
    /// # Errors
    /// The time is not after the last one of the series.
    pub fn append_histogram(
        &mut self,
        labels: &Labels,
        start: i64,
        time: i64,
        mut histogram: Histogram,
    ) -> Result<(), OutOfOrder> {
        let data = self.entry(labels);
        check_order(data, time)?;
        if histogram.hint != ResetHint::Gauge {
            let previous = data.histograms.last().filter(|last| {
                data.times
                    .last()
                    .is_none_or(|float_time| *float_time < last.time)
            });
            histogram.hint = match previous {
                Some(previous) if continues(&previous.histogram, &histogram) => ResetHint::NotReset,
                _ => ResetHint::Unknown,
            };
        }
        data.histograms.push(HistogramSample {
            time,
            start,
            histogram: Arc::new(histogram),
        });
        Ok(())
    }
}

fn check_order(data: &SeriesData, time: i64) -> Result<(), OutOfOrder> {
    match data.last_time() {
        Some(newest) if newest >= time => Err(OutOfOrder { time, newest }),
        _ => Ok(()),
    }
}

/// Whether `next` is a counter histogram that `previous` could have grown into.
fn continues(previous: &Histogram, next: &Histogram) -> bool {
    if previous.hint == ResetHint::Gauge || next.hint == ResetHint::Reset {
        return false;
    }
    let mut unhinted = next.clone();
    unhinted.hint = ResetHint::Unknown;
    previous.schema == next.schema
        && previous.zero_threshold == next.zero_threshold
        && (!next.uses_custom_buckets() || previous.custom_bounds == next.custom_bounds)
        && !unhinted.detect_reset(previous)
}
