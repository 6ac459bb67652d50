//! What a Prometheus server sees of a rollout's traffic, on the virtual clock.
//!
//! Requests flow between the events of the simulation: their number comes from the scenario's load,
//! their way from the routers' weights or the pods, their outcome from the version that answers.
//! Pods and gateways count them; every scrape interval the counters are written into a store of
//! series, on which queries are evaluated. Nothing sleeps, and nothing is scraped that no query of
//! a template looks at.
//!
//! | module | job |
//! |---|---|
//! | `load`, `latency` | requests in a span of time; latencies in buckets |
//! | `versions` | how each version answers, at each time |
//! | `scene` | which way requests go: pods, services, weights |
//! | `fleet` | pods and gateways: which part of the requests each gets |
//! | `counting`, `accounts` | counts, expected or drawn; their series |
//! | `catalogue` | what is counted, and the labels of its series |
//! | `poisson`, `binomial`, `tables` | numbers of these distributions, looked up |
//! | `conventions` | names of metrics and labels |
//! | `needs` | what queries look at, and how far back |
//! | `server` | the HTTP API's answer to a query |
//! | `ledger` | how many requests failed, and because of what |

mod accounts;
mod binomial;
mod catalogue;
mod conventions;
mod counting;
mod fleet;
mod latency;
mod ledger;
mod load;
mod needs;
mod poisson;
mod scene;
mod server;
mod tables;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::promql::{Recall, Store, notation, parse};
use crate::providers::conditions::Compiled;
use crate::providers::{self, prometheus};
use crate::spec::analysis::Metric;
use crate::spec::metric_provider::PrometheusMetric;
use crate::spec::string_map::StringMap;
use crate::time::{Duration, Timestamp};

use super::metrics::{MetricAnswer, MetricRequest};
use super::scenario::Scenario;
use super::scenario::traffic::{Convention, MetricNames};
use super::timeline::Entry;
use super::world::World;

use catalogue::Catalogue;
use fleet::Fleet;
use ledger::Ledger;
pub use ledger::TrafficTotals;
use load::Curve;
use needs::{Needs, Query};
pub(super) use scene::Scene;
use versions::Behaviours;

const DEFAULT_SCRAPE_INTERVAL: Duration = Duration::from_secs(15);
/// Samples are kept at least this long.
const RETENTION: Duration = Duration::from_secs(2 * 3600);
/// Traffic before the release, at least: what a server looks back for the latest sample.
const SHORTEST_HISTORY: Duration = Duration::from_secs(5 * 60);

/// The traffic of a scenario as seen by Prometheus.
#[derive(Debug, Clone)]
pub(super) struct Telemetry {
    /// None where the scenario only brings series.
    traffic: Option<Traffic>,
    /// Series of the scenario, with times from the release on.
    given: Store,
    store: Store,
    /// What queries found in the store.
    recall: Recall,
    /// The release.
    origin: Option<Timestamp>,
    queries: BTreeMap<String, Query>,
    conditions: Compiled,
    /// Metrics that were answered, by what of their settings was not used.
    unused: BTreeMap<String, BTreeSet<String>>,
    /// Why a metric's query gave nothing when it first did, by metric.
    empty: StringMap,
}

#[derive(Debug, Clone)]
struct Traffic {
    curve: Curve,
    interval: Duration,
    history: Duration,
    /// How long samples are kept.
    retention: Duration,
    catalogue: Arc<Catalogue>,
    fleet: Fleet,
    ledger: Ledger,
    /// Seconds since the release when versions begin to answer differently, those still to come
    /// last first.
    changes: Vec<f64>,
    clock: Option<Clock>,
}

/// From when traffic runs on.
#[derive(Debug, Clone)]
struct Clock {
    /// The release.
    origin: Timestamp,
    /// Up to when it is known what happens.
    now: Timestamp,
    /// Up to when requests were given to pods.
    received: Timestamp,
    next_scrape: Timestamp,
    next_drop: Timestamp,
}

