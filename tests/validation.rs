//! The suite `validation`: the typed validators against the verdicts of the reference's own, which
//! the folder `lint` holds in `argo_errors`.
//!
//! Reads `expected.jsonl` and `cases/` of the folder named by `ROLLPROOF_LINT_CORPUS` (default:
//! `../shared/lint`). `ROLLPROOF_LIST=1` lists what differs.

use std::path::{Path, PathBuf};

use rollproof::source::Sources;
use rollproof::spec::analysis::{AnalysisTemplateSpec, Argument, Metric};
use rollproof::spec::bundle::{Bundle, Object, Typed, Workload};
use rollproof::spec::rollout::Rollout;
use rollproof::spec::templates::resolve_metric_arguments;
use rollproof::spec::validation::{
    AnalysisError, FieldError, invalid_workload_ref, resolve_references,
    resolve_template_references, validate_analysis_run, validate_analysis_template,
    validate_experiment, validate_experiment_analyses, validate_metric, validate_rollout,
    validate_rollout_references,
};
use serde_json::Value;

/// What must pass of the default folder.
const RATCHET: usize = 791;

/// Stages of `argo_errors` that the validators answer for.
const STAGES: [&str; 11] = [
    "spec",
    "spec-resolved",
    "workloadref",
    "config",
    "refs",
    "missing",
    "experiment",
    "experiment-analysis",
    "analysisrun",
    "template",
    "metric",
];

/// Kind and name of the object, stage, field, type, message.
type Finding = [String; 6];

#[test]
fn suite() {
    let (folder, is_default) = match std::env::var_os("ROLLPROOF_LINT_CORPUS") {
        Some(folder) => (PathBuf::from(folder), false),
        None => (
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/lint"),
            true,
        ),
    };
    let Ok(expected) = std::fs::read_to_string(folder.join("expected.jsonl")) else {
        println!("validation: skipped, {} is absent", folder.display());
        return;
    };
    let (mut passed, mut total) = (0, 0);
    for line in expected.lines() {
        let case: Value = serde_json::from_str(line).expect("a verdict is JSON");
        let name = case["name"].as_str().expect("a verdict has a name");
        let text = std::fs::read(folder.join("cases").join(format!("{name}.yaml")))
            .expect("a case has a file");
        total += 1;
        let differences = compare(name, &text, &case);
        passed += usize::from(differences.is_empty());
        if std::env::var_os("ROLLPROOF_LIST").is_some() {
            differences
                .iter()
                .for_each(|difference| println!("{name}: {difference}"));
        }
    }
    println!("validation: passed {passed} of {total}");
    assert!(
        !is_default || passed >= RATCHET,
        "fewer than {RATCHET} passed"
    );
}

