//! Traffic routers: how a split of the traffic is written into their objects, and read back.
//!
//! A router is one file with one [`Router`] and one line in [`ROUTERS`]. Its limits, what it watches
//! and what it may do stand in the [`Facts`] it declares; the documentation's table, the lint rules
//! and the RBAC of the controller are made from these.
//!
//! Nothing here holds a client: objects come in as JSON, changes go out as JSON, and what a router
//! does not know in an object stays as it is.

mod alb;
mod alb_weights;
mod apisix;
mod gateway_api;
mod ingress;
mod istio;
mod json;
mod managed;
mod nginx;
mod owned;
mod release;
mod smi;
mod split;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spec::object_key::ObjectKey;
use crate::spec::rollout::Rollout;
use crate::spec::traffic_routing::RolloutTrafficRouting;

pub use alb_weights::{LoadBalancer, TargetGroup, TargetWeights, Verification, verify};
pub use release::{ROUTING_ANNOTATION, release, remembered, removed};
pub use split::Split;

/// All routers that are built, in the order in which several of one Rollout are written.
pub const ROUTERS: &[&dyn Router] = &[
    &istio::Istio,
    &nginx::Nginx,
    &alb::Alb,
    &smi::Smi,
    &apisix::Apisix,
    &gateway_api::GatewayApi,
];

/// Objects of the Rollout's namespace. One of another namespace is named `name.namespace`.
pub type Objects = BTreeMap<ObjectKey, Arc<Value>>;

/// What a router is and can do.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// As its users call it.
    pub name: &'static str,
    /// Its field of `spec.strategy.canary.trafficRouting`.
    pub field: &'static str,
    pub header_routes: bool,
    pub mirror_routes: bool,
    /// Weights for the services of an experiment.
    pub experiment_weights: bool,
    pub ping_pong: bool,
    /// Canary and stable service have to be named.
    pub needs_services: bool,
    /// `maxTrafficWeight` other than 100.
    pub max_traffic_weight: bool,
    /// Whether it can be asked which weights have taken effect.
    pub verifies_weights: bool,
    /// The kinds it reads and writes.
    pub kinds: &'static [RouterKind],
    /// What users have to know, in a sentence each.
    pub limits: &'static [&'static str],
}

/// A kind of object, and what a router does with it besides reading and watching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterKind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    /// The resource's plural, as in RBAC.
    pub resource: &'static str,
    /// `update`, `create`, `delete` or `patch`.
    pub verbs: &'static [&'static str],
}

impl RouterKind {
    /// The object of this kind and name.
    pub fn key(&self, name: &str) -> ObjectKey {
        ObjectKey {
            group: self.group.to_owned(),
            kind: self.kind.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// A traffic router.
pub trait Router: Sync {
    fn facts(&self) -> &'static Facts;

    /// Whether the Rollout names this router.
    fn is_used(&self, routing: &RolloutTrafficRouting) -> bool;

    /// What has to change so that the objects hold `split`; nothing if they do.
    ///
    /// # Errors
    /// An object that is missing or has another shape; nothing is to be written then.
    fn write(
        &self,
        rollout: &Rollout,
        objects: &Objects,
        split: &Split,
    ) -> Result<Writing, Refusal>;

    /// What has to change where the Rollout no longer has this router: `split` has all weight on
    /// stable and no managed routes.
    ///
    /// # Errors
    /// As [`Router::write`].
    fn release(
        &self,
        rollout: &Rollout,
        objects: &Objects,
        split: &Split,
    ) -> Result<Writing, Refusal> {
        self.write(rollout, objects, split)
    }

    /// What has to change so that no managed route is left; weights stay as they are.
    ///
    /// # Errors
    /// As [`Router::write`].
    fn clear_routes(&self, _rollout: &Rollout, _objects: &Objects) -> Result<Writing, Refusal> {
        // A router without managed routes has nothing to clear.
        Ok(Writing::default())
    }

    /// The split that the objects hold. Pod hashes are only known where an object holds them.
    ///
    /// # Errors
    /// As [`Router::write`].
    fn read(&self, rollout: &Rollout, objects: &Objects) -> Result<Split, Refusal>;
}

/// What to do to a router's objects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Writing {
    /// In this order.
    pub changes: Vec<Change>,
    /// Kubernetes events about the Rollout.
    pub notes: Vec<Note>,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    Create {
        key: ObjectKey,
        object: Value,
    },
    /// The whole object; what nobody meant to change is as it was observed.
    Update {
        key: ObjectKey,
        object: Value,
    },
    Delete {
        key: ObjectKey,
    },
}

impl Change {
    /// Whose change it is.
    pub fn key(&self) -> &ObjectKey {
        match self {
            Change::Create { key, object: _ }
            | Change::Update { key, object: _ }
            | Change::Delete { key } => key,
        }
    }
}

/// Reason and message of a normal event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub reason: &'static str,
    pub message: String,
}

/// Why a router's objects cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Reason of the warning that tells users about it.
    pub reason: &'static str,
    pub message: String,
}

impl Refusal {
    /// An object that is not there.
    pub fn not_found(reason: &'static str, key: &ObjectKey, resource: &str) -> Self {
        let plural = if key.group.is_empty() {
            resource.to_owned()
        } else {
            format!("{resource}.{}", key.group)
        };
        Self {
            reason,
            message: format!("{plural} \"{}\" not found", key.name),
        }
    }

    /// An object that has another shape, or belongs to somebody else.
    pub fn shape(message: impl Into<String>) -> Self {
        Self {
            reason: "TrafficRoutingError",
            message: message.into(),
        }
    }
}

/// The built routers that a Rollout names.
pub fn used_by(routing: &RolloutTrafficRouting) -> impl Iterator<Item = &'static dyn Router> {
    ROUTERS
        .iter()
        .copied()
        .filter(|router| router.is_used(routing))
}

/// Facts of all routers that are built.
pub fn facts() -> impl Iterator<Item = &'static Facts> {
    ROUTERS.iter().map(|router| router.facts())
}

/// Routers that a Rollout names but that are not built: nothing moves traffic for them.
pub fn not_built(routing: &RolloutTrafficRouting) -> Vec<String> {
    let RolloutTrafficRouting {
        istio: _,
        nginx: _,
        alb: _,
        smi: _,
        ambassador,
        app_mesh,
        traefik,
        managed_routes: _,
        apisix: _,
        plugins,
        max_traffic_weight: _,
    } = routing;
    let fields = [
        (ambassador.is_some(), "ambassador"),
        (app_mesh.is_some(), "appMesh"),
        (traefik.is_some(), "traefik"),
    ];
    let named = fields.iter().filter(|(is_set, _)| *is_set);
    let plugins = plugins.keys().filter(|key| {
        let field = format!("plugins.{key}");
        !facts().any(|facts| facts.field == field)
    });
    named
        .map(|(_, field)| format!("traffic router {field}"))
        .chain(plugins.map(|key| format!("traffic router plugin {key:?}")))
        .collect()
}

/// The split that the first router of a Rollout holds; none without a router that is built, or
/// where its objects cannot be read.
pub fn read(rollout: &Rollout, objects: &Objects) -> Option<Split> {
    let canary = rollout.spec.strategy.canary.as_ref()?;
    let routing = canary.traffic_routing.as_deref()?;
    used_by(routing).find_map(|router| router.read(rollout, objects).ok())
}
