//! The same on a real API server, which adds its defaults and refuses what its schemas do not allow.
//!
//! Runs where `ROLLPROOF_KUBECONFIG` names a cluster to play in, through `kubectl`. Fixtures whose kinds
//! the cluster does not serve are skipped, and said so.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rollproof::engine::ObjectKey;
use rollproof::routers::Change;
use serde_json::Value;

use super::fixture::{Fixture, fixtures};
use super::{holdable, remember, split, without_hashes};

struct Cluster {
    kubeconfig: String,
    namespace: String,
}

impl Cluster {
    /// Output of kubectl with `input` on its standard input, or what it complains of.
    fn kubectl(&self, arguments: &[&str], input: Option<&Value>) -> Result<String, String> {
        let mut child = Command::new("kubectl")
            .args([
                "--kubeconfig",
                &self.kubeconfig,
                "--namespace",
                &self.namespace,
            ])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        if let Some(input) = input {
            let mut stdin = child.stdin.take().ok_or("no standard input")?;
            let written = stdin.write_all(input.to_string().as_bytes());
            written.map_err(|error| error.to_string())?;
        }
        drop(child.stdin.take());
        let output = child
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// An object as the server stores it.
    fn get(&self, key: &ObjectKey) -> Result<Value, String> {
        let kind = format!("{}.{}", key.kind, key.group);
        let text = self.kubectl(&["get", &kind, &key.name, "--output", "json"], None)?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    fn make(&self, change: &Change) -> Result<(), String> {
        match change {
            Change::Create { key: _, object } => self.kubectl(&["create", "-f", "-"], Some(object)),
            Change::Update { key: _, object } => {
                self.kubectl(&["replace", "-f", "-"], Some(object))
            }
            Change::Delete { key } => {
                let kind = format!("{}.{}", key.kind, key.group);
                self.kubectl(&["delete", &kind, &key.name], None)
            }
        }
        .map(drop)
    }
}

#[test]
fn written_splits_are_read_from_a_real_api_server() {
    let Some(kubeconfig) = std::env::var_os("ROLLPROOF_KUBECONFIG") else {
        println!("routers on a cluster: skipped, ROLLPROOF_KUBECONFIG is not set");
        return;
    };
    for fixture in fixtures() {
        let namespace = format!("routers-{}", fixture.name.replace('/', "-"));
        let cluster = Cluster {
            kubeconfig: kubeconfig.to_string_lossy().into_owned(),
            namespace: namespace.clone(),
        };
        // Left over from an earlier run.
        let _ = cluster.kubectl(&["delete", "namespace", &namespace, "--wait"], None);
        cluster
            .kubectl(&["create", "namespace", &namespace], None)
            .expect("a namespace");
        let outcome = play(&cluster, fixture.clone());
        let _ = cluster.kubectl(&["delete", "namespace", &namespace, "--wait=false"], None);
        match outcome {
            Ok(()) => println!("{}: on a real API server", fixture.name),
            Err(missing) => println!("{}: skipped, {missing}", fixture.name),
        }
    }
}

/// # Errors
/// A kind that the cluster does not serve.
fn play(cluster: &Cluster, mut fixture: Fixture) -> Result<(), String> {
    fixture
        .rollout
        .metadata
        .namespace
        .clone_from(&cluster.namespace);
    own(cluster, &mut fixture)?;
    let keys: Vec<ObjectKey> = fixture.objects.keys().cloned().collect();
    for key in &keys {
        let mut object = fixture.objects[key].as_ref().clone();
        object["metadata"]["namespace"] = cluster.namespace.as_str().into();
        // Older clusters serve the same shape as an earlier version.
        for version in ["", "v1beta1", "v1alpha4", "v1alpha3", "v1alpha2"] {
            if !version.is_empty() {
                object["apiVersion"] = format!("{}/{version}", key.group).into();
            }
            match cluster.kubectl(&["create", "-f", "-"], Some(&object)) {
                Ok(_) => break,
                Err(error) if error.contains("no matches for kind") => {}
                Err(error) if version.is_empty() => {
                    panic!("{}: {key:?}: {error}", fixture.name)
                }
                Err(_) => return Err(format!("{} has another shape there", key.kind)),
            }
        }
        let stored = cluster.get(key);
        let stored = stored.map_err(|_| format!("{} is not served", key.kind))?;
        fixture.objects.insert(key.clone(), Arc::new(stored));
    }
    let markers = fixture.markers();
    let facts = fixture.router().facts();
    for (canary, experiment, routes) in [
        (0, None, false),
        (30, Some(10), true),
        (60, None, true),
        (100, None, false),
        (0, None, false),
    ] {
        let wanted = split(&fixture, canary, experiment, routes);
        let writing = fixture
            .router()
            .write(&fixture.rollout, &fixture.objects, &wanted)
            .unwrap_or_else(|refusal| panic!("{}: {refusal}", fixture.name));
        for change in writing.changes {
            let (Change::Create { key, .. } | Change::Update { key, .. } | Change::Delete { key }) =
                &change;
            let change = latest(cluster, change.clone());
            match cluster.make(&change) {
                Ok(()) => {}
                Err(error) if error.contains("no matches for kind") => {
                    return Err(format!("{} is not served", key.kind));
                }
                Err(error) => panic!("{}: {key:?}: {error}", fixture.name),
            }
            match cluster.get(key) {
                Ok(stored) => drop(fixture.objects.insert(key.clone(), Arc::new(stored))),
                Err(_) => drop(fixture.objects.remove(key)),
            }
        }
        remember(&mut fixture, &wanted);
        let read = fixture.router().read(&fixture.rollout, &fixture.objects);
        assert_eq!(
            read.map(without_hashes),
            Ok(without_hashes(holdable(wanted.clone(), facts))),
            "{}",
            fixture.name
        );
        let again = fixture
            .router()
            .write(&fixture.rollout, &fixture.objects, &wanted);
        let again = again.expect("it was written before").changes;
        assert_eq!(again, [], "{}: written again", fixture.name);
        assert_eq!(fixture.markers(), markers, "{}", fixture.name);
    }
    Ok(())
}

/// Creates the Rollout: what a router makes is its own, and an owner that does not exist would have it
/// collected as garbage.
///
/// # Errors
/// The cluster does not serve Rollouts.
fn own(cluster: &Cluster, fixture: &mut Fixture) -> Result<(), String> {
    let mut documents = fixture.documents.iter();
    let rollout = documents.find(|document| document["kind"] == "Rollout");
    let mut rollout = rollout.expect("a Rollout").clone();
    rollout["metadata"]["namespace"] = cluster.namespace.as_str().into();
    let created = cluster.kubectl(&["create", "-f", "-", "--output", "json"], Some(&rollout));
    let created = created.map_err(|_| "Rollout is not served".to_owned())?;
    let created: Value = serde_json::from_str(&created).expect("JSON");
    let uid = created["metadata"]["uid"].as_str().expect("a uid");
    uid.clone_into(&mut fixture.rollout.metadata.uid);
    Ok(())
}

/// Several updates of one object in one pass were all made from the version that was observed.
fn latest(cluster: &Cluster, change: Change) -> Change {
    match change {
        Change::Update { key, mut object } => {
            let stored = cluster.get(&key).expect("it is there");
            object["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
            Change::Update { key, object }
        }
        Change::Create { .. } | Change::Delete { .. } => change,
    }
}
