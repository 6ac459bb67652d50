//! The user's commands on a real API server: what each writes, prints and exits with.
//!
//! Runs where `ROLLPROOF_KUBECONFIG` names a cluster to play in, with `kubectl` to set things up.
//! Where `ROLLPROOF_REFERENCE_PLUGIN` names the kubectl plugin of Argo Rollouts, it does the same to
//! a copy, and both copies have to end alike.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

struct Cluster {
    kubeconfig: String,
    namespace: String,
}

impl Cluster {
    /// None, which is said, where there is no cluster to play in.
    fn find(test: &str) -> Option<Self> {
        let Ok(kubeconfig) = std::env::var("ROLLPROOF_KUBECONFIG") else {
            println!("{test}: skipped, ROLLPROOF_KUBECONFIG is not set");
            return None;
        };
        let namespace = format!("verbs-{test}-{}", std::process::id());
        let cluster = Self {
            kubeconfig,
            namespace,
        };
        let crds = Command::new(env!("CARGO_BIN_EXE_rollproof"))
            .args(["manifests", "--only", "crds"])
            .output()
            .expect("manifests");
        cluster.kubectl(
            &["apply", "--server-side", "--force-conflicts", "-f", "-"],
            &crds.stdout,
        );
        cluster.kubectl(
            &[
                "wait",
                "--for=condition=Established",
                "crd/rollouts.argoproj.io",
            ],
            b"",
        );
        cluster.kubectl(&["create", "namespace", &cluster.namespace], b"");
        Some(cluster)
    }

    fn kubectl(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut child = Command::new("kubectl")
            .args(["--kubeconfig", &self.kubeconfig, "-n", &self.namespace])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl");
        child
            .stdin
            .take()
            .expect("stdin")
            .write_all(input)
            .expect("written");
        let output = child.wait_with_output().expect("kubectl ends");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kubectl {arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn apply(&self, object: &Value) {
        self.kubectl(&["apply", "-f", "-"], object.to_string().as_bytes());
    }

    fn get(&self, kind: &str, name: &str) -> Value {
        let text = self.kubectl(&["get", kind, name, "-o", "json"], b"");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Flags before the command, as the plugin is mostly called.
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        Command::new(program)
            .args(["--kubeconfig", &self.kubeconfig, "-n", &self.namespace])
            .args(arguments)
            .output()
            .expect("it runs")
    }

    fn rollproof(&self, arguments: &[&str]) -> (String, String, Option<i32>) {
        let output = self.run(env!("CARGO_BIN_EXE_rollproof"), arguments);
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
            output.status.code(),
        )
    }

    /// A Rollout with this status, and two ReplicaSets of its revisions.
    fn rollout(&self, name: &str, spec: &Value, status: &Value) {
        let template = json!({
            "metadata": {"labels": {"app": name}},
            "spec": {
                "containers": [{"name": "app", "image": "app:v2"}, {"name": "side", "image": "side:v2"}],
                "initContainers": [{"name": "init", "image": "init:v2"}],
            },
        });
        let mut rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": name},
            "spec": {
                "replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template,
                "strategy": {"canary": {
                    "steps": [{"setWeight": 10}, {"pause": {}}, {"setWeight": 50}]
                }},
            },
        });
        for (key, value) in spec.as_object().expect("an object") {
            rollout["spec"][key] = value.clone();
        }
        self.apply(&rollout);
        let patch = json!({ "status": status }).to_string();
        let resource = format!("rollout/{name}");
        self.kubectl(
            &[
                "patch",
                &resource,
                "--subresource=status",
                "--type=merge",
                "-p",
                &patch,
            ],
            b"",
        );
        let uid = self.get("rollout", name)["metadata"]["uid"].clone();
        for (revision, image) in [(1, "app:v1"), (2, "app:v2")] {
            let mut template = template.clone();
            template["spec"]["containers"][0]["image"] = image.into();
            template["metadata"]["labels"]["rollouts-pod-template-hash"] =
                format!("h{revision}").into();
            self.apply(&json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {
                    "name": format!("{name}-h{revision}"),
                    "labels": {"app": name, "rollouts-pod-template-hash": format!("h{revision}")},
                    "annotations": {"rollout.argoproj.io/revision": revision.to_string()},
                    "ownerReferences": [{
                        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": name,
                        "uid": uid, "controller": true,
                    }],
                },
                "spec": {
                    "replicas": 0, "template": template,
                    "selector": {"matchLabels": {
                        "app": name, "rollouts-pod-template-hash": format!("h{revision}")
                    }},
                },
            }));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = Command::new("kubectl")
            .args([
                "--kubeconfig",
                &self.kubeconfig,
                "delete",
                "namespace",
                "--wait=false",
            ])
            .arg(&self.namespace)
            .output();
    }
}

/// A command, the Rollout it is about, and what comes of it.
struct Case {
    title: &'static str,
    spec: Value,
    status: Value,
    /// `NAME` stands for the Rollout.
    arguments: &'static [&'static str],
    output: &'static str,
    code: i32,
    /// What is then found at these places.
    found: Value,
}

