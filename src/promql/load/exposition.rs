//! OpenMetrics text and Prometheus' text exposition, as dumps with a timestamp on every sample.
//!
//! A series may have any number of timestamps. OpenMetrics has seconds, exemplars (read and
//! dropped: no query sees them) and an `# EOF`; the older exposition has milliseconds. Where
//! `# TYPE` says that a family counts, the values of its `_created` series are also taken as
//! start timestamps of its other series.

use std::collections::{BTreeMap, BTreeSet};

use crate::promql::gofmt::quote;
use crate::promql::labels::{BUCKET_BOUND, Labels, METRIC_NAME};
use crate::source::Problem;

use super::collect::SeriesIndex;
use super::dump::braces_end;
use super::reading::{
    Reading, SeriesByText, distinct_labels, lines, number, push_float, time_in_millis,
    time_in_seconds,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenMetrics,
    Prometheus,
}

/// Times below this, read as milliseconds, are before 1973: probably they are seconds.
const LIKELY_SECONDS: i64 = 100_000_000_000;

/// What is known of a series' text.
#[derive(Clone, Copy)]
struct Known {
    series: SeriesIndex,
    /// Where the family's `_created` values are, in `Starts`.
    starts: Option<usize>,
}

pub(super) fn read(reading: &mut Reading<'_>, dialect: Dialect) {
    let text = reading.text;
    let created = Created::find(text, dialect);
    let mut known = SeriesByText::new();
    let mut without_time: Option<(usize, usize, usize)> = None;
    let mut ended = false;
    // Place of a time that is likely in seconds; none once a time is not.
    let mut seconds: Option<Option<usize>> = Some(None);
    for (start, line) in lines(text) {
        reading.reached(start);
        let offset = start + line.len() - line.trim_start().len();
        let line = line.trim_start();
        if line.is_empty() {
            continue;
        }
        if line.starts_with('#') {
            ended |= dialect == Dialect::OpenMetrics && line == "# EOF";
            continue;
        }
        if ended {
            let span = reading.span(offset, offset + line.len());
            reading.report(
                Problem::warning("trace-syntax", "there are samples after # EOF", span)
                    .with_help("were files put together? Give them one by one, or as a folder"),
            );
            ended = false;
        }
        match read_line(reading, &mut known, &created, dialect, line) {
            Ok(Sample {
                known,
                value,
                time: Some(time),
            }) => {
                seconds = seconds
                    .filter(|_| (1_000_000_000..LIKELY_SECONDS).contains(&time))
                    .map(|place| place.or(Some(offset)));
                push_float(reading, known.series, time, value, offset);
                if let Some(start) = created.start(known.starts, time) {
                    reading.collected.push_start(known.series, time, start);
                }
            }
            Ok(Sample { time: None, .. }) => {
                without_time
                    .get_or_insert((0, offset, offset + line.len()))
                    .0 += 1;
            }
            Err((column, message)) => {
                let help = match dialect {
                    Dialect::OpenMetrics => "a line: up{job=\"api\"} 1 1700000000.000",
                    Dialect::Prometheus => "a line: up{job=\"api\"} 1 1700000000000",
                };
                reading.error(offset + column, offset + line.len(), message, help);
            }
        }
    }
    if let Some((count, start, end)) = without_time {
        let message = if count == 1 {
            "a sample has no timestamp".to_owned()
        } else {
            format!("{count} samples have no timestamp")
        };
        reading.error(
            start,
            end,
            message,
            "a single scrape has no times: a trace needs one after each value",
        );
    }
    if dialect == Dialect::Prometheus
        && let Some(Some(offset)) = seconds
    {
        let message = "timestamps, read as milliseconds, are in 1970: they look like seconds";
        let span = reading.span(offset, offset);
        reading.report(
            Problem::warning("trace-time-unit", message, span).with_help(
                "seconds are OpenMetrics: end the file with `# EOF`, or name the format",
            ),
        );
    }
}

/// Whether the text ends as OpenMetrics has to.
pub(super) fn ends_as_open_metrics(text: &str) -> bool {
    let text = text.trim_end();
    text.ends_with("\n# EOF") || text == "# EOF"
}

/// The timestamp of a line, if it is a sample with one.
pub(super) fn timestamp(line: &str) -> Option<&str> {
    let rest = line.get(series_end(line)?..)?;
    let mut words = rest.split_whitespace();
    number(words.next()?)?;
    let time = words.next()?;
    number(time)?;
    Some(time)
}

