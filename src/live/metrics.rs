//! The controller's own metrics, with the reference's names where it has them
//! (argo-rollouts `controller/metrics`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::api::CallError;
use super::reconcile::Failure;
use super::signals::Listener;
use crate::engine::objects::ObjectRef;
use crate::engine::rollout::conditions::condition;
use crate::engine::rollout::messages;
use crate::engine::{Event, EventKind};
use crate::sim::DecisionRecord;
use crate::spec::analysis::{AnalysisPhase, AnalysisRun, AnalysisRunStatus, Metric};
use crate::spec::experiment::{Experiment, ExperimentStatus};
use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::{RolloutConditionType, RolloutDurationStatus, RolloutStatus};
use crate::time::Timestamp;

type Labels = Vec<(&'static str, String)>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// Kinds that are decided on, and the beginning of the names of their metrics.
const KINDS: [(&str, &str, &str); 3] = [
    ("Rollout", "rollout", "Rollout"),
    ("AnalysisRun", "analysis_run", "Analysis Run"),
    ("Experiment", "experiment", "Experiments"),
];
/// Seconds.
const RECONCILE_BUCKETS: [f64; 5] = [0.01, 0.15, 0.25, 0.5, 1.0];
const CALL_BUCKETS: [f64; 6] = [0.005, 0.02, 0.1, 0.5, 2.0, 10.0];
const ROLLOUT_BUCKETS: [f64; 11] = [
    30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0,
];
const PROGRESSION_BUCKETS: [f64; 8] = [30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0];
const PAUSE_BUCKETS: [f64; 9] = [
    0.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0,
];

/// All metrics. Cheap to report to; encoded when they are asked for.
pub struct Metrics {
    registry: Registry,
    /// In the order of [`KINDS`].
    reconciliations: [Histograms; 3],
    /// Counts, of a type that gets no suffix: the reference's names have none.
    errors: [Family<Labels, Gauge>; 3],
    panics: Counter,
    calls: Family<Labels, Counter>,
    call_durations: Histograms,
    queue_length: Gauge,
    leads: Gauge,
    durations: [Histograms; 3],
    objects: Arc<Mutex<Objects>>,
}

/// What is known of the objects that were decided on; by namespace and name.
#[derive(Debug, Default)]
struct Objects {
    /// Of each rollout, in the order in which they came first.
    events: BTreeMap<(String, String), Vec<EventCount>>,
    rollouts: BTreeMap<(String, String), RolloutGauges>,
    runs: BTreeMap<(String, String), RunGauges>,
    experiments: BTreeMap<(String, String), AnalysisPhase>,
}

#[derive(Debug)]
struct EventCount {
    kind: EventKind,
    reason: Arc<str>,
    count: u64,
}

#[derive(Debug)]
struct RolloutGauges {
    strategy: &'static str,
    traffic_router: &'static str,
    phase: &'static str,
    available: i32,
    unavailable: i32,
    desired: i32,
    updated: i32,
}

#[derive(Debug)]
struct RunGauges {
    phase: AnalysisPhase,
    metrics: Vec<MetricGauges>,
}

#[derive(Debug)]
struct MetricGauges {
    name: String,
    type_: &'static str,
    dry_run: bool,
    phase: AnalysisPhase,
}

impl Objects {
    fn count_events(&mut self, key: &(String, String), events: &[Event]) {
        for event in events {
            let known = self.events.get_mut(key).and_then(|counts| {
                let is_its =
                    |it: &&mut EventCount| it.kind == event.kind && *it.reason == event.reason;
                counts.iter_mut().find(is_its)
            });
            if let Some(known) = known {
                known.count = known.count.saturating_add(1);
                continue;
            }
            // Rollouts have the same few reasons.
            let mut reasons = self.events.values().flatten().map(|it| &it.reason);
            let shared = reasons.find(|reason| ***reason == event.reason).cloned();
            let count = EventCount {
                kind: event.kind,
                reason: shared.unwrap_or_else(|| event.reason.as_str().into()),
                count: 1,
            };
            self.events.entry(key.clone()).or_default().push(count);
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let reconciliations: [Histograms; 3] =
            std::array::from_fn(|_| histograms(|| Histogram::new(RECONCILE_BUCKETS)));
        let errors: [Family<Labels, Gauge>; 3] = std::array::from_fn(|_| Family::default());
        for (((_, name, words), reconciled), failed) in
            KINDS.iter().zip(&reconciliations).zip(&errors)
        {
            registry.register(
                format!("{name}_reconcile"),
                format!("{words} reconciliation performance"),
                reconciled.clone(),
            );
            registry.register(
                format!("{name}_reconcile_error"),
                format!("Reconciliations of {words} that broke off"),
                failed.clone(),
            );
        }
        let durations: [Histograms; 3] = [
            histograms(|| Histogram::new(ROLLOUT_BUCKETS)),
            histograms(|| Histogram::new(PROGRESSION_BUCKETS)),
            histograms(|| Histogram::new(PAUSE_BUCKETS)),
        ];
        for ((name, help), duration) in [
            (
                "rollout_duration_seconds",
                "From the start of a rollout to its completion, abort or replacement",
            ),
            (
                "rollout_progression_duration_seconds",
                "The same without manual pauses",
            ),
            (
                "rollout_manual_pause_duration_seconds",
                "Time that a rollout waited for somebody",
            ),
        ]
        .into_iter()
        .zip(&durations)
        {
            registry.register(name, help, duration.clone());
        }
        let metrics = Self {
            reconciliations,
            errors,
            durations,
            panics: Counter::default(),
            calls: Family::default(),
            call_durations: histograms(|| Histogram::new(CALL_BUCKETS)),
            queue_length: Gauge::default(),
            leads: Gauge::default(),
            objects: Arc::default(),
            registry,
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register(
            "rollproof_panics",
            "Reconciliations that ended in a panic",
            self.panics.clone(),
        );
        registry.register(
            "controller_clientset_k8s_request",
            "Calls of the API server",
            self.calls.clone(),
        );
        registry.register(
            "rollproof_k8s_request_duration_seconds",
            "Time until the API server answers",
            self.call_durations.clone(),
        );
        registry.register(
            "rollproof_queue_length",
            "Objects that wait to be looked at now",
            self.queue_length.clone(),
        );
        registry.register(
            "rollproof_leads",
            "Whether this controller may write",
            self.leads.clone(),
        );
        registry.register_collector(Box::new(ObjectGauges(self.objects.clone())));
        registry.register_collector(Box::new(Process));
        self
    }

    /// All metrics in the OpenMetrics format.
    ///
    /// # Errors
    /// Never, as far as is known.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// `code` is "" where there was no answer.
    fn count_call(&self, verb: &str, kind: &str, code: &str, took: Duration) {
        let labels = vec![
            ("kind", kind.to_owned()),
            ("verb", verb.to_owned()),
            ("status_code", code.to_owned()),
        ];
        self.calls.get_or_create(&labels).inc();
        let labels = vec![("verb", verb.to_owned())];
        let durations = self.call_durations.get_or_create(&labels);
        durations.observe(took.as_secs_f64());
    }

    /// Whether this controller may write.
    pub fn leads(&self, leads: bool) {
        self.leads.set(leads.into());
    }

    fn take_over(&self, record: &DecisionRecord<'_>) {
        match *record {
            DecisionRecord::Rollout {
                rollout,
                observed: _,
                decision,
            } => {
                let key = key(&rollout.metadata.namespace, &rollout.metadata.name);
                if !decision.events.is_empty() {
                    self.objects().count_events(&key, &decision.events);
                }
                if let Some(status) = &decision.status {
                    self.ended(rollout.status.duration.as_ref(), status.duration.as_ref());
                }
                let status = decision.status.as_ref().unwrap_or(&rollout.status);
                let gauges = gauges_of_rollout(rollout, status);
                self.objects().rollouts.insert(key, gauges);
            }
            DecisionRecord::AnalysisRun {
                run,
                observed: _,
                answers: _,
                decision,
            } => {
                let key = key(&run.metadata.namespace, &run.metadata.name);
                let status = decision.status.as_ref().unwrap_or(&run.status);
                self.objects().runs.insert(key, gauges_of_run(run, status));
            }
            DecisionRecord::Experiment {
                experiment,
                observed: _,
                decision,
            } => {
                let key = key(&experiment.metadata.namespace, &experiment.metadata.name);
                let phase = phase_of_experiment(experiment, decision.status.as_ref());
                self.objects().experiments.insert(key, phase);
            }
        }
    }

    /// Nothing is said of an object any more.
    fn forget(&self, kind: &str, namespace: &str, name: &str) {
        let key = key(namespace, name);
        {
            let mut objects = self.objects();
            objects
                .rollouts
                .retain(|it, _| kind != "Rollout" || *it != key);
            objects
                .events
                .retain(|it, _| kind != "Rollout" || *it != key);
            objects
                .runs
                .retain(|it, _| kind != "AnalysisRun" || *it != key);
            objects
                .experiments
                .retain(|it, _| kind != "Experiment" || *it != key);
        }
        let Some(index) = index_of(kind) else { return };
        let labels = object_labels(namespace, name);
        if let (Some(durations), Some(errors)) =
            (self.reconciliations.get(index), self.errors.get(index))
        {
            durations.remove(&labels);
            errors.remove(&labels);
        }
    }

    /// Notes how long a rollout took, when it ends.
    fn ended(&self, before: Option<&RolloutDurationStatus>, now: Option<&RolloutDurationStatus>) {
        let Some(now) = now else { return };
        if before.is_some_and(|before| before.finished_at == now.finished_at) {
            return;
        }
        let (Some(start), Some(end), Some(outcome)) = (
            now.rollout_started_at,
            now.finished_at,
            now.completion_status,
        ) else {
            return;
        };
        let total = end.since(start).as_secs_f64();
        let paused = now.total_manual_pause_duration_seconds.unwrap_or(0);
        let paused = crate::time::Duration::from_secs(paused).as_secs_f64();
        let labels = vec![("status", outcome.to_string())];
        for (histograms, seconds) in self.durations.iter().zip([total, total - paused, paused]) {
            histograms.get_or_create(&labels).observe(seconds);
        }
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Metrics {
    fn called(&self, verb: &str, resource: &str, took: Duration, error: Option<&CallError>) {
        let code = match error {
            None => "200".to_owned(),
            Some(CallError::Conflict(_) | CallError::AlreadyExists(_)) => "409".to_owned(),
            Some(CallError::NotFound(_)) => "404".to_owned(),
            Some(CallError::Expired(_)) => "410".to_owned(),
            Some(CallError::Refused { code, message: _ }) => code.to_string(),
            Some(CallError::Unreachable(_) | CallError::Unreadable(_) | CallError::NotLeading) => {
                String::new()
            }
        };
        self.count_call(verb, resource, &code, took);
    }

    fn decided(&self, _now: Timestamp, _object: &ObjectRef, record: &DecisionRecord<'_>) {
        self.take_over(record);
    }

    fn reconciled(&self, object: &ObjectRef, took: Duration, error: Option<&Failure>) {
        let ObjectRef {
            kind,
            namespace,
            name,
        } = object;
        let Some(index) = index_of(kind.as_str()) else {
            return;
        };
        if matches!(error, Some(Failure::Panicked(_))) {
            self.panics.inc();
        }
        let labels = object_labels(namespace, name);
        if let (Some(durations), Some(errors)) =
            (self.reconciliations.get(index), self.errors.get(index))
        {
            durations.get_or_create(&labels).observe(took.as_secs_f64());
            // Not to know yet is no error.
            if error.is_some_and(|error| !matches!(error, Failure::NotYet)) {
                errors.get_or_create(&labels).inc();
            }
        }
    }

    fn forgotten(&self, object: &ObjectRef) {
        self.forget(object.kind.as_str(), &object.namespace, &object.name);
    }

    fn queued(&self, length: usize) {
        self.queue_length
            .set(i64::try_from(length).unwrap_or(i64::MAX));
    }
}

fn histograms(constructor: fn() -> Histogram) -> Histograms {
    Family::new_with_constructor(constructor)
}

fn index_of(kind: &str) -> Option<usize> {
    KINDS.iter().position(|(known, _, _)| *known == kind)
}

fn key(namespace: &str, name: &str) -> (String, String) {
    (namespace.to_owned(), name.to_owned())
}

fn object_labels(namespace: &str, name: &str) -> Labels {
    vec![
        ("namespace", namespace.to_owned()),
        ("name", name.to_owned()),
    ]
}

fn gauges_of_rollout(rollout: &Rollout, status: &RolloutStatus) -> RolloutGauges {
    let strategy = &rollout.spec.strategy;
    let routing = strategy
        .canary
        .as_ref()
        .and_then(|canary| canary.traffic_routing.as_deref());
    // Of several the reference shows the last of its list; it does not know the others.
    let routers = routing.map(|routing| {
        [
            (routing.app_mesh.is_some(), "AppMesh"),
            (routing.smi.is_some(), "SMI"),
            (routing.nginx.is_some(), "Nginx"),
            (routing.istio.is_some(), "Istio"),
            (routing.ambassador.is_some(), "Ambassador"),
            (routing.alb.is_some(), "ALB"),
            (routing.traefik.is_some(), "Traefik"),
            (routing.apisix.is_some(), "Apisix"),
            (!routing.plugins.is_empty(), "Plugin"),
        ]
    });
    RolloutGauges {
        strategy: if strategy.blue_green.is_some() {
            "blueGreen"
        } else if strategy.canary.is_some() {
            "canary"
        } else {
            "none"
        },
        traffic_router: routers
            .into_iter()
            .flatten()
            .find(|(is_used, _)| *is_used)
            .map_or("", |(_, name)| name),
        phase: phase_of_rollout(status),
        available: status.available_replicas,
        unavailable: status.replicas.saturating_sub(status.available_replicas),
        desired: rollout.spec.replicas.unwrap_or(1),
        updated: status.updated_replicas,
    }
}

/// By the reason of the condition Progressing, as the reference computes it for its metrics alone.
fn phase_of_rollout(status: &RolloutStatus) -> &'static str {
    if condition(status, RolloutConditionType::InvalidSpec).is_some() {
        return "InvalidSpec";
    }
    let progressing = condition(status, RolloutConditionType::Progressing);
    match progressing.map(|progressing| progressing.reason.as_str()) {
        Some(messages::NEW_REPLICA_SET_AVAILABLE_REASON) => "Completed",
        Some(messages::ROLLOUT_PAUSED_REASON) => "Paused",
        Some(messages::FAILED_REPLICA_SET_CREATE_REASON) => "Error",
        Some(messages::TIMED_OUT_REASON) => "Timeout",
        Some(messages::ROLLOUT_ABORTED_REASON) => "Abort",
        Some(_) | None => "Progressing",
    }
}

fn gauges_of_run(run: &AnalysisRun, status: &AnalysisRunStatus) -> RunGauges {
    let metrics = run.spec.metrics.iter().map(|metric| {
        let mut results = status.metric_results.iter();
        let result = results.find(|result| result.name == metric.name);
        MetricGauges {
            name: metric.name.clone(),
            type_: type_of(metric),
            dry_run: result.is_some_and(|result| result.dry_run),
            phase: result.map_or(AnalysisPhase::Unset, |result| result.phase),
        }
    });
    RunGauges {
        phase: status.phase,
        metrics: metrics.collect(),
    }
}

/// The reference's names of the providers.
fn type_of(metric: &Metric) -> &'static str {
    let provider = &metric.provider;
    [
        (provider.prometheus.is_some(), "Prometheus"),
        (provider.job.is_some(), "Job"),
        (provider.kayenta.is_some(), "Kayenta"),
        (provider.web.is_some(), "Web"),
        (provider.datadog.is_some(), "Datadog"),
        (provider.wavefront.is_some(), "Wavefront"),
        (provider.new_relic.is_some(), "NewRelic"),
        (provider.cloud_watch.is_some(), "CloudWatch"),
        (provider.graphite.is_some(), "Graphite"),
        (provider.influxdb.is_some(), "Influxdb"),
        (provider.skywalking.is_some(), "SkyWalking"),
        (!provider.plugin.is_empty(), "RPCPlugin"),
    ]
    .into_iter()
    .find(|(is_set, _)| *is_set)
    .map_or("Unknown Provider", |(_, name)| name)
}

fn phase_of_experiment(
    experiment: &Experiment,
    status: Option<&ExperimentStatus>,
) -> AnalysisPhase {
    status.unwrap_or(&experiment.status).phase
}

type Count = fn(&RolloutGauges) -> i32;

/// Gauges of all objects, as they are when asked for.
#[derive(Debug)]
struct ObjectGauges(Arc<Mutex<Objects>>);

impl Collector for ObjectGauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Objects {
            events,
            rollouts,
            runs,
            experiments,
        } = &*objects;
        let counts = events.iter().flat_map(|((namespace, name), events)| {
            events.iter().map(|event| {
                let mut labels = object_labels(namespace, name);
                labels.push(("type", format!("{:?}", event.kind)));
                labels.push(("reason", event.reason.as_ref().to_owned()));
                (labels, event.count)
            })
        });
        counters(
            &mut encoder,
            "rollout_events",
            "Count of rollout events",
            counts,
        )?;
        let info = rollouts.iter().map(|((namespace, name), rollout)| {
            let mut labels = object_labels(namespace, name);
            labels.push(("strategy", rollout.strategy.to_owned()));
            labels.push(("traffic_router", rollout.traffic_router.to_owned()));
            labels.push(("phase", rollout.phase.to_owned()));
            (labels, 1)
        });
        gauges(
            &mut encoder,
            "rollout_info",
            "Information about rollout",
            info,
        )?;
        let counts: [(&str, &str, Count); 4] = [
            ("available", "Available replicas", |it| it.available),
            ("unavailable", "Unavailable replicas", |it| it.unavailable),
            ("desired", "Desired replicas", |it| it.desired),
            ("updated", "Updated replicas", |it| it.updated),
        ];
        for (name, help, count) in counts {
            let name = format!("rollout_info_replicas_{name}");
            let values = rollouts.iter().map(|((namespace, name), rollout)| {
                (object_labels(namespace, name), i64::from(count(rollout)))
            });
            gauges(&mut encoder, &name, help, values)?;
        }
        let info = |((namespace, name), phase): (&(String, String), AnalysisPhase)| {
            let mut labels = object_labels(namespace, name);
            labels.push(("phase", phase.to_string()));
            (labels, 1)
        };
        let phases = runs.iter().map(|(key, run)| info((key, run.phase)));
        let help = "Information about analysis run";
        gauges(&mut encoder, "analysis_run_info", help, phases)?;
        let phases = experiments.iter().map(|(key, phase)| info((key, *phase)));
        let help = "Information about Experiment";
        gauges(&mut encoder, "experiment_info", help, phases)?;
        let of_metrics =
            |((namespace, name), run): (&(String, String), &RunGauges)| -> Vec<Labels> {
                let metrics = run.metrics.iter().map(|metric| {
                    let phase = match metric.phase {
                        AnalysisPhase::Unset => AnalysisPhase::Pending,
                        phase => phase,
                    };
                    let mut labels = object_labels(namespace, name);
                    labels.push(("metric", metric.name.clone()));
                    labels.push(("type", metric.type_.to_owned()));
                    labels.push(("dry_run", metric.dry_run.to_string()));
                    labels.push(("phase", phase.to_string()));
                    labels
                });
                metrics.collect()
            };
        let phases = runs.iter().flat_map(of_metrics).map(|labels| (labels, 1));
        let help = "The phase of a metric in an analysis run";
        gauges(&mut encoder, "analysis_run_metric_phase", help, phases)
    }
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (Labels, i64)>,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Their name is without the ending `_total`.
fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (Labels, u64)>,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        ConstCounter::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Memory and processor time of this process, under their usual names.
#[derive(Debug)]
struct Process;

/// Of the times in `/proc`; the same on all Linux systems that are in use.
const TICKS_PER_SECOND: f64 = 100.0;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // No such files, no such metrics.
        let Some((seconds, bytes)) = process_usage() else {
            return Ok(());
        };
        let help = "Resident memory size in bytes";
        let name = "process_resident_memory_bytes";
        gauges(&mut encoder, name, help, std::iter::once((vec![], bytes)))?;
        let help = "Total user and system CPU time spent in seconds";
        let name = "process_cpu_seconds";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        let none: Option<&prometheus_client::metrics::exemplar::Exemplar<Labels, f64>> = None;
        metric.encode_counter(&seconds, none)
    }
}

