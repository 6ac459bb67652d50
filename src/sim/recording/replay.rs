//! From lines to decisions that are taken again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::engine::{Observed, analysis, experiment, rollout};
use crate::spec::analysis::AnalysisRun;
use crate::spec::experiment::Experiment;
use crate::spec::rollout::Rollout;
use crate::time::Timestamp;

use super::write::shown;
use super::{Changed, Changes, Decided, DecidedKind, FORMAT, Header, Line};

/// Differences shown of one decision.
const MAX_SHOWN: usize = 10;
/// Depth of documents that are compared; the JSON reader accepts no more.
const MAX_DEPTH: usize = 128;

/// Reads a recording line by line, and decides again.
#[derive(Debug, Default)]
pub struct Replay {
    started: bool,
    observed: BTreeMap<String, Observed>,
    objects: BTreeMap<(DecidedKind, String, String), Value>,
}

/// What came of a line with a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// `Rollout ns/name`
    pub object: String,
    pub now: Timestamp,
    /// The decision taken was another one than recorded, because of the value of a secret.
    pub hangs_on_secrets: bool,
    /// Empty: the same again. At most ten.
    pub differences: Vec<Difference>,
}

/// A place where a decision differs; none: it is absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Such as `actions[0].PatchRollout.replicas`.
    pub path: String,
    pub recorded: Option<Value>,
    pub now: Option<Value>,
}

/// Why a line cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("no line of a recording: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the recording does not say its format at its start")]
    NoHeader,
    #[error("the recording has format {found}; this version reads format {FORMAT}")]
    Format { found: u32 },
    #[error("a decision on {0}, which was not recorded before")]
    UnknownObject(String),
}

impl Replay {
    /// Takes the next line in; what came of it where it is a decision.
    ///
    /// # Errors
    /// See [`LineError`].
    pub fn line(&mut self, line: &str) -> Result<Option<Replayed>, LineError> {
        match serde_json::from_str(line)? {
            Line::Recording(Header { format, by: _ }) => {
                if format != FORMAT {
                    return Err(LineError::Format { found: format });
                }
                *self = Self {
                    started: true,
                    ..Self::default()
                };
                Ok(None)
            }
            Line::Changes(_) | Line::Decided(_) if !self.started => Err(LineError::NoHeader),
            Line::Changes(changes) => {
                self.take_in(*changes);
                Ok(None)
            }
            Line::Decided(decided) => self.decide(*decided).map(Some),
        }
    }

    fn take_in(&mut self, changes: Changes) {
        let Changes {
            namespace,
            replica_sets,
            pods,
            services,
            analysis_templates,
            cluster_analysis_templates,
            analysis_runs,
            experiments,
            others,
            target_weights,
        } = changes;
        let observed = self
            .observed
            .entry(namespace.clone())
            .or_insert_with(|| Observed {
                namespace,
                ..Observed::default()
            });
        apply(&mut observed.replica_sets, replica_sets);
        apply(&mut observed.pods, pods);
        apply(&mut observed.services, services);
        apply(&mut observed.analysis_templates, analysis_templates);
        apply(
            &mut observed.cluster_analysis_templates,
            cluster_analysis_templates,
        );
        apply(&mut observed.analysis_runs, analysis_runs);
        apply(&mut observed.experiments, experiments);
        apply(&mut observed.others, others);
        for weights in target_weights.into_values() {
            observed.target_weights = weights;
        }
    }

    fn decide(&mut self, decided: Decided) -> Result<Replayed, LineError> {
        let Decided {
            kind,
            namespace,
            name,
            now,
            object,
            answers,
            secrets,
            hangs_on_secrets,
            decision: recorded,
        } = decided;
        let shown_name = format!("{kind:?} {namespace}/{name}");
        let observed = self
            .observed
            .entry(namespace.clone())
            .or_insert_with(|| Observed {
                namespace: namespace.clone(),
                ..Observed::default()
            });
        let key = (kind, namespace, name);
        if let Some(object) = object {
            self.objects.insert(key.clone(), object);
        }
        let Some(object) = self.objects.get(&key) else {
            return Err(LineError::UnknownObject(shown_name));
        };
        let found = match kind {
            DecidedKind::Rollout => {
                let rollout: Rollout = Rollout::deserialize(object)?;
                shown(rollout::decide(&rollout, observed, now))?
            }
            DecidedKind::Experiment => {
                let experiment: Experiment = Experiment::deserialize(object)?;
                shown(experiment::decide(&experiment, observed, now))?
            }
            DecidedKind::AnalysisRun => {
                let run: AnalysisRun = AnalysisRun::deserialize(object)?;
                observed.secrets = secrets;
                let decision = analysis::decide(&run, observed, &answers, now);
                observed.secrets = BTreeMap::new();
                shown(decision)?
            }
        };
        let mut differences = Vec::new();
        compare(&recorded, &found, "", 0, &mut differences);
        Ok(Replayed {
            object: shown_name,
            now,
            hangs_on_secrets,
            differences,
        })
    }
}

fn apply<K: Ord, T>(objects: &mut BTreeMap<K, Arc<T>>, changed: Changed<K, T>) {
    for (key, object) in changed {
        match object {
            Some(object) => objects.insert(key, object),
            None => objects.remove(&key),
        };
    }
}

fn compare(
    recorded: &Value,
    now: &Value,
    path: &str,
    depth: usize,
    differences: &mut Vec<Difference>,
) {
    if recorded == now || differences.len() >= MAX_SHOWN {
        return;
    }
    let mut differ = |path: &str, recorded: Option<&Value>, now: Option<&Value>| {
        differences.push(Difference {
            path: path.to_owned(),
            recorded: recorded.cloned(),
            now: now.cloned(),
        });
    };
    match (recorded, now) {
        (Value::Object(before), Value::Object(after)) if depth < MAX_DEPTH => {
            let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                match (before.get(key), after.get(key)) {
                    (Some(before), Some(after)) => {
                        compare(before, after, &path, depth + 1, differences);
                    }
                    (before, after) => differences.push(Difference {
                        path,
                        recorded: before.cloned(),
                        now: after.cloned(),
                    }),
                }
            }
            differences.truncate(MAX_SHOWN);
        }
        (Value::Array(before), Value::Array(after)) if depth < MAX_DEPTH => {
            for index in 0..before.len().max(after.len()) {
                let path = format!("{path}[{index}]");
                match (before.get(index), after.get(index)) {
                    (Some(before), Some(after)) => {
                        compare(before, after, &path, depth + 1, differences);
                    }
                    (before, after) => differences.push(Difference {
                        path,
                        recorded: before.cloned(),
                        now: after.cloned(),
                    }),
                }
            }
            differences.truncate(MAX_SHOWN);
        }
        (before, after) => differ(path, Some(before), Some(after)),
    }
}
