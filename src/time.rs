//! Instants and durations.
