//! Conditions on results, for pipelines: `false-abort>1%`.

use serde::Serialize;

use crate::time::Duration;

use super::amounts::{Amount, Estimate};
use super::share::Share;
use super::summary::Summary;

/// A condition on the results that fails a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    quantity: &'static Quantity,
    comparison: Comparison,
    limit: f64,
    /// As given.
    text: String,
}

/// A gate and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GateResult {
    /// As given, such as `false-abort>1%`.
    pub condition: String,
    /// Whether the condition is met, which fails the command.
    pub is_met: bool,
    /// Whether the whole 95 % interval is on one side of the limit.
    pub is_certain: bool,
    /// The value that was compared: shares from 0 to 1, times in seconds. None where no run has one,
    /// which meets nothing.
    pub value: Option<Estimate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Share,
    Time,
    Number,
}

/// Something that can be compared.
#[derive(Debug)]
struct Quantity {
    name: &'static str,
    about: &'static str,
    unit: Unit,
    value: fn(&Summary, &Summary) -> Option<Estimate>,
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

static QUANTITIES: [Quantity; 10] = [
    Quantity {
        name: "false-abort",
        about: "share of the healthy releases that are aborted",
        unit: Unit::Share,
        value: |healthy, _| Some(of_share(&healthy.aborted)),
    },
    Quantity {
        name: "missed",
        about: "share of the bad releases that reach everybody",
        unit: Unit::Share,
        value: |_, bad| Some(of_share(&bad.promoted)),
    },
    Quantity {
        name: "caught",
        about: "share of the bad releases that are aborted",
        unit: Unit::Share,
        value: |_, bad| Some(of_share(&bad.aborted)),
    },
    Quantity {
        name: "inconclusive",
        about: "share of the releases, of the kind with more, that wait without a decision",
        unit: Unit::Share,
        value: |healthy, bad| Some(of_share(&larger(healthy.inconclusive, bad.inconclusive))),
    },
    Quantity {
        name: "stuck",
        about: "share of the releases, of the kind with more, that are stuck",
        unit: Unit::Share,
        value: |healthy, bad| Some(of_share(&larger(healthy.stuck, bad.stuck))),
    },
    Quantity {
        name: "detect",
        about: "median time to the first failed measurement of bad releases that are aborted",
        unit: Unit::Time,
        value: |_, bad| median(bad.seconds_to_detect.as_ref()),
    },
    Quantity {
        name: "abort",
        about: "median time to the abort of bad releases that are aborted",
        unit: Unit::Time,
        value: |_, bad| median(bad.seconds_to_abort.as_ref()),
    },
    Quantity {
        name: "promotion",
        about: "median time to the full promotion of healthy releases",
        unit: Unit::Time,
        value: |healthy, _| median(healthy.seconds_to_promotion.as_ref()),
    },
    Quantity {
        name: "failed-requests",
        about: "mean number of requests that fail because of a bad release",
        unit: Unit::Number,
        value: |_, bad| bad.failed_because_of_release.map(|amount| amount.mean),
    },
    Quantity {
        name: "peak-pods",
        about: "highest number of pods of a healthy release",
        unit: Unit::Number,
        value: |healthy, _| {
            healthy.peak_pods.map(|amount| Estimate {
                value: amount.max,
                low: amount.max,
                high: amount.max,
            })
        },
    },
];

fn of_share(share: &Share) -> Estimate {
    Estimate {
        value: share.share,
        low: share.low,
        high: share.high,
    }
}

fn median(amount: Option<&Amount>) -> Option<Estimate> {
    amount.map(|amount| amount.median)
}

fn larger(first: Share, second: Share) -> Share {
    if second.share > first.share {
        second
    } else {
        first
    }
}

/// Names and meanings of what gates can compare.
pub fn quantities() -> impl Iterator<Item = (&'static str, &'static str)> {
    QUANTITIES.iter().map(|it| (it.name, it.about))
}

impl Gate {
    /// Reads `NAME>VALUE`, with `>`, `>=`, `<` or `<=`, and a percentage, a length of time or a number.
    ///
    /// # Errors
    /// The text is not of this form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let at = text
            .find(['<', '>'])
            .ok_or_else(|| format!("{text:?} compares nothing: write NAME>VALUE or NAME<VALUE"))?;
        let (name, rest) = text.split_at(at);
        let (comparison, limit) = [
            (">=", Comparison::AtLeast),
            ("<=", Comparison::AtMost),
            (">", Comparison::Above),
            ("<", Comparison::Below),
        ]
        .into_iter()
        .find_map(|(sign, comparison)| Some((comparison, rest.strip_prefix(sign)?.trim())))
        .ok_or_else(|| format!("{text:?} compares nothing"))?;
        let name = name.trim();
        let quantity = QUANTITIES
            .iter()
            .find(|quantity| quantity.name == name)
            .ok_or_else(|| {
                let names: Vec<&str> = quantities().map(|(name, _)| name).collect();
                format!("{name:?} is none of {}", names.join(", "))
            })?;
        let value = match quantity.unit {
            Unit::Share => {
                let number = limit
                    .strip_suffix('%')
                    .and_then(|it| it.trim().parse().ok());
                number
                    .map(|number: f64| number / 100.0)
                    .filter(|share| (0.0..=1.0).contains(share))
                    .ok_or_else(|| format!("{limit:?} is no percentage: write {name}>1%"))
            }
            Unit::Time => Duration::parse_go(limit)
                .map(Duration::as_secs_f64)
                .map_err(|_| format!("{limit:?} is no length of time: write {name}>5m")),
            Unit::Number => limit
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
                .ok_or_else(|| format!("{limit:?} is no number")),
        }?;
        Ok(Self {
            quantity,
            comparison,
            limit: value,
            text: text.to_owned(),
        })
    }

