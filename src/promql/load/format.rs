//! The formats of traces, and how a file shows which one it has.

use crate::promql::notation;

use super::{csv, exposition, json};

/// A format of traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Notation,
    OpenMetrics,
    Prometheus,
    Dump,
    Csv,
    Json,
}

struct Row {
    format: Format,
    name: &'static str,
    about: &'static str,
    /// File name endings, without the dot.
    endings: &'static [&'static str],
}

const TABLE: [Row; 6] = [
    Row {
        format: Format::Notation,
        name: "promtool",
        about: "promtool's notation: `load 30s` and lines of series",
        endings: &["promtool", "test", "load"],
    },
    Row {
        format: Format::OpenMetrics,
        name: "openmetrics",
        about: "OpenMetrics text with timestamps in seconds; promtool tsdb dump-openmetrics",
        endings: &["om", "openmetrics"],
    },
    Row {
        format: Format::Prometheus,
        name: "prometheus",
        about: "Prometheus text exposition with timestamps in milliseconds",
        endings: &["prom", "txt", "metrics"],
    },
    Row {
        format: Format::Dump,
        name: "dump",
        about: "what promtool tsdb dump prints",
        endings: &["dump"],
    },
    Row {
        format: Format::Csv,
        name: "csv",
        about: "CSV, a sample or a time a line",
        endings: &["csv", "tsv"],
    },
    Row {
        format: Format::Json,
        name: "json",
        about: "answers of Prometheus' HTTP API to queries",
        endings: &["json"],
    },
];

/// Lines in which a sample is looked for.
const LINES_TRIED: usize = 20;

impl Format {
    pub const ALL: [Format; 6] = [
        Self::Notation,
        Self::OpenMetrics,
        Self::Prometheus,
        Self::Dump,
        Self::Csv,
        Self::Json,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What the format is, in a line.
    pub fn about(self) -> &'static str {
        self.row().about
    }

    /// All names, for a message.
    pub fn names() -> String {
        TABLE.map(|row| row.name).join(", ")
    }

    /// The format that a file name's ending stands for.
    pub fn of_ending(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        let ending = ending.to_ascii_lowercase();
        TABLE
            .iter()
            .find(|row| row.endings.contains(&ending.as_str()))
            .map(|row| row.format)
    }

    /// The format of a file: by its content, and where that leaves it open by its name.
    pub fn detect(name: &str, text: &str) -> Option<Self> {
        by_content(text).or_else(|| Self::of_ending(name))
    }

    fn row(self) -> &'static Row {
        // The table stands in the order of the enum; a test holds them together.
        let at = match self {
            Self::Notation => 0,
            Self::OpenMetrics => 1,
            Self::Prometheus => 2,
            Self::Dump => 3,
            Self::Csv => 4,
            Self::Json => 5,
        };
        &TABLE[at]
    }
}

fn by_content(text: &str) -> Option<Format> {
    if json::looks_like(text) {
        return Some(Format::Json);
    }
    let is_open_metrics = || exposition::ends_as_open_metrics(text);
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(first) = lines.next() else {
        // Nothing but comments.
        return is_open_metrics().then_some(Format::OpenMetrics);
    };
    let word = first.split_whitespace().next().unwrap_or_default();
    if matches!(word, "load" | "load_with_nhcb" | "clear") {
        return Some(Format::Notation);
    }
    if csv::is_header(first) {
        return Some(Format::Csv);
    }
    // A dump has the name within the braces, unquoted.
    if first.starts_with('{') && notation::parse_metric(first).is_ok() && !starts_quoted(first) {
        return Some(Format::Dump);
    }
    // The first lines may be the ones that are wrong.
    let time = std::iter::once(first)
        .chain(lines)
        .take(LINES_TRIED)
        .find_map(exposition::timestamp);
    match time {
        Some(time) if is_open_metrics() || time.contains('.') => Some(Format::OpenMetrics),
        Some(_) => Some(Format::Prometheus),
        None => is_open_metrics().then_some(Format::OpenMetrics),
    }
}

/// Whether the braces begin with a metric name in quotes, as only expositions have it.
fn starts_quoted(line: &str) -> bool {
    let Some(inner) = line.strip_prefix('{').map(str::trim_start) else {
        return false;
    };
    let Some(body) = inner.strip_prefix('"') else {
        return false;
    };
    let mut escaped = false;
    let end = body.find(|c| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    });
    let after = end.and_then(|end| body.get(end + 1..)).unwrap_or_default();
    !after.trim_start().starts_with('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        for (format, row) in Format::ALL.into_iter().zip(&TABLE) {
            assert_eq!(format, row.format);
            assert_eq!(format.row().name, row.name);
        }
    }

    #[test]
    fn content_wins_over_the_name() {
        for (text, expected) in [
            (
                "# a comment\n\nload 30s\n  up 1x3\n",
                Some(Format::Notation),
            ),
            ("up 1 1.5\n", Some(Format::OpenMetrics)),
            ("up 1 15\n# EOF\n", Some(Format::OpenMetrics)),
            (
                "# TYPE up gauge\nup{a=\"b\"} 1 1500\n",
                Some(Format::Prometheus),
            ),
            ("{\"my.metric\",a=\"b\"} 1 1500\n", Some(Format::Prometheus)),
            ("{__name__=\"up\", a=\"b\"} 1 1500\n", Some(Format::Dump)),
            (
                "{\"A.b\"=\"x\", __name__=\"up\"} 1 1500\n",
                Some(Format::Dump),
            ),
            ("{\"status\": \"success\"}", Some(Format::Json)),
            ("[]", Some(Format::Json)),
            ("time,up\n1,2\n", Some(Format::Csv)),
            ("metric;job;timestamp;value\n", Some(Format::Csv)),
            ("hello world\n", None),
            ("up 1\n", None),
        ] {
            assert_eq!(by_content(text), expected, "{text}");
        }
        assert_eq!(Format::detect("x.PROM", "up 1\n"), Some(Format::Prometheus));
        assert_eq!(Format::detect("x", "up 1\n"), None);
    }
}
