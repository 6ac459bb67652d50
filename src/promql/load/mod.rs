//! Traces: series read from files of several formats into one [`Store`].
//!
//! Reading never fails: it gives a store and [`Problem`]s, and a bad line hides neither the other
//! lines nor the other files. Samples of a series may come in any order and from several files.
//! A sample that is given twice with the same value counts once; with different values it is an
//! error, and the first one stands.
//!
//! One file a format: [`Format`] has the table, `collect` puts the samples together.

mod collect;
mod csv;
mod dump;
mod exposition;
mod format;
mod json;
mod native;
mod notation;
mod reading;

pub use format::Format;

use crate::source::{Problem, Severity, Sources, Span};

use super::series::Store;
use collect::Collected;
use reading::Reading;

/// Bytes a file may have: places in it are held as 32 bits.
pub const BYTES_MAX: u64 = u32::MAX as u64;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Takes file after file and puts their samples together.
#[derive(Default)]
pub struct Loader {
    collected: Collected,
    problems: Vec<Problem>,
}

/// What came of all files.
pub struct Loaded {
    /// Series in the order in which the files named them.
    pub store: Store,
    /// In the order of the files; at last what files say against each other.
    pub problems: Vec<Problem>,
    /// Times of the first and of the last sample, in milliseconds since the epoch.
    pub extent: Option<(i64, i64)>,
}

impl Loader {
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file; without a format, by what [`Format::detect`] says. `progress` is told from
    /// time to time how many bytes of the file are done.
    pub fn add(
        &mut self,
        sources: &mut Sources,
        name: &str,
        bytes: Vec<u8>,
        format: Option<Format>,
        progress: &mut dyn FnMut(u64),
    ) {
        let (text, replaced) = decode(bytes);
        let source = sources.add(name, text);
        let text = sources.text(source);
        if text.trim().is_empty() {
            let message = "the file is empty";
            let span = Span::new(source, 0, 0);
            self.problems
                .push(Problem::warning("trace-empty", message, span));
            return;
        }
        let Some(format) = format.or_else(|| Format::detect(name, text)) else {
            let end = text.lines().next().map_or(0, str::len);
            let message = "neither content nor file name show the format of the trace";
            self.problems.push(
                Problem::error("trace-format", message, Span::new(source, 0, end))
                    .with_help(format!("name it; the formats are {}", Format::names())),
            );
            return;
        };
        let before = self.collected.given();
        let mut reading = Reading::new(source, text, &mut self.collected, progress);
        for at in replaced {
            reading.error(
                at,
                at,
                "not UTF-8",
                "convert the file, such as with `iconv -t UTF-8`",
            );
        }
        match format {
            Format::Notation => notation::read(&mut reading),
            Format::OpenMetrics => exposition::read(&mut reading, exposition::Dialect::OpenMetrics),
            Format::Prometheus => exposition::read(&mut reading, exposition::Dialect::Prometheus),
            Format::Dump => dump::read(&mut reading),
            Format::Csv => csv::read(&mut reading),
            Format::Json => json::read(&mut reading),
        }
        let problems = reading.finish();
        let silent = problems.is_empty() && self.collected.given() == before;
        self.problems.extend(problems);
        if silent {
            let message = format!("the file, read as {}, holds no sample", format.name());
            self.problems.push(
                Problem::warning("trace-empty", message, Span::new(source, 0, 0))
                    .with_help("name its format if that is another one"),
            );
        }
    }

    /// Sorts and joins what all files gave.
    pub fn finish(self) -> Loaded {
        let Self {
            collected,
            mut problems,
        } = self;
        let (store, extent, conflicts) = collected.into_store();
        problems.extend(conflicts);
        Loaded {
            store,
            problems,
            extent,
        }
    }
}

