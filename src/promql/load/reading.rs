//! What a reader of one file is given: the text, where samples go, where problems go.

use std::collections::BTreeMap;

use crate::promql::gofmt;
use crate::promql::labels::Labels;
use crate::source::{Problem, SourceId, Span};

use super::collect::{Collected, Place, SeriesIndex};

/// Problems of a file that are listed one by one; the rest are counted.
pub(super) const PROBLEMS_MAX: usize = 50;
/// Times beyond this would not leave room for the offsets of a query, in milliseconds.
const TIME_MAX: i64 = i64::MAX / 16;
/// Bytes between two reports of progress.
const PROGRESS_BYTES: usize = 1 << 20;

pub(super) struct Reading<'a> {
    pub source: SourceId,
    pub text: &'a str,
    pub collected: &'a mut Collected,
    problems: Vec<Problem>,
    /// Problems that are not listed, and where the first of them is.
    unlisted: Option<(usize, Span)>,
    progress: &'a mut dyn FnMut(u64),
    reported: usize,
}

impl<'a> Reading<'a> {
    pub fn new(
        source: SourceId,
        text: &'a str,
        collected: &'a mut Collected,
        progress: &'a mut dyn FnMut(u64),
    ) -> Self {
        Self {
            source,
            text,
            collected,
            problems: Vec::new(),
            unlisted: None,
            progress,
            reported: 0,
        }
    }

    pub fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end)
    }

    pub fn place(&self, offset: usize) -> Place {
        Place::new(self.source, offset)
    }

    /// An error at these bytes of the file.
    pub fn error(&mut self, start: usize, end: usize, message: impl Into<String>, help: &str) {
        let span = self.span(start, end);
        let problem = Problem::error("trace-syntax", message, span);
        self.report(if help.is_empty() {
            problem
        } else {
            problem.with_help(help)
        });
    }

    pub fn report(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            let span = problem.span.unwrap_or(self.span(0, 0));
            self.unlisted.get_or_insert((0, span)).0 += 1;
        }
    }

    /// The reader got to this byte.
    pub fn reached(&mut self, offset: usize) {
        if offset.saturating_sub(self.reported) >= PROGRESS_BYTES {
            self.reported = offset;
            (self.progress)(offset as u64);
        }
    }

    pub fn finish(self) -> Vec<Problem> {
        (self.progress)(self.text.len() as u64);
        let mut problems = self.problems;
        if let Some((count, span)) = self.unlisted {
            let message = format!("{count} more problems in this file, from here on");
            problems.push(Problem::error("trace-syntax", message, span));
        }
        problems
    }
}

/// The lines of a text with their offsets, without line breaks and white space at the end.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = Some((0, text));
    std::iter::from_fn(move || {
        let (offset, tail) = rest?;
        let (line, next) = match memchr::memchr(b'\n', tail.as_bytes()) {
            Some(end) => {
                let (line, after) = tail.split_at(end);
                (line, after.get(1..).map(|after| (offset + end + 1, after)))
            }
            None => (tail, None),
        };
        rest = next;
        Some((offset, line.trim_end()))
    })
}

/// Series by the text that names them: a dump repeats it on every line.
#[derive(Default)]
pub(super) struct SeriesByText<'a, T> {
    last: Option<(&'a str, T)>,
    known: BTreeMap<&'a str, T>,
}

impl<'a, T: Copy> SeriesByText<'a, T> {
    pub fn new() -> Self {
        Self {
            last: None,
            known: BTreeMap::new(),
        }
    }

    /// What `read` makes of the text, asked once a text.
    pub fn get<E>(&mut self, text: &'a str, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if let Some((last, found)) = self.last
            && last == text
        {
            return Ok(found);
        }
        let found = match self.known.get(text) {
            Some(found) => *found,
            None => {
                let found = read()?;
                self.known.insert(text, found);
                found
            }
        };
        self.last = Some((text, found));
        Ok(found)
    }
}

/// Labels that name each label once.
///
/// # Errors
/// The name that stands twice, or is empty.
pub(super) fn distinct_labels(pairs: Vec<(String, String)>) -> Result<Labels, String> {
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("the label {} stands twice", gofmt::quote(pair[0])));
    }
    if names.first().is_some_and(|name| name.is_empty()) {
        return Err("a label has no name".to_owned());
    }
    Ok(Labels::new(pairs))
}

/// A sample's value as Go reads it: `1e+06`, `+Inf`, `NaN`.
pub(super) fn number(text: &str) -> Option<f64> {
    let plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
    if text.bytes().all(plain)
        && let Ok(value) = text.parse::<f64>()
        && value.is_finite()
    {
        return Some(value);
    }
    match gofmt::parse_float(text) {
        Some((value, false)) => Some(value),
        // Too large for a float.
        Some((_, true)) | None => None,
    }
}

/// Whole milliseconds.
pub(super) fn time_in_millis(text: &str) -> Option<i64> {
    let time: i64 = text.parse().ok()?;
    (-TIME_MAX..=TIME_MAX).contains(&time).then_some(time)
}

/// Seconds with a fraction, as milliseconds, rounded to the nearest.
pub(super) fn time_in_seconds(text: &str) -> Option<i64> {
    scaled_time(number(text)?, 1000.0)
}

/// A time in another unit, as milliseconds, rounded to the nearest.
pub(super) fn scaled_time(value: f64, millis_in_unit: f64) -> Option<i64> {
    let millis = (value * millis_in_unit).round();
    // NaN is in no range.
    (-(TIME_MAX as f64)..=TIME_MAX as f64)
        .contains(&millis)
        .then_some(millis as i64)
}

/// What a line format calls once it knows all of a line.
pub(super) fn push_float(
    reading: &mut Reading<'_>,
    series: SeriesIndex,
    time: i64,
    value: f64,
    offset: usize,
) {
    let place = reading.place(offset);
    reading.collected.push_float(series, time, value, place);
}
