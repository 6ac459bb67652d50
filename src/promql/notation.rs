//! promtool's notation of series: `http_requests_total{code="200"} 0+10x20 _ stale`.
//!
//! A `load` block is a line `load <interval>` and one line a series; item *i* of a line stands at
//! *i* intervals after time 0. `load_with_nhcb` also turns classic histograms into native ones
//! with custom buckets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::histogram::{Bucket, CUSTOM_SCHEMA, Histogram, ResetHint};
use super::labels::{BUCKET_BOUND, Labels, METRIC_NAME};
use super::series::{Store, stale_marker};
use super::{duration, gofmt};

/// Most items a line may stand for.
const MAX_ITEMS: usize = 10_000_000;
/// Most buckets a side may have in the notation.
const MAX_BUCKET_INDEX: i64 = 1 << 30;

/// One value of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `_`: no sample at this time.
    Omitted,
    Float(f64),
    Histogram {
        histogram: Arc<Histogram>,
        /// Whether the text names a counter reset hint.
        hint_given: bool,
    },
}

/// A series line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotationError {
    /// From 1, within the text that was given.
    pub line: usize,
    pub message: String,
}

impl fmt::Display for NotationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for NotationError {}

/// Runs the `load` and `clear` blocks of a script on the store.
///
/// # Errors
/// The first line that cannot be read or stored; the others are loaded.
pub fn load(store: &mut Store, script: &str) -> Result<(), NotationError> {
    run(store, script).into_iter().next().map_or(Ok(()), Err)
}

/// Takes what a script says.
pub(crate) trait Sink {
    fn clear(&mut self);

    /// A sample of a line (from 1), times in milliseconds; `start` is 0 if unknown.
    ///
    /// # Errors
    /// Why it cannot be taken.
    fn sample(
        &mut self,
        line: usize,
        labels: &Labels,
        start: i64,
        time: i64,
        value: &Item,
    ) -> Result<(), String>;
}

impl Sink for Store {
    fn clear(&mut self) {
        Store::clear(self);
    }

    fn sample(
        &mut self,
        _line: usize,
        labels: &Labels,
        start: i64,
        time: i64,
        value: &Item,
    ) -> Result<(), String> {
        let stored = match value {
            Item::Omitted => Ok(()),
            Item::Float(value) => self.append_float(labels, start, time, *value),
            Item::Histogram {
                histogram,
                hint_given: _,
            } => self.append_histogram(labels, start, time, Histogram::clone(histogram)),
        };
        stored.map_err(|error| format!("{labels}: {error}"))
    }
}

/// Runs a script; a line with an error does not hide the others.
pub(crate) fn run(sink: &mut dyn Sink, script: &str) -> Vec<NotationError> {
    let lines: Vec<&str> = script.lines().map(str::trim).collect();
    let mut errors = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let number = at + 1;
        let command = line
            .split_whitespace()
            .next()
            .unwrap_or("")
            .to_ascii_lowercase();
        at += 1;
        if command.is_empty() || command.starts_with('#') {
            continue;
        }
        let mut fail = |message: String| {
            errors.push(NotationError {
                line: number,
                message,
            });
        };
        match command.as_str() {
            "clear" => sink.clear(),
            "load" | "load_with_nhcb" => {
                let body = lines.get(at..).unwrap_or_default();
                let length = body
                    .iter()
                    .take_while(|l| !l.is_empty() && !l.starts_with('#'))
                    .count();
                at += length;
                let interval = line.split_whitespace().nth(1).unwrap_or("");
                match duration::parse_millis(interval) {
                    Ok(interval) => {
                        let body = body.get(..length).unwrap_or_default();
                        let block = LoadBlock::parse(interval, body, number, &mut errors);
                        block.store(sink, command == "load_with_nhcb", &mut errors);
                    }
                    Err(error) => fail(format!(
                        "invalid step definition {}: {error}",
                        gofmt::quote(interval)
                    )),
                }
            }
            other => fail(format!("invalid command {}", gofmt::quote(other))),
        }
    }
    errors.sort_by_key(|error| error.line);
    errors
}

