//! The AnalysisRun engine.
pub mod templates;
