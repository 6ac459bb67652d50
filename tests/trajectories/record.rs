//! Derives the observed variables from what the simulated API server stores.
//!
//! Definitions: README of the folder and the recorder of the reference (`oracle/record.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rollproof::engine::{Event, POD_TEMPLATE_HASH_LABEL, ROLLOUT_TYPE_LABEL, ReplicaSet};
use rollproof::engine::{REVISION_ANNOTATION, STEP_INDEX_LABEL};
use rollproof::sim::{Change, ChangeKind, EventOutcome, Kind, ObjectRef, Observer, World};
use rollproof::spec::analysis::AnalysisRun;
use rollproof::spec::experiment::Experiment;
use rollproof::spec::kubernetes::Service;
use rollproof::spec::meta::ObjectMeta;
use rollproof::spec::rollout::Rollout;
use rollproof::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::case::Sequence;

/// Turns the writes to one namespace into the sequences of the observed variables.
///
/// While it records, a revision is written as `?HASH`, since its name is only known once its
/// ReplicaSet is seen; [`Recorder::finish`] puts the names in.
pub struct Recorder {
    start: Timestamp,
    namespace: String,
    /// The rollout whose ReplicaSets are called by their revision alone.
    main: String,
    sequences: BTreeMap<String, Sequence>,
    /// Last seen state of each rollout, deleted ones too.
    rollouts: BTreeMap<String, Arc<Rollout>>,
    revisions: BTreeMap<String, String>,
    revisions_of_image: BTreeMap<(String, String), usize>,
    replica_set_keys: BTreeMap<String, String>,
    run_keys: BTreeMap<String, String>,
    run_keys_by_name: BTreeMap<(Kind, String), String>,
    runs_of_kind: BTreeMap<String, usize>,
    pods_seen: BTreeSet<String>,
    pods_created: BTreeMap<String, usize>,
}

impl Recorder {
    pub fn new(start: Timestamp, namespace: &str, main: &str) -> Self {
        Self {
            start,
            namespace: namespace.to_owned(),
            main: main.to_owned(),
            sequences: BTreeMap::new(),
            rollouts: BTreeMap::new(),
            revisions: BTreeMap::new(),
            revisions_of_image: BTreeMap::new(),
            replica_set_keys: BTreeMap::new(),
            run_keys: BTreeMap::new(),
            run_keys_by_name: BTreeMap::new(),
            runs_of_kind: BTreeMap::new(),
            pods_seen: BTreeSet::new(),
            pods_created: BTreeMap::new(),
        }
    }

    /// The present value of a variable.
    pub fn present(&self, variable: &str) -> Option<Value> {
        self.sequences
            .iter()
            .filter(|(name, _)| self.name_revisions(name) == variable)
            .find_map(|(_, sequence)| sequence.last())
            .map(|(_, value)| self.name_revisions_in(value))
    }

    /// The main rollout as last seen.
    pub fn main_rollout(&self) -> Option<&Rollout> {
        self.rollouts.get(&self.main).map(Arc::as_ref)
    }

    /// Adds what is taken once, at the end, and names the revisions.
    pub fn finish(mut self, end: Timestamp) -> BTreeMap<String, Sequence> {
        for (name, rollout) in std::mem::take(&mut self.rollouts) {
            let status = &rollout.status;
            let counts = json!({
                "replicas": status.replicas,
                "updatedReplicas": status.updated_replicas,
                "readyReplicas": status.ready_replicas,
                "availableReplicas": status.available_replicas,
                "HPAReplicas": status.hpa_replicas,
            });
            let revision = rollout.metadata.annotations.get(REVISION_ANNOTATION);
            self.put(format!("rollout/{name}/final-counts"), counts, end);
            self.put(format!("rollout/{name}/revision"), json!(revision), end);
            let paused = json!(rollout.spec.paused);
            self.put(format!("rollout/{name}/spec-paused"), paused, end);
        }
        for (replica_set, count) in std::mem::take(&mut self.pods_created) {
            let key = self.replica_set_keys.get(&replica_set);
            let key = key.map_or("rs/?", String::as_str);
            self.put(format!("{key}/pods-created"), json!(count), end);
        }
        let mut named: BTreeMap<String, Sequence> = BTreeMap::new();
        for (name, sequence) in &self.sequences {
            let sequence = sequence
                .iter()
                .map(|(time, value)| (*time, self.name_revisions_in(value)));
            named
                .entry(self.name_revisions(name))
                .or_default()
                .extend(sequence);
        }
        named
    }

