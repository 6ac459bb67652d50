//! `rollproof promql`.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::promql::ast::{Expr, Span as QuerySpan, ValueType};
use crate::promql::diagnose::{Asked, explain_empty};
use crate::promql::eval::{Outcome as QueryResult, Series};
use crate::promql::load::{Format as TraceFormat, Loaded, Loader};
use crate::promql::query_time::{Extent, show_length};
use crate::promql::{Engine, Settings, Store, Value, duration, http_api, parse, printer};
use crate::report::plot::{self, Plot};
use crate::report::query_result::{When, differing_labels, series_text, table};
use crate::report::timeline::Look;
use crate::source::{Problem, Severity, SourceId, Sources, Span};

use super::{Outcome, input, print, problems};

/// Evaluate PromQL over recorded or written series, offline and as Prometheus does.
///
/// Traces are files, or folders of them, in one of these formats, told by content and name:
/// promtool's notation, OpenMetrics and Prometheus text with timestamps, promtool tsdb dump, CSV,
/// and JSON answers of the HTTP API. See docs/promql.md.
///
/// Without a time the query is evaluated at the last sample; with any of --start, --end and --step
/// over a range of times. A query that gives nothing is explained.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof promql 'sum(rate(http_requests_total[5m]))' --trace dump.om
  rollproof promql 'up == 0' --trace recorded/ --time 2026-01-31T12:00:00Z
  rollproof promql 'errors / requests' --trace a.csv --start +10m --end -5m --step 30s
  rollproof promql 'rate(errors[5m])' --trace trace.json --plot errors.svg
  rollproof promql 'rate(errors[5m])' --trace trace.json --format json | jq .data.result
  rollproof promql --fmt 'sum by(job)(rate(errors[5m]))'
  rollproof promql --fmt - < query.promql

Exit codes: 0 a result, 1 a query that cannot be read or evaluated (with --check also one that
gives nothing or a warning, or is not laid out), 2 wrong use or unreadable traces, 3 internal error")]
pub(super) struct Arguments {
    /// The query, or - to read it from standard input.
    #[arg(value_name = "QUERY")]
    query: String,

    /// Series to evaluate over: files, folders, or - for standard input.
    #[arg(long, short, value_name = "FILE", num_args = 1..)]
    trace: Vec<PathBuf>,

    /// The format of all traces, where content and name do not tell.
    #[arg(long, value_name = "FORMAT", value_parser = trace_format)]
    trace_format: Option<TraceFormat>,

    /// Evaluate what could be read of traces with mistakes.
    #[arg(long)]
    keep_going: bool,

    /// When to evaluate: RFC 3339, seconds since 1970, +5m from the trace's start, -5m from its end.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true,
          conflicts_with_all = ["start", "end", "step", "plot"])]
    time: Option<String>,

    /// Start of a range of times; the trace's start if not given.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<String>,

    /// End of a range of times; the trace's end if not given.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    end: Option<String>,

    /// Time between the points of a range, such as 30s; else it gives about 250 points.
    #[arg(long, value_name = "DURATION", value_parser = step)]
    step: Option<i64>,

    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// Draw the result over a range of times as SVG, without a range over the whole trace; - for
    /// standard output, instead of the table.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,

    /// Lay the query out instead of evaluating it.
    #[arg(long, conflicts_with_all = ["trace", "time", "start", "end", "step", "plot", "format"])]
    fmt: bool,

    /// Fail if the result is empty or has warnings; with --fmt, if the layout would change.
    #[arg(long)]
    check: bool,

    /// How old a sample may be and still count.
    #[arg(long, alias = "query.lookback-delta", value_name = "DURATION", default_value = "5m",
          value_parser = step, help_heading = "As the Prometheus server")]
    lookback_delta: i64,

    /// Most samples that a query may hold in memory.
    #[arg(
        long,
        alias = "query.max-samples",
        value_name = "N",
        default_value_t = 50_000_000,
        help_heading = "As the Prometheus server"
    )]
    max_samples: usize,

    /// Step of subqueries that name none.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = step,
          help_heading = "As the Prometheus server")]
    evaluation_interval: i64,

    /// Features that change results; experimental functions and syntax are always on.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "FEATURE",
        help_heading = "As the Prometheus server"
    )]
    enable_feature: Vec<Feature>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// As Prometheus' HTTP API answers.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Feature {
    /// Keep metric names until the end of the evaluation.
    PromqlDelayedNameRemoval,
    /// Let start timestamps show counter resets.
    UseStartTimestamps,
    /// Judge counters by the label __type__.
    TypeAndUnitLabels,
}