fn process_usage() -> Option<(f64, i64)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |index: usize| fields.get(index)?.parse::<f64>().ok();
    let seconds = (field(11)? + field(12)?) / TICKS_PER_SECOND;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: i64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some((seconds, kilobytes.saturating_mul(1024)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::objects::Kind;
    use crate::engine::{Decision, Event, Observed};
    use crate::spec::decode::decode;
    use serde_json::json;

    #[test]
    fn what_is_reported_can_be_scraped_and_forgotten() {
        let metrics = Metrics::new();
        let rollout: Rollout = decode(json!({
            "metadata": {"name": "demo", "namespace": "ns"},
            "spec": {"replicas": 4, "strategy": {"canary": {"trafficRouting": {"nginx": {}}}}},
            "status": {"replicas": 4, "availableReplicas": 3, "conditions": [
                {"type": "Progressing", "status": "Unknown", "reason": "RolloutPaused"}]}}))
        .unwrap();
        let decision = Decision {
            events: vec![Event::normal("RolloutPaused", "x")],
            ..Decision::default()
        };
        metrics.take_over(&DecisionRecord::Rollout {
            rollout: &rollout,
            observed: &Observed::default(),
            decision: &decision,
        });
        let object = ObjectRef::new(Kind::Rollout, "ns", "demo");
        let failure = Failure::Decision("x".into());
        metrics.reconciled(&object, Duration::from_millis(2), Some(&failure));
        metrics.called("patch", "replicasets", Duration::from_millis(3), None);
        let text = metrics.text().unwrap();
        for line in [
            "rollout_info{namespace=\"ns\",name=\"demo\",strategy=\"canary\",traffic_router=\"Nginx\",phase=\"Paused\"} 1",
            "rollout_info_replicas_unavailable{namespace=\"ns\",name=\"demo\"} 1",
            "rollout_reconcile_bucket{le=\"0.01\",namespace=\"ns\",name=\"demo\"} 1",
            "rollout_reconcile_error{namespace=\"ns\",name=\"demo\"} 1",
            "rollout_events_total{namespace=\"ns\",name=\"demo\",type=\"Normal\",reason=\"RolloutPaused\"} 1",
            "controller_clientset_k8s_request_total{kind=\"replicasets\",verb=\"patch\",status_code=\"200\"} 1",
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "{line} is not in\n{text}"
            );
        }
        #[cfg(target_os = "linux")]
        assert!(text.contains("\nprocess_cpu_seconds_total "), "{text}");
        metrics.forgotten(&object);
        let text = metrics.text().unwrap();
        assert!(!text.contains("rollout_info{"), "{text}");
        assert!(!text.contains("rollout_reconcile_bucket"), "{text}");
    }
}
