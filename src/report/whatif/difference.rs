//! Two versions of the manifests compared.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::report::timeline::Look;
use crate::whatif::gates::GateResult;
use crate::whatif::{Amount, Change, Comparison, Share};

use super::words::{
    columns, estimate_text, gate_text, interval_text, number_text, percent, seconds_text,
};

/// A comparison as it is told; as JSON it is the report for machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// `namespace/name` of the rollout.
    pub rollout: String,
    /// The versions as they were named.
    pub old: String,
    pub new: String,
    /// The command that gives the same report.
    pub command: String,
    pub seed: u64,
    pub runs_asked: u64,
    /// How the releases fare, in words.
    pub healthy_about: String,
    pub bad_about: String,
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Conditions on the version after.
    pub gates: Vec<GateResult>,
    pub notes: Vec<String>,
}

/// The report for machines.
pub fn difference_json(difference: &Difference) -> String {
    // Numbers and texts only, which always serialize.
    let text = serde_json::to_string_pretty(difference).unwrap_or_default();
    format!("{text}\n")
}

/// Name, before, after, their difference, how a value is shown, and what is better (see [`Line::better`]).
type AmountRow<'c> = (
    &'static str,
    &'c Option<Amount>,
    &'c Option<Amount>,
    Option<Change>,
    fn(f64) -> String,
    i8,
);

/// A compared quantity.
struct Line {
    what: &'static str,
    before: String,
    after: String,
    change: String,
    /// Whether the difference is more than chance.
    is_certain: bool,
    /// -1: less is better; 1: more is better; 0: neither.
    better: i8,
    value: f64,
}

