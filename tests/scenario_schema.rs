//! The published schema of scenarios is the one of the types, and the examples fit it.

use std::path::Path;

use rollproof::sim::scenario;
use rollproof::source::Sources;
use rollproof::spec::yaml;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Set ROLLPROOF_UPDATE=1 to write the file anew.
#[test]
fn the_published_schema_is_up_to_date() {
    let path = root().join("schemas/scenario.json");
    let wanted = format!("{:#}\n", scenario::json_schema());
    if std::env::var_os("ROLLPROOF_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        std::fs::write(&path, &wanted).expect("schema written");
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == wanted,
        "schemas/scenario.json is out of date: run this test with ROLLPROOF_UPDATE=1"
    );
}

#[test]
fn examples_fit_the_schema_and_are_read() {
    let validator = jsonschema::validator_for(&scenario::json_schema()).expect("a valid schema");
    let mut count = 0;
    for entry in walkdir::WalkDir::new(root().join("fixtures/examples")) {
        let path = entry.expect("readable folder").into_path();
        let in_scenarios = path
            .parent()
            .is_some_and(|parent| parent.ends_with("scenarios"));
        if !in_scenarios || !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).expect("readable file");
        let name = path.display().to_string();
        let mut sources = Sources::new();
        let (scenarios, problems) = scenario::read_bytes(&mut sources, &name, &bytes);
        assert!(problems.is_empty(), "{name}: {problems:?}");
        let (_, stream) = yaml::read_bytes(&mut sources, &name, &bytes);
        assert_eq!(stream.documents.len(), scenarios.len(), "{name}");
        for document in &stream.documents {
            let errors: Vec<String> = validator
                .iter_errors(&document.root.to_json())
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{name}: {errors:?}");
        }
        count += scenarios.len();
    }
    assert!(count >= 3, "examples were found: {count}");
}
