//! The suite `lint`: every file of the corpus that the reference would refuse has an error, and no
//! other file has one; for refusals, a message names the field that the reference names.
//!
//! Reads `expected.jsonl` and `cases/` of the folder named by `ROLLPROOF_LINT_CORPUS` (default:
//! `../shared/lint`). `ROLLPROOF_LIST=1` lists what differs.

use std::path::{Path, PathBuf};

use rollproof::lint::rules::RULES;
use rollproof::lint::{Finding, Settings, lint};
use rollproof::source::{Severity, Sources};
use rollproof::spec::analysis::{AnalysisRun, AnalysisTemplate};
use rollproof::spec::bundle::{Bundle, Object};
use rollproof::spec::decode::decode_ref;
use rollproof::spec::decode_node::decode_node;
use rollproof::spec::experiment::Experiment;
use rollproof::spec::kubernetes::{Deployment, Service};
use rollproof::spec::rollout::Rollout;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What must pass of the default folder.
const RATCHET: usize = 793;

/// Refused files of the default folder where a message names the reference's field.
const FIELDS_RATCHET: usize = 375;

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
        println!("lint: skipped, {} is absent", folder.display());
        return;
    };
    let is_listed = std::env::var_os("ROLLPROOF_LIST").is_some();
    let (mut passed, mut total) = (0, 0);
    let (mut named, mut nameable) = (0, 0);
    for line in expected.lines() {
        let case: Value = serde_json::from_str(line).expect("a verdict is JSON");
        let name = case["name"].as_str().expect("a verdict has a name");
        let should_error = case["should_error"].as_bool().expect("a verdict");
        let text = std::fs::read(folder.join("cases").join(format!("{name}.yaml")))
            .expect("a case has a file");
        let errors = errors(name, &text);
        total += 1;
        let is_right = should_error != errors.is_empty();
        passed += usize::from(is_right);
        if is_listed && !is_right {
            if should_error {
                println!("{name}: no error; {}", fields(&case).join(", "));
            }
            for error in &errors {
                println!(
                    "{name}: surplus {} {}: {}",
                    error.rule, error.path, error.message
                );
            }
        }
        let fields = fields(&case);
        if should_error && !fields.is_empty() {
            nameable += 1;
            let is_named = fields
                .iter()
                .any(|field| errors.iter().any(|error| error.message.contains(field)));
            named += usize::from(is_named);
            if is_listed && !is_named && !errors.is_empty() {
                println!("{name}: none of {fields:?} is named");
                for error in &errors {
                    println!("    {} {}: {}", error.rule, error.path, error.message);
                }
            }
        }
    }
    println!("lint: passed {passed} of {total}");
    println!("lint: the field is named in {named} of {nameable}");
    assert!(
        !is_default || passed >= RATCHET,
        "fewer than {RATCHET} passed"
    );
    assert!(
        !is_default || named >= FIELDS_RATCHET,
        "fewer than {FIELDS_RATCHET} name the field"
    );
}

/// Objects are typed from their trees; where that fails, from their JSON, which is the measure.
#[test]
fn trees_are_typed_as_their_json_is() {
    let mut texts: Vec<Vec<u8>> = RULES
        .iter()
        .flat_map(|rule| [rule.bad, rule.good])
        .map(|text| text.as_bytes().to_vec())
        .collect();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/lint/cases");
    for case in std::fs::read_dir(cases).into_iter().flatten() {
        texts.push(std::fs::read(case.expect("a case").path()).expect("a case is a file"));
    }
    let numbers = "kind: Rollout\napiVersion: argoproj.io/v1alpha1\nspec:\n  replicas: 3.0\n  minReadySeconds: 1e1\n  \
                   progressDeadlineSeconds: 18446744073709551615\n  revisionHistoryLimit: -1\n  paused: null\n  \
                   template: {spec: {priority: [1.5, 1e30, null, -2, {a: null}]}}\n";
    texts.push(numbers.as_bytes().to_vec());
    let mut compared = 0;
    for text in &texts {
        let (bundle, _) = Bundle::read(&mut Sources::new(), &[("case", text)]);
        for object in bundle.objects() {
            compared += usize::from(is_typed_alike::<Rollout>(object));
            compared += usize::from(is_typed_alike::<AnalysisTemplate>(object));
            compared += usize::from(is_typed_alike::<AnalysisRun>(object));
            compared += usize::from(is_typed_alike::<Experiment>(object));
            compared += usize::from(is_typed_alike::<Service>(object));
            compared += usize::from(is_typed_alike::<Deployment>(object));
        }
    }
    assert!(compared > 300, "{compared}");
}

/// Whether the object fits the type; fails where tree and JSON differ in that.
fn is_typed_alike<T: DeserializeOwned + PartialEq>(object: &Object) -> bool {
    let from_tree = decode_node::<T>(&object.node);
    let from_json = decode_ref::<T>(&object.node.to_json()).ok();
    assert!(
        from_tree == from_json,
        "{} differs as {}",
        object.title(),
        std::any::type_name::<T>()
    );
    from_tree.is_some()
}

fn errors(name: &str, text: &[u8]) -> Vec<Finding> {
    let mut sources = Sources::new();
    let (bundle, problems) = Bundle::read(&mut sources, &[(name, text)]);
    let report = lint(&sources, &bundle, problems, &Settings::default());
    let is_error = |finding: &Finding| finding.severity == Severity::Error;
    report.findings.into_iter().filter(is_error).collect()
}

/// The fields that the reference names, but for those of objects that are missing.
fn fields(case: &Value) -> Vec<String> {
    let of = |key: &str| case[key].as_array().cloned().unwrap_or_default();
    let mut fields: Vec<String> = of("argo_errors")
        .into_iter()
        .filter(|error| error["stage"] != "missing")
        .chain(of("schema_errors"))
        .chain(of("unknown_fields"))
        .filter_map(|error| error["field"].as_str().map(ToOwned::to_owned))
        .filter(|field| !field.is_empty())
        .collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}
