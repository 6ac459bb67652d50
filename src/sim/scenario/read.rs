//! Reading scenarios, with problems that point into the file.

use crate::promql::{Store, notation};
use crate::source::{Problem, Sources, Span};
use crate::spec::yaml::{self, Document};

use super::{Expectation, Scenario, ScenarioEvent, ScenarioFile};

/// Reads the scenarios of a file, one a document. A document with errors is left out and does not
/// hide the others.
pub fn read_bytes(
    sources: &mut Sources,
    name: &str,
    bytes: &[u8],
) -> (Vec<ScenarioFile>, Vec<Problem>) {
    let (source, stream) = yaml::read_bytes(sources, name, bytes);
    let mut problems = stream.problems;
    let mut scenarios = Vec::new();
    for document in &stream.documents {
        if document.root.is_null() {
            continue;
        }
        match read_document(document) {
            Ok(scenario) => scenarios.push(scenario),
            Err(found) => problems.extend(found),
        }
    }
    if scenarios.is_empty() && problems.iter().all(|problem| !problem.is_error()) {
        problems.push(
            Problem::error(
                "scenario-empty",
                "the file holds no scenario",
                Span::new(source, 0, 0),
            )
            .with_help("an empty scenario is written `{}`: a healthy release of a new image"),
        );
    }
    (scenarios, problems)
}

fn read_document(document: &Document) -> Result<ScenarioFile, Vec<Problem>> {
    let json = document.root.to_json();
    let scenario: Scenario = serde_path_to_error::deserialize(&json).map_err(|error| {
        let path = error.path().to_string();
        let span = document.root.span_of(&path).best();
        let message = if path == "." {
            error.inner().to_string()
        } else {
            format!("{path}: {}", error.inner())
        };
        vec![
            Problem::error("scenario-format", message, span)
                .with_help("the format: `rollproof schema scenario`, docs/scenarios.md"),
        ]
    })?;
    let span_of = |path: String| document.root.span_of(&path).best();
    let mut problems = Vec::new();
    let mut events = Vec::new();
    for (index, event) in scenario.events.iter().enumerate() {
        let span = span_of(format!("events[{index}]"));
        events.push(span);
        if event.at.is_none() {
            problems.push(
                Problem::error("scenario-event", "the event has no time", span)
                    .with_help("give `at`, counted from the release: `at: 90s`"),
            );
        }
        match happenings(event).as_slice() {
            [_] => {}
            [] => problems.push(
                Problem::error("scenario-event", "nothing happens in this event", span)
                    .with_help("give one of setImage, promote, abort, retry, pods, outage, ..."),
            ),
            several => problems.push(
                Problem::error(
                    "scenario-event",
                    format!("several things happen in one event: {}", several.join(", ")),
                    span,
                )
                .with_help("write one event for each; they may have the same time"),
            ),
        }
    }
    if let Some(traffic) = &scenario.traffic {
        for (path, message) in traffic.problems() {
            let span = span_of(format!("traffic.{path}"));
            problems.push(
                Problem::error("scenario-traffic", message, span)
                    .with_help("the fields of `traffic`: docs/scenarios.md"),
            );
        }
    }
    let random = scenario.random.as_ref();
    let random = random.map(|random| ("random", random.problems()));
    let what_if = scenario.what_if.as_ref();
    let what_if = what_if.map(|what_if| ("whatIf", what_if.problems()));
    for (part, found) in random.into_iter().chain(what_if) {
        for (path, message) in found {
            let span = span_of(format!("{part}.{path}"));
            problems.push(
                Problem::error("scenario-random", message, span)
                    .with_help("the fields of `random` and `whatIf`: docs/scenarios.md"),
            );
        }
    }
    if let Some(text) = &scenario.series
        && let Err(error) = notation::load(&mut Store::new(), text)
    {
        problems.push(
            Problem::error(
                "scenario-series",
                error.to_string(),
                span_of("series".to_owned()),
            )
            .with_help("a block is a line `load 15s` and one line a series: `up{pod=\"a\"} 1x20`"),
        );
    }
    let mut expectations = Vec::new();
    for (index, expectation) in scenario.expect.iter().enumerate() {
        let span = span_of(format!("expect[{index}]"));
        expectations.push(span);
        if expectation.at.is_some() && expectation.by.is_some() {
            problems.push(
                Problem::error("scenario-expectation", "both `at` and `by` are given", span)
                    .with_help("`at` is one moment, `by` is any time up to a moment"),
            );
        }
        let of_traffic = expectation.failed_requests.is_some()
            || expectation.failed_because_of_release.is_some();
        if of_traffic && scenario.traffic.is_none() {
            problems.push(
                Problem::error(
                    "scenario-expectation",
                    "failed requests are expected, but the scenario has no traffic",
                    span,
                )
                .with_help("say how many requests come, and how many fail: `traffic`"),
            );
        }
        if expects_nothing(expectation) {
            problems.push(
                Problem::error("scenario-expectation", "nothing is expected", span).with_help(
                    "an expectation that cannot fail proves nothing: give phase, step, weight, ...",
                ),
            );
        }
        let phases = ["Progressing", "Paused", "Healthy", "Degraded"];
        if let Some(phase) = &expectation.phase
            && !phases.contains(&phase.as_str())
        {
            problems.push(
                Problem::error(
                    "scenario-expectation",
                    format!("a rollout is never in the phase {phase:?}"),
                    span_of(format!("expect[{index}].phase")),
                )
                .with_help(format!("one of {}", phases.join(", "))),
            );
        }
    }
    if problems.is_empty() {
        Ok(ScenarioFile {
            scenario,
            span: document.span,
            events,
            expectations,
        })
    } else {
        Err(problems)
    }
}