fn trace_format(text: &str) -> Result<TraceFormat, String> {
    TraceFormat::ALL
        .into_iter()
        .find(|format| format.name() == text)
        .ok_or_else(|| {
            let known = TraceFormat::ALL.map(|f| format!("  {:<12} {}", f.name(), f.about()));
            format!("the formats are\n{}", known.join("\n"))
        })
}

/// A positive duration in milliseconds, also as a number of seconds.
fn step(text: &str) -> Result<i64, String> {
    let millis = match text.parse::<f64>() {
        Ok(seconds) if seconds.abs() < 1e12 => (seconds * 1000.0).round() as i64,
        Ok(_) | Err(_) => duration::parse_millis(text)?,
    };
    if millis > 0 {
        Ok(millis)
    } else {
        Err("it has to be positive".to_owned())
    }
}

pub(super) fn run(arguments: &Arguments, look: Look) -> io::Result<Outcome> {
    let text = if arguments.query == "-" {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text)?;
        text
    } else {
        arguments.query.clone()
    };
    let text = text.trim_end();
    let mut sources = Sources::new();
    let query = Query {
        source: sources.add("query", text),
        text,
    };
    let expr = match parse(text) {
        Ok(expr) => expr,
        Err(errors) => {
            let found: Vec<Problem> = errors
                .0
                .iter()
                .map(|error| {
                    let span = query.span(error.span);
                    Problem::error("promql-parse", error.to_string(), span)
                })
                .collect();
            problems::show(&sources, &found);
            if arguments.format == Format::Json {
                print_json(&http_api::bad_parameter("query", &errors.to_string()))?;
            }
            return Ok(Outcome::Findings);
        }
    };
    if arguments.fmt {
        return lay_out(&expr, text, arguments.check);
    }
    let Some(trace) = read_traces(arguments, &mut sources)? else {
        return Ok(Outcome::WrongUse);
    };
    let when = match times(arguments, trace.extent) {
        Ok(when) => when,
        Err((parameter, message)) => {
            eprintln!("error: --{parameter}: {message}");
            if arguments.format == Format::Json {
                print_json(&http_api::bad_parameter(parameter, &message))?;
            }
            return Ok(Outcome::WrongUse);
        }
    };
    evaluate(arguments, &sources, &query, &expr, &trace, when, look)
}

/// The query's text, registered as a source.
struct Query<'a> {
    source: SourceId,
    text: &'a str,
}

impl Query<'_> {
    fn span(&self, span: QuerySpan) -> Span {
        // What is missing at the end is shown at the last character.
        let last = self.text.char_indices().last().map_or(0, |(at, _)| at);
        Span::new(self.source, span.start.min(last), span.end)
    }

    /// A remark that ends in `(line:column)` has a place.
    fn remark(&self, severity: Severity, code: &'static str, text: &str) -> Problem {
        let place = text.strip_suffix(')').and_then(|text| {
            let (line, column) = text.rsplit_once('(')?.1.split_once(':')?;
            let line: usize = line.parse().ok()?;
            let column: usize = column.parse().ok()?;
            let before: usize = self
                .text
                .split_inclusive('\n')
                .take(line.checked_sub(1)?)
                .map(str::len)
                .sum();
            let at = before + column.checked_sub(1)?;
            (at <= self.text.len()).then(|| Span::new(self.source, at, at))
        });
        Problem {
            severity,
            code,
            message: text.to_owned(),
            help: None,
            span: place,
            related: Vec::new(),
        }
    }
}

