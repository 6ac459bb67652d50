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
    /// Outcomes that have series, as bits.
    shown: u8,
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
    /// Outcomes that it counts, as bits.
    outcomes: u8,
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
        for (outcome, tally) in OUTCOMES.into_iter().zip(&self.tallies) {
            if tally.requests >= 1.0 && self.shown & outcome.bit() == 0 {
                self.shown |= outcome.bit();
                let place = (self.place).get_or_insert_with(|| catalogue.place(identity));
                show(place, outcome, &mut self.groups, store);
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
        self.shown = 0;
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
}

/// Lets these groups of a place, those that are shown, count an outcome too.
fn show(place: &Place, outcome: Outcome, groups: &mut Vec<Group>, store: &mut Store) {
    for (number, of_place) in place.groups_of(outcome) {
        match groups.iter_mut().find(|group| group.number == number) {
            Some(group) => group.outcomes |= outcome.bit(),
            None => groups.push(Group::new(number, of_place, outcome, store)),
        }
    }
}

impl Group {
    fn new(number: usize, place: &PlaceGroup, outcome: Outcome, store: &mut Store) -> Self {
        let series = place.series.iter().map(|labels| {
            let id = store.hashed_series_id(labels);
            store.reserve(id, ROOM);
            id
        });
        Self {
            number,
            part: place.part,
            outcomes: outcome.bit(),
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
        let counted = OUTCOMES.into_iter().zip(tallies);
        let counted = counted.filter(|(outcome, _)| self.outcomes & outcome.bit() != 0);
        let (mut requests, mut seconds) = (0.0, 0.0);
        for (_, tally) in counted.clone() {
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
            let first = sums.len();
            for (_, tally) in counted {
                let counts = tally.buckets.get(..part.buckets).unwrap_or_default();
                match sums.get_mut(first..) {
                    Some(sums) if !sums.is_empty() => {
                        for (sum, count) in sums.iter_mut().zip(counts) {
                            *sum += count;
                        }
                    }
                    Some(_) | None => sums.extend_from_slice(counts),
                }
            }
            let mut faster = 0.0;
            for sum in sums.iter_mut().skip(first) {
                faster += *sum;
                *sum = faster;
            }
        }
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
