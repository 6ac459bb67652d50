//! The controller on a real cluster: the engine's decisions, carried out on the wall clock.
//!
//! ```text
//! watch -> cache (Observed) -> decide (crate::engine, nothing else decides) -> apply -> record
//! ```
//!
//! One file a stage. Only here and in `cli` are there clients, clocks and sleeps.

pub mod client;
pub mod providers;
pub mod redact;
pub mod user;