fn lay_out(expr: &Expr, text: &str, check: bool) -> io::Result<Outcome> {
    let laid_out = printer::pretty(expr);
    if !check {
        print(&format!("{laid_out}\n"))?;
        return Ok(Outcome::Clean);
    }
    if laid_out == text {
        return Ok(Outcome::Clean);
    }
    eprintln!("the query would be laid out as\n{laid_out}");
    Ok(Outcome::Findings)
}

struct Trace {
    store: Store,
    extent: Extent,
    /// Mistakes were passed over.
    faulty: bool,
}

/// Reads the traces and shows their problems; none where these forbid to go on.
fn read_traces(arguments: &Arguments, sources: &mut Sources) -> io::Result<Option<Trace>> {
    let (paths, skipped) = input::trace_paths(&arguments.trace)?;
    if !skipped.is_empty() {
        let names: Vec<String> = skipped
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let names = names.join(", ");
        eprintln!("skipped without the ending of a trace format: {names}");
    }
    let bar = progress(&paths);
    let mut loader = Loader::new();
    for path in &paths {
        let (name, bytes) = input::read_trace(path)?;
        bar.set_message(name.clone());
        let before = bar.position();
        let format = arguments.trace_format;
        loader.add(sources, &name, bytes, format, &mut |done| {
            bar.set_position(before + done);
        });
    }
    bar.set_message("sorting");
    let Loaded {
        store,
        problems: found,
        extent,
    } = loader.finish();
    bar.finish_and_clear();
    let faulty = problems::show(sources, &found);
    if faulty && !arguments.keep_going {
        eprintln!("nothing was evaluated; --keep-going takes what could be read");
        return Ok(None);
    }
    Ok(Some(Trace {
        store,
        extent: extent
            .map(|(first, last)| Extent { first, last })
            .unwrap_or_default(),
        faulty,
    }))
}

/// A bar on a terminal, for files that take more than a moment.
fn progress(paths: &[PathBuf]) -> ProgressBar {
    const LONG_BYTES: u64 = 16 << 20;
    let bytes = paths
        .iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|file| file.len())
        .sum();
    if bytes < LONG_BYTES {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta} {wide_msg}");
    let bar = ProgressBar::new(bytes);
    style
        .map(|style| bar.clone().with_style(style))
        .unwrap_or(bar)
}