    /// Holds the condition against results.
    pub fn check(&self, healthy: &Summary, bad: &Summary) -> GateResult {
        let value = (self.quantity.value)(healthy, bad);
        let meets = |value: f64| match self.comparison {
            Comparison::Above => value > self.limit,
            Comparison::AtLeast => value >= self.limit,
            Comparison::Below => value < self.limit,
            Comparison::AtMost => value <= self.limit,
        };
        GateResult {
            condition: self.text.clone(),
            is_met: value.is_some_and(|value| meets(value.value)),
            is_certain: value.is_none_or(|value| meets(value.low) == meets(value.high)),
            value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whatif::{Ending, Row, Tally};

    fn summary(aborted: u32, promoted: u32) -> Summary {
        let mut tally = Tally::default();
        let row = |ending| Row {
            ending,
            time_to_promotion: None,
            time_to_detect: None,
            time_to_abort: (ending == Ending::Aborted).then_some(90_000),
            time_to_return: None,
            requests: None,
            failed_because_of_release: None,
            peak_pods: 3,
            measurements: 1,
        };
        for _ in 0..aborted {
            tally.add(&row(Ending::Aborted));
        }
        for _ in 0..promoted {
            tally.add(&row(Ending::Promoted));
        }
        tally.summary()
    }

    #[test]
    fn gates_compare_shares_times_and_numbers() {
        let (healthy, bad) = (summary(2, 98), summary(95, 5));
        for (text, met) in [
            ("false-abort>1%", true),
            ("false-abort > 2%", false),
            ("false-abort>=2%", true),
            ("missed>5.5%", false),
            ("caught<95%", false),
            ("caught<=95%", true),
            ("abort>1m", true),
            ("abort>90s", false),
            ("detect>1s", false),
            ("failed-requests>0", false),
            ("peak-pods>=3", true),
        ] {
            let gate = Gate::parse(text).expect(text);
            assert_eq!(gate.check(&healthy, &bad).is_met, met, "{text}");
        }
        for wrong in [
            "",
            "false-abort",
            "false-abort>1",
            "abort>5",
            "harm>1%",
            "missed=1%",
            "missed>x%",
        ] {
            assert!(Gate::parse(wrong).is_err(), "{wrong}");
        }
    }
}
