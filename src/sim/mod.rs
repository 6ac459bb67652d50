//! A virtual cluster that acts on decisions: clock, API server, built-in controllers, pods, metrics.
//!
//! [`Simulation`] plays what happens around the engine: it stores objects as an API server does,
//! runs the ReplicaSet, Deployment and Job controllers, and drives `decide` for every Rollout,
//! AnalysisRun and Experiment. Nothing sleeps: time jumps from event to event, in an order fixed by
//! (time, sequence number). The same commands, settings and seed give the same bytes.
//!
//! It keeps no history: what shall be remembered is recorded by an [`Observer`].

mod act;
mod answers;
mod apply;
pub(crate) mod carry_out;
mod chance;
mod command;
mod deployments;
pub(crate) mod drive;
pub(crate) mod event_recorder;
pub mod explore;
mod faults;
mod jobs;
pub mod metrics;
mod observer;
pub mod play;
pub mod pods;
mod queue;
pub mod recording;
mod replica_sets;
pub mod scenario;
mod settings;
pub(crate) mod simulation;
mod store;
mod telemetry;
#[cfg(test)]
mod tests;
pub(crate) mod time_fields;
pub mod timeline;
pub mod traffic;
pub mod world;

pub use command::Command;
pub use faults::{Fault, PodFaultEffect, PodSelection};
pub use metrics::{MetricAnswer, MetricRequest, MetricSource};
pub use observer::{Change, ChangeKind, DecisionRecord, EventOutcome, NoObserver, Observer};
pub use pods::{JobRun, PodLife, PodModel, PodStart};
pub use settings::Settings;
pub use simulation::Simulation;
pub(crate) use store::mix;
pub use telemetry::TrafficTotals;
pub use traffic::{Destination, Traffic, destinations, traffic_shares};
pub use world::{Kind, Namespace, ObjectRef, World};