struct Sample {
    known: Known,
    value: f64,
    /// In milliseconds.
    time: Option<i64>,
}

/// A byte of the line, and what is wrong there.
type LineError = (usize, String);

fn read_line<'a>(
    reading: &mut Reading<'_>,
    known: &mut SeriesByText<'a, Known>,
    created: &Created,
    dialect: Dialect,
    line: &'a str,
) -> Result<Sample, LineError> {
    let end = series_end(line).ok_or_else(|| (0, "the label set has no end".to_owned()))?;
    let (name, rest) = line.split_at(end);
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return Err((end, format!("unexpected {} after the series", quote(rest))));
    }
    let known = known.get(name, || {
        let labels = parse_series(name)?;
        Ok(Known {
            series: reading.collected.series(&labels),
            starts: created.of(&labels),
        })
    })?;
    let mut words = Words { line, at: end };
    let (at, word) = words
        .next()
        .ok_or_else(|| (end, "the value is missing".to_owned()))?;
    let value = number(word).ok_or_else(|| (at, format!("{} is no number", quote(word))))?;
    let time = match words.next() {
        None => None,
        Some((at, "#")) => {
            exemplar(line, at, dialect)?;
            None
        }
        Some((at, word)) => {
            let time = match dialect {
                Dialect::OpenMetrics => time_in_seconds(word),
                Dialect::Prometheus => time_in_millis(word),
            };
            let unit = match dialect {
                Dialect::OpenMetrics => "seconds",
                Dialect::Prometheus => "whole milliseconds",
            };
            let time = time.ok_or_else(|| (at, format!("{} is no time in {unit}", quote(word))))?;
            match words.next() {
                None => {}
                Some((at, "#")) => exemplar(line, at, dialect)?,
                Some((at, word)) => {
                    return Err((at, format!("unexpected {} after the time", quote(word))));
                }
            }
            Some(time)
        }
    };
    Ok(Sample { known, value, time })
}

struct Words<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.line.get(self.at..)?;
        let trimmed = rest.trim_start();
        let start = self.line.len() - trimmed.len();
        let word = trimmed
            .split([' ', '\t'])
            .next()
            .filter(|w| !w.is_empty())?;
        self.at = start + word.len();
        Some((start, word))
    }
}

/// Checks `# {labels} value [time]`.
fn exemplar(line: &str, at: usize, dialect: Dialect) -> Result<(), LineError> {
    let fail = |message: &str| Err((at, message.to_owned()));
    if dialect == Dialect::Prometheus {
        return fail("exemplars belong to OpenMetrics");
    }
    let body = line.get(at + 1..).unwrap_or_default().trim_start();
    let Some(end) = braces_end(body).filter(|_| body.starts_with('{')) else {
        return fail("the exemplar has no set of labels");
    };
    let (labels, rest) = body.split_at(end);
    if let Err((_, message)) = parse_series(&format!("exemplar{labels}")) {
        return fail(&format!("exemplar: {message}"));
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    match words.as_slice() {
        [value] if number(value).is_some() => Ok(()),
        [value, time] if number(value).is_some() && number(time).is_some() => Ok(()),
        _ => fail("the exemplar has no value"),
    }
}

/// One past the series' name and labels; `None` where the braces do not close.
fn series_end(line: &str) -> Option<usize> {
    let name = line.find([' ', '\t', '{']).unwrap_or(line.len());
    let rest = line.get(name..)?;
    if rest.trim_start_matches([' ', '\t']).starts_with('{') {
        braces_end(line)
    } else {
        Some(name)
    }
}

/// Reads `name{label="value", "quoted name"="value"}` or `{"metric name", label="value"}`.
fn parse_series(text: &str) -> Result<Labels, LineError> {
    let open = text.find('{').unwrap_or(text.len());
    let (name, labels) = text.split_at(open);
    let name = name.trim_end();
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !name.is_empty() {
        let wrong = |(i, b): (usize, u8)| {
            let fits = b == b'_' || b == b':' || b.is_ascii_alphabetic();
            !(fits || (i > 0 && b.is_ascii_digit()))
        };
        if name.bytes().enumerate().any(wrong) {
            let message = format!(
                "{} is no metric name; others are quoted, within braces",
                quote(name)
            );
            return Err((0, message));
        }
        pairs.push((METRIC_NAME.to_owned(), name.to_owned()));
    }
    let mut at = open;
    let fail = |at: usize, message: &str| Err((at, message.to_owned()));
    if let Some(inner) = labels.strip_prefix('{').and_then(|l| l.strip_suffix('}')) {
        let base = open + 1;
        let mut cursor = Cursor { text: inner, at: 0 };
        loop {
            cursor.skip_space();
            if cursor.rest().is_empty() {
                break;
            }
            at = base + cursor.at;
            let quoted = cursor.rest().starts_with('"');
            let label = if quoted {
                cursor.string().map_err(|message| (at, message))?
            } else {
                cursor.word().to_owned()
            };
            if label.is_empty() {
                return fail(at, "a label name was expected");
            }
            cursor.skip_space();
            if cursor.accept('=') {
                cursor.skip_space();
                let place = base + cursor.at;
                let value = cursor.string().map_err(|message| (place, message))?;
                pairs.push((label, value));
            } else if quoted {
                pairs.push((METRIC_NAME.to_owned(), label));
            } else {
                return fail(base + cursor.at, "\"=\" was expected after the label name");
            }
            cursor.skip_space();
            if !cursor.accept(',') && !cursor.rest().is_empty() {
                return fail(base + cursor.at, "\",\" or \"}\" was expected");
            }
        }
    }
    if !pairs.iter().any(|(name, _)| name == METRIC_NAME) {
        return fail(0, "the series has no metric name");
    }
    distinct_labels(pairs).map_err(|message| (at.min(open), message))
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn accept(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| c != '_' && !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// A text in double quotes with the escapes `\\`, `\"` and `\n`; other backslashes stand for
    /// themselves, as Prometheus reads them.
    fn string(&mut self) -> Result<String, String> {
        let body = self
            .rest()
            .strip_prefix('"')
            .ok_or("a text in double quotes was expected")?;
        let mut text = String::new();
        let mut characters = body.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.at += at + 2;
                    return Ok(text);
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, c @ ('"' | '\\'))) => text.push(c),
                    Some((_, c)) => text.extend(['\\', c]),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err("the text has no closing quote".to_owned())
    }
}