fn cases() -> Vec<Case> {
    let paused = json!({
        "currentStepIndex": 1, "controllerPause": true, "currentPodHash": "h2", "stableRS": "h1",
        "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2026-01-01T00:00:00Z"}]
    });
    let moving = json!({"currentStepIndex": 0, "currentPodHash": "h2", "stableRS": "h1"});
    let blue_green = json!({"strategy": {"canary": null, "blueGreen": {"activeService": "a"}}});
    let case = |title, arguments, output, found: Value| Case {
        title,
        spec: json!({}),
        status: paused.clone(),
        arguments,
        output,
        code: 0,
        found,
    };
    vec![
        case(
            "promote a paused one",
            &["promote", "NAME"],
            "rollout 'NAME' promoted\n",
            json!({"/status/pauseConditions": null, "/status/currentStepIndex": 1}),
        ),
        Case {
            status: moving.clone(),
            ..case(
                "promote one at a step",
                &["promote", "NAME"],
                "rollout 'NAME' promoted\n",
                json!({"/status/currentStepIndex": 1}),
            )
        },
        Case {
            spec: json!({"paused": true}),
            ..case(
                "promote one that a user paused",
                &["promote", "NAME"],
                "rollout 'NAME' promoted\n",
                json!({"/spec/paused": false, "/status/pauseConditions": null}),
            )
        },
        case(
            "promote to the end",
            &["promote", "NAME", "--full"],
            "rollout 'NAME' fully promoted\n",
            json!({"/status/promoteFull": true, "/status/currentStepIndex": 1}),
        ),
        case(
            "skip a step",
            &["promote", "-c", "NAME"],
            "rollout 'NAME' promoted\n",
            json!({"/status/currentStepIndex": 2}),
        ),
        case(
            "skip all steps",
            &["promote", "NAME", "--skip-all-steps"],
            "rollout 'NAME' promoted\n",
            json!({"/status/currentStepIndex": 3}),
        ),
        Case {
            spec: blue_green,
            code: 1,
            ..case(
                "skip steps of a blue-green",
                &["promote", "NAME", "-c"],
                "",
                json!({"/status/currentStepIndex": 1}),
            )
        },
        case(
            "abort",
            &["abort", "NAME"],
            "rollout 'NAME' aborted\n",
            json!({"/status/abort": true}),
        ),
        Case {
            status: json!({"abort": true}),
            ..case(
                "retry",
                &["retry", "rollout", "NAME"],
                "rollout 'NAME' retried\n",
                json!({"/status/abort": false}),
            )
        },
        case(
            "pause",
            &["pause", "NAME"],
            "rollout 'NAME' paused\n",
            json!({"/spec/paused": true}),
        ),
        case(
            "set one image",
            &["set", "image", "NAME", "side=side:v3"],
            "rollout \"NAME\" image updated\n",
            json!({"/spec/template/spec/containers/1/image": "side:v3",
                   "/spec/template/spec/containers/0/image": "app:v2"}),
        ),
        case(
            "set all images",
            &["set", "image", "NAME", "*=all:v3"],
            "rollout \"NAME\" image updated\n",
            json!({"/spec/template/spec/containers/0/image": "all:v3",
                   "/spec/template/spec/initContainers/0/image": "all:v3"}),
        ),
        Case {
            code: 1,
            ..case(
                "set the image of none",
                &["set", "image", "NAME", "x=y"],
                "",
                json!({"/spec/template/spec/containers/0/image": "app:v2"}),
            )
        },
        case(
            "undo",
            &["undo", "NAME"],
            "rollout 'NAME' undo\n",
            json!({"/spec/template/spec/containers/0/image": "app:v1",
                   "/spec/template/metadata/labels/rollouts-pod-template-hash": null}),
        ),
        case(
            "undo to a revision",
            &["undo", "NAME", "--to-revision", "1"],
            "rollout 'NAME' undo\n",
            json!({"/spec/template/spec/containers/0/image": "app:v1"}),
        ),
        Case {
            code: 1,
            ..case(
                "undo to no revision",
                &["undo", "NAME", "--to-revision=9"],
                "",
                json!({"/spec/template/spec/containers/0/image": "app:v2"}),
            )
        },
    ]
}

