//! The store: series in memory, floats in columns, native histograms, start timestamps.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::histogram::{Histogram, ResetHint};
use super::labels::{Label, Labels, METRIC_NAME, MatchOp, Matcher, is_metadata};
use super::times::{ListedTimes, Times, extend_tightly, push_tightly};

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
    times: Times,
    values: Vec<f64>,
    /// The number of the first float with a start timestamp, and that; it holds up to the next
    /// entry. Empty if none is known.
    starts: Vec<(usize, i64)>,
    histograms: Vec<HistogramSample>,
    has_stale: bool,
}

/// Floats of a series, side by side.
pub(crate) struct Floats<'a> {
    pub times: Cow<'a, [i64]>,
    pub values: Cow<'a, [f64]>,
    /// Empty if no start is known, otherwise one a float, 0 for unknown.
    pub starts: Cow<'a, [i64]>,
}

impl Floats<'_> {
    fn remove_stale(&mut self) {
        if !self.values.iter().any(|value| is_stale(*value)) {
            return;
        }
        let kept: Vec<bool> = self.values.iter().map(|value| !is_stale(*value)).collect();
        fn pick<T: Copy>(from: &[T], kept: &[bool]) -> Vec<T> {
            let pairs = from.iter().zip(kept);
            pairs
                .filter(|(_, kept)| **kept)
                .map(|(item, _)| *item)
                .collect()
        }
        self.times = pick(&self.times, &kept).into();
        self.starts = pick(&self.starts, &kept).into();
        self.values = pick(&self.values, &kept).into();
    }
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
        let times = self.times.slice(0..self.times.len());
        (0..self.values.len()).filter_map(move |i| Some((*times.get(i)?, *self.values.get(i)?)))
    }

    pub fn histograms(&self) -> &[HistogramSample] {
        &self.histograms
    }

    fn last_time(&self) -> Option<i64> {
        self.times
            .last()
            .max(self.histograms.last().map(|sample| sample.time))
    }

    /// The floats after `after`, up to `until`, staleness markers included.
    pub(crate) fn floats_between(&self, after: i64, until: i64) -> Floats<'_> {
        let low = self.times.count_until(after);
        let range = low..self.times.count_until(until).max(low);
        Floats {
            times: self.times.slice(range.clone()),
            values: Cow::Borrowed(self.values.get(range.clone()).unwrap_or_default()),
            starts: Cow::Owned(self.starts_of(range)),
        }
    }

    /// As [`SeriesData::floats_between`], without staleness markers.
    pub(crate) fn fresh_floats_between(&self, after: i64, until: i64) -> Floats<'_> {
        let mut floats = self.floats_between(after, until);
        if self.has_stale {
            floats.remove_stale();
        }
        floats
    }

    /// As [`SeriesData::fresh_floats_among`], of a series of which nothing else is known there.
    #[inline]
    pub(crate) fn plain_floats_among<'a>(
        &'a self,
        after: i64,
        until: i64,
        listed: &'a mut ListedTimes,
    ) -> Option<(&'a [i64], &'a [f64])> {
        if !self.starts.is_empty() || !self.histograms.is_empty() {
            return None;
        }
        let (range, times) = self.times.between(after, until, listed);
        let mut values = self.values.get(range)?;
        if self.has_stale {
            // Mostly a marker is the last of its series.
            if let Some((last, others)) = values.split_last()
                && is_stale(*last)
            {
                values = others;
            }
            if values.iter().any(|value| is_stale(*value)) {
                return None;
            }
        }
        Some((times.get(..values.len())?, values))
    }

    /// As [`SeriesData::fresh_floats_between`], for many series one after the other.
    pub(crate) fn fresh_floats_among<'a>(
        &'a self,
        after: i64,
        until: i64,
        listed: &'a mut ListedTimes,
    ) -> Floats<'a> {
        let (mut range, times) = self.times.between(after, until, listed);
        let mut values = self.values.get(range.clone()).unwrap_or_default();
        // Mostly a marker is the last of its series.
        if let Some((last, others)) = values.split_last()
            && is_stale(*last)
        {
            values = others;
            range.end -= 1;
        }
        let mut floats = Floats {
            times: Cow::Borrowed(times.get(..values.len()).unwrap_or_default()),
            values: Cow::Borrowed(values),
            starts: Cow::Owned(self.starts_of(range)),
        };
        if self.has_stale {
            floats.remove_stale();
        }
        floats
    }

    fn starts_of(&self, range: Range<usize>) -> Vec<i64> {
        if self.starts.is_empty() {
            return Vec::new();
        }
        let mut next = self
            .starts
            .partition_point(|(first, _)| *first <= range.start);
        let mut start = match next.checked_sub(1).and_then(|i| self.starts.get(i)) {
            Some((_, start)) => *start,
            None => 0,
        };
        let each = |i| {
            if let Some((first, new)) = self.starts.get(next)
                && *first == i
            {
                start = *new;
                next += 1;
            }
            start
        };
        range.map(each).collect()
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

/// The series that have a label, by its name and value; also where their equal texts are held.
///
/// Metric names are entered at once, other labels of many series together: a store of few series
/// is faster without.
#[derive(Clone, Debug, Default)]
struct Postings {
    by_name: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Vec<usize>>>,
    /// All labels of that many series have been entered.
    complete: usize,
}

/// Series whose labels are entered together.
const ENTERED_TOGETHER: usize = 1024;

impl Postings {
    /// Enters a series and gives the label in the texts held here.
    fn add(&mut self, label: &Label, series: usize) -> Label {
        let (label, of_label) = self.of_label(label);
        push_tightly(of_label, series);
        label
    }

    /// Enters a series under its metric name.
    fn add_name(&mut self, label: &Label, series: usize) {
        let by_value = self.by_name.get_mut(&label.name);
        match by_value.and_then(|by_value| by_value.get_mut(&label.value)) {
            Some(of_name) => push_tightly(of_name, series),
            None => {
                self.add(label, series);
            }
        }
    }

    /// The label in the texts held here, and its series.
    fn of_label(&mut self, label: &Label) -> (Label, &mut Vec<usize>) {
        let name = match self.by_name.get_key_value(&label.name) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::clone(&label.name),
        };
        let by_value = self.by_name.entry(Arc::clone(&name)).or_default();
        let value = match by_value.get_key_value(&label.value) {
            Some((value, _)) => Arc::clone(value),
            None => Arc::clone(&label.value),
        };
        let of_label = by_value.entry(Arc::clone(&value)).or_default();
        (Label { name, value }, of_label)
    }

    /// Ascending.
    fn of(&self, name: &str, value: &str) -> &[usize] {
        let of_label = self
            .by_name
            .get(name)
            .and_then(|by_value| by_value.get(value));
        of_label.map_or(&[], Vec::as_slice)
    }
}

