//! Counters and histograms as series: which there are, and what a scrape writes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::promql::gofmt::format_openmetrics;
use crate::promql::labels::{BUCKET_BOUND, Label, Labels, METRIC_NAME};
use crate::promql::series::{SeriesId, Store, stale_marker};

use super::conventions::{Counter, Histogram, Instrument, Scope, Templates, Variables, fill};
use super::counting::{OUTCOMES, Outcome, Tally};
use super::needs::Needs;

/// All that is counted, and the bounds of latencies that anybody needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Catalogue {
    pub instruments: Vec<Instrument>,
    /// The counters and the histogram of one instrument after the other.
    parts: Vec<Part>,
    /// Upper bounds in seconds, of all needed histograms together, in rising order.
    pub bounds: Vec<f64>,
    pub needs: Needs,
    /// Whether it is looked at whether pods are up.
    pub wants_up: bool,
}

/// Samples for which a series has room at first: those of half an hour, as often as most scrape.
const ROOM: usize = 128;

/// A counter or a histogram.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    /// The number of its instrument.
    instrument: usize,
    scope: Scope,
    /// Labels that tell outcomes apart.
    outcome: Templates,
    series: Vec<PartSeries>,
    /// Units of the histogram in a second.
    per_second: f64,
}

/// A series that is looked at: its labels beside those of whoever counts, and what it shows.
#[derive(Debug, Clone, PartialEq)]
struct PartSeries {
    labels: Vec<Label>,
    shows: Shows,
}

impl Catalogue {
    pub fn new(mut instruments: Vec<Instrument>, needs: Needs) -> Self {
        for instrument in &mut instruments {
            instrument
                .counters
                .retain(|counter| needs.wants(&counter.name));
            instrument.histogram = instrument.histogram.take().filter(|histogram| {
                ["_bucket", "_sum", "_count"]
                    .iter()
                    .any(|suffix| needs.wants(&format!("{}{suffix}", histogram.name)))
            });
        }
        let mut bounds: Vec<f64> = instruments
            .iter()
            .filter_map(|instrument| instrument.histogram.as_ref())
            .flat_map(|histogram| {
                histogram
                    .bounds
                    .iter()
                    .map(|bound| bound / histogram.per_second())
            })
            .collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let mut parts = Vec::new();
        for (index, instrument) in instruments.iter().enumerate() {
            let part = |outcome: &Templates, series, per_second| Part {
                instrument: index,
                scope: instrument.scope,
                outcome: outcome.clone(),
                series,
                per_second,
            };
            for counter in &instrument.counters {
                let Counter { name, outcome } = counter;
                let series = PartSeries {
                    labels: vec![label(METRIC_NAME, name)],
                    shows: Shows::Count,
                };
                parts.push(part(outcome, vec![series], 1.0));
            }
            if let Some(histogram) = &instrument.histogram {
                let series = histogram_series(histogram, &bounds, &needs);
                parts.push(part(&histogram.outcome, series, histogram.per_second()));
            }
        }
        Self {
            instruments,
            parts,
            bounds,
            wants_up: needs.wants("up"),
            needs,
        }
    }

    /// Whether anything of this scope is counted.
    pub fn has(&self, scope: Scope) -> bool {
        self.instruments.iter().any(|it| it.scope == scope)
    }
}

fn label(name: &str, value: &str) -> Label {
    Label {
        name: Arc::from(name),
        value: Arc::from(value),
    }
}

/// The series of a histogram that are looked at; `bounds` are those of the catalogue.
fn histogram_series(histogram: &Histogram, bounds: &[f64], needs: &Needs) -> Vec<PartSeries> {
    let per_second = histogram.per_second();
    let Histogram {
        name,
        outcome: _,
        unit: _,
        bounds: own,
    } = histogram;
    let [bucket, sum, count] =
        ["_bucket", "_sum", "_count"].map(|suffix| label(METRIC_NAME, &format!("{name}{suffix}")));
    let of_bucket = |bound: &str, shows| PartSeries {
        labels: vec![bucket.clone(), label(BUCKET_BOUND, bound)],
        shows,
    };
    let mut series: Vec<PartSeries> = own
        .iter()
        .map(|bound| {
            let buckets = bounds.partition_point(|it| *it <= bound / per_second);
            of_bucket(&format_openmetrics(*bound), Shows::Fastest(buckets))
        })
        .collect();
    series.push(of_bucket("+Inf", Shows::Count));
    for (name, shows) in [(sum, Shows::Seconds), (count, Shows::Count)] {
        let labels = vec![name];
        series.push(PartSeries { labels, shows });
    }
    let is_wanted = |series: &PartSeries| {
        let name = series.labels.first();
        name.is_some_and(|name| needs.wants(&name.value))
    };
    series.retain(is_wanted);
    series
}

