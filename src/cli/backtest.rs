//! `rollproof backtest`.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::promql::Store;
use crate::promql::load::{Loaded, Loader};
use crate::promql::query_time::Extent;
use crate::report::timeline::Look;
use crate::report::whatif::{
    History, PastResult, PastSetting, history_csv, history_json, history_text,
};
use crate::sim::play;
use crate::sim::scenario::Scenario;
use crate::source::Sources;
use crate::time::Duration;
use crate::whatif::backtest::{
    Confusion, Fate, PastRelease, Wanted, fate, lacks_hash, read_releases, wanted,
};
use crate::whatif::vary::{combinations, find, parse_variation, with_value};

use super::plays::{Crew, own_command, write_or_print};
use super::{Outcome, input, problems, simulate};

/// Say what past releases would have got: the analysis templates on real history.
///
/// Each release of the list is played with the engine's decisions, and its queries are evaluated on the series
/// that were recorded then: fetched from a Prometheus server, or read from trace files. With labels it tells
/// how often the verdict is right, and --vary how other values would move it. See docs/whatif.md.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof backtest k8s/ --trace history/ --releases releases.yaml
  rollproof backtest k8s/ --prometheus https://prometheus.example --bearer-token-file token --releases releases.csv
  rollproof backtest k8s/ --trace history/ --releases releases.yaml --vary 'spec.metrics[0].failureLimit=0,1,2'

Exit codes: 0 clean, 1 a release with a label got the wrong verdict and --check is given, 2 wrong use,
3 internal error")]
pub(super) struct Arguments {
    /// Manifests: files, folders, or - for standard input.
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,

    /// The past releases, as YAML or CSV: name (or revision), start, and if known label (good or bad),
    /// canaryHash, stableHash, args.
    #[arg(long, value_name = "LIST")]
    releases: PathBuf,

    /// Recorded series: files or folders, in the formats of `rollproof promql`.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    #[cfg_attr(feature = "live", arg(required_unless_present = "prometheus"))]
    #[cfg_attr(not(feature = "live"), arg(required = true))]
    trace: Vec<PathBuf>,

    #[cfg(feature = "live")]
    #[command(flatten)]
    server: server::Connection,

    /// What else happens, such as somebody who promotes; without traffic.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,

    /// How long a release may take; it is unfinished after that.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = length)]
    window: Duration,

    /// Also with these values of a field: PATH=v1,v2,... or PATH=a..b:n (see `rollproof whatif`).
    #[arg(long, value_name = "PATH=VALUES")]
    vary: Vec<String>,

    /// Fail (exit code 1) if a release with a label gets the wrong verdict.
    #[arg(long)]
    check: bool,

    /// The rollout, where there are several.
    #[arg(long, value_name = "NAME")]
    rollout: Option<String>,

    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Write the result to this file.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    /// One JSON object.
    Json,
    /// One line a release and combination of values.
    Csv,
}

/// A positive length of time.
fn length(text: &str) -> Result<Duration, String> {
    let length = Duration::parse_go(text).map_err(|error| error.to_string())?;
    if length <= Duration::ZERO {
        return Err("it has to be positive".to_owned());
    }
    Ok(length)
}

/// Manifests with a combination of values.
struct Setting {
    values: Vec<Value>,
    objects: Vec<Value>,
}

pub(super) fn run(arguments: &Arguments, look: Look) -> io::Result<Outcome> {
    let mut sources = Sources::new();
    let Some(objects) = simulate::read_objects(&mut sources, &arguments.files)? else {
        return Ok(Outcome::WrongUse);
    };
    let Some(base) = base_scenario(arguments, &mut sources)? else {
        return Ok(Outcome::WrongUse);
    };
    let (name, bytes) = input::read_file(&arguments.releases)?;
    let recorded = if arguments.trace.is_empty() {
        None
    } else {
        match read_traces(&mut sources, &arguments.trace)? {
            Some(recorded) => Some(recorded),
            None => return Ok(Outcome::WrongUse),
        }
    };
    let history = read_releases(&name, &bytes)
        .and_then(|releases| backtest(arguments, &objects, &base, &releases, recorded.as_ref()));
    match history {
        Ok(history) => {
            let text = match arguments.format {
                Format::Text => history_text(&history, look),
                Format::Json => history_json(&history),
                Format::Csv => history_csv(&history).map_err(io::Error::other)?,
            };
            write_or_print(arguments.output.as_deref(), &text)?;
            let is_wrong = |result: &PastResult| match (result.label, result.fates.first()) {
                (Some(label), Some(fate)) => !fate.is_right(label),
                (None, _) | (Some(_), None) => false,
            };
            let failed = arguments.check && history.releases.iter().any(is_wrong);
            Ok(if failed {
                Outcome::Findings
            } else {
                Outcome::Clean
            })
        }
        Err(error) => {
            eprintln!("error: {error}");
            Ok(Outcome::WrongUse)
        }
    }
}

