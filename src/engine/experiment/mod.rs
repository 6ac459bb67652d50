//! The Experiment engine: one call is one reconciliation of argo-rollouts' experiment controller.
//!
//! | file | job |
//! |---|---|
//! | `context` | the working copy of a pass: which ReplicaSet and Service is of which template |
//! | `replica_sets`, `services` | what a template consists of; the template's status |
//! | `analyses` | analysis runs: created, watched, ended |
//! | `phases` | questions about statuses: durations, which of two is worse |
//! | `conditions` | conditions of the status |
//! | `decide` | the pass itself, the phase, and when to look again |

mod analyses;
mod conditions;
mod context;
mod decide;
mod phases;
mod replica_sets;
pub(crate) mod services;
#[cfg(test)]
mod tests;

pub use decide::decide;
