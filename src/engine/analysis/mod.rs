//! The AnalysisRun engine.
