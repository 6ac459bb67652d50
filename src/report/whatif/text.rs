//! The report for terminals.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::report::timeline::Look;
use crate::whatif::{Cell, Results, Sensitivity, Sweep};

use super::Study;
use super::words::{
    Quality, change_text, columns, endings, gate_text, interval_text, lines, number_text, percent,
    quality, seconds_text, suggestion_effects, value_text, verdict,
};

/// Changes that are told as suggestions at most.
const SUGGESTIONS_MAX: usize = 3;

/// The whole report.
pub fn render(study: &Study, look: Look) -> String {
    let mut out = String::new();
    let bold = Style::new().bold();
    let colour = match quality(study) {
        Quality::Good => AnsiColor::Green.on_default(),
        Quality::Nervous | Quality::Blind | Quality::Both | Quality::Undecided => {
            AnsiColor::Red.on_default()
        }
    };
    let _ = writeln!(out, "{}", look.paint(bold, &study.rollout));
    let _ = writeln!(out);
    let _ = writeln!(out, "{}", look.paint(colour.bold(), &verdict(study)));
    let _ = writeln!(
        out,
        "Of 100 healthy releases, {}.",
        endings(&study.healthy.summary)
    );
    let _ = writeln!(out, "Of 100 bad releases, {}.", endings(&study.bad.summary));
    let bad = &study.bad.summary;
    if let (Some(caught), Some(failed)) = (&bad.seconds_to_abort, &bad.failed_because_of_release) {
        let _ = writeln!(
            out,
            "A bad release that is caught is aborted after {}; a bad release costs {} failed requests.",
            seconds_text(caught.median.value),
            number_text(failed.mean.value)
        );
    }
    let _ = writeln!(out);
    let _ = writeln!(out, "healthy   {}", study.healthy.about);
    let _ = writeln!(out, "bad       {}", study.bad.about);
    let _ = writeln!(out);
    let rows = lines(&study.healthy.summary, &study.bad.summary);
    let mut table = vec![[
        String::new(),
        "healthy release".to_owned(),
        "bad release".to_owned(),
    ]];
    table.extend(
        rows.into_iter()
            .map(|line| [line.what.to_owned(), line.healthy, line.bad]),
    );
    out.push_str(&columns(&table));
    let (healthy, bad) = (study.healthy.summary.runs, study.bad.summary.runs);
    let _ = writeln!(
        out,
        "\n{healthy} runs of the healthy and {bad} of the bad release, seed {}. In brackets: 95 % intervals.",
        study.seed
    );
    if healthy < study.runs_asked {
        let _ = writeln!(
            out,
            "Ended early: {} runs were asked for.",
            study.runs_asked
        );
    }
    if let Some(sweep) = &study.sweep {
        let _ = write!(out, "\n{}", sweep_text(sweep, look));
    }
    if let Some(curve) = &study.curve {
        let _ = write!(out, "\n{}", sweep_text(curve, look));
    }
    if let Some(sensitivity) = &study.sensitivity {
        let _ = write!(out, "\n{}", suggestions_text(sensitivity, look));
    }
    for note in &study.notes {
        let _ = writeln!(out, "\nnote: {note}");
    }
    for gate in &study.gates {
        let _ = writeln!(out, "\n{}", gate_text(gate, look));
    }
    let _ = writeln!(out, "\nagain: {}", study.command);
    out
}

fn sweep_text(sweep: &Sweep, look: Look) -> String {
    let names: Vec<&str> = sweep.dimensions.iter().map(|it| it.name.as_str()).collect();
    let title = format!("{} ({} runs each)", names.join(" and "), sweep.runs);
    let mut out = format!("{}\n", look.paint(Style::new().bold(), &title));
    let mut rows: Vec<[String; 5]> = Vec::new();
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
        let values = values.join(", ");
        match results {
            Results::Two { healthy, bad } => {
                if rows.is_empty() {
                    rows.push(
                        [
                            "",
                            "healthy promoted",
                            "bad promoted",
                            "bad: time to abort",
                            "bad: failed requests",
                        ]
                        .map(str::to_owned),
                    );
                }
                rows.push([
                    values,
                    interval_text(&healthy.promoted),
                    interval_text(&bad.promoted),
                    super::words::median_cell(bad.seconds_to_abort.as_ref(), seconds_text),
                    super::words::mean_cell(bad.failed_because_of_release.as_ref()),
                ]);
            }
            Results::One { release } => {
                if rows.is_empty() {
                    rows.push(
                        [
                            "",
                            "promoted",
                            "aborted",
                            "time to abort",
                            "failed because of it",
                        ]
                        .map(str::to_owned),
                    );
                }
                rows.push([
                    values,
                    interval_text(&release.promoted),
                    interval_text(&release.aborted),
                    super::words::median_cell(release.seconds_to_abort.as_ref(), seconds_text),
                    super::words::mean_cell(release.failed_because_of_release.as_ref()),
                ]);
            }
        }
    }
    out.push_str(&columns(&rows));
    out
}

fn suggestions_text(sensitivity: &Sensitivity, look: Look) -> String {
    let good = sensitivity
        .changes
        .iter()
        .filter(|change| change.worth.is_better());
    let good: Vec<_> = good.take(SUGGESTIONS_MAX).collect();
    let title = "What to change";
    let mut out = format!("{}\n", look.paint(Style::new().bold(), title));
    if good.is_empty() {
        let _ = writeln!(
            out,
            "None of {} small changes that were tried is surely better ({} runs each).",
            sensitivity.changes.len(),
            sensitivity.runs
        );
        return out;
    }
    for change in good {
        let _ = writeln!(out, "{}", change_text(change));
        let _ = writeln!(out, "    {}", suggestion_effects(change));
    }
    let _ = writeln!(
        out,
        "Each was played {} times with the same chance as the manifests as they are.",
        sensitivity.runs
    );
    out
}
