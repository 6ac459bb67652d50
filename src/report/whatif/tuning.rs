//! The best settings that were found.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use maud::{Markup, html};
use serde::Serialize;

use crate::report::timeline::Look;
use crate::whatif::tune::{FieldChange, Tuned, Tuning};

use super::words::{
    columns, endings, estimate_text, interval_text, number_text, percent, seconds_text,
    value_change,
};
use super::{html::figure, html::page, pictures};

/// A search as it is told; as JSON it is the report for machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TuningReport {
    /// `namespace/name` of the rollout.
    pub rollout: String,
    /// The command that gives the same report.
    pub command: String,
    pub seed: u64,
    /// How the releases fare, in words.
    pub healthy_about: String,
    pub bad_about: String,
    #[serde(flatten)]
    pub tuning: Tuning,
    /// Which of the front is chosen, counted from 0; none where the front is empty.
    pub chosen: Option<usize>,
    pub notes: Vec<String>,
}

/// The report for machines.
pub fn tuning_json(report: &TuningReport) -> String {
    // Numbers and texts only, which always serialize.
    let text = serde_json::to_string_pretty(report).unwrap_or_default();
    format!("{text}\n")
}

fn demands(tuning: &Tuning) -> String {
    format!(
        "at most {} of the healthy releases stopped, at least {} of the bad ones aborted",
        percent(tuning.demands.max_false_abort),
        percent(tuning.demands.min_detect)
    )
}

/// What was found, in a sentence.
fn verdict(report: &TuningReport) -> String {
    let tuning = &report.tuning;
    let present = &tuning.present;
    let Some(chosen) = report.chosen.and_then(|index| tuning.front.get(index)) else {
        return format!(
            "No settings meet the demands: {} ({} were tried).",
            demands(tuning),
            tuning.tried
        );
    };
    if chosen.changes.is_empty() {
        return "The manifests as they are are among the best settings that were found.".to_owned();
    }
    let stopped = |tuned: &Tuned| percent(1.0 - tuned.evaluation.healthy.promoted.share);
    let caught = |tuned: &Tuned| percent(tuned.evaluation.bad.aborted.share);
    let mut text = format!(
        "{} change{} would take stopped healthy releases from {} to {} and aborted bad ones from {} to {}",
        chosen.changes.len(),
        if chosen.changes.len() == 1 { "" } else { "s" },
        stopped(present),
        stopped(chosen),
        caught(present),
        caught(chosen),
    );
    if let (Some(before), Some(after)) = (present.seconds, chosen.seconds) {
        let _ = write!(
            text,
            ", the time to 100 % from {} to {}",
            seconds_text(before),
            seconds_text(after)
        );
    }
    text + "."
}

/// Number, mark, and the figures of settings.
fn row(name: &str, tuned: &Tuned, harm: Harm) -> [String; 6] {
    let time = tuned.evaluation.healthy.seconds_to_promotion;
    let share = tuned.evaluation.healthy.promoted;
    let stopped = crate::whatif::Share {
        count: share.runs.saturating_sub(share.count),
        runs: share.runs,
        share: 1.0 - share.share,
        low: 1.0 - share.high,
        high: 1.0 - share.low,
    };
    let is_allowed = match (tuned.is_allowed, tuned.is_surely_allowed) {
        (false, _) => "no",
        (true, true) => "yes",
        (true, false) => "yes, but not for sure",
    };
    [
        name.to_owned(),
        time.map_or("-".to_owned(), |it| estimate_text(&it.mean, seconds_text)),
        harm_text(tuned, harm),
        interval_text(&stopped),
        interval_text(&tuned.evaluation.bad.aborted),
        is_allowed.to_owned(),
    ]
}

/// What harm is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    Requests,
    Seconds,
}

fn harm_of(tuning: &Tuning) -> Harm {
    match tuning.present.evaluation.bad.failed_because_of_release {
        Some(_) => Harm::Requests,
        None => Harm::Seconds,
    }
}

fn harm_text(tuned: &Tuned, harm: Harm) -> String {
    let bad = &tuned.evaluation.bad;
    match harm {
        Harm::Requests => bad
            .failed_because_of_release
            .map_or("-".to_owned(), |it| estimate_text(&it.mean, number_text)),
        Harm::Seconds => bad
            .seconds_to_abort
            .map_or("-".to_owned(), |it| estimate_text(&it.mean, seconds_text)),
    }
}

fn header(harm: Harm) -> [&'static str; 6] {
    [
        "",
        "time to 100 %",
        match harm {
            Harm::Requests => "failed requests of a bad release",
            Harm::Seconds => "time to abort a bad release",
        },
        "healthy stopped",
        "bad aborted",
        "as demanded",
    ]
}

fn changes(tuned: &Tuned) -> impl Iterator<Item = String> {
    tuned.changes.iter().map(|change| {
        let FieldChange {
            field,
            before,
            after,
            place: _,
        } = change;
        value_change(field, before, after)
    })
}

/// The settings that are told: those of the front, else the nearest.
fn told(tuning: &Tuning) -> impl Iterator<Item = (String, &Tuned)> {
    let front = tuning.front.iter().enumerate();
    let front = front.map(|(index, tuned)| (format!("{}", index + 1), tuned));
    let nearest = tuning.nearest.iter();
    front.chain(nearest.map(|tuned| ("nearest".to_owned(), tuned)))
}

