//! Weights and managed routes for the traffic routers.

use std::collections::BTreeMap;

use crate::engine::{Action, Event, RolloutPatch, Split};
use crate::routers::{self, Note, Refusal, Writing};
use crate::spec::rollout::{Rollout, SetHeaderRoute, SetMirrorRoute};
use crate::spec::rollout_status::{TrafficWeights, WeightDestination};
use crate::time::Duration;

use super::context::Context;
use super::{experiment_step, messages, replicas, steps};

/// Time until a load balancer is asked again (argo-rollouts `utils/defaults`).
const VERIFY_RETRY: Duration = Duration::from_secs(10);

impl Context<'_> {
    /// Decides what the routers shall contain, and the weights that the status shows.
    pub(super) fn reconcile_traffic(&mut self) {
        let Some(canary) = self.rollout.spec.strategy.canary.clone() else {
            return;
        };
        let Some(routing) = &canary.traffic_routing else {
            self.next.canary.weights = None;
            return;
        };
        if !routing.has_router() {
            self.next.canary.weights = None;
            return;
        }
        let max_weight = self.rollout.spec.max_traffic_weight_or_default();
        let mut weight = 0;
        let mut additional = Vec::new();
        let mut managed_routes = false;
        let stable_hash = self.stable_set().map_or("", |set| set.hash()).to_owned();
        let mut canary_hash = self.new_hash().to_owned();
        let new_available = self
            .new_set()
            .map_or(0, |set| set.status.available_replicas);
        let from_experiment = || {
            experiment_step::weight_destinations(&self.rollout, self.current_experiment.as_deref())
        };

        if let Some(previous_hash) = self.rolling_back_from() {
            weight = self.weight_on_the_way_back();
            canary_hash = previous_hash;
        } else if self.is_fully_promoted() {
            // All traffic is on stable, no managed route is left.
        } else if self.is_aborted() {
            weight = self.weight_on_the_way_back();
        } else if new_available == 0 {
            additional = from_experiment();
        } else if self.rollout.status.promote_full {
            weight = if canary.dynamic_stable_scale {
                share(max_weight, new_available, self.replicas())
            } else {
                self.rollout
                    .status
                    .canary
                    .weights
                    .as_ref()
                    .map_or(0, |weights| weights.canary.weight)
            };
        } else if let Some(index) = steps::current_step_index(&self.rollout) {
            managed_routes = true;
            let at_size = replicas::at_desired_replica_counts(
                &self.rollout,
                self.new_set(),
                self.stable_set(),
                &self.other_sets(),
                None,
            );
            if !at_size {
                weight = canary
                    .steps
                    .iter()
                    .take(index)
                    .rev()
                    .find_map(|step| step.set_weight)
                    .unwrap_or(0);
                additional = from_experiment();
            } else if index != canary.steps.len() {
                weight = replicas::current_set_weight(&self.rollout);
                additional = from_experiment();
            } else {
                weight = max_weight;
            }
        }

        if !self.stable_can_serve(max_weight.saturating_sub(weight)) {
            self.reason("weights stay until stable has the pods for its share");
            if !managed_routes && self.rolling_back_from().is_none() {
                self.clear_routes();
            }
            return;
        }
        let (header_routes, mirror_routes) = if managed_routes && self.revision_number() > 1 {
            self.managed_routes()
        } else {
            (Vec::new(), Vec::new())
        };
        let others: i64 = additional
            .iter()
            .map(|it: &WeightDestination| i64::from(it.weight))
            .sum();
        let stable_weight = i64::from(max_weight) - i64::from(weight) - others;
        let weights = TrafficWeights {
            canary: WeightDestination {
                weight,
                service_name: canary.canary_service.clone(),
                pod_template_hash: canary_hash,
            },
            stable: WeightDestination {
                weight: i32::try_from(stable_weight).unwrap_or(0),
                service_name: canary.stable_service.clone(),
                pod_template_hash: stable_hash,
            },
            additional,
            verified: None,
        };
        let mut split = Split {
            max_weight,
            canary: weights.canary.clone(),
            stable: weights.stable.clone(),
            additional: weights.additional.clone(),
            header_routes,
            mirror_routes,
        };
        if canary.ping_pong.is_some() {
            let (stable, canary) = self.rollout.ping_pong_or_named_services();
            split.stable.service_name = stable.to_owned();
            split.canary.service_name = canary.to_owned();
        }
        let previous = self.rollout.status.canary.weights.clone();
        let changed = previous.as_ref().is_none_or(|previous| {
            previous.canary != weights.canary
                || previous.stable != weights.stable
                || previous.additional != weights.additional
        });
        let message = changed.then(|| weights_message(previous.as_deref(), &weights));
        let written = self.write_routers(split.clone(), message.as_deref());
        if let Err(failure) = written {
            return self.fail(failure);
        }
        if let Some(previous) = &previous {
            self.keep_left_revision(&previous.canary, &weights.canary);
        }
        let weight_is_back = previous.is_some_and(|previous| previous.canary.weight == 0);
        let mut weights = weights;
        weights.verified = self.verify_weights(&split);
        let is_unverified = weights.verified == Some(false);
        self.next.canary.weights = Some(Box::new(weights));
        self.remember_routing();
        if is_unverified {
            self.decision.wake(self.now + VERIFY_RETRY);
            self.reason("the load balancer does not have the weights yet");
            let steps = self
                .rollout
                .spec
                .strategy
                .canary
                .as_ref()
                .map_or(0, |canary| canary.steps.len());
            let is_at_end =
                steps::current_step_index(&self.rollout).is_none_or(|index| index >= steps);
            if weight == max_weight && is_at_end {
                return self.fail(format!(
                    "end of rollout, desired weight {weight} not yet verified"
                ));
            }
        }
        if self.is_aborted() && weight_is_back {
            let (name, stable) = (
                self.rollout
                    .spec
                    .strategy
                    .canary
                    .as_ref()
                    .map(|canary| canary.canary_service.clone()),
                self.stable,
            );
            self.select_set(&name.unwrap_or_default(), stable, false);
        }
    }

    /// Leaves the routers that the rollout was routed by and that its spec no longer names.
    pub(super) fn release_removed_routers(&mut self) {
        if let Some(before) = routers::removed(&self.rollout) {
            self.reason("a traffic router was removed from the spec: its traffic goes to stable");
            self.release(&before);
        }
        let is_routed = routers::remembered(&self.rollout).is_some();
        let annotations = &self.rollout.metadata.annotations;
        if !is_routed && annotations.contains_key(routers::ROUTING_ANNOTATION) {
            self.remember_routing();
        }
    }

    /// Leaves all routers of a rollout that is going away.
    pub(super) fn release_routers(&mut self) {
        let rollout = self.rollout.clone();
        self.release(&rollout);
        if let Some(before) = routers::removed(&rollout) {
            self.release(&before);
        }
    }

    fn release(&mut self, routed: &Rollout) {
        let (split, writing, refusals) = routers::release(routed, &self.observed.others);
        let Writing { changes, notes } = writing;
        self.note(notes);
        for refusal in refusals {
            self.event(Event::warning(refusal.reason, refusal.message));
        }
        if !changes.is_empty() {
            self.act(Action::SetTraffic {
                split: Box::new(split),
                changes,
            });
        }
    }

    /// Notes on the rollout what it is routed by, for the time when its spec no longer says so.
    fn remember_routing(&mut self) {
        let wanted = routers::remembered(&self.rollout);
        let key = routers::ROUTING_ANNOTATION;
        if self.rollout.metadata.annotations.get(key) != wanted.as_ref() {
            self.act(Action::PatchRollout(RolloutPatch {
                annotations: BTreeMap::from([(key.to_owned(), wanted)]),
                replicas: None,
            }));
        }
    }

    /// Whether the load balancers have the weights; none where nobody asks them. They are asked at
    /// steps that set a weight, at the end, and when nothing is known about them yet.
    fn verify_weights(&mut self, split: &Split) -> Option<bool> {
        let answers = self.observed.target_weights.clone();
        let Some(answers) = answers else {
            (self.next.alb, self.next.albs) = (None, Vec::new());
            return None;
        };
        let status = &self.rollout.status;
        let step = steps::current_step(&self.rollout);
        let is_due = !status.stable_rs.is_empty()
            && !self.is_fully_promoted()
            && step.map_or(split.canary.weight == split.max_weight, |(_, step)| {
                step.set_weight.is_some()
            });
        if !is_due && (status.alb.is_some() || !status.albs.is_empty()) {
            return None;
        }
        let objects = &self.observed.others;
        let found = routers::verify(&self.rollout, objects, split, &answers)?;
        self.note(found.notes);
        for warning in found.warnings {
            self.event(Event::warning(warning.reason, warning.message));
        }
        self.next.alb = found.balancers.last().cloned().map(Box::new);
        self.next.albs = found.balancers;
        Some(found.is_verified)
    }

    /// A revision that had weight and that another one has replaced in the midst of an update gets
    /// requests until the router has taken effect. A canary service leads these to the next
    /// revision; where none is named the pods have to stay for the scale-down delay.
    fn keep_left_revision(&mut self, left: &WeightDestination, now: &WeightDestination) {
        let canary = self.rollout.spec.strategy.canary.as_ref();
        let is_dynamic = canary.is_some_and(|canary| canary.dynamic_stable_scale);
        let is_by_service = !left.service_name.is_empty()
            || canary.is_some_and(|canary| canary.ping_pong.is_some());
        if left.weight <= 0
            || left.pod_template_hash == now.pod_template_hash
            || is_by_service
            || is_dynamic
        {
            return;
        }
        let index = (self.replica_sets.iter()).position(|set| set.hash() == left.pod_template_hash);
        if let Some(index) = index
            && Some(index) != self.new
            && Some(index) != self.stable
        {
            let delay = self.rollout.spec.scale_down_delay_or_default();
            self.add_scale_down_deadline(index, delay);
        }
    }

    /// Has every router's managed routes taken away; weights stay as they are.
    fn clear_routes(&mut self) {
        let canary = self.rollout.spec.strategy.canary.as_ref();
        let routing = canary.and_then(|canary| canary.traffic_routing.as_deref());
        let objects = &self.observed.others;
        let written: Result<Vec<Writing>, Refusal> = routing
            .into_iter()
            .flat_map(routers::used_by)
            .map(|router| router.clear_routes(&self.rollout, objects))
            .collect();
        match written {
            Ok(writings) => {
                for Writing { changes, notes } in writings {
                    self.note(notes);
                    if !changes.is_empty() {
                        self.act(Action::ChangeRouters { changes });
                    }
                }
            }
            Err(refusal) => self.fail(refusal.message),
        }
    }

    fn note(&mut self, notes: Vec<Note>) {
        for note in notes {
            self.event(Event::normal(note.reason, note.message));
        }
    }

    /// Has the objects of every router changed as the split wants it; `message` tells of new weights.
    fn write_routers(&mut self, split: Split, message: Option<&str>) -> Result<(), String> {
        let weights_event = || {
            message.map(|message| Event::normal(messages::TRAFFIC_WEIGHT_UPDATED_REASON, message))
        };
        let canary = self.rollout.spec.strategy.canary.as_ref();
        let routing = canary.and_then(|canary| canary.traffic_routing.as_deref());
        let mut changes = Vec::new();
        let mut events = Vec::new();
        let mut outcome = Ok(());
        for router in routing
            .iter()
            .flat_map(|routing| routers::not_built(routing))
        {
            let message = format!("{router} is not built: nothing moves the traffic it stands for");
            events.push(Event::warning("TrafficRouterNotBuilt", &message));
        }
        let is_unbuilt = !events.is_empty();
        for router in routing.into_iter().flat_map(routers::used_by) {
            match router.write(&self.rollout, &self.observed.others, &split) {
                Ok(writing) => {
                    changes.extend(writing.changes);
                    let notes = writing.notes.into_iter();
                    events.extend(notes.map(|note| Event::normal(note.reason, note.message)));
                    events.extend(weights_event());
                }
                Err(refusal) => {
                    events.push(Event::warning(refusal.reason, &refusal.message));
                    outcome = Err(refusal.message);
                    break;
                }
            }
        }
        let is_built = routing.is_some_and(|routing| routers::used_by(routing).next().is_some());
        if !is_built {
            events.extend(weights_event());
        }
        if is_unbuilt {
            self.reason(
                "a traffic router of the rollout is not built: its weights are in the status only",
            );
        }
        events.into_iter().for_each(|event| self.event(event));
        if outcome.is_ok() || !changes.is_empty() {
            self.act(Action::SetTraffic {
                split: Box::new(split),
                changes,
            });
        }
        outcome
    }

    /// With `dynamicStableScale`, an update that was given up in favour of the stable version
    /// before stable has its pods back: the hash of the version that still gets traffic.
    pub(super) fn rolling_back_from(&self) -> Option<String> {
        let canary = self.rollout.spec.strategy.canary.as_ref()?;
        if !self.is_fully_promoted()
            || canary.traffic_routing.is_none()
            || !canary.dynamic_stable_scale
        {
            return None;
        }
        let from = &self
            .rollout
            .status
            .canary
            .weights
            .as_ref()?
            .canary
            .pod_template_hash;
        let new = self.new_set()?;
        (from != new.hash() && new.status.available_replicas < self.replicas())
            .then(|| from.clone())
    }

    /// The canary's weight after an abort or on the way back to stable: 0, but with
    /// `dynamicStableScale` no less than what stable cannot serve yet.
    fn weight_on_the_way_back(&self) -> i32 {
        let replicas = self.replicas();
        let dynamic = self
            .rollout
            .spec
            .strategy
            .canary
            .as_ref()
            .is_some_and(|canary| canary.dynamic_stable_scale);
        let (Some(stable), Some(_), true) = (self.stable_set(), self.new_set(), dynamic) else {
            return 0;
        };
        if replicas == 0 {
            return 0;
        }
        let max_weight = self.rollout.spec.max_traffic_weight_or_default();
        let desired =
            replicas::desired_canary_weight(&self.rollout, self.new_set(), self.stable_set());
        let stable_share = share(max_weight, stable.status.available_replicas, replicas);
        let expected = max_weight.saturating_sub(stable_share).max(0);
        let Some(weights) = &self.rollout.status.canary.weights else {
            return expected.max(desired);
        };
        let present = weights.canary.weight;
        if desired <= 0 {
            expected.min(present)
        } else if stable_share < max_weight.saturating_sub(desired) {
            present
        } else {
            desired.min(present)
        }
    }

    fn stable_can_serve(&self, weight: i32) -> bool {
        let Some(stable) = self.stable_set() else {
            return false;
        };
        let max_weight = self.rollout.spec.max_traffic_weight_or_default();
        let needed = share(weight, self.replicas(), max_weight);
        let threshold = self
            .rollout
            .spec
            .strategy
            .canary
            .as_ref()
            .and_then(|canary| canary.replica_progress_threshold.as_ref());
        stable.status.available_replicas >= needed
            || replicas::replica_progress_threshold_met(threshold, Some(stable), needed)
    }

    /// Header and mirror routes that the steps up to the current one have left, the first of
    /// `managedRoutes` first.
    fn managed_routes(&self) -> (Vec<SetHeaderRoute>, Vec<SetMirrorRoute>) {
        let (mut headers, mut mirrors) = (Vec::new(), Vec::new());
        let Some(canary) = &self.rollout.spec.strategy.canary else {
            return (headers, mirrors);
        };
        let done =
            steps::current_step_index(&self.rollout).map_or(0, |index| index.saturating_add(1));
        for step in canary.steps.iter().take(done) {
            if let Some(route) = &step.set_header_route {
                headers.retain(|other: &SetHeaderRoute| other.name != route.name);
                if !route.match_.is_empty() {
                    headers.push(SetHeaderRoute::clone(route));
                }
            }
            if let Some(route) = &step.set_mirror_route {
                mirrors.retain(|other: &SetMirrorRoute| other.name != route.name);
                if !route.match_.is_empty() {
                    mirrors.push(SetMirrorRoute::clone(route));
                }
            }
        }
        let order = |name: &str| {
            canary
                .traffic_routing
                .iter()
                .flat_map(|routing| routing.managed_routes.iter().flatten())
                .position(|route| route.name == name)
        };
        headers.sort_by_key(|route| order(&route.name));
        mirrors.sort_by_key(|route| order(&route.name));
        (headers, mirrors)
    }
}

/// `total * part / whole`, rounded down, without overflow.
fn share(total: i32, part: i32, whole: i32) -> i32 {
    if whole == 0 {
        return 0;
    }
    i32::try_from(i64::from(total) * i64::from(part) / i64::from(whole)).unwrap_or(i32::MAX)
}

fn weights_message(previous: Option<&TrafficWeights>, new: &TrafficWeights) -> String {
    let mut details = Vec::new();
    match previous {
        None => details.push(format!("to {}", new.canary.weight)),
        Some(previous) if previous.canary.weight != new.canary.weight => details.push(format!(
            "from {} to {}",
            previous.canary.weight, new.canary.weight
        )),
        Some(_) => {}
    }
    if previous.is_some_and(|previous| previous.additional != new.additional) {
        let list: Vec<String> = new
            .additional
            .iter()
            .map(|it| {
                format!(
                    "{{{} {} {}}}",
                    it.weight, it.service_name, it.pod_template_hash
                )
            })
            .collect();
        details.push(format!("additional: [{}]", list.join(" ")));
    }
    messages::traffic_weight_updated(&details.join(", "))
}
