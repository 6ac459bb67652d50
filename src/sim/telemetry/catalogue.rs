//! What is counted, and the labels of its series.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::promql::gofmt::format_openmetrics;
use crate::promql::labels::{BUCKET_BOUND, Label, Labels, METRIC_NAME};
use crate::promql::series::HashedLabels;
use crate::spec::string_map::StringMap;

use super::conventions::{Counter, Histogram, Instrument, Scope, Templates, Variables, fill};
use super::counting::{OUTCOMES, Outcome};
use super::needs::Needs;

/// All that is counted, and the bounds of latencies that anybody needs. Runs share it.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub instruments: Vec<Instrument>,
    /// The counters and the histogram of one instrument after the other.
    pub parts: Vec<Part>,
    /// Upper bounds in seconds, of all needed histograms together, in rising order.
    pub bounds: Vec<f64>,
    pub needs: Needs,
    /// Whether it is looked at whether pods are up.
    pub wants_up: bool,
    /// Whether sums of latencies are looked at.
    pub wants_seconds: bool,
    known: Mutex<KnownPlaces>,
}

/// A counter or a histogram.
#[derive(Debug)]
pub(super) struct Part {
    /// The number of its instrument.
    instrument: usize,
    scope: Scope,
    /// Labels that tell outcomes apart.
    outcome: Templates,
    /// Labels of the series that are looked at, beside those of whoever counts.
    series: Vec<Vec<Label>>,
    /// What each of them shows: where that stands among the sums of a scrape.
    pub shows: Vec<usize>,
    /// Most buckets that one of its series shows.
    pub buckets: usize,
    /// Units of the histogram in a second.
    pub per_second: f64,
}

/// Where the sums of a scrape stand: requests, and their latencies.
pub(super) const COUNT: usize = 0;
pub(super) const SECONDS: usize = 1;

/// And the requests in that many buckets of the catalogue, from the fastest on.
fn fastest(buckets: usize) -> usize {
    buckets + 2
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
            let mut add = |outcome: &Templates, series: Vec<PartSeries>, per_second| {
                let (series, shows): (_, Vec<usize>) = series.into_iter().unzip();
                parts.push(Part {
                    instrument: index,
                    scope: instrument.scope,
                    outcome: outcome.clone(),
                    series,
                    buckets: (shows.iter().max()).map_or(0, |it| it.saturating_sub(fastest(0))),
                    shows,
                    per_second,
                });
            };
            for counter in &instrument.counters {
                let Counter { name, outcome } = counter;
                add(outcome, vec![(vec![label(METRIC_NAME, name)], COUNT)], 1.0);
            }
            if let Some(histogram) = &instrument.histogram {
                let series = histogram_series(histogram, &bounds, &needs);
                add(&histogram.outcome, series, histogram.per_second());
            }
        }
        let mut shown = parts.iter().flat_map(|part| &part.shows);
        Self {
            wants_seconds: shown.any(|shows| *shows == SECONDS),
            instruments,
            parts,
            bounds,
            wants_up: needs.wants("up"),
            needs,
            known: Mutex::default(),
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

/// Labels of a series, and what it shows.
type PartSeries = (Vec<Label>, usize);

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
    let of_bucket = |bound: &str, shows| (vec![bucket.clone(), label(BUCKET_BOUND, bound)], shows);
    let mut series: Vec<PartSeries> = own
        .iter()
        .map(|bound| {
            let buckets = bounds.partition_point(|it| *it <= bound / per_second);
            of_bucket(&format_openmetrics(*bound), fastest(buckets))
        })
        .collect();
    series.push(of_bucket("+Inf", COUNT));
    series.extend([(vec![sum], SECONDS), (vec![count], COUNT)]);
    series.retain(|(labels, _)| {
        let name = labels.first();
        name.is_some_and(|name| needs.wants(&name.value))
    });
    series
}

/// Who is scraped, as variables and labels.
pub(super) struct Identity<'a> {
    pub scope: Scope,
    pub variables: &'a [&'a Variables],
    /// Labels of the pod itself; those of an instrument win.
    pub pod_labels: Option<&'a StringMap>,
    /// HTTP status of failed requests.
    pub error_code: u16,
}

