//! Selectors of the stable, canary, active and preview services.

use crate::engine::{Action, Event, MANAGED_BY_ANNOTATION, POD_TEMPLATE_HASH_LABEL};
use crate::spec::kubernetes::Service;

use super::context::Context;
use super::pause::halt_reason;
use super::replicas;
use crate::engine::Observed;
use crate::spec::rollout::Rollout;

/// The pod template hash in a service's selector, "" where there is none.
pub(super) fn selected_hash(service: &Service) -> &str {
    service
        .spec
        .selector
        .get(POD_TEMPLATE_HASH_LABEL)
        .map_or("", String::as_str)
}

/// What to do for the services of a rollout when it is gone: they choose pods of all revisions again.
/// Source: `syncService` of the reference's service controller.
pub fn release_services(rollout: &str, observed: &Observed) -> Vec<Action> {
    released(rollout, observed, |_| false)
}

/// Releases the services that the rollout manages, except those to be kept.
fn released(rollout: &str, observed: &Observed, is_kept: impl Fn(&str) -> bool) -> Vec<Action> {
    let is_left = |service: &Service| {
        let owner = service.metadata.annotations.get(MANAGED_BY_ANNOTATION);
        owner.is_some_and(|owner| owner == rollout) && !selected_hash(service).is_empty()
    };
    observed
        .services
        .iter()
        .filter(|(name, service)| is_left(service) && !is_kept(name))
        .map(|(name, _)| Action::SelectService {
            name: name.clone(),
            hash: None,
            managed_by: None,
        })
        .collect()
}

/// The services that a rollout names; "" among them means nothing.
fn named_services(rollout: &Rollout) -> Vec<&str> {
    let mut names = Vec::new();
    if let Some(blue_green) = &rollout.spec.strategy.blue_green {
        names.extend([&blue_green.active_service, &blue_green.preview_service]);
    }
    if let Some(canary) = &rollout.spec.strategy.canary {
        names.extend([&canary.stable_service, &canary.canary_service]);
        if let Some(pair) = &canary.ping_pong {
            names.extend([&pair.ping_service, &pair.pong_service]);
        }
    }
    names.into_iter().map(String::as_str).collect()
}

