//! `prove` finds what the lint rules about passing without evidence warn of, and proves the mended
//! versions; what it finds is replayed by `simulate`.

use std::path::Path;
use std::process::{Command, Output};

use rollproof::lint::rules;
use rollproof::promql::Store;
use rollproof::sim::play::{self, Verdict};
use rollproof::sim::scenario::{self, Scenario};
use rollproof::source::Sources;
use rollproof::spec::bundle::Bundle;
use rollproof::whatif::prove::{Answer, Bounds, Property, Verdict as Proof, prove};
use serde_json::{Value, json};

/// Rules whose bad examples let a release pass of which nothing is known.
const WITHOUT_EVIDENCE: &[&str] = &[
    "auto-promotion-unchecked",
    "empty-result-passes",
    "errors-never-fail",
    "metric-cannot-fail",
    "nan-passes",
    "no-analysis",
    "zero-measurements-pass",
];

/// The objects of an example; a template alone gets a canary that is judged by it.
fn objects(text: &str) -> Vec<Value> {
    let mut sources = Sources::new();
    let (bundle, _) = Bundle::read(&mut sources, &[("example", text.as_bytes())]);
    let mut objects: Vec<Value> = bundle
        .objects()
        .iter()
        .map(|object| object.json().clone())
        .collect();
    if objects.iter().all(|object| object["kind"] != "Rollout") {
        let template = objects[0]["metadata"]["name"].clone();
        objects.push(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {
                    "metadata": {"labels": {"app": "shop"}},
                    "spec": {"containers": [{"name": "shop", "image": "shop:1.0.0"}]},
                },
                "strategy": {"canary": {
                    "analysis": {"templates": [{"templateName": template}]},
                    "steps": [{"setWeight": 30}, {"pause": {"duration": "10m"}}],
                }},
            },
        }));
    }
    objects
}

fn asked(objects: &[Value], property: Property, bounds: &Bounds) -> Answer {
    let scenario = Scenario::default();
    let failing = match property {
        Property::PromotedWhileFailing(share) => Some(share),
        _ => None,
    };
    let answers = prove(objects, &scenario, &Store::new(), failing, bounds).expect("it plays");
    let mut answers = answers.into_iter();
    answers
        .find(|answer| answer.property == property)
        .expect("the question was asked")
}

/// For questions about measurements alone.
fn without_people() -> Bounds {
    Bounds {
        states: 5000,
        ..Bounds::default()
    }
}

/// What is found is played to the same end from its file.
fn replayed(objects: &[Value], answer: &Answer) -> play::Play {
    let Proof::Counterexample(example) = &answer.verdict else {
        panic!("nothing was found: {:?}", answer.verdict);
    };
    let file = scenario::write(&example.scenario);
    let mut sources = Sources::new();
    let (read, problems) = scenario::read_bytes(&mut sources, "found.yaml", file.as_bytes());
    assert!(problems.is_empty(), "{problems:?}\n{file}");
    let scenario = &read[0].scenario;
    let again = play::play(objects, scenario).expect("it plays");
    assert_eq!(again, example.play, "{file}");
    again
}

