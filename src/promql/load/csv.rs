//! CSV in two forms, told apart by the header.
//!
//! - long: columns `metric`, `value`, a time, and one column a label; a sample a line;
//! - wide: a time and one column a series, headed by `name` or `name{label="value"}`; a time a line.
//!
//! The separator is a comma, semicolon or tab. The time column is called `time`, `timestamp`,
//! `ts`, `_time`, `date` or `datetime`, perhaps with its unit: `timestamp_ms`. Times are RFC 3339
//! or numbers; without a named unit the first number's size says whether they are seconds,
//! milliseconds, microseconds or nanoseconds. An empty cell and `null` are no sample; `stale` is
//! the marker of a series' end.

use std::collections::BTreeMap;

use ::csv::{ReaderBuilder, StringRecord};

use crate::promql::gofmt::quote;
use crate::promql::labels::{Labels, METRIC_NAME};
use crate::promql::notation;
use crate::promql::series::stale_marker;
use crate::time::Timestamp;

use super::collect::SeriesIndex;
use super::reading::{Reading, distinct_labels, number, push_float, scaled_time};

const TIME_COLUMNS: [&str; 6] = ["time", "timestamp", "ts", "_time", "date", "datetime"];
/// Units by the ending of a time column's name, with milliseconds in one.
const TIME_UNITS: [(&str, f64); 6] = [
    ("_seconds", 1000.0),
    ("_millis", 1.0),
    ("_s", 1000.0),
    ("_ms", 1.0),
    ("_us", 1e-3),
    ("_ns", 1e-6),
];
const WIDE_HELP: &str = "columns of labels need the long form: with columns `metric` and `value`";
const NANOS_PER_MILLI: i64 = 1_000_000;

/// Whether a line heads a table of samples.
pub(super) fn is_header(line: &str) -> bool {
    let separator = char::from(separator(line));
    let mut cells = line
        .split(separator)
        .map(|cell| cell.trim().trim_matches('"'));
    line.contains(separator) && cells.any(|cell| time_column(cell).is_some())
}

pub(super) fn read(reading: &mut Reading<'_>) {
    let text = reading.text;
    let header_at = skip_comments(text, 0);
    let first = text.get(header_at..).unwrap_or_default();
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .delimiter(separator(first.lines().next().unwrap_or_default()))
        .from_reader(text.as_bytes());
    let mut header: Option<Header> = None;
    let mut record = StringRecord::new();
    loop {
        // A text in memory cannot fail to be read, and lines may have any number of cells.
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) | Err(_) => return,
        }
        let start = record.position().map_or(0, ::csv::Position::byte) as usize;
        let start = skip_comments(text, start);
        reading.reached(start);
        let end = (reader.position().byte() as usize).clamp(start, text.len());
        let raw = text.get(start..end).unwrap_or_default().trim_end();
        let line = Line {
            record: &record,
            start,
            end: start + raw.len(),
            // Quotes hide where a cell begins.
            plain: !raw.contains('"'),
        };
        match &mut header {
            None => match Header::read(&line) {
                Ok(read) => header = Some(read),
                Err(error) => {
                    line.fail(reading, error);
                    return;
                }
            },
            Some(header) => header.sample(reading, &line),
        }
    }
}

/// The separator that the header has most of.
fn separator(header: &str) -> u8 {
    let count = |separator: u8| header.bytes().filter(|byte| *byte == separator).count();
    let mut best = b',';
    for other in [b';', b'\t'] {
        if count(other) > count(best) {
            best = other;
        }
    }
    best
}

/// The first byte at or after `at` that is part of a record.
fn skip_comments(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let blank = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
        if blank > 0 {
            at += blank;
        } else if rest.starts_with('#') {
            at += rest.find('\n').unwrap_or(rest.len());
        } else {
            return at;
        }
    }
}

struct Line<'a> {
    record: &'a StringRecord,
    start: usize,
    end: usize,
    plain: bool,
}

/// What is wrong, in which column, and what would be right.
struct CellError {
    column: Option<usize>,
    message: String,
    help: &'static str,
}

