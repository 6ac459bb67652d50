//! What past releases would have got.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::Value;

use crate::report::timeline::Look;
use crate::whatif::Ending;
use crate::whatif::backtest::{Confusion, Fate, Label};

use super::words::{columns, seconds_text, value_text};

/// Past releases with what the manifests, and changed ones, would have made of them; as JSON it is the
/// report for machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// `namespace/name` of the rollout.
    pub rollout: String,
    pub command: String,
    /// What was varied, as addresses.
    pub varied: Vec<String>,
    /// The manifests as they are, then each combination of values.
    pub settings: Vec<PastSetting>,
    pub releases: Vec<PastResult>,
    pub notes: Vec<String>,
}

/// A combination of values, and how well it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PastSetting {
    /// One for each varied field; empty for the manifests as they are.
    pub values: Vec<Value>,
    /// Of the releases with a label; none where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
}

/// A release and what each setting would have made of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PastResult {
    pub name: String,
    /// RFC 3339, or time in the trace.
    pub start: String,
    pub label: Option<Label>,
    /// Recorded samples that its queries could see.
    pub samples: usize,
    /// In the order of the settings.
    pub fates: Vec<Fate>,
}

/// The report for machines.
pub fn history_json(history: &History) -> String {
    // Numbers and texts only, which always serialize.
    let text = serde_json::to_string_pretty(history).unwrap_or_default();
    format!("{text}\n")
}

fn setting_name(history: &History, setting: &PastSetting) -> String {
    if setting.values.is_empty() {
        return "as they are".to_owned();
    }
    let values = history.varied.iter().zip(&setting.values);
    let texts: Vec<String> = values
        .map(|(field, value)| {
            let short = field
                .rsplit_once('.')
                .map_or(field.as_str(), |(_, last)| last);
            format!("{short} = {}", value_text(value))
        })
        .collect();
    texts.join(", ")
}

fn fate_text(fate: &Fate) -> String {
    match fate.seconds {
        Some(seconds) => format!("{} after {}", fate.ending.as_str(), seconds_text(seconds)),
        None => fate.ending.as_str().to_owned(),
    }
}

/// The report for terminals.
pub fn history_text(history: &History, look: Look) -> String {
    let mut out = format!("{}\n\n", look.paint(Style::new().bold(), &history.rollout));
    let mut rows = vec![["release", "start", "label", "verdict", "", "samples"].map(str::to_owned)];
    let labelled = history.releases.iter().any(|it| it.label.is_some());
    for result in &history.releases {
        let Some(fate) = result.fates.first() else {
            continue;
        };
        let right = result.label.map_or("", |label| {
            if fate.is_right(label) {
                "right"
            } else {
                "WRONG"
            }
        });
        rows.push([
            result.name.clone(),
            result.start.clone(),
            result.label.map_or("-", Label::as_str).to_owned(),
            fate_text(fate),
            right.to_owned(),
            result.samples.to_string(),
        ]);
    }
    out.push_str(&columns(&rows));
    let reasons: Vec<String> = history
        .releases
        .iter()
        .filter_map(|result| {
            let fate = result.fates.first()?;
            (!fate.message.is_empty()).then(|| format!("{}: {}", result.name, fate.message))
        })
        .collect();
    if !reasons.is_empty() {
        let _ = writeln!(out, "\n{}", look.paint(Style::new().bold(), "Why"));
        for reason in reasons {
            let _ = writeln!(out, "{reason}");
        }
    }
    if labelled {
        let _ = writeln!(
            out,
            "\n{}",
            look.paint(Style::new().bold(), "Verdicts of releases with a label")
        );
        out.push_str(&confusion_table(history));
    }
    if history.settings.len() > 1 {
        let title = "What the other values change";
        let _ = writeln!(out, "\n{}", look.paint(Style::new().bold(), title));
        let mut any = false;
        for (index, setting) in history.settings.iter().enumerate().skip(1) {
            for result in &history.releases {
                let (Some(before), Some(after)) = (result.fates.first(), result.fates.get(index))
                else {
                    continue;
                };
                if before.ending == after.ending && before.seconds == after.seconds {
                    continue;
                }
                any = true;
                let name = setting_name(history, setting);
                let line = format!(
                    "{name}: {}: {} → {}",
                    result.name,
                    fate_text(before),
                    fate_text(after)
                );
                let line = match result.label {
                    Some(label) if after.is_right(label) && !before.is_right(label) => look.paint(
                        AnsiColor::Green.on_default(),
                        &format!("{line} (now right)"),
                    ),
                    Some(label) if !after.is_right(label) && before.is_right(label) => {
                        look.paint(AnsiColor::Red.on_default(), &format!("{line} (now WRONG)"))
                    }
                    Some(_) | None => line,
                };
                let _ = writeln!(out, "{line}");
            }
        }
        if !any {
            let _ = writeln!(out, "nothing");
        }
    }
    for note in &history.notes {
        let _ = writeln!(out, "\nnote: {note}");
    }
    let _ = writeln!(out, "\nagain: {}", history.command);
    out
}

fn confusion_table(history: &History) -> String {
    let mut rows = vec![
        [
            "",
            "good: promoted",
            "good: aborted",
            "good: neither",
            "bad: promoted",
            "bad: aborted",
            "bad: neither",
        ]
        .map(str::to_owned),
    ];
    for setting in &history.settings {
        let Some(confusion) = &setting.confusion else {
            continue;
        };
        let Confusion {
            good_promoted,
            good_aborted,
            good_other,
            bad_promoted,
            bad_aborted,
            bad_other,
        } = confusion;
        let (good, bad) = (confusion.good(), confusion.bad());
        let of = |count: &usize, all: usize| format!("{count} of {all}");
        rows.push([
            setting_name(history, setting),
            of(good_promoted, good),
            of(good_aborted, good),
            of(good_other, good),
            of(bad_promoted, bad),
            of(bad_aborted, bad),
            of(bad_other, bad),
        ]);
    }
    columns(&rows)
}

/// One line a release and setting; times in seconds.
///
/// # Errors
/// None is known to occur.
pub fn history_csv(history: &History) -> Result<String, String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header = history.varied.clone();
    header.extend(
        [
            "release",
            "start",
            "label",
            "verdict",
            "seconds",
            "right",
            "measurements",
            "samples",
            "message",
        ]
        .map(str::to_owned),
    );
    let mut lines = vec![header];
    for (index, setting) in history.settings.iter().enumerate() {
        for result in &history.releases {
            let Some(fate) = result.fates.get(index) else {
                continue;
            };
            let mut line: Vec<String> = if setting.values.is_empty() {
                vec![String::new(); history.varied.len()]
            } else {
                let values = setting.values.iter();
                values
                    .map(|value| value.as_str().map_or(value.to_string(), str::to_owned))
                    .collect()
            };
            let verdict: Ending = fate.ending;
            line.extend([
                result.name.clone(),
                result.start.clone(),
                result.label.map_or("", Label::as_str).to_owned(),
                verdict.as_str().to_owned(),
                fate.seconds.map_or(String::new(), |it| it.to_string()),
                result
                    .label
                    .map_or(String::new(), |label| fate.is_right(label).to_string()),
                fate.measurements.to_string(),
                result.samples.to_string(),
                fate.message.clone(),
            ]);
            lines.push(line);
        }
    }
    for line in lines {
        writer
            .write_record(line)
            .map_err(|error| error.to_string())?;
    }
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}