/// All series, in the order they came. A float sample takes 8 bytes, 12 or 16 if irregular times
/// have to be kept.
#[derive(Clone, Debug, Default)]
pub struct Store {
    series: Vec<(Labels, SeriesData)>,
    /// Where a series stands, by the hash of its labels; of equal hashes the second number counts
    /// on. Looked up, never walked over.
    index: BTreeMap<(u64, u32), usize>,
    postings: Postings,
    /// Whether any series has a label besides its name that describes the metric.
    has_metadata: bool,
    /// The series appended to last: mostly it or the one after it comes next.
    last: usize,
    /// How often series were dropped, so that others stand in their places.
    drops: u64,
}

impl Store {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn clear(&mut self) {
        *self = Self {
            drops: self.drops + 1,
            ..Self::default()
        };
    }

    /// How often series were dropped; in between ids stay good.
    pub(crate) fn drops(&self) -> u64 {
        self.drops
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
        self.complete_postings();
        for (_, data) in &mut self.series {
            data.times.shrink_to_fit();
            data.values.shrink_to_fit();
            data.starts.shrink_to_fit();
            data.histograms.shrink_to_fit();
        }
    }

    /// Whether any series has a type or a unit.
    pub(crate) fn has_types_or_units(&self) -> bool {
        self.has_metadata
    }

