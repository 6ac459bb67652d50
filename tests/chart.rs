//! The Helm chart against what `rollproof manifests` prints.
//!
//! What of the chart is made from the program is compared always (`ROLLPROOF_UPDATE=1` writes it);
//! what helm makes of it where `helm` is in the PATH, or named by `HELM`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use rollproof::live::manifests::{Installation, Part};
use rollproof::source::Sources;
use rollproof::spec::yaml;
use serde_json::{Value, json};

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/rollproof")
}

fn installation(namespaced: bool, instance_id: Option<&str>) -> Installation {
    Installation {
        namespace: "ops".into(),
        namespaced,
        image: format!("rollproof:{}", env!("CARGO_PKG_VERSION")),
        instance_id: instance_id.map(str::to_owned),
        replicas: 2,
    }
}

fn rules_of(objects: &[Value], kind: &str, name: &str) -> Vec<Value> {
    let role = objects
        .iter()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        .expect("a role");
    role["rules"].as_array().expect("rules").clone()
}

/// JSON is YAML; one line an item keeps changes readable.
fn lines(items: &[Value]) -> String {
    items.iter().map(|item| format!("- {item}\n")).collect()
}

#[test]
fn what_is_generated_is_up_to_date() {
    let everywhere = installation(false, None).objects(Part::Rbac);
    let watched = rules_of(
        &installation(true, None).objects(Part::Rbac),
        "Role",
        "rollproof",
    );
    let all = rules_of(&everywhere, "ClusterRole", "rollproof");
    let cluster: Vec<Value> = all
        .iter()
        .filter(|rule| !watched.contains(rule))
        .cloned()
        .collect();
    let own = rules_of(&everywhere, "Role", "rollproof-own");
    let aggregated: String = everywhere
        .iter()
        .filter(|object| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            name.starts_with("rollproof-aggregate-")
        })
        .map(|object| format!("---\n{object}\n"))
        .collect();
    let mut files = vec![
        ("files/watched.yaml".to_owned(), lines(&watched)),
        ("files/cluster.yaml".to_owned(), lines(&cluster)),
        ("files/own.yaml".to_owned(), lines(&own)),
        ("files/aggregated.yaml".to_owned(), aggregated),
    ];
    for definition in installation(false, None).objects(Part::Crds) {
        let plural = definition["spec"]["names"]["plural"]
            .as_str()
            .expect("a plural");
        files.push((format!("crds/{plural}.yaml"), format!("{definition}\n")));
    }
    for (name, expected) in files {
        let path = chart().join(&name);
        if std::env::var_os("ROLLPROOF_UPDATE").is_some() {
            std::fs::write(&path, expected).expect("written");
        } else {
            let is_same = std::fs::read_to_string(&path).is_ok_and(|text| text == expected);
            assert!(
                is_same,
                "{name} is out of date: run this test with ROLLPROOF_UPDATE=1"
            );
        }
    }
}

#[test]
fn helm_makes_of_the_chart_what_manifests_prints() {
    let helm = std::env::var_os("HELM").unwrap_or_else(|| "helm".into());
    if Command::new(&helm).arg("version").output().is_err() {
        println!("chart: skipped, there is no helm");
        return;
    }
    let run = |arguments: &[&str]| {
        let output = Command::new(&helm)
            .args(arguments)
            .output()
            .expect("helm runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}{errors}");
        text
    };
    let folder = chart().display().to_string();
    let report = run(&["lint", "--strict", &folder]);
    assert!(report.contains("0 chart(s) failed"), "{report}");
    for (namespaced, instance_id) in [(false, None), (true, Some("blue")), (false, Some("7"))] {
        let mut arguments = vec![
            "template".to_owned(),
            "rollproof".to_owned(),
            folder.clone(),
            "--namespace=ops".to_owned(),
            "--include-crds".to_owned(),
            // What a helm that was built without a version says of clusters is long gone.
            "--kube-version=1.31.0".to_owned(),
            "--set=replicas=2,image.pullPolicy=".to_owned(),
            format!("--set=namespaced={namespaced}"),
        ];
        arguments.extend(instance_id.map(|id| format!("--set-string=instanceId={id}")));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let rendered = objects_of(&run(&arguments));
        let wanted = installation(namespaced, instance_id);
        let wanted = [Part::Crds, Part::Rbac, Part::Controller]
            .into_iter()
            .flat_map(|part| wanted.objects(part))
            .map(|object| (key(&object), object))
            .collect::<BTreeMap<_, _>>();
        assert_eq!(
            rendered.keys().collect::<Vec<_>>(),
            wanted.keys().collect::<Vec<_>>()
        );
        for (name, object) in &wanted {
            assert_eq!(&rendered[name], object, "{name}");
        }
    }
    println!("chart: passed 3 of 3");
}

fn objects_of(text: &str) -> BTreeMap<String, Value> {
    let stream = yaml::read_bytes(&mut Sources::new(), "rendered", text.as_bytes()).1;
    assert!(stream.problems.is_empty(), "{:?}", stream.problems);
    stream
        .documents
        .iter()
        .map(|document| document.root.to_json())
        .filter(|object| *object != json!(null))
        .map(|object| (key(&object), object))
        .collect()
}

fn key(object: &Value) -> String {
    format!("{} {}", object["kind"], object["metadata"]["name"])
}
