//! Whether a query tells the new version from the stable one.

use super::Used;
use super::selectors::{RATES, Selected, selectors};
use crate::lint::context::{ArgumentOrigin, ArgumentView, MetricView, RolloutView};
use crate::promql::ast::Expr;
use crate::spec::validation::ServiceRole;

/// What a query selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// The new version, the stable one, or each by itself.
    Apart,
    /// Both alike.
    Alike,
    /// Depends on values that are not known.
    Unknown,
}

/// Words in names of labels and arguments by which versions are told apart.
const NAME_WORDS: [&str; 9] = [
    "canary", "hash", "revision", "version", "preview", "baseline", "stable", "subset", "track",
];
/// The same in values, and in names of metrics.
const VALUE_WORDS: [&str; 4] = ["canary", "preview", "baseline", "stable"];

/// Whether the query of a metric tells the versions of the rollout apart. `None` for providers
/// whose queries are no text about series (web, job, kayenta, plugins), and queries that read none.
pub fn telling(used: &Used<'_, '_>) -> Option<Telling> {
    let rollout = used.rollout?;
    let metric = used.metric;
    if let Some(query) = &metric.query {
        let parsed = query.parsed().as_ref().ok()?;
        let selected = selectors(parsed);
        if selected.is_empty() {
            return None;
        }
        if selected.iter().any(|one| is_apart(rollout, one)) {
            return Some(Telling::Apart);
        }
        let names = query
            .text
            .placeholders
            .iter()
            .map(|placeholder| placeholder.argument.as_str());
        return Some(by_arguments(rollout, metric, names));
    }
    let text = queries_of(metric)?;
    if has_word(&text, &NAME_WORDS) || names_new_service(rollout, &text) {
        return Some(Telling::Apart);
    }
    let names = crate::lint::context::argument_names(&text);
    Some(by_arguments(rollout, metric, names))
}

/// Whether the metric is asked about requests that only the new version serves, so that there is
/// no answer before it has any.
pub fn needs_canary_traffic(used: &Used<'_, '_>) -> bool {
    telling(used) == Some(Telling::Apart) && used.metric.parsed_query().is_some_and(reads_requests)
}

/// Whether the query reads what comes with requests, rather than the state of pods.
fn reads_requests(query: &Expr) -> bool {
    const STATE: [&str; 9] = [
        "kube_",
        "container_",
        "process_",
        "go_",
        "jvm_",
        "node_",
        "python_",
        "nodejs_",
        "up",
    ];
    selectors(query).iter().any(|selected| {
        let is_rate = selected
            .within
            .iter()
            .any(|name| RATES.contains(name) || *name == "histogram_quantile");
        let name = selected.name().unwrap_or_default();
        let is_request = ["request", "latency", "duration", "response", "http", "grpc"]
            .iter()
            .any(|word| name.contains(word));
        (is_rate || is_request) && !STATE.iter().any(|prefix| name.starts_with(prefix))
    })
}

fn by_arguments<'a>(
    rollout: &RolloutView<'_>,
    metric: &MetricView<'_>,
    names: impl Iterator<Item = &'a str>,
) -> Telling {
    let mut is_unknown = false;
    for name in names {
        if has_word(name, &NAME_WORDS) {
            return Telling::Apart;
        }
        let argument = metric
            .arguments
            .iter()
            .find(|argument| argument.name == name);
        let Some(ArgumentView { value, origin, .. }) = argument else {
            is_unknown = true;
            continue;
        };
        match origin {
            ArgumentOrigin::LatestHash | ArgumentOrigin::StableHash => return Telling::Apart,
            ArgumentOrigin::Field(path) if has_word(path, &NAME_WORDS) => return Telling::Apart,
            ArgumentOrigin::Given
            | ArgumentOrigin::Default
            | ArgumentOrigin::Field(_)
            | ArgumentOrigin::Secret
            | ArgumentOrigin::Missing => {}
        }
        match value {
            Some(value) if has_word(value, &VALUE_WORDS) || names_new_service(rollout, value) => {
                return Telling::Apart;
            }
            Some(_) => {}
            None => is_unknown = true,
        }
    }
    if is_unknown {
        Telling::Unknown
    } else {
        Telling::Alike
    }
}

fn is_apart(rollout: &RolloutView<'_>, selected: &Selected<'_>) -> bool {
    selected
        .name()
        .is_some_and(|name| has_word(name, &VALUE_WORDS))
        || selected
            .grouping
            .iter()
            .any(|label| has_word(label, &NAME_WORDS))
        || selected.selector.matchers.iter().any(|matcher| {
            let (name, value) = (matcher.name.as_str(), matcher.value.as_str());
            has_word(name, &NAME_WORDS)
                || !name.contains("namespace")
                    && (has_word(value, &VALUE_WORDS)
                        || names_new_service(rollout, value)
                        || is_canary_label(rollout, name, value))
        })
}

fn has_word(text: &str, words: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    words.iter().any(|word| text.contains(word))
}

/// Whether a text holds the name of the service that leads to the new version.
fn names_new_service(rollout: &RolloutView<'_>, text: &str) -> bool {
    rollout.services.iter().any(|service| {
        let is_new = match service.role {
            ServiceRole::Canary | ServiceRole::Preview | ServiceRole::Ping | ServiceRole::Pong => {
                true
            }
            ServiceRole::Active | ServiceRole::Stable => false,
        };
        is_new && !service.name.is_empty() && text.contains(&service.name)
    })
}

/// Whether it is a label that the rollout puts on the new pods only.
fn is_canary_label(rollout: &RolloutView<'_>, name: &str, value: &str) -> bool {
    let metadata = rollout
        .canary()
        .and_then(|canary| canary.canary_metadata.as_ref());
    metadata.is_some_and(|metadata| {
        metadata.labels.iter().any(|(label, wanted)| {
            !wanted.is_empty()
                && wanted == value
                && name.ends_with(&label.replace(['-', '.', '/'], "_"))
        })
    })
}

/// The queries of a provider that asks about series by a text, as written; `None` for others.
pub fn queries_of(metric: &MetricView<'_>) -> Option<String> {
    let provider = &metric.written.provider;
    if let Some(datadog) = &provider.datadog {
        let mut text = datadog.query.clone();
        for query in datadog.queries.values() {
            text.push('\n');
            text.push_str(query);
        }
        return Some(text);
    }
    let query = provider
        .wavefront
        .as_ref()
        .map(|provider| &provider.query)
        .or(provider.new_relic.as_ref().map(|provider| &provider.query))
        .or(provider.graphite.as_ref().map(|provider| &provider.query))
        .or(provider.influxdb.as_ref().map(|provider| &provider.query))
        .or(provider.prometheus.as_ref().map(|provider| &provider.query))?;
    (!query.is_empty()).then(|| query.clone())
}