fn base_scenario(arguments: &Arguments, sources: &mut Sources) -> io::Result<Option<Scenario>> {
    let mut scenario = match &arguments.scenario {
        None => Scenario::default(),
        Some(path) => {
            let Some(mut scenarios) = simulate::read_scenarios(sources, path)? else {
                return Ok(None);
            };
            match (scenarios.pop(), scenarios.is_empty()) {
                (Some(file), true) => file.scenario,
                _ => {
                    eprintln!("error: {}: give a file with one scenario", path.display());
                    return Ok(None);
                }
            }
        }
    };
    if scenario.traffic.is_some() || scenario.series.is_some() || !scenario.traces.is_empty() {
        eprintln!(
            "error: the scenario of a backtest has no traffic, series or traces: what was recorded takes their place"
        );
        return Ok(None);
    }
    if arguments.rollout.is_some() {
        scenario.rollout.clone_from(&arguments.rollout);
    }
    Ok(Some(scenario))
}

/// Recorded series and their times.
struct Recorded {
    store: Store,
    extent: Extent,
}

fn read_traces(sources: &mut Sources, paths: &[PathBuf]) -> io::Result<Option<Recorded>> {
    let (paths, _) = input::trace_paths(paths)?;
    let mut loader = Loader::new();
    for path in &paths {
        let (name, bytes) = input::read_trace(path)?;
        loader.add(sources, &name, bytes, None, &mut |_| {});
    }
    let Loaded {
        store,
        problems: found,
        extent,
    } = loader.finish();
    if problems::show(sources, &found) {
        return Ok(None);
    }
    let extent = extent
        .map(|(first, last)| Extent { first, last })
        .unwrap_or_default();
    Ok(Some(Recorded { store, extent }))
}

fn backtest(
    arguments: &Arguments,
    objects: &[Value],
    base: &Scenario,
    releases: &[PastRelease],
    recorded: Option<&Recorded>,
) -> Result<History, String> {
    let (namespace, name) = play::choose_rollout(objects, base)?;
    let mut varied = Vec::new();
    let mut fields = Vec::new();
    for text in &arguments.vary {
        let (address, values) = parse_variation(text)?;
        let field = find(objects, &address)?;
        varied.push(field.address.clone());
        fields.push((field, values));
    }
    let mut settings = vec![Setting {
        values: Vec::new(),
        objects: objects.to_vec(),
    }];
    if !fields.is_empty() {
        let lists: Vec<Vec<Value>> = fields.iter().map(|(_, values)| values.clone()).collect();
        for values in combinations(&lists)? {
            let pairs = fields.iter().zip(&values);
            let changed = pairs.fold(objects.to_vec(), |objects, ((field, _), value)| {
                with_value(&objects, field, value)
            });
            settings.push(Setting {
                values,
                objects: changed,
            });
        }
    }
    let extent = recorded.map_or(Extent::default(), |recorded| recorded.extent);
    let mut starts = Vec::with_capacity(releases.len());
    for release in releases {
        let start = extent
            .parse(&release.start)
            .map_err(|error| format!("release {}: {error}", release.name))?;
        starts.push(start);
    }
    let needs: Vec<Wanted> = releases
        .iter()
        .map(|release| {
            let all: Vec<Value> = settings.iter().flat_map(|it| it.objects.clone()).collect();
            wanted(&all, release).map_err(|error| format!("release {}: {error}", release.name))
        })
        .collect::<Result<_, _>>()?;
    let mut source = Source::new(arguments, recorded)?;
    let mut notes = notes(objects, releases, &needs);
    let crew = Crew::new(Some(1));
    let plays = (releases.len() * settings.len()) as u64;
    let results = crew.work("releases", plays, 1, 1, |effort| {
        let mut results = Vec::new();
        for ((release, start), needs) in releases.iter().zip(&starts).zip(&needs) {
            if crew.is_stopped() {
                break;
            }
            let (store, length) = source.around(needs, *start, arguments.window)?;
            let mut fates: Vec<Fate> = Vec::with_capacity(settings.len());
            for setting in &settings {
                let of = |error| format!("release {}: {error}", release.name);
                let found = fate(&setting.objects, base, release, &store, length).map_err(of)?;
                fates.push(found);
                (effort.progress)();
            }
            results.push(PastResult {
                name: release.name.clone(),
                start: extent.show(*start),
                label: release.label,
                samples: store.sample_count(),
                fates,
            });
        }
        Ok(results)
    })?;
    if results.len() < releases.len() {
        notes.push(format!(
            "ended early: {} of {} releases",
            results.len(),
            releases.len()
        ));
    }
    notes.extend(result_notes(&results));
    let settings = settings.into_iter().enumerate().map(|(index, setting)| {
        let labelled = results
            .iter()
            .filter_map(|it| Some((it.label?, it.fates.get(index)?)));
        let confusion = Confusion::of(labelled);
        PastSetting {
            values: setting.values,
            confusion: (confusion.good() + confusion.bad() > 0).then_some(confusion),
        }
    });
    let settings: Vec<PastSetting> = settings.collect();
    Ok(History {
        rollout: format!("{namespace}/{name}"),
        command: own_command(&[]),
        varied,
        settings,
        releases: results,
        notes,
    })
}

