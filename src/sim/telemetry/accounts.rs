//! Counters and histograms as series: which there are, and what a scrape writes.

use crate::promql::gofmt::format_openmetrics;
use crate::promql::labels::{BUCKET_BOUND, Labels, METRIC_NAME};
use crate::promql::series::{SeriesId, Store, stale_marker};

use super::conventions::{Histogram, Instrument, Scope, Templates, Variables, fill};
use super::counting::{OUTCOMES, Outcome, Tally};
use super::needs::Needs;

/// All that is counted, and the bounds of latencies that anybody needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Catalogue {
    pub instruments: Vec<Instrument>,
    /// Upper bounds in seconds, of all needed histograms together, in rising order.
    pub bounds: Vec<f64>,
    pub needs: Needs,
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
        Self {
            instruments,
            bounds,
            needs,
        }
    }

    /// Whether anything of this scope is counted.
    pub fn has(&self, scope: Scope) -> bool {
        self.instruments.iter().any(|it| it.scope == scope)
    }
}

/// Counts of one place, and its series in the store.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub tallies: [Tally; 3],
    /// Outcomes that have series, as bits.
    shown: u8,
    groups: Vec<Group>,
}

/// A counter, or all series of a histogram.
#[derive(Debug, Clone)]
struct Group {
    labels: Labels,
    part: Part,
    /// Outcomes that it counts, as bits.
    outcomes: u8,
    series: Vec<Series>,
    /// Units of the histogram in a second.
    per_second: f64,
    /// Whether the latest scrape had it.
    live: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Of this instrument, the counter of this index.
    Counter(usize, usize),
    Histogram(usize),
}

#[derive(Debug, Clone)]
struct Series {
    labels: Labels,
    id: SeriesId,
    shows: Shows,
}

#[derive(Debug, Clone, Copy)]
enum Shows {
    Count,
    Seconds,
    /// Requests in that many buckets of the catalogue, from the fastest on.
    Fastest(usize),
}

/// Who is scraped, as variables and labels.
pub(super) struct Identity<'a> {
    pub scope: Scope,
    pub variables: &'a [&'a Variables],
    /// Labels of the pod itself; those of an instrument win.
    pub pod_labels: &'a [(String, String)],
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

    /// Writes what a scrape finds. A series is there from the first request on.
    pub fn scrape(
        &mut self,
        catalogue: &Catalogue,
        identity: &Identity<'_>,
        store: &mut Store,
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
            let counted = OUTCOMES
                .into_iter()
                .filter(|outcome| group.outcomes & (1 << *outcome as u8) != 0)
                .filter_map(|outcome| self.tallies.get(outcome as usize));
            let requests: f64 = counted.clone().map(|tally| tally.requests).sum();
            if requests < 1.0 {
                group.end(store, time);
                continue;
            }
            group.live = true;
            let (mut below, mut buckets_below) = (0.0, 0);
            for series in &group.series {
                let value = match series.shows {
                    Shows::Count => requests,
                    Shows::Seconds => {
                        counted.clone().map(|tally| tally.seconds).sum::<f64>() * group.per_second
                    }
                    Shows::Fastest(buckets) => {
                        for tally in counted.clone() {
                            let more = tally.buckets.get(buckets_below..buckets);
                            below += more.unwrap_or_default().iter().sum::<f64>();
                        }
                        buckets_below = buckets;
                        below
                    }
                };
                // Only a series that the scenario wrote by hand can stand in the way; it wins.
                let _ = store.append_float_to(series.id, time, value);
            }
        }
    }

    /// Marks all that the latest scrape had as gone.
    pub fn end(&mut self, store: &mut Store, time: i64) {
        for group in &mut self.groups {
            group.end(store, time);
        }
    }

    /// Forgets its series: they go on under other labels.
    pub fn rename(&mut self, store: &mut Store, time: i64) {
        self.end(store, time);
        self.groups.clear();
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
        let bit = 1 << outcome as u8;
        for (index, instrument) in catalogue.instruments.iter().enumerate() {
            if instrument.scope != identity.scope {
                continue;
            }
            let counters = instrument
                .counters
                .iter()
                .enumerate()
                .map(|(at, counter)| (Part::Counter(index, at), &counter.outcome));
            let histograms = instrument
                .histogram
                .iter()
                .map(|histogram| (Part::Histogram(index), &histogram.outcome));
            for (part, templates) in counters.chain(histograms) {
                let labels = identity.labels(&[
                    (&instrument.target, &[]),
                    (&instrument.labels, &[]),
                    (templates, &[&outcome_variables]),
                ]);
                let same = self
                    .groups
                    .iter_mut()
                    .find(|group| group.part == part && group.labels == labels);
                match same {
                    Some(group) => group.outcomes |= bit,
                    None => self
                        .groups
                        .push(Group::new(labels, part, bit, catalogue, instrument, store)),
                }
            }
        }
    }
}

impl Identity<'_> {
    /// The labels of these templates, later ones winning, with additional variables for some.
    pub fn labels(&self, parts: &[(&Templates, &[&Variables])]) -> Labels {
        let pod = self
            .pod_labels
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        let rendered = parts.iter().flat_map(|(templates, more)| {
            let known = [self.variables, *more].concat();
            templates
                .iter()
                .map(move |(name, value)| (name.clone(), fill(value, &known)))
        });
        Labels::new(pod.chain(rendered))
    }
}

impl Group {
    fn new(
        labels: Labels,
        part: Part,
        outcomes: u8,
        catalogue: &Catalogue,
        instrument: &Instrument,
        store: &mut Store,
    ) -> Self {
        let mut series = Vec::new();
        let mut add = |labels: Labels, shows| {
            if catalogue.needs.wants(labels.metric_name()) {
                let id = store.series_id(&labels);
                series.push(Series { labels, id, shows });
            }
        };
        let mut per_second = 1.0;
        match (part, &instrument.histogram) {
            (Part::Counter(_, at), _) => {
                if let Some(counter) = instrument.counters.get(at) {
                    add(labels.with(METRIC_NAME, &counter.name), Shows::Count);
                }
            }
            (Part::Histogram(_), Some(histogram)) => {
                per_second = histogram.per_second();
                let Histogram {
                    name,
                    outcome: _,
                    unit: _,
                    bounds,
                } = histogram;
                let bucket = labels.with(METRIC_NAME, &format!("{name}_bucket"));
                for bound in bounds {
                    let seconds = bound / per_second;
                    let buckets = catalogue.bounds.partition_point(|it| *it <= seconds);
                    add(
                        bucket.with(BUCKET_BOUND, &format_openmetrics(*bound)),
                        Shows::Fastest(buckets),
                    );
                }
                add(bucket.with(BUCKET_BOUND, "+Inf"), Shows::Count);
                add(
                    labels.with(METRIC_NAME, &format!("{name}_sum")),
                    Shows::Seconds,
                );
                add(
                    labels.with(METRIC_NAME, &format!("{name}_count")),
                    Shows::Count,
                );
            }
            (Part::Histogram(_), None) => {}
        }
        Self {
            labels,
            part,
            outcomes,
            series,
            per_second,
            live: false,
        }
    }

    fn end(&mut self, store: &mut Store, time: i64) {
        if !self.live {
            return;
        }
        self.live = false;
        for series in &self.series {
            let _ = store.append_float_to(series.id, time, stale_marker());
        }
    }
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
