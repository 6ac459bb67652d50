//! How pods and the commands of Jobs behave.

use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::engine::ReplicaSet;
use crate::time::{Duration, Timestamp};

/// Decides how each new pod will live. Implementations may keep state; their randomness comes from
/// the request alone, so that the same pod of the same ReplicaSet lives alike in every variant.
pub trait PodModel {
    fn start(&mut self, pod: &mut PodStart<'_>) -> PodLife;

    /// How the command of a Job's pod ends.
    fn run_job(&mut self, spec: &Value, random: &mut ChaCha8Rng) -> JobRun;
}

impl<P: PodModel + ?Sized> PodModel for Box<P> {
    fn start(&mut self, pod: &mut PodStart<'_>) -> PodLife {
        self.as_mut().start(pod)
    }

    fn run_job(&mut self, spec: &Value, random: &mut ChaCha8Rng) -> JobRun {
        self.as_mut().run_job(spec, random)
    }
}

/// A pod that was just created.
pub struct PodStart<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub replica_set: &'a ReplicaSet,
    /// How many pods its ReplicaSet had created before it.
    pub ordinal: u64,
    pub now: Timestamp,
    /// The delay of the settings.
    pub default_ready_after: Duration,
    /// Seeded by simulation, ReplicaSet and ordinal.
    pub random: &'a mut ChaCha8Rng,
}

impl PodStart<'_> {
    /// Image of the first container.
    pub fn image(&self) -> &str {
        self.replica_set.template.first_image().unwrap_or_default()
    }
}

/// What will become of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodLife {
    /// From creation to readiness; none: never ready.
    pub ready_after: Option<Duration>,
    /// Why it is not ready meanwhile, as a container's waiting reason.
    pub waiting_reason: String,
    /// From readiness to a crash; none: it does not crash.
    pub crash_after: Option<Duration>,
    /// From a crash to readiness again; none: it stays down.
    pub restart_after: Option<Duration>,
}

impl PodLife {
    pub fn ready_after(delay: Duration) -> Self {
        Self {
            ready_after: Some(delay),
            waiting_reason: String::new(),
            crash_after: None,
            restart_after: None,
        }
    }

    pub fn never_ready(waiting_reason: &str) -> Self {
        Self {
            ready_after: None,
            waiting_reason: waiting_reason.to_owned(),
            crash_after: None,
            restart_after: None,
        }
    }
}

/// How a Job's command ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRun {
    /// Why its container never starts, as a waiting reason (`ImagePullBackOff`, ...); "": it starts.
    pub waiting_reason: String,
    /// How long the command runs; none: for ever.
    pub runs_for: Option<Duration>,
    pub succeeds: bool,
}

/// Pods as on the recording cluster: ready after a fixed delay, unless the image cannot be pulled.
#[derive(Debug, Clone, Default)]
pub struct SteadyPods {
    /// Parts of an image's name that mean that it cannot be pulled.
    pub broken_images: Vec<String>,
}