#[test]
fn dangers_of_passing_without_evidence_are_found_and_mended_ones_proven() {
    let mut wrong = Vec::new();
    for name in WITHOUT_EVIDENCE {
        let rule = rules::find(name).expect("the rule");
        let bad = objects(rule.bad);
        let answer = asked(&bad, Property::PromotedWithoutEvidence, &without_people());
        match &answer.verdict {
            Proof::Counterexample(_) => {
                let play = replayed(&bad, &answer);
                if play.outcome.verdict != Verdict::Promoted {
                    wrong.push(format!("{name}: replayed to {:?}", play.outcome));
                }
            }
            other => wrong.push(format!(
                "{name}: nothing found in the bad example: {other:?}"
            )),
        }
        let good = objects(rule.good);
        let answer = asked(&good, Property::PromotedWithoutEvidence, &without_people());
        match &answer.verdict {
            Proof::Proven => println!("{name}: proven in {} states", answer.states),
            Proof::Undecided(why) => wrong.push(format!("{name}: the good example: {why}")),
            Proof::Counterexample(example) => wrong.push(format!(
                "{name}: the good example: {}\n{}",
                example.about,
                scenario::write(&example.scenario)
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The deadlock that the reference had before 1.10. The engine follows the present reference.
#[test]
fn aborts_with_a_dynamic_stable_scale_return_all_traffic() {
    let rule = rules::find("abort-scale-down-deadlock").expect("the rule");
    let bounds = Bounds {
        surprises: 1,
        ..Bounds::default()
    };
    for example in [rule.bad, rule.good] {
        let objects = objects(example);
        let answer = asked(&objects, Property::AbortKeepsTraffic, &bounds);
        assert_eq!(answer.verdict, Proof::Proven, "{} states", answer.states);
        let answer = asked(&objects, Property::StuckForEver, &bounds);
        assert_eq!(answer.verdict, Proof::Proven, "{} states", answer.states);
    }
}

#[test]
fn failing_requests_are_seen_where_something_measures_them() {
    for name in ["no-analysis", "auto-promotion-unchecked"] {
        let rule = rules::find(name).expect("the rule");
        let property = Property::PromotedWhileFailing(0.5);
        let bad = objects(rule.bad);
        let answer = asked(&bad, property, &Bounds::default());
        replayed(&bad, &answer);
        let good = objects(rule.good);
        let answer = asked(&good, property, &Bounds::default());
        assert_eq!(answer.verdict, Proof::Proven, "{name}: {}", answer.states);
    }
}

#[test]
fn the_same_question_has_the_same_answer() {
    let objects = objects(rules::find("nan-passes").expect("the rule").bad);
    let bounds = Bounds {
        states: 2000,
        ..Bounds::default()
    };
    let ask = || asked(&objects, Property::PromotedWithoutEvidence, &bounds);
    assert_eq!(ask(), ask());
}

/// A folder with the manifests of the page: YAML blocks that begin with the name of a file.
fn workplace(page: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prove-page");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    for block in page.split("```yaml\n").skip(1) {
        let text = block.split("```").next().unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        let name = first.strip_prefix("# ").expect("the name of the file");
        std::fs::write(folder.join(name), text).expect("a file");
    }
    folder
}

fn rollproof(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the command starts")
}

/// What the commands of a block print, after each its exit code.
fn printed(folder: &Path, block: &str) -> String {
    let mut out = String::new();
    for command in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
        let output = rollproof(folder, &arguments);
        let text = String::from_utf8_lossy(&output.stdout);
        let code = output.status.code().expect("an exit code");
        out.push_str(&format!(
            "$ {command}\n{}\n(exit code {code})\n",
            text.trim_end()
        ));
    }
    out
}

/// Every example of the page prints what it shows. ROLLPROOF_UPDATE=1 writes it anew.
#[test]
fn the_examples_of_the_page_print_what_it_shows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/prove.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let folder = workplace(&page);
    let update = std::env::var_os("ROLLPROOF_UPDATE").is_some();
    let mut written = String::new();
    let mut rest = page.as_str();
    while let Some((before, after)) = rest.split_once("```console\n") {
        let (block, after) = after.split_once("```\n").expect("the end of a block");
        let printed = printed(&folder, block);
        if !update {
            assert_eq!(block, printed);
        }
        written.push_str(&format!("{before}```console\n{printed}```\n"));
        rest = after;
    }
    written.push_str(rest);
    if update {
        std::fs::write(&path, written).expect("the page written");
    }
}

#[test]
fn exit_codes_and_json() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/prove.md"));
    let folder = workplace(&page.expect("the page"));
    let code = |arguments: &[&str]| rollproof(&folder, arguments).status.code();
    assert_eq!(code(&["prove", "good.yaml"]), Some(0));
    assert_eq!(code(&["prove", "bad.yaml"]), Some(1));
    assert_eq!(code(&["prove", "absent.yaml"]), Some(2));
    assert_eq!(code(&["prove", "good.yaml", "--failing", "200%"]), Some(2));
    assert_eq!(
        code(&["prove", "good.yaml", "--rollout", "absent"]),
        Some(2)
    );
    let output = rollproof(&folder, &["prove", "bad.yaml", "--format", "json"]);
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let answers = json["answers"].as_array().expect("answers");
    assert_eq!(answers.len(), 3);
    assert!(json["bounds"]["surprises"].is_u64());
    assert!(answers[0]["verdict"]["counterexample"]["scenario"].is_object());
}
