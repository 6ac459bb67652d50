//! A driver in miniature: pods become ready half a second after they were asked for, and a pass is
//! made whenever something has changed or a wake-up is due. Expected sequences are those of the
//! recorded cases `experiment-standalone*`.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::decide;
use crate::engine::{Action, Observed, ReplicaSet, SCALE_DOWN_DEADLINE_ANNOTATION};
use crate::spec::analysis::{AnalysisPhase, AnalysisTemplate};
use crate::spec::experiment::{Experiment, ExperimentConditionType};
use crate::spec::kubernetes::Service;
use crate::time::{Duration, Timestamp};

const START: Timestamp = Timestamp::from_nanos(1_000_200_000_000);

struct World {
    experiment: Experiment,
    observed: Observed,
    now: Timestamp,
    /// When the pods of a ReplicaSet become ready.
    ready_at: Vec<(String, Timestamp)>,
    pods_become_ready: bool,
    events: Vec<String>,
    /// Phase, and each template's status and pods, whenever one of them changed.
    history: Vec<String>,
}

impl World {
    fn new(spec: Value) -> Self {
        let mut experiment: Experiment =
            serde_json::from_value(json!({"metadata": {"name": "xp", "uid": "u"}, "spec": spec}))
                .unwrap();
        experiment.metadata.namespace = "ns".to_owned();
        Self {
            experiment,
            observed: Observed::default(),
            now: START,
            ready_at: Vec::new(),
            pods_become_ready: true,
            events: Vec::new(),
            history: Vec::new(),
        }
    }

    fn run_for(&mut self, seconds: i64) {
        self.run_until(self.now + Duration::from_secs(seconds));
    }

    fn run_until(&mut self, end: Timestamp) {
        let mut passes = 0;
        loop {
            passes += 1;
            assert!(passes < 100, "does not settle");
            let decision = decide(&self.experiment, &self.observed, self.now);
            assert_eq!(decision.failure, None);
            let changed = decision.status.is_some() || !decision.actions.is_empty();
            for event in &decision.events {
                self.events.push(format!(
                    "{}{}",
                    event.reason,
                    if event.about_owner { "^" } else { "" }
                ));
            }
            decision
                .actions
                .into_iter()
                .for_each(|action| self.act(action));
            if let Some(status) = decision.status {
                self.experiment.status = status;
            }
            self.note();
            if changed {
                continue;
            }
            let pods = self.ready_at.iter().map(|(_, at)| *at).min();
            let Some(next) = pods.into_iter().chain(decision.wake_at).min() else {
                break;
            };
            if next > end {
                break;
            }
            assert!(next > self.now, "wakes in the past");
            self.now = next;
            let due: Vec<String> = self
                .ready_at
                .extract_if(.., |(_, at)| *at <= next)
                .map(|(name, _)| name)
                .collect();
            for name in due {
                self.change(&name, |set| {
                    set.status.ready_replicas = set.replicas;
                    set.status.available_replicas = set.replicas;
                });
            }
        }
        self.now = end;
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut ReplicaSet)) {
        change(Arc::make_mut(
            self.observed.replica_sets.get_mut(name).unwrap(),
        ));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::CreateReplicaSet(set) => {
                self.observed
                    .replica_sets
                    .insert(set.name().to_owned(), Arc::new(*set));
            }
            Action::UpdateReplicaSet(set) => {
                let name = set.name().to_owned();
                let grown = set.replicas > self.observed.replica_sets[&name].replicas;
                self.observed
                    .replica_sets
                    .insert(name.clone(), Arc::new(*set));
                self.change(&name, |set| {
                    set.status.replicas = set.replicas;
                    if !grown {
                        set.status.ready_replicas = set.replicas;
                        set.status.available_replicas = set.replicas;
                    }
                });
                if grown && self.pods_become_ready {
                    self.ready_at
                        .push((name, self.now + Duration::from_millis(500)));
                }
            }
            Action::CreateService(service) => {
                self.observed
                    .services
                    .insert(service.metadata.name.clone(), Arc::new(*service));
            }
            Action::DeleteService { name } => {
                self.observed.services.remove(&name);
            }
            Action::CreateAnalysisRun(run) => {
                self.observed
                    .analysis_runs
                    .insert(run.metadata.name.clone(), Arc::new(*run));
            }
            Action::TerminateAnalysisRun { name } => {
                let run = self.observed.analysis_runs.get_mut(&name).unwrap();
                Arc::make_mut(run).spec.terminate = true;
            }
            other => panic!("not an action of an experiment: {other:?}"),
        }
    }

    fn finish_run(&mut self, name: &str, phase: AnalysisPhase, message: &str) {
        let run = Arc::make_mut(self.observed.analysis_runs.get_mut(name).unwrap());
        run.status.phase = phase;
        run.status.message = message.to_owned();
    }

    fn note(&mut self) {
        let status = &self.experiment.status;
        let templates: Vec<String> = status
            .template_statuses
            .iter()
            .map(|template| format!("{} {}", template.status, template.replicas))
            .collect();
        let line = format!("{}: {}", status.phase, templates.join(", "));
        if self.history.last() != Some(&line) {
            self.history.push(line);
        }
    }
}