/// What is wrong with which parameter.
type ParameterError = (&'static str, String);

fn times(arguments: &Arguments, extent: Extent) -> Result<When, ParameterError> {
    let Arguments {
        time,
        start,
        end,
        step,
        plot,
        ..
    } = arguments;
    let read = |parameter, text: &Option<String>, otherwise| match text {
        Some(text) => extent.parse(text).map_err(|message| (parameter, message)),
        None => Ok(otherwise),
    };
    if start.is_none() && end.is_none() && step.is_none() && plot.is_none() {
        return Ok(When::At(read("time", time, extent.last)?));
    }
    let start = read("start", start, extent.first)?;
    let end = read("end", end, extent.last)?;
    if end < start {
        let message = "end timestamp must not be before start time";
        return Err(("end", message.to_owned()));
    }
    // As promtool chooses it: whole seconds, about 250 points.
    let seconds = (end.saturating_sub(start) / 1000 / 250).max(1);
    let step = step.unwrap_or(seconds * 1000);
    Ok(When::Range { start, end, step })
}

fn evaluate(
    arguments: &Arguments,
    sources: &Sources,
    query: &Query<'_>,
    expr: &Expr,
    trace: &Trace,
    when: When,
    look: Look,
) -> io::Result<Outcome> {
    let Trace {
        store,
        extent,
        faulty,
    } = trace;
    let enabled = |feature| arguments.enable_feature.contains(&feature);
    let engine = Engine::new(Settings {
        lookback: arguments.lookback_delta,
        default_subquery_step: arguments.evaluation_interval,
        delayed_name_removal: enabled(Feature::PromqlDelayedNameRemoval),
        use_start_timestamps: enabled(Feature::UseStartTimestamps),
        type_and_unit_labels: enabled(Feature::TypeAndUnitLabels),
        max_samples: arguments.max_samples,
        ..Settings::default()
    });
    let (evaluated, asked) = match when {
        When::At(at) => (
            engine.instant(store, expr, at),
            Asked {
                start: at,
                end: at,
                step: 0,
            },
        ),
        When::Range { start, end, step } => (
            engine.range(store, expr, start, end, step),
            Asked { start, end, step },
        ),
    };
    let result = match evaluated {
        Ok(result) => result,
        Err(error) => {
            let is_type = matches!(when, When::Range { .. })
                && !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector);
            let problem = Problem {
                severity: Severity::Error,
                code: "promql-evaluation",
                message: error.message.clone(),
                help: is_type.then(|| "ask for one moment instead: --time".to_owned()),
                span: is_type.then(|| query.span(expr.span)),
                related: Vec::new(),
            };
            problems::show(sources, &[problem]);
            if arguments.format == Format::Json {
                print_json(&if is_type {
                    http_api::bad_parameter("query", &error.message)
                } else {
                    http_api::failure(&error)
                })?;
            }
            return Ok(Outcome::Findings);
        }
    };
    let mut remarks: Vec<Problem> = Vec::new();
    for text in &result.warnings {
        remarks.push(query.remark(Severity::Warning, "promql-warning", text));
    }
    for text in &result.infos {
        remarks.push(query.remark(Severity::Info, "promql-info", text));
    }
    let empty = match &result.value {
        Value::Vector(samples) => samples.is_empty(),
        Value::Matrix(series) => series.is_empty(),
        Value::Scalar(_) | Value::String(_) => false,
    };
    if empty {
        let found = explain_empty(&engine, store, expr, asked, *extent);
        remarks.extend(found.into_iter().map(|finding| Problem {
            severity: Severity::Info,
            code: "promql-empty",
            message: finding.message,
            help: finding.help,
            span: Some(query.span(finding.span)),
            related: Vec::new(),
        }));
    }
    let to_stdout = arguments.plot.as_deref() == Some(Path::new("-"));
    if !to_stdout {
        match arguments.format {
            Format::Table => print(&table(&result.value, when, *extent, look))?,
            Format::Json => print_json(&http_api::success(&result, asked.end))?,
        }
    }
    if let Some(path) = &arguments.plot {
        let svg = draw(query.text, &result, when).map_err(io::Error::other)?;
        if to_stdout {
            print(&svg)?;
        } else {
            std::fs::write(path, svg)
                .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
            eprintln!("drawn to {}", path.display());
        }
    }
    problems::show(sources, &remarks);
    let doubtful = empty || !result.warnings.is_empty();
    Ok(if *faulty || (arguments.check && doubtful) {
        Outcome::Findings
    } else {
        Outcome::Clean
    })
}

fn draw(query: &str, result: &QueryResult, when: When) -> Result<String, String> {
    let (extent, step) = match when {
        When::At(at) => (
            Extent {
                first: at,
                last: at,
            },
            0,
        ),
        When::Range { start, end, step } => (
            Extent {
                first: start,
                last: end,
            },
            step,
        ),
    };
    let series: &[Series] = match &result.value {
        Value::Matrix(series) => series,
        Value::Vector(_) | Value::Scalar(_) | Value::String(_) => &[],
    };
    let all: Vec<_> = series.iter().map(|series| &series.labels).collect();
    let (differing, common) = differing_labels(&all);
    let differing: Vec<String> = differing.into_iter().map(str::to_owned).collect();
    let lines = series
        .iter()
        .map(|series| plot::Line {
            name: series_text(&series.labels.keep(&differing)),
            points: series.floats.iter().map(|p| (p.time, p.value)).collect(),
        })
        .collect();
    let mut subtitle = format!("every {}", show_length(step));
    if !extent.counts_from_zero() {
        subtitle.push_str(", UTC");
    }
    if !common.is_empty() {
        subtitle.push_str(&format!(", {}", series_text(&common)));
    }
    if series.iter().any(|series| !series.histograms.is_empty()) {
        subtitle.push_str(", without histograms: take a quantile of them");
    }
    plot::svg(&Plot {
        title: query.to_owned(),
        subtitle,
        lines,
        extent,
        step,
    })
}

fn print_json(answer: &serde_json::Value) -> io::Result<()> {
    print(&format!("{answer}\n"))
}