    fn put(&mut self, variable: String, value: Value, now: Timestamp) {
        let sequence = self.sequences.entry(variable).or_default();
        if sequence.last().is_none_or(|(_, last)| *last != value) {
            sequence.push((now.since(self.start).as_secs_f64(), value));
        }
    }

    fn has(&self, variable: &str) -> bool {
        self.sequences.contains_key(variable)
    }

    /// Puts the value once it is not empty, and from then on always.
    fn put_once_set(&mut self, variable: String, value: Value, now: Timestamp) {
        if is_truthy(&value) || self.has(&variable) {
            self.put(variable, value, now);
        }
    }

    /// A revision is called by its image; a second one with the same image is `image#2`.
    fn learn(&mut self, hash: &str, owner: &str, image: &str) -> String {
        if let Some(known) = self.revisions.get(hash) {
            return known.clone();
        }
        let count = self
            .revisions_of_image
            .entry((owner.to_owned(), image.to_owned()))
            .or_insert(0);
        *count += 1;
        let name = numbered(image, *count);
        self.revisions.insert(hash.to_owned(), name.clone());
        name
    }

    fn without_namespace(&self, text: &str) -> String {
        text.replace(&self.namespace, "<ns>")
    }

    fn name_revisions(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (hash, name) in &self.revisions {
            text = text
                .replace(&format!("?{hash}"), name)
                .replace(hash, &format!("<{name}>"));
        }
        forget_unknown_hashes(&text)
    }