/// The report for terminals.
pub fn tuning_text(report: &TuningReport, look: Look) -> String {
    let tuning = &report.tuning;
    let harm = harm_of(tuning);
    let mut out = format!("{}\n\n", look.paint(Style::new().bold(), &report.rollout));
    let colour = if report.chosen.is_some() {
        AnsiColor::Green.on_default()
    } else {
        AnsiColor::Red.on_default()
    };
    let _ = writeln!(out, "{}\n", look.paint(colour.bold(), &verdict(report)));
    let _ = writeln!(out, "demanded  {}", demands(tuning));
    let _ = writeln!(out, "healthy   {}", report.healthy_about);
    let _ = writeln!(out, "bad       {}\n", report.bad_about);
    let mut rows = vec![header(harm).map(str::to_owned)];
    rows.push(row("now", &tuning.present, harm));
    for (index, (name, tuned)) in told(tuning).enumerate() {
        let mark = if report.chosen == Some(index) {
            "* "
        } else {
            ""
        };
        rows.push(row(&format!("{mark}{name}"), tuned, harm));
    }
    out.push_str(&columns(&rows));
    for (name, tuned) in told(tuning) {
        let _ = writeln!(out, "\n{name}");
        if tuned.changes.is_empty() {
            let _ = writeln!(out, "    no change");
        }
        for change in changes(tuned) {
            let _ = writeln!(out, "    {change}");
        }
    }
    let _ = writeln!(
        out,
        "\nNone of these is both slower and more harmful than another; {} settings were tried in {} \
         simulations,\nthe ones shown {} times for each release (seed {}). In brackets: 95 % intervals.",
        tuning.tried, tuning.plays, tuning.runs, report.seed
    );
    for note in &report.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let _ = writeln!(out, "again: {}", report.command);
    out
}

/// The report as one page that needs nothing else.
///
/// # Errors
/// The text of the drawing backend's error; none is known to occur.
pub fn tuning_html(report: &TuningReport) -> Result<String, String> {
    let tuning = &report.tuning;
    let harm = harm_of(tuning);
    let chosen = report.chosen.and_then(|index| tuning.front.get(index));
    let picture = pictures::front(tuning, report.chosen, harm == Harm::Requests)?;
    let words = "Settings by the time that a healthy release takes and the harm that a bad one does. The table below \
                 has the numbers.";
    let caption = "Further left is faster, further down does less harm. Green: the best settings, joined; ringed: the \
                   chosen one; orange: the manifests as they are; grey: others that were tried.";
    let numbers = |tuned: &Tuned| -> Markup {
        let healthy = &tuned.evaluation.healthy;
        html! {
            ul class="numbers" {
                li {
                    b { (tuned.seconds.map_or("-".to_owned(), seconds_text)) }
                    "until a healthy release has reached everybody" br;
                    small { "now " (tuning.present.seconds.map_or("-".to_owned(), seconds_text)) }
                }
                li {
                    b { (percent(1.0 - healthy.promoted.share)) }
                    "of healthy releases are stopped" br;
                    small { "now " (percent(1.0 - tuning.present.evaluation.healthy.promoted.share)) }
                }
                li {
                    b { (tuned.harm.map_or("-".to_owned(), |it| match harm {
                        Harm::Requests => number_text(it),
                        Harm::Seconds => seconds_text(it),
                    })) }
                    @match harm {
                        Harm::Requests => "requests fail because of a bad release, on average",
                        Harm::Seconds => "until a bad release is aborted, on average",
                    }
                    br;
                    small { "now " (harm_text(&tuning.present, harm)) }
                }
            }
        }
    };
    let body = html! {
        p class="name" { "How should " (report.rollout) " be set?" }
        h1 { (verdict(report)) }
        p { "Demanded: " (demands(tuning)) ". Healthy: " (report.healthy_about) ". Bad: " (report.bad_about) "." }
        @if let Some(chosen) = chosen { (numbers(chosen)) }
        (figure(&picture, words, caption))
        @if let Some(chosen) = chosen.filter(|it| !it.changes.is_empty()) {
            h2 { "What to change" }
            ul { @for change in changes(chosen) { li { code { (change) } } } }
        }
    };
    let details = html! {
        h2 { "The best settings" }
        div class="wide" {
            table {
                caption {
                    "None of these is both slower and more harmful than another. In brackets: the range in which the "
                    "true value lies, with 95 % confidence."
                }
                thead { tr { @for name in header(harm) { th scope="col" { (name) } } } }
                tbody {
                    @for cells in std::iter::once(row("now", &tuning.present, harm))
                        .chain(told(tuning).map(|(name, tuned)| row(&name, tuned, harm))) {
                        tr {
                            @for (index, cell) in cells.iter().enumerate() {
                                @if index == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                            }
                        }
                    }
                }
            }
        }
        @for (name, tuned) in told(tuning) {
            h3 { "Settings " (name) @if Some(&tuned) == chosen.as_ref() { " (chosen)" } }
            p { "Of 100 healthy releases, " (endings(&tuned.evaluation.healthy)) ". Of 100 bad ones, " (endings(&tuned.evaluation.bad)) "." }
            @if tuned.changes.is_empty() { p { "The manifests as they are." } }
            ul { @for change in changes(tuned) { li { code { (change) } } } }
        }
        h2 { "How this was found" }
        p {
            (tuning.tried) " settings were played, all with the same chance: few times at first, more often those that "
            "did well, and " (tuning.runs) " times for each release those that are shown (seed " (report.seed) "); "
            (tuning.plays) " simulations in all."
        }
        @if !report.notes.is_empty() { ul { @for note in &report.notes { li { (note) } } } }
        p { "The same report again:" }
        pre tabindex="0" { code { (report.command) } }
    };
    let title = format!("Tuning of {}", report.rollout);
    Ok(page(&title, chosen.is_some(), &body, &details))
}
