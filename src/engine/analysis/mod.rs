//! The AnalysisRun engine: what to measure when, and what the measurements mean.
//!
//! A run is decided on in two calls where measurements are due: the first asks for them, the
//! second takes the answers in and gives the next status. What a single answer means is the
//! providers' business; here its phase is counted.

pub mod assess;
mod decide;
mod prepare;
pub mod schedule;
pub mod templates;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::spec::analysis::Measurement;

pub use decide::{decide, decide_tacitly};
pub use prepare::REDACTED;

/// A measurement that came back, finished or to be resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasurementAnswer {
    /// Name of the metric in [`crate::engine::Action::Measure`].
    pub metric: String,
    pub result: Measurement,
}