impl Context<'_> {
    /// Leaves services that the rollout named before and names no more.
    pub(super) fn release_removed_services(&mut self) {
        let owner = &self.rollout.metadata.name;
        let is_named = |name: &str| named_services(&self.rollout).contains(&name);
        for action in released(owner, self.observed, is_named) {
            if let Action::SelectService { name, .. } = &action {
                self.reason(format!("service {name} is not named any more: it is left"));
            }
            self.act(action);
        }
    }

    /// Points a service at a hash, unless it is there already, and marks it as managed.
    pub(super) fn select(&mut self, name: &str, hash: &str) {
        let Some(service) = self.service(name) else {
            return;
        };
        let managed = service
            .metadata
            .annotations
            .contains_key(MANAGED_BY_ANNOTATION);
        let previous = service.spec.selector.get(POD_TEMPLATE_HASH_LABEL).cloned();
        if previous.as_deref() == Some(hash) && managed {
            return;
        }
        let mut service = service.clone();
        let owner = self.rollout.metadata.name.clone();
        service
            .spec
            .selector
            .insert(POD_TEMPLATE_HASH_LABEL.to_owned(), hash.to_owned());
        service
            .metadata
            .annotations
            .make_mut()
            .entry(MANAGED_BY_ANNOTATION.to_owned())
            .or_insert_with(|| owner.clone());
        self.services.insert(name.to_owned(), service);
        self.act(Action::SelectService {
            name: name.to_owned(),
            hash: Some(hash.to_owned()),
            managed_by: (!managed).then_some(owner),
        });
        self.event(Event::normal(
            "SwitchService",
            format!(
                "Switched selector for service '{name}' from '{}' to '{hash}'",
                previous.unwrap_or_default()
            ),
        ));
    }

    /// Points a service at a ReplicaSet if that can serve. A service that is taken over for the
    /// first time wants all pods available, later one is enough.
    pub(super) fn select_set(
        &mut self,
        name: &str,
        index: Option<usize>,
        check_availability: bool,
    ) {
        let Some(set) = index.and_then(|index| self.set(index)) else {
            return;
        };
        if name.is_empty() {
            return;
        }
        let Some(service) = self.service(name) else {
            self.decision
                .failure
                .get_or_insert(format!("service \"{name}\" not found"));
            return;
        };
        if selected_hash(service) == set.hash() {
            return;
        }
        let managed = service
            .metadata
            .annotations
            .contains_key(MANAGED_BY_ANNOTATION);
        let serves =
            (managed || replicas::is_available(Some(set))) && set.status.available_replicas > 0;
        if check_availability && !serves {
            let reason = format!(
                "service {name} is not pointed at {} before its pods are available",
                set.name()
            );
            self.reason(reason);
            return;
        }
        let hash = set.hash().to_owned();
        self.select(name, &hash);
    }

    /// Whether a service leads to pods of a revision that is neither stable nor new. A router that
    /// lags may still send it requests of an update that was changed in the midst.
    fn serves_another_revision(&self, name: &str) -> bool {
        let Some(hash) = self.service(name).map(selected_hash) else {
            return false;
        };
        let of_indices = [self.new, self.stable].into_iter().flatten();
        let is_known = of_indices
            .filter_map(|index| self.set(index))
            .any(|set| set.hash() == hash);
        let mut others = self.observed.replica_sets.values();
        !is_known && others.any(|set| set.hash() == hash && set.status.available_replicas > 0)
    }

    pub(super) fn reconcile_preview_service(&mut self) {
        let Some(blue_green) = &self.rollout.spec.strategy.blue_green else {
            return;
        };
        let name = blue_green.preview_service.clone();
        if name.is_empty() {
            return;
        }
        if let Some(reason) = halt_reason(&self.rollout) {
            self.reason(format!("the preview service stays: {reason}"));
            return;
        }
        if let Some(hash) = self.new_set().map(|set| set.hash().to_owned()) {
            self.select(&name, &hash);
        }
    }

    pub(super) fn reconcile_active_service(&mut self) {
        let Some(blue_green) = &self.rollout.spec.strategy.blue_green else {
            return;
        };
        let name = blue_green.active_service.clone();
        if let Some(reason) = halt_reason(&self.rollout) {
            self.reason(format!("the active service stays: {reason}"));
            return;
        }
        let Some(new) = self.new_set() else { return };
        if !self.is_ready_for_pause() || !replicas::is_saturated(&self.rollout, Some(new)) {
            self.reason("the active service stays until all pods of the new version are available");
            return;
        }
        let new_hash = new.hash().to_owned();
        let mut hash = self
            .service(&name)
            .map(|service| selected_hash(service).to_owned())
            .unwrap_or_default();
        if self.is_fast_tracked()
            || (self.is_blue_green_pause_over() && self.is_pre_promotion_analysis_over())
        {
            hash = new_hash;
        }
        if self.rollout.status.abort {
            hash.clone_from(&self.rollout.status.stable_rs);
        }
        self.select(&name, &hash);
    }

    /// Services of a canary: ping-pong first, then stable, then canary.
    pub(super) fn reconcile_canary_services(&mut self) {
        let Some(canary) = self.rollout.spec.strategy.canary.clone() else {
            return;
        };
        if canary.ping_pong.is_some() && !self.is_fully_promoted() {
            let name = self.rollout.ping_pong_or_named_services().1.to_owned();
            let serves_another = self.serves_another_revision(&name);
            let new = self.new;
            self.select_set(&name, new, serves_another);
        }
        let (new, stable) = (self.new, self.stable);
        self.select_set(&canary.stable_service, stable, true);
        if self.is_aborted() {
            // With a router the switch back follows the weights, see `reconcile_traffic`.
            if canary.traffic_routing.is_none() {
                self.select_set(&canary.canary_service, stable, true);
            }
            return;
        }
        if self.rolling_back_from().is_some() {
            self.reason("the canary service stays until stable can serve all traffic again");
            return;
        }
        self.select_set(&canary.canary_service, new, true);
    }
}