impl Clock {
    fn seconds(&self, at: Timestamp) -> f64 {
        at.since(self.origin).as_secs_f64()
    }

    /// Requests that have come since they were last given to pods.
    fn pending(&self, curve: &Curve) -> f64 {
        if self.now > self.received {
            curve.requests(self.seconds(self.received), self.seconds(self.now))
        } else {
            0.0
        }
    }
}

impl Telemetry {
    /// None where the scenario has neither traffic nor series.
    ///
    /// `objects` hold the templates whose queries will be asked. `traces` are further series with
    /// times from the release on.
    ///
    /// # Errors
    /// The series cannot be read.
    pub fn new(
        scenario: &Scenario,
        (namespace, rollout): (&str, &str),
        objects: &[Value],
        traces: &Store,
    ) -> Result<Option<Self>, String> {
        let has_series = scenario.series.is_some() || traces.series_count() > 0;
        if scenario.traffic.is_none() && !has_series {
            return Ok(None);
        }
        let mut given = traces.clone();
        if let Some(text) = &scenario.series {
            notation::load(&mut given, text).map_err(|error| format!("series: {error}"))?;
        }
        let mut queries = BTreeMap::new();
        let traffic = scenario.traffic.as_ref().map(|model| {
            let applied = scenario
                .events
                .iter()
                .filter_map(|event| event.apply.as_ref());
            let mut needs = Needs::of(objects.iter().chain(applied), &|metric| {
                scenario.metrics.contains_key(metric)
            });
            queries = std::mem::take(&mut needs.queries);
            let plain = [MetricNames::Convention(Convention::Plain)];
            let names = model.metrics.as_deref().unwrap_or(&plain);
            let interval = model
                .scrape_interval
                .map_or(DEFAULT_SCRAPE_INTERVAL, |interval| {
                    interval.0.max(Duration::SECOND)
                });
            let default_history = if needs.any {
                needs.reach.max(SHORTEST_HISTORY)
            } else {
                Duration::ZERO
            };
            // Those before the end of the history are found when traffic starts.
            let mut changes = versions::change_times(model);
            changes.push(0.0);
            changes.sort_by(|a, b| b.total_cmp(a));
            changes.dedup();
            let catalogue = Catalogue::new(conventions::instruments(names), needs);
            let behaviours = Behaviours::new(model, &catalogue.bounds);
            Traffic {
                curve: Curve::new(&model.requests),
                interval,
                history: model.history.map_or(default_history, |history| history.0),
                retention: RETENTION.max(catalogue.needs.reach + interval + interval),
                catalogue: Arc::new(catalogue),
                fleet: Fleet::new(behaviours, namespace, rollout),
                ledger: Ledger::default(),
                changes,
                clock: None,
            }
        });
        Ok(Some(Self {
            traffic,
            given,
            store: Store::new(),
            recall: Recall::default(),
            origin: None,
            queries,
            conditions: Compiled::default(),
            unused: BTreeMap::new(),
            empty: StringMap::default(),
        }))
    }

    /// How long traffic runs before the release.
    pub fn history(&self) -> Duration {
        self.traffic
            .as_ref()
            .map_or(Duration::ZERO, |traffic| traffic.history)
    }

    /// Starts the traffic, drawn with this seed; the release will be at `origin`.
    pub fn start(&mut self, seed: u64, now: Timestamp, origin: Timestamp, world: &World) {
        self.origin = Some(origin);
        let shift = server::millis(origin);
        self.store.append_all(&self.given, i64::MIN, shift);
        if let Some(traffic) = &mut self.traffic {
            traffic.clock = Some(Clock {
                origin,
                now,
                received: now,
                next_scrape: now,
                next_drop: now + traffic.retention + traffic.retention,
            });
            traffic.fleet.start(seed, world);
            if let Some(scene) = traffic.fleet.look(world) {
                traffic.enter(Arc::new(scene), &mut self.store);
            }
        }
    }

