use crate::engine::{Observed, ReplicaSet};
use crate::spec::analysis::*;
use crate::spec::rollout::*;
use std::collections::BTreeMap;
use std::sync::Arc;
#[derive(Debug, Clone, Default)]
pub struct CurrentRuns {
    pub canary_step: Option<Arc<AnalysisRun>>,
    pub canary_background: Option<Arc<AnalysisRun>>,
    pub pre_promotion: Option<Arc<AnalysisRun>>,
    pub post_promotion: Option<Arc<AnalysisRun>>,
}
impl CurrentRuns {
    pub fn iter(&self) -> impl Iterator<Item = &Arc<AnalysisRun>> {
        [
            &self.canary_step,
            &self.canary_background,
            &self.pre_promotion,
            &self.post_promotion,
        ]
        .into_iter()
        .flatten()
    }
}
pub enum Created {
    New(AnalysisRun),
    Existing(Arc<AnalysisRun>),
}
pub fn create_with_collision_counter(
    _: &BTreeMap<String, Arc<AnalysisRun>>,
    e: AnalysisRun,
) -> Created {
    Created::New(e)
}
pub fn runs_to_delete(
    _: &[Arc<AnalysisRun>],
    _: &[&ReplicaSet],
    _: i32,
    _: i32,
) -> Vec<Arc<AnalysisRun>> {
    vec![]
}
pub fn step_labels(_: usize, _: &str) -> BTreeMap<String, String> {
    BTreeMap::new()
}
pub fn background_labels(_: &str) -> BTreeMap<String, String> {
    BTreeMap::new()
}
pub fn pre_promotion_labels(_: &str) -> BTreeMap<String, String> {
    BTreeMap::new()
}
pub fn post_promotion_labels(_: &str) -> BTreeMap<String, String> {
    BTreeMap::new()
}
pub fn build_arguments(
    _: &[AnalysisRunArgument],
    _: Option<&ReplicaSet>,
    _: &ReplicaSet,
    _: &Rollout,
) -> Result<Vec<Argument>, String> {
    Ok(vec![])
}
pub fn resolve_templates(
    _: &Observed,
    _: &[AnalysisTemplateRef],
) -> Result<
    (
        Vec<Arc<AnalysisTemplate>>,
        Vec<Arc<ClusterAnalysisTemplate>>,
    ),
    String,
> {
    Ok((vec![], vec![]))
}
#[allow(clippy::too_many_arguments)]
pub fn new_run(
    _: &[Arc<AnalysisTemplate>],
    _: &[Arc<ClusterAnalysisTemplate>],
    _: &[Argument],
    _: &[DryRun],
    _: &[MeasurementRetention],
    _: BTreeMap<String, String>,
    _: BTreeMap<String, String>,
    _: &str,
    _: &str,
    _: &str,
) -> Result<AnalysisRun, String> {
    Ok(AnalysisRun::default())
}
