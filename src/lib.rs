//! rollproof: Argo Rollouts, simulated, linted, questioned and run live by one engine.
//!
//! # Architecture
//!
//! Modules by rank; a module imports only from ranks above its own.
//!
//! | rank | modules | job |
//! |---|---|---|
//! | 1 | [`source`], [`time`] | source ids and spans; instants and Go durations, without a clock |
//! | 2 | [`spec`], [`expr`], [`promql`] | what users write: manifests, conditions, queries |
//! | 3 | [`engine`], [`providers`], [`routers`] | what a controller decides, asks and writes, as values |
//! | 4 | [`sim`], [`report`] | a virtual cluster that acts on decisions; what people read |
//! | 5 | `cli` | the only place that reads files, prints and exits |
//!
//! # Invariants, said as absences
//!
//! Outside `cli` there is no clock, no I/O, no randomness but a given seed, no environment,
//! and no iteration in hash order. The same inputs give the same bytes.

pub mod engine;
pub mod expr;
pub mod promql;
pub mod providers;
pub mod report;
pub mod routers;
pub mod sim;
pub mod source;
pub mod spec;
pub mod time;

#[cfg(feature = "cli")]
pub mod cli;
