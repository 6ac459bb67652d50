//! The pods and gateways of a rollout: which part of the requests each gets, and what it counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;

use crate::engine::Pod;
use crate::promql::labels::Labels;
use crate::promql::labels::METRIC_NAME;
use crate::promql::series::{SeriesId, Store, stale_marker};
use crate::sim::scenario::traffic::Noise;
use crate::sim::store::mix;
use crate::sim::traffic::destinations;
use crate::sim::world::{Namespace, World};
use crate::spec::rollout::Rollout;

use super::accounts::Account;
use super::catalogue::{Catalogue, Identity};
use super::conventions::{Scope, Variables};
use super::counting::{Dice, Outcome, Tally};
use super::scene::{Known, NewGateway, Place, Scene, ScenePod, Surroundings, changed_pods};
use super::versions::{Behaviours, Version};

/// Requests of a span of time, as expected.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Flow {
    pub requests: f64,
    pub failed: f64,
    /// Of other versions than the one before the release.
    pub of_release: f64,
    pub failed_of_release: f64,
    /// What the version before the release would have answered.
    pub because_of_release: f64,
}

impl std::ops::AddAssign for Flow {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.of_release += other.of_release;
        self.failed_of_release += other.failed_of_release;
        self.because_of_release += other.because_of_release;
    }
}

/// All that counts requests.
#[derive(Debug, Clone)]
pub(super) struct Fleet {
    behaviours: Arc<Behaviours>,
    namespace: String,
    rollout: String,
    seed: u64,
    /// Hash of the version before the release.
    old_hash: String,
    /// What was there when it was last looked at.
    surroundings: Surroundings,
    /// What is seen of that.
    scene: Arc<Scene>,
    /// In the order they came.
    versions: Vec<Version>,
    /// By uid.
    pods: BTreeMap<String, PodState>,
    gateways: Gateways,
    ways: Vec<Way>,
    /// Times of scrapes that have not been written to the store.
    unwritten: Vec<i64>,
}

/// So many scrapes are written to the store together at most.
const MOST_UNWRITTEN: usize = 64;

/// Where a share of all requests goes.
#[derive(Debug, Clone)]
struct Way {
    service: Arc<str>,
    /// The number of the version.
    version: usize,
    share: f64,
    /// Whether there is a pod to answer.
    is_served: bool,
}

#[derive(Debug, Clone)]
struct PodState {
    /// The number of its version.
    version: usize,
    exists: bool,
    running: bool,
    /// Beside those of its version.
    variables: Variables,
    /// As it was at first.
    pod: Arc<Pod>,
    /// Services by which it is addressed, and the share of all requests that comes so.
    shares: Vec<(Arc<str>, f64)>,
    /// Requests that came so and were not counted yet, as expected.
    waiting: Vec<(Arc<str>, f64)>,
    account: Account,
    by_service: BTreeMap<Arc<str>, (Variables, Account)>,
    up: Option<(Labels, SeriesId)>,
    dice: Dice,
    /// The part of a request that is still to come.
    fraction: f64,
}

/// By service and pod template hash.
type Gateways = BTreeMap<Arc<str>, BTreeMap<String, Gateway>>;

#[derive(Debug, Clone)]
struct Gateway {
    variables: Variables,
    error_code: u16,
    /// Requests that found no pod and were not counted yet, as expected.
    waiting: f64,
    account: Account,
    dice: Dice,
    /// The part of a request that is still to come.
    fraction: f64,
}

impl Fleet {
    pub fn new(behaviours: Behaviours, namespace: &str, rollout: &str) -> Self {
        Self {
            behaviours: Arc::new(behaviours),
            namespace: namespace.to_owned(),
            rollout: rollout.to_owned(),
            seed: 0,
            old_hash: String::new(),
            surroundings: Surroundings::default(),
            scene: Arc::default(),
            versions: Vec::new(),
            pods: BTreeMap::new(),
            gateways: BTreeMap::new(),
            ways: Vec::new(),
            unwritten: Vec::new(),
        }
    }

    /// Takes the version that is stable now for the one before the release. `seed` is that of all
    /// counts.
    pub fn start(&mut self, seed: u64, world: &World) {
        self.seed = seed;
        if let Some(rollout) = world.rollout(&self.namespace, &self.rollout) {
            self.old_hash.clone_from(&rollout.status.stable_rs);
        }
    }

