//! How many requests failed since the release, and because of what.

use serde::Serialize;

use crate::sim::timeline::{Entry, EntryKind, short_image};
use crate::time::Duration;

use super::fleet::{Fleet, Flow};
use super::load::Curve;

/// Shares that change again sooner are not told of.
const SETTLED_AFTER: f64 = 10.0;

/// Requests since the release, as expected of load, weights and error shares: without noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficTotals {
    pub requests: f64,
    pub failed: f64,
    /// Requests that the release and later versions got.
    pub of_release: f64,
    pub failed_of_release: f64,
    /// Failed requests that the version before the release would have answered.
    pub failed_because_of_release: f64,
}

/// Adds up requests from the release on.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    is_open: bool,
    total: Flow,
    marks: Vec<Mark>,
}

/// How requests fared from a moment on.
#[derive(Debug, Clone, PartialEq)]
struct Mark {
    /// Seconds since the release.
    at: f64,
    share: Flow,
    /// Images of versions other than the one before the release that get requests.
    images: Vec<String>,
}

impl Ledger {
    /// From now on, requests are added up.
    pub fn open(&mut self) {
        self.is_open = true;
    }

    pub fn add(&mut self, flow: Flow) {
        if self.is_open {
            self.total += flow;
        }
    }

    /// Notes how requests fare from now on, in seconds since the release.
    pub fn mark(&mut self, at: f64, fleet: &Fleet) {
        if !self.is_open {
            return;
        }
        let share = fleet.flow(1.0);
        let images = fleet.released_images();
        let mark = Mark { at, share, images };
        let same = self
            .marks
            .last()
            .is_some_and(|last| last.share == mark.share && last.images == mark.images);
        if !same {
            self.marks.push(mark);
        }
    }

    /// With requests that were not added yet.
    pub fn totals_with(&self, pending: Flow) -> TrafficTotals {
        let mut total = self.total;
        if self.is_open {
            total += pending;
        }
        let Flow {
            requests,
            failed,
            of_release,
            failed_of_release,
            because_of_release,
        } = total;
        TrafficTotals {
            requests,
            failed,
            of_release,
            failed_of_release,
            failed_because_of_release: because_of_release,
        }
    }

    /// Where load and errors settled at something new.
    pub fn entries(&self, curve: &Curve) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for (index, mark) in self.marks.iter().enumerate() {
            let next = self.marks.get(index.saturating_add(1));
            let settled = next.is_none_or(|next| next.at - mark.at >= SETTLED_AFTER);
            if index > 0 && !settled {
                continue;
            }
            let text = mark.text(curve.rate(mark.at));
            if entries.last().is_none_or(|last| last.text != text) {
                entries.push(Entry {
                    at: Duration::from_secs_f64(mark.at),
                    kind: EntryKind::Traffic,
                    text,
                    why: String::new(),
                });
            }
        }
        entries
    }
}

impl Mark {
    fn text(&self, rate: f64) -> String {
        let Flow {
            requests: _,
            failed,
            of_release,
            failed_of_release,
            because_of_release: _,
        } = self.share;
        let mut text = format!("{} requests/s, {} fail", rounded(rate), percent(failed));
        if of_release > 0.0 {
            let images: Vec<&str> = self.images.iter().map(|image| short_image(image)).collect();
            text = format!(
                "{text}; {}: {} requests/s, {} fail",
                images.join(", "),
                rounded(rate * of_release),
                percent(failed_of_release / of_release),
            );
        }
        text
    }
}

/// Three digits are enough.
fn rounded(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        let tenths = (value * 10.0).round() / 10.0;
        format!("{tenths}")
    }
}

fn percent(share: f64) -> String {
    let percent = (share * 10_000.0).round() / 100.0;
    format!("{percent} %")
}