fn template(name: &str, replicas: i32) -> Value {
    json!({
        "name": name, "replicas": replicas,
        "selector": {"matchLabels": {"app": format!("x-{name}")}},
        "template": {
            "metadata": {"labels": {"app": format!("x-{name}")}},
            "spec": {"containers": [{"name": "c", "image": "app:v1"}]},
        },
    })
}

fn with(mut value: Value, extra: Value) -> Value {
    for (key, extra) in extra.as_object().unwrap() {
        value[key] = extra.clone();
    }
    value
}

#[test]
fn two_templates_run_for_their_duration() {
    let mut world = World::new(json!({
        "duration": "3s", "scaleDownDelaySeconds": 1,
        "templates": [template("one", 1), template("two", 2)],
    }));
    world.run_for(8);
    assert_eq!(
        world.history,
        [
            "Pending: Progressing 0, Progressing 0",
            "Pending: Progressing 1, Progressing 2",
            "Running: Running 1, Running 2",
            "Successful: Successful 1, Successful 2",
            "Successful: Successful 0, Successful 0",
        ]
    );
    // Available at 0.7, stored as 0.0 s after the whole second.
    assert_eq!(
        world.experiment.status.available_at,
        Some(Timestamp::from_secs(1000))
    );
    let set = &world.observed.replica_sets["xp-two"];
    assert_eq!(
        set.annotation(SCALE_DOWN_DEADLINE_ANNOTATION),
        Some("1970-01-01T00:16:44Z")
    );
    assert_eq!((set.replicas, set.selector.match_labels.len()), (0, 2));
    assert_eq!(set.selector.matches(&set.template.labels()), Some(true));
    assert_eq!(
        world.events,
        [
            "TemplateProgressing",
            "TemplateProgressing",
            "ExperimentPending",
            "ScalingReplicaSet",
            "ScalingReplicaSet",
            "TemplateRunning",
            "TemplateRunning",
            "ExperimentRunning",
            "TemplateSuccessful",
            "TemplateSuccessful",
            "ExperimentSuccessful",
            "ScalingReplicaSet",
            "ScalingReplicaSet",
        ]
    );
    let condition = &world.experiment.status.conditions[0];
    assert_eq!(condition.type_, ExperimentConditionType::Progressing);
    assert_eq!(
        condition.message,
        "Experiment \"xp\" has successfully ran and completed."
    );
}