/// The values of `_created` series, by the family's name and labels.
#[derive(Default)]
struct Created {
    families: BTreeMap<Labels, usize>,
    /// Pairs of a time and the start known at it, in milliseconds, sorted.
    starts: Vec<Vec<(i64, i64)>>,
}

const COUNTING_TYPES: [&str; 3] = ["counter", "histogram", "summary"];

impl Created {
    fn find(text: &str, dialect: Dialect) -> Self {
        let mut created = Self::default();
        if dialect != Dialect::OpenMetrics
            || memchr::memmem::find(text.as_bytes(), b"_created").is_none()
        {
            return created;
        }
        let mut counting: BTreeSet<&str> = BTreeSet::new();
        for (_, line) in lines(text) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                if let Some((family, kind)) = rest.split_once(' ')
                    && COUNTING_TYPES.contains(&kind)
                {
                    counting.insert(family);
                }
                continue;
            }
            let Some((family, _)) = line.split_once("_created") else {
                continue;
            };
            if !counting.contains(family) {
                continue;
            }
            let Some((labels, value, time)) = created_line(line, family) else {
                continue;
            };
            let at = *created.families.entry(labels).or_insert_with(|| {
                created.starts.push(Vec::new());
                created.starts.len() - 1
            });
            if let Some(starts) = created.starts.get_mut(at) {
                starts.push((time, value));
            }
        }
        for starts in &mut created.starts {
            starts.sort_unstable();
        }
        created
    }

    /// Where the starts of a series' family are.
    fn of(&self, labels: &Labels) -> Option<usize> {
        if self.families.is_empty() {
            return None;
        }
        let name = labels.metric_name();
        let family = ["_total", "_bucket", "_count", "_sum"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            // The quantiles of a summary have the name of their family.
            .unwrap_or(name);
        let base = labels
            .with(METRIC_NAME, family)
            .without_one(BUCKET_BOUND)
            .without_one("quantile");
        self.families.get(&base).copied()
    }

    /// The start that was known at the time.
    fn start(&self, of: Option<usize>, time: i64) -> Option<i64> {
        let starts = self.starts.get(of?)?;
        let known = starts.partition_point(|(at, _)| *at <= time);
        let (_, start) = starts.get(known.checked_sub(1)?)?;
        (*start <= time).then_some(*start)
    }
}