impl Line {
    /// Whether the difference is better or worse for sure.
    fn effect(&self) -> Effect {
        let good = self.value * f64::from(self.better);
        match (self.is_certain, good) {
            (true, good) if good > 0.0 => Effect::Better,
            (true, good) if good < 0.0 => Effect::Worse,
            (true, _) if self.value != 0.0 => Effect::Differs,
            (true | false, _) => Effect::Chance,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Better,
    Worse,
    /// Neither is good in itself.
    Differs,
    /// No more than chance, or too little to matter.
    Chance,
}

/// A difference of a time or a number below this part of it is too little to matter.
const NEGLIGIBLE: f64 = 0.01;

fn lines(comparison: &Comparison) -> Vec<Line> {
    let Comparison {
        before,
        after,
        healthy_changes,
        bad_changes,
    } = comparison;
    let mut lines = Vec::new();
    let mut shares = |what, before: Share, after: Share, change: Option<Change>, better| {
        let value = after.share - before.share;
        lines.push(Line {
            what,
            before: interval_text(&before),
            after: interval_text(&after),
            change: change.map_or("-".to_owned(), |it| match signed(&it, percent_points) {
                none if none == "none" => none,
                points => format!("{points} points"),
            }),
            is_certain: change.is_some_and(|it| it.is_certain),
            better,
            value,
        });
    };
    shares(
        "healthy releases promoted",
        before.healthy.promoted,
        after.healthy.promoted,
        healthy_changes.promoted,
        1,
    );
    shares(
        "healthy releases aborted",
        before.healthy.aborted,
        after.healthy.aborted,
        healthy_changes.aborted,
        -1,
    );
    shares(
        "bad releases promoted",
        before.bad.promoted,
        after.bad.promoted,
        bad_changes.promoted,
        -1,
    );
    shares(
        "bad releases aborted",
        before.bad.aborted,
        after.bad.aborted,
        bad_changes.aborted,
        1,
    );
    let amounts: [AmountRow<'_>; 4] = [
        (
            "time to 100 % (healthy)",
            &before.healthy.seconds_to_promotion,
            &after.healthy.seconds_to_promotion,
            healthy_changes.seconds_to_promotion,
            seconds_text,
            -1,
        ),
        (
            "time to abort (bad)",
            &before.bad.seconds_to_abort,
            &after.bad.seconds_to_abort,
            bad_changes.seconds_to_abort,
            seconds_text,
            -1,
        ),
        (
            "failed requests (bad)",
            &before.bad.failed_because_of_release,
            &after.bad.failed_because_of_release,
            bad_changes.failed_because_of_release,
            number_text,
            -1,
        ),
        (
            "peak pods (healthy)",
            &before.healthy.peak_pods,
            &after.healthy.peak_pods,
            healthy_changes.peak_pods,
            number_text,
            0,
        ),
    ];
    for (what, before, after, change, show, better) in amounts {
        if before.is_none() && after.is_none() {
            continue;
        }
        let mean = |amount: &Option<Amount>| {
            amount.map_or("-".to_owned(), |it| estimate_text(&it.mean, show))
        };
        lines.push(Line {
            what,
            before: mean(before),
            after: mean(after),
            change: change.map_or("-".to_owned(), |it| signed(&it, show)),
            is_certain: change.is_some_and(|it| {
                let before = before.map_or(0.0, |amount| amount.mean.value);
                it.is_certain && it.difference.value.abs() >= NEGLIGIBLE * before
            }),
            better,
            value: change.map_or(0.0, |it| it.difference.value),
        });
    }
    lines
}

fn percent_points(value: f64) -> String {
    percent(value.abs()).trim_end_matches(" %").to_owned()
}

/// `+1.2 s (+0.8 s to +1.6 s)`, or `none`.
fn signed(change: &Change, show: impl Fn(f64) -> String) -> String {
    let of = |value: f64| {
        let text = show(value.abs());
        match value {
            value if value < 0.0 => format!("-{text}"),
            value if value > 0.0 => format!("+{text}"),
            _ => text,
        }
    };
    let difference = change.difference;
    if difference.low == 0.0 && difference.high == 0.0 {
        return "none".to_owned();
    }
    format!(
        "{} ({} to {})",
        of(difference.value),
        of(difference.low),
        of(difference.high)
    )
}

/// Whether something is surely worse after than before.
pub fn is_worse(comparison: &Comparison) -> bool {
    let lines = lines(comparison);
    lines.iter().any(|line| line.effect() == Effect::Worse)
}

/// What is surely better and worse, in a sentence.
fn verdict(lines: &[Line]) -> String {
    let pick = |effect| -> Vec<&str> {
        let found = lines.iter().filter(|line| line.effect() == effect);
        found.map(|line| line.what).collect()
    };
    let (better, worse) = (pick(Effect::Better), pick(Effect::Worse));
    match (better.is_empty(), worse.is_empty()) {
        (true, true) => "No difference that is more than chance.".to_owned(),
        (false, true) => format!("Better: {}. Nothing is surely worse.", better.join(", ")),
        (true, false) => format!("Worse: {}. Nothing is surely better.", worse.join(", ")),
        (false, false) => format!(
            "Better: {}. Worse: {}.",
            better.join(", "),
            worse.join(", ")
        ),
    }
}

fn effect_words(effect: Effect) -> &'static str {
    match effect {
        Effect::Better => "better",
        Effect::Worse => "worse",
        Effect::Differs => "differs",
        Effect::Chance => "no more than chance",
    }
}

/// The report for terminals.
pub fn difference_text(difference: &Difference, look: Look) -> String {
    let lines = lines(&difference.comparison);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}: {} → {}\n",
        look.paint(Style::new().bold(), &difference.rollout),
        difference.old,
        difference.new
    );
    let _ = writeln!(
        out,
        "{}\n",
        look.paint(AnsiColor::Cyan.on_default().bold(), &verdict(&lines))
    );
    let mut rows = vec![["", "before", "after", "difference", ""].map(str::to_owned)];
    for line in &lines {
        rows.push([
            line.what.to_owned(),
            line.before.clone(),
            line.after.clone(),
            line.change.clone(),
            effect_words(line.effect()).to_owned(),
        ]);
    }
    out.push_str(&columns(&rows));
    let _ = writeln!(
        out,
        "\nhealthy   {}\nbad       {}",
        difference.healthy_about, difference.bad_about
    );
    let runs = difference.comparison.before.healthy.runs;
    let _ = writeln!(
        out,
        "{runs} runs each, with the same chance before and after (seed {}). In brackets: 95 % intervals.",
        difference.seed
    );
    if runs < difference.runs_asked {
        let _ = writeln!(
            out,
            "Ended early: {} runs were asked for.",
            difference.runs_asked
        );
    }
    for note in &difference.notes {
        let _ = writeln!(out, "note: {note}");
    }
    for gate in &difference.gates {
        let _ = writeln!(out, "{}", gate_text(gate, look));
    }
    let _ = writeln!(out, "again: {}", difference.command);
    out
}

fn effect_mark(effect: Effect) -> &'static str {
    match effect {
        Effect::Better => "✅ better",
        Effect::Worse => "⚠️ worse",
        Effect::Differs => "differs",
        Effect::Chance => "no more than chance",
    }
}

/// The report for a comment on a pull request.
pub fn difference_markdown(difference: &Difference) -> String {
    let lines = lines(&difference.comparison);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "### What this change does to releases of `{}`\n",
        difference.rollout
    );
    let _ = writeln!(out, "**{}**\n", verdict(&lines));
    let _ = writeln!(
        out,
        "| | before | after | difference | |\n|---|---|---|---|---|"
    );
    for line in &lines {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            line.what,
            line.before,
            line.after,
            line.change,
            effect_mark(line.effect())
        );
    }
    let _ = writeln!(
        out,
        "\n{} runs each, with the same chance before (`{}`) and after (`{}`), seed {}; in brackets 95 % intervals. \
         Healthy: {}. Bad: {}.",
        difference.comparison.before.healthy.runs,
        difference.old,
        difference.new,
        difference.seed,
        difference.healthy_about,
        difference.bad_about
    );
    for gate in &difference.gates {
        let word = if gate.is_met { "❌" } else { "✅" };
        let _ = writeln!(out, "\n{word} `{}`", gate.condition);
    }
    for note in &difference.notes {
        let _ = writeln!(out, "\n> {note}");
    }
    let _ = writeln!(
        out,
        "\n<details><summary>Again</summary>\n\n```sh\n{}\n```\n\n</details>",
        difference.command
    );
    out
}
