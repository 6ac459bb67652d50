//! Metric answers of a scenario.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::engine::POD_TEMPLATE_HASH_LABEL;
use crate::sim::metrics::{MetricAnswer, MetricRequest, MetricSource, ScriptKey, ScriptedMetrics};
use crate::spec::analysis::{AnalysisPhase, Metric};

use super::MetricScript;

/// Answers by script; a metric without one answers as a healthy service would.
pub(in crate::sim) struct ScenarioMetrics {
    namespace: String,
    rollout: String,
    /// Answers in analyses of the released version, and in all others.
    release: ScriptedMetrics,
    others: ScriptedMetrics,
    scripted: Vec<String>,
    /// Hash of the version before the release; any other is the release.
    old_hash: Option<String>,
    healthy: BTreeMap<String, Value>,
}

impl ScenarioMetrics {
    pub(in crate::sim) fn new(
        namespace: &str,
        rollout: &str,
        scripts: &BTreeMap<String, MetricScript>,
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
            healthy: BTreeMap::new(),
        }
    }

    /// Whether the run judges another version than the one that was there first.
    fn judges_release(&mut self, request: &MetricRequest<'_>) -> bool {
        let label = request.run.metadata.labels.get(POD_TEMPLATE_HASH_LABEL);
        if self.old_hash.is_none() {
            self.old_hash = request
                .world
                .rollout(&self.namespace, &self.rollout)
                .map(|rollout| rollout.status.stable_rs.clone());
        }
        label != self.old_hash.as_ref()
    }

    /// The first of some plausible answers that the metric's conditions take as a success.
    fn healthy_answer(&mut self, request: &MetricRequest<'_>) -> Value {
        let name = &request.metric.name;
        if let Some(answer) = self.healthy.get(name) {
            return answer.clone();
        }
        let answer = candidates(request.metric)
            .into_iter()
            .find(|candidate| {
                let answer = answer_with(request, candidate.clone());
                answer.measurement.phase == AnalysisPhase::Successful
            })
            .unwrap_or_else(|| json!(1));
        self.healthy.insert(name.clone(), answer.clone());
        answer
    }
}

impl MetricSource for ScenarioMetrics {
    fn measure(&mut self, request: &MetricRequest<'_>) -> MetricAnswer {
        if !self.scripted.contains(&request.metric.name) {
            let answer = self.healthy_answer(request);
            return answer_with(request, answer);
        }
        if self.judges_release(request) {
            self.release.measure(request)
        } else {
            self.others.measure(request)
        }
    }
}

fn answer_with(request: &MetricRequest<'_>, answer: Value) -> MetricAnswer {
    let script = BTreeMap::from([(request.metric.name.clone(), vec![answer])]);
    ScriptedMetrics::new(ScriptKey::MetricName, script).measure(request)
}

/// Common values of healthy services, then the neighbours of numbers in the conditions.
fn candidates(metric: &Metric) -> Vec<Value> {
    let mut numbers = vec![1.0, 0.0, 100.0, 0.99, 0.01, 10.0];
    let conditions = format!("{} {}", metric.success_condition, metric.failure_condition);
    let written: Vec<f64> = conditions
        .split(|letter: char| !(letter.is_ascii_digit() || letter == '.'))
        .filter_map(|text| text.parse().ok())
        .collect();
    for number in written {
        numbers.extend([number, number * 1.01 + 0.001, number * 0.99 - 0.001]);
    }
    let mut candidates: Vec<Value> = numbers.iter().map(|number| json!(number)).collect();
    candidates.extend(["true", "ok", "OK", "healthy", "Successful"].map(|text| json!(text)));
    candidates.extend([json!(true), json!([])]);
    candidates
}