    fn name_revisions_in(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.name_revisions(text)),
            Value::Array(items) => items.iter().map(|it| self.name_revisions_in(it)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, it)| (self.name_revisions(key), self.name_revisions_in(it)))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// Runs and experiments of the same kind for the same revision are numbered in order of
    /// creation.
    fn run_key(&mut self, kind: Kind, metadata: &ObjectMeta) -> String {
        let uid = format!("{}/{}", kind.as_str(), identity(metadata));
        if let Some(known) = self.run_keys.get(&uid) {
            return known.clone();
        }
        let labels = &metadata.labels;
        let base = match labels.get(ROLLOUT_TYPE_LABEL) {
            Some(kind) => {
                let hash = labels.get(POD_TEMPLATE_HASH_LABEL).map(String::as_str);
                let revision = hash.map_or("None".into(), |hash| format!("?{hash}"));
                let step = labels.get(STEP_INDEX_LABEL);
                let step = step.map_or(String::new(), |index| format!("/step{index}"));
                format!("{kind}{step}/{revision}")
            }
            None => self.without_namespace(&metadata.name),
        };
        let count = self.runs_of_kind.entry(base.clone()).or_insert(0);
        *count += 1;
        let key = numbered(&base, *count);
        self.run_keys.insert(uid, key.clone());
        let name = (kind, metadata.name.clone());
        self.run_keys_by_name.insert(name, key.clone());
        key
    }

    fn on_replica_set(&mut self, replica_set: &ReplicaSet, now: Timestamp) {
        let image = replica_set.template.first_image().unwrap_or_default();
        let owner = replica_set.metadata.owner_references.first();
        let (kind, owner) = owner.map_or(("None", ""), |it| (it.kind.as_str(), it.name.as_str()));
        let key = match kind {
            "Rollout" => {
                let revision = self.learn(replica_set.hash(), owner, image);
                if owner == self.main {
                    format!("rs/{revision}")
                } else {
                    format!("rs/{owner}/{revision}")
                }
            }
            "Deployment" => format!("rs/Deployment/{owner}/{image}"),
            _ => format!("rs/{kind}/{}", self.without_namespace(replica_set.name())),
        };
        let name = replica_set.name().to_owned();
        self.replica_set_keys.insert(name, key.clone());
        self.put(format!("{key}/replicas"), json!(replica_set.replicas), now);
        let deadline = replica_set
            .metadata
            .annotations
            .keys()
            .any(|annotation| annotation.contains("scale-down-deadline"));
        self.put(format!("{key}/scale-down-deadline"), json!(deadline), now);
        let mut labels = replica_set.template.labels();
        labels.retain(|label, _| !label.contains("pod-template-hash"));
        self.put(format!("{key}/template-labels"), json!(labels), now);
        let annotations = json!(replica_set.template.annotations());
        self.put_once_set(format!("{key}/template-annotations"), annotations, now);
    }

    fn on_rollout(&mut self, rollout: &Arc<Rollout>, now: Timestamp) {
        let name = rollout.metadata.name.clone();
        self.rollouts.insert(name.clone(), Arc::clone(rollout));
        if rollout.status.observed_generation.is_empty() {
            return;
        }
        let status = json_of(&rollout.status);
        let canary = &status["canary"];
        let blue_green = &status["blueGreen"];
        let variable = |suffix: &str| format!("rollout/{name}/{suffix}");
        let message = self.without_namespace(text(&status["message"]));
        let reasons: Vec<&Value> = items(&status["pauseConditions"])
            .map(|condition| &condition["reason"])
            .collect();

        self.put(variable("phase"), status["phase"].clone(), now);
        self.put(variable("message"), json!(message), now);
        let step = status["currentStepIndex"].clone();
        self.put(variable("step"), step, now);
        for flag in ["abort", "promoteFull", "controllerPause"] {
            self.put(variable(flag), json!(is_truthy(&status[flag])), now);
        }
        self.put(variable("pauseReasons"), json!(reasons), now);
        self.put(variable("stable"), revision(&status["stableRS"]), now);
        self.put(
            variable("current"),
            revision(&status["currentPodHash"]),
            now,
        );
        self.put_once_set(variable("weights"), weights(&canary["weights"]), now);
        for (suffix, value) in [
            ("stablePingPong", &canary["stablePingPong"]),
            ("currentExperiment", &canary["currentExperiment"]),
            (
                "scaleUpPreviewCheckPoint",
                &blue_green["scaleUpPreviewCheckPoint"],
            ),
        ] {
            self.put_once_set(variable(suffix), value.clone(), now);
        }
        for suffix in ["abortedAt", "restartedAt"] {
            let set = is_truthy(&status[suffix]);
            self.put_once_set(variable(suffix), json!(set), now);
        }
        for suffix in ["activeSelector", "previewSelector"] {
            let selected = revision(&blue_green[suffix]);
            self.put_once_set(variable(suffix), selected, now);
        }
        for (part, suffix) in [
            (canary, "currentStepAnalysisRunStatus"),
            (canary, "currentBackgroundAnalysisRunStatus"),
            (blue_green, "prePromotionAnalysisRunStatus"),
            (blue_green, "postPromotionAnalysisRunStatus"),
        ] {
            let run = &part[suffix];
            if is_truthy(run) || self.has(&variable(suffix)) {
                self.put(variable(suffix), run["status"].clone(), now);
            }
        }
        for condition in items(&status["conditions"]) {
            let suffix = format!("condition/{}", text(&condition["type"]));
            let value = json!([condition["status"], condition["reason"]]);
            self.put(variable(&suffix), value, now);
        }
    }

    fn on_analysis_run(&mut self, run: &AnalysisRun, now: Timestamp) {
        let key = self.run_key(Kind::AnalysisRun, &run.metadata);
        let variable = |suffix: &str| format!("analysisrun/{key}/{suffix}");
        let spec = json_of(&run.spec);
        let status = json_of(&run.status);
        let args: Map<String, Value> = items(&spec["args"])
            .map(|arg| {
                let value = arg.get("value").unwrap_or(&arg["valueFrom"]);
                (text(&arg["name"]).to_owned(), value.clone())
            })
            .collect();
        if !args.is_empty() {
            self.put(variable("args"), Value::Object(args), now);
        }
        // Controllers store a run with the phase ""; one that a user applies has none yet.
        let phase = match status["phase"].as_str() {
            Some("") if run.metadata.owner_references.is_empty() => Value::Null,
            _ => status["phase"].clone(),
        };
        self.put(variable("phase"), phase, now);
        let terminate = json!(run.spec.terminate);
        self.put(variable("terminate"), terminate, now);
        self.put_message(&variable("message"), &status, now);
        for summary in ["runSummary", "dryRunSummary"] {
            if is_truthy(&status[summary]) {
                self.put(variable(summary), status[summary].clone(), now);
            }
        }
        for result in items(&status["metricResults"]) {
            let name = text(&result["name"]);
            let variable = |suffix: &str| variable(&format!("metric/{name}/{suffix}"));
            self.put_message(&variable("message"), result, now);
            if is_truthy(&result["dryRun"]) {
                self.put(variable("dryRun"), json!(true), now);
            }
            self.put(variable("phase"), result["phase"].clone(), now);
            let counts: Map<String, Value> = COUNTS
                .into_iter()
                .map(|count| {
                    let value = result.get(count).cloned().unwrap_or(json!(0));
                    (count.to_owned(), value)
                })
                .collect();
            self.put(variable("counts"), Value::Object(counts), now);
            let values: Vec<Value> = items(&result["measurements"])
                .filter(|measurement| is_truthy(&measurement["finishedAt"]))
                .map(|measurement| json!([measurement["phase"], measurement["value"]]))
                .collect();
            self.put(variable("values"), json!(values), now);
        }
    }

    fn on_experiment(&mut self, experiment: &Experiment, now: Timestamp) {
        let key = self.run_key(Kind::Experiment, &experiment.metadata);
        let variable = |suffix: &str| format!("experiment/{key}/{suffix}");
        let status = json_of(&experiment.status);
        self.put(variable("phase"), status["phase"].clone(), now);
        let terminate = json!(experiment.spec.terminate);
        self.put(variable("terminate"), terminate, now);
        self.put_message(&variable("message"), &status, now);
        for condition in items(&status["conditions"]) {
            if condition["type"] == "InvalidSpec" {
                self.put(variable("invalid"), condition["message"].clone(), now);
            }
        }
        for template in items(&status["templateStatuses"]) {
            let suffix = format!("template/{}", text(&template["name"]));
            let value = json!([template["status"], template["replicas"]]);
            self.put(variable(&suffix), value, now);
        }
        for analysis in items(&status["analysisRuns"]) {
            let suffix = format!("analysis/{}", text(&analysis["name"]));
            self.put(variable(&suffix), analysis["phase"].clone(), now);
        }
    }

    fn on_service(&mut self, service: &Service, now: Timestamp) {
        let name = self.without_namespace(&service.metadata.name);
        let hash = service.spec.selector.get(POD_TEMPLATE_HASH_LABEL);
        let value = revision(&json!(hash));
        self.put(format!("service/{name}/selects"), value, now);
    }

    /// Deployments and the objects of traffic routers.
    fn on_other(&mut self, kind: &str, name: &str, object: &Value, now: Timestamp) {
        let spec = &object["spec"];
        match kind {
            "Deployment" => {
                let variable = format!("deployment/{name}/replicas");
                self.put(variable, spec["replicas"].clone(), now);
            }
            "Ingress" => {
                let name = self.without_namespace(name);
                let annotations: Map<String, Value> = fields(&object["metadata"]["annotations"])
                    .filter(|(key, _)| !key.contains("last-applied"))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                let backends: Vec<Value> = items(&spec["rules"])
                    .flat_map(|rule| items(&rule["http"]["paths"]))
                    .map(|path| json!([path["path"], path["backend"]["service"]["name"]]))
                    .collect();
                let annotations = Value::Object(annotations);
                self.put(format!("ingress/{name}/annotations"), annotations, now);
                self.put(format!("ingress/{name}/backends"), json!(backends), now);
            }
            "VirtualService" => {
                for protocol in ["http", "tls", "tcp"] {
                    if spec.get(protocol).is_some() {
                        let routes: Vec<Value> = items(&spec[protocol]).map(istio_route).collect();
                        let variable = format!("virtualservice/{name}/{protocol}");
                        self.put(variable, json!(routes), now);
                    }
                }
            }
            "DestinationRule" => {
                let subsets: Map<String, Value> = items(&spec["subsets"])
                    .map(|subset| {
                        let hash = &subset["labels"][POD_TEMPLATE_HASH_LABEL];
                        (text(&subset["name"]).to_owned(), revision(hash))
                    })
                    .collect();
                let subsets = Value::Object(subsets);
                self.put(format!("destinationrule/{name}/subsets"), subsets, now);
            }
            "TrafficSplit" => {
                let backends: Vec<Value> = items(&spec["backends"])
                    .map(|backend| json!([backend["service"], backend["weight"]]))
                    .collect();
                let variable = format!("trafficsplit/{name}/backends");
                self.put(variable, json!(backends), now);
            }
            "ApisixRoute" => {
                let variable = format!("apisixroute/{name}/http");
                self.put(variable, spec["http"].clone(), now);
            }
            _ => {} // not recorded
        }
    }

    fn on_deleted(&mut self, object: &ObjectRef, now: Timestamp) {
        let name: &str = &object.name;
        let kept = self.without_namespace(name);
        match &object.kind {
            Kind::ReplicaSet => {
                if let Some(key) = self.replica_set_keys.get(name) {
                    self.put(format!("{key}/replicas"), Value::Null, now);
                }
            }
            Kind::AnalysisRun | Kind::Experiment => {
                let by_name = (object.kind.clone(), name.to_owned());
                if let Some(key) = self.run_keys_by_name.get(&by_name) {
                    let area = object.kind.as_str().to_lowercase();
                    self.put(format!("{area}/{key}/phase"), json!("deleted"), now);
                }
            }
            Kind::Service => self.put(format!("service/{kept}/selects"), json!("deleted"), now),
            Kind::Other { group: _, kind } => {
                let variables = match kind.as_str() {
                    "Deployment" => vec![format!("deployment/{name}/replicas")],
                    "Ingress" => vec![
                        format!("ingress/{kept}/annotations"),
                        format!("ingress/{kept}/backends"),
                    ],
                    "TrafficSplit" => vec![format!("trafficsplit/{name}/backends")],
                    "ApisixRoute" => vec![format!("apisixroute/{name}/http")],
                    _ => vec![],
                };
                for variable in variables {
                    self.put(variable, Value::Null, now);
                }
            }
            Kind::Rollout
            | Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate
            | Kind::Pod
            | Kind::Secret => {}
        }
    }

    fn put_message(&mut self, variable: &str, status: &Value, now: Timestamp) {
        let message = text(&status["message"]);
        if !message.is_empty() {
            let message = self.without_namespace(message);
            self.put(variable.to_owned(), json!(message), now);
        }
    }
}

