//! Metric answers of a scenario.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::providers::web;
use crate::sim::chance::{Mishap, Mishaps};
use crate::sim::explore::Chosen;
use crate::sim::metrics::{
    MetricAnswer, MetricRequest, MetricSource, ScriptKey, ScriptedMetrics, answer,
};
use crate::sim::play::Track;
use crate::sim::telemetry::{Scene, Telemetry, TrafficTotals};
use crate::sim::world::World;
use crate::spec::analysis::{AnalysisPhase, Metric};
use crate::time::{Duration, Timestamp};

use super::MetricScript;

/// Deepest field of `result` that a healthy answer is made for.
const MAX_FIELD_DEPTH: usize = 16;

/// Answers by script; a metric without one answers as a healthy service would.
#[derive(Debug, Clone)]
pub(in crate::sim) struct ScenarioMetrics {
    namespace: String,
    rollout: String,
    /// Answers in analyses of the released version, and in all others.
    release: ScriptedMetrics,
    others: ScriptedMetrics,
    scripted: Vec<String>,
    /// Hash of the version before the release; any other is the release. None before the release.
    old_hash: Option<String>,
    /// Values that the metrics' conditions judge in this way, where one was found.
    examples: BTreeMap<(String, AnalysisPhase), Option<Value>>,
    mishaps: Mishaps,
    /// Answers Prometheus metrics without a script.
    pub(in crate::sim) telemetry: Option<Telemetry>,
    /// Answers that somebody chooses; none where nobody does.
    pub(in crate::sim) chosen: Option<Chosen>,
    /// What is noted for runs that get the same answers; none where nobody wants to know.
    pub(in crate::sim) track: Option<Track>,
}

impl ScenarioMetrics {
    pub(in crate::sim) fn new(
        namespace: &str,
        rollout: &str,
        scripts: &BTreeMap<String, MetricScript>,
        mishaps: Mishaps,
        telemetry: Option<Telemetry>,
    ) -> Self {
        let mut release = BTreeMap::new();
        let mut others = BTreeMap::new();
        for (name, script) in scripts {
            let (first, second) = match script {
                MetricScript::Answers(answers) => (answers, answers),
                MetricScript::ByVersion(versions) => (&versions.release, &versions.others),
            };
            release.insert(name.clone(), first.clone());
            others.insert(name.clone(), second.clone());
        }
        Self {
            namespace: namespace.to_owned(),
            rollout: rollout.to_owned(),
            scripted: scripts.keys().cloned().collect(),
            release: ScriptedMetrics::new(ScriptKey::MetricName, release),
            others: ScriptedMetrics::new(ScriptKey::MetricName, others),
            old_hash: None,
            examples: BTreeMap::new(),
            mishaps,
            telemetry,
            chosen: None,
            track: None,
        }
    }

    /// Lets requests come and measurements have mishaps from `now` on, drawn with this seed; the release
    /// will be when the history is over.
    pub(in crate::sim) fn start(&mut self, seed: u64, now: Timestamp, world: &World) {
        self.mishaps.start(seed);
        self.old_hash = world
            .rollout(&self.namespace, &self.rollout)
            .map(|rollout| rollout.status.stable_rs.clone());
        if let Some(telemetry) = &mut self.telemetry {
            telemetry.start(seed, now, now + telemetry.history(), world);
        }
    }

    /// How long requests come before the release.
    pub(in crate::sim) fn history(&self) -> Duration {
        (self.telemetry.as_ref()).map_or(Duration::ZERO, Telemetry::history)
    }

    /// How many requests there have been since the release; none without traffic.
    pub(in crate::sim) fn traffic_totals(&mut self, now: Timestamp) -> Option<TrafficTotals> {
        self.telemetry.as_mut()?.totals(now)
    }

    /// Tells that requests go this way from `now` on.
    pub(in crate::sim) fn change_scene(&mut self, now: Timestamp, scene: &Arc<Scene>) {
        if let Some(telemetry) = &mut self.telemetry {
            telemetry.change_scene(now, Arc::clone(scene));
        }
    }

    /// Whether what happens has happened to these metrics before.
    fn follows_known(&self) -> bool {
        self.track.as_ref().is_some_and(Track::is_known)
    }

    /// Whether the run judges another version than the one that was there first.
    fn judges_release(&self, request: &MetricRequest<'_>) -> bool {
        request.judged != self.old_hash.as_deref()
    }

    /// The first of some plausible answers that the metric's conditions judge in this way.
    fn example(
        &mut self,
        request: &MetricRequest<'_>,
        phase: AnalysisPhase,
    ) -> Option<MetricAnswer> {
        let key = (request.metric.name.clone(), phase);
        let value = self.examples.entry(key).or_insert_with(|| {
            candidates(request.metric)
                .into_iter()
                .find(|value| answer(request, value).measurement.phase == phase)
        });
        value.as_ref().map(|value| answer(request, value))
    }

    fn healthy_answer(&mut self, request: &MetricRequest<'_>) -> MetricAnswer {
        self.example(request, AnalysisPhase::Successful)
            .unwrap_or_else(|| answer(request, &json!(1)))
    }

