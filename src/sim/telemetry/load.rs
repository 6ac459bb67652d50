//! How many requests come in a span of time.

use std::f64::consts::TAU;

use crate::sim::scenario::traffic::{Daily, Load, Ramp};

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// Requests per second as a function of the seconds since the release.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Curve {
    /// Straight lines between points, with the requests up to each; level outside of them.
    Lines(Vec<Point>),
    Daily {
        mean: f64,
        amplitude: f64,
        peak: f64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    at: f64,
    rate: f64,
    /// Requests from the first point to this one.
    before: f64,
}

impl Curve {
    pub fn new(load: &Load) -> Self {
        let points: Vec<(f64, f64)> = match load {
            Load::Constant(rate) => vec![(0.0, *rate)],
            Load::Ramp(ramp) => {
                let Ramp { from, to, at, over } = &ramp.ramp;
                let start = at.map_or(0.0, |at| at.0.as_secs_f64());
                vec![(start, *from), (start + over.0.as_secs_f64(), *to)]
            }
            Load::Daily(daily) => {
                let Daily {
                    mean,
                    amplitude,
                    peak_at,
                } = &daily.daily;
                return Curve::Daily {
                    mean: *mean,
                    amplitude: *amplitude,
                    peak: peak_at.0.as_secs_f64(),
                };
            }
            Load::Points(points) => points
                .points
                .iter()
                .map(|point| (point.at.0.as_secs_f64(), point.rate))
                .collect(),
        };
        let mut lines: Vec<Point> = Vec::with_capacity(points.len());
        for (at, rate) in points {
            let before = lines.last().map_or(0.0, |last| {
                last.before + (last.rate + rate) / 2.0 * (at - last.at)
            });
            lines.push(Point { at, rate, before });
        }
        Curve::Lines(lines)
    }

    /// Requests per second at a time.
    pub fn rate(&self, at: f64) -> f64 {
        match self {
            Curve::Lines(points) => {
                let next = points.partition_point(|point| point.at <= at);
                let left = next.checked_sub(1).and_then(|index| points.get(index));
                match (left, points.get(next)) {
                    (Some(left), Some(right)) => {
                        left.rate + (right.rate - left.rate) * (at - left.at) / (right.at - left.at)
                    }
                    (Some(only), None) | (None, Some(only)) => only.rate,
                    (None, None) => 0.0,
                }
            }
            Curve::Daily {
                mean,
                amplitude,
                peak,
            } => mean + amplitude * libm::cos(TAU * (at - peak) / DAY),
        }
    }

    /// Requests from `start` to `end`.
    pub fn requests(&self, start: f64, end: f64) -> f64 {
        match self {
            // Exact where most scenarios are.
            Curve::Lines(points) if points.len() == 1 => self.rate(start) * (end - start),
            Curve::Lines(points) => up_to(points, end) - up_to(points, start),
            Curve::Daily {
                mean,
                amplitude,
                peak,
            } => {
                let sine = |at: f64| libm::sin(TAU * (at - peak) / DAY);
                mean * (end - start) + amplitude * DAY / TAU * (sine(end) - sine(start))
            }
        }
    }
}

/// Requests from the first point on, negative before it.
fn up_to(points: &[Point], at: f64) -> f64 {
    let next = points.partition_point(|point| point.at <= at);
    let left = next.checked_sub(1).and_then(|index| points.get(index));
    match (left, points.get(next)) {
        (Some(left), Some(right)) => {
            let rate = left.rate + (right.rate - left.rate) * (at - left.at) / (right.at - left.at);
            left.before + (left.rate + rate) / 2.0 * (at - left.at)
        }
        (Some(last), None) => last.before + last.rate * (at - last.at),
        (None, Some(first)) => first.rate * (at - first.at),
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn curve(load: serde_json::Value) -> Curve {
        Curve::new(&serde_json::from_value(load).unwrap())
    }

    #[test]
    fn requests_are_the_area_below_the_rate() {
        for load in [
            json!(50),
            json!({"ramp": {"from": 10, "to": 40, "at": "1m", "over": "2m"}}),
            json!({"daily": {"mean": 100, "amplitude": 60, "peakAt": "1h"}}),
            json!({"points": [{"at": "0s", "rate": 5}, {"at": "1m", "rate": 50}, {"at": "5m", "rate": 0}]}),
        ] {
            let curve = curve(load.clone());
            let steps = 40_000;
            let (start, end) = (-60.0, 400.0);
            let width = (end - start) / f64::from(steps);
            let area: f64 = (0..steps)
                .map(|step| curve.rate(start + (f64::from(step) + 0.5) * width) * width)
                .sum();
            let requests = curve.requests(start, end);
            assert!(
                (requests - area).abs() < 1e-3 * area,
                "{load}: {requests} {area}"
            );
        }
    }
}