impl SteadyPods {
    /// The images that the recorded trajectories and this project's examples use as broken.
    pub fn with_usual_broken_images() -> Self {
        Self {
            broken_images: ["bad", "does-not-exist", "nonexistent", "argo-error"]
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

impl PodModel for SteadyPods {
    fn start(&mut self, pod: &mut PodStart<'_>) -> PodLife {
        let image = pod.image();
        if self.broken_images.iter().any(|part| image.contains(part)) {
            return PodLife::never_ready("ImagePullBackOff");
        }
        let started = start_delay(pod.replica_set);
        PodLife::ready_after(pod.default_ready_after + started)
    }

    fn run_job(&mut self, spec: &Value, _random: &mut ChaCha8Rng) -> JobRun {
        let image = spec.pointer("/template/spec/containers/0/image");
        let image = image.and_then(Value::as_str).unwrap_or_default();
        if self.broken_images.iter().any(|part| image.contains(part)) {
            return JobRun {
                waiting_reason: "ImagePullBackOff".into(),
                runs_for: None,
                succeeds: false,
            };
        }
        shell_job(spec)
    }
}

/// A Job's command read as a small shell script: `sleep N` and `exit K` are followed, `true` and
/// `false` end it, anything else takes no time and succeeds.
pub fn shell_job(spec: &Value) -> JobRun {
    let container = spec.pointer("/template/spec/containers/0");
    let words: Vec<&str> = ["command", "args"]
        .into_iter()
        .filter_map(|key| container?.get(key)?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let script = match words.as_slice() {
        [_, flag, script, ..] if flag.starts_with('-') && flag.ends_with('c') => {
            (*script).to_owned()
        }
        plain => plain.join(" "),
    };
    let mut runs_for = Duration::ZERO;
    let mut succeeds = true;
    for statement in script.split([';', '\n', '&']).map(str::trim) {
        let mut parts = statement.split_whitespace();
        match (parts.next(), parts.next()) {
            (Some("sleep"), Some("infinity")) => {
                return JobRun {
                    waiting_reason: String::new(),
                    runs_for: None,
                    succeeds: false,
                };
            }
            (Some("sleep"), Some(count)) => {
                runs_for = runs_for + sleep_time(count);
                succeeds = true;
            }
            (Some("exit"), code) => {
                succeeds = code.map_or(succeeds, |code| code == "0");
                break;
            }
            (Some("false"), _) => succeeds = false,
            (Some(_), _) => succeeds = true,
            (None, _) => {}
        }
    }
    JobRun {
        waiting_reason: String::new(),
        runs_for: Some(runs_for),
        succeeds,
    }
}

/// The argument of `sleep`: seconds, or a number with a unit.
fn sleep_time(text: &str) -> Duration {
    match text.parse::<f64>() {
        Ok(seconds) => Duration::from_secs_f64(seconds.max(0.0)),
        Err(_) => Duration::parse_go(text).unwrap_or(Duration::ZERO),
    }
}

/// What the template itself says about a pod's start: a postStart `sleep N` and the readiness
/// probe's initial delay, of the first container.
fn start_delay(replica_set: &ReplicaSet) -> Duration {
    let Some(container) = replica_set.template.containers().next() else {
        return Duration::ZERO;
    };
    let hook = container
        .get("lifecycle")
        .and_then(|lifecycle| lifecycle.pointer("/postStart/exec/command"))
        .and_then(Value::as_array)
        .map(Vec::as_slice);
    let hook_delay = match hook {
        Some([program, count]) if program == "sleep" => {
            count.as_str().map_or(Duration::ZERO, sleep_time)
        }
        Some(_) | None => Duration::ZERO,
    };
    let probe_delay = container
        .get("readinessProbe")
        .and_then(|probe| probe.get("initialDelaySeconds"))
        .and_then(Value::as_i64)
        .unwrap_or(0);
    hook_delay + Duration::from_secs(probe_delay.max(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn small_scripts_are_followed() {
        let job = |command: Value| {
            shell_job(&json!({"template": {"spec": {"containers": [{"command": command}]}}}))
        };
        let ended = |seconds, succeeds| JobRun {
            waiting_reason: String::new(),
            runs_for: Some(Duration::from_secs(seconds)),
            succeeds,
        };
        assert_eq!(job(json!(["sh", "-c", "sleep 1; exit 1"])), ended(1, false));
        assert_eq!(
            job(json!(["sh", "-c", "sleep 2 && exit 0"])),
            ended(2, true)
        );
        assert_eq!(job(json!(["sleep", "3"])), ended(3, true));
        assert_eq!(job(json!(["exit", "1"])), ended(0, false));
        assert_eq!(job(json!(["false"])), ended(0, false));
        assert_eq!(job(json!([])), ended(0, true));
        assert_eq!(job(json!(["sh", "-c", "sleep infinity"])).runs_for, None);
    }
}
