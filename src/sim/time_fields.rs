//! Times as the API server stores them: whole seconds.

use std::sync::Arc;

use crate::spec::analysis::{AnalysisRunStatus, Measurement};
use crate::spec::experiment::ExperimentStatus;
use crate::spec::rollout_status::RolloutStatus;
use crate::time::Timestamp;

/// A status whose times can be cut.
pub(crate) trait TruncateTimes {
    /// Cuts every time to whole seconds.
    fn truncate_times(&mut self);
}

fn cut(time: &mut Option<Timestamp>) {
    *time = time.map(Timestamp::truncate_to_seconds);
}

fn is_whole(time: Option<Timestamp>) -> bool {
    time == time.map(Timestamp::truncate_to_seconds)
}

impl TruncateTimes for RolloutStatus {
    fn truncate_times(&mut self) {
        cut(&mut self.aborted_at);
        cut(&mut self.restarted_at);
        for pause in &mut self.pause_conditions {
            cut(&mut pause.start_time);
        }
        let are_whole = self.conditions.iter().all(|condition| {
            is_whole(condition.last_update_time) && is_whole(condition.last_transition_time)
        });
        if !are_whole {
            for condition in self.conditions.make_mut() {
                cut(&mut condition.last_update_time);
                cut(&mut condition.last_transition_time);
            }
        }
        for plugin in &mut self.canary.step_plugin_statuses {
            cut(&mut plugin.started_at);
            cut(&mut plugin.updated_at);
            cut(&mut plugin.finished_at);
        }
        if let Some(duration) = &mut self.duration {
            cut(&mut duration.rollout_started_at);
            cut(&mut duration.manual_pause_started_at);
            cut(&mut duration.finished_at);
        }
    }
}

impl TruncateTimes for Measurement {
    fn truncate_times(&mut self) {
        cut(&mut self.started_at);
        cut(&mut self.finished_at);
        cut(&mut self.resume_at);
    }
}

impl TruncateTimes for AnalysisRunStatus {
    fn truncate_times(&mut self) {
        cut(&mut self.started_at);
        cut(&mut self.completed_at);
        for result in &mut self.metric_results {
            let are_whole = (result.measurements.iter())
                .all(|it| [it.started_at, it.finished_at, it.resume_at].map(is_whole) == [true; 3]);
            if !are_whole {
                for measurement in result.measurements.make_mut() {
                    Arc::make_mut(measurement).truncate_times();
                }
            }
        }
    }
}

impl TruncateTimes for ExperimentStatus {
    fn truncate_times(&mut self) {
        cut(&mut self.available_at);
        for template in &mut self.template_statuses {
            cut(&mut template.last_transition_time);
        }
        for condition in &mut self.conditions {
            cut(&mut condition.last_update_time);
            cut(&mut condition.last_transition_time);
        }
    }
}