/// The text, and where a byte that is not UTF-8 was replaced; a byte order mark is dropped.
fn decode(bytes: Vec<u8>) -> (String, Vec<usize>) {
    let mut replaced = Vec::new();
    let mut text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let mut text = String::new();
            for chunk in error.as_bytes().utf8_chunks() {
                text.push_str(chunk.valid());
                if !chunk.invalid().is_empty() {
                    replaced.push(text.len());
                    text.push(char::REPLACEMENT_CHARACTER);
                }
            }
            text
        }
    };
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len_utf8());
        for at in &mut replaced {
            *at -= BYTE_ORDER_MARK.len_utf8();
        }
    }
    (text, replaced)
}

/// A remark that is no fault of the file.
fn info(code: &'static str, message: String, span: Span) -> Problem {
    Problem {
        severity: Severity::Info,
        ..Problem::warning(code, message, span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Series as `labels time=value ...`, and problems as `place message`.
    pub(super) fn load(name: &str, text: &str) -> (Vec<String>, Vec<String>) {
        load_files(&[(name, text)])
    }

    fn load_files(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let mut sources = Sources::new();
        let mut loader = Loader::new();
        for (name, text) in files {
            let bytes = text.as_bytes().to_vec();
            loader.add(&mut sources, name, bytes, None, &mut |_| {});
        }
        let loaded = loader.finish();
        let series = loaded.store.series().map(|(labels, data)| {
            let mut samples: Vec<(i64, String)> = data
                .floats()
                .map(|(time, value)| {
                    let stale = crate::promql::series::is_stale(value);
                    let value = crate::promql::gofmt::format_g(value);
                    (time, if stale { "stale".to_owned() } else { value })
                })
                .collect();
            samples.extend(
                data.histograms()
                    .iter()
                    .map(|sample| (sample.time, sample.histogram.to_string())),
            );
            samples.sort();
            let samples: Vec<String> = samples
                .iter()
                .map(|(time, value)| format!("{time}={value}"))
                .collect();
            format!("{labels} {}", samples.join(" "))
        });
        let problems = loaded.problems.iter().map(|problem| {
            let place = problem.span.map(|span| sources.describe(span));
            format!("{} {}", place.unwrap_or_default(), problem.message)
        });
        (series.collect(), problems.collect())
    }

    #[test]
    fn files_join_and_contradictions_are_named() {
        let (series, problems) = load_files(&[
            ("a.om", "up 1 3.0\nup 2 1.0\n# EOF\n"),
            (
                "b.dump",
                "{__name__=\"up\"} 2 1000\n{__name__=\"up\"} 4 2000\n",
            ),
            ("c.csv", "time,up\n3,9\n"),
        ]);
        assert_eq!(series, ["{__name__=\"up\"} 1000=2 2000=4 3000=1"]);
        assert_eq!(
            problems,
            ["c.csv:2:3 {__name__=\"up\"} has two values at 3000 ms: 1 and 9"]
        );
    }

    #[test]
    fn files_of_no_use_are_named() {
        let (_, problems) = load_files(&[
            ("a.prom", ""),
            ("b", "hello\n"),
            ("c.prom", "# TYPE up gauge\n"),
            ("d.om", "up{a=\"\u{fffd}\"} 1 1.0\n# EOF"),
        ]);
        assert_eq!(
            problems,
            [
                "a.prom:1:1 the file is empty",
                "b:1:1 neither content nor file name show the format of the trace",
                "c.prom:1:1 the file, read as prometheus, holds no sample",
            ]
        );
        let (text, replaced) = decode(b"\xef\xbb\xbfa\xffb".to_vec());
        assert_eq!((text.as_str(), replaced), ("a\u{fffd}b", vec![1]));
    }

    #[test]
    fn many_problems_are_counted() {
        let (_, problems) = load("x.prom", &"up{ 1 1\n".repeat(1000));
        assert_eq!(problems.len(), reading::PROBLEMS_MAX + 1);
        assert_eq!(
            problems.last().map(String::as_str),
            Some("x.prom:51:1 950 more problems in this file, from here on")
        );
    }
}
