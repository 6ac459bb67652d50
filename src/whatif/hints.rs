//! What the reader should change in the scenario so that the figures say more.

use serde_json::Value;

use crate::sim::scenario::Scenario;

use super::summary::Summary;

/// Hints after runs of a healthy and a bad release. `objects` are the manifests; `bad` is the
/// scenario of the bad release.
pub fn hints(objects: &[Value], bad: &Scenario, of_healthy: &Summary) -> Vec<String> {
    let mut hints = Vec::new();
    let waits = of_healthy.waits_for_people;
    if waits.count > 0 {
        hints.push(format!(
            "the healthy release waits for somebody to promote it in {} of {} runs: an event of the \
             scenario can do that (`events: [{{at: 10m, promote: true}}]`)",
            waits.count, waits.runs
        ));
    }
    let mut blind = Vec::new();
    for object in objects {
        collect_blind(object, bad, &mut blind);
    }
    blind.sort();
    blind.dedup();
    if !blind.is_empty() {
        hints.push(format!(
            "answers that do not come from the requests are good for a bad release too, unless \
             `whatIf.bad.measurements` says how often they are not: {}",
            blind.join(", ")
        ));
    }
    hints
}

/// Finds metrics anywhere in an object that answer the same for both releases.
fn collect_blind(value: &Value, bad: &Scenario, blind: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let (Some(name), Some(provider)) = (
                fields.get("name").and_then(Value::as_str),
                fields.get("provider").and_then(Value::as_object),
            ) {
                let kind = provider.keys().next().map(String::as_str);
                blind.extend(
                    kind.filter(|kind| is_blind(name, kind, bad))
                        .map(|kind| format!("{name} ({kind})")),
                );
                return;
            }
            for field in fields.values() {
                collect_blind(field, bad, blind);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect_blind(item, bad, blind);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_blind(metric: &str, provider: &str, bad: &Scenario) -> bool {
    let follows_requests = provider == "prometheus"
        && (bad.traffic.is_some() || bad.series.is_some() || !bad.traces.is_empty());
    let random = bad.random.iter().flat_map(|random| &random.measurements);
    let goes_wrong = random.into_iter().any(|it| {
        it.metric.as_deref().is_none_or(|only| only == metric)
            && (it.failed.is_some() || it.inconclusive.is_some())
    });
    // A Job is a program of its own: nothing is said of it by chance.
    !follows_requests && !goes_wrong && provider != "job" && !bad.metrics.contains_key(metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whatif::{Ending, Row, Tally};
    use serde_json::json;

    fn hints_of(objects: &Value, scenario: &Value) -> Vec<String> {
        let objects = objects.as_array().cloned().unwrap_or_default();
        let scenario: Scenario = serde_json::from_value(scenario.clone()).unwrap();
        let releases = crate::whatif::releases(&scenario).unwrap();
        hints(
            &objects,
            &releases.bad.scenario,
            &Tally::default().summary(),
        )
    }

    #[test]
    fn a_metric_that_no_release_can_fail_is_named() {
        let template = json!([{"kind": "AnalysisTemplate", "spec": {"metrics": [
            {"name": "errors", "provider": {"prometheus": {"query": "x"}}},
            {"name": "smoke", "provider": {"web": {"url": "http://x"}}},
            {"name": "load", "provider": {"job": {}}},
        ]}}]);
        let traffic = json!({"requests": 10});
        let found = hints_of(&template, &json!({"traffic": traffic}));
        assert!(found[0].ends_with(": smoke (web)"), "{found:?}");
        let measurements = json!([{"metric": "smoke", "failed": 0.5}]);
        let what_if = json!({"bad": {"errors": 0.1, "measurements": measurements}});
        assert_eq!(
            hints_of(&template, &json!({"traffic": traffic, "whatIf": what_if})),
            Vec::<String>::new()
        );
    }

    #[test]
    fn somebody_can_promote_in_the_scenario() {
        let mut tally = Tally::default();
        tally.add(&Row {
            ending: Ending::WaitsForPeople,
            time_to_promotion: None,
            time_to_detect: None,
            time_to_abort: None,
            time_to_return: None,
            requests: None,
            failed_because_of_release: None,
            peak_pods: 1,
            measurements: 0,
        });
        let found = hints(&[], &Scenario::default(), &tally.summary());
        assert!(found[0].contains("in 1 of 1 runs"), "{found:?}");
        let event = json!({"events": [{"at": "10m", "promote": true}]});
        assert!(serde_json::from_value::<Scenario>(event).is_ok());
    }
}
