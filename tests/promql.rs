//! Suite `promql`: Prometheus' own test scripts and recorded queries, run on our engine.
//!
//! The folder is read from `ROLLPROOF_PROMQL`, by default `../shared/promql`. With
//! `ROLLPROOF_PROMQL_VERBOSE` set every failure is listed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regex::Regex;
use rollproof::promql::ast::{At, Expr, ExprKind};
use rollproof::promql::eval::{Sample, SampleValue, Series};
use rollproof::promql::functions::FunctionId;
use rollproof::promql::histogram::{Bucket, Histogram};
use rollproof::promql::labels::Labels;
use rollproof::promql::notation::{self, Item};
use rollproof::promql::{
    Engine, Outcome, Settings, Store, Value, almost_equal, duration, gofmt, parse,
};
use serde_json::Value as Json;

/// Evals and rows that must pass with the default folder.
const RATCHET: usize = 4433;
/// Tolerance of the test scripts, relative.
const SCRIPT_TOLERANCE: f64 = 1e-6;
/// Tolerance for recorded values, relative.
const RECORDED_TOLERANCE: f64 = 1e-9;

fn folder() -> (PathBuf, bool) {
    match std::env::var_os("ROLLPROOF_PROMQL") {
        Some(folder) => (PathBuf::from(folder), false),
        None => (
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/promql"),
            true,
        ),
    }
}

#[derive(Default)]
struct Score {
    passed: usize,
    total: usize,
    failures: Vec<(String, String)>,
}

impl Score {
    fn record(&mut self, id: String, result: Result<(), String>) {
        self.total += 1;
        match result {
            Ok(()) => self.passed += 1,
            Err(reason) => self.failures.push((id, reason)),
        }
    }
}

#[test]
fn promql() {
    let (folder, is_default) = folder();
    if !folder.is_dir() {
        println!("promql: skipped, there is no folder {}", folder.display());
        return;
    }
    let exceptions: BTreeMap<&str, &str> = include_str!("promql_exceptions.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "))
        .collect();
    let mut scores: Vec<(String, Score)> = Vec::new();
    let mut scripts: Vec<PathBuf> = fs::read_dir(folder.join("testdata"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    scripts.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "test")
    });
    scripts.sort();
    for path in scripts {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let text = fs::read_to_string(&path).expect("a readable script");
        scores.push((name.clone(), run_script(&name, &text)));
    }
    for name in ["probes.jsonl", "realistic.jsonl", "random.jsonl"] {
        if let Ok(text) = fs::read_to_string(folder.join(name)) {
            scores.push((name.to_owned(), run_recorded(&text)));
        }
    }
    let verbose = std::env::var_os("ROLLPROOF_PROMQL_VERBOSE").is_some();
    let (mut passed, mut total) = (0, 0);
    let mut unexpected = Vec::new();
    for (name, score) in &scores {
        println!("promql: {name}: {} of {}", score.passed, score.total);
        passed += score.passed;
        total += score.total;
        for (id, reason) in &score.failures {
            if verbose {
                println!("promql: FAIL {id}: {reason}");
            }
            if !exceptions.contains_key(id.as_str()) {
                unexpected.push(id.clone());
            }
        }
    }
    println!("promql: passed {passed} of {total}");
    if is_default {
        assert!(
            passed >= RATCHET,
            "{passed} passed, {RATCHET} must; not in the list of exceptions: {unexpected:?}"
        );
    }
}

/// Every query of the folder.
fn corpus(folder: &Path) -> Vec<String> {
    let eval = Regex::new(
        r"^\s*eval\S*\s+(?:instant\s+(?:at\s+\S+\s+)?|range\s+from\s+\S+\s+to\s+\S+\s+step\s+\S+\s+)(.+)$",
    )
    .unwrap();
    let mut queries = BTreeSet::new();
    let files = [folder.to_path_buf(), folder.join("testdata")];
    for path in files
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .flatten()
        .map(|e| e.path())
    {
        let text = match path.extension().and_then(|extension| extension.to_str()) {
            Some("test" | "jsonl") => fs::read_to_string(&path).expect("a readable file"),
            _ => continue,
        };
        for line in text.lines() {
            if let Some(parts) = eval.captures(line) {
                queries.insert(parts[1].trim().to_owned());
            } else if let Ok(row) = serde_json::from_str::<Json>(line) {
                queries.extend(row["query"].as_str().map(str::to_owned));
            }
        }
    }
    queries.into_iter().collect()
}