/// Counts of one place, and its series in the store.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub tallies: [Tally; OUTCOMES.len()],
    /// Outcomes that have series, as bits.
    shown: u8,
    groups: Vec<Group>,
    /// Labels that all series of an instrument have, by its number.
    common: Vec<(usize, Labels)>,
    /// Room for what a scrape adds up: requests in the fastest buckets, bucket by bucket.
    below: Vec<f64>,
}

/// A counter, or all series of a histogram.
#[derive(Debug, Clone)]
struct Group {
    labels: Labels,
    /// The number of its part in the catalogue.
    part: usize,
    /// Outcomes that it counts, as bits.
    outcomes: u8,
    series: Vec<Series>,
    /// What the series showed at the latest scrapes, one after the other: those that have not been
    /// written to the store.
    unwritten: Vec<f64>,
    /// Most buckets that one of its series shows.
    buckets: usize,
    /// Units of the histogram in a second.
    per_second: f64,
    /// Whether the latest scrape had it.
    live: bool,
}

#[derive(Debug, Clone)]
struct Series {
    labels: Labels,
    id: SeriesId,
    shows: Shows,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shows {
    Count,
    Seconds,
    /// Requests in that many buckets of the catalogue, from the fastest on.
    Fastest(usize),
}

impl Shows {
    fn buckets(self) -> usize {
        match self {
            Self::Fastest(buckets) => buckets,
            Self::Count | Self::Seconds => 0,
        }
    }
}

/// Who is scraped, as variables and labels.
pub(super) struct Identity<'a> {
    pub scope: Scope,
    pub variables: &'a [&'a Variables],
    /// Labels of the pod itself; those of an instrument win.
    pub pod_labels: Option<&'a BTreeMap<String, String>>,
    /// HTTP status of failed requests.
    pub error_code: u16,
}

impl Account {
    pub fn add(&mut self, outcome: Outcome, tally: &Tally) {
        if let Some(sum) = self.tallies.get_mut(outcome as usize) {
            sum.add(tally);
        }
    }

    /// A new process counts from 0.
    pub fn restart(&mut self) {
        self.tallies = Default::default();
    }

    /// Notes what a scrape finds, to be written with what others find. A series is there from the
    /// first request on.
    pub fn scrape(
        &mut self,
        catalogue: &Catalogue,
        identity: &Identity<'_>,
        store: &mut Store,
        unwritten: &[i64],
        time: i64,
    ) {
        for outcome in OUTCOMES {
            let bit = 1 << outcome as u8;
            let seen = self
                .tallies
                .get(outcome as usize)
                .is_some_and(|tally| tally.requests >= 1.0);
            if seen && self.shown & bit == 0 {
                self.shown |= bit;
                self.show(outcome, catalogue, identity, store);
            }
        }
        for group in &mut self.groups {
            group.scrape(&self.tallies, &mut self.below, store, unwritten, time);
        }
    }

    /// Writes what was noted at scrapes; `unwritten` are the times of all that may have to be.
    pub fn write(&mut self, store: &mut Store, unwritten: &[i64]) {
        for group in &mut self.groups {
            group.write(store, unwritten);
        }
    }

    /// Marks all that the latest scrape had as gone.
    pub fn end(&mut self, store: &mut Store, unwritten: &[i64], time: i64) {
        for group in &mut self.groups {
            group.end(store, unwritten, time);
        }
    }

    /// Forgets its series: they go on under other labels.
    pub fn rename(&mut self, store: &mut Store, unwritten: &[i64], time: i64) {
        self.end(store, unwritten, time);
        self.groups.clear();
        self.common.clear();
        self.shown = 0;
    }

    /// Finds its series again after old samples were dropped.
    pub fn find_series(&mut self, store: &mut Store) {
        for series in self.groups.iter_mut().flat_map(|group| &mut group.series) {
            series.id = store.series_id(&series.labels);
        }
    }

    fn show(
        &mut self,
        outcome: Outcome,
        catalogue: &Catalogue,
        identity: &Identity<'_>,
        store: &mut Store,
    ) {
        let outcome_variables = outcome_variables(outcome, identity.error_code);
        let known = [identity.variables, &[&outcome_variables]].concat();
        let bit = 1 << outcome as u8;
        for (index, part) in catalogue.parts.iter().enumerate() {
            let Some(instrument) = catalogue.instruments.get(part.instrument) else {
                continue;
            };
            if part.scope != identity.scope {
                continue;
            }
            let outcome_labels: Vec<Label> = (part.outcome.iter())
                .map(|(name, value)| label(name, &fill(value, &known)))
                .collect();
            let labels = self
                .common_labels(part.instrument, instrument, identity)
                .with_all(&outcome_labels);
            let same = self
                .groups
                .iter_mut()
                .find(|group| group.part == index && group.labels == labels);
            match same {
                Some(group) => group.outcomes |= bit,
                None => self
                    .groups
                    .push(Group::new(labels, index, part, bit, store)),
            }
        }
    }

