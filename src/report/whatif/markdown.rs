//! The report for a comment on a pull request.

use std::fmt::Write as _;

use crate::whatif::{Cell, Results, Suggestion, Sweep};

use super::Study;
use super::words::{
    Quality, change_text, endings, estimate_text, interval_text, lines, number_text, percent,
    quality, seconds_text, suggestion_effects, value_text, verdict,
};

/// The whole report.
pub fn markdown(study: &Study) -> String {
    let mut out = String::new();
    let mark = match quality(study) {
        Quality::Good => "✅",
        Quality::Nervous | Quality::Blind | Quality::Both | Quality::Undecided => "⚠️",
    };
    let (healthy, bad) = (&study.healthy.summary, &study.bad.summary);
    let _ = writeln!(out, "### {mark} What if `{}` is released?\n", study.rollout);
    let _ = writeln!(out, "**{}**\n", verdict(study));
    let _ = writeln!(out, "Of 100 healthy releases, {}.", endings(healthy));
    let _ = writeln!(out, "Of 100 bad releases, {}.\n", endings(bad));
    let _ = writeln!(out, "| | healthy release | bad release |\n|---|---|---|");
    for line in lines(healthy, bad) {
        let _ = writeln!(out, "| {} | {} | {} |", line.what, line.healthy, line.bad);
    }
    let _ = writeln!(
        out,
        "\n{} runs each, seed {}; in brackets 95 % intervals. Healthy: {}. Bad: {}.",
        healthy.runs, study.seed, study.healthy.about, study.bad.about
    );
    if let Some(sensitivity) = &study.sensitivity {
        let good: Vec<&Suggestion> = sensitivity
            .changes
            .iter()
            .filter(|change| change.worth.is_better())
            .take(3)
            .collect();
        let _ = writeln!(out, "\n#### What to change\n");
        if good.is_empty() {
            let _ = writeln!(
                out,
                "None of {} small changes that were tried is surely better.",
                sensitivity.changes.len()
            );
        }
        for change in good {
            let _ = writeln!(
                out,
                "- `{}`: {}",
                change_text(change),
                suggestion_effects(change)
            );
        }
    }
    for sweep in study.sweep.iter().chain(&study.curve) {
        let _ = write!(out, "\n{}", sweep_table(sweep));
    }
    for gate in &study.gates {
        let word = if gate.is_met { "❌" } else { "✅" };
        let _ = writeln!(out, "\n{word} `{}`", gate.condition);
    }
    for note in &study.notes {
        let _ = writeln!(out, "\n> {note}");
    }
    let _ = writeln!(
        out,
        "\n<details><summary>Again</summary>\n\n```sh\n{}\n```\n\n</details>",
        study.command
    );
    out
}

fn sweep_table(sweep: &Sweep) -> String {
    let names: Vec<String> = sweep
        .dimensions
        .iter()
        .map(|dimension| format!("`{}`", dimension.name))
        .collect();
    let mut out = format!(
        "| {} | healthy or varied: promoted | bad: promoted | time to abort | failed because of it |\n|{}\n",
        names.join(" | "),
        "---|".repeat(names.len() + 4)
    );
    for cell in &sweep.cells {
        let Cell { values, results } = cell;
        let values: Vec<String> = values
            .iter()
            .zip(&sweep.dimensions)
            .map(|(value, dimension)| match value.as_f64() {
                Some(share) if dimension.is_error_rate => percent(share),
                Some(_) | None => value_text(value),
            })
            .collect();
        let (promoted, bad_promoted, judged) = match results {
            Results::Two { healthy, bad } => (
                interval_text(&healthy.promoted),
                interval_text(&bad.promoted),
                bad,
            ),
            Results::One { release } => (interval_text(&release.promoted), "-".to_owned(), release),
        };
        let time = judged.seconds_to_abort.as_ref();
        let failed = judged.failed_because_of_release.as_ref();
        let _ = writeln!(
            out,
            "| {} | {promoted} | {bad_promoted} | {} | {} |",
            values.join(" | "),
            time.map_or("-".to_owned(), |it| estimate_text(&it.median, seconds_text)),
            failed.map_or("-".to_owned(), |it| estimate_text(&it.mean, number_text)),
        );
    }
    out
}