#[test]
fn pods_outlive_the_experiment_by_thirty_seconds_unless_told() {
    let mut world = World::new(json!({"duration": "2s", "templates": [template("one", 1)]}));
    world.run_for(30);
    assert_eq!(world.observed.replica_sets["xp-one"].replicas, 1);
    world.run_for(5);
    assert_eq!(world.observed.replica_sets["xp-one"].replicas, 0);

    let at_once = json!({
        "duration": "2s", "scaleDownDelaySeconds": 0, "templates": [template("one", 1)]
    });
    let mut world = World::new(at_once);
    world.run_for(3);
    let set = &world.observed.replica_sets["xp-one"];
    assert_eq!(
        (set.replicas, set.annotation(SCALE_DOWN_DEADLINE_ANNOTATION)),
        (0, None)
    );
}

#[test]
fn a_repeated_template_name_is_invalid() {
    let templates = [template("one", 1), template("one", 1)];
    let mut world = World::new(json!({"duration": "3s", "templates": templates}));
    world.run_for(3);
    let status = &world.experiment.status;
    assert_eq!(status.phase, AnalysisPhase::Unset);
    assert_eq!(
        status.conditions[0].message,
        "Experiment xp has repeated template name 'one' in templates"
    );
    assert!(world.observed.replica_sets.is_empty());

    world.experiment.spec.templates.pop();
    world.run_for(1);
    let types = world
        .experiment
        .status
        .conditions
        .iter()
        .map(|condition| condition.type_);
    assert_eq!(
        types.collect::<Vec<_>>(),
        [ExperimentConditionType::Progressing]
    );
}

#[test]
fn missing_pods_fail_the_experiment_after_the_progress_deadline() {
    let mut world = World::new(json!({
        "progressDeadlineSeconds": 10, "templates": [template("one", 1)]
    }));
    world.pods_become_ready = false;
    world.run_for(9);
    assert_eq!(world.experiment.status.phase, AnalysisPhase::Pending);
    world.run_for(3);
    let status = &world.experiment.status;
    assert_eq!(status.phase, AnalysisPhase::Failed);
    assert_eq!(
        status.message,
        "Template 'one' exceeded its progressDeadlineSeconds (10)"
    );
}

#[test]
fn termination_ends_it_successfully() {
    let mut world = World::new(json!({"templates": [template("one", 1)]}));
    world.run_for(600);
    assert_eq!(world.experiment.status.phase, AnalysisPhase::Running);
    world.experiment.spec.terminate = true;
    world.run_for(1);
    assert_eq!(world.history.last().unwrap(), "Successful: Successful 1");
}

#[test]
fn a_service_is_made_for_container_ports() {
    let ports = json!([
        {"containerPort": 8080, "name": "http", "protocol": "TCP"}, {"containerPort": 9090}
    ]);
    for (service, name) in [(json!({}), "xp-one"), (json!({"name": "svc"}), "svc")] {
        let mut one = with(template("one", 1), json!({"service": service}));
        one["template"]["spec"]["containers"][0]["ports"] = ports.clone();
        let spec = json!({"duration": "3s", "scaleDownDelaySeconds": 1, "templates": [one]});
        let mut world = World::new(spec.clone());
        world.run_for(2);
        let made = &world.observed.services[name];
        let set = &world.observed.replica_sets["xp-one"];
        assert_eq!(&made.spec.selector, &*set.metadata.labels);
        assert_eq!(
            serde_json::to_value(&made.spec.ports).unwrap(),
            json!([
                {"name": "http", "port": 8080, "targetPort": 8080, "protocol": "TCP"},
                {"port": 9090, "targetPort": 9090},
            ])
        );
        let status = &world.experiment.status.template_statuses[0];
        assert_eq!(
            (status.service_name.as_str(), &*status.pod_template_hash),
            (name, set.hash())
        );
        world.run_for(6);
        assert!(world.observed.services.is_empty());
        assert_eq!(
            world.experiment.status.template_statuses[0].service_name,
            ""
        );

        let mut world = World::new(spec);
        world
            .observed
            .services
            .insert(name.to_owned(), Arc::new(Service::default()));
        world.run_for(1);
        assert_eq!(
            world.experiment.status.message,
            format!(
                "Failed to create Service {name} for template 'one': service {name} already \
                 exists and is not owned by experiment template one"
            )
        );
    }
}

