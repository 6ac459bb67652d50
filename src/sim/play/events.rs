//! The release, and what else a scenario lets happen.

use serde_json::Value;

use crate::engine::verbs::Verb;

use super::player::Player;
use super::text;
use crate::sim::command::Command;
use crate::sim::faults::{Fault, PodFaultEffect, PodSelection};
use crate::sim::scenario::{PodChoice, Release, Scenario, ScenarioEvent, Target, Undo};
use crate::sim::timeline::short_image;
use crate::sim::world::{Kind, ObjectRef};

impl Player {
    pub fn release(&mut self, scenario: &Scenario) {
        let release = match &scenario.release {
            Some(release) => release.clone(),
            None if scenario.events.is_empty() => Release::default(),
            None => return,
        };
        let image = match (&release.image, &release.patch) {
            (Some(image), _) => Some(image.clone()),
            (None, None) => Some(self.next_image()),
            (None, Some(_)) => None,
        };
        if let Some(image) = image {
            self.set_image(&image);
        }
        if let Some(patch) = release.patch {
            self.patch(patch);
        }
    }

    /// For a release that the user did not name: another image of the first container, which is the
    /// application; those after it are sidecars.
    pub fn next_image(&self) -> String {
        match self.stable_container() {
            Some((container, image)) => format!("{container}={image}-next"),
            None => "image:v1-next".to_owned(),
        }
    }

    pub(super) fn present_image(&self) -> String {
        self.stable_container()
            .map(|(_, image)| image)
            .unwrap_or_default()
    }

    /// Name and image of the stable version's first container.
    fn stable_container(&self) -> Option<(String, String)> {
        let world = self.simulation.world();
        let hash = self
            .rollout()
            .map(|rollout| rollout.status.stable_rs.clone())
            .unwrap_or_default();
        world
            .observed(&self.namespace)
            .into_iter()
            .flat_map(|observed| observed.replica_sets.values())
            .find(|set| !hash.is_empty() && set.hash() == hash)
            .and_then(|set| set.template.images().next())
            .map(|(container, image)| (container.to_owned(), image.to_owned()))
    }

    fn set_image(&mut self, image: &str) {
        let (container, image) = match image.split_once('=') {
            Some((container, image)) => (Some(container.to_owned()), image.to_owned()),
            None => (None, image.to_owned()),
        };
        let text = format!(
            "set image {} (was {})",
            short_image(&image),
            short_image(&self.present_image())
        );
        self.verb(Verb::SetImage { container, image }, &text);
    }

    fn patch(&mut self, patch: Value) {
        let text = format!("patch {patch}");
        let object = ObjectRef::new(Kind::Rollout, &self.namespace, &self.name);
        self.act(Command::Patch { object, patch }, &text);
    }

    fn verb(&mut self, verb: Verb, text: &str) {
        let command = Command::Rollout {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            verb,
        };
        self.act(command, text);
    }

    fn act(&mut self, command: Command, text: &str) {
        let now = self.simulation.now();
        self.recorder.user(now, text);
        if let Err(error) = self.simulation.act(command, &mut self.recorder) {
            self.recorder.problem(now, format!("refused: {error}"));
        }
    }

    fn pods(&self, choice: &PodChoice) -> PodSelection {
        PodSelection {
            namespace: self.namespace.clone(),
            owner: Some(self.name.clone()),
            image: choice.image.clone(),
            hash: None,
            revision: choice.revision,
            limit: choice.count,
        }
    }