/// The labels of all series that a place may come to have.
#[derive(Debug)]
pub(super) struct Place {
    pub groups: Vec<PlaceGroup>,
    /// The numbers of the groups that count an outcome, in the order of their parts.
    by_outcome: [Vec<usize>; OUTCOMES.len()],
}

/// A counter, or all series of a histogram.
#[derive(Debug)]
pub(super) struct PlaceGroup {
    /// The number of its part in the catalogue.
    pub part: usize,
    /// What the labels of its series have in common.
    labels: Labels,
    pub series: Vec<HashedLabels>,
}

impl Place {
    fn new(catalogue: &Catalogue, identity: &Identity<'_>) -> Self {
        let common: Vec<Labels> = (catalogue.instruments.iter())
            .map(|instrument| identity.labels(&[&instrument.target, &instrument.labels]))
            .collect();
        let mut groups: Vec<PlaceGroup> = Vec::new();
        let by_outcome = OUTCOMES.map(|outcome| {
            let variables = outcome_variables(outcome, identity.error_code);
            let known = [identity.variables, &[&variables]].concat();
            let mut of_outcome = Vec::new();
            for (number, part) in catalogue.parts.iter().enumerate() {
                let Some(common) = common.get(part.instrument) else {
                    continue;
                };
                if part.scope != identity.scope {
                    continue;
                }
                let own: Vec<Label> = (part.outcome.iter())
                    .map(|(name, value)| label(name, &fill(value, &known)))
                    .collect();
                let labels = common.with_all(&own);
                let is_same = |group: &PlaceGroup| group.part == number && group.labels == labels;
                let same = groups.iter().position(is_same);
                of_outcome.push(same.unwrap_or(groups.len()));
                if same.is_none() {
                    groups.push(PlaceGroup::new(number, part, labels));
                }
            }
            of_outcome
        });
        Self { groups, by_outcome }
    }

    /// The groups that count the outcome of this number, each with its own.
    pub fn groups_of(&self, outcome: usize) -> impl Iterator<Item = (usize, &PlaceGroup)> {
        let numbers = self.by_outcome.get(outcome).into_iter().flatten();
        numbers.filter_map(|number| Some((*number, self.groups.get(*number)?)))
    }
}

impl PlaceGroup {
    fn new(number: usize, part: &Part, labels: Labels) -> Self {
        let series = (part.series.iter())
            .map(|own| HashedLabels::new(labels.with_all(own)))
            .collect();
        Self {
            part: number,
            labels,
            series,
        }
    }
}

/// The places that runs came across, by all that their labels depend on: pods have the same names
/// in each run of a scenario. What is in here changes no result.
#[derive(Debug, Default)]
struct KnownPlaces {
    by_identity: BTreeMap<Vec<u8>, Arc<Place>>,
    /// How many series they have together.
    series: usize,
}

/// Series of known places at most: about 10 to 20 MB.
const MOST_KNOWN: usize = 1 << 14;

impl Catalogue {
    /// The series of a place.
    pub fn place(&self, identity: &Identity<'_>) -> Arc<Place> {
        let key = identity.key();
        // Each change of what is known is complete.
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = known().by_identity.get(&key) {
            return Arc::clone(place);
        }
        let place = Arc::new(Place::new(self, identity));
        let series: usize = place.groups.iter().map(|group| group.series.len()).sum();
        let mut known = known();
        if known.series.saturating_add(series) <= MOST_KNOWN {
            known.series += series;
            known.by_identity.insert(key, Arc::clone(&place));
        }
        place
    }
}

impl Identity<'_> {
    /// All that labels depend on, in bytes.
    fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(512);
        let mut add = |text: &str| {
            key.extend_from_slice(&(text.len() as u64).to_le_bytes());
            key.extend_from_slice(text.as_bytes());
        };
        for (name, value) in self.variables.iter().copied().flatten() {
            add(name);
            add(value);
        }
        // No variable has this name.
        add("");
        for (name, value) in self.pod_labels.into_iter().flatten() {
            add(name);
            add(value);
        }
        key.extend_from_slice(&self.error_code.to_le_bytes());
        key.push(self.scope as u8);
        key
    }

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
