//! The samples of all files, sorted and joined into a store.

use std::collections::BTreeMap;

use crate::promql::gofmt::format_g;
use crate::promql::histogram::Histogram;
use crate::promql::labels::Labels;
use crate::promql::series::{Store, is_stale};
use crate::source::{Problem, SourceId, Span};

use super::native::{self, BucketList};
use super::reading::PROBLEMS_MAX;

/// Where a sample was read.
#[derive(Clone, Copy)]
pub(super) struct Place {
    source: SourceId,
    offset: u32,
}

impl Place {
    pub fn new(source: SourceId, offset: usize) -> Self {
        Self {
            source,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
        }
    }

    fn span(self) -> Span {
        Span::new(self.source, self.offset as usize, self.offset as usize)
    }
}

#[derive(Clone, Copy)]
pub(super) struct SeriesIndex(usize);

/// A native histogram as a file gives it.
pub(super) enum GivenHistogram {
    Exact(Histogram),
    /// Buckets by their bounds: the layout has to be found.
    Listed(BucketList),
}

struct FloatRow {
    time: i64,
    value: f64,
    place: Place,
}

struct HistogramRow {
    time: i64,
    start: i64,
    given: GivenHistogram,
    place: Place,
}

#[derive(Default)]
struct Pending {
    labels: Labels,
    floats: Vec<FloatRow>,
    /// Start timestamps of floats by their time; few series have any.
    starts: Vec<(i64, i64)>,
    histograms: Vec<HistogramRow>,
}

#[derive(Default)]
pub(super) struct Collected {
    series: Vec<Pending>,
    index: BTreeMap<Labels, usize>,
    given: usize,
}

/// First and last time, in milliseconds.
type Extent = Option<(i64, i64)>;

impl Collected {
    /// Samples taken so far.
    pub fn given(&self) -> usize {
        self.given
    }

    pub fn series(&mut self, labels: &Labels) -> SeriesIndex {
        if let Some(at) = self.index.get(labels) {
            return SeriesIndex(*at);
        }
        let at = self.series.len();
        self.index.insert(labels.clone(), at);
        self.series.push(Pending {
            labels: labels.clone(),
            ..Pending::default()
        });
        SeriesIndex(at)
    }

    /// Forgets all samples, as promtool's `clear` does.
    pub fn clear(&mut self) {
        self.series.clear();
        self.index.clear();
    }

    pub fn push_float(&mut self, series: SeriesIndex, time: i64, value: f64, place: Place) {
        if let Some(pending) = self.series.get_mut(series.0) {
            self.given += 1;
            pending.floats.push(FloatRow { time, value, place });
        }
    }

    /// When the float at `time` began to count; both in milliseconds.
    pub fn push_start(&mut self, series: SeriesIndex, time: i64, start: i64) {
        if let Some(pending) = self.series.get_mut(series.0) {
            pending.starts.push((time, start));
        }
    }

    pub fn push_histogram(
        &mut self,
        series: SeriesIndex,
        time: i64,
        start: i64,
        given: GivenHistogram,
        place: Place,
    ) {
        if let Some(pending) = self.series.get_mut(series.0) {
            self.given += 1;
            pending.histograms.push(HistogramRow {
                time,
                start,
                given,
                place,
            });
        }
    }