    pub fn happen(&mut self, event: &ScenarioEvent) {
        let ScenarioEvent {
            at: _,
            set_image,
            promote,
            promote_full,
            skip_current_step,
            skip_all_steps,
            abort,
            retry,
            pause,
            undo,
            restart,
            scale,
            terminate_analysis,
            terminate_experiment,
            patch,
            apply,
            delete,
            delete_pods,
            crash_pods,
            pods,
            outage,
            controller_down,
            clock_jump,
            refuse_writes,
        } = event;
        if let Some(image) = set_image {
            self.set_image(image);
        }
        let verbs = [
            (promote, Verb::Promote, "promote"),
            (promote_full, Verb::PromoteFull, "promote --full"),
            (
                skip_current_step,
                Verb::SkipCurrentStep,
                "promote --skip-current-step",
            ),
            (
                skip_all_steps,
                Verb::SkipAllSteps,
                "promote --skip-all-steps",
            ),
            (abort, Verb::Abort, "abort"),
            (retry, Verb::Retry, "retry"),
            (pause, Verb::Pause, "pause"),
            (restart, Verb::Restart { at: None }, "restart"),
        ];
        for (given, verb, text) in verbs {
            if given.is_some() {
                self.verb(verb, text);
            }
        }
        match undo {
            Some(Undo::Previous(_)) => self.verb(Verb::Undo { revision: None }, "undo"),
            Some(Undo::Revision(revision)) => {
                let text = format!("undo --to-revision={revision}");
                self.verb(
                    Verb::Undo {
                        revision: Some(*revision),
                    },
                    &text,
                );
            }
            None => {}
        }
        let named = |target: &Target| match target {
            Target::Current(_) => None,
            Target::Named(name) => Some(name.clone()),
        };
        if let Some(target) = terminate_analysis {
            self.verb(
                Verb::TerminateAnalysis {
                    name: named(target),
                },
                "terminate analysisrun",
            );
        }
        if let Some(target) = terminate_experiment {
            self.verb(
                Verb::TerminateExperiment {
                    name: named(target),
                },
                "terminate experiment",
            );
        }
        if let Some(replicas) = scale {
            let command = Command::Scale {
                namespace: self.namespace.clone(),
                name: self.name.clone(),
                replicas: *replicas,
            };
            self.act(command, &format!("scale to {replicas}"));
        }
        if let Some(patch) = patch {
            self.patch(patch.clone());
        }
        if let Some(object) = apply {
            let text = format!(
                "apply {} {}",
                text(object, "/kind"),
                text(object, "/metadata/name")
            );
            let namespace = self.namespace.clone();
            self.act(
                Command::Apply {
                    namespace,
                    object: object.clone(),
                },
                &text,
            );
        }
        if let Some(words) = delete {
            self.delete(words);
        }
        if let Some(choice) = delete_pods {
            let selection = self.pods(choice);
            self.act(Command::DeletePods(selection), "delete pods");
        }
        if let Some(crash) = crash_pods {
            let choice = PodChoice {
                image: crash.image.clone(),
                revision: crash.revision,
                count: crash.count,
            };
            let fault = Fault::CrashPods {
                selection: self.pods(&choice),
                restart_after: crash.ready_again_after.map(|after| after.0),
            };
            self.act(Command::Fault(fault), "pods crash");
        }
        if let Some(trouble) = pods {
            let choice = PodChoice {
                image: trouble.image.clone(),
                revision: trouble.revision,
                count: None,
            };
            let effect = if let Some(reason) = &trouble.never_ready {
                PodFaultEffect::NeverReady {
                    waiting_reason: reason.clone(),
                }
            } else if let Some(after) = trouble.crash_after {
                PodFaultEffect::CrashAfter {
                    ready_for: after.0,
                    restart_after: trouble.ready_again_after.map(|after| after.0),
                }
            } else if let Some(after) = trouble.ready_after {
                PodFaultEffect::ReadyAfter(after.0)
            } else {
                PodFaultEffect::None
            };
            let text = match &effect {
                PodFaultEffect::None => "pods live as usual again".to_owned(),
                PodFaultEffect::NeverReady { waiting_reason } => {
                    format!("pods do not become ready any more ({waiting_reason})")
                }
                PodFaultEffect::ReadyAfter(after) => format!("pods become ready after {after}"),
                PodFaultEffect::CrashAfter {
                    ready_for,
                    restart_after: _,
                } => {
                    format!("pods crash after {ready_for}")
                }
            };
            let selection = self.pods(&choice);
            self.act(Command::Fault(Fault::Pods { selection, effect }), &text);
        }
        if let Some(outage) = outage {
            let message = outage
                .message
                .clone()
                .unwrap_or_else(|| "connection refused".to_owned());
            let until = outage.lasts.map(|lasts| self.simulation.now() + lasts.0);
            let text = match &outage.metric {
                Some(metric) => format!("the provider of {metric} does not answer"),
                None => "metric providers do not answer".to_owned(),
            };
            let fault = Fault::ProviderOutage {
                metric: outage.metric.clone(),
                message,
                until,
            };
            self.act(Command::Fault(fault), &text);
        }
        if let Some(after) = controller_down {
            let fault = Fault::ControllerDown {
                up_after: Some(after.0),
            };
            self.act(
                Command::Fault(fault),
                &format!("the controller is down for {}", after.0),
            );
        }
        if let Some(jump) = clock_jump {
            let text = format!("the controller's clock jumps by {}", jump.0);
            self.act(Command::Fault(Fault::ClockOffset(jump.0)), &text);
        }
        if let Some(count) = refuse_writes {
            let text = format!("the API server refuses the next {count} writes");
            self.act(Command::Fault(Fault::RefuseWrites { count: *count }), &text);
        }
    }

    fn delete(&mut self, words: &str) {
        let now = self.simulation.now();
        let parsed = match words.split_whitespace().collect::<Vec<_>>().as_slice() {
            [kind, name] => Kind::parse(kind).map(|kind| (kind, (*name).to_owned())),
            _ => Err(format!("expected `KIND NAME`, got {words:?}")),
        };
        match parsed {
            Ok((kind, name)) => {
                let object = ObjectRef::new(kind, &self.namespace, name);
                self.act(Command::Delete { object }, &format!("delete {words}"));
            }
            Err(error) => self.recorder.problem(now, error),
        }
    }
}