    /// None where no value is judged in this way.
    fn mishap(&mut self, request: &MetricRequest<'_>, mishap: Mishap) -> Option<MetricAnswer> {
        match mishap {
            Mishap::NoData => Some(answer(request, &json!([]))),
            Mishap::Error => Some(answer(request, &json!("error"))),
            Mishap::Failed => self.example(request, AnalysisPhase::Failed),
            Mishap::Inconclusive => self.example(request, AnalysisPhase::Inconclusive),
        }
    }
}

impl MetricSource for ScenarioMetrics {
    fn measure(&mut self, request: &MetricRequest<'_>) -> MetricAnswer {
        if let Some(known) = self.track.as_mut().and_then(Track::known_answer) {
            return known;
        }
        let Some(mut chosen) = self.chosen.take() else {
            let answer = self.measure_by_scenario(request);
            if let Some(track) = &mut self.track {
                track.note_answer(request, &answer);
            }
            return answer;
        };
        let answer = chosen.measure(request).unwrap_or_else(|| {
            let answer = self.measure_by_scenario(request);
            chosen.note(request.metric, &answer.measurement);
            answer
        });
        self.chosen = Some(chosen);
        answer
    }

    fn time_passes(&mut self, now: Timestamp, world: &World) {
        let follows_known = self.follows_known();
        let Some(telemetry) = &mut self.telemetry else {
            return;
        };
        if follows_known {
            return telemetry.keep_up(world);
        }
        if let (Some(scene), Some(track)) = (telemetry.time_passes(now, world), &mut self.track) {
            track.note_scene(now, scene);
        }
    }
}

impl ScenarioMetrics {
    fn measure_by_scenario(&mut self, request: &MetricRequest<'_>) -> MetricAnswer {
        if let Some(mishap) = self.mishaps.next(&request.metric.name)
            && let Some(answer) = self.mishap(request, mishap)
        {
            return answer;
        }
        if !self.scripted.contains(&request.metric.name) {
            if let (Some(telemetry), Some(prometheus)) =
                (&mut self.telemetry, &request.metric.provider.prometheus)
            {
                return telemetry.measure(request, prometheus);
            }
            return self.healthy_answer(request);
        }
        if self.judges_release(request) {
            self.release.measure(request)
        } else {
            self.others.measure(request)
        }
    }
}

/// Values to try: common ones of healthy services, those that the conditions name and their
/// neighbours; as they are, in a list, and under the fields of `result` that the conditions read.
pub(in crate::sim) fn candidates(metric: &Metric) -> Vec<Value> {
    let conditions = format!("{} {}", metric.success_condition, metric.failure_condition);
    let mut values: Vec<Value> = vec![json!(1), json!(0), json!(100), json!(0.99), json!(0.01)];
    let numbers = conditions.split(|letter: char| !(letter.is_ascii_digit() || letter == '.'));
    for number in numbers.filter_map(|text| text.parse::<f64>().ok()) {
        values.extend([number, number * 1.01 + 0.001, number * 0.99 - 0.001].map(|it| json!(it)));
    }
    values.extend(quoted_texts(&conditions).map(|text| json!(text)));
    values.extend(["true", "ok", "OK", "healthy", "Successful"].map(|text| json!(text)));
    values.extend([json!(true), json!(false)]);
    let paths = fields_read(&conditions);
    let lists = values.iter().map(|value| json!([value]));
    let mut candidates: Vec<Value> = values.iter().cloned().chain(lists).collect();
    candidates.push(json!([]));
    if let Some(first) = paths.first() {
        // One field is tried with every value, the others follow it or stay at the first that fits.
        for value in &values {
            for other in [value, &json!(1), &json!(0), &json!(true)] {
                let mut object = json!({});
                for path in &paths {
                    let value = if path == first { value } else { other };
                    insert(&mut object, path, value.clone());
                }
                let web = (metric.provider.web.as_ref()).filter(|web| !web.json_path.is_empty());
                let document = web.and_then(|web| web::document(web, object.clone()));
                candidates.push(document.unwrap_or(object));
            }
        }
    }
    candidates
}

/// Texts in single or double quotes.
fn quoted_texts(conditions: &str) -> impl Iterator<Item = &str> {
    ['"', '\'']
        .into_iter()
        .flat_map(move |quote| conditions.split(quote).skip(1).step_by(2))
}

/// The `a.b` of each `result.a.b`, each once.
fn fields_read(conditions: &str) -> Vec<Vec<&str>> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut paths: Vec<Vec<&str>> = Vec::new();
    for text in conditions.split("result.").skip(1) {
        let end = text
            .find(|letter: char| !is_word(letter) && letter != '.')
            .unwrap_or(text.len());
        let path = text.get(..end).unwrap_or_default();
        let path: Vec<&str> = path.split('.').filter(|name| !name.is_empty()).collect();
        if !path.is_empty() && path.len() <= MAX_FIELD_DEPTH && !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

fn insert(object: &mut Value, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *object = value;
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    if let Some(fields) = object.as_object_mut() {
        insert(fields.entry(*first).or_insert(Value::Null), rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_texts_of_conditions_are_tried() {
        let metric = Metric {
            success_condition: "result.status == 'up' && result.data.ok == true".into(),
            ..Metric::default()
        };
        assert!(candidates(&metric).contains(&json!({"status": "up", "data": {"ok": true}})));
    }
}
