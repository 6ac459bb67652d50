//! What a Rollout's traffic routers shall contain.

use serde::{Deserialize, Serialize};

use crate::spec::rollout::{SetHeaderRoute, SetMirrorRoute};
use crate::spec::rollout_status::WeightDestination;

/// Weights by service, and managed routes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Sum of all weights, 100 by default (`maxTrafficWeight`).
    pub max_weight: i32,
    pub canary: WeightDestination,
    pub stable: WeightDestination,
    /// Services of an experiment's templates.
    pub additional: Vec<WeightDestination>,
    /// Managed header routes in the order of `managedRoutes`.
    pub header_routes: Vec<SetHeaderRoute>,
    pub mirror_routes: Vec<SetMirrorRoute>,
}
