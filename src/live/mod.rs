//! The controller on a real cluster: the engine's decisions, carried out on the wall clock.
//!
//! ```text
//! watch -> cache (Observed) -> decide (crate::engine, nothing else decides) -> apply -> record
//! ```
//!
//! | file | job |
//! |---|---|
//! | `controller` | what the stages share; start, workers, end |
//! | `watch`, `resource` | lists and watches of the kinds that are needed, discovery |
//! | `decode`, `cache` | from JSON to what the engine sees; newest versions win |
//! | `queue` | what is looked at when; backoff |
//! | `reconcile` | one look at an object: decide, carry out, store the status |
//! | `plan`, `diff` | from actions to the smallest writes, pure |
//! | `apply`, `api` | writes and what their answers mean; rate, errors |
//! | `events` | Kubernetes events |
//! | `client` | which cluster, as whom |
//! | `access`, `manifests` | what the controller may do; how it is installed |
//! | `user` | commands of people |
//! | `providers`, `redact` | measurements; what must not be shown of them |
//! | `prometheus` | recorded series of a server |
//! | `signals` | what metrics and records are made from |
//!
//! Only here and in `cli` are there clients, clocks and sleeps.

pub mod access;
mod api;
mod apply;
mod cache;
pub mod client;
mod controller;
mod decode;
mod diff;
mod events;
pub mod health;
pub mod leader;
pub mod log;
pub mod manifests;
pub mod metrics;
mod plan;
pub mod prometheus;
pub mod providers;
mod queue;
mod reconcile;
pub mod record;
pub mod redact;
mod resource;
mod signals;
pub mod user;
mod watch;

pub use api::CallError;
pub use controller::{Controller, Options};
pub use queue::Workers;
pub use signals::{Listener, Signals};
