//! The result of a PromQL query as a table for people.

use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;

use crate::promql::eval::{SampleValue, Series, Value};
use crate::promql::gofmt::format_api;
use crate::promql::labels::{Labels, METRIC_NAME, display_name};
use crate::promql::query_time::{Extent, show_length};

use super::timeline::Look;

/// Series side by side at most; more are shown one below the other.
const COLUMNS_MAX: usize = 12;
/// Width where the output is no terminal.
const WIDTH: usize = 160;
const GAP: &str = "  ";

/// When the query was evaluated, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    At(i64),
    Range { start: i64, end: i64, step: i64 },
}

impl When {
    fn text(self, trace: Extent) -> String {
        match self {
            Self::At(time) => format!(" at {}", trace.show(time)),
            Self::Range { start, end, step } => format!(
                ", {} to {}, every {}",
                trace.show(start),
                trace.show(end),
                show_length(step)
            ),
        }
    }
}

/// A table with a line of what all rows have in common above it; scalars and strings are bare.
pub fn table(value: &Value, when: When, trace: Extent, look: Look) -> String {
    match value {
        Value::Scalar(value) => format!("{}\n", format_api(*value)),
        Value::String(text) => format!("{text}\n"),
        Value::Vector(samples) => {
            let labels: Vec<&Labels> = samples.iter().map(|sample| &sample.labels).collect();
            let texts: Vec<String> = samples
                .iter()
                .map(|sample| match &sample.value {
                    SampleValue::Float(value) => format_api(*value),
                    SampleValue::Histogram(histogram) => histogram.to_string(),
                })
                .collect();
            let mut out = caption(&labels, when, trace, look);
            if !samples.is_empty() {
                out.push_str(&vector_table(&labels, &texts, look));
            }
            out
        }
        Value::Matrix(series) => {
            let labels: Vec<&Labels> = series.iter().map(|series| &series.labels).collect();
            let mut out = caption(&labels, when, trace, look);
            if !series.is_empty() {
                let body = side_by_side(series, trace, look);
                out.push_str(&body.unwrap_or_else(|| one_below_another(series, trace, look)));
            }
            out
        }
    }
}

/// What tells several series apart, each with its values in their order; the rest is common.
pub fn differing_labels<'a>(all: &[&'a Labels]) -> (Vec<&'a str>, Labels) {
    let mut values: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for labels in all {
        for (name, value) in labels.iter() {
            let (count, seen) = values.entry(name).or_default();
            *count += 1;
            seen.insert(value);
        }
    }
    let differs = |(count, seen): &(usize, BTreeSet<&str>)| *count < all.len() || seen.len() > 1;
    let common: Vec<String> = values
        .iter()
        .filter(|(_, seen)| !differs(seen))
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let common = all.first().map(|first| first.keep(&common));
    let mut differing: Vec<&str> = values
        .iter()
        .filter(|(_, seen)| differs(seen))
        .map(|(name, _)| *name)
        .collect();
    // The name first, as everywhere.
    differing.sort_by_key(|name| *name != METRIC_NAME);
    (differing, common.unwrap_or_default())
}

/// `name{label="value"}`, as PromQL writes a series.
pub fn series_text(labels: &Labels) -> String {
    let name = labels.metric_name();
    let plain = display_name(name) == name;
    let rest = if plain {
        labels.without_one(METRIC_NAME)
    } else {
        labels.clone()
    };
    match (name.is_empty() || !plain, rest.is_empty()) {
        (false, true) => name.to_owned(),
        (false, false) => format!("{name}{rest}"),
        (true, _) => rest.to_string(),
    }
}

fn caption(all: &[&Labels], when: When, trace: Extent, look: Look) -> String {
    let (_, common) = differing_labels(all);
    let count = match all.len() {
        0 => "no series".to_owned(),
        1 => "1 series".to_owned(),
        count => format!("{count} series"),
    };
    let common = if common.is_empty() {
        String::new()
    } else if all.len() == 1 {
        format!(": {}", series_text(&common))
    } else {
        format!(", all {}", series_text(&common))
    };
    let text = format!("{count}{}{common}", when.text(trace));
    format!("{}\n", look.paint(Style::new().dimmed(), &text))
}