impl CellError {
    fn at(column: usize, message: impl Into<String>, help: &'static str) -> Self {
        Self {
            column: Some(column),
            message: message.into(),
            help,
        }
    }

    fn line(message: impl Into<String>, help: &'static str) -> Self {
        Self {
            column: None,
            message: message.into(),
            help,
        }
    }
}

impl Line<'_> {
    fn cell(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or_default().trim()
    }

    fn place(&self, column: usize) -> (usize, usize) {
        if !self.plain {
            return (self.start, self.end);
        }
        let before: usize = self.record.iter().take(column).map(|c| c.len() + 1).sum();
        let start = self.start + before;
        let length = self.record.get(column).map_or(0, str::len);
        (start, start + length)
    }

    fn fail(&self, reading: &mut Reading<'_>, error: CellError) {
        let (start, end) = error
            .column
            .map_or((self.start, self.end), |column| self.place(column));
        reading.error(start, end, error.message, error.help);
    }
}

struct Header {
    columns: usize,
    time: usize,
    /// Milliseconds in a unit of the time column; none until a number is seen.
    millis_in_unit: Option<f64>,
    form: Form,
}

enum Form {
    Long {
        metric: usize,
        value: usize,
        /// Column and name of each label.
        labels: Vec<(usize, String)>,
        known: BTreeMap<String, SeriesIndex>,
    },
    Wide {
        /// Column and labels of each series; its index once it has a sample.
        series: Vec<(usize, Labels, Option<SeriesIndex>)>,
    },
}

impl Header {
    fn read(line: &Line<'_>) -> Result<Self, CellError> {
        let cells: Vec<&str> = line.record.iter().map(str::trim).collect();
        let Some((time, millis_in_unit)) = cells
            .iter()
            .enumerate()
            .find_map(|(at, cell)| Some((at, time_column(cell)?)))
        else {
            return Err(CellError::line(
                "no column of times in the header",
                "call it time, timestamp, ts, date, or name its unit: timestamp_ms",
            ));
        };
        let find = |names: [&str; 2]| {
            cells
                .iter()
                .position(|cell| names.iter().any(|name| cell.eq_ignore_ascii_case(name)))
        };
        let form = match (find(["metric", METRIC_NAME]), find(["value", "_value"])) {
            (Some(metric), Some(value)) => Form::Long {
                metric,
                value,
                labels: label_columns(&cells, [time, metric, value])?,
                known: BTreeMap::new(),
            },
            (Some(metric), None) => {
                return Err(CellError::at(
                    metric,
                    "a column of metrics, but none of values",
                    "call the column of values `value`",
                ));
            }
            (None, _) => Form::Wide {
                series: series_columns(&cells, time)?,
            },
        };
        Ok(Self {
            columns: cells.len(),
            time,
            millis_in_unit,
            form,
        })
    }

    fn sample(&mut self, reading: &mut Reading<'_>, line: &Line<'_>) {
        if line.record.len() != self.columns {
            let message = format!(
                "{} cells, where the header has {}",
                line.record.len(),
                self.columns
            );
            line.fail(reading, CellError::line(message, ""));
            return;
        }
        let time = match self.time(line) {
            Ok(time) => time,
            Err(error) => return line.fail(reading, error),
        };
        match &mut self.form {
            Form::Long {
                metric,
                value,
                labels,
                known,
            } => {
                let value = match cell_value(line, *value, "") {
                    Ok(Some(value)) => value,
                    Ok(None) => return,
                    Err(error) => return line.fail(reading, error),
                };
                let mut key = line.cell(*metric).to_owned();
                for (column, _) in labels.iter() {
                    key.push('\u{1f}');
                    key.push_str(line.cell(*column));
                }
                let series = match known.get(&key) {
                    Some(series) => *series,
                    None => match long_labels(line, *metric, labels) {
                        Ok(labels) => {
                            let series = reading.collected.series(&labels);
                            known.insert(key, series);
                            series
                        }
                        Err(error) => return line.fail(reading, error),
                    },
                };
                push_float(reading, series, time, value, line.start);
            }
            Form::Wide { series } => {
                for (column, labels, index) in series {
                    match cell_value(line, *column, WIDE_HELP) {
                        Ok(None) => {}
                        Ok(Some(value)) => {
                            let series =
                                *index.get_or_insert_with(|| reading.collected.series(labels));
                            push_float(reading, series, time, value, line.place(*column).0);
                        }
                        Err(error) => line.fail(reading, error),
                    }
                }
            }
        }
    }