    /// Whether [`Fleet::look`] would find anything new.
    pub fn is_up_to_date(&self, world: &World) -> bool {
        match self.place(world) {
            Some((place, rollout)) => self.surroundings.is_of(place, rollout),
            None => true,
        }
    }

    /// Takes what is to be seen as known, without looking.
    pub fn keep_up(&mut self, world: &World) {
        if let Some((place, rollout)) = self.place(world) {
            self.surroundings = Surroundings::of(place, rollout);
        }
    }

    /// Looks at pods, services and weights; none where the rollout is not there.
    pub fn look(&mut self, world: &World) -> Option<Scene> {
        let (place, rollout) = self.place(world)?;
        let present = Surroundings::of(place, rollout);
        let known = Known {
            surroundings: &self.surroundings,
            scene: &self.scene,
            versions: &self.versions,
            has_gateway: &|service, hash| {
                let of_service = self.gateways.get(service);
                of_service.is_some_and(|known| known.contains_key(hash))
            },
        };
        let ways = destinations(world, &self.namespace, &self.rollout);
        let place = Place {
            namespace: &self.namespace,
            objects: place,
            rollout,
        };
        let scene = Scene::new(place, &present, &ways, &known);
        self.surroundings = present;
        Some(scene)
    }

    fn place<'w>(&self, world: &'w World) -> Option<(&'w Namespace, &'w Rollout)> {
        let place = world.namespaces.get(&self.namespace)?;
        let rollout = place.rollouts.get(&self.rollout)?;
        Some((place, rollout))
    }

    /// From now on, in seconds since the release, requests go as this scene has it. All so far must
    /// have been received.
    pub fn enter(
        &mut self,
        scene: Arc<Scene>,
        seconds: f64,
        catalogue: &Catalogue,
        store: &mut Store,
        time: i64,
    ) {
        for set in &scene.new_sets {
            let is_old = set.hash() == self.old_hash;
            let behaviours = &self.behaviours;
            let rollout = (self.namespace.as_str(), self.rollout.as_str());
            let version = Version::new(behaviours, set, is_old, rollout, seconds);
            self.versions.push(version);
        }
        let before = std::mem::replace(&mut self.scene, Arc::clone(&scene));
        for gone in changed_pods(&scene.pods, &before.pods) {
            if let Some(state) = self.pods.get_mut(&gone.pod.metadata.uid) {
                state.exists = false;
            }
        }
        // Pods of a version that was not known before were passed over.
        let known = if scene.new_sets.is_empty() {
            before.pods.as_slice()
        } else {
            &[]
        };
        for seen in changed_pods(known, &scene.pods) {
            self.observe_pod(seen, catalogue, store, time);
        }
        self.ways.clear();
        for pod in self.pods.values_mut() {
            pod.shares.clear();
        }
        for way in &scene.ways {
            let is_its = |version: &Version| version.hash == *way.hash;
            let Some(number) = self.versions.iter().position(is_its) else {
                continue;
            };
            let ready = |pod: &&mut PodState| pod.exists && pod.running && pod.version == number;
            let count = self.pods.values_mut().filter(ready).count();
            for pod in self.pods.values_mut().filter(ready) {
                let share = way.share / count as f64;
                pod.shares.push((way.service.clone(), share));
            }
            if let Some(new) = &way.new_gateway {
                self.add_gateway(&way.service, number, new);
            }
            self.ways.push(Way {
                service: way.service.clone(),
                version: number,
                share: way.share,
                is_served: count > 0,
            });
        }
    }

    fn observe_pod(
        &mut self,
        seen: &ScenePod,
        catalogue: &Catalogue,
        store: &mut Store,
        time: i64,
    ) {
        let ScenePod { pod, hash, service } = seen;
        let mut versions = self.versions.iter().enumerate();
        let Some((number, version)) = versions.find(|(_, version)| version.hash == **hash) else {
            return;
        };
        let uid = &pod.metadata.uid;
        if !self.pods.contains_key(uid) {
            let name = &pod.metadata.name;
            let state = PodState {
                version: number,
                exists: true,
                running: false,
                variables: Variables::from([
                    ("pod", name.clone()),
                    ("instance", format!("{name}:{}", version.container_port)),
                    ("service", service.as_ref().to_owned()),
                ]),
                pod: Arc::clone(pod),
                shares: Vec::new(),
                waiting: Vec::new(),
                account: Account::default(),
                by_service: BTreeMap::new(),
                up: None,
                dice: dice(self.seed, &format!("{}/{name}", self.namespace)),
                fraction: 0.0,
            };
            self.pods.insert(uid.clone(), state);
        }
        let Some(state) = self.pods.get_mut(uid) else {
            return;
        };
        state.exists = true;
        let running = pod.ready_since.is_some();
        if state.running && !running {
            let (gateways, mut tally) = (&mut self.gateways, Tally::default());
            state.count(&self.behaviours, version, catalogue, gateways, &mut tally);
            state.restart();
        }
        state.running = running;
        if state.variables.get("service").map(String::as_str) != Some(service) {
            state.rename(service, store, &self.unwritten, time);
        }
    }

    fn add_gateway(&mut self, service: &Arc<str>, version: usize, new: &NewGateway) {
        let Some(version) = self.versions.get(version) else {
            return;
        };
        let hash = version.hash.as_str();
        let NewGateway {
            port,
            primary,
            canary_upstream,
            ingress,
            host,
        } = new.clone();
        let gateway = Gateway {
            variables: version.gateway_variables([
                ("destination", service.as_ref().to_owned()),
                ("port", port.to_string()),
                ("primary", primary),
                ("canary_upstream", canary_upstream),
                ("ingress", ingress),
                ("host", host),
            ]),
            error_code: version.error_code,
            waiting: 0.0,
            account: Account::default(),
            dice: dice(self.seed, &format!("{}/{service}/{hash}", self.namespace)),
            fraction: 0.0,
        };
        let of_service = self.gateways.entry(service.clone()).or_default();
        of_service.insert(hash.to_owned(), gateway);
    }

    /// Lets all versions answer as at this time, in seconds since the release. All requests so far
    /// must have been counted.
    pub fn set_time(&mut self, seconds: f64) {
        for version in &mut self.versions {
            version.set_time(seconds);
        }
    }

    /// Images that get requests, of other versions than the one before the release.
    pub fn released_images(&self) -> Vec<String> {
        let is_reached = |number: usize| self.ways.iter().any(|way| way.version == number);
        let versions = self.versions.iter().enumerate();
        let mut images: Vec<String> = versions
            .filter(|(number, version)| !version.is_old && is_reached(*number))
            .map(|(_, version)| version.image.clone())
            .collect();
        images.sort();
        images.dedup();
        images
    }

    /// What becomes of this many requests at present, as expected.
    pub fn flow(&self, requests: f64) -> Flow {
        let mut versions = self.versions.iter();
        let baseline = versions
            .find(|version| version.hash == self.old_hash)
            .map_or(0.0, |version| version.failing.share);
        let mut flow = Flow {
            requests,
            ..Flow::default()
        };
        for way in &self.ways {
            let Some(version) = self.versions.get(way.version) else {
                continue;
            };
            let error_share = if way.is_served {
                version.failing.share
            } else {
                1.0
            };
            let count = requests * way.share;
            flow.failed += count * error_share;
            if !version.is_old {
                flow.of_release += count;
                flow.failed_of_release += count * error_share;
                flow.because_of_release += count * (error_share - baseline).max(0.0);
            }
        }
        flow
    }

    /// Takes in requests that came while nothing changed. They wait until a scrape looks at the
    /// counters or requests begin to fare otherwise: independent numbers add up to one of the same
    /// kind, so that not every change of anything else needs numbers of its own. Expected numbers
    /// are counted at once: sums of other parts would be rounded otherwise.
    pub fn receive(&mut self, requests: f64, catalogue: &Catalogue) {
        for pod in self.pods.values_mut() {
            for (service, share) in &pod.shares {
                let expected = requests * share;
                let mut waiting = pod.waiting.iter_mut();
                match waiting.find(|(known, _)| known == service) {
                    Some((_, waiting)) => *waiting += expected,
                    None => pod.waiting.push((service.clone(), expected)),
                }
            }
        }
        if catalogue.has(Scope::Service) {
            for way in self.ways.iter().filter(|way| !way.is_served) {
                if let Some(version) = self.versions.get(way.version)
                    && let Some(gateway) = gateway(&mut self.gateways, &way.service, &version.hash)
                {
                    gateway.waiting += requests * way.share;
                }
            }
        }
        match self.behaviours.noise {
            Noise::None => self.count(catalogue),
            Noise::Poisson | Noise::Binomial => {}
        }
    }

    /// Counts the requests that wait for it.
    pub fn count(&mut self, catalogue: &Catalogue) {
        let mut tally = Tally::default();
        for pod in self.pods.values_mut() {
            if let Some(version) = self.versions.get(pod.version) {
                let gateways = &mut self.gateways;
                pod.count(&self.behaviours, version, catalogue, gateways, &mut tally);
            }
        }
        if !catalogue.has(Scope::Service) {
            return;
        }
        for gateway in self.gateways.values_mut().flat_map(BTreeMap::values_mut) {
            let expected = std::mem::take(&mut gateway.waiting);
            if expected > 0.0 {
                let count = match self.behaviours.noise {
                    Noise::None => expected,
                    Noise::Poisson => {
                        let counts = &self.behaviours.counts;
                        counts.draw(&mut gateway.dice.requests, expected)
                    }
                    Noise::Binomial => whole(&mut gateway.fraction, expected),
                };
                tally.refuse(count, catalogue.bounds.len() + 1);
                gateway.account.add(Outcome::NoPod, &tally);
            }
        }
    }

    /// Writes what scrapes found to the store.
    pub fn write(&mut self, store: &mut Store) {
        let unwritten = &self.unwritten;
        if unwritten.is_empty() {
            return;
        }
        for pod in self.pods.values_mut() {
            pod.account.write(store, unwritten);
            for (_, account) in pod.by_service.values_mut() {
                account.write(store, unwritten);
            }
        }
        for gateway in self.gateways.values_mut().flat_map(BTreeMap::values_mut) {
            gateway.account.write(store, unwritten);
        }
        self.unwritten.clear();
    }

    /// Scrapes all pods and gateways. What is found is in the store after [`Fleet::write`].
    pub fn scrape(&mut self, catalogue: &Catalogue, store: &mut Store, time: i64) {
        for pod in self.pods.values_mut() {
            if let Some(version) = self.versions.get(pod.version) {
                pod.scrape(version, catalogue, store, &self.unwritten, time);
            }
        }
        self.pods.retain(|_, pod| pod.exists);
        if catalogue.has(Scope::Service) {
            for gateway in self.gateways.values_mut().flat_map(BTreeMap::values_mut) {
                let identity = Identity {
                    scope: Scope::Service,
                    variables: &[&gateway.variables],
                    pod_labels: None,
                    error_code: gateway.error_code,
                };
                let unwritten = &self.unwritten;
                let account = &mut gateway.account;
                account.scrape(catalogue, &identity, store, unwritten, time);
            }
        }
        self.unwritten.push(time);
        if self.unwritten.len() >= MOST_UNWRITTEN {
            self.write(store);
        }
    }

    /// Finds all series again after old samples were dropped.
    pub fn find_series(&mut self, store: &mut Store) {
        for pod in self.pods.values_mut() {
            pod.account.find_series(store);
            for (_, account) in pod.by_service.values_mut() {
                account.find_series(store);
            }
            if let Some((labels, id)) = &mut pod.up {
                *id = store.series_id(labels);
            }
        }
        for gateway in self.gateways.values_mut().flat_map(BTreeMap::values_mut) {
            gateway.account.find_series(store);
        }
    }
}