    fn complete_postings(&mut self) {
        let postings = &mut self.postings;
        let series = self.series.iter_mut().enumerate();
        for (at, (labels, _)) in series.skip(postings.complete) {
            *labels = labels.shared(|label| match &*label.name {
                METRIC_NAME => postings.of_label(label).0,
                _ => postings.add(label, at),
            });
        }
        postings.complete = self.series.len();
    }

    /// The series all matchers fit, in the order they came.
    pub(crate) fn select<'a>(&'a self, matchers: &[Matcher]) -> Vec<(&'a Labels, &'a SeriesData)> {
        let found = self.select_since(matchers, 0);
        found.into_iter().filter_map(|id| self.get(id)).collect()
    }

    /// Of the series from the given number on, those that all matchers fit, in the order they came.
    pub(crate) fn select_since(&self, matchers: &[Matcher], since: usize) -> Vec<SeriesId> {
        let complete = self.postings.complete;
        let count = self.series.len();
        // For a matcher that decides alone among the series that have been entered for its label:
        // its number, those series, and from which on none have.
        let narrowest = matchers
            .iter()
            .enumerate()
            .filter(|(_, matcher)| matcher.op == MatchOp::Equal && !matcher.value.is_empty())
            .map(|(i, matcher)| {
                let entered = self.postings.of(&matcher.name, &matcher.value);
                let before = entered.partition_point(|at| *at < since);
                let others = if matcher.name == METRIC_NAME {
                    count
                } else {
                    complete.max(since)
                };
                (i, entered.get(before..).unwrap_or_default(), others)
            })
            .min_by_key(|(_, entered, others)| entered.len() + count.saturating_sub(*others));
        let mut checks: Vec<Check<'_, '_>> = matchers
            .iter()
            .enumerate()
            .filter(|(i, _)| narrowest.is_none_or(|(decided, ..)| decided != *i))
            .map(|(_, matcher)| Check {
                matcher,
                known: BTreeMap::new(),
            })
            .collect();
        let mut found = Vec::new();
        let mut take = |at: usize| {
            let Some((labels, _)) = self.series.get(at) else {
                return;
            };
            let mut all = checks.iter_mut();
            if all.all(|check| check.passes(labels.get(&check.matcher.name))) {
                found.push(SeriesId(at));
            }
        };
        let Some((decided, entered, others)) = narrowest else {
            (since..count).for_each(take);
            return found;
        };
        entered.iter().for_each(|at| take(*at));
        if let Some(matcher) = matchers.get(decided) {
            let is_fitting = |at: &usize| {
                let series = self.series.get(*at);
                series.is_some_and(|(labels, _)| matcher.matches(labels.get(&matcher.name)))
            };
            (others..count).filter(is_fitting).for_each(take);
        }
        found
    }

    /// The labels and samples of a series, as long as it is there.
    pub(crate) fn get(&self, SeriesId(at): SeriesId) -> Option<(&Labels, &SeriesData)> {
        self.series.get(at).map(|(labels, data)| (labels, data))
    }

    fn entry(&mut self, labels: &Labels) -> &mut SeriesData {
        let after = if self.last + 1 < self.series.len() {
            self.last + 1
        } else {
            0
        };
        let is_at = |at: usize| self.series.get(at).is_some_and(|(it, _)| it == labels);
        self.last = if is_at(self.last) {
            self.last
        } else if is_at(after) {
            after
        } else {
            self.place_of(labels)
        };
        &mut self.series[self.last].1
    }

    /// Where a series stands; it is made if there is none.
    fn place_of(&mut self, labels: &Labels) -> usize {
        self.place_of_hashed(labels, labels.index_hash())
    }

    fn place_of_hashed(&mut self, labels: &Labels, hash: u64) -> usize {
        let at = self.series.len();
        let mut place = (hash, 0);
        loop {
            match self.index.entry(place) {
                Entry::Vacant(vacant) => {
                    vacant.insert(at);
                    break;
                }
                Entry::Occupied(known) => {
                    let known = *known.get();
                    let found = self.series.get(known);
                    if found.is_some_and(|(found, _)| found == labels) {
                        return known;
                    }
                    place.1 += 1;
                }
            }
        }
        let all = labels.labels().iter();
        for label in all.filter(|label| label.name.starts_with("__")) {
            if &*label.name == METRIC_NAME {
                self.postings.add_name(label, at);
            } else if is_metadata(&label.name) {
                self.has_metadata = true;
            }
        }
        self.series.push((labels.clone(), SeriesData::default()));
        if self.series.len() >= self.postings.complete + ENTERED_TOGETHER {
            self.complete_postings();
        }
        at
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
        push_float(self.entry(labels), start, time, value)
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
                    .is_none_or(|float_time| float_time < last.time)
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

/// Most verdicts of a pattern that are remembered in one selection.
const KNOWN_VERDICTS: usize = 64;

/// A matcher with the verdicts of its pattern on values met so far.
struct Check<'m, 'v> {
    matcher: &'m Matcher,
    known: BTreeMap<&'v str, bool>,
}

impl<'v> Check<'_, 'v> {
    fn passes(&mut self, value: &'v str) -> bool {
        match self.matcher.op {
            MatchOp::Equal | MatchOp::NotEqual => self.matcher.matches(value),
            MatchOp::Regex | MatchOp::NotRegex => match self.known.get(value) {
                Some(verdict) => *verdict,
                None => {
                    let verdict = self.matcher.matches(value);
                    if self.known.len() < KNOWN_VERDICTS {
                        self.known.insert(value, verdict);
                    }
                    verdict
                }
            },
        }
    }
}

