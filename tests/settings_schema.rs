//! The published schema of `rollproof.toml` is that of the types and rules, and agrees with what is read.

use std::path::Path;

use rollproof::lint::{config, config_schema};
use rollproof::source::Sources;

/// Set ROLLPROOF_UPDATE=1 to write the file anew.
#[test]
fn the_published_schema_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/settings.json");
    let wanted = format!("{:#}\n", config_schema::json_schema());
    if std::env::var_os("ROLLPROOF_UPDATE").is_some() {
        std::fs::write(&path, &wanted).expect("schema written");
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == wanted,
        "schemas/settings.json is out of date: run this test with ROLLPROOF_UPDATE=1"
    );
}

#[test]
fn schema_and_reader_agree() {
    let validator = jsonschema::validator_for(&config_schema::json_schema()).expect("a schema");
    let cases = [
        ("", true),
        (
            "traffic_rps = 120\nscrape_interval = \"15s\"\ncomplete = true\n",
            true,
        ),
        ("target_version = \"1.8\"\nfail_on = \"warning\"\n", true),
        (
            "[rules]\nno-analysis = \"off\"\noversized-first-weight = { severity = \"error\", max_first_weight = 30 }\n",
            true,
        ),
        (
            "[[overrides]]\nfiles = [\"legacy/**\"]\nrules = { indefinite-pause = \"off\" }\n",
            true,
        ),
        ("traffic_rsp = 1\n", false),
        ("traffic_rps = \"many\"\n", false),
        ("fail_on = \"loud\"\n", false),
        ("today = \"2026-01-01\"\n", false),
        ("[rules]\nno-such-rule = \"off\"\n", false),
        ("[rules]\nno-analysis = { max_first_weight = 3 }\n", false),
        ("[[overrides]]\nfile = [\"x\"]\n", false),
        (
            "[[overrides]]\nrules = { no-analysis = { severity = \"off\" } }\n",
            false,
        ),
    ];
    for (text, is_right) in cases {
        let mut sources = Sources::new();
        let source = sources.add("rollproof.toml", text);
        let (_, problems) = config::read(&sources, source);
        assert_eq!(problems.is_empty(), is_right, "read: {text}\n{problems:?}");
        let value: toml::Value = toml::from_str(text).expect("TOML");
        let value = serde_json::to_value(value).expect("JSON");
        assert_eq!(validator.is_valid(&value), is_right, "schema: {text}");
    }
}