impl PodState {
    /// Counts the requests that wait for it, here and at the gateways that they came through.
    /// `tally` is only room.
    fn count(
        &mut self,
        behaviours: &Behaviours,
        version: &Version,
        catalogue: &Catalogue,
        gateways: &mut Gateways,
        tally: &mut Tally,
    ) {
        let by_service = catalogue.has(Scope::PodByService);
        let by_gateway = catalogue.has(Scope::Service);
        for (service, expected) in &self.waiting {
            let expected = *expected;
            let counts = match behaviours.noise {
                Noise::None => {
                    let share = version.failing.share;
                    [1.0 - share, share].map(|share| expected * share)
                }
                noise @ (Noise::Poisson | Noise::Binomial) => {
                    let all = if noise == Noise::Poisson {
                        let counts = &behaviours.counts;
                        counts.draw(&mut self.dice.requests, expected)
                    } else {
                        whole(&mut self.fraction, expected)
                    };
                    let failed = version.failing.draw(&mut self.dice.requests, all);
                    [all - failed, failed]
                }
            };
            for (outcome, count) in [Outcome::Answered, Outcome::Failed].into_iter().zip(counts) {
                if count <= 0.0 {
                    continue;
                }
                match behaviours.noise {
                    Noise::None => tally.expect(count, &version.latency.buckets),
                    Noise::Poisson | Noise::Binomial => {
                        let wants_seconds = catalogue.wants_seconds;
                        let latency = &version.latency;
                        self.dice.tally(count, latency, wants_seconds, tally);
                    }
                }
                self.account.add(outcome, tally);
                if by_service {
                    let (_, account) =
                        self.by_service.entry(service.clone()).or_insert_with(|| {
                            let destination = ("destination", service.as_ref().to_owned());
                            (Variables::from([destination]), Account::default())
                        });
                    account.add(outcome, tally);
                }
                if by_gateway && let Some(gateway) = gateway(gateways, service, &version.hash) {
                    gateway.account.add(outcome, tally);
                }
            }
        }
        self.waiting.clear();
    }

