//! Two variants compared run by run: the same chance for both, so that the difference is theirs.

use serde::Serialize;

use super::amounts::Estimate;
use super::row::{Ending, Row};
use super::share::Z95;

/// Sums of the differences between the rows of two variants, after less before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs {
    runs: u64,
    promoted: Difference,
    aborted: Difference,
    undecided: Difference,
    /// Of runs in which both have a value.
    promotion: Difference,
    detection: Difference,
    abort: Difference,
    failed: Difference,
    peak_pods: Difference,
}

/// Sums of differences in whole numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Difference {
    count: u64,
    sum: i128,
    squares: u128,
}

impl Difference {
    fn add(&mut self, before: u64, after: u64) {
        let difference = i128::from(after) - i128::from(before);
        let size = difference.unsigned_abs();
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(difference);
        self.squares = self.squares.saturating_add(size.saturating_mul(size));
    }

    fn merge(&mut self, other: &Self) {
        let Self {
            count,
            sum,
            squares,
        } = other;
        self.count = self.count.saturating_add(*count);
        self.sum = self.sum.saturating_add(*sum);
        self.squares = self.squares.saturating_add(*squares);
    }

    fn change(&self, unit: f64) -> Option<Change> {
        if self.count == 0 {
            return None;
        }
        let runs = self.count as f64;
        let mean = self.sum as f64 / runs;
        let deviations = (self.squares as f64 - mean * self.sum as f64).max(0.0);
        let spread = (deviations / (runs - 1.0).max(1.0)).sqrt();
        let half = Z95 * spread / runs.sqrt();
        Some(Change {
            runs: self.count,
            difference: Estimate {
                value: mean / unit,
                low: (mean - half) / unit,
                high: (mean + half) / unit,
            },
            is_certain: half < mean.abs() && self.count >= 10,
        })
    }
}

/// A difference, after less before, and whether it is more than chance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Runs in which both have a value.
    pub runs: u64,
    pub difference: Estimate,
    /// Whether the 95 % interval leaves 0 out.
    pub is_certain: bool,
}

/// The differences between two variants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// Of shares, -1 to 1.
    pub promoted: Option<Change>,
    pub aborted: Option<Change>,
    /// Neither promoted nor aborted.
    pub undecided: Option<Change>,
    pub seconds_to_promotion: Option<Change>,
    pub seconds_to_detect: Option<Change>,
    pub seconds_to_abort: Option<Change>,
    pub failed_because_of_release: Option<Change>,
    pub peak_pods: Option<Change>,
}

impl Pairs {
    pub fn add(&mut self, before: &Row, after: &Row) {
        self.runs = self.runs.saturating_add(1);
        let is = |row: &Row, ending| u64::from(row.ending == ending);
        let undecided = |row: &Row| 1 - is(row, Ending::Promoted) - is(row, Ending::Aborted);
        self.promoted
            .add(is(before, Ending::Promoted), is(after, Ending::Promoted));
        self.aborted
            .add(is(before, Ending::Aborted), is(after, Ending::Aborted));
        self.undecided.add(undecided(before), undecided(after));
        self.peak_pods.add(before.peak_pods, after.peak_pods);
        for (sum, before, after) in [
            (
                &mut self.promotion,
                before.time_to_promotion,
                after.time_to_promotion,
            ),
            (
                &mut self.detection,
                before.time_to_detect,
                after.time_to_detect,
            ),
            (&mut self.abort, before.time_to_abort, after.time_to_abort),
            (
                &mut self.failed,
                before.failed_because_of_release,
                after.failed_because_of_release,
            ),
        ] {
            if let (Some(before), Some(after)) = (before, after) {
                sum.add(before, after);
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        let Self {
            runs,
            promoted,
            aborted,
            undecided,
            promotion,
            detection,
            abort,
            failed,
            peak_pods,
        } = other;
        self.runs = self.runs.saturating_add(*runs);
        self.promoted.merge(promoted);
        self.aborted.merge(aborted);
        self.undecided.merge(undecided);
        self.promotion.merge(promotion);
        self.detection.merge(detection);
        self.abort.merge(abort);
        self.failed.merge(failed);
        self.peak_pods.merge(peak_pods);
    }

    pub fn changes(&self) -> Changes {
        const MILLI: f64 = 1000.0;
        Changes {
            promoted: self.promoted.change(1.0),
            aborted: self.aborted.change(1.0),
            undecided: self.undecided.change(1.0),
            seconds_to_promotion: self.promotion.change(MILLI),
            seconds_to_detect: self.detection.change(MILLI),
            seconds_to_abort: self.abort.change(MILLI),
            failed_because_of_release: self.failed.change(MILLI),
            peak_pods: self.peak_pods.change(1.0),
        }
    }
}
