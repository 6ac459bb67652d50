//! Sums over runs, and what they say.

use std::collections::BTreeMap;

use serde::Serialize;

use super::amounts::{Amount, Amounts, Histogram};
use super::row::{Ending, Row};
use super::share::Share;

/// Thousandths.
const MILLI: f64 = 1000.0;

/// Sums over runs, in memory that does not grow with their number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    runs: u64,
    endings: BTreeMap<Ending, u64>,
    promotion: Amounts,
    detection: Amounts,
    abort: Amounts,
    traffic_return: Amounts,
    requests: Amounts,
    failed: Amounts,
    peak_pods: Amounts,
    measurements: Amounts,
}

impl Tally {
    pub fn add(&mut self, row: &Row) {
        let Row {
            ending,
            time_to_promotion,
            time_to_detect,
            time_to_abort,
            time_to_return,
            requests,
            failed_because_of_release,
            peak_pods,
            measurements,
        } = row;
        self.runs = self.runs.saturating_add(1);
        let times = self.endings.entry(*ending).or_insert(0);
        *times = times.saturating_add(1);
        for (amounts, value) in [
            (&mut self.promotion, time_to_promotion),
            (&mut self.detection, time_to_detect),
            (&mut self.abort, time_to_abort),
            (&mut self.traffic_return, time_to_return),
            (&mut self.requests, requests),
            (&mut self.failed, failed_because_of_release),
            (&mut self.peak_pods, &Some(*peak_pods)),
            (&mut self.measurements, &Some(*measurements)),
        ] {
            if let Some(value) = value {
                amounts.add(*value);
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        let Self {
            runs,
            endings,
            promotion,
            detection,
            abort,
            traffic_return,
            requests,
            failed,
            peak_pods,
            measurements,
        } = other;
        self.runs = self.runs.saturating_add(*runs);
        for (ending, times) in endings {
            let known = self.endings.entry(*ending).or_insert(0);
            *known = known.saturating_add(*times);
        }
        self.promotion.merge(promotion);
        self.detection.merge(detection);
        self.abort.merge(abort);
        self.traffic_return.merge(traffic_return);
        self.requests.merge(requests);
        self.failed.merge(failed);
        self.peak_pods.merge(peak_pods);
        self.measurements.merge(measurements);
    }

    pub fn runs(&self) -> u64 {
        self.runs
    }

    pub fn summary(&self) -> Summary {
        let share = |ending| Share::new(self.endings.get(&ending).copied().unwrap_or(0), self.runs);
        Summary {
            runs: self.runs,
            promoted: share(Ending::Promoted),
            aborted: share(Ending::Aborted),
            inconclusive: share(Ending::Inconclusive),
            waits_for_people: share(Ending::WaitsForPeople),
            stuck: share(Ending::Stuck),
            unfinished: share(Ending::Unfinished),
            not_released: share(Ending::NotReleased),
            seconds_to_promotion: self.promotion.summary(MILLI),
            seconds_to_detect: self.detection.summary(MILLI),
            seconds_to_abort: self.abort.summary(MILLI),
            seconds_to_return: self.traffic_return.summary(MILLI),
            requests: self.requests.summary(MILLI),
            failed_because_of_release: self.failed.summary(MILLI),
            peak_pods: self.peak_pods.summary(1.0),
            measurements: self.measurements.summary(1.0),
            seconds_to_abort_histogram: self.abort.histogram(MILLI),
            failed_because_of_release_histogram: self.failed.histogram(MILLI),
        }
    }
}

/// What came of many runs of one release. All intervals are of 95 %.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub runs: u64,
    pub promoted: Share,
    pub aborted: Share,
    /// Waits since an analysis decided nothing.
    pub inconclusive: Share,
    /// Waits for somebody to promote, as the steps want it.
    pub waits_for_people: Share,
    pub stuck: Share,
    pub unfinished: Share,
    pub not_released: Share,
    /// Of the runs in which the release became stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_promotion: Option<Amount>,
    /// Of the aborted runs: to the first failed measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_detect: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_abort: Option<Amount>,
    /// Of the aborted runs: until the release had no traffic any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_return: Option<Amount>,
    /// All requests up to the end of the simulation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Amount>,
    /// Requests that failed and that the stable version would have answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_because_of_release: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_pods: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measurements: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_abort_histogram: Option<Histogram>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_because_of_release_histogram: Option<Histogram>,
}

impl Summary {
    /// The share of an ending.
    pub fn share(&self, ending: Ending) -> Share {
        match ending {
            Ending::Promoted => self.promoted,
            Ending::Aborted => self.aborted,
            Ending::Inconclusive => self.inconclusive,
            Ending::WaitsForPeople => self.waits_for_people,
            Ending::Stuck => self.stuck,
            Ending::Unfinished => self.unfinished,
            Ending::NotReleased => self.not_released,
        }
    }
}
