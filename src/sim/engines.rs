//! Stand-ins for the engine that is still missing: it decides nothing.

pub mod analysis {
    use crate::engine::{Decision, Observed};
    use crate::spec::analysis::{AnalysisRun, AnalysisRunStatus, Measurement};
    use crate::time::Timestamp;

    /// A measurement that came back.
    #[derive(Debug, Clone, PartialEq)]
    pub struct MeasurementAnswer {
        pub metric: String,
        pub result: Measurement,
    }

    pub fn decide(
        _run: &AnalysisRun,
        _observed: &Observed,
        _answers: &[MeasurementAnswer],
        _now: Timestamp,
    ) -> Decision<AnalysisRunStatus> {
        Decision::default()
    }
}