    /// Tells that the world stays as it is from `now` until it is told of the next time. Returns which
    /// way requests go, where that has changed.
    pub fn time_passes(&mut self, now: Timestamp, world: &World) -> Option<Arc<Scene>> {
        let traffic = self.traffic.as_mut()?;
        if traffic.fleet.is_up_to_date(world) {
            return None;
        }
        let scene = Arc::new(traffic.fleet.look(world)?);
        self.change_scene(now, Arc::clone(&scene));
        Some(scene)
    }

    /// Tells that requests go this way from `now` on, as [`Telemetry::time_passes`] returned it of the
    /// same course.
    pub fn change_scene(&mut self, now: Timestamp, scene: Arc<Scene>) {
        if let Some(traffic) = &mut self.traffic {
            traffic.advance(now, &mut self.store);
            traffic.enter(scene, &mut self.store);
        }
    }

    /// Tells that the way of requests in this world is known by [`Telemetry::change_scene`].
    pub fn keep_up(&mut self, world: &World) {
        if let Some(traffic) = &mut self.traffic
            && !traffic.fleet.is_up_to_date(world)
        {
            traffic.fleet.keep_up(world);
        }
    }

    /// Answers a query as the server would.
    pub fn measure(
        &mut self,
        request: &MetricRequest<'_>,
        metric: &PrometheusMetric,
    ) -> MetricAnswer {
        let now = request.now;
        let times = match prometheus::times(metric, now) {
            Ok(times) => times,
            Err(error) => {
                return MetricAnswer::at_once(providers::error_measurement(
                    error.message,
                    now,
                    now,
                ));
            }
        };
        self.note_unused(request.metric, metric);
        if let Some(traffic) = &mut self.traffic {
            traffic.advance(request.cluster_time, &mut self.store);
            traffic.fleet.write(&mut self.store);
        }
        let query = match self.queries.get(&metric.query) {
            Some(known) => Query::clone(known),
            None => {
                let query = Query::new(parse(&metric.query));
                self.queries
                    .insert(metric.query.clone(), Query::clone(&query));
                query
            }
        };
        let answer = match server::answer(&self.store, &query, times, &mut self.recall) {
            Ok(outcome) => prometheus::answer(&outcome),
            Err(refused) => prometheus::decode(&refused),
        };
        let measurement = match answer {
            Ok(answer) => {
                let conditions = &mut self.conditions;
                providers::judge_compiled(request.metric, answer, now, now, conditions)
            }
            Err(message) => providers::error_measurement(message, now, now),
        };
        if let ("[]", Ok(expr)) = (measurement.value.as_str(), query.as_ref())
            && !self.empty.contains_key(&request.metric.name)
        {
            let reasons = server::why_empty(&self.store, expr, times);
            let passed = self
                .origin
                .map(|origin| format!(" at {}", request.cluster_time.since(origin)));
            let note = format!(
                "{} gave nothing{}: {}",
                request.metric.name,
                passed.unwrap_or_default(),
                reasons.join("; ")
            );
            self.empty.insert(request.metric.name.clone(), note);
        }
        MetricAnswer::at_once(measurement)
    }

    fn note_unused(&mut self, metric: &Metric, settings: &PrometheusMetric) {
        let PrometheusMetric {
            address: _,
            query: _,
            authentication,
            timeout,
            insecure,
            headers,
            range_query: _,
        } = settings;
        let mut unused = vec!["address"];
        if *authentication != Default::default() {
            unused.push("authentication");
        }
        if timeout.is_some() {
            unused.push("timeout");
        }
        if *insecure {
            unused.push("insecure");
        }
        if !headers.is_empty() {
            unused.push("headers");
        }
        self.unused
            .entry(unused.join(", "))
            .or_default()
            .insert(metric.name.clone());
    }