    fn restart(&mut self) {
        self.account.restart();
        for (_, account) in self.by_service.values_mut() {
            account.restart();
        }
    }

    /// Another service finds it: its target has other labels.
    fn rename(&mut self, service: &str, store: &mut Store, unwritten: &[i64], time: i64) {
        self.account.rename(store, unwritten, time);
        if let Some((_, up)) = self.up.take() {
            let _ = store.append_float_to(up, time, stale_marker());
        }
        self.variables.insert("service", service.to_owned());
    }

    fn scrape(
        &mut self,
        version: &Version,
        catalogue: &Catalogue,
        store: &mut Store,
        unwritten: &[i64],
        time: i64,
    ) {
        if catalogue.wants_up {
            self.scrape_up(version, catalogue, store, time);
        }
        if !(self.exists && self.running) {
            self.account.end(store, unwritten, time);
            for (_, account) in self.by_service.values_mut() {
                account.end(store, unwritten, time);
            }
            return;
        }
        let identity = Identity {
            scope: Scope::Pod,
            variables: &[&self.variables, &version.variables],
            pod_labels: Some(&self.pod.metadata.labels),
            error_code: version.error_code,
        };
        self.account
            .scrape(catalogue, &identity, store, unwritten, time);
        for (destination, account) in self.by_service.values_mut() {
            let identity = Identity {
                scope: Scope::PodByService,
                variables: &[&self.variables, destination, &version.variables],
                pod_labels: Some(&self.pod.metadata.labels),
                error_code: version.error_code,
            };
            account.scrape(catalogue, &identity, store, unwritten, time);
        }
    }