/// Wherever the crate `promql-parser` reads a query, we do too, and what we print means the same
/// to it.
#[test]
fn promql_differential() {
    let (folder, _) = folder();
    if !folder.is_dir() {
        println!(
            "promql_differential: skipped, there is no folder {}",
            folder.display()
        );
        return;
    }
    let (mut passed, mut total) = (0, 0);
    let mut failures = Vec::new();
    for query in corpus(&folder) {
        // The crate may panic; that is not ours to judge.
        let theirs = std::panic::catch_unwind(|| promql_parser::parser::parse(&query));
        let Ok(Ok(theirs)) = theirs else {
            continue;
        };
        total += 1;
        let ours = parse(&query).map(|expr| expr.to_string());
        let again = ours
            .as_ref()
            .ok()
            .map(|text| promql_parser::parser::parse(text));
        match (ours, again) {
            (Ok(_), Some(Ok(again))) if again.to_string() == theirs.to_string() => passed += 1,
            (ours, again) => {
                let again = again.map(|again| again.map(|expr| expr.to_string()));
                failures.push(format!("{query}: {ours:?}, {again:?}, expected {theirs}"));
            }
        }
    }
    println!("promql_differential: passed {passed} of {total}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

// Test scripts.

struct Eval {
    line: usize,
    query: String,
    /// Start, end and step of a range query; all equal and step 0 for an instant.
    times: (i64, i64, i64),
    is_range: bool,
    ordered: bool,
    fails: Option<Expectation>,
    warnings: Vec<Expectation>,
    infos: Vec<Expectation>,
    needs_warning: bool,
    needs_info: bool,
    no_warnings: bool,
    no_infos: bool,
    /// Where the values of an expected range vector stand.
    range_vector: Option<(i64, i64, i64)>,
    text: Option<String>,
    scalar: Option<f64>,
    series: Vec<(Labels, Vec<Item>)>,
}

enum Expectation {
    Any,
    Text(String),
    Pattern(Regex),
}

impl Expectation {
    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Text(expected) => expected == text,
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

fn millis(text: &str) -> i64 {
    duration::parse_millis(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn run_script(name: &str, text: &str) -> Score {
    let instant =
        Regex::new(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$")
            .unwrap();
    let range = Regex::new(
        r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$",
    )
    .unwrap();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .map(|line| if line.starts_with('#') { "" } else { line })
        .collect();
    let mut store = Store::new();
    let mut score = Score::default();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let body = lines[at + 1..]
            .iter()
            .take_while(|line| !line.is_empty())
            .count();
        let command = line
            .split_whitespace()
            .next()
            .unwrap_or("")
            .to_ascii_lowercase();
        if command == "clear" {
            store.clear();
            at += 1;
        } else if command.starts_with("load") {
            let block = lines[at..=at + body].join("\n");
            if let Err(error) = notation::load(&mut store, &block) {
                score.record(format!("{name}:{}", at + 1), Err(format!("load: {error}")));
            }
            at += 1 + body;
        } else if command.starts_with("eval") {
            let mut eval = Eval {
                line: at + 1,
                query: String::new(),
                times: (0, 0, 0),
                is_range: false,
                ordered: false,
                fails: None,
                warnings: Vec::new(),
                infos: Vec::new(),
                needs_warning: false,
                needs_info: false,
                no_warnings: false,
                no_infos: false,
                range_vector: None,
                text: None,
                scalar: None,
                series: Vec::new(),
            };
            let suffix;
            if let Some(parts) = instant.captures(line) {
                let time = parts.get(2).map_or(0, |time| millis(time.as_str()));
                eval.times = (time, time, 0);
                eval.query = parts[3].to_owned();
                suffix = parts.get(1).map_or("", |m| m.as_str());
            } else if let Some(parts) = range.captures(line) {
                eval.times = (millis(&parts[2]), millis(&parts[3]), millis(&parts[4]));
                eval.query = parts[5].to_owned();
                eval.is_range = true;
                suffix = parts.get(1).map_or("", |m| m.as_str());
            } else {
                panic!("{name}:{}: {line}", at + 1);
            }
            match suffix {
                "fail" => eval.fails = Some(Expectation::Any),
                "warn" => eval.needs_warning = true,
                "info" => eval.needs_info = true,
                "ordered" => eval.ordered = true,
                _ => {}
            }
            let expected = lines[at + 1..=at + body].iter();
            let result = expected
                .map(|line| eval.expect(line))
                .collect::<Result<Vec<()>, String>>();
            score.record(
                format!("{name}:{}", eval.line),
                result.and_then(|_| eval.run(&store)),
            );
            at += 1 + body;
        } else {
            assert!(command.is_empty(), "{name}:{}: {line}", at + 1);
            at += 1;
        }
    }
    score
}

impl Eval {
    /// Reads one line of what is expected.
    fn expect(&mut self, line: &str) -> Result<(), String> {
        if let Some(message) = line.strip_prefix("expected_fail_message") {
            self.fails = Some(Expectation::Text(message.trim().to_owned()));
            return Ok(());
        }
        if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
            self.fails = Some(Expectation::Pattern(Regex::new(pattern.trim()).unwrap()));
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix("expect range vector from ") {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let range = (millis(words[0]), millis(words[2]), millis(words[4]));
            self.range_vector = Some(range);
            // The query is evaluated at the end of the range.
            self.times = (range.1, range.1, 0);
            return Ok(());
        }
        if let Some(text) = line.strip_prefix("expect string ") {
            self.text = Some(gofmt::unquote(text).ok_or("a bad string")?);
            return Ok(());
        }
        if line.split(' ').next() == Some("expect") {
            let rest = line["expect".len()..].trim();
            let (mode, condition) = rest.split_once(' ').unwrap_or((rest, ""));
            let condition = condition.trim();
            let expectation = if let Some(text) = condition.strip_prefix("msg:") {
                Expectation::Text(text.trim().to_owned())
            } else if let Some(pattern) = condition.strip_prefix("regex:") {
                Expectation::Pattern(Regex::new(pattern.trim()).unwrap())
            } else {
                Expectation::Any
            };
            match mode {
                "fail" => self.fails = Some(expectation),
                "warn" => self.warnings.push(expectation),
                "info" => self.infos.push(expectation),
                "no_warn" => self.no_warnings = true,
                "no_info" => self.no_infos = true,
                "ordered" => self.ordered = true,
                other => return Err(format!("expect {other}")),
            }
            return Ok(());
        }
        if let Ok(value) = gofmt::parse_number(line) {
            self.scalar = Some(value);
            return Ok(());
        }
        self.series.push(notation::parse_series(line)?);
        Ok(())
    }

    fn run(&self, store: &Store) -> Result<(), String> {
        let engine = Engine::new(Settings::promqltest());
        let (start, end, step) = self.times;
        if self.is_range {
            let outcome = parse(&self.query)
                .map_err(|e| e.to_string())
                .and_then(|expr| {
                    engine
                        .range(store, &expr, start, end, step)
                        .map_err(|e| e.to_string())
                });
            return self.check(outcome);
        }
        self.run_instant(&engine, store, &self.query, start)?;
        let Ok(mut expr) = parse(&self.query) else {
            return Ok(());
        };
        if pin_to(&mut expr, start, false) {
            return Ok(());
        }
        let pinned = expr.to_string();
        let times = if start == 0 {
            vec![-1000, 0, 1000]
        } else {
            vec![-10 * start, 0, start / 5, start, 10 * start]
        };
        for time in times {
            self.run_instant(&engine, store, &pinned, time)
                .map_err(|e| format!("{pinned} at {time}: {e}"))?;
        }
        Ok(())
    }

    fn run_instant(
        &self,
        engine: &Engine,
        store: &Store,
        query: &str,
        time: i64,
    ) -> Result<(), String> {
        let expr = match parse(query) {
            Ok(expr) => expr,
            Err(error) => return self.check(Err(error.to_string())),
        };
        let outcome = engine
            .instant(store, &expr, time)
            .map_err(|error| error.to_string());
        let is_scalar = matches!(
            outcome,
            Ok(Outcome {
                value: Value::Scalar(_),
                ..
            })
        );
        let failed = outcome.is_err();
        self.check(outcome)?;
        let depends_on_times = ["start()", "end()", "range()", "step()"]
            .iter()
            .any(|call| query.contains(call));
        if failed || self.range_vector.is_some() || self.text.is_some() || depends_on_times {
            return Ok(());
        }
        let ranged = engine
            .range(store, &expr, time - 60_000, time + 60_000, 60_000)
            .map_err(|error| format!("in range mode: {error}"))?;
        let Value::Matrix(series) = ranged.value else {
            return Err("no matrix in range mode".to_owned());
        };
        if self.ordered {
            return Ok(());
        }
        let samples: Vec<Sample> = series
            .iter()
            .filter_map(|one| {
                let float = one
                    .floats
                    .iter()
                    .find(|p| p.time == time)
                    .map(|p| SampleValue::Float(p.value));
                let histogram = one.histograms.iter().find(|p| p.time == time);
                let value =
                    float.or(histogram.map(|p| SampleValue::Histogram(Arc::clone(&p.histogram))))?;
                Some(Sample {
                    labels: one.labels.clone(),
                    value,
                })
            })
            .collect();
        let value = match samples.first() {
            Some(Sample {
                labels: _,
                value: SampleValue::Float(value),
            }) if is_scalar => Value::Scalar(*value),
            _ => Value::Vector(samples),
        };
        self.check_value(&value)
            .map_err(|error| format!("in range mode: {error}"))
    }

    fn check(&self, outcome: Result<Outcome, String>) -> Result<(), String> {
        match (&self.fails, outcome) {
            (Some(expected), Err(error)) if expected.fits(&error) => Ok(()),
            (Some(_), Err(error)) => Err(format!("another error: {error}")),
            (Some(_), Ok(_)) => Err("no error".to_owned()),
            (None, Err(error)) => Err(format!("error: {error}")),
            (None, Ok(outcome)) => {
                self.check_annotations(&outcome)?;
                self.check_value(&outcome.value)
            }
        }
    }

    fn check_annotations(&self, outcome: &Outcome) -> Result<(), String> {
        for (expected, got, needed, none, kind) in [
            (
                &self.warnings,
                &outcome.warnings,
                self.needs_warning,
                self.no_warnings,
                "warnings",
            ),
            (
                &self.infos,
                &outcome.infos,
                self.needs_info,
                self.no_infos,
                "infos",
            ),
        ] {
            let missing = expected
                .iter()
                .any(|e| !got.iter().any(|text| e.fits(text)));
            let extra = !expected.is_empty()
                && got
                    .iter()
                    .any(|text| !expected.iter().any(|e| e.fits(text)));
            if missing || extra || (needed && got.is_empty()) || (none && !got.is_empty()) {
                return Err(format!("{kind}: {got:?}"));
            }
        }
        Ok(())
    }

    fn check_value(&self, value: &Value) -> Result<(), String> {
        match value {
            Value::String(text) => {
                if self.text.as_ref() == Some(text) {
                    Ok(())
                } else {
                    Err(format!("string {text:?}"))
                }
            }
            Value::Scalar(value) => match self.scalar {
                Some(expected) if almost_equal(expected, *value, SCRIPT_TOLERANCE) => Ok(()),
                expected => Err(format!("scalar {value}, expected {expected:?}")),
            },
            Value::Vector(samples) => self.check_vector(samples),
            Value::Matrix(series) => self.check_matrix(series),
        }
    }

    fn check_vector(&self, samples: &[Sample]) -> Result<(), String> {
        if self.scalar.is_some() {
            return Err("a vector, not a scalar".to_owned());
        }
        let shown = || {
            samples.iter().fold(String::new(), |mut out, sample| {
                let _ = match &sample.value {
                    SampleValue::Float(value) => write!(out, " {} {value}", sample.labels),
                    SampleValue::Histogram(h) => {
                        write!(out, " {} {}", sample.labels, h.to_notation())
                    }
                };
                out
            })
        };
        for (i, sample) in samples.iter().enumerate() {
            let Some(position) = self
                .series
                .iter()
                .position(|(labels, _)| *labels == sample.labels)
            else {
                return Err(format!("unexpected series in{}", shown()));
            };
            if self.ordered && position != i {
                return Err(format!("order:{}", shown()));
            }
            let fits = match (&sample.value, self.series[position].1.first()) {
                (SampleValue::Float(value), Some(Item::Float(expected))) => {
                    almost_equal(*expected, *value, SCRIPT_TOLERANCE)
                }
                (
                    SampleValue::Histogram(h),
                    Some(Item::Histogram {
                        histogram,
                        hint_given,
                    }),
                ) => same_histogram(histogram, h, *hint_given, SCRIPT_TOLERANCE),
                _ => false,
            };
            if !fits {
                return Err(format!("value:{}", shown()));
            }
        }
        if samples.len() != self.series.len() {
            return Err(format!("missing series, got{}", shown()));
        }
        Ok(())
    }

    fn check_matrix(&self, series: &[Series]) -> Result<(), String> {
        if self.scalar.is_some() {
            return Err("a matrix, not a scalar".to_owned());
        }
        if series
            .windows(2)
            .any(|pair| pair[0].labels > pair[1].labels)
        {
            return Err("not sorted".to_owned());
        }
        let (start, _, step) = self.range_vector.unwrap_or(self.times);
        for one in series {
            let Some((_, items)) = self.series.iter().find(|(labels, _)| *labels == one.labels)
            else {
                return Err(format!("unexpected series {}", one.labels));
            };
            let mut floats = Vec::new();
            let mut histograms = Vec::new();
            for (i, item) in items.iter().enumerate() {
                let time = start + i as i64 * step;
                match item {
                    Item::Omitted => {}
                    Item::Float(value) => floats.push((time, *value)),
                    Item::Histogram {
                        histogram,
                        hint_given,
                    } => histograms.push((time, histogram, *hint_given)),
                }
            }
            let same = floats.len() == one.floats.len()
                && histograms.len() == one.histograms.len()
                && floats.iter().zip(&one.floats).all(|((time, value), got)| {
                    *time == got.time && almost_equal(*value, got.value, SCRIPT_TOLERANCE)
                })
                && histograms.iter().zip(&one.histograms).all(
                    |((time, histogram, hint_given), got)| {
                        *time == got.time
                            && same_histogram(
                                histogram,
                                &got.histogram,
                                *hint_given,
                                SCRIPT_TOLERANCE,
                            )
                    },
                );
            if !same {
                let got: Vec<(i64, f64)> = one.floats.iter().map(|p| (p.time, p.value)).collect();
                let got_histograms: Vec<(i64, String)> = one
                    .histograms
                    .iter()
                    .map(|p| (p.time, p.histogram.to_notation()))
                    .collect();
                return Err(format!("{}: {got:?} {got_histograms:?}", one.labels));
            }
        }
        match self
            .series
            .iter()
            .find(|(labels, _)| !series.iter().any(|one| one.labels == *labels))
        {
            Some((labels, _)) => Err(format!("missing series {labels}")),
            None => Ok(()),
        }
    }
}

/// Puts `@ time` on every selector and subquery that has no time. `true` if the expression
/// contains a call that depends on the evaluation time all the same.
fn pin_to(expr: &mut Expr, time: i64, inside_pinned: bool) -> bool {
    let pin = |at: &mut Option<At>| {
        if !inside_pinned && !matches!(at, Some(At::Time(_))) {
            *at = Some(At::Time(time));
        }
    };
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => false,
        ExprKind::Vector(selector) => {
            pin(&mut selector.modifiers.at);
            false
        }
        ExprKind::Matrix(matrix) => {
            pin(&mut matrix.selector.modifiers.at);
            false
        }
        ExprKind::Subquery(subquery) => {
            pin(&mut subquery.modifiers.at);
            pin_to(&mut subquery.expr, time, true)
        }
        ExprKind::Paren(inner)
        | ExprKind::Unary {
            negative: _,
            expr: inner,
        } => pin_to(inner, time, inside_pinned),
        ExprKind::Binary(binary) => {
            pin_to(&mut binary.lhs, time, inside_pinned)
                | pin_to(&mut binary.rhs, time, inside_pinned)
        }
        ExprKind::Aggregate(aggregate) => {
            let parameter = aggregate
                .parameter
                .as_mut()
                .is_some_and(|p| pin_to(p, time, inside_pinned));
            pin_to(&mut aggregate.expr, time, inside_pinned) | parameter
        }
        ExprKind::Call(call) => {
            let args: Vec<bool> = call
                .args
                .iter_mut()
                .map(|arg| pin_to(arg, time, inside_pinned))
                .collect();
            let unsafe_call = matches!(
                call.function.id,
                FunctionId::DaysInMonth
                    | FunctionId::DayOfMonth
                    | FunctionId::DayOfWeek
                    | FunctionId::DayOfYear
                    | FunctionId::End
                    | FunctionId::Hour
                    | FunctionId::Minute
                    | FunctionId::Month
                    | FunctionId::Year
                    | FunctionId::PredictLinear
                    | FunctionId::Range
                    | FunctionId::Start
                    | FunctionId::Step
                    | FunctionId::Time
                    | FunctionId::Timestamp
            );
            // Inside a pinned subquery the reference does not look at calls any more.
            (unsafe_call && !inside_pinned) | args.contains(&true)
        }
    }
}

fn same_histogram(expected: &Histogram, got: &Histogram, with_hint: bool, tolerance: f64) -> bool {
    let side = |buckets: &[Bucket]| -> Vec<Bucket> {
        buckets
            .iter()
            .filter(|bucket| bucket.count != 0.0)
            .copied()
            .collect()
    };
    let same_side = |a: &[Bucket], b: &[Bucket]| {
        let (a, b) = (side(a), side(b));
        a.len() == b.len()
            && a.iter()
                .zip(&b)
                .all(|(a, b)| a.index == b.index && almost_equal(a.count, b.count, tolerance))
    };
    expected.schema == got.schema
        && almost_equal(expected.count, got.count, tolerance)
        && almost_equal(expected.sum, got.sum, tolerance)
        && expected.custom_bounds == got.custom_bounds
        && expected.zero_threshold == got.zero_threshold
        && almost_equal(expected.zero_count, got.zero_count, tolerance)
        && same_side(&expected.positive, &got.positive)
        && same_side(&expected.negative, &got.negative)
        && (!with_hint || expected.hint == got.hint)
}

// Recorded queries.

fn run_recorded(text: &str) -> Score {
    let mut score = Score::default();
    for line in text.lines() {
        let row: Json = serde_json::from_str(line).expect("a JSON row");
        score.record(row["id"].as_str().unwrap_or("").to_owned(), run_row(&row));
    }
    score
}

fn run_row(row: &Json) -> Result<(), String> {
    let query = row["query"].as_str().unwrap_or("");
    let mut store = Store::new();
    notation::load(&mut store, row["load"].as_str().unwrap_or(""))
        .map_err(|e| format!("load: {e}"))?;
    let tags: BTreeSet<&str> = row["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    let test_settings = Settings {
        max_samples: 50_000_000,
        ..Settings::promqltest()
    };
    compare_row(row, row, query, &store, test_settings, &tags)
        .map_err(|e| format!("{query}: {e}"))?;
    let stock = Settings {
        delayed_name_removal: false,
        ..test_settings
    };
    let expected = row.get("default_engine").unwrap_or(row);
    compare_row(row, expected, query, &store, stock, &tags)
        .map_err(|e| format!("{query}: stock settings: {e}"))
}

fn compare_row(
    row: &Json,
    expected: &Json,
    query: &str,
    store: &Store,
    settings: Settings,
    tags: &BTreeSet<&str>,
) -> Result<(), String> {
    let engine = Engine::new(settings);
    let number = |key: &str| row[key].as_i64().unwrap_or(0);
    let (stage, result) = match parse(query) {
        Err(error) => ("parse", Err(error.to_string())),
        Ok(expr) => {
            // What the printer writes means the same.
            let printed = expr.to_string();
            match parse(&printed) {
                Ok(again) if again.to_string() == printed => {}
                Ok(again) => return Err(format!("printed as {printed}, then as {again}")),
                Err(error) => return Err(format!("printed as {printed}: {error}")),
            }
            let outcome = if row.get("time").is_some() {
                engine.instant(store, &expr, number("time"))
            } else {
                engine.range(store, &expr, number("start"), number("end"), number("step"))
            };
            ("exec", outcome.map_err(|error| error.to_string()))
        }
    };
    let outcome = match (result, expected.get("error").and_then(Json::as_str)) {
        (Err(got), Some(error)) => {
            let same_stage = expected["stage"].as_str() == Some(stage);
            return if same_stage && (got == error || tags.contains("error_text_varies")) {
                Ok(())
            } else {
                Err(format!("{stage} error {got:?}, expected {error:?}"))
            };
        }
        (Err(got), None) => return Err(format!("error {got}")),
        (Ok(_), Some(error)) => return Err(format!("no error, expected {error}")),
        (Ok(outcome), None) => outcome,
    };
    for (key, got) in [("warnings", &outcome.warnings), ("infos", &outcome.infos)] {
        let mut want: Vec<&str> = expected
            .get(key)
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        want.sort_unstable();
        let mut got: Vec<&str> = got.iter().map(String::as_str).collect();
        got.sort_unstable();
        if want != got {
            return Err(format!("{key} {got:?}, expected {want:?}"));
        }
    }
    compare_value(&outcome.value, expected, tags)
}

fn compare_value(value: &Value, expected: &Json, tags: &BTreeSet<&str>) -> Result<(), String> {
    let close = |json: &Json, got: f64| {
        json.as_str()
            .and_then(gofmt::parse_float)
            .is_some_and(|(want, _)| close_to(want, got))
    };
    let result = &expected["result"];
    let same_type = |name: &str| expected["resultType"].as_str() == Some(name);
    match value {
        Value::Scalar(got) if same_type("scalar") && close(result, *got) => Ok(()),
        Value::String(got) if same_type("string") && result.as_str() == Some(got) => Ok(()),
        Value::Vector(samples) if same_type("vector") => {
            let want: Vec<(Labels, &Json)> = result
                .as_array()
                .into_iter()
                .flatten()
                .map(|e| (json_labels(&e["metric"]), e))
                .collect();
            let mut got: Vec<&Sample> = samples.iter().collect();
            let mut want_sorted = want;
            // The recording is sorted by label text unless the order is part of the result.
            let ordered = want_sorted
                .windows(2)
                .any(|pair| pair[0].0.to_string() > pair[1].0.to_string());
            if !ordered || tags.contains("order_ties") {
                got.sort_by_key(|sample| sample.labels.to_string());
                want_sorted.sort_by_key(|(labels, _)| labels.to_string());
            }
            let same = got.len() == want_sorted.len()
                && got.iter().zip(&want_sorted).all(|(got, (labels, json))| {
                    got.labels == *labels
                        && match &got.value {
                            SampleValue::Float(value) => close(&json["value"], *value),
                            SampleValue::Histogram(h) => same_as_text(&json["histogram"], h),
                        }
                });
            if same {
                Ok(())
            } else {
                Err(format!("{samples:?}, expected {result}"))
            }
        }
        Value::Matrix(series) if same_type("matrix") => {
            let mut want: Vec<(Labels, &Json)> = result
                .as_array()
                .into_iter()
                .flatten()
                .map(|e| (json_labels(&e["metric"]), e))
                .collect();
            want.sort_by(|a, b| a.0.cmp(&b.0));
            let points = |json: &Json| -> Vec<(i64, Json)> {
                let rows = json.as_array().into_iter().flatten();
                rows.map(|point| (point[0].as_i64().unwrap_or(0), point[1].clone()))
                    .collect()
            };
            for (got, (labels, json)) in series.iter().zip(&want) {
                let (floats, histograms) = (points(&json["values"]), points(&json["histograms"]));
                let same = got.labels == *labels
                    && floats.len() == got.floats.len()
                    && histograms.len() == got.histograms.len()
                    && floats
                        .iter()
                        .zip(&got.floats)
                        .all(|((t, v), p)| *t == p.time && close(v, p.value))
                    && histograms
                        .iter()
                        .zip(&got.histograms)
                        .all(|((t, text), p)| *t == p.time && same_as_text(text, &p.histogram));
                if !same {
                    return Err(format!("{got:?}, expected {json}"));
                }
            }
            if series.len() == want.len() {
                Ok(())
            } else {
                Err(format!("{} series, expected {}", series.len(), want.len()))
            }
        }
        other => Err(format!("{other:?}, expected {result}")),
    }
}

fn close_to(want: f64, got: f64) -> bool {
    (want.is_nan() && got.is_nan())
        || want == got
        || (want - got).abs() <= RECORDED_TOLERANCE * want.abs().max(got.abs())
}

fn same_as_text(json: &Json, got: &Histogram) -> bool {
    let Some(text) = json.as_str() else {
        return false;
    };
    match notation::parse_series(&format!("x {text}")) {
        Ok((_, items)) => match items.first() {
            Some(Item::Histogram {
                histogram,
                hint_given: _,
            }) => same_histogram(histogram, got, false, RECORDED_TOLERANCE),
            _ => false,
        },
        Err(_) => false,
    }
}

fn json_labels(json: &Json) -> Labels {
    let pairs = json.as_object().into_iter().flatten();
    Labels::new(pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or(""))))
}