#[test]
fn what_an_api_server_would_refuse_is_an_error() {
    let mut other = template("one", 1);
    other["selector"] = json!({"matchLabels": {"app": "other"}});
    let mut world = World::new(json!({"templates": [other]}));
    world.run_for(1);
    assert_eq!(world.experiment.status.phase, AnalysisPhase::Error);
    assert!(
        world
            .experiment
            .status
            .message
            .contains("`selector` does not match template `labels`")
    );

    let mut unnamed = template("one", 1);
    unnamed["template"]["spec"]["containers"][0]["name"] = json!("Not_A_Name");
    let mut world = World::new(json!({"templates": [unnamed]}));
    world.run_for(1);
    let message = &world.experiment.status.message;
    let expected = "Failed to create ReplicaSet for template 'one': ReplicaSet.apps \"xp-one\" is \
                    invalid: spec.template.spec.containers[0].name: Invalid value: \"Not_A_Name\"";
    assert!(message.starts_with(expected), "{message}");

    let mut world = World::new(json!({"templates": [template("one", 1)]}));
    let foreign = ReplicaSet::default();
    world
        .observed
        .replica_sets
        .insert("xp-one".to_owned(), Arc::new(foreign));
    world.run_for(1);
    assert_eq!(
        world.experiment.status.message,
        "Failed to create ReplicaSet for template 'one': replicasets.apps \"xp-one\" already exists"
    );
}

#[test]
fn an_unreadable_duration_does_not_end() {
    let mut world = World::new(json!({"duration": "soon", "templates": [template("one", 1)]}));
    world.run_for(1000);
    assert_eq!(world.experiment.status.phase, AnalysisPhase::Running);
    let decision = decide(&world.experiment, &world.observed, world.now);
    assert_eq!(decision.wake_at, None);
    assert!(decision.reasons[0].contains("cannot be read"));
}

fn analyzed(analyses: Value, extra: Value) -> World {
    let spec = json!({
        "analyses": analyses, "scaleDownDelaySeconds": 1, "templates": [template("one", 1)]
    });
    let mut world = World::new(with(spec, extra));
    let template: AnalysisTemplate = serde_json::from_value(json!({
        "metadata": {"name": "t"},
        "spec": {"args": [{"name": "hash", "value": "?"}], "metrics": [{"name": "m", "provider": {"web": {}}}]},
    }))
    .unwrap();
    world
        .observed
        .analysis_templates
        .insert("t".to_owned(), Arc::new(template));
    world
}

fn analysis(name: &str, required: bool) -> Value {
    json!({
        "name": name, "templateName": "t", "requiredForCompletion": required,
        "args": [{"name": "hash", "value": "{{templates.one.podTemplateHash}}"}],
    })
}

#[test]
fn a_missing_analysis_template_is_an_error_before_anything_runs() {
    let mut world = analyzed(json!([analysis("an", false)]), json!({}));
    world.observed.analysis_templates.clear();
    world.run_for(1);
    assert_eq!(
        world.experiment.status.message,
        "AnalysisTemplate verification failed for analysis 'an': \
         analysistemplate.argoproj.io \"t\" not found"
    );
    assert_eq!(world.experiment.status.phase, AnalysisPhase::Error);
}

#[test]
fn two_replica_sets_of_one_template_are_a_failure() {
    let mut world = World::new(json!({"templates": [template("one", 1)]}));
    world.run_for(1);
    let set = Arc::clone(&world.observed.replica_sets["xp-one"]);
    world.observed.replica_sets.insert("copy".to_owned(), set);
    let decision = decide(&world.experiment, &world.observed, world.now);
    assert_eq!(
        decision.failure.as_deref(),
        Some("multiple ReplicaSets match single experiment template: one")
    );
}

