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
//! | 3 | [`routers`], [`providers`] | what traffic routers hold, what metric providers answer |
//! | 4 | [`engine`] | what a controller decides, as values |
//! | 5 | [`sim`] | a virtual cluster that acts on decisions |
//! | 6 | [`whatif`] | many simulations with chance, and what they say |
//! | 7 | [`report`], [`lint`] | what people read; what a cluster would refuse and what would hurt, one file a rule |
//! | 8 | `live` | the same engine on a real cluster and the wall clock |
//! | 9 | `cli` | the only place that reads files, prints and exits |
//!
//! # Where to change what
//!
//! | change | place |
//! |---|---|
//! | how a rollout decides | `engine/rollout/`, one file a concern; its `mod.rs` has the list |
//! | how an analysis is judged | `engine/analysis/assess.rs` |
//! | what a provider's answer means | `providers/<provider>.rs` |
//! | how a traffic router is written | `routers/<router>.rs`, and its line in `ROUTERS` |
//! | what a condition or a query means | [`expr`], [`promql`] |
//! | what is refused | `spec/validation/` |
//! | what lint finds | `lint/rules/`, one file a rule with its docs and examples |
//! | how the simulated cluster behaves | `sim/`, one file a controller |
//! | what a scenario can say | `sim/scenario/mod.rs` (types, schema), `sim/play/events.rs` (effects) |
//! | what is kept of many runs, and how it is told | `whatif/`, `report/whatif/` |
//! | what is printed | `report/`; a command is one file of `cli/` |
//!
//! # Invariants, said as absences
//!
//! Outside `cli` and `live` there is no clock, no I/O, no randomness but a given seed, no environment,
//! and no iteration in hash order. The same inputs give the same bytes. Nothing that decides
//! holds a client; nothing in the simulator sleeps; no panic is reachable from input.

pub mod engine;
pub mod expr;
pub mod lint;
pub mod promql;
pub mod providers;
pub mod report;
pub mod routers;
pub mod sim;
pub mod source;
pub mod spec;
pub mod time;
pub mod whatif;

#[cfg(feature = "live")]
pub mod live;

#[cfg(feature = "cli")]
pub mod cli;