/// Fields that differ from copy to copy.
fn comparable(mut object: Value, name: &str) -> Value {
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    for key in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
        "annotations",
        "namespace",
    ] {
        metadata.remove(key);
    }
    let text = object.to_string().replace(name, "NAME");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn each_command_writes_what_the_plugin_writes() {
    let Some(cluster) = Cluster::find("writes") else {
        return;
    };
    let reference = std::env::var("ROLLPROOF_REFERENCE_PLUGIN").ok();
    let mut compared = 0;
    let cases = cases();
    for (index, case) in cases.iter().enumerate() {
        let name = format!("ours-{index}");
        cluster.rollout(&name, &case.spec, &case.status);
        let fill = |name: &str| -> Vec<String> {
            let arguments = case.arguments.iter();
            arguments
                .map(|argument| argument.replace("NAME", name))
                .collect()
        };
        let arguments = fill(&name);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (output, errors, code) = cluster.rollproof(&arguments);
        assert_eq!(code, Some(case.code), "{}: {errors}", case.title);
        assert_eq!(output, case.output.replace("NAME", &name), "{}", case.title);
        assert_eq!(
            errors.is_empty(),
            case.code == 0,
            "{}: {errors}",
            case.title
        );
        let object = cluster.get("rollout", &name);
        for (place, expected) in case.found.as_object().expect("places") {
            let found = object.pointer(place).unwrap_or(&Value::Null);
            assert_eq!(found, expected, "{}: {place}", case.title);
        }
        if let Some(plugin) = &reference {
            let copy = format!("refs-{index}");
            cluster.rollout(&copy, &case.spec, &case.status);
            let arguments = fill(&copy);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = cluster.run(plugin, &arguments);
            assert_eq!(
                output.status.code(),
                Some(case.code),
                "{}: reference",
                case.title
            );
            assert_eq!(
                comparable(object, &name),
                comparable(cluster.get("rollout", &copy), &copy),
                "{}",
                case.title
            );
            compared += 1;
        }
    }
    println!(
        "live_verbs: passed {0} of {0}, {compared} compared with the reference",
        cases.len()
    );
}

#[test]
fn other_kinds_and_other_commands() {
    let Some(cluster) = Cluster::find("others") else {
        return;
    };
    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let metric = json!({"name": "m", "provider": {"web": {"url": "http://x/{{args.a}}"}}});
    cluster.apply(&object(
        "AnalysisRun",
        "run",
        json!({"metrics": [metric], "args": [{"name": "a", "value": "1"}]}),
    ));
    let template = object(
        "AnalysisTemplate",
        "template",
        json!({"metrics": [metric], "args": [{"name": "a"}]}),
    );
    cluster.apply(&template);
    cluster.apply(&object(
        "Experiment",
        "experiment",
        json!({"templates": []}),
    ));
    cluster.rollout(
        "demo",
        &json!({}),
        &json!({"phase": "Paused", "message": "CanaryPauseStep"}),
    );

    let said = |arguments: &[&str]| {
        let (output, errors, code) = cluster.rollproof(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {errors}");
        output
    };
    assert_eq!(
        said(&["terminate", "analysisrun", "run"]),
        "analysisRun 'run' terminated\n"
    );
    assert_eq!(cluster.get("analysisrun", "run")["spec"]["terminate"], true);
    assert_eq!(
        said(&["terminate", "exp", "experiment"]),
        "experiment 'experiment' terminated\n"
    );
    assert_eq!(
        cluster.get("experiment", "experiment")["spec"]["terminate"],
        true
    );
    assert_eq!(
        said(&["retry", "experiment", "experiment"]),
        "experiment 'experiment' retried\n"
    );
    assert_eq!(
        said(&["scale", "demo", "--replicas=3"]),
        "rollout 'demo' scaled to 3\n"
    );
    assert_eq!(cluster.get("rollout", "demo")["spec"]["replicas"], 3);
    assert_eq!(
        said(&["restart", "demo", "--in", "1h"]),
        "rollout 'demo' restarts in 1h0m0s\n"
    );
    assert!(cluster.get("rollout", "demo")["spec"]["restartAt"].is_string());
    let created = said(&[
        "create",
        "analysisrun",
        "--from",
        "template",
        "-a",
        "a=7",
        "--name",
        "mine",
    ]);
    assert_eq!(created, "analysisrun.argoproj.io/mine created\n");
    assert_eq!(
        cluster.get("analysisrun", "mine")["spec"]["args"][0]["value"],
        "7"
    );
    let (_, errors, code) = cluster.rollproof(&["create", "analysisrun", "--from", "template"]);
    assert_eq!(
        (errors.as_str(), code),
        ("error: args.a was not resolved\n", Some(1))
    );

    assert_eq!(
        said(&["status", "demo", "--watch=false"]),
        "Paused - CanaryPauseStep\n"
    );
    let (_, _, code) = cluster.rollproof(&["status", "demo", "--timeout", "1s"]);
    assert_eq!(code, Some(1));
    let list = said(&["list", "rollouts"]);
    assert!(list.starts_with("NAME        STRATEGY   STATUS"), "{list}");
    assert!(list.contains("demo        Canary     Paused"), "{list}");
    let tree = said(&["get", "rollout", "demo"]);
    assert!(tree.contains("└──⧉ demo-h1"), "{tree}");
    let view: Value =
        serde_json::from_str(&said(&["get", "rollout", "demo", "-o", "json"])).expect("JSON");
    assert_eq!(view["revisions"][0]["revision"], 2);

    let (_, errors, code) = cluster.rollproof(&["promote", "nobody"]);
    assert_eq!(code, Some(1));
    assert!(
        errors.starts_with("error: rollouts.argoproj.io \"nobody\" not found; "),
        "{errors}"
    );
    let (_, errors, code) = cluster.rollproof(&["promote", "demo", "--context", "nowhere"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("no context \"nowhere\""), "{errors}");
    println!("live_verbs others: passed 1 of 1");
}
