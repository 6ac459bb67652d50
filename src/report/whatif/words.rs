//! The verdict in plain words, and numbers as people read them.

use std::fmt::Write as _;

use anstyle::AnsiColor;

use crate::report::timeline::Look;
use crate::time::Duration;
use crate::whatif::gates::GateResult;
use crate::whatif::{Amount, Ending, Estimate, Share, Summary};

use super::Study;

/// Above this share of wrong decisions a rollout is told to decide badly.
const TOLERATED: f64 = 0.05;

/// How good the decisions of a rollout are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quality {
    Good,
    /// Stops healthy releases too often.
    Nervous,
    /// Lets bad releases through too often.
    Blind,
    Both,
    /// Mostly, nothing is decided.
    Undecided,
}

pub(super) fn quality(study: &Study) -> Quality {
    let (healthy, bad) = (&study.healthy.summary, &study.bad.summary);
    let decided = |summary: &Summary| summary.promoted.share + summary.aborted.share;
    if decided(healthy) < 0.5 && decided(bad) < 0.5 {
        return Quality::Undecided;
    }
    let nervous = healthy.promoted.share < 1.0 - TOLERATED;
    let blind = bad.promoted.share > TOLERATED;
    match (nervous, blind) {
        (false, false) => Quality::Good,
        (true, false) => Quality::Nervous,
        (false, true) => Quality::Blind,
        (true, true) => Quality::Both,
    }
}

/// The verdict in a sentence.
pub(super) fn verdict(study: &Study) -> String {
    let (healthy, bad) = (&study.healthy.summary, &study.bad.summary);
    let stopped = of_hundred(1.0 - healthy.promoted.share);
    let passed = of_hundred(bad.promoted.share);
    match quality(study) {
        Quality::Good => "This rollout tells bad releases from healthy ones.".to_owned(),
        Quality::Nervous => {
            format!("This rollout stops bad releases, but also {stopped} of 100 healthy ones.")
        }
        Quality::Blind => {
            format!("This rollout lets healthy releases pass, but also {passed} of 100 bad ones.")
        }
        Quality::Both => format!(
            "This rollout hardly tells bad releases from healthy ones: {passed} of 100 bad ones reach \
             everybody, and {stopped} of 100 healthy ones do not."
        ),
        Quality::Undecided => {
            "This rollout mostly decides nothing by itself: it waits, or is stuck.".to_owned()
        }
    }
}

/// What becomes of 100 releases, in a sentence: endings that make up at least half a percent.
pub(super) fn endings(summary: &Summary) -> String {
    let parts: Vec<String> = Ending::ALL
        .into_iter()
        .map(|ending| (ending, summary.share(ending)))
        .filter(|(_, share)| share.count > 0)
        .map(|(ending, share)| format!("{} {}", of_hundred(share.share), ending_words(ending)))
        .collect();
    parts.join(", ")
}

pub(super) fn ending_words(ending: Ending) -> &'static str {
    match ending {
        Ending::Promoted => "reach everybody",
        Ending::Aborted => "are aborted",
        Ending::Inconclusive => "wait because the analysis is inconclusive",
        Ending::WaitsForPeople => "wait for somebody to promote",
        Ending::Stuck => "are stuck",
        Ending::Unfinished => "are not finished at the end of the simulation",
        Ending::NotReleased => "are refused",
    }
}

/// A share as a number of 100: whole numbers, but never a false 0 or 100.
pub(super) fn of_hundred(share: f64) -> String {
    let hundred = share * 100.0;
    if share <= 0.0 {
        "0".to_owned()
    } else if share >= 1.0 {
        "100".to_owned()
    } else if hundred < 1.0 {
        "less than 1".to_owned()
    } else if hundred > 99.0 {
        "more than 99".to_owned()
    } else {
        format!("{hundred:.0}")
    }
}