fn compare(name: &str, text: &[u8], case: &Value) -> Vec<String> {
    let errors = case["argo_errors"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let is_stage = |error: &&Value, stages: &[&str]| {
        error["stage"].as_str().is_some_and(|s| stages.contains(&s))
    };
    // Objects at which the reference stops before it validates.
    let stopped: Vec<[String; 2]> = (errors.iter())
        .filter(|error| is_stage(error, &["decode", "cycle"]))
        .map(|error| [field(error, "kind"), field(error, "object")])
        .collect();
    let mut wanted: Vec<Finding> = (errors.iter())
        .filter(|error| is_stage(error, &STAGES))
        .map(|error| {
            ["kind", "object", "stage", "field", "type", "message"].map(|key| field(error, key))
        })
        .collect();
    let mut differences = Vec::new();
    for finding in findings(name, text) {
        if stopped.iter().any(|object| object[..] == finding[..2]) {
            continue;
        }
        match wanted.iter().position(|other| *other == finding) {
            Some(i) => drop(wanted.remove(i)),
            None => differences.push(format!("surplus {finding:?}")),
        }
    }
    differences.extend(wanted.iter().map(|finding| format!("missing {finding:?}")));
    differences
}

fn field(error: &Value, key: &str) -> String {
    error
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn findings(name: &str, text: &[u8]) -> Vec<Finding> {
    let mut sources = Sources::new();
    let (bundle, problems) = Bundle::read(&mut sources, &[(name, text)]);
    // The reference reads a file as a whole or not at all.
    if problems
        .iter()
        .any(|problem| problem.is_error() && problem.code.starts_with("yaml"))
    {
        return Vec::new();
    }
    bundle
        .objects()
        .iter()
        .flat_map(|object| validate(&bundle, object))
        .collect()
}

fn validate(bundle: &Bundle, object: &Object) -> Vec<Finding> {
    let finding = |stage: &str, path: &str, kind: &str, message: &str| -> Finding {
        [&object.kind, &object.name, stage, path, kind, message].map(ToOwned::to_owned)
    };
    let by_field = |stage: &str, error: &FieldError| {
        finding(stage, &error.path, error.kind.reason(), &error.detail)
    };
    let by_run =
        |stage: &str, error: &AnalysisError| finding(stage, &error.path, "", &error.message);
    // The verdicts on single metrics are on those whose arguments can be filled in.
    let by_metric = |metrics: &[Metric], args: &[Argument]| -> Vec<Finding> {
        let args: Vec<Argument> = (args.iter().cloned())
            .map(|argument| Argument {
                value: argument.value.or(Some("dummy-value".into())),
                ..argument
            })
            .collect();
        let metrics = metrics.iter().enumerate();
        metrics
            .filter_map(|(i, metric)| {
                let resolved = resolve_metric_arguments(metric, &args).ok()?;
                let message = validate_metric(&resolved).err()?;
                Some(finding(
                    "metric",
                    &format!("spec.metrics[{i}]"),
                    "",
                    &message,
                ))
            })
            .collect()
    };
    let namespace = object.namespace_or_default();
    let view = bundle.in_namespace(namespace);
    let template = |spec: &AnalysisTemplateSpec| -> Vec<Finding> {
        let mut found = by_metric(&spec.metrics, &spec.args);
        match resolve_template_references(&spec.templates, &view) {
            Err(error) => found.push(by_field("missing", &error)),
            Ok((templates, cluster_templates)) => {
                let mut specs = vec![spec];
                specs.extend(templates.iter().map(|template| &template.spec));
                specs.extend(cluster_templates.iter().map(|template| &template.spec));
                found.extend(
                    validate_analysis_template(&specs)
                        .iter()
                        .map(|error| by_run("template", error)),
                );
            }
        }
        found
    };
    match &object.typed {
        Typed::Rollout(rollout) => {
            let mut rollout = Rollout::clone(rollout);
            rollout.metadata.namespace = namespace.to_owned();
            let errors = rollout_errors(bundle, rollout);
            errors
                .iter()
                .map(|(stage, error)| by_field(stage, error))
                .collect()
        }
        Typed::AnalysisTemplate(analysis) => template(&analysis.spec),
        Typed::ClusterAnalysisTemplate(analysis) => template(&analysis.spec),
        Typed::AnalysisRun(run) => {
            let mut found = by_metric(&run.spec.metrics, &run.spec.args);
            found.extend(
                validate_analysis_run(&run.spec)
                    .iter()
                    .map(|error| by_run("analysisrun", error)),
            );
            found
        }
        Typed::Experiment(experiment) => {
            let message = validate_experiment(experiment);
            let mut found: Vec<Finding> = message
                .iter()
                .map(|message| finding("experiment", "spec.templates", "", message))
                .collect();
            for error in validate_experiment_analyses(experiment, &view) {
                found.push(if error.detail.starts_with("Failed") {
                    finding("experiment-analysis", &error.path, "", &error.detail)
                } else {
                    by_field("missing", &error)
                });
            }
            found
        }
        Typed::Service(_) | Typed::Deployment(_) | Typed::Broken | Typed::Untyped => Vec::new(),
    }
}

fn rollout_errors(bundle: &Bundle, mut rollout: Rollout) -> Vec<(&'static str, FieldError)> {
    let own = validate_rollout(&rollout);
    let mut errors: Vec<_> = own.iter().map(|error| ("spec", error.clone())).collect();
    match bundle.resolve_workload(&mut rollout) {
        Workload::None => {}
        Workload::Missing(reason) => {
            errors.push(("missing", invalid_workload_ref(&rollout, &reason)));
            return errors;
        }
        Workload::Refused(reason) => {
            errors.push(("workloadref", invalid_workload_ref(&rollout, &reason)));
            return errors;
        }
        Workload::Resolved(_) => {
            let resolved = validate_rollout(&rollout);
            errors.extend(
                resolved
                    .into_iter()
                    .filter(|error| !own.contains(error))
                    .map(|error| ("spec-resolved", error)),
            );
        }
    }
    let namespace = rollout.metadata.namespace.clone();
    let view = bundle.in_namespace(&namespace);
    let (resources, missing) = resolve_references(&rollout, &view);
    for error in missing {
        let stage = if error.detail.contains("not found") {
            "missing"
        } else {
            "config"
        };
        errors.push((stage, error));
    }
    let references = validate_rollout_references(&rollout, &resources);
    errors.extend(references.into_iter().map(|error| ("refs", error)));
    errors
}
