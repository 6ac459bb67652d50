//! The Rollout engine.