/// Labels of series that come to many stores, with the hash by which these find them.
#[derive(Clone, Debug)]
pub(crate) struct HashedLabels {
    labels: Labels,
    hash: u64,
}

impl HashedLabels {
    pub fn new(labels: Labels) -> Self {
        Self {
            hash: labels.index_hash(),
            labels,
        }
    }
}

/// A series of a store, for appending without looking for it. Good until samples are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesId(usize);

impl SeriesId {
    /// The number of the series in its store, in the order they came.
    pub(crate) fn number(self) -> usize {
        self.0
    }
}

impl Store {
    /// The series with these labels, made if there is none.
    pub fn series_id(&mut self, labels: &Labels) -> SeriesId {
        SeriesId(self.place_of(labels))
    }

    /// The same for labels of which the hash is known.
    pub(crate) fn hashed_series_id(&mut self, of: &HashedLabels) -> SeriesId {
        SeriesId(self.place_of_hashed(&of.labels, of.hash))
    }

    /// Makes room for so many further floats, so that their column need not grow step by step.
    pub fn reserve(&mut self, SeriesId(at): SeriesId, floats: usize) {
        if let Some((_, data)) = self.series.get_mut(at) {
            data.values.reserve_exact(floats);
        }
    }

    /// Appends a float to a series; the time in milliseconds since the epoch.
    ///
    /// # Errors
    /// The time is not after the last one of the series, or there is no such series any more.
    #[inline]
    pub fn append_float_to(
        &mut self,
        SeriesId(at): SeriesId,
        time: i64,
        value: f64,
    ) -> Result<(), OutOfOrder> {
        let newest = i64::MAX;
        let (_, data) = self.series.get_mut(at).ok_or(OutOfOrder { time, newest })?;
        push_float(data, 0, time, value)
    }

