//! The suite `yaml`: texts with what sigs.k8s.io/yaml 1.6 makes of them, lenient and strict.
//!
//! Reads every `*.jsonl` of the folder named by `ROLLPROOF_YAML` (default: `../shared/yaml` and the
//! project's own recordings in `fixtures/yaml`).

use std::path::{Path, PathBuf};

use rollproof::source::Sources;
use rollproof::spec::yaml;
use serde_json::Value;

/// What must pass of the default folder.
const RATCHET: usize = 125;
const RATCHET_RECORDED: usize = 1578;

#[test]
fn suite() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recorded = run(&root.join("fixtures/yaml"), "yaml (recorded)");
    assert!(recorded.is_some_and(|passed| passed >= RATCHET_RECORDED));
    let (folder, default) = match std::env::var_os("ROLLPROOF_YAML") {
        Some(folder) => (PathBuf::from(folder), false),
        None => (root.join("../shared/yaml"), true),
    };
    match run(&folder, "yaml") {
        Some(passed) => assert!(!default || passed >= RATCHET, "fewer than {RATCHET} passed"),
        None => println!("yaml: skipped, {} is absent", folder.display()),
    }
}

/// Counts what passes; `None` where the folder is absent. `ROLLPROOF_LIST=1` lists what failed.
fn run(folder: &Path, name: &str) -> Option<usize> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    files.sort();
    let mut passed = 0;
    let mut total = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a probe file is readable");
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let probe: Value = serde_json::from_str(line).expect("a probe is JSON");
            total += 1;
            match check(&probe) {
                Ok(()) => passed += 1,
                Err(what) if std::env::var_os("ROLLPROOF_LIST").is_some() => {
                    println!("{}: {what}", probe["yaml"]);
                }
                Err(_) => {}
            }
        }
    }
    println!("{name}: passed {passed} of {total}");
    Some(passed)
}

fn check(probe: &Value) -> Result<(), String> {
    let text = probe["yaml"].as_str().ok_or("no text")?;
    let lenient = &probe["json"];
    let strict = probe.get("strict").unwrap_or(lenient);
    let mut sources = Sources::new();
    let (_, stream) = yaml::read_bytes(&mut sources, "probe.yaml", text.as_bytes());
    let errors: Vec<String> = stream
        .problems
        .iter()
        .filter(|problem| problem.is_error())
        .map(|problem| format!("{}: {}", problem.code, problem.message))
        .collect();
    let refused = errors
        .iter()
        .any(|error| !error.starts_with("yaml-duplicate-key"));
    let ours = stream
        .documents
        .first()
        .map_or(Value::Null, |document| document.root.to_json());

    let must_refuse = lenient.get("$error").is_some();
    if refused != must_refuse {
        return Err(format!("refused is {refused}: {errors:?}"));
    }
    let must_refuse_strictly = strict.get("$error").is_some();
    if errors.is_empty() == must_refuse_strictly {
        return Err(format!("strict: {errors:?}"));
    }
    // Two keys that become the same text: the reference's answer depends on its hash order, as the
    // two recorded answers show. Either will do.
    let fits = equal(&ours, lenient) || (!must_refuse_strictly && equal(&ours, strict));
    if !must_refuse && !fits {
        return Err(format!("gives {ours}, not {lenient}"));
    }
    Ok(())
}

/// Equality of JSON with numbers compared by value.
fn equal(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            (_, _) => a.as_u64().is_some() && a.as_u64() == b.as_u64() || a.as_f64() == b.as_f64(),
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}
