//! What queries found in a store that grows, for those that ask the same again and again.

use std::sync::Arc;

use crate::promql::aggregations::Groups;
use crate::promql::labels::Matcher;
use crate::promql::series::{SeriesId, Store};

/// So many selections, and as many groupings and bounds of buckets, are remembered.
const MOST: usize = 64;

/// Which series selectors and aggregations found. Queries that are given it have the same results
/// as without, sooner: only series that are new are looked at. Good for one store, which may grow
/// and drop samples.
#[derive(Clone, Debug, Default)]
pub struct Recall {
    /// Of the store when it was last looked at.
    drops: u64,
    series_count: usize,
    selections: Vec<Selection>,
    groups: Vec<Groups>,
    /// Numbers that texts of labels mean; a store shares equal texts.
    bounds: Vec<(Arc<str>, Option<f64>)>,
    /// Buckets mostly come in the order of those before.
    next_bound: usize,
}

#[derive(Clone, Debug)]
struct Selection {
    matchers: Vec<Matcher>,
    /// Series before this number have been looked at.
    next: usize,
    found: Arc<Vec<SeriesId>>,
}

impl Recall {
    /// Forgets what does not hold for the store any more.
    pub(super) fn look_at(&mut self, store: &Store) {
        if self.drops != store.drops() || self.series_count > store.series_count() {
            *self = Self::default();
        }
        self.drops = store.drops();
        self.series_count = store.series_count();
    }

    /// As [`Store::select_since`] from the first series on.
    pub(super) fn select(&mut self, store: &Store, matchers: &[Matcher]) -> Arc<Vec<SeriesId>> {
        let is_known = |selection: &&mut Selection| selection.matchers == matchers;
        if let Some(known) = self.selections.iter_mut().find(is_known) {
            if known.next < store.series_count() {
                let new = store.select_since(matchers, known.next);
                Arc::make_mut(&mut known.found).extend(new);
                known.next = store.series_count();
            }
            return Arc::clone(&known.found);
        }
        let found = Arc::new(store.select_since(matchers, 0));
        if self.selections.len() < MOST {
            self.selections.push(Selection {
                matchers: matchers.to_vec(),
                next: store.series_count(),
                found: Arc::clone(&found),
            });
        }
        found
    }

    /// The groups of an aggregation as far as they are known, to be given back.
    pub(super) fn take_groups(&mut self, without: bool, grouping: &[String]) -> Option<Groups> {
        let is_known = |groups: &Groups| groups.are_by(without, grouping);
        let at = self.groups.iter().position(is_known)?;
        Some(self.groups.swap_remove(at))
    }

    /// The number that the text of a label means, found by `parse` if it is not known.
    pub(super) fn bound(
        &mut self,
        text: &Arc<str>,
        parse: impl FnOnce(&str) -> Option<f64>,
    ) -> Option<f64> {
        let is_it = |(known, _): &(Arc<str>, Option<f64>)| Arc::ptr_eq(known, text);
        let is_next = self.bounds.get(self.next_bound).is_some_and(is_it);
        let at = if is_next {
            Some(self.next_bound)
        } else {
            self.bounds.iter().position(is_it)
        };
        if let Some((at, (_, bound))) = at.and_then(|at| Some((at, self.bounds.get(at)?))) {
            self.next_bound = at + 1;
            return *bound;
        }
        let bound = parse(text);
        if self.bounds.len() < MOST {
            self.bounds.push((Arc::clone(text), bound));
        }
        self.next_bound = 0;
        bound
    }

    pub(super) fn keep_groups(&mut self, groups: Groups) {
        if self.groups.len() < MOST && groups.are_of_stored_series() {
            self.groups.push(groups);
        }
    }
}