/// The family's labels, the start and the time of a line of a `_created` series.
fn created_line(line: &str, family: &str) -> Option<(Labels, i64, i64)> {
    let (name, rest) = line.split_at_checked(series_end(line)?)?;
    let labels = parse_series(name).ok()?;
    if labels.metric_name().strip_suffix("_created") != Some(family) {
        return None;
    }
    let mut words = rest.split_whitespace();
    let value = time_in_seconds(words.next()?)?;
    let time = time_in_seconds(words.next()?)?;
    Some((labels.with(METRIC_NAME, family), value, time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::load::tests::load;

    #[test]
    fn open_metrics_are_read() {
        let text = r##"# HELP http_requests requests
# TYPE http_requests counter
http_requests_total{code="200",path="a\\b\"\n\d"} 1 1.5 # {trace_id="x y}"} 0.7 1.4
http_requests_total{code="200",path="a\\b\"\n\d"} 2 2.5 # {} 3
http_requests_created{code="200",path="a\\b\"\n\d"} 0.25 1.5
{"my.metric","a b"="c",le="+Inf",} NaN 3
up 1e+06 1700215884.373
# EOF
"##;
        let (series, problems) = load("x", text);
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            series,
            [
                r#"{__name__="http_requests_total", code="200", path="a\\b\"\n\\d"} 1500=1 2500=2"#,
                r#"{__name__="http_requests_created", code="200", path="a\\b\"\n\\d"} 1500=0.25"#,
                r#"{__name__="my.metric", "a b"="c", le="+Inf"} 3000=NaN"#,
                r#"{__name__="up"} 1700215884373=1e+06"#,
            ]
        );
    }

    #[test]
    fn created_values_become_starts() {
        let text = "# TYPE a counter\n# TYPE g gauge\na_created{x=\"1\"} 5 10\na_created{x=\"1\"} 25 30\na_total{x=\"1\"} 1 7\na_total{x=\"1\"} 1 10\na_total{x=\"1\"} 1 40\ng_created 1 1\n# EOF\n";
        let created = Created::find(text, Dialect::OpenMetrics);
        let of = created.of(&Labels::new([("__name__", "a_total"), ("x", "1")]));
        assert_eq!(created.start(of, 7_000), None);
        assert_eq!(created.start(of, 10_000), Some(5_000));
        assert_eq!(created.start(of, 40_000), Some(25_000));
        assert_eq!(created.of(&Labels::new([("__name__", "g")])), None);
    }

    #[test]
    fn the_older_exposition_has_milliseconds() {
        let (series, problems) = load("x.prom", "a 1 1000\n a{} 2 2000\na\t3\t3000\nb 1 1.5\n");
        assert_eq!(series, ["{__name__=\"a\"} 1000=1 2000=2 3000=3"]);
        assert_eq!(
            problems,
            ["x.prom:4:5 \"1.5\" is no time in whole milliseconds",]
        );
        let (_, problems) = load("x.prom", "a 1 1700000000\n");
        assert_eq!(
            problems,
            ["x.prom:1:1 timestamps, read as milliseconds, are in 1970: they look like seconds"]
        );
    }

    #[test]
    fn bad_lines_are_named() {
        let text = "a{b=\"1\" 1 1.5\na{b=1} 1 1.5\na{b=\"1\"c=\"2\"} 1 1.5\na{b=\"1\",b=\"2\"} 1 1.5\nä 1 1.5\n{a=\"b\"} 1 1.5\na x 1.5\na 1 1.5 2\na 1 1.5 # 3\na 1\na\nb 1 1.5\n# EOF\na 1 2.5\n";
        let (series, problems) = load("x", text);
        assert_eq!(
            series,
            ["{__name__=\"a\"} 2500=1", "{__name__=\"b\"} 1500=1"]
        );
        assert_eq!(
            problems,
            [
                "x:1:1 the label set has no end",
                "x:2:5 a text in double quotes was expected",
                "x:3:8 \",\" or \"}\" was expected",
                "x:4:2 the label \"b\" stands twice",
                "x:5:1 \"ä\" is no metric name; others are quoted, within braces",
                "x:6:1 the series has no metric name",
                "x:7:3 \"x\" is no number",
                "x:8:9 unexpected \"2\" after the time",
                "x:9:9 the exemplar has no set of labels",
                "x:11:2 the value is missing",
                "x:14:1 there are samples after # EOF",
                "x:10:1 a sample has no timestamp",
            ]
        );
    }
}