fn heading(name: &str) -> &str {
    if name == METRIC_NAME { "name" } else { name }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn pad(text: &str, to: usize) -> String {
    " ".repeat(to.saturating_sub(width(text)))
}

fn vector_table(all: &[&Labels], values: &[String], look: Look) -> String {
    let (names, _) = differing_labels(all);
    if names.is_empty() {
        return values.iter().map(|value| format!("{value}\n")).collect();
    }
    let widths: Vec<usize> = names
        .iter()
        .map(|name| {
            let cells = all.iter().map(|labels| width(labels.get(name)));
            cells.max().unwrap_or(0).max(width(heading(name)))
        })
        .collect();
    // Histograms are long: only numbers are aligned to the right.
    let is_number = |text: &String| !text.starts_with('{');
    let numbers = values.iter().filter(|text| is_number(text));
    let value_width = numbers.map(|text| width(text)).max().unwrap_or(0).max(5);
    let mut out = String::new();
    let mut head = String::new();
    for (name, column) in names.iter().zip(&widths) {
        head.push_str(&format!(
            "{}{}{GAP}",
            heading(name),
            pad(heading(name), *column)
        ));
    }
    head.push_str(&format!("{}value", pad("value", value_width)));
    out.push_str(&look.paint(Style::new().bold(), &head));
    out.push('\n');
    for (labels, value) in all.iter().zip(values) {
        for (name, column) in names.iter().zip(&widths) {
            let cell = labels.get(name);
            out.push_str(&format!("{cell}{}{GAP}", pad(cell, *column)));
        }
        if is_number(value) {
            out.push_str(&pad(value, value_width));
        }
        out.push_str(value);
        out.push('\n');
    }
    out
}

/// The points of a series by time.
fn points(series: &Series) -> BTreeMap<i64, String> {
    let floats = series
        .floats
        .iter()
        .map(|point| (point.time, format_api(point.value)));
    let histograms = series
        .histograms
        .iter()
        .map(|point| (point.time, point.histogram.to_string()));
    floats.chain(histograms).collect()
}

/// A line a time, a column a series; none where that would be too wide or mostly empty.
fn side_by_side(series: &[Series], trace: Extent, look: Look) -> Option<String> {
    if series.len() > COLUMNS_MAX {
        return None;
    }
    let columns: Vec<BTreeMap<i64, String>> = series.iter().map(points).collect();
    let times: BTreeSet<i64> = columns.iter().flat_map(BTreeMap::keys).copied().collect();
    let longest = columns.iter().map(BTreeMap::len).max().unwrap_or(0);
    if times.len() > longest.saturating_mul(2) {
        return None;
    }
    let all: Vec<&Labels> = series.iter().map(|series| &series.labels).collect();
    let (names, _) = differing_labels(&all);
    let shown: Vec<String> = times.iter().map(|time| trace.show(*time)).collect();
    let first = shown
        .iter()
        .map(|text| width(text))
        .chain(names.iter().map(|name| width(heading(name))))
        .max()
        .unwrap_or(0);
    let widths: Vec<usize> = columns
        .iter()
        .zip(&all)
        .map(|(column, labels)| {
            let values = column.values().map(|text| width(text));
            let heads = names.iter().map(|name| width(labels.get(name)));
            values.chain(heads).max().unwrap_or(0)
        })
        .collect();
    let total = first
        + widths
            .iter()
            .map(|column| column + GAP.len())
            .sum::<usize>();
    let limit = if look.width == 0 { WIDTH } else { look.width };
    if total > limit {
        return None;
    }
    let row = |head: &str, cells: Vec<&str>| {
        let mut line = format!("{head}{}", pad(head, first));
        for (cell, column) in cells.iter().zip(&widths) {
            line.push_str(&format!("{GAP}{}{cell}", pad(cell, *column)));
        }
        line.truncate(line.trim_end().len());
        line
    };
    let mut out = String::new();
    for name in &names {
        let cells = all.iter().map(|labels| labels.get(name)).collect();
        out.push_str(&look.paint(Style::new().bold(), &row(heading(name), cells)));
        out.push('\n');
    }
    for (time, text) in times.iter().zip(&shown) {
        let cells = columns
            .iter()
            .map(|column| column.get(time).map_or("", String::as_str))
            .collect();
        out.push_str(&row(text, cells));
        out.push('\n');
    }
    Some(out)
}

fn one_below_another(series: &[Series], trace: Extent, look: Look) -> String {
    let mut out = String::new();
    for (at, one) in series.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        out.push_str(&look.paint(Style::new().bold(), &series_text(&one.labels)));
        out.push('\n');
        let points: Vec<(String, String)> = points(one)
            .into_iter()
            .map(|(time, value)| (trace.show(time), value))
            .collect();
        let first = points
            .iter()
            .map(|(time, _)| width(time))
            .max()
            .unwrap_or(0);
        for (time, value) in &points {
            out.push_str(&format!("{GAP}{time}{}{GAP}{value}\n", pad(time, first)));
        }
    }
    out
}
