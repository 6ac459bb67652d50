//! What is shown of a pod: its state in one word, as `kubectl get pods` has it.

use serde_json::Value;

use super::view::Mark;
use crate::time::Timestamp;

/// A pod, as far as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct PodView {
    /// Of the objects that own it.
    pub owner_uids: Vec<String>,
    pub name: String,
    pub created: Option<Timestamp>,
    /// Phase, or the reason for which it is in none.
    pub status: String,
    pub ready_containers: usize,
    pub containers: usize,
    pub restarts: i64,
}

impl PodView {
    /// Of a pod as the API has it; what is not there is shown as empty.
    pub fn of_object(pod: &Value) -> Self {
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str);
        let (state, ready_containers, restarts) = state(pod);
        let owners = list(pod, "/metadata/ownerReferences");
        let uids = owners.filter_map(|owner| owner.get("uid")?.as_str());
        Self {
            owner_uids: uids.map(str::to_owned).collect(),
            name: text("/metadata/name").unwrap_or_default().to_owned(),
            created: text("/metadata/creationTimestamp").and_then(|at| Timestamp::parse(at).ok()),
            status: state,
            ready_containers,
            containers: list(pod, "/spec/containers").count(),
            restarts,
        }
    }

    /// How good its status is.
    pub fn mark(&self) -> Mark {
        let status = self.status.as_str();
        let starts = |prefixes: [&str; 2]| prefixes.iter().any(|prefix| status.starts_with(prefix));
        if status.starts_with("Init:") {
            return Mark::Progressing;
        }
        if starts(["Signal:", "ExitCode:"]) {
            return Mark::Bad;
        }
        if status.ends_with("Error") || status.starts_with("Err") {
            return Mark::Warning;
        }
        match status {
            "Pending" | "Terminating" | "ContainerCreating" => Mark::Progressing,
            "Running" | "Completed" => Mark::Ok,
            "Failed" | "InvalidImageName" | "CrashLoopBackOff" => Mark::Bad,
            "ImagePullBackOff" | "RegistryUnavailable" => Mark::Warning,
            "Unknown" => Mark::Unknown,
            _ => Mark::None,
        }
    }
}

fn list<'a>(object: &'a Value, pointer: &str) -> impl DoubleEndedIterator<Item = &'a Value> {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// State in a word, ready containers, restarts.
fn state(pod: &Value) -> (String, usize, i64) {
    let text = |pointer: &str| {
        let text = pod.pointer(pointer).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let own_reason = text("/status/reason");
    let mut reason = own_reason
        .clone()
        .or_else(|| text("/status/phase"))
        .unwrap_or_default();
    let mut ready = 0;
    let (initializing, mut restarts) = initialization(pod);
    if let Some(initializing) = initializing {
        reason = initializing;
    } else {
        restarts = 0;
        let mut one_runs = false;
        for container in list(pod, "/status/containerStatuses").rev() {
            restarts += restart_count(container);
            if let Some(waiting) = reason_of(container, "/state/waiting") {
                reason = waiting;
            } else if let Some(end) = container.pointer("/state/terminated") {
                reason = ended(end);
            } else if is_true(container, "/ready") && container.pointer("/state/running").is_some()
            {
                one_runs = true;
                ready += 1;
            }
        }
        if reason == "Completed" && one_runs {
            reason = "Running".to_owned();
        }
    }
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        let is_lost = own_reason.as_deref() == Some("NodeLost");
        reason = if is_lost { "Unknown" } else { "Terminating" }.to_owned();
    }
    (reason, ready, restarts)
}

/// What init containers are at, none where they are done; and how often they restarted.
fn initialization(pod: &Value) -> (Option<String>, i64) {
    let count = list(pod, "/spec/initContainers").count();
    let mut restarts = 0;
    for (index, container) in list(pod, "/status/initContainerStatuses").enumerate() {
        restarts += restart_count(container);
        let end = container.pointer("/state/terminated");
        let exit_code = end.and_then(|end| end.get("exitCode")?.as_i64());
        if end.is_some() && exit_code.unwrap_or(0) == 0 {
            continue;
        }
        if let Some(end) = end {
            return (Some(format!("Init:{}", ended(end))), restarts);
        }
        if is_sidecar(pod, container) && is_true(container, "/started") {
            if is_true(container, "/ready") {
                continue;
            }
        } else if let Some(waiting) = reason_of(container, "/state/waiting")
            && waiting != "PodInitializing"
        {
            return (Some(format!("Init:{waiting}")), restarts);
        } else {
            return (Some(format!("Init:{index}/{count}")), restarts);
        }
        break;
    }
    (None, restarts)
}

fn is_sidecar(pod: &Value, status: &Value) -> bool {
    list(pod, "/spec/initContainers")
        .filter(|container| container.get("name") == status.get("name"))
        .any(|container| container.get("restartPolicy").and_then(Value::as_str) == Some("Always"))
}

fn restart_count(container: &Value) -> i64 {
    container
        .get("restartCount")
        .and_then(Value::as_i64)
        .unwrap_or(0)
}

fn is_true(container: &Value, pointer: &str) -> bool {
    container.pointer(pointer).and_then(Value::as_bool) == Some(true)
}

fn reason_of(container: &Value, pointer: &str) -> Option<String> {
    let reason = container.pointer(pointer)?.get("reason")?.as_str()?;
    (!reason.is_empty()).then(|| reason.to_owned())
}

/// Of `state.terminated`.
fn ended(end: &Value) -> String {
    let number = |key: &str| end.get(key).and_then(Value::as_i64).unwrap_or(0);
    match end.get("reason").and_then(Value::as_str) {
        Some(reason) if !reason.is_empty() => reason.to_owned(),
        Some(_) | None if number("signal") != 0 => format!("Signal:{}", number("signal")),
        Some(_) | None => format!("ExitCode:{}", number("exitCode")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(status: Value) -> (String, usize, Mark) {
        let pod = PodView::of_object(&json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]},
            "status": status
        }));
        (pod.status.clone(), pod.ready_containers, pod.mark())
    }

    #[test]
    fn states_in_a_word() {
        let running = json!({"ready": true, "state": {"running": {}}});
        assert_eq!(
            shown(json!({"phase": "Running", "containerStatuses": [running, running]})),
            ("Running".to_owned(), 2, Mark::Ok)
        );
        assert_eq!(
            shown(json!({"phase": "Running", "containerStatuses": [
                running, {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
            ]})),
            ("ImagePullBackOff".to_owned(), 1, Mark::Warning)
        );
        assert_eq!(
            shown(
                json!({"phase": "Pending", "initContainerStatuses": [{"state": {"running": {}}}]})
            ),
            ("Init:0/1".to_owned(), 0, Mark::Progressing)
        );
        assert_eq!(
            shown(json!({"phase": "Failed", "containerStatuses": [
                {"state": {"terminated": {"exitCode": 3}}}
            ]})),
            ("ExitCode:3".to_owned(), 0, Mark::Bad)
        );
    }
}