impl Observer for Recorder {
    fn changed(&mut self, now: Timestamp, change: &Change, world: &World) {
        let object = &change.object;
        if *object.namespace != *self.namespace {
            return;
        }
        match change.kind {
            ChangeKind::Created | ChangeKind::Updated => {}
            ChangeKind::Deleted => return self.on_deleted(object, now),
        }
        let Some(namespace) = world.namespaces.get(&*object.namespace) else {
            return;
        };
        let observed = &namespace.observed;
        let name: &str = &object.name;
        match &object.kind {
            Kind::Rollout => {
                if let Some(rollout) = namespace.rollouts.get(name) {
                    self.on_rollout(rollout, now);
                }
            }
            Kind::ReplicaSet => {
                if let Some(replica_set) = observed.replica_sets.get(name) {
                    self.on_replica_set(replica_set, now);
                }
            }
            Kind::AnalysisRun => {
                if let Some(run) = observed.analysis_runs.get(name) {
                    self.on_analysis_run(run, now);
                }
            }
            Kind::Experiment => {
                if let Some(experiment) = observed.experiments.get(name) {
                    self.on_experiment(experiment, now);
                }
            }
            Kind::Service => {
                if let Some(service) = observed.services.get(name) {
                    self.on_service(service, now);
                }
            }
            Kind::Pod => {
                if let Some(pod) = observed.pods.get(name)
                    && let Some(owner) = pod.metadata.owner_references.first()
                    && owner.kind == "ReplicaSet"
                    && self.pods_seen.insert(identity(&pod.metadata))
                {
                    *self.pods_created.entry(owner.name.clone()).or_insert(0) += 1;
                }
            }
            Kind::Other { group, kind } => {
                let found = observed
                    .others
                    .iter()
                    .find(|(key, _)| key.group == *group && key.kind == *kind && key.name == *name);
                if let Some((_, value)) = found {
                    self.on_other(kind, name, value, now);
                }
            }
            Kind::AnalysisTemplate | Kind::ClusterAnalysisTemplate | Kind::Secret => {}
        }
    }