    fn scrape_up(
        &mut self,
        version: &Version,
        catalogue: &Catalogue,
        store: &mut Store,
        time: i64,
    ) {
        if self.up.is_none() {
            let of_pods = catalogue
                .instruments
                .iter()
                .find(|it| it.scope == Scope::Pod || it.scope == Scope::PodByService);
            let Some(instrument) = of_pods else {
                return;
            };
            let identity = Identity {
                scope: instrument.scope,
                variables: &[&self.variables, &version.variables],
                pod_labels: Some(&self.pod.metadata.labels),
                error_code: version.error_code,
            };
            let labels = identity.labels(&[&instrument.target]);
            let labels = labels.with(METRIC_NAME, "up");
            let id = store.series_id(&labels);
            self.up = Some((labels, id));
        }
        if let Some((_, up)) = &self.up {
            let value = match (self.exists, self.running) {
                (true, true) => 1.0,
                (true, false) => 0.0,
                (false, _) => stale_marker(),
            };
            let _ = store.append_float_to(*up, time, value);
        }
    }
}

fn gateway<'g>(gateways: &'g mut Gateways, service: &str, hash: &str) -> Option<&'g mut Gateway> {
    gateways.get_mut(service)?.get_mut(hash)
}

/// Whole requests of those expected; the fraction that is left comes with the next ones.
fn whole(fraction: &mut f64, expected: f64) -> f64 {
    let all = *fraction + expected;
    // Sums of parts of a whole number are a bit beside it.
    let whole = (all + 1e-6).floor();
    *fraction = all - whole;
    whole
}

fn dice(seed: u64, what: &str) -> Dice {
    use std::hash::Hasher as _;
    let mut hasher = fnv::FnvHasher::default();
    hasher.write(what.as_bytes());
    let stream = |number| Xoshiro256PlusPlus::seed_from_u64(mix(seed ^ hasher.finish(), number));
    Dice {
        requests: stream(1),
        latencies: stream(2),
    }
}