/// What the reader should know of the manifests and the list.
fn notes(objects: &[Value], releases: &[PastRelease], needs: &[Wanted]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut others: Vec<&str> = needs
        .iter()
        .flat_map(|it| &it.others)
        .map(String::as_str)
        .collect();
    others.sort_unstable();
    others.dedup();
    if !others.is_empty() {
        notes.push(format!(
            "taken to be good, since they are not asked of Prometheus: {}",
            others.join(", ")
        ));
    }
    let lacking: Vec<&str> = releases
        .iter()
        .filter(|release| lacks_hash(objects, release))
        .map(|release| release.name.as_str())
        .collect();
    if !lacking.is_empty() {
        notes.push(format!(
            "queries ask for a pod template hash that the list does not tell (canaryHash, stableHash): {}",
            lacking.join(", ")
        ));
    }
    notes
}

/// What the reader should know of the results.
fn result_notes(results: &[PastResult]) -> Vec<String> {
    let mut notes = Vec::new();
    let without: Vec<&str> = results
        .iter()
        .filter(|it| it.samples == 0)
        .map(|it| it.name.as_str())
        .collect();
    if !without.is_empty() {
        notes.push(format!(
            "nothing was recorded at the time of {}: the verdict says nothing",
            without.join(", ")
        ));
    }
    for result in results.iter().filter(|it| it.samples > 0) {
        let found = result
            .fates
            .first()
            .into_iter()
            .flat_map(|fate| &fate.notes);
        let empty = found.filter(|note| note.contains(" gave nothing"));
        notes.extend(empty.map(|note| format!("{}: {note}", result.name)));
    }
    notes
}

/// Where recorded series come from.
enum Source<'a> {
    Files(&'a Recorded),
    #[cfg(feature = "live")]
    Server(Box<server::Server>),
}

impl<'a> Source<'a> {
    fn new(arguments: &Arguments, recorded: Option<&'a Recorded>) -> Result<Self, String> {
        if let Some(recorded) = recorded {
            return Ok(Source::Files(recorded));
        }
        #[cfg(feature = "live")]
        return server::Server::new(&arguments.server)
            .map(|server| Source::Server(Box::new(server)));
        #[cfg(not(feature = "live"))]
        {
            let _ = arguments;
            Err("give --trace".to_owned())
        }
    }

    /// What was recorded around a release, with times from it on, and how long after it.
    fn around(
        &mut self,
        needs: &Wanted,
        start: i64,
        window: Duration,
    ) -> Result<(Store, Duration), String> {
        let window_millis = millis(window);
        let reach = millis(needs.reach());
        match self {
            Source::Files(Recorded { store, extent }) => {
                let mut part = Store::new();
                let from = start.saturating_sub(reach);
                part.append_between(
                    store,
                    from,
                    start.saturating_add(window_millis),
                    start.saturating_neg(),
                );
                let left = extent.last.saturating_sub(start).clamp(1000, window_millis);
                Ok((part, Duration::from_millis(left)))
            }
            #[cfg(feature = "live")]
            Source::Server(server) => server.around(needs, start, window),
        }
    }
}

fn millis(length: Duration) -> i64 {
    (length.as_secs_f64() * 1000.0) as i64
}

#[cfg(feature = "live")]
mod server {
    //! Fetching from a Prometheus server, chunk by chunk.

    use std::path::{Path, PathBuf};

    use clap::Args;

    use super::{length, millis};
    use crate::cli::input;
    use crate::live::prometheus::{Access, FetchError, Prometheus};
    use crate::promql::Store;
    use crate::promql::load::{Format, Loader};
    use crate::source::Sources;
    use crate::time::Duration;
    use crate::whatif::backtest::Wanted;

    /// A chunk is not made shorter than this.
    const CHUNK_MIN: i64 = 60_000;
    /// Samples that are held for one release at most.
    const SAMPLES_MAX: usize = 50_000_000;