/// A sample with its time and start timestamp, in milliseconds.
struct Sample {
    time: i64,
    start: i64,
    value: Item,
}

/// The samples of a line (from 1).
struct SeriesLine {
    line: usize,
    labels: Labels,
    samples: Vec<Sample>,
}

struct LoadBlock {
    /// Line of the command.
    line: usize,
    /// In the order of the lines; a series given again takes its later values.
    series: Vec<SeriesLine>,
}

impl LoadBlock {
    fn parse(interval: i64, lines: &[&str], first: usize, errors: &mut Vec<NotationError>) -> Self {
        let mut series: Vec<SeriesLine> = Vec::new();
        let mut index: BTreeMap<Labels, usize> = BTreeMap::new();
        let mut pending: Option<(Labels, Vec<Option<i64>>)> = None;
        for (number, text) in (first + 1..).zip(lines) {
            let line = match read_line(text, number, interval, &mut pending) {
                Ok(Some(line)) => line,
                Ok(None) => continue,
                Err(message) => {
                    errors.push(NotationError {
                        line: number,
                        message,
                    });
                    continue;
                }
            };
            match index.get(&line.labels).and_then(|at| series.get_mut(*at)) {
                Some(earlier) => *earlier = line,
                None => {
                    index.insert(line.labels.clone(), series.len());
                    series.push(line);
                }
            }
        }
        if pending.is_some() {
            errors.push(NotationError {
                line: first + lines.len(),
                message: "@st line has no following sample line".to_owned(),
            });
        }
        Self {
            line: first,
            series,
        }
    }

    fn store(
        self,
        sink: &mut dyn Sink,
        with_custom_buckets: bool,
        errors: &mut Vec<NotationError>,
    ) {
        for SeriesLine {
            line,
            labels,
            samples,
        } in &self.series
        {
            let stored = samples.iter().try_for_each(|sample| {
                sink.sample(*line, labels, sample.start, sample.time, &sample.value)
            });
            errors.extend(stored.err().map(|message| NotationError {
                line: *line,
                message,
            }));
        }
        if !with_custom_buckets {
            return;
        }
        for (labels, histograms) in self.classic_histograms() {
            let stored = histograms.into_iter().try_for_each(|(time, classic)| {
                let histogram = classic
                    .convert()
                    .map_err(|error| format!("{labels}: {error}"))?;
                let value = Item::Histogram {
                    histogram: Arc::new(histogram),
                    hint_given: false,
                };
                sink.sample(self.line, &labels, 0, time, &value)
            });
            errors.extend(stored.err().map(|message| NotationError {
                line: self.line,
                message,
            }));
        }
    }

    fn classic_histograms(&self) -> BTreeMap<Labels, BTreeMap<i64, Classic>> {
        let mut histograms: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
        for SeriesLine {
            line: _,
            labels,
            samples,
        } in &self.series
        {
            let name = labels.metric_name();
            let part = if let Some(base) = name.strip_suffix("_bucket") {
                match gofmt::parse_float(labels.get(BUCKET_BOUND)) {
                    Some((bound, _)) if !bound.is_nan() => (base, Some(bound), true),
                    _ => continue,
                }
            } else if let Some(base) = name.strip_suffix("_count") {
                (base, None, true)
            } else if let Some(base) = name.strip_suffix("_sum") {
                (base, None, false)
            } else {
                continue;
            };
            let (base, bound, is_count) = part;
            let base = labels.with(METRIC_NAME, base).without_one(BUCKET_BOUND);
            let by_time = histograms.entry(base).or_default();
            for sample in samples {
                let Item::Float(value) = sample.value else {
                    continue;
                };
                let classic = by_time.entry(sample.time).or_default();
                match (bound, is_count) {
                    (Some(bound), _) => classic.buckets.push((bound, value)),
                    (None, true) => classic.count = Some(value),
                    (None, false) => classic.sum = value,
                }
            }
        }
        histograms
    }
}