    fn common_labels(
        &mut self,
        number: usize,
        instrument: &Instrument,
        identity: &Identity<'_>,
    ) -> Labels {
        if let Some((_, labels)) = self.common.iter().find(|(of, _)| *of == number) {
            return labels.clone();
        }
        let labels = identity.labels(&[&instrument.target, &instrument.labels]);
        self.common.push((number, labels.clone()));
        labels
    }
}

impl Identity<'_> {
    /// The labels of these templates, later ones winning.
    pub fn labels(&self, parts: &[&Templates]) -> Labels {
        let pod = self.pod_labels.into_iter().flatten();
        let pod = pod.map(|(name, value)| (label_name(name), Cow::Borrowed(value.as_str())));
        let rendered = parts
            .iter()
            .flat_map(|templates| templates.iter())
            .map(|(name, value)| {
                (
                    Cow::Borrowed(name.as_str()),
                    Cow::Owned(fill(value, self.variables)),
                )
            });
        Labels::new(pod.chain(rendered))
    }
}

impl Group {
    fn new(labels: Labels, number: usize, part: &Part, outcomes: u8, store: &mut Store) -> Self {
        let series = part.series.iter().map(|series| {
            let labels = labels.with_all(&series.labels);
            let id = store.series_id(&labels);
            store.reserve(id, ROOM);
            Series {
                id,
                labels,
                shows: series.shows,
            }
        });
        let shows = part.series.iter().map(|series| series.shows);
        Self {
            series: series.collect(),
            buckets: shows.map(Shows::buckets).max().unwrap_or_default(),
            labels,
            unwritten: Vec::new(),
            part: number,
            outcomes,
            per_second: part.per_second,
            live: false,
        }
    }

    /// Notes what it shows of these counts, or writes its end if they have become too few. `below`
    /// is only room.
    fn scrape(
        &mut self,
        tallies: &[Tally; OUTCOMES.len()],
        below: &mut Vec<f64>,
        store: &mut Store,
        unwritten: &[i64],
        time: i64,
    ) {
        let counted = OUTCOMES.iter().zip(tallies);
        let counted = counted.filter(|(it, _)| self.outcomes & (1 << **it as u8) != 0);
        let (mut requests, mut seconds) = (0.0, 0.0);
        for (_, tally) in counted.clone() {
            requests += tally.requests;
            seconds += tally.seconds;
        }
        if requests < 1.0 {
            self.end(store, unwritten, time);
            return;
        }
        self.live = true;
        if self.buckets > 0 {
            below.clear();
            below.resize(self.buckets, 0.0);
            for (_, tally) in counted {
                for (sum, count) in below.iter_mut().zip(&tally.buckets) {
                    *sum += count;
                }
            }
            let mut faster = 0.0;
            for count in below.iter_mut() {
                faster += *count;
                *count = faster;
            }
        }
        let seconds = seconds * self.per_second;
        let row = self.series.iter().map(|series| match series.shows {
            Shows::Count => requests,
            Shows::Seconds => seconds,
            Shows::Fastest(buckets) => {
                let slowest = buckets.checked_sub(1).and_then(|at| below.get(at));
                slowest.copied().unwrap_or_default()
            }
        });
        self.unwritten.extend(row);
    }

    fn write(&mut self, store: &mut Store, unwritten: &[i64]) {
        let scrapes = self.unwritten.len() / self.series.len().max(1);
        let from = unwritten.len().saturating_sub(scrapes);
        let times = unwritten.get(from..).unwrap_or_default();
        let series = self.series.iter().map(|series| series.id);
        // Only a series that the scenario wrote by hand can stand in the way; it wins.
        store.append_rows(series, times, &self.unwritten);
        self.unwritten.clear();
    }

    fn end(&mut self, store: &mut Store, unwritten: &[i64], time: i64) {
        if !self.live {
            return;
        }
        self.write(store, unwritten);
        self.live = false;
        for series in &self.series {
            let _ = store.append_float_to(series.id, time, stale_marker());
        }
    }
}

/// As Prometheus' service discovery writes label names.
fn label_name(name: &str) -> Cow<'_, str> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.chars().all(fits) {
        return Cow::Borrowed(name);
    }
    let letters = name.chars();
    Cow::Owned(letters.map(|it| if fits(it) { it } else { '_' }).collect())
}

fn outcome_variables(outcome: Outcome, error_code: u16) -> Variables {
    let (code, flags) = match outcome {
        Outcome::Answered => (200, "-"),
        Outcome::Failed => (error_code, "-"),
        Outcome::NoPod => (503, "UH"),
    };
    // As Linkerd classifies: only what the server is to blame for is a failure.
    let classification = if code >= 500 { "failure" } else { "success" };
    Variables::from([
        ("code", code.to_string()),
        ("class", (code / 100).to_string()),
        ("classification", classification.to_owned()),
        ("flags", flags.to_owned()),
    ])
}
