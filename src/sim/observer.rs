//! Who records what happens in a simulation.

use crate::engine::analysis::MeasurementAnswer;
use crate::engine::{Decision, Event, Observed};
use crate::spec::analysis::{AnalysisRun, AnalysisRunStatus, Measurement, Metric};
use crate::spec::experiment::{Experiment, ExperimentStatus};
use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::RolloutStatus;
use crate::time::Timestamp;

use super::world::{ObjectRef, World};

/// Is told of everything in the order in which it happens.
pub trait Observer {
    /// After every single write to the API server.
    fn changed(&mut self, _now: Timestamp, _change: &Change, _world: &World) {}

    /// Whether [`Observer::event`] is to be called. One who is not told of events at first cannot
    /// learn later what the event recorder would have made of them.
    fn wants_events(&self) -> bool {
        true
    }

    /// A Kubernetes event about `object`, with what the event recorder made of it.
    fn event(
        &mut self,
        _now: Timestamp,
        _object: &ObjectRef,
        _event: &Event,
        _outcome: EventOutcome,
    ) {
    }

    /// Whether [`Observer::decided`] is to be called. Where it is not, what is known to decide nothing is
    /// not asked, and reasons are not written.
    fn wants_decisions(&self) -> bool {
        true
    }

    /// After a decision, before it is carried out.
    fn decided(&mut self, _now: Timestamp, _object: &ObjectRef, _record: &DecisionRecord<'_>) {}

    /// A measurement that was taken for an AnalysisRun.
    fn measured(
        &mut self,
        _now: Timestamp,
        _run: &ObjectRef,
        _metric: &Metric,
        _result: &Measurement,
    ) {
    }

    /// A reconciliation that broke off; it is tried again.
    fn failed(&mut self, _now: Timestamp, _object: &ObjectRef, _reason: &str) {}
}

/// Records nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub object: ObjectRef,
    pub kind: ChangeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Created,
    Updated,
    Deleted,
}

/// What client-go's event recorder does with an event (`tools/record/events_cache.go`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOutcome {
    /// Stored as a new object.
    Stored,
    /// Only raised the counter of an equal event stored before.
    Counted,
    /// Dropped by the spam filter: more than 25 events about one object in a short time.
    Dropped,
}

/// Everything that went into a decision and came out of it.
#[derive(Debug, Clone, Copy)]
pub enum DecisionRecord<'a> {
    Rollout {
        rollout: &'a Rollout,
        observed: &'a Observed,
        decision: &'a Decision<RolloutStatus>,
    },
    AnalysisRun {
        run: &'a AnalysisRun,
        observed: &'a Observed,
        answers: &'a [MeasurementAnswer],
        decision: &'a Decision<AnalysisRunStatus>,
    },
    Experiment {
        experiment: &'a Experiment,
        observed: &'a Observed,
        decision: &'a Decision<ExperimentStatus>,
    },
}