    /// Appends floats to several series at rising times, in milliseconds since the epoch. `rows`
    /// holds the values of one time after the other, and of each those of the series in order; none
    /// is a staleness marker. A series that has a sample of a time or a later one keeps what it has.
    pub(crate) fn append_rows(&mut self, series: &[SeriesId], times: &[i64], rows: &[f64]) {
        debug_assert!(!rows.iter().any(|value| is_stale(*value)));
        let width = series.len();
        let run = regular(times);
        for (column, SeriesId(at)) in series.iter().enumerate() {
            let Some((_, data)) = self.series.get_mut(*at) else {
                continue;
            };
            let values = (0..times.len()).map(|row| {
                let value = rows.get(row * width + column);
                value.copied().unwrap_or(f64::NAN)
            });
            let is_plain = data.starts.is_empty() && data.histograms.is_empty();
            if let Some((start, every)) = run
                && is_plain
                && data.times.push_run(start, every, values.len())
            {
                extend_tightly(&mut data.values, values);
            } else {
                for (time, value) in times.iter().zip(values) {
                    let _ = push_float(data, 0, *time, value);
                }
            }
        }
    }

    /// Appends all samples of another store from `from` on, their times moved by `shift`, both in
    /// milliseconds; start timestamps of floats are left out. So are samples that are not newer
    /// than the last of their series.
    pub fn append_all(&mut self, other: &Store, from: i64, shift: i64) {
        self.append_between(other, from, i64::MAX, shift);
    }

    /// The same up to `to`.
    pub fn append_between(&mut self, other: &Store, from: i64, to: i64, shift: i64) {
        for (labels, data) in other.series() {
            let moved = |time: i64| time.saturating_add(shift);
            for (time, value) in data.floats().filter(|(time, _)| (from..=to).contains(time)) {
                let _ = self.append_float(labels, 0, moved(time), value);
            }
            for sample in data
                .histograms()
                .iter()
                .filter(|it| (from..=to).contains(&it.time))
            {
                let start = if sample.start == 0 {
                    0
                } else {
                    moved(sample.start)
                };
                let histogram = sample.histogram.as_ref().clone();
                let _ = self.append_histogram(labels, start, moved(sample.time), histogram);
            }
        }
    }

    /// Drops samples before `time` (milliseconds since the epoch), and series that have no other.
    /// See [`Store::append_all`] for what becomes of start timestamps.
    pub fn drop_before(&mut self, time: i64) {
        let mut kept = Store {
            drops: self.drops + 1,
            ..Store::new()
        };
        kept.append_all(self, time, 0);
        *self = kept;
    }
}

/// The first of several times at equal distances, and the distance.
fn regular(times: &[i64]) -> Option<(i64, i64)> {
    let [first, second, ..] = times else {
        return None;
    };
    let step = second.checked_sub(*first)?;
    let mut pairs = times.windows(2);
    let is_regular = pairs.all(|pair| matches!(pair, [a, b] if b.checked_sub(*a) == Some(step)));
    is_regular.then_some((*first, step))
}

#[inline]
fn push_float(data: &mut SeriesData, start: i64, time: i64, value: f64) -> Result<(), OutOfOrder> {
    // What most samples are, without the questions that others raise.
    let is_plain = start == 0 && data.starts.is_empty() && data.histograms.is_empty();
    if is_plain && data.times.push_next(time) {
        push_tightly(&mut data.values, value);
        data.has_stale |= is_stale(value);
        Ok(())
    } else {
        push_other_float(data, start, time, value)
    }
}

#[inline(never)]
fn push_other_float(
    data: &mut SeriesData,
    start: i64,
    time: i64,
    value: f64,
) -> Result<(), OutOfOrder> {
    check_order(data, time)?;
    if data.starts.last().map_or(0, |(_, last)| *last) != start {
        push_tightly(&mut data.starts, (data.values.len(), start));
    }
    data.times.push(time);
    push_tightly(&mut data.values, value);
    data.has_stale |= is_stale(value);
    Ok(())
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