/// Names of the happenings that an event gives.
fn happenings(event: &ScenarioEvent) -> Vec<&'static str> {
    let ScenarioEvent {
        at: _,
        set_image,
        promote,
        promote_full,
        skip_current_step,
        skip_all_steps,
        abort,
        retry,
        pause,
        undo,
        restart,
        scale,
        terminate_analysis,
        terminate_experiment,
        patch,
        apply,
        delete,
        delete_pods,
        crash_pods,
        pods,
        outage,
        controller_down,
        clock_jump,
        refuse_writes,
    } = event;
    [
        (set_image.is_some(), "setImage"),
        (promote.is_some(), "promote"),
        (promote_full.is_some(), "promoteFull"),
        (skip_current_step.is_some(), "skipCurrentStep"),
        (skip_all_steps.is_some(), "skipAllSteps"),
        (abort.is_some(), "abort"),
        (retry.is_some(), "retry"),
        (pause.is_some(), "pause"),
        (undo.is_some(), "undo"),
        (restart.is_some(), "restart"),
        (scale.is_some(), "scale"),
        (terminate_analysis.is_some(), "terminateAnalysis"),
        (terminate_experiment.is_some(), "terminateExperiment"),
        (patch.is_some(), "patch"),
        (apply.is_some(), "apply"),
        (delete.is_some(), "delete"),
        (delete_pods.is_some(), "deletePods"),
        (crash_pods.is_some(), "crashPods"),
        (pods.is_some(), "pods"),
        (outage.is_some(), "outage"),
        (controller_down.is_some(), "controllerDown"),
        (clock_jump.is_some(), "clockJump"),
        (refuse_writes.is_some(), "refuseWrites"),
    ]
    .into_iter()
    .filter_map(|(given, name)| given.then_some(name))
    .collect()
}

fn expects_nothing(expectation: &Expectation) -> bool {
    let Expectation {
        at: _,
        by: _,
        phase,
        message,
        step,
        weight,
        aborted,
        stable_image,
        pods,
        analysis,
        max_weight,
        served,
        failed_requests,
        failed_because_of_release,
    } = expectation;
    phase.is_none()
        && message.is_none()
        && step.is_none()
        && weight.is_none()
        && aborted.is_none()
        && stable_image.is_none()
        && pods.is_none()
        && analysis.is_empty()
        && max_weight.is_none()
        && served.is_none()
        && failed_requests.is_none()
        && failed_because_of_release.is_none()
}
