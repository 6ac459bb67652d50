//! The suite `crds`: our definitions against those of the reference, node by node, descriptions
//! aside; and the published ones against our types.
//!
//! Reads `*-crd.yaml` of the folder named by `ROLLPROOF_CRDS` (default: `../shared/crds`).
//! `ROLLPROOF_LIST=1` lists what differs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rollproof::source::Sources;
use rollproof::spec::schema::definitions::{KINDS, definition};
use rollproof::spec::yaml;
use serde_json::Value;

/// Definitions of the default folder that must be equal.
const RATCHET: usize = 5;

#[test]
fn suite() {
    let (folder, is_default) = match std::env::var_os("ROLLPROOF_CRDS") {
        Some(folder) => (PathBuf::from(folder), false),
        None => (
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/crds"),
            true,
        ),
    };
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("crds: skipped, {} is absent", folder.display());
        return;
    };
    let is_listed = std::env::var_os("ROLLPROOF_LIST").is_some();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable folder").path())
        .filter(|path| path.to_string_lossy().ends_with("-crd.yaml"))
        .collect();
    paths.sort();
    let (mut passed, mut total) = (0, 0);
    for path in paths {
        let bytes = std::fs::read(&path).expect("readable file");
        let mut sources = Sources::new();
        let (_, stream) = yaml::read_bytes(&mut sources, "crd", &bytes);
        for document in stream.documents {
            let wanted = document.root.to_json();
            let kind = wanted["spec"]["names"]["kind"].as_str().unwrap_or_default();
            let ours = definition(kind).unwrap_or_default();
            let mut differences = Vec::new();
            compare(
                &flat(&wanted["spec"]),
                &flat(&ours["spec"]),
                &mut differences,
            );
            total += 1;
            passed += usize::from(differences.is_empty());
            if is_listed {
                differences
                    .iter()
                    .for_each(|line| println!("{kind}: {line}"));
            }
        }
    }
    println!("crds: passed {passed} of {total}");
    assert!(
        !is_default || passed >= RATCHET,
        "fewer than {RATCHET} passed"
    );
}

/// Set ROLLPROOF_UPDATE=1 to write the files anew.
#[test]
fn the_published_definitions_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/crds");
    for kind in KINDS {
        let definition = definition(kind).expect("a kind of ours");
        let plural = definition["spec"]["names"]["plural"]
            .as_str()
            .expect("plural");
        let path = folder.join(format!("{plural}.json"));
        let wanted = format!("{definition:#}\n");
        if std::env::var_os("ROLLPROOF_UPDATE").is_some() {
            std::fs::create_dir_all(&folder).expect("folder");
            std::fs::write(&path, &wanted).expect("definition written");
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            published == wanted,
            "schemas/crds/{plural}.json is out of date: run this test with ROLLPROOF_UPDATE=1"
        );
    }
}

/// Every leaf by its path, descriptions left out; lists of names as sets.
fn flat(value: &Value) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    flatten(value, "", false, &mut leaves);
    leaves
}

fn flatten(value: &Value, path: &str, of_fields: bool, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            if members.is_empty() {
                leaves.insert(path.to_owned(), "{}".to_owned());
            }
            for (key, member) in members {
                // A field may be called so.
                if key == "description" && !of_fields {
                    continue;
                }
                let is_fields = key == "properties" && !of_fields;
                flatten(member, &format!("{path}.{key}"), is_fields, leaves);
            }
        }
        Value::Array(items) if path.ends_with(".required") || path.ends_with(".enum") => {
            for item in items {
                leaves.insert(format!("{path}[{item}]"), "listed".to_owned());
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(item, &format!("{path}[{index}]"), false, leaves);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            leaves.insert(path.to_owned(), value.to_string());
        }
    }
}

fn compare(
    wanted: &BTreeMap<String, String>,
    ours: &BTreeMap<String, String>,
    differences: &mut Vec<String>,
) {
    for (path, value) in wanted {
        match ours.get(path) {
            Some(other) if other == value => {}
            Some(other) => differences.push(format!("{path}: {other}, should be {value}")),
            None => differences.push(format!("{path}: absent, should be {value}")),
        }
    }
    for (path, value) in ours {
        if !wanted.contains_key(path) {
            differences.push(format!("{path}: surplus {value}"));
        }
    }
}
