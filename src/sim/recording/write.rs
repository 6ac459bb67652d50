//! From decisions to lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::engine::analysis::{self, MeasurementAnswer, REDACTED};
use crate::engine::{Action, Decision, Observed};
use crate::sim::observer::DecisionRecord;
use crate::spec::analysis::{AnalysisRun, AnalysisRunStatus};
use crate::time::Timestamp;

use super::hide::{hidden, hide_all, hide_in_decision};
use super::{Changed, Changes, Decided, DecidedKind, FORMAT, Header, Line};

/// A recording in memory.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    encoder: Encoder,
    pub lines: String,
}

impl Recording {
    /// Adds a decision; of one that cannot be written, why.
    pub fn add(&mut self, now: Timestamp, record: &DecisionRecord<'_>) {
        match self.encoder.encode(now, record) {
            Ok(lines) => self.lines.push_str(&lines),
            // No line of a recording, so that nobody takes it for a whole one.
            Err(error) => self.lines.push_str(&format!("{error}\n")),
        }
    }
}

/// Writes the lines of one recording.
#[derive(Debug, Clone, Default)]
pub struct Encoder {
    started: bool,
    /// What was seen last of each namespace, to find what has changed since.
    seen: BTreeMap<String, Observed>,
    /// The last version of each object that was decided on.
    decided: BTreeMap<(DecidedKind, String, String), Value>,
}

impl Encoder {
    /// The lines of a decision, each ended.
    ///
    /// # Errors
    /// A value that JSON cannot hold.
    pub fn encode(
        &mut self,
        now: Timestamp,
        record: &DecisionRecord<'_>,
    ) -> Result<String, serde_json::Error> {
        let mut lines = String::new();
        if !self.started {
            let header = Header {
                format: FORMAT,
                by: env!("CARGO_PKG_VERSION").to_owned(),
            };
            add(&mut lines, &Line::Recording(header))?;
        }
        let observed = match record {
            DecisionRecord::Rollout { observed, .. }
            | DecisionRecord::AnalysisRun { observed, .. }
            | DecisionRecord::Experiment { observed, .. } => *observed,
        };
        if let Some(changes) = self.changes(observed) {
            add(&mut lines, &Line::Changes(Box::new(changes)))?;
        }
        let decided = match *record {
            DecisionRecord::Rollout {
                rollout,
                observed: _,
                decision,
            } => Decided {
                kind: DecidedKind::Rollout,
                namespace: rollout.metadata.namespace.clone(),
                name: rollout.metadata.name.clone(),
                now,
                object: Some(serde_json::to_value(rollout)?),
                answers: Vec::new(),
                secrets: BTreeMap::new(),
                hangs_on_secrets: false,
                decision: shown(decision.clone())?,
            },
            DecisionRecord::Experiment {
                experiment,
                observed: _,
                decision,
            } => Decided {
                kind: DecidedKind::Experiment,
                namespace: experiment.metadata.namespace.clone(),
                name: experiment.metadata.name.clone(),
                now,
                object: Some(serde_json::to_value(experiment)?),
                answers: Vec::new(),
                secrets: BTreeMap::new(),
                hangs_on_secrets: false,
                decision: shown(decision.clone())?,
            },
            DecisionRecord::AnalysisRun {
                run,
                observed,
                answers,
                decision,
            } => on_run(now, run, observed, answers, decision)?,
        };
        add(&mut lines, &Line::Decided(Box::new(self.brief(decided))))?;
        self.started = true;
        Ok(lines)
    }

    /// Without the object where it is as in the last decision on it.
    fn brief(&mut self, mut decided: Decided) -> Decided {
        let key = (
            decided.kind,
            decided.namespace.clone(),
            decided.name.clone(),
        );
        if self.decided.get(&key) == decided.object.as_ref() {
            decided.object = None;
        } else if let Some(object) = &decided.object {
            self.decided.insert(key, object.clone());
        }
        decided
    }

    fn changes(&mut self, observed: &Observed) -> Option<Changes> {
        let seen = self.seen.entry(observed.namespace.clone()).or_default();
        let Observed {
            namespace,
            replica_sets,
            pods,
            services,
            analysis_templates,
            cluster_analysis_templates,
            analysis_runs,
            experiments,
            secrets: _,
            others,
            target_weights,
        } = observed;
        let weights = |weights: &Option<_>| {
            weights
                .iter()
                .cloned()
                .map(|it| (String::new(), it))
                .collect()
        };
        let changes = Changes {
            namespace: namespace.clone(),
            replica_sets: changed(&mut seen.replica_sets, replica_sets),
            pods: changed(&mut seen.pods, pods),
            services: changed(&mut seen.services, services),
            analysis_templates: map(
                changed(&mut seen.analysis_templates, analysis_templates),
                |template| hidden(template, |template| template.spec.metrics.make_mut()),
            ),
            cluster_analysis_templates: map(
                changed(
                    &mut seen.cluster_analysis_templates,
                    cluster_analysis_templates,
                ),
                |template| hidden(template, |template| template.spec.metrics.make_mut()),
            ),
            analysis_runs: map(changed(&mut seen.analysis_runs, analysis_runs), |run| {
                hidden(run, |run| run.spec.metrics.make_mut())
            }),
            experiments: changed(&mut seen.experiments, experiments),
            others: changed(&mut seen.others, others),
            target_weights: changed(&mut weights(&seen.target_weights), &weights(target_weights)),
        };
        seen.target_weights.clone_from(target_weights);
        (!changes.is_empty()).then_some(changes)
    }
}