    fn event(&mut self, now: Timestamp, object: &ObjectRef, event: &Event, outcome: EventOutcome) {
        match outcome {
            EventOutcome::Stored => {}
            EventOutcome::Counted | EventOutcome::Dropped => return,
        }
        if object.kind == Kind::Rollout && *object.namespace == *self.namespace {
            let time = now.since(self.start).as_secs_f64();
            self.sequences
                .entry(format!("rollout/{}/events", object.name))
                .or_default()
                .push((time, json!(event.reason)));
        }
    }
}

const COUNTS: [&str; 7] = [
    "count",
    "successful",
    "failed",
    "inconclusive",
    "error",
    "consecutiveError",
    "consecutiveSuccess",
];

fn numbered(base: &str, count: usize) -> String {
    match count {
        1 => base.to_owned(),
        _ => format!("{base}#{count}"),
    }
}

/// What tells an object from a later one of the same name.
fn identity(metadata: &ObjectMeta) -> String {
    match metadata.uid.as_str() {
        "" => metadata.name.clone(),
        uid => uid.to_owned(),
    }
}

fn json_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("an API object is JSON")
}

/// As Python sees it, in which the variables are defined.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The name of a pod template hash, to be put in later.
fn revision(hash: &Value) -> Value {
    match hash.as_str() {
        None | Some("") => Value::Null,
        Some(hash) => json!(format!("?{hash}")),
    }
}