/// `12.3 %`, with two digits that matter at both ends.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let distance = percent.min(100.0 - percent).abs();
    if distance == 0.0 || distance >= 9.95 {
        let tenths = (percent * 10.0).round() / 10.0;
        return format!("{tenths} %");
    }
    if distance >= 0.095 {
        return format!("{} %", (percent * 100.0).round() / 100.0);
    }
    format!("{} %", (percent * 1e4).round() / 1e4)
}

/// `12.3 % (10.4 to 14.5 %)`.
pub fn interval_text(share: &Share) -> String {
    let bare = |share| {
        let text = percent(share);
        text.trim_end_matches(" %").to_owned()
    };
    format!(
        "{} ({} to {})",
        percent(share.share),
        bare(share.low),
        percent(share.high)
    )
}

/// `2m5s`: tenths of a second below a minute, else whole seconds.
pub fn seconds_text(seconds: f64) -> String {
    let rounded = if seconds.abs() < 60.0 {
        (seconds * 10.0).round() / 10.0
    } else {
        seconds.round()
    };
    Duration::from_secs_f64(rounded).to_string()
}

/// `1234`, `12.3`.
pub(super) fn number_text(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{}", (value * 10.0).round() / 10.0)
    }
}

/// An estimate with its interval, where that is more than a point.
pub(super) fn estimate_text(estimate: &Estimate, show: fn(f64) -> String) -> String {
    let (value, low, high) = (
        show(estimate.value),
        show(estimate.low),
        show(estimate.high),
    );
    if low == value && high == value {
        value
    } else {
        format!("{value} ({low} to {high})")
    }
}

/// `median 2m5s (2m1s to 2m10s), 95 % within 5m`.
pub fn amount_text(amount: &Amount, show: fn(f64) -> String) -> String {
    format!(
        "{}; 95 % within {}",
        estimate_text(&amount.median, show),
        show(amount.p95.value)
    )
}

/// A cell of a table for an amount that not all runs have.
pub(super) fn median_cell(amount: Option<&Amount>, show: fn(f64) -> String) -> String {
    amount.map_or("-".to_owned(), |amount| amount_text(amount, show))
}

pub(super) fn mean_cell(amount: Option<&Amount>) -> String {
    amount.map_or("-".to_owned(), |amount| {
        format!(
            "{}; 95 % within {}",
            estimate_text(&amount.mean, number_text),
            number_text(amount.p95.value)
        )
    })
}

/// A line of the table of results: what, of the healthy release, of the bad one.
pub(super) struct Line {
    pub what: &'static str,
    pub healthy: String,
    pub bad: String,
}

/// The table of results; rows of endings that never happened are left out.
pub(super) fn lines(healthy: &Summary, bad: &Summary) -> Vec<Line> {
    let mut lines = Vec::new();
    for ending in Ending::ALL {
        let (of_healthy, of_bad) = (healthy.share(ending), bad.share(ending));
        let always = matches!(ending, Ending::Promoted | Ending::Aborted);
        if always || of_healthy.count + of_bad.count > 0 {
            lines.push(Line {
                what: ending.as_str(),
                healthy: interval_text(&of_healthy),
                bad: interval_text(&of_bad),
            });
        }
    }
    for (what, of_healthy, of_bad) in [
        (
            "time to full promotion",
            &healthy.seconds_to_promotion,
            &bad.seconds_to_promotion,
        ),
        (
            "time to detect",
            &healthy.seconds_to_detect,
            &bad.seconds_to_detect,
        ),
        (
            "time to abort",
            &healthy.seconds_to_abort,
            &bad.seconds_to_abort,
        ),
        (
            "time until all is back",
            &healthy.seconds_to_return,
            &bad.seconds_to_return,
        ),
    ] {
        if of_healthy.is_some() || of_bad.is_some() {
            lines.push(Line {
                what,
                healthy: median_cell(of_healthy.as_ref(), seconds_text),
                bad: median_cell(of_bad.as_ref(), seconds_text),
            });
        }
    }
    for (what, of_healthy, of_bad) in [
        (
            "failed because of it",
            &healthy.failed_because_of_release,
            &bad.failed_because_of_release,
        ),
        ("requests", &healthy.requests, &bad.requests),
        ("peak pods", &healthy.peak_pods, &bad.peak_pods),
        ("measurements", &healthy.measurements, &bad.measurements),
    ] {
        if of_healthy.is_some() || of_bad.is_some() {
            lines.push(Line {
                what,
                healthy: mean_cell(of_healthy.as_ref()),
                bad: mean_cell(of_bad.as_ref()),
            });
        }
    }
    lines
}