#[test]
fn a_failed_analysis_fails_the_experiment() {
    let mut world = analyzed(json!([analysis("an", false)]), json!({"duration": "20s"}));
    world.experiment.metadata.owner_references =
        serde_json::from_value(json!([{"kind": "Rollout", "name": "r", "uid": "r"}])).unwrap();
    world.run_for(2);
    let run = &world.observed.analysis_runs["xp-an"];
    let hash = world.observed.replica_sets["xp-one"].hash();
    assert_eq!(run.spec.args[0].value.as_deref(), Some(hash));
    world.finish_run("xp-an", AnalysisPhase::Failed, "why");
    world.run_for(1);
    let status = &world.experiment.status;
    assert_eq!(
        (status.phase, status.message.as_str()),
        (AnalysisPhase::Failed, "why")
    );
    for event in [
        "AnalysisRunPending^",
        "AnalysisRunFailed",
        "AnalysisRunFailed^",
        "ExperimentFailed",
    ] {
        assert!(world.events.iter().any(|seen| seen == event), "{event}");
    }
}

#[test]
fn required_analyses_end_it_although_others_still_run() {
    let analyses = json!([analysis("an", true), analysis("other", false)]);
    let mut world = analyzed(analyses, json!({}));
    world.run_for(2);
    world.finish_run("xp-an", AnalysisPhase::Successful, "");
    world.finish_run("xp-other", AnalysisPhase::Running, "");
    world.run_for(5);
    let status = &world.experiment.status;
    assert_eq!(status.phase, AnalysisPhase::Successful);
    assert_eq!(status.message, "Required AnalysisRuns completed");
    assert!(world.observed.analysis_runs["xp-other"].spec.terminate);
    assert_eq!(
        world.history[2..],
        [
            "Running: Running 1",
            "Successful: Running 1",
            "Successful: Successful 1",
            "Successful: Successful 0",
        ]
    );
}

#[test]
fn after_the_duration_a_required_analysis_is_waited_for() {
    let analyses = json!([analysis("an", true)]);
    let mut world = analyzed(analyses, json!({"duration": "2s"}));
    world.run_for(1);
    world.finish_run("xp-an", AnalysisPhase::Running, "");
    world.run_for(5);
    assert_eq!(world.history.last().unwrap(), "Running: Successful 0");
    world.finish_run("xp-an", AnalysisPhase::Successful, "");
    world.run_for(1);
    assert_eq!(world.experiment.status.phase, AnalysisPhase::Successful);
}

proptest! {
    /// Whatever numbers and times an object holds, a decision is made.
    #[test]
    fn no_input_overflows(
        deadline: Option<i32>, delay: Option<i32>, replicas: Option<i32>, available: i32,
        duration in "-?[0-9]{0,12}(h|s|ns|)", now: i64, then: i64, phase in "|Pending|Running|Successful",
    ) {
        let mut one = template("one", 1);
        one["replicas"] = json!(replicas);
        let mut world = World::new(json!({
            "duration": duration, "progressDeadlineSeconds": deadline,
            "scaleDownDelaySeconds": delay, "templates": [one],
        }));
        decide(&world.experiment, &world.observed, START)
            .actions
            .into_iter()
            .for_each(|action| world.act(action));
        for set in world.observed.replica_sets.values_mut() {
            Arc::make_mut(set).status.available_replicas = available;
        }
        let then = Timestamp::from_nanos(then);
        world.experiment.status = serde_json::from_value(json!({
            "phase": phase,
            "availableAt": then,
            "templateStatuses": [{"name": "one", "status": "Running", "lastTransitionTime": then}],
        }))
        .unwrap();
        decide(&world.experiment, &world.observed, Timestamp::from_nanos(now));
    }
}