/// The classic series of one histogram at one time.
#[derive(Default)]
struct Classic {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl Classic {
    fn convert(mut self) -> Result<Histogram, String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by(|a, b| a.0 == b.0);
        if let Some((bound, count)) = self.buckets.iter().find(|(_, count)| *count < 0.0) {
            return Err(format!(
                "bucket count must be non-negative: le={}, count={}",
                gofmt::format_g(*bound),
                gofmt::format_g(*count)
            ));
        }
        if let Some(pair) = self.buckets.windows(2).find(|pair| pair[1].1 < pair[0].1) {
            return Err(format!(
                "count is not cumulative: {} < {}",
                gofmt::format_g(pair[1].1),
                gofmt::format_g(pair[0].1)
            ));
        }
        let count = self
            .count
            .or(self.buckets.last().map(|(_, count)| *count))
            .unwrap_or(0.0);
        if self
            .buckets
            .last()
            .is_none_or(|(bound, _)| *bound != f64::INFINITY)
        {
            self.buckets.push((f64::INFINITY, count));
        }
        let last = self.buckets.last().map_or(0.0, |(_, count)| *count);
        if count != last {
            return Err(format!(
                "count mismatch: count={} != le=+Inf count={}",
                gofmt::format_g(count),
                gofmt::format_g(last)
            ));
        }
        let mut previous = 0.0;
        let mut positive = Vec::with_capacity(self.buckets.len());
        for (index, (_, cumulative)) in self.buckets.iter().enumerate() {
            positive.push(Bucket {
                index: index as i32,
                count: cumulative - previous,
            });
            previous = *cumulative;
        }
        let mut histogram = Histogram {
            schema: CUSTOM_SCHEMA,
            count,
            sum: self.sum,
            positive,
            custom_bounds: self
                .buckets
                .iter()
                .map(|(b, _)| *b)
                .filter(|b| b.is_finite())
                .collect(),
            ..Histogram::default()
        };
        histogram.compact();
        Ok(histogram)
    }
}

/// Reads a line of a `load` block; `None` for a line of start offsets, which become `pending`.
fn read_line(
    text: &str,
    line: usize,
    interval: i64,
    pending: &mut Option<(Labels, Vec<Option<i64>>)>,
) -> Result<Option<SeriesLine>, String> {
    if let Some((metric, offsets)) = start_line(text) {
        if pending.take().is_some() {
            return Err("@st line has no following sample line".to_owned());
        }
        let (labels, _) = parse_series(metric)?;
        *pending = Some((labels, parse_start_offsets(offsets)?));
        return Ok(None);
    }
    let starts = pending.take();
    let (labels, items) = parse_series(text)?;
    let offsets = match starts {
        Some((metric, _)) if metric != labels => {
            let message = "@st metric does not match the following sample line metric";
            return Err(message.to_owned());
        }
        Some((_, offsets)) if offsets.len() != items.len() => {
            return Err(format!(
                "@st line has {} values but sample line has {}",
                offsets.len(),
                items.len()
            ));
        }
        Some((_, offsets)) => offsets,
        None => Vec::new(),
    };
    let samples = items
        .into_iter()
        .enumerate()
        .filter(|(_, value)| *value != Item::Omitted)
        .map(|(i, value)| {
            let time = interval.saturating_mul(i as i64);
            let offset = offsets.get(i).copied().flatten();
            Sample {
                time,
                start: offset.map_or(0, |offset| time.saturating_add(offset)),
                value,
            }
        })
        .collect();
    Ok(Some(SeriesLine {
        line,
        labels,
        samples,
    }))
}

/// Splits `metric@st offsets`.
fn start_line(line: &str) -> Option<(&str, &str)> {
    let (head, rest) = line.split_once([' ', '\t'])?;
    Some((head.strip_suffix("@st")?, rest))
}