    fn time(&mut self, line: &Line<'_>) -> Result<i64, CellError> {
        const HELP: &str = "times are RFC 3339, such as 2026-01-31T12:00:00Z, or numbers \
                            since 1970 in seconds, ms, us or ns";
        let text = line.cell(self.time);
        let fail = || {
            let message = format!("{} is no time", quote(text));
            CellError::at(self.time, message, HELP)
        };
        let Some(value) = number(text) else {
            let time = Timestamp::parse(text).map_err(|_| fail())?;
            return Ok(time.as_nanos().div_euclid(NANOS_PER_MILLI));
        };
        let unit = *self.millis_in_unit.get_or_insert(match value.abs() {
            value if value < 1e11 => 1000.0,
            value if value < 1e14 => 1.0,
            value if value < 1e17 => 1e-3,
            _ => 1e-6,
        });
        scaled_time(value, unit).ok_or_else(fail)
    }
}

/// Whether a column holds times, and its unit where the name says one: milliseconds in it.
fn time_column(cell: &str) -> Option<Option<f64>> {
    let name = cell.to_ascii_lowercase();
    if TIME_COLUMNS.contains(&name.as_str()) {
        return Some(None);
    }
    TIME_UNITS.iter().find_map(|(ending, millis)| {
        let base = name.strip_suffix(ending)?;
        TIME_COLUMNS.contains(&base).then_some(Some(*millis))
    })
}

fn label_columns(cells: &[&str], others: [usize; 3]) -> Result<Vec<(usize, String)>, CellError> {
    let mut labels: Vec<(usize, String)> = Vec::new();
    for (at, name) in cells.iter().enumerate() {
        if others.contains(&at) {
            continue;
        }
        if name.is_empty() {
            return Err(CellError::at(at, "a column without a name", ""));
        }
        if labels.iter().any(|(_, other)| other == name) {
            let message = format!("the column {} stands twice", quote(name));
            return Err(CellError::at(at, message, ""));
        }
        labels.push((at, (*name).to_owned()));
    }
    Ok(labels)
}

fn series_columns(
    cells: &[&str],
    time: usize,
) -> Result<Vec<(usize, Labels, Option<SeriesIndex>)>, CellError> {
    let mut series: Vec<(usize, Labels, Option<SeriesIndex>)> = Vec::new();
    for (at, name) in cells.iter().enumerate().filter(|(at, _)| *at != time) {
        let labels = series_of(name).map_err(|message| {
            CellError::at(at, message, "a column is headed by name{label=\"value\"}")
        })?;
        if series.iter().any(|(_, other, _)| *other == labels) {
            let message = format!("the series {labels} has two columns");
            return Err(CellError::at(at, message, ""));
        }
        series.push((at, labels, None));
    }
    if series.is_empty() {
        return Err(CellError::line("no column of values in the header", ""));
    }
    Ok(series)
}

/// A name, or a series as PromQL writes it.
fn series_of(text: &str) -> Result<Labels, String> {
    if text.is_empty() {
        return Err("a series has no name".to_owned());
    }
    if !text.contains('{') {
        return Ok(Labels::new([(METRIC_NAME, text)]));
    }
    match notation::parse_metric(text) {
        Ok((labels, taken)) if taken == text.len() => Ok(labels),
        Ok(_) => Err(format!("{} is no series", quote(text))),
        Err(message) => Err(format!("{} is no series: {message}", quote(text))),
    }
}

fn long_labels(
    line: &Line<'_>,
    metric: usize,
    labels: &[(usize, String)],
) -> Result<Labels, CellError> {
    let named =
        series_of(line.cell(metric)).map_err(|message| CellError::at(metric, message, ""))?;
    let mut pairs: Vec<(String, String)> = named
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (column, name) in labels {
        let value = line.cell(*column);
        if !value.is_empty() {
            pairs.push((name.clone(), value.to_owned()));
        }
    }
    distinct_labels(pairs).map_err(|message| CellError::line(message, ""))
}