fn weights(weights: &Value) -> Value {
    if !is_truthy(weights) {
        return Value::Null;
    }
    let destination = |value: &Value| match is_truthy(value) {
        false => Value::Null,
        true => json!({
            "weight": value["weight"],
            "service": value["serviceName"],
            "revision": revision(&value["podTemplateHash"]),
        }),
    };
    json!({
        "canary": destination(&weights["canary"]),
        "stable": destination(&weights["stable"]),
        "additional": items(&weights["additional"]).map(destination).collect::<Vec<_>>(),
        "verified": weights["verified"],
    })
}

fn istio_route(route: &Value) -> Value {
    let destinations: Vec<Value> = items(&route["route"])
        .map(|it| {
            json!([
                it["destination"]["host"],
                it["destination"]["subset"],
                it["weight"]
            ])
        })
        .collect();
    json!({
        "name": route["name"],
        "match": route["match"],
        "mirror": route["mirror"],
        "mirrorPercentage": route["mirrorPercentage"],
        "route": destinations,
    })
}

/// `?HASH` of a revision that was never seen becomes `?`.
fn forget_unknown_hashes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('?') {
        let (before, after) = rest.split_at(at + 1);
        kept.push_str(before);
        let length = after
            .find(|letter: char| !letter.is_ascii_lowercase() && !letter.is_ascii_digit())
            .unwrap_or(after.len());
        rest = match length {
            6..=10 => &after[length..],
            _ => after,
        };
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollproof::spec::meta::OwnerReference;
    use rollproof::time::Duration;

    const START: Timestamp = Timestamp::from_secs(100);

    /// Writes objects into a world, one at a time.
    struct Writer {
        recorder: Recorder,
        world: World,
    }

    impl Writer {
        fn new() -> Self {
            let mut world = World::default();
            world.namespaces.entry("ns-1".into()).or_default();
            Self {
                recorder: Recorder::new(START, "ns-1", "demo"),
                world,
            }
        }

        fn write(&mut self, kind: ChangeKind, object: (Kind, &str), seconds: i64) {
            let object = ObjectRef::new(object.0, "ns-1", object.1);
            let now = START.checked_add(Duration::from_secs(seconds)).unwrap();
            self.recorder
                .changed(now, &Change { object, kind }, &self.world);
        }

        fn replica_set(&mut self, hash: &str, image: &str, replicas: i32, seconds: i64) {
            let template = json!({"metadata": {"labels": {"app": "x", POD_TEMPLATE_HASH_LABEL: hash}},
                "spec": {"containers": [{"name": "c", "image": image}]}});
            let mut replica_set = ReplicaSet {
                replicas,
                template: serde_json::from_value(template).unwrap(),
                ..ReplicaSet::default()
            };
            let metadata = &mut replica_set.metadata;
            metadata.name = format!("demo-{hash}");
            let label = (POD_TEMPLATE_HASH_LABEL.to_owned(), hash.to_owned());
            metadata.labels.make_mut().extend([label]);
            metadata.owner_references.make_mut().push(OwnerReference {
                kind: "Rollout".into(),
                name: "demo".into(),
                ..OwnerReference::default()
            });
            let name = metadata.name.clone();
            let namespace = self.world.namespaces.get_mut("ns-1").unwrap();
            let sets = &mut namespace.observed.replica_sets;
            sets.insert(name.clone(), Arc::new(replica_set));
            self.write(ChangeKind::Updated, (Kind::ReplicaSet, &name), seconds);
        }

        fn rollout(&mut self, status: Value, seconds: i64) {
            let rollout = json!({"metadata": {"name": "demo"}, "status": status});
            let rollout = serde_json::from_value(rollout).unwrap();
            let namespace = self.world.namespaces.get_mut("ns-1").unwrap();
            namespace.rollouts.insert("demo".into(), Arc::new(rollout));
            self.write(ChangeKind::Updated, (Kind::Rollout, "demo"), seconds);
        }

        fn finish(self) -> BTreeMap<String, Sequence> {
            let end = START.checked_add(Duration::from_secs(60)).unwrap();
            self.recorder.finish(end)
        }
    }

    #[test]
    fn revisions_are_called_by_their_image() {
        let mut writer = Writer::new();
        writer.rollout(json!({"phase": "Progressing"}), 0); // not yet by the controller
        writer.rollout(
            json!({"phase": "Progressing", "observedGeneration": "1", "currentPodHash": "aaaaaaa",
                   "stableRS": "cccccccc", "message": "demo-aaaaaaa in ns-1 waits for ?"}),
            1,
        );
        writer.replica_set("aaaaaaa", "app:v1", 0, 2);
        writer.replica_set("aaaaaaa", "app:v1", 5, 3);
        writer.replica_set("bbbbbbb", "app:v1", 2, 4);
        writer.write(ChangeKind::Deleted, (Kind::ReplicaSet, "demo-aaaaaaa"), 5);
        let present = writer.recorder.present("rs/app:v1#2/replicas");
        assert_eq!(present, Some(json!(2)));

        let found = writer.finish();
        assert_eq!(found["rollout/demo/phase"], [(1.0, json!("Progressing"))]);
        assert_eq!(found["rollout/demo/current"], [(1.0, json!("app:v1"))]);
        assert_eq!(found["rollout/demo/stable"], [(1.0, json!("?"))]);
        let message = json!("demo-<app:v1> in <ns> waits for ?");
        assert_eq!(found["rollout/demo/message"], [(1.0, message)]);
        assert_eq!(
            found["rs/app:v1/replicas"],
            [(2.0, json!(0)), (3.0, json!(5)), (5.0, Value::Null)]
        );
        assert_eq!(found["rs/app:v1#2/replicas"], [(4.0, json!(2))]);
        let labels = json!({"app": "x"});
        assert_eq!(found["rs/app:v1/template-labels"], [(2.0, labels)]);
        assert!(!found.contains_key("rs/app:v1/template-annotations"));
        assert!(!found.contains_key("rollout/demo/weights"));
    }
}
