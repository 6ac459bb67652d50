//! Tables of Rollouts and Experiments.

use super::age::age;
use super::view::{displayed_phase, strategy};
use crate::engine::rollout::replicas::current_set_weight;
use crate::spec::experiment::Experiment;
use crate::spec::rollout::Rollout;
use crate::time::Timestamp;

/// A table whose columns keep their widths while lines are added.
#[derive(Debug, Clone)]
pub struct ListTable {
    titles: Vec<&'static str>,
    widths: Vec<usize>,
}

/// Titles, and how wide a column is at least, so that later lines fit below earlier ones.
type Columns = &'static [(&'static str, usize)];

const ROLLOUTS: Columns = &[
    ("NAME", 10),
    ("STRATEGY", 9),
    ("STATUS", 12),
    ("STEP", 4),
    ("SET-WEIGHT", 10),
    ("READY", 5),
    ("DESIRED", 7),
    ("UP-TO-DATE", 10),
    ("AVAILABLE", 9),
];

const EXPERIMENTS: Columns = &[
    ("NAME", 10),
    ("STATUS", 6),
    ("DURATION", 8),
    ("REMAINING", 9),
    ("AGE", 3),
];

impl ListTable {
    /// Of [`rollout_cells`]; before them a time and a namespace where wanted.
    pub fn of_rollouts(with_time: bool, with_namespace: bool) -> Self {
        Self::new(ROLLOUTS, with_time, with_namespace)
    }

    /// Of [`experiment_cells`]; before them a time and a namespace where wanted.
    pub fn of_experiments(with_time: bool, with_namespace: bool) -> Self {
        Self::new(EXPERIMENTS, with_time, with_namespace)
    }

    fn new(columns: Columns, with_time: bool, with_namespace: bool) -> Self {
        let time = with_time.then_some(("TIMESTAMP", 20));
        let namespace = with_namespace.then_some(("NAMESPACE", 9));
        let all = time
            .into_iter()
            .chain(namespace)
            .chain(columns.iter().copied());
        let (titles, widths) = all.unzip();
        Self { titles, widths }
    }

    /// Makes columns as wide as these cells.
    pub fn widen(&mut self, cells: &[String]) {
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }

    /// The line of titles.
    pub fn titles(&self) -> String {
        let titles: Vec<String> = self
            .titles
            .iter()
            .map(|title| (*title).to_owned())
            .collect();
        self.line(&titles)
    }

    /// A line; cells that are too long move those behind them.
    pub fn line(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for (width, cell) in self.widths.iter().zip(cells) {
            line.push_str(&format!("{cell:width$}  "));
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

/// Name, strategy, status, step, weight, ready, desired, updated and available pods.
pub fn rollout_cells(rollout: &Rollout) -> Vec<String> {
    let status = &rollout.status;
    let canary = rollout.spec.strategy.canary.as_ref();
    let dash = || "-".to_owned();
    let step = canary
        .filter(|canary| !canary.steps.is_empty())
        .and_then(|canary| {
            Some(format!(
                "{}/{}",
                status.current_step_index?,
                canary.steps.len()
            ))
        });
    let strategy = match strategy(rollout) {
        "" => "unknown",
        strategy => strategy,
    };
    vec![
        rollout.metadata.name.clone(),
        strategy.to_owned(),
        displayed_phase(rollout).0.to_string(),
        step.unwrap_or_else(dash),
        canary.map_or_else(dash, |_| current_set_weight(rollout).to_string()),
        format!("{}/{}", status.ready_replicas, status.replicas),
        rollout.spec.replicas_or_default().to_string(),
        status.updated_replicas.to_string(),
        status.available_replicas.to_string(),
    ]
}

/// Name, status, duration, what remains of it, age.
pub fn experiment_cells(experiment: &Experiment, now: Timestamp) -> Vec<String> {
    let (metadata, status) = (&experiment.metadata, &experiment.status);
    let duration = (!experiment.spec.duration.is_empty())
        .then(|| experiment.spec.duration.parse().ok())
        .flatten();
    let remaining = duration
        .zip(status.available_at)
        .filter(|_| !status.phase.is_completed())
        .map(|(duration, available_at)| (available_at + duration).since(now))
        .filter(|left| !left.is_negative() && !left.is_zero());
    let shown = |length: Option<crate::time::Duration>| length.map_or("-".to_owned(), age);
    vec![
        metadata.name.clone(),
        status.phase.to_string(),
        shown(duration),
        shown(remaining),
        shown(
            metadata
                .creation_timestamp
                .map(|created| now.since(created)),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::decode::decode;

    #[test]
    fn columns_are_as_the_plugin_has_them() {
        let rollout: Rollout = decode(json!({
            "metadata": {"name": "can-guestbook"},
            "spec": {"replicas": 5, "strategy": {"canary": {
                "steps": [{"setWeight": 10}, {"pause": {"duration": 60}}, {"setWeight": 20}]
            }}},
            "status": {"currentStepIndex": 1, "replicas": 4, "readyReplicas": 1,
                       "updatedReplicas": 3, "availableReplicas": 2}
        }))
        .unwrap();
        let cells = rollout_cells(&rollout);
        let mut table = ListTable::of_rollouts(false, false);
        table.widen(&cells);
        let text = table.titles() + &table.line(&cells);
        assert_eq!(
            text,
            "NAME           STRATEGY   STATUS        STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE\n\
             can-guestbook  Canary     Progressing   1/3   10          1/4    5        3           2\n"
        );
    }
}
