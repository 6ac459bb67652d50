//! Expectations of a scenario, held against what is.

use serde::Serialize;

use super::player::Player;
use crate::sim::scenario::{Expectation, Range};

/// An expectation and whether it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    pub passed: bool,
    pub expected: String,
    pub found: String,
}

impl Player {
    /// Holds an expectation against the present state.
    pub(super) fn check(&mut self, expectation: &Expectation) -> Check {
        let mut expected = Vec::new();
        let mut found = Vec::new();
        let mut passed = true;
        let mut compare = |what: &str, wanted: String, present: String, holds: bool| {
            expected.push(format!("{what} {wanted}"));
            found.push(format!("{what} {present}"));
            passed &= holds;
        };
        let Expectation {
            at,
            by,
            phase,
            message,
            step,
            weight,
            aborted,
            stable_image,
            pods,
            analysis,
            max_weight,
            served,
            failed_requests,
            failed_because_of_release,
        } = expectation;
        let status = self
            .rollout()
            .map(|rollout| rollout.status.clone())
            .unwrap_or_default();
        if let Some(wanted) = phase {
            let present = status.phase.to_string();
            compare("phase", wanted.clone(), present.clone(), *wanted == present);
        }
        if let Some(wanted) = message {
            let holds = status.message.contains(wanted.as_str());
            compare(
                "message",
                format!("{wanted:?}"),
                format!("{:?}", status.message),
                holds,
            );
        }
        if let Some(wanted) = step {
            let present = status.current_step_index;
            let text = present.map_or("none".to_owned(), |present| present.to_string());
            compare("step", wanted.to_string(), text, present == Some(*wanted));
        }
        if let Some(wanted) = aborted {
            compare(
                "aborted",
                wanted.to_string(),
                status.abort.to_string(),
                *wanted == status.abort,
            );
        }
        if let Some(wanted) = stable_image {
            let present = self.present_image();
            compare(
                "stable image",
                wanted.clone(),
                present.clone(),
                *wanted == present,
            );
        }
        // Sums over the whole timeline: only where they are asked for, as `by` asks at each event.
        let totals = (max_weight.is_some() || served.is_some()).then(|| self.totals());
        let totals = totals.as_ref();
        let failures = (failed_requests.is_some() || failed_because_of_release.is_some())
            .then(|| self.traffic_totals())
            .flatten();
        let sample = self.recorder.samples.last();
        let share = sample.map_or(0.0, |sample| sample.share * 100.0);
        let numbers = [
            ("weight", weight, share),
            (
                "pods",
                pods,
                sample.map_or(0.0, |sample| f64::from(sample.pods)),
            ),
            (
                "highest weight",
                max_weight,
                totals.map_or(0.0, |totals| totals.highest_share * 100.0),
            ),
            (
                "served by the release",
                served,
                totals.map_or(0.0, |totals| totals.served_by_release * 100.0),
            ),
            (
                "failed requests",
                failed_requests,
                failures.map_or(0.0, |totals| totals.failed),
            ),
            (
                "failed because of the release",
                failed_because_of_release,
                failures.map_or(0.0, |totals| totals.failed_because_of_release),
            ),
        ];
        for (what, wanted, present) in numbers {
            if let Some(wanted) = wanted {
                compare(
                    what,
                    range_text(wanted),
                    number_text(present),
                    wanted.holds(present),
                );
            }
        }
        for (metric, wanted) in analysis {
            let present = self
                .recorder
                .run_phases
                .get(metric)
                .map_or("never measured".to_owned(), ToString::to_string);
            compare(
                &format!("analysis of {metric}"),
                wanted.clone(),
                present.clone(),
                *wanted == present,
            );
        }
        let when = match (at, by) {
            (Some(at), _) => format!("at {}: ", at.0),
            (None, Some(by)) => format!("by {}: ", by.0),
            (None, None) => "at the end: ".to_owned(),
        };
        Check {
            passed,
            expected: format!("{when}{}", expected.join(", ")),
            found: found.join(", "),
        }
    }
}

fn range_text(range: &Range) -> String {
    match range {
        Range::Exactly(value) => number_text(*value),
        Range::Between(bounds) => match (bounds.min, bounds.max) {
            (Some(min), Some(max)) => format!("{} to {}", number_text(min), number_text(max)),
            (Some(min), None) => format!("at least {}", number_text(min)),
            (None, Some(max)) => format!("at most {}", number_text(max)),
            (None, None) => "any".to_owned(),
        },
    }
}

fn number_text(value: f64) -> String {
    let rounded = (value * 1000.0).round() / 1000.0;
    format!("{rounded}")
}
