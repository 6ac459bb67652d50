//! What others are told of the controller's work: metrics, records.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::api::CallError;
use super::reconcile::Failure;
use crate::engine::objects::ObjectRef;
use crate::sim::DecisionRecord;
use crate::time::Timestamp;

/// Is told of everything the controller does. Called often, and on the way: it has to be quick.
pub trait Listener: Send + Sync {
    /// A call of the API server; `resource` is the plural.
    fn called(&self, _verb: &str, _resource: &str, _took: Duration, _error: Option<&CallError>) {}

    /// After a decision, before it is carried out.
    fn decided(&self, _now: Timestamp, _object: &ObjectRef, _record: &DecisionRecord<'_>) {}

    /// A reconciliation is over; with the error that made it break off.
    fn reconciled(&self, _object: &ObjectRef, _took: Duration, _error: Option<&Failure>) {}

    /// An object that is gone and will not be decided on any more.
    fn forgotten(&self, _object: &ObjectRef) {}

    /// How many objects wait to be looked at now.
    fn queued(&self, _length: usize) {}
}

/// All listeners.
#[derive(Clone, Default)]
pub struct Signals(Vec<Arc<dyn Listener>>);

impl Signals {
    pub fn new(listeners: Vec<Arc<dyn Listener>>) -> Self {
        Self(listeners)
    }
}

impl Listener for Signals {
    fn called(&self, verb: &str, resource: &str, took: Duration, error: Option<&CallError>) {
        for listener in &self.0 {
            listener.called(verb, resource, took, error);
        }
    }

    fn decided(&self, now: Timestamp, object: &ObjectRef, record: &DecisionRecord<'_>) {
        for listener in &self.0 {
            listener.decided(now, object, record);
        }
    }

    fn reconciled(&self, object: &ObjectRef, took: Duration, error: Option<&Failure>) {
        for listener in &self.0 {
            listener.reconciled(object, took, error);
        }
    }

    fn forgotten(&self, object: &ObjectRef) {
        for listener in &self.0 {
            listener.forgotten(object);
        }
    }

    fn queued(&self, length: usize) {
        for listener in &self.0 {
            listener.queued(length);
        }
    }
}

/// Locks; a panic elsewhere has left whole values behind, as nothing is changed half.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
