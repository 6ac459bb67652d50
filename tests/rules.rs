//! Every rule finds something in its bad example and nothing in its good one, and its page is up
//! to date.

use std::path::Path;

use rollproof::lint::{Finding, Level, Rule, Settings, lint, rules};
use rollproof::source::{Severity, Sources};
use rollproof::spec::bundle::Bundle;

fn findings(rule: &Rule, text: &str) -> (Sources, Vec<Finding>) {
    let mut sources = Sources::new();
    let (bundle, problems) = Bundle::read(&mut sources, &[(rule.name, text.as_bytes())]);
    let report = lint(&sources, &bundle, problems, &settings_of(text));
    (sources, report.findings)
}

/// The defaults, but for those of a first line `# settings: {...}`.
fn settings_of(example: &str) -> Settings {
    let first = example.trim_start().lines().next().unwrap_or_default();
    match first.strip_prefix("# settings: ") {
        Some(settings) => serde_json::from_str(settings).expect("settings are JSON"),
        None => Settings::default(),
    }
}

#[test]
fn examples_are_judged_as_the_rules_say() {
    let mut wrong = Vec::new();
    for rule in rules::RULES {
        let (_, bad) = findings(rule, rule.bad);
        if !bad.iter().any(|finding| finding.rule == rule.name) {
            wrong.push(format!("{}: nothing found in the bad example", rule.name));
        }
        let (sources, good) = findings(rule, rule.good);
        for finding in good {
            if finding.rule == rule.name || finding.severity == Severity::Error {
                let place = finding.span.map(|span| sources.describe(span));
                wrong.push(format!(
                    "{}: the good example has {} at {place:?}: {}",
                    rule.name, finding.rule, finding.message
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_are_kebab_case_and_used_once() {
    let mut names: Vec<&str> = rules::RULES.iter().map(|rule| rule.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for name in names {
        let is_kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(name.chars().all(is_kebab), "{name}");
    }
}

#[test]
fn documented_defaults_are_the_defaults() {
    let defaults = serde_json::to_value(Settings::default()).expect("settings are JSON");
    for rule in rules::RULES {
        for setting in rule.settings {
            let default = match &defaults[setting.name] {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(default, setting.default, "{}: {}", rule.name, setting.name);
        }
    }
}

#[test]
fn a_rule_that_is_off_finds_nothing() {
    for rule in rules::RULES {
        let mut sources = Sources::new();
        let (bundle, problems) = Bundle::read(&mut sources, &[("bad", rule.bad.as_bytes())]);
        let mut settings = Settings::default();
        settings.levels.insert(rule.name.to_owned(), Level::Off);
        let report = lint(&sources, &bundle, problems, &settings);
        let found = report.findings.iter().any(|f| f.rule == rule.name);
        assert!(!found, "{}", rule.name);
    }
}

/// Set ROLLPROOF_UPDATE=1 to write the pages anew.
#[test]
fn pages_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules");
    let is_update = std::env::var_os("ROLLPROOF_UPDATE").is_some();
    if is_update {
        std::fs::create_dir_all(&folder).expect("folder");
    }
    let mut wanted = Vec::new();
    for rule in rules::RULES {
        let path = folder.join(format!("{}.md", rule.name));
        let page = rule.page();
        if is_update {
            std::fs::write(&path, &page).expect("page written");
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            published == page,
            "docs/rules/{}.md is out of date: run this test with ROLLPROOF_UPDATE=1",
            rule.name
        );
        wanted.push(path);
    }
    for entry in std::fs::read_dir(&folder).expect("folder") {
        let path = entry.expect("entry").path();
        assert!(wanted.contains(&path), "no rule has the page {path:?}");
    }
}
