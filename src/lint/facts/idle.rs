//! What a query gives when its series are there and nothing happens: a canary without traffic.

use std::collections::{BTreeMap, BTreeSet};

use super::selectors::{NEED_TWO_SAMPLES, Selected, is_counter_name, is_shifted, selectors};
use crate::spec::string_map::StringMap;

use crate::lint::context::MetricView;
use crate::lint::evaluate::{MetricOutcome, evaluate_over};
use crate::promql::labels::{Labels, MatchOp, Matcher};
use crate::promql::series::Store;
use crate::time::Duration;

/// The outcome of a Prometheus metric whose counters do not move and whose gauges are 1. `None`
/// where no such series can be made for the query, or it cannot be evaluated.
pub fn idle_outcome<'m>(metric: &'m MetricView<'_>) -> Option<&'m MetricOutcome> {
    let outcome = metric.idle.get_or_init(|| {
        let query = metric.parsed_query()?;
        let store = idle_series(&selectors(query))?;
        evaluate_over(metric, query, &store, NOW)
    });
    outcome.as_ref()
}

/// Whether the outcome is NaN for any series.
pub fn is_nan(outcome: &MetricOutcome) -> bool {
    outcome.answer.contains("NaN")
}

/// Any time will do; milliseconds.
const NOW: i64 = 1_000_000_000;
const SCRAPE: i64 = 15_000;
/// Queries with more selectors are not tried: each is tried with the labels of each.
const SELECTORS_MAX: usize = 12;
const SAMPLES_MAX: i64 = 100;

fn idle_series(selected: &[Selected<'_>]) -> Option<Store> {
    let is_odd = |selected: &Selected<'_>| is_shifted(&selected.selector.modifiers);
    if selected.is_empty() || selected.len() > SELECTORS_MAX || selected.iter().any(is_odd) {
        return None;
    }
    let mut all_labels = BTreeSet::new();
    for selected in selected {
        all_labels.insert(labels_of(selected)?);
    }
    let longest = selected
        .iter()
        .filter_map(Selected::window)
        .max()
        .unwrap_or(Duration::ZERO)
        .as_millis()
        .max(5 * 60_000);
    let step = SCRAPE.max(longest / SAMPLES_MAX);
    let mut store = Store::new();
    let mut added = BTreeSet::new();
    for one in selected {
        let name = one.name()?;
        let value = if moves(name, one) { 0.0 } else { 1.0 };
        for labels in &all_labels {
            for bound in bounds(name) {
                let mut labels = labels.clone();
                labels.insert("__name__".to_owned(), name.to_owned());
                if let Some(bound) = bound {
                    labels.insert("le".to_owned(), (*bound).to_owned());
                }
                let fits = one.selector.matchers.iter().all(|matcher| {
                    matcher.matches(labels.get(&matcher.name).map_or("", String::as_str))
                });
                if fits && added.insert(labels.clone()) {
                    let labels = Labels::new(labels);
                    let count = longest / step + 2;
                    for sample in 0..count {
                        let time = NOW - (count - 1 - sample) * step;
                        store.append_float(&labels, 0, time, value).ok()?;
                    }
                }
            }
        }
    }
    Some(store)
}

/// Bucket bounds of a histogram.
fn bounds(name: &str) -> &'static [Option<&'static str>] {
    if name.ends_with("_bucket") {
        &[Some("0.1"), Some("1"), Some("+Inf")]
    } else {
        &[None]
    }
}

/// Whether the series tells of events, of which there are none: a counter, or a recorded rate.
fn moves(name: &str, selected: &Selected<'_>) -> bool {
    is_counter_name(name)
        || selected
            .function()
            .is_some_and(|function| NEED_TWO_SAMPLES.contains(&function))
        || ["rate", "per_second", "rps", "qps"]
            .iter()
            .any(|word| name.contains(word))
}

/// Labels that the selector takes, without the name; `None` where no value for one comes to mind.
fn labels_of(selected: &Selected<'_>) -> Option<StringMap> {
    let mut by_name: BTreeMap<&str, Vec<&Matcher>> = BTreeMap::new();
    for matcher in &selected.selector.matchers {
        by_name.entry(&matcher.name).or_default().push(matcher);
    }
    by_name.remove("__name__");
    let mut labels = StringMap::default();
    for (name, matchers) in by_name {
        let value = candidates(&matchers)
            .into_iter()
            .find(|value| matchers.iter().all(|matcher| matcher.matches(value)))?;
        if !value.is_empty() {
            labels.insert(name.to_owned(), value);
        }
    }
    Some(labels)
}

/// Values worth trying, the likeliest first.
fn candidates(matchers: &[&Matcher]) -> Vec<String> {
    let mut values = Vec::new();
    for matcher in matchers {
        match matcher.op {
            MatchOp::Equal => values.push(matcher.value.clone()),
            MatchOp::Regex => values.extend(likely_matches(&matcher.value)),
            MatchOp::NotEqual | MatchOp::NotRegex => {}
        }
    }
    let common = ["200", "shop", "/", "500", "404", "GET", "a", "1", ""];
    values.extend(common.into_iter().map(str::to_owned));
    values
}

/// Texts that an everyday regular expression may match.
fn likely_matches(pattern: &str) -> Vec<String> {
    let plain = |text: &str, class: &str| {
        let mut out = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some('d') => out.push('0'),
                    Some('w') => out.push('a'),
                    Some(other) => out.push(other),
                    None => {}
                },
                '.' => match chars.peek() {
                    Some('*' | '?') => {}
                    Some(_) | None => out.push('0'),
                },
                '[' => {
                    let inside: String = chars.by_ref().take_while(|c| *c != ']').collect();
                    out.push_str(if inside.contains('0') { "0" } else { class });
                }
                '*' | '+' | '?' | '(' | ')' | '^' | '$' => {}
                other => out.push(other),
            }
        }
        out
    };
    let alternatives = pattern.split('|').map(|part| plain(part, "a"));
    let whole = pattern.find('(').and_then(|open| {
        let close = open + pattern.get(open..)?.find(')')?;
        let first = pattern.get(open + 1..close)?.split('|').next()?;
        let first = first.strip_prefix("?:").unwrap_or(first);
        let text = format!(
            "{}{first}{}",
            pattern.get(..open)?,
            pattern.get(close + 1..)?
        );
        Some(plain(&text, "a"))
    });
    whole.into_iter().chain(alternatives).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(query: &str) -> Option<Store> {
        let query = crate::promql::parse(query).expect("a query");
        idle_series(&selectors(&query))
    }

    #[test]
    fn every_selector_gets_series_that_it_takes() {
        for query in [
            r#"sum(rate(http_requests_total{code!~"5.."}[5m])) / sum(rate(http_requests_total[5m]))"#,
            r#"sum(irate(istio_requests_total{destination_service=~"shop.+",response_code=~"5.*"}[5m]))"#,
            r#"sum(rate(x_total{code=~"(2|3)..",path!="/healthz",pod=~"shop-[0-9a-f]+-.*"}[1m]))"#,
            r#"histogram_quantile(0.99, sum by (le) (rate(latency_bucket{job="shop"}[5m])))"#,
        ] {
            let store = idle(query).expect("series");
            assert!(store.series_count() > 0, "{query}");
        }
        assert!(idle("vector(1)").is_none());
        assert!(idle("rate(x_total[5m] offset 1d)").is_none());
    }
}
