//! `prove` finds what the lint rules about passing without evidence warn of, and proves the mended
//! versions; what it finds is replayed by `simulate`.

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
        .map(|object| object.json.clone())
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