/// One offset an item, in milliseconds to the sample's time; `None` for `_`.
fn parse_start_offsets(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut offsets = Vec::new();
    for item in text.split_whitespace() {
        let bad = |reason: &str| format!("invalid ST item {}: {reason}", gofmt::quote(item));
        let repeat = |count: &str| -> Result<usize, String> {
            let count: usize = count.parse().map_err(|_| bad("invalid repeat count"))?;
            if count > MAX_ITEMS {
                Err(bad("too many values"))
            } else {
                Ok(count)
            }
        };
        if let Some(rest) = item.strip_prefix('_') {
            let count = match rest.strip_prefix('x') {
                Some(count) => repeat(count)?,
                None if rest.is_empty() => 1,
                None => return Err(bad("unexpected character after _")),
            };
            offsets.extend(std::iter::repeat_n(None, count));
            continue;
        }
        let (base, rest) = signed_duration(item).map_err(|e| bad(&e))?;
        let (delta, count) = if rest.is_empty() {
            (0, 0)
        } else if let Some(count) = rest.strip_prefix('x') {
            (0, repeat(count)?)
        } else {
            let negative = rest.starts_with('-');
            let step = rest
                .strip_prefix(['+', '-'])
                .ok_or_else(|| bad("unexpected character after duration"))?;
            let (delta, rest) = signed_duration(step).map_err(|e| bad(&e))?;
            let count = rest
                .strip_prefix('x')
                .ok_or_else(|| bad("expected 'x<count>' after step duration"))?;
            (if negative { -delta } else { delta }, repeat(count)?)
        };
        let mut offset = base;
        for _ in 0..=count {
            offsets.push(Some(offset));
            offset = offset.saturating_add(delta);
        }
    }
    Ok(offsets)
}

/// A signed duration at the start of the text, in milliseconds, and what follows it.
fn signed_duration(text: &str) -> Result<(i64, &str), String> {
    let negative = text.starts_with('-');
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = body.len() - body.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let unit = body[digits..].find(|c: char| !c.is_ascii_alphabetic() || c == 'x');
    let (number, rest) = body.split_at(unit.map_or(body.len(), |unit| digits + unit));
    let millis = duration::parse_millis(number)?;
    Ok((if negative { -millis } else { millis }, rest))
}

/// Reads a line `metric{labels} items`.
///
/// # Errors
/// What is wrong, with the column.
pub fn parse_series(line: &str) -> Result<(Labels, Vec<Item>), String> {
    let mut cursor = Cursor { text: line, at: 0 };
    let labels = cursor.metric()?;
    let mut items = Vec::new();
    while !cursor.rest().is_empty() {
        if cursor.take_while(char::is_whitespace).is_empty() {
            return Err(cursor.unexpected("series values", "a space between items"));
        }
        if !cursor.rest().is_empty() {
            cursor.item(&mut items)?;
        }
        if items.len() > MAX_ITEMS {
            return Err(format!("a series may have at most {MAX_ITEMS} items"));
        }
    }
    Ok((labels, items))
}