/// A value of a manifest on one line, shortened.
pub(super) fn value_text(value: &serde_json::Value) -> String {
    let text = match value {
        serde_json::Value::Null => "not set".to_owned(),
        serde_json::Value::String(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    if text.chars().count() > 60 {
        let start: String = text.chars().take(59).collect();
        format!("{start}…")
    } else {
        text
    }
}

/// What a change of a field is, in words.
pub(super) fn change_text(suggestion: &crate::whatif::Suggestion) -> String {
    let crate::whatif::Suggestion {
        field,
        before,
        after,
        ..
    } = suggestion;
    if field.ends_with("[*].pause.duration") {
        return format!("{field}: all {}", value_text(after));
    }
    value_change(field, before, after)
}

/// A field with its value before and after; of queries only the windows.
pub(super) fn value_change(
    field: &str,
    before: &serde_json::Value,
    after: &serde_json::Value,
) -> String {
    if field.ends_with(".query") {
        let windows = |value: &serde_json::Value| window_of(value.as_str().unwrap_or_default());
        return format!("{field}: windows {} → {}", windows(before), windows(after));
    }
    format!("{field}: {} → {}", value_text(before), value_text(after))
}

/// What comes of a change, in a sentence.
pub(super) fn suggestion_effects(change: &crate::whatif::Suggestion) -> String {
    let failed = change.bad.failed_because_of_release.as_ref();
    let time = change.healthy.seconds_to_promotion.as_ref();
    let mut text = format!(
        "healthy promoted {}; bad promoted {}",
        interval_text(&change.healthy.promoted),
        interval_text(&change.bad.promoted)
    );
    if let Some(failed) = failed {
        let failed = estimate_text(&failed.mean, number_text);
        text.push_str(&format!("; a bad release costs {failed} failed requests"));
    }
    if let Some(time) = time {
        let time = estimate_text(&time.median, seconds_text);
        text.push_str(&format!("; a healthy one takes {time}"));
    }
    text
}

/// The first window of a query.
fn window_of(query: &str) -> String {
    let start = query.find('[').unwrap_or(query.len());
    let rest = query.get(start..).unwrap_or_default();
    let end = rest.find(']').map_or(rest.len(), |end| end + 1);
    rest.get(..end).unwrap_or_default().to_owned()
}

/// Columns as wide as their widest cell, two spaces apart.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        let _ = writeln!(out, "{}", line.join("  ").trim_end());
    }
    out
}

/// What came of a condition, for terminals.
pub(super) fn gate_text(gate: &GateResult, look: Look) -> String {
    let GateResult {
        condition,
        is_met,
        is_certain,
        value,
    } = gate;
    let word = if *is_met {
        look.paint(AnsiColor::Red.on_default().bold(), "FAILED")
    } else {
        look.paint(AnsiColor::Green.on_default(), "passed")
    };
    let found = value.map_or("there is no such value".to_owned(), |value| {
        format!("{} ({} to {})", value.value, value.low, value.high)
    });
    let doubt = if *is_certain {
        ""
    } else {
        "; not certain: more runs would tell"
    };
    format!("{word} {condition}: {found}{doubt}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_keep_digits_that_matter() {
        let texts = [0.0, 1.0, 0.5, 0.123_45, 0.012_345, 0.000_123, 0.999_9].map(percent);
        assert_eq!(
            texts,
            [
                "0 %", "100 %", "50 %", "12.3 %", "1.23 %", "0.0123 %", "99.99 %"
            ]
        );
        assert_eq!(of_hundred(0.0001), "less than 1");
        assert_eq!(of_hundred(0.267), "27");
    }
}
