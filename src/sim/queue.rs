//! What happens next: a queue of tasks by (time, sequence number).

use std::collections::{BTreeMap, VecDeque};

use crate::engine::analysis::MeasurementAnswer;
use crate::time::Timestamp;

use super::world::ObjectRef;

/// Something due at an instant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Task {
    /// Let the controller of this object look at it.
    Reconcile(ObjectRef),
    /// A pod's container becomes ready.
    PodReady { pod: PodId, token: u32 },
    /// A pod's container crashes.
    PodCrash { pod: PodId, token: u32 },
    /// A Job's pod ends and the Job with it.
    JobEnd {
        namespace: String,
        name: String,
        uid: String,
        succeeded: bool,
    },
    /// Measurements that took time have come back.
    Answers {
        run: ObjectRef,
        uid: String,
        epoch: u32,
        answers: Vec<MeasurementAnswer>,
    },
    /// A router's configuration takes effect.
    TrafficEffective { namespace: String, rollout: String },
    /// The rollout controller starts again.
    ControllerStart,
}

/// A pod by name; the uid tells it from a later pod of the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PodId {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// Tasks in the order of their time, those of one instant in the order of their insertion.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    /// Few, and most are added near the end: cheaper to keep than a tree.
    tasks: VecDeque<(Place, Task)>,
    /// Where each object's reconciliation stands, if it does: at most one is due, as in a work queue.
    reconciles: BTreeMap<ObjectRef, Option<Place>>,
    next_sequence: u64,
}

/// Time and sequence number.
type Place = (Timestamp, u64);

impl Queue {
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// All tasks in their order.
    pub fn due(&self) -> impl Iterator<Item = (Timestamp, &Task)> {
        self.tasks.iter().map(|((at, _), task)| (*at, task))
    }

    pub fn next_at(&self) -> Option<Timestamp> {
        self.tasks.front().map(|((at, _), _)| *at)
    }

    pub fn schedule(&mut self, at: Timestamp, task: Task) {
        self.insert(at, task);
    }

    /// Asks for a reconciliation at `at`; one that is due earlier already covers it.
    pub fn reconcile(&mut self, at: Timestamp, object: &ObjectRef) {
        let standing = self.reconciles.get(object).copied().flatten();
        if let Some(standing) = standing {
            if standing.0 <= at {
                return;
            }
            self.remove(standing);
        }
        let place = self.insert(at, Task::Reconcile(object.clone()));
        match self.reconciles.get_mut(object) {
            Some(standing) => *standing = Some(place),
            None => {
                self.reconciles.insert(object.clone(), Some(place));
            }
        }
    }

    /// Drops the reconciliation of an object that is gone.
    pub fn forget(&mut self, object: &ObjectRef) {
        if let Some(standing) = self.reconciles.remove(object).flatten() {
            self.remove(standing);
        }
    }

    /// The first task due at or before `end`.
    pub fn pop_until(&mut self, end: Timestamp) -> Option<(Timestamp, Task)> {
        if self.next_at()? > end {
            return None;
        }
        let ((at, _), task) = self.tasks.pop_front()?;
        if let Task::Reconcile(object) = &task
            && let Some(standing) = self.reconciles.get_mut(object)
        {
            *standing = None;
        }
        Some((at, task))
    }

    fn insert(&mut self, at: Timestamp, task: Task) -> Place {
        let place = (at, self.next_sequence);
        self.next_sequence = self.next_sequence.saturating_add(1);
        let index = self.tasks.partition_point(|(known, _)| *known < place);
        self.tasks.insert(index, (place, task));
        place
    }

    fn remove(&mut self, place: Place) {
        if let Ok(index) = self.tasks.binary_search_by_key(&place, |(known, _)| *known) {
            self.tasks.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::world::Kind;

    #[test]
    fn one_reconciliation_an_object_at_the_earliest_time_asked_for() {
        let at = Timestamp::from_secs;
        let object = |name: &str| ObjectRef::new(Kind::Rollout, "ns", name);
        let mut queue = Queue::default();
        queue.reconcile(at(5), &object("a"));
        queue.reconcile(at(3), &object("b"));
        queue.reconcile(at(3), &object("a"));
        queue.reconcile(at(9), &object("a"));
        queue.schedule(at(3), Task::ControllerStart);
        assert_eq!(queue.next_at(), Some(at(3)));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop_until(at(10))).collect();
        assert_eq!(
            order,
            [
                (at(3), Task::Reconcile(object("b"))),
                (at(3), Task::Reconcile(object("a"))),
                (at(3), Task::ControllerStart),
            ]
        );
        queue.reconcile(at(9), &object("a"));
        queue.forget(&object("a"));
        assert_eq!(queue.next_at(), None);
    }
}