/// A sample's value; none where there is no sample.
fn cell_value(
    line: &Line<'_>,
    column: usize,
    help: &'static str,
) -> Result<Option<f64>, CellError> {
    match line.cell(column) {
        "" | "null" => Ok(None),
        "stale" => Ok(Some(stale_marker())),
        text => number(text)
            .map(Some)
            .ok_or_else(|| CellError::at(column, format!("{} is no number", quote(text)), help)),
    }
}

#[cfg(test)]
mod tests {
    use crate::promql::load::tests::load;

    #[test]
    fn the_long_form_has_a_sample_a_line() {
        let text = "# from somewhere\nmetric,code,timestamp,value\n\nup,200,1700000000,1\nup,,1700000000.5,2\n# gap\n\"up{job=\"\"a,b\"\"}\",500,1700000001,stale\nup,200,1700000030,\n";
        let (series, problems) = load("x.csv", text);
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            series,
            [
                "{__name__=\"up\", code=\"200\"} 1700000000000=1",
                "{__name__=\"up\"} 1700000000500=2",
                "{__name__=\"up\", code=\"500\", job=\"a,b\"} 1700000001000=stale",
            ]
        );
    }

    #[test]
    fn the_wide_form_has_a_time_a_line() {
        let text = "Time;up;\"errors{code=\"\"500\"\"}\"\r\n2026-01-31T12:00:00Z;1;0.5\r\n2026-01-31T12:00:15.250+00:00;NaN;null\r\n";
        let (series, problems) = load("x", text);
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            series,
            [
                "{__name__=\"up\"} 1769860800000=1 1769860815250=NaN",
                "{__name__=\"errors\", code=\"500\"} 1769860800000=0.5",
            ]
        );
    }

    #[test]
    fn times_have_units() {
        for (text, time) in [
            ("time,a\n0,1\n", 0_i64),
            ("time,a\n1700000000,1\n", 1_700_000_000_000),
            ("time,a\n1700000000123,1\n", 1_700_000_000_123),
            ("time,a\n1700000000123456,1\n", 1_700_000_000_123),
            ("time,a\n1700000000123456789,1\n", 1_700_000_000_123),
            ("time_ms\ta\n15,1\n", 15),
        ] {
            let (series, problems) = load("x.csv", &text.replace(',', "\t"));
            assert_eq!(problems, [""; 0], "{text}");
            assert_eq!(series, [format!("{{__name__=\"a\"}} {time}=1")]);
        }
    }

    #[test]
    fn bad_cells_are_named() {
        let text = "time,a,b\n1,x,2\n2,3\nsoon,1,1\n3,4,5\n";
        let (series, problems) = load("x.csv", text);
        assert_eq!(
            series,
            ["{__name__=\"b\"} 1000=2 3000=5", "{__name__=\"a\"} 3000=4",]
        );
        assert_eq!(
            problems,
            [
                "x.csv:2:3 \"x\" is no number",
                "x.csv:3:1 2 cells, where the header has 3",
                "x.csv:4:1 \"soon\" is no time",
            ]
        );
        for (header, problem) in [
            ("when,a", "x.csv:1:1 no column of times in the header"),
            ("time", "x.csv:1:1 no column of values in the header"),
            (
                "time,a,a",
                "x.csv:1:8 the series {__name__=\"a\"} has two columns",
            ),
            (
                "time,a{b=1}",
                "x.csv:1:6 \"a{b=1}\" is no series: column 5: unexpected '1' in label set, expected string",
            ),
            (
                "time,metric,job",
                "x.csv:1:6 a column of metrics, but none of values",
            ),
            (
                "time,metric,value,job,job",
                "x.csv:1:23 the column \"job\" stands twice",
            ),
        ] {
            let (_, problems) = load("x.csv", header);
            assert_eq!(problems, [problem]);
        }
    }
}
