use crate::engine::ReplicaSet;
use crate::spec::experiment::Experiment;
use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::WeightDestination;
use std::collections::BTreeMap;
use std::sync::Arc;
pub enum Created {
    New(Experiment),
    Existing(Arc<Experiment>),
}
pub fn experiment_of_step(
    _: &Rollout,
    _: &ReplicaSet,
    _: &ReplicaSet,
) -> Result<Option<Experiment>, String> {
    Ok(None)
}
pub fn create_with_collision(_: &BTreeMap<String, Arc<Experiment>>, e: Experiment) -> Created {
    Created::New(e)
}
pub fn experiments_to_delete(
    _: &[Arc<Experiment>],
    _: &[&ReplicaSet],
    _: i32,
    _: i32,
) -> Vec<Arc<Experiment>> {
    vec![]
}
pub fn weight_destinations(_: &Rollout, _: Option<&Experiment>) -> Vec<WeightDestination> {
    vec![]
}