impl Changes {
    fn is_empty(&self) -> bool {
        let Changes {
            namespace: _,
            replica_sets,
            pods,
            services,
            analysis_templates,
            cluster_analysis_templates,
            analysis_runs,
            experiments,
            others,
            target_weights,
        } = self;
        replica_sets.is_empty()
            && pods.is_empty()
            && services.is_empty()
            && analysis_templates.is_empty()
            && cluster_analysis_templates.is_empty()
            && analysis_runs.is_empty()
            && experiments.is_empty()
            && others.is_empty()
            && target_weights.is_empty()
    }
}

/// What is new, other or gone; `seen` becomes `now`.
fn changed<K: Ord + Clone, T: PartialEq>(
    seen: &mut BTreeMap<K, Arc<T>>,
    now: &BTreeMap<K, Arc<T>>,
) -> Changed<K, T> {
    let mut changed = Changed::new();
    seen.retain(|key, _| {
        let stays = now.contains_key(key);
        if !stays {
            changed.insert(key.clone(), None);
        }
        stays
    });
    for (key, object) in now {
        match seen.get(key) {
            Some(before) if Arc::ptr_eq(before, object) => {}
            Some(before) if before == object => {
                // The next comparison is the quick one.
                seen.insert(key.clone(), object.clone());
            }
            Some(_) | None => {
                seen.insert(key.clone(), object.clone());
                changed.insert(key.clone(), Some(object.clone()));
            }
        }
    }
    changed
}

fn map<K: Ord, T>(changed: Changed<K, T>, change: impl Fn(&Arc<T>) -> Arc<T>) -> Changed<K, T> {
    changed
        .into_iter()
        .map(|(key, object)| (key, object.as_ref().map(&change)))
        .collect()
}

fn on_run(
    now: Timestamp,
    run: &AnalysisRun,
    observed: &Observed,
    answers: &[MeasurementAnswer],
    decision: &Decision<AnalysisRunStatus>,
) -> Result<Decided, serde_json::Error> {
    let mut run = run.clone();
    let was_hidden = hide_all(run.spec.metrics.make_mut());
    let secrets: BTreeMap<String, BTreeMap<String, String>> = run
        .spec
        .args
        .iter()
        .filter_map(|argument| argument.value_from.as_ref()?.secret_key_ref.as_ref())
        .filter_map(|reference| {
            let secret = observed.secrets.get(&*reference.name)?;
            Some((reference.name.clone(), secret))
        })
        .map(|(name, secret)| {
            let hide = |(key, value): (&String, &String)| {
                let hidden = if value.is_empty() { "" } else { REDACTED };
                (key.clone(), hidden.to_owned())
            };
            (name, secret.iter().map(hide).collect())
        })
        .collect();
    let (decision, hangs_on_secrets) = if secrets.is_empty() && !was_hidden {
        (shown(decision.clone())?, false)
    } else {
        let observed = Observed {
            secrets: secrets.clone(),
            ..observed.clone()
        };
        let without = analysis::decide(&run, &observed, answers, now);
        let hangs = without_metrics(decision) != without_metrics(&without);
        (shown(without)?, hangs)
    };
    Ok(Decided {
        kind: DecidedKind::AnalysisRun,
        namespace: run.metadata.namespace.clone(),
        name: run.metadata.name.clone(),
        now,
        object: Some(serde_json::to_value(&run)?),
        answers: answers.to_vec(),
        secrets,
        hangs_on_secrets,
        decision,
    })
}

/// The decision but for what is in its metrics, where arguments stand.
fn without_metrics(decision: &Decision<AnalysisRunStatus>) -> Decision<AnalysisRunStatus> {
    let mut decision = decision.clone();
    for action in &mut decision.actions {
        if let Action::Measure { metric, resume: _ }
        | Action::StopMeasurement {
            metric,
            measurement: _,
        } = action
        {
            let name = std::mem::take(&mut metric.name);
            **metric = Default::default();
            metric.name = name;
        }
    }
    decision
}

/// As it is written and compared.
pub(super) fn shown<S: Serialize>(mut decision: Decision<S>) -> Result<Value, serde_json::Error> {
    hide_in_decision(&mut decision);
    serde_json::to_value(decision)
}

fn add(lines: &mut String, line: &Line) -> Result<(), serde_json::Error> {
    lines.push_str(&serde_json::to_string(line)?);
    lines.push('\n');
    Ok(())
}