/// Reads the series `metric{labels}` at the start of the text, with Go's escapes in strings, and
/// gives the bytes it takes.
///
/// # Errors
/// What is wrong, with the column.
pub(crate) fn parse_metric(text: &str) -> Result<(Labels, usize), String> {
    let mut cursor = Cursor { text, at: 0 };
    let labels = cursor.metric()?;
    Ok((labels, cursor.at))
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn accept(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn unexpected(&self, place: &str, expected: &str) -> String {
        let found = self
            .peek()
            .map_or("end of line".to_owned(), |c| gofmt::quote_char(Some(c)));
        format!(
            "column {}: unexpected {found} in {place}, expected {expected}",
            self.at + 1
        )
    }

    fn metric(&mut self) -> Result<Labels, String> {
        let name = self.take_while(|c| c == '_' || c == ':' || c.is_ascii_alphanumeric());
        let mut pairs: Vec<(String, String)> = Vec::new();
        if self.accept("{") {
            self.label_set(&mut pairs)?;
        } else if name.is_empty() {
            return Err(self.unexpected("series description", "a metric"));
        }
        if !name.is_empty() {
            pairs.push((METRIC_NAME.to_owned(), name.to_owned()));
        }
        Ok(Labels::new(pairs))
    }

    fn label_set(&mut self, pairs: &mut Vec<(String, String)>) -> Result<(), String> {
        const PLACE: &str = "label set";
        loop {
            self.take_while(char::is_whitespace);
            if self.accept("}") {
                return Ok(());
            }
            let quoted = matches!(self.peek(), Some('"' | '\'' | '`'));
            let name = if quoted {
                self.string()?
            } else {
                self.take_while(|c| c == '_' || c.is_ascii_alphanumeric())
                    .to_owned()
            };
            if name.is_empty() && !quoted {
                return Err(self.unexpected(PLACE, "identifier or \"}\""));
            }
            self.take_while(char::is_whitespace);
            if self.accept("=") {
                self.take_while(char::is_whitespace);
                pairs.push((name, self.string()?));
            } else if quoted {
                pairs.push((METRIC_NAME.to_owned(), name));
            } else {
                return Err(self.unexpected(PLACE, "\"=\""));
            }
            self.take_while(char::is_whitespace);
            if !self.accept(",") && self.peek() != Some('}') {
                return Err(self.unexpected(PLACE, "\",\" or \"}\""));
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let Some(quote @ ('"' | '\'' | '`')) = self.peek() else {
            return Err(self.unexpected("label set", "string"));
        };
        let mut escaped = false;
        let end = self.rest().char_indices().skip(1).find(|(_, c)| {
            let closes = *c == quote && !escaped;
            escaped = *c == '\\' && !escaped && quote != '`';
            closes
        });
        let literal = end.map(|(end, _)| &self.rest()[..=end]);
        match literal.and_then(|literal| Some((literal.len(), gofmt::unquote(literal)?))) {
            Some((length, text)) => {
                self.at += length;
                Ok(text)
            }
            None => Err(self.unexpected("label set", "a well-formed string")),
        }
    }

    fn item(&mut self, items: &mut Vec<Item>) -> Result<(), String> {
        const PLACE: &str = "series values";
        match self.peek() {
            Some('_') => {
                self.at += 1;
                let count = if self.accept("x") { self.count()? } else { 1 };
                items.extend(std::iter::repeat_n(Item::Omitted, count));
            }
            Some('{') => self.histogram_items(items)?,
            Some(c) if c.is_ascii_alphabetic() => {
                let start = self.at;
                let word = self.take_while(|c| c == '_' || c == ':' || c.is_ascii_alphanumeric());
                let value = match word.to_ascii_lowercase().as_str() {
                    "inf" => f64::INFINITY,
                    "nan" => f64::NAN,
                    _ if word == "stale" => stale_marker(),
                    _ => {
                        self.at = start;
                        return Err(self.unexpected(PLACE, "number or \"stale\""));
                    }
                };
                items.push(Item::Float(value));
            }
            Some(c) if c.is_ascii_digit() || matches!(c, '.' | '+' | '-') => {
                self.float_items(items)?
            }
            Some(_) | None => return Err(self.unexpected(PLACE, "an item")),
        }
        Ok(())
    }

    fn float_items(&mut self, items: &mut Vec<Item>) -> Result<(), String> {
        let mut value = self.signed_number()?;
        let step = match self.peek() {
            Some('+' | '-') => self.signed_number()?,
            _ => 0.0,
        };
        let stepped = step != 0.0;
        if self.accept("x") {
            for _ in 0..=self.count()? {
                items.push(Item::Float(value));
                value += step;
            }
        } else if stepped {
            return Err(self.unexpected("series values", "'x' and a count"));
        } else {
            items.push(Item::Float(value));
        }
        Ok(())
    }

    fn signed_number(&mut self) -> Result<f64, String> {
        let negative = self.accept("-");
        if !negative {
            self.accept("+");
        }
        let start = self.at;
        if self.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            self.take_while(|c| c.is_ascii_alphabetic());
        } else {
            self.take_while(|c| c.is_ascii_digit() || c == '.' || c == '_');
            if matches!(self.peek(), Some('e' | 'E')) {
                self.at += 1;
                if matches!(self.peek(), Some('+' | '-')) {
                    self.at += 1;
                }
                self.take_while(|c| c.is_ascii_digit());
            }
        }
        let text = &self.text[start..self.at];
        match gofmt::parse_number(text) {
            Ok(value) => Ok(if negative { -value } else { value }),
            Err(error) => Err(format!(
                "column {}: error parsing number: {error}",
                start + 1
            )),
        }
    }

    fn count(&mut self) -> Result<usize, String> {
        let start = self.at;
        let digits = self.take_while(|c| c.is_ascii_digit());
        match digits.parse::<usize>() {
            Ok(count) if count <= MAX_ITEMS => Ok(count),
            Ok(_) => Err(format!(
                "column {}: more than {MAX_ITEMS} repetitions",
                start + 1
            )),
            Err(_) => Err(format!(
                "column {}: invalid repetition in series values",
                start + 1
            )),
        }
    }

    fn histogram_items(&mut self, items: &mut Vec<Item>) -> Result<(), String> {
        let (base, hint_given) = self.histogram()?;
        let mut push = |histogram: Arc<Histogram>, hint_given| {
            items.push(Item::Histogram {
                histogram,
                hint_given,
            });
        };
        let base = Arc::new(base);
        match self.peek() {
            Some('x') => {
                self.at += 1;
                for _ in 0..=self.count()? {
                    push(Arc::clone(&base), hint_given);
                }
            }
            Some(sign @ ('+' | '-')) => {
                self.at += 1;
                let (step, hint_given) = self.histogram()?;
                if !self.accept("x") {
                    return Err(self.unexpected("series values", "'x' and a count"));
                }
                let mut current = base;
                for i in 0..=self.count()? {
                    if i > 0 {
                        if current.schema > step.schema {
                            return Err(format!(
                                "error combining histograms: cannot merge from schema {} to {}",
                                step.schema, current.schema
                            ));
                        }
                        let mut next = Histogram::clone(&current);
                        let combined = if sign == '+' {
                            next.add(&step)
                        } else {
                            next.subtract(&step)
                        };
                        if combined.is_err() {
                            return Err(
                                "error combining histograms: exponential and custom buckets"
                                    .to_owned(),
                            );
                        }
                        current = Arc::new(next);
                    }
                    push(Arc::clone(&current), hint_given);
                }
            }
            _ => push(base, hint_given),
        }
        Ok(())
    }

    /// `{{key:value ...}}`; also tells whether a reset hint is given.
    fn histogram(&mut self) -> Result<(Histogram, bool), String> {
        const PLACE: &str = "histogram description";
        if !self.accept("{{") {
            return Err(self.unexpected(PLACE, "\"{{\""));
        }
        let mut histogram = Histogram::default();
        let mut seen: Vec<&str> = Vec::new();
        let (mut offset, mut negative_offset) = (0, 0);
        let (mut buckets, mut negative_buckets) = (Vec::new(), Vec::new());
        loop {
            self.take_while(char::is_whitespace);
            if self.accept("}}") {
                break;
            }
            let key = self.take_while(|c| c == '_' || c.is_ascii_alphabetic());
            if seen.contains(&key) {
                return Err(format!("duplicate key {} in histogram", gofmt::quote(key)));
            }
            seen.push(key);
            if !self.accept(":") {
                return Err(
                    self.unexpected(PLACE, "histogram description key, e.g. buckets:[5 10 7]")
                );
            }
            match key {
                "schema" => histogram.schema = self.integer()? as i32,
                "count" => histogram.count = self.signed_number()?,
                "sum" => histogram.sum = self.signed_number()?,
                "z_bucket" => histogram.zero_count = self.signed_number()?,
                "z_bucket_w" => histogram.zero_threshold = self.signed_number()?,
                "offset" => offset = self.integer()?,
                "n_offset" => negative_offset = self.integer()?,
                "buckets" => buckets = self.numbers()?,
                "n_buckets" => negative_buckets = self.numbers()?,
                "custom_values" => histogram.custom_bounds = Arc::from(self.numbers()?),
                "counter_reset_hint" => {
                    histogram.hint = match self.take_while(|c| c == '_' || c.is_ascii_alphabetic())
                    {
                        "unknown" => ResetHint::Unknown,
                        "reset" => ResetHint::Reset,
                        "not_reset" => ResetHint::NotReset,
                        "gauge" => ResetHint::Gauge,
                        other => {
                            return Err(format!(
                                "unknown counter reset hint {}",
                                gofmt::quote(other)
                            ));
                        }
                    };
                }
                other => {
                    return Err(format!(
                        "bad histogram descriptor found: {}",
                        gofmt::quote(other)
                    ));
                }
            }
        }
        let side = |offset: i64, counts: Vec<f64>| -> Vec<Bucket> {
            (offset..)
                .zip(counts)
                .map(|(index, count)| Bucket {
                    index: index as i32,
                    count,
                })
                .collect()
        };
        histogram.positive = side(offset, buckets);
        histogram.negative = side(negative_offset, negative_buckets);
        let known_schema = (-4..=8).contains(&histogram.schema) || histogram.uses_custom_buckets();
        if !known_schema {
            return Err(format!(
                "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, \
                 or -53 for custom buckets, got schema {}",
                histogram.schema
            ));
        }
        Ok((histogram, seen.contains(&"counter_reset_hint")))
    }

    fn integer(&mut self) -> Result<i64, String> {
        let start = self.at;
        self.accept("-");
        self.take_while(|c| c.is_ascii_digit());
        match self.text[start..self.at].parse::<i64>() {
            Ok(value) if value.abs() <= MAX_BUCKET_INDEX => Ok(value),
            _ => Err(format!("column {}: not an integer in range", start + 1)),
        }
    }

    fn numbers(&mut self) -> Result<Vec<f64>, String> {
        if !self.accept("[") {
            return Err(self.unexpected("histogram description", "\"[\""));
        }
        let mut numbers = Vec::new();
        loop {
            self.take_while(char::is_whitespace);
            if self.accept("]") {
                return Ok(numbers);
            }
            numbers.push(self.signed_number()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(line: &str) -> Vec<Option<f64>> {
        let (_, items) = parse_series(line).unwrap();
        items
            .into_iter()
            .map(|item| match item {
                Item::Float(value) => Some(value),
                Item::Omitted | Item::Histogram { .. } => None,
            })
            .collect()
    }

    #[test]
    fn sequences_expand() {
        assert_eq!(
            floats("m 1 -2.5 1e3 .5 1_000"),
            [1.0, -2.5, 1000.0, 0.5, 1000.0].map(Some)
        );
        assert_eq!(floats("m 1x3"), [Some(1.0); 4]);
        assert_eq!(
            floats("m 1x0 _x2 -1-2x2"),
            [Some(1.0), None, None, Some(-1.0), Some(-3.0), Some(-5.0)]
        );
        assert_eq!(floats("m 0x3"), [Some(0.0); 4]);
        assert_eq!(floats("m 0.1+0.1x3")[2], Some(0.1 + 0.1 + 0.1));
        assert_eq!(
            floats("m +Inf -Inf"),
            [Some(f64::INFINITY), Some(f64::NEG_INFINITY)]
        );
        for bad in [
            "m NaNx2",
            "m 1+-2x2",
            "m stalex3",
            "m Infx1",
            "m 1 # no",
            "m 1+1",
            "m{a=} 1",
            "{a 1",
        ] {
            assert!(parse_series(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn histograms_are_read() {
        let line = "{\"m\", \"a b\"=\"c\"} {{schema:1 count:3 sum:2 buckets:[1 2] offset:-1}}+{{schema:1 count:1 buckets:[1]}}x1";
        let (labels, items) = parse_series(line).unwrap();
        assert_eq!(labels.to_string(), r#"{__name__="m", "a b"="c"}"#);
        let Some(Item::Histogram {
            histogram,
            hint_given: false,
        }) = items.get(1)
        else {
            panic!("{items:?}");
        };
        assert_eq!(
            histogram.to_notation(),
            "{{schema:1 count:4 sum:2 offset:-1 buckets:[1 3]}}"
        );
    }
}
