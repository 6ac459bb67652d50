//! What a proof shows, for people.

use std::fmt::Write as _;

use super::timeline::{self, Look};
use crate::whatif::prove::{Answer, Bounds, Property, Verdict};
use anstyle::{AnsiColor, Style};

/// The report for people.
pub fn text(answers: &[Answer], bounds: &Bounds, look: Look) -> String {
    let mut out = String::new();
    for answer in answers {
        let Answer {
            property,
            states,
            verdict,
        } = answer;
        let (colour, word, claim) = match verdict {
            Verdict::Proven => (AnsiColor::Green, "proven", property.denied()),
            Verdict::Counterexample(_) => (AnsiColor::Red, "found", property.affirmed()),
            Verdict::Undecided(_) => (AnsiColor::Yellow, "open", property.asked()),
        };
        let style = Style::new().fg_color(Some(colour.into())).bold();
        let _ = writeln!(out, "{}  {claim}", look.paint(style, &format!("{word:8}")));
        let _ = match verdict {
            Verdict::Proven => writeln!(out, "          all {states} states within the bounds"),
            Verdict::Counterexample(example) => {
                let _ = writeln!(out, "          {}\n", example.about);
                writeln!(out, "{}", timeline::render(&example.play, look))
            }
            Verdict::Undecided(why) => writeln!(
                out,
                "          the search ended {why}, at {states} states, and had found nothing"
            ),
        };
    }
    let Bounds {
        choices,
        states,
        surprises,
        time,
    } = bounds;
    let told = format!(
        "bounds    {surprises} things out of the ordinary, {choices} choices, {time} after the release, \
         {states} states a question"
    );
    let _ = writeln!(out, "{}", look.paint(Style::new().dimmed(), &told));
    out
}

impl Property {
    fn asked(self) -> String {
        match self {
            Property::PromotedWithoutEvidence => {
                "Can it reach 100% without one success that rests on data?".to_owned()
            }
            Property::PromotedWhileFailing(share) => {
                format!(
                    "Can it reach 100% while {} of its requests fail?",
                    percent(share)
                )
            }
            Property::StuckForEver => "Can it get stuck for ever?".to_owned(),
            Property::AbortKeepsTraffic => "Can an abort leave traffic on the release?".to_owned(),
        }
    }

    fn affirmed(self) -> String {
        match self {
            Property::PromotedWithoutEvidence => {
                "It can reach 100% without one success that rests on data.".to_owned()
            }
            Property::PromotedWhileFailing(share) => {
                format!(
                    "It can reach 100% while {} of its requests fail.",
                    percent(share)
                )
            }
            Property::StuckForEver => "It can get stuck for ever.".to_owned(),
            Property::AbortKeepsTraffic => {
                "An abort can leave the stable version without all traffic.".to_owned()
            }
        }
    }

    fn denied(self) -> String {
        match self {
            Property::PromotedWithoutEvidence => {
                "It cannot reach 100% without a success that rests on data.".to_owned()
            }
            Property::PromotedWhileFailing(share) => {
                format!(
                    "It cannot reach 100% while {} of its requests fail.",
                    percent(share)
                )
            }
            Property::StuckForEver => "It cannot get stuck.".to_owned(),
            Property::AbortKeepsTraffic => {
                "An abort always returns all traffic to the stable version.".to_owned()
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{}%", (share * 10_000.0).round() / 100.0)
}