    /// What there is to know beside the timeline.
    pub fn notes(&self) -> Vec<String> {
        let source = if self.traffic.is_some() {
            "traffic"
        } else {
            "series"
        };
        let note = |(unused, metrics): (&String, &BTreeSet<String>)| {
            let metrics: Vec<&str> = metrics.iter().map(String::as_str).collect();
            format!(
                "evaluated on the scenario's {source}: {}; not used of the provider: {unused}",
                metrics.join(", ")
            )
        };
        let unused = self.unused.iter().map(note);
        unused.chain(self.empty.values().cloned()).collect()
    }

    /// How many requests there have been since the release; none without traffic.
    pub fn totals(&mut self, now: Timestamp) -> Option<TrafficTotals> {
        let traffic = self.traffic.as_mut()?;
        traffic.advance(now, &mut self.store);
        // Counted for the sum alone: when counts are drawn must not depend on who asks.
        let clock = traffic.clock.as_ref();
        let pending = clock.map_or(0.0, |clock| clock.pending(&traffic.curve));
        Some(traffic.ledger.totals_with(traffic.fleet.flow(pending)))
    }

    /// Lines of the timeline: load and errors where they changed.
    pub fn entries(&self) -> Vec<Entry> {
        self.traffic
            .as_ref()
            .map(|traffic| traffic.ledger.entries(&traffic.curve))
            .unwrap_or_default()
    }
}

impl Traffic {
    /// Lets requests come and scrapes happen up to `to`, with the world as it was last observed.
    fn advance(&mut self, to: Timestamp, store: &mut Store) {
        while let Some(clock) = &mut self.clock {
            let mut until = to;
            if self.catalogue.needs.any {
                until = until.min(clock.next_scrape);
            }
            let change = self
                .changes
                .last()
                .map(|seconds| clock.origin + Duration::from_secs_f64(*seconds));
            until = until.min(change.unwrap_or(to));
            clock.now = clock.now.max(until);
            if change.is_some_and(|change| change <= clock.now) {
                self.change_behaviour();
            } else if self.catalogue.needs.any && clock.next_scrape <= clock.now {
                self.scrape(store);
            } else {
                return;
            }
        }
    }

    /// Gives the pending requests to pods and gateways.
    fn receive(&mut self) {
        let Some(clock) = &mut self.clock else { return };
        let requests = clock.pending(&self.curve);
        clock.received = clock.now;
        if requests > 0.0 {
            self.ledger.add(self.fleet.flow(requests));
            if self.catalogue.needs.any {
                self.fleet.receive(requests, &self.catalogue);
            }
        }
    }

    /// Counts all requests so far.
    fn count(&mut self) {
        self.receive();
        self.fleet.count(&self.catalogue);
    }

    fn change_behaviour(&mut self) {
        self.count();
        if let (Some(seconds), Some(clock)) = (self.changes.pop(), &self.clock) {
            self.fleet.set_time(seconds);
            if seconds == 0.0 {
                self.ledger.open();
            }
            let now = clock.seconds(clock.now);
            self.ledger.mark(now, &self.fleet);
        }
    }

    fn scrape(&mut self, store: &mut Store) {
        self.count();
        let Some(clock) = &mut self.clock else { return };
        let at = clock.next_scrape;
        clock.next_scrape = at + self.interval;
        let millis = server::millis(at);
        self.fleet.scrape(&self.catalogue, store, millis);
        if at >= clock.next_drop {
            clock.next_drop = at + self.retention;
            self.fleet.write(store);
            store.drop_before(millis - self.retention.as_millis());
            self.fleet.find_series(store);
        }
    }

    fn enter(&mut self, scene: Arc<Scene>, store: &mut Store) {
        self.receive();
        let Some(clock) = &self.clock else { return };
        let seconds = clock.seconds(clock.now);
        let millis = server::millis(clock.now);
        self.fleet
            .enter(scene, seconds, &self.catalogue, store, millis);
        self.ledger.mark(seconds, &self.fleet);
    }
}