    pub fn into_store(self) -> (Store, Extent, Vec<Problem>) {
        let mut conflicts = Conflicts::default();
        let mut store = Store::new();
        let mut extent: Extent = None;
        // Lets go of the samples of a series as soon as they are stored.
        for pending in self.series {
            let times = pending.store(&mut store, &mut conflicts);
            extent = match (extent, times) {
                (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
                (one, other) => one.or(other),
            };
        }
        store.shrink_to_fit();
        (store, extent, conflicts.finish())
    }
}

impl Pending {
    fn store(self, store: &mut Store, conflicts: &mut Conflicts) -> Extent {
        let Self {
            labels,
            mut floats,
            mut starts,
            mut histograms,
        } = self;
        // Stable: of two samples of one time the one read first stands.
        if !floats.is_sorted_by_key(|row| row.time) {
            floats.sort_by_key(|row| row.time);
        }
        histograms.sort_by_key(|row| row.time);
        starts.sort_by_key(|(time, _)| *time);
        let found = native::layouts(&histograms, |row| match &row.given {
            GivenHistogram::Listed(list) => Some(list),
            GivenHistogram::Exact(_) => None,
        });
        let mut histograms = histograms.into_iter().zip(found).peekable();
        let mut starts = starts.into_iter().peekable();
        let mut extent: Extent = None;
        // The last sample stored, and where it came from.
        let mut last: Option<(i64, Kept, Place)> = None;
        let mut keep = |time: i64, sample: Sample, start: i64, place: Place| {
            let kept = sample.kept();
            if let Some((before, stored, first)) = &last
                && *before == time
            {
                if !kept.same(stored) {
                    conflicts.add(&labels, time, (stored, *first), (&kept, place));
                }
                return;
            }
            let stored = match sample {
                Sample::Float(value) => store.append_float(&labels, start, time, value),
                Sample::Histogram(histogram) => {
                    store.append_histogram(&labels, start, time, histogram)
                }
            };
            if let Err(error) = stored {
                conflicts.report(Problem::error(
                    "trace-order",
                    format!("{labels}: {error}"),
                    place.span(),
                ));
            }
            extent = Some(extent.map_or((time, time), |(first, _)| (first, time)));
            last = Some((time, kept, place));
        };
        for FloatRow { time, value, place } in floats {
            while let Some((row, found)) = histograms.next_if(|(row, _)| row.time < time) {
                keep(row.time, row.given.histogram(found), row.start, row.place);
            }
            while starts.next_if(|(at, _)| *at < time).is_some() {}
            let start = starts
                .peek()
                .filter(|(at, _)| *at == time)
                .map_or(0, |(_, start)| *start);
            keep(time, Sample::Float(value), start, place);
        }
        for (row, found) in histograms {
            keep(row.time, row.given.histogram(found), row.start, row.place);
        }
        extent
    }
}

enum Sample {
    Float(f64),
    Histogram(Histogram),
}

impl GivenHistogram {
    fn histogram(self, found: Option<Histogram>) -> Sample {
        Sample::Histogram(match self {
            Self::Exact(histogram) => histogram,
            Self::Listed(_) => found.unwrap_or_default(),
        })
    }
}

/// What is remembered of a sample to compare the next one with.
#[derive(Clone)]
enum Kept {
    Float(f64),
    Histogram(Histogram),
}

impl Sample {
    fn kept(&self) -> Kept {
        match self {
            Self::Float(value) => Kept::Float(*value),
            Self::Histogram(histogram) => Kept::Histogram(histogram.clone()),
        }
    }
}

impl Kept {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => {
                a == b || (a.is_nan() && b.is_nan() && is_stale(*a) == is_stale(*b))
            }
            (Self::Histogram(a), Self::Histogram(b)) => a.same_data(b),
            (Self::Float(_), Self::Histogram(_)) | (Self::Histogram(_), Self::Float(_)) => false,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Float(value) if is_stale(*value) => "stale".to_owned(),
            Self::Float(value) => format_g(*value),
            Self::Histogram(histogram) => histogram.to_string(),
        }
    }
}

/// Samples that contradict each other.
#[derive(Default)]
struct Conflicts {
    problems: Vec<Problem>,
    unlisted: usize,
}

impl Conflicts {
    fn add(
        &mut self,
        labels: &Labels,
        time: i64,
        (first, first_place): (&Kept, Place),
        (second, second_place): (&Kept, Place),
    ) {
        if self.problems.len() >= PROBLEMS_MAX {
            self.unlisted += 1;
            return;
        }
        let message = format!(
            "{labels} has two values at {time} ms: {} and {}",
            first.text(),
            second.text()
        );
        self.report(
            Problem::error("trace-conflict", message, second_place.span())
                .with_related(first_place.span(), format!("{} stands here", first.text()))
                .with_help(
                    "a series has one value at a time; do the files come from two servers? \
                     Then give their series a label that tells them apart",
                ),
        );
    }

    fn report(&mut self, problem: Problem) {
        if self.problems.len() >= PROBLEMS_MAX {
            self.unlisted += 1;
        } else {
            self.problems.push(problem);
        }
    }

    fn finish(self) -> Vec<Problem> {
        let mut problems = self.problems;
        if self.unlisted > 0
            && let Some(last) = problems.last().and_then(|problem| problem.span)
        {
            let message = format!("{} more samples contradict others", self.unlisted);
            problems.push(Problem::error("trace-conflict", message, last));
        }
        problems
    }
}
