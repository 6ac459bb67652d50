//! The Rollout engine.

pub mod anti_affinity;
pub mod conditions;
pub mod messages;
pub mod metadata;
pub mod phase;
pub mod replicas;
pub mod steps;