    #[derive(Debug, Args)]
    pub(super) struct Connection {
        /// A Prometheus server, or what has its API, to fetch from.
        #[arg(long, value_name = "URL", conflicts_with = "trace")]
        prometheus: Option<String>,

        /// File with a bearer token.
        #[arg(
            long,
            value_name = "FILE",
            requires = "prometheus",
            conflicts_with = "username"
        )]
        bearer_token_file: Option<PathBuf>,

        /// Name for basic authentication.
        #[arg(long, value_name = "NAME", requires = "password_file")]
        username: Option<String>,

        /// File with the password for basic authentication.
        #[arg(long, value_name = "FILE", requires = "username")]
        password_file: Option<PathBuf>,

        /// Further header of each request, such as 'X-Scope-OrgID: shop'.
        #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
        header: Vec<(String, String)>,

        /// File with certificates of authorities (PEM) to trust beside the system's.
        #[arg(long, value_name = "FILE")]
        ca_file: Option<PathBuf>,

        /// Accept any certificate of the server.
        #[arg(long)]
        insecure_skip_tls_verify: bool,

        /// Longest time that is fetched at once; shorter where the server refuses.
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = length)]
        chunk: Duration,
    }

    fn header(text: &str) -> Result<(String, String), String> {
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| "write NAME: VALUE".to_owned())?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    }

    /// The text of a file without the line break at its end.
    fn secret(path: &Path) -> Result<String, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| input::named(path, &error.to_string()).to_string())?;
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }

    pub(super) struct Server {
        prometheus: Prometheus,
        runtime: tokio::runtime::Runtime,
        chunk: i64,
    }

    impl Server {
        pub fn new(connection: &Connection) -> Result<Self, String> {
            let Connection {
                prometheus,
                bearer_token_file,
                username,
                password_file,
                header,
                ca_file,
                insecure_skip_tls_verify,
                chunk,
            } = connection;
            let url = prometheus.clone().ok_or("give --prometheus or --trace")?;
            let read = |path: &Option<PathBuf>| path.as_deref().map(secret).transpose();
            let basic = match (username, read(password_file)?) {
                (Some(name), Some(password)) => Some((name.clone(), password)),
                (Some(_) | None, _) => None,
            };
            let authorities = read(ca_file)?;
            let prometheus = Prometheus::new(Access {
                url,
                bearer_token: read(bearer_token_file)?,
                basic,
                headers: header.clone(),
                authorities: authorities.map(String::into_bytes),
                insecure: *insecure_skip_tls_verify,
            })?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?;
            Ok(Self {
                prometheus,
                runtime,
                chunk: millis(*chunk).max(CHUNK_MIN),
            })
        }

        /// What was recorded around a release, with times from it on.
        pub fn around(
            &mut self,
            needs: &Wanted,
            start: i64,
            window: Duration,
        ) -> Result<(Store, Duration), String> {
            let mut loader = Loader::new();
            let mut sources = Sources::new();
            let end = start.saturating_add(millis(window));
            for (selector, reach) in &needs.selectors {
                // Also the sample at the very start.
                let from = start.saturating_sub(millis(*reach)).saturating_sub(1);
                // Spans still to fetch, the next one last.
                let mut spans = Vec::new();
                let mut at = end;
                while at > from {
                    let before = at.saturating_sub(self.chunk).max(from);
                    spans.push((before, at));
                    at = before;
                }
                while let Some((before, at)) = spans.pop() {
                    let fetched = self.prometheus.samples(selector, at, at - before);
                    match self.runtime.block_on(fetched) {
                        Ok(body) => {
                            let format = Some(Format::Json);
                            loader.add(&mut sources, selector, body, format, &mut |_| {});
                        }
                        Err(FetchError::TooMuch(_)) if at - before > CHUNK_MIN => {
                            let middle = before + (at - before) / 2;
                            spans.push((middle, at));
                            spans.push((before, middle));
                        }
                        Err(FetchError::TooMuch(why) | FetchError::Failed(why)) => {
                            return Err(why);
                        }
                    }
                }
            }
            let loaded = loader.finish();
            if let Some(problem) = loaded.problems.iter().find(|it| it.is_error()) {
                return Err(format!("an answer cannot be read: {}", problem.message));
            }
            if loaded.store.sample_count() > SAMPLES_MAX {
                return Err(format!(
                    "more than {SAMPLES_MAX} samples for one release: give a shorter --window, or queries that select less"
                ));
            }
            let mut store = Store::new();
            store.append_all(&loaded.store, i64::MIN, start.saturating_neg());
            Ok((store, window))
        }
    }
}
