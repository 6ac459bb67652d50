//! The log: one line an event, with the reference's fields, and without secrets.

#![allow(clippy::disallowed_methods)] // Lines of a log bear the time.

use std::fmt::{self, Write as _};
use std::sync::Mutex;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::redact::SecretBook;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `time="..." level=info msg="..." namespace=ns rollout=demo`
    Text,
    /// One JSON object a line, with the same keys.
    Json,
}

/// Logs to standard error from now on: this program at `level`, its libraries only what is wrong.
/// Panics are logged too.
///
/// # Errors
/// There is a log already.
pub fn start(format: Format, level: LevelFilter, secrets: SecretBook) -> Result<(), String> {
    let filter = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        // Its warnings show what the API server has answered, whatever that holds.
        .with_target("kube_client", level.min(LevelFilter::ERROR))
        .with_target("rollproof", level);
    let lines = Lines::new(format, secrets, std::io::stderr());
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|error| error.to_string())?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let payload = panic.payload();
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        tracing::error!(
            place = place.unwrap_or_default(),
            "panic: {}",
            text.unwrap_or("without words")
        );
    }));
    Ok(())
}

/// Writes events as lines.
struct Lines<W> {
    format: Format,
    secrets: SecretBook,
    out: Mutex<W>,
}

impl<W: std::io::Write> Lines<W> {
    fn new(format: Format, secrets: SecretBook, out: W) -> Self {
        Self {
            format,
            secrets,
            out: Mutex::new(out),
        }
    }

    fn line(&self, time: &str, level: Level, fields: Fields) -> String {
        let Fields { message, others } = fields;
        let level = match level {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let head = [("time", time), ("level", level), ("msg", message.as_str())];
        let head = head.map(|(key, value)| (key.to_owned(), Value::from(value)));
        let pairs = head.into_iter().chain(others);
        match self.format {
            Format::Json => {
                let line: Map<String, Value> = pairs
                    .map(|(key, value)| {
                        let value = match value {
                            Value::String(text) => self.secrets.redact(&text).into_owned().into(),
                            value => value,
                        };
                        (key, value)
                    })
                    .collect();
                Value::Object(line).to_string()
            }
            Format::Text => {
                let mut line = String::new();
                for (key, value) in pairs {
                    let text = match &value {
                        Value::String(text) => self.secrets.redact(text).into_owned(),
                        value => value.to_string(),
                    };
                    let space = if line.is_empty() { "" } else { " " };
                    let is_plain = !text.is_empty()
                        && text
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || b"-._/@^+".contains(&byte));
                    // Writing to a String does not fail.
                    let _ = if is_plain {
                        write!(line, "{space}{key}={text}")
                    } else {
                        write!(line, "{space}{key}={text:?}")
                    };
                }
                line
            }
        }
    }
}

impl<S: Subscriber, W: std::io::Write + Send + 'static> Layer<S> for Lines<W> {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let now = jiff::Timestamp::now();
        let time = format!("{now:.3}");
        let mut line = self.line(&time, *event.metadata().level(), fields);
        line.push('\n');
        let mut out = self.out.lock().unwrap_or_else(|it| it.into_inner());
        // Nobody is left to be told.
        let _ = out.write_all(line.as_bytes());
    }
}

/// The fields of an event in their order.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    others: Vec<(String, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        let text = value.as_str();
        match (field.name(), text) {
            ("message", Some(text)) => text.clone_into(&mut self.message),
            ("object", Some(text)) => self.add_object(text),
            (name, _) => self.others.push((name.to_owned(), value)),
        }
    }

    /// `Rollout ns/demo` as the reference's fields.
    fn add_object(&mut self, text: &str) {
        let parts = text
            .split_once(' ')
            .and_then(|(kind, rest)| Some((kind, rest.split_once('/')?)));
        match parts {
            Some((kind, (namespace, name))) => {
                self.others.push(("namespace".into(), namespace.into()));
                self.others.push((kind.to_ascii_lowercase(), name.into()));
            }
            None => self.others.push(("object".into(), text.into())),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Shared(std::sync::Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format) -> String {
        let secrets = SecretBook::default();
        secrets.learn(["pla\"nted".to_owned()]);
        let out = Shared::default();
        let lines = Lines::new(format, secrets, out.clone());
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(object = %"Rollout ns/demo", error = "not pla\"nted", tries = 2, "tried again");
        });
        String::from_utf8(out.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_have_the_fields_of_the_reference_and_no_secret() {
        let text = logged(Format::Text);
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(
            time.starts_with("time=\"20") && time.ends_with("Z\""),
            "{time}"
        );
        assert_eq!(
            rest,
            "level=warning msg=\"tried again\" namespace=ns rollout=demo error=\"not *****\" tries=2\n"
        );
        let json: Value = serde_json::from_str(&logged(Format::Json)).unwrap();
        assert_eq!(json["rollout"], "demo");
        assert_eq!(json["error"], "not *****");
        assert_eq!(json["tries"], 2);
    }
}
