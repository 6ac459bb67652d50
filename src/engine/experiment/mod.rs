//! The Experiment engine.
