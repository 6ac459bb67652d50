//! Counters and histograms as series: what a scrape writes.

use std::sync::Arc;

use crate::promql::series::{SeriesId, Store, stale_marker};

use super::catalogue::{Catalogue, Identity, Part, Place, PlaceGroup};
use super::counting::{OUTCOMES, Outcome, Tally};

/// Samples for which a series has room at first: those of half an hour, as often as most scrape.
const ROOM: usize = 128;
/// Scrapes between two queries mostly.
const UNWRITTEN: usize = 8;

/// Counts of one place, and its series in the store.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub tallies: [Tally; OUTCOMES.len()],
    /// Whether each outcome has series.
    shown: [bool; OUTCOMES.len()],
    groups: Vec<Group>,
    /// The labels of its series; none before the first has any.
    place: Option<Arc<Place>>,
    /// Room for what a scrape adds up, see [`COUNT`].
    sums: Vec<f64>,
}

/// A counter, or all series of a histogram.
#[derive(Debug, Clone)]
struct Group {
    /// Its number in its place.
    number: usize,
    /// The number of its part in the catalogue.
    part: usize,
    /// The numbers of the outcomes that it counts, in rising order.
    outcomes: Vec<usize>,
    series: Vec<SeriesId>,
    /// What the series showed at the latest scrapes, one after the other: those that have not been
    /// written to the store.
    unwritten: Vec<f64>,
    /// Whether the latest scrape had it.
    live: bool,
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
        for (tally, is_shown) in self.tallies.iter().zip(&self.shown) {
            if tally.requests >= 1.0 && !is_shown {
                self.show(catalogue, identity, store);
                break;
            }
        }
        for group in &mut self.groups {
            let Some(part) = catalogue.parts.get(group.part) else {
                continue;
            };
            if !group.scrape(part, &self.tallies, &mut self.sums) {
                group.end(store, unwritten, time);
            }
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
        self.place = None;
        self.shown = Default::default();
    }

    /// Finds its series again after old samples were dropped.
    pub fn find_series(&mut self, store: &mut Store) {
        let Some(place) = &self.place else { return };
        for group in &mut self.groups {
            if let Some(of_place) = place.groups.get(group.number) {
                let found = of_place.series.iter();
                group.series = found.map(|it| store.hashed_series_id(it)).collect();
            }
        }
    }

    /// Gives series to the outcomes that have requests but none yet.
    #[cold]
    fn show(&mut self, catalogue: &Catalogue, identity: &Identity<'_>, store: &mut Store) {
        let place = (self.place).get_or_insert_with(|| catalogue.place(identity));
        let of_outcome = self.tallies.iter().zip(&mut self.shown);
        for (outcome, (tally, is_shown)) in of_outcome.enumerate() {
            if tally.requests < 1.0 || *is_shown {
                continue;
            }
            *is_shown = true;
            for (number, of_place) in place.groups_of(outcome) {
                let mut known = self.groups.iter_mut();
                match known.find(|group| group.number == number) {
                    Some(group) => {
                        group.outcomes.push(outcome);
                        group.outcomes.sort_unstable();
                    }
                    None => {
                        let group = Group::new(number, of_place, outcome, store);
                        self.groups.push(group);
                    }
                }
            }
        }
    }
}

impl Group {
    fn new(number: usize, place: &PlaceGroup, outcome: usize, store: &mut Store) -> Self {
        let series = place.series.iter().map(|labels| {
            let id = store.hashed_series_id(labels);
            store.reserve(id, ROOM);
            id
        });
        Self {
            number,
            part: place.part,
            outcomes: vec![outcome],
            series: series.collect(),
            unwritten: Vec::with_capacity(UNWRITTEN * place.series.len()),
            live: false,
        }
    }

    /// Notes what it shows of these counts. False if they have become too few. `sums` is only room.
    fn scrape(
        &mut self,
        part: &Part,
        tallies: &[Tally; OUTCOMES.len()],
        sums: &mut Vec<f64>,
    ) -> bool {
        let counted = (self.outcomes.iter()).filter_map(|outcome| tallies.get(*outcome));
        let (mut requests, mut seconds) = (0.0, 0.0);
        for tally in counted.clone() {
            requests += tally.requests;
            seconds += tally.seconds;
        }
        if requests < 1.0 {
            return false;
        }
        self.live = true;
        sums.clear();
        sums.extend([requests, seconds * part.per_second, 0.0]);
        if part.buckets > 0 {
            let mut counts: [&[f64]; OUTCOMES.len()] = Default::default();
            for (counts, tally) in counts.iter_mut().zip(counted) {
                *counts = tally.buckets.get(..part.buckets).unwrap_or_default();
            }
            add_up(counts, sums);
        }
        let sums = sums.as_slice();
        let row = part.shows.iter();
        let row = row.map(|shows| sums.get(*shows).copied().unwrap_or_default());
        self.unwritten.extend(row);
        true
    }

    fn write(&mut self, store: &mut Store, unwritten: &[i64]) {
        let scrapes = self.unwritten.len() / self.series.len().max(1);
        let from = unwritten.len().saturating_sub(scrapes);
        let times = unwritten.get(from..).unwrap_or_default();
        // Only a series that the scenario wrote by hand can stand in the way; it wins.
        store.append_rows(&self.series, times, &self.unwritten);
        self.unwritten.clear();
    }

    fn end(&mut self, store: &mut Store, unwritten: &[i64], time: i64) {
        if !self.live {
            return;
        }
        self.write(store, unwritten);
        self.live = false;
        for series in &self.series {
            let _ = store.append_float_to(*series, time, stale_marker());
        }
    }
}

/// Appends how many requests are in the first bucket, in the first two, and so on. Some of the
/// counts may be empty.
fn add_up(counts: [&[f64]; OUTCOMES.len()], sums: &mut Vec<f64>) {
    let mut faster = 0.0;
    let mut next = |count: f64| {
        faster += count;
        faster
    };
    match counts {
        // Mostly some requests are answered and some fail.
        [some, others, []] if some.len() == others.len() => {
            sums.extend(some.iter().zip(others).map(|(a, b)| next(a + b)));
        }
        _ => {
            let buckets = counts.iter().map(|counts| counts.len()).max();
            let count = |at: usize| counts.iter().filter_map(|it| it.get(at)).sum();
            sums.extend((0..buckets.unwrap_or_default()).map(|at| next(count(at))));
        }
    }
}
