//! A view as text: a summary, then a tree in columns.

use anstyle::{AnsiColor, Color, Style};

use super::age::age;
use super::view::{ExperimentView, ImageUse, Item, Kind, Mark, RolloutView};
use crate::report::timeline::Look;
use crate::time::Timestamp;

/// What `get rollout` prints; ages are of `now`.
pub fn rollout_text(view: &RolloutView, now: Timestamp, look: Look) -> String {
    let RolloutView {
        name,
        namespace,
        created,
        status,
        mark,
        message,
        strategy,
        step,
        set_weight,
        actual_weight,
        images,
        replicas,
        revisions,
    } = view;
    let mut out = String::new();
    fact(&mut out, "Name:", name);
    fact(&mut out, "Namespace:", namespace);
    fact(
        &mut out,
        "Status:",
        &format!("{} {status}", painted(*mark, look)),
    );
    if !message.is_empty() {
        fact(&mut out, "Message:", message);
    }
    fact(&mut out, "Strategy:", strategy);
    if let (Some(set_weight), Some(actual_weight)) = (set_weight, actual_weight) {
        let step = step.map(|(done, all)| format!("{done}/{all}"));
        fact(&mut out, "  Step:", &step.unwrap_or_default());
        fact(&mut out, "  SetWeight:", &set_weight.to_string());
        fact(&mut out, "  ActualWeight:", &actual_weight.to_string());
    }
    image_facts(&mut out, images, look);
    out.push_str("Replicas:\n");
    let counts = [
        ("  Desired:", replicas.desired),
        ("  Current:", replicas.current),
        ("  Updated:", replicas.updated),
        ("  Ready:", replicas.ready),
        ("  Available:", replicas.available),
    ];
    for (title, count) in counts {
        fact(&mut out, title, &count.to_string());
    }
    out.push('\n');

    let mut tree = Tree::new(now, look);
    let age = tree.age(*created);
    tree.lines.push(Line {
        name: format!("⟳ {name}"),
        name_style: Style::new(),
        kind: "Rollout",
        mark: *mark,
        status: status.to_string(),
        age,
        info: String::new(),
    });
    for (index, revision) in revisions.iter().enumerate() {
        let (prefix, below) = branches("", index + 1 == revisions.len());
        tree.lines.push(Line {
            name: format!("{prefix}# revision:{}", revision.revision),
            name_style: Style::new(),
            kind: "",
            mark: Mark::None,
            status: String::new(),
            age: String::new(),
            info: String::new(),
        });
        tree.items(&revision.items, &below, 0);
    }
    out.push_str(&tree.text());
    out
}

/// What `get experiment` prints; ages are of `now`.
pub fn experiment_text(view: &ExperimentView, now: Timestamp, look: Look) -> String {
    let ExperimentView {
        namespace,
        message,
        images,
        item,
    } = view;
    let mut out = String::new();
    fact(&mut out, "Name:", &item.name);
    fact(&mut out, "Namespace:", namespace);
    let status = format!("{} {}", painted(item.mark, look), item.status);
    fact(&mut out, "Status:", &status);
    if !message.is_empty() {
        fact(&mut out, "Message:", message);
    }
    image_facts(&mut out, images, look);
    out.push('\n');
    let mut tree = Tree::new(now, look);
    tree.item(item, "", "", 0);
    out.push_str(&tree.text());
    out
}

fn fact(out: &mut String, title: &str, value: &str) {
    out.push_str(format!("{title:<17}{value}").trim_end());
    out.push('\n');
}

fn image_facts(out: &mut String, images: &[ImageUse], look: Look) {
    for (index, ImageUse { image, tags }) in images.iter().enumerate() {
        let title = if index == 0 { "Images:" } else { "" };
        if tags.is_empty() {
            fact(out, title, image);
        } else {
            let tags: Vec<String> = tags
                .iter()
                .map(|tag| look.paint(tag_style(tag), tag))
                .collect();
            fact(out, title, &format!("{image} ({})", tags.join(", ")));
        }
    }
}

fn icon(mark: Mark) -> &'static str {
    match mark {
        Mark::Ok => "✔",
        Mark::Progressing => "◌",
        Mark::Waiting => "◷",
        Mark::Paused => "॥",
        Mark::Warning => "⚠",
        Mark::Bad => "✖",
        Mark::Unknown => "?",
        Mark::Neutral => "•",
        Mark::None => " ",
    }
}

fn colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(colour)))
}

fn mark_style(mark: Mark) -> Style {
    match mark {
        Mark::Ok => colour(AnsiColor::Green),
        Mark::Progressing => colour(AnsiColor::BrightBlue),
        Mark::Waiting | Mark::Unknown => colour(AnsiColor::Yellow),
        Mark::Warning | Mark::Bad => colour(AnsiColor::Red),
        Mark::Paused | Mark::Neutral | Mark::None => Style::new(),
    }
}

fn painted(mark: Mark, look: Look) -> String {
    look.paint(mark_style(mark), icon(mark))
}

fn tag_style(tag: &str) -> Style {
    match tag {
        "canary" => colour(AnsiColor::Yellow),
        "stable" | "active" => colour(AnsiColor::Green),
        "preview" | "ping" | "pong" => colour(AnsiColor::BrightBlue),
        _ => Style::new(),
    }
}

/// Before an item of a tree, and before those below it.
fn branches(above: &str, is_last: bool) -> (String, String) {
    if is_last {
        (format!("{above}└──"), format!("{above}   "))
    } else {
        (format!("{above}├──"), format!("{above}│  "))
    }
}

/// A line before it is laid out.
struct Line {
    name: String,
    name_style: Style,
    kind: &'static str,
    mark: Mark,
    status: String,
    age: String,
    /// Painted.
    info: String,
}

struct Tree {
    now: Timestamp,
    look: Look,
    lines: Vec<Line>,
}

/// Deeper than any tree of objects gets.
const MAX_DEPTH: usize = 16;

impl Tree {
    fn new(now: Timestamp, look: Look) -> Self {
        Self {
            now,
            look,
            lines: Vec::new(),
        }
    }

    fn age(&self, created: Option<Timestamp>) -> String {
        created
            .map(|created| age(self.now.since(created)))
            .unwrap_or_default()
    }

    fn items(&mut self, items: &[Item], above: &str, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for (index, item) in items.iter().enumerate() {
            let (prefix, below) = branches(above, index + 1 == items.len());
            self.item(item, &prefix, &below, depth);
        }
    }

    fn item(&mut self, item: &Item, prefix: &str, below: &str, depth: usize) {
        let (icon, kind) = match item.kind {
            Kind::ReplicaSet => ("⧉", "ReplicaSet"),
            Kind::Pod => ("□", "Pod"),
            Kind::Experiment => ("Σ", "Experiment"),
            Kind::AnalysisRun => ("α", "AnalysisRun"),
            Kind::Job => ("⊞", "Job"),
        };
        let runs = matches!(item.status.as_str(), "Pending" | "Running") && item.kind != Kind::Pod;
        let name_style = match item.tags.last() {
            Some(tag) => tag_style(tag),
            None if runs => colour(AnsiColor::BrightBlue),
            None => Style::new(),
        };
        let info: Vec<String> = self
            .info(item)
            .iter()
            .map(|(style, text)| self.look.paint(*style, text))
            .collect();
        self.lines.push(Line {
            name: format!("{prefix}{icon} {}", item.name),
            name_style,
            kind,
            mark: item.mark,
            status: item.status.clone(),
            age: self.age(item.created),
            info: info.join(","),
        });
        self.items(&item.children, below, depth + 1);
    }

    fn info(&self, item: &Item) -> Vec<(Style, String)> {
        let plain = Style::new();
        let mut info: Vec<(Style, String)> = item
            .tags
            .iter()
            .map(|tag| (tag_style(tag), (*tag).to_owned()))
            .collect();
        if let Some(at) = item.scale_down_at {
            let left = if at < self.now {
                "passed".to_owned()
            } else {
                age(at.since(self.now))
            };
            info.push((plain, format!("delay:{left}")));
        }
        if let Some(counts) = item.measurements {
            let marks = [Mark::Ok, Mark::Bad, Mark::Unknown, Mark::Warning];
            for (mark, count) in marks.into_iter().zip(counts) {
                if count > 0 {
                    info.push((mark_style(mark), format!("{} {count}", icon(mark))));
                }
            }
        }
        if let Some((ready, all)) = item.ready {
            info.push((plain, format!("ready:{ready}/{all}")));
        }
        if item.restarts > 0 {
            info.push((plain, format!("restarts:{}", item.restarts)));
        }
        info
    }

    /// In columns; names have a style, the tree's branches before them none.
    fn text(&self) -> String {
        let width = |text: &str| text.chars().count();
        let widest = |cell: fn(&Line) -> usize, title: &str| {
            let cells = self.lines.iter().map(cell);
            cells.max().unwrap_or(0).max(width(title)) + 2
        };
        let name_width = widest(|line| line.name.chars().count(), "NAME");
        let kind_width = widest(|line| line.kind.chars().count(), "KIND");
        let status_width = widest(|line| line.status.chars().count() + 2, "STATUS");
        let age_width = widest(|line| line.age.chars().count(), "AGE");
        let mut out = format!(
            "{:name_width$}{:kind_width$}{:status_width$}{:age_width$}INFO\n",
            "NAME", "KIND", "STATUS", "AGE"
        );
        for line in &self.lines {
            let (branch, name) = split_name(&line.name);
            let padding = " ".repeat(name_width.saturating_sub(width(&line.name)));
            let name = self.look.paint(line.name_style, name);
            let mark = painted(line.mark, self.look);
            let status = &line.status;
            let rest = status_width.saturating_sub(2);
            let text = format!(
                "{branch}{name}{padding}{:kind_width$}{mark} {status:rest$}{:age_width$}{}",
                line.kind, line.age, line.info
            );
            out.push_str(text.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Branches and icon; name.
fn split_name(text: &str) -> (&str, &str) {
    match text.rfind(' ') {
        Some(space) => text.split_at(space + 1),
        None => ("", text),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::engine::Observed;
    use crate::engine::objects::{self, Object};
    use crate::report::objects::{PodView, experiment_view, rollout_view};

    /// An update at its analysis, with an experiment behind it.
    fn world() -> (
        BTreeMap<String, std::sync::Arc<crate::spec::rollout::Rollout>>,
        Observed,
    ) {
        let owned = |kind: &str, name: &str, owner: &str, revision: &str, more: Value| {
            let version = if kind == "ReplicaSet" {
                "apps/v1"
            } else {
                "argoproj.io/v1alpha1"
            };
            let mut object = json!({
                "apiVersion": version, "kind": kind,
                "metadata": {
                    "name": name, "uid": name, "creationTimestamp": "2026-01-01T10:00:00Z",
                    "annotations": {"rollout.argoproj.io/revision": revision},
                    "ownerReferences": [{"uid": owner, "name": owner, "kind": "Rollout"}],
                },
            });
            for (key, value) in more.as_object().into_iter().flatten() {
                object[key] = value.clone();
            }
            object
        };
        let set =
            |name: &str, owner: &str, revision: &str, image: &str, hash: &str, wanted: i32| {
                let mut set = owned(
                    "ReplicaSet",
                    name,
                    owner,
                    revision,
                    json!({
                        "spec": {"replicas": wanted, "template": {"spec": {"containers": [
                            {"name": "app", "image": image}
                        ]}}},
                        "status": {"replicas": wanted, "availableReplicas": wanted.min(1)},
                    }),
                );
                set["metadata"]["labels"] = json!({"rollouts-pod-template-hash": hash});
                set
            };
        let mut waiting = set("demo-h0", "demo", "1", "app:v0", "h0", 1);
        waiting["metadata"]["annotations"]["scale-down-deadline"] = "2026-01-01T10:05:30Z".into();
        let mut of_experiment = set("exp-a", "exp", "", "app:v3", "e", 1);
        of_experiment["metadata"]["annotations"]["experiment.argoproj.io/template-name"] =
            "a".into();
        let objects = [
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
                "metadata": {
                    "name": "demo", "namespace": "shop", "uid": "demo",
                    "creationTimestamp": "2025-12-31T10:00:00Z",
                },
                "spec": {"replicas": 3, "strategy": {"canary": {"steps": [
                    {"setWeight": 25}, {"analysis": {}}, {"pause": {}}
                ]}}},
                "status": {
                    "phase": "Progressing", "message": "more replicas need to be updated",
                    "currentStepIndex": 1, "currentPodHash": "h2", "stableRS": "h1", "replicas": 4,
                    "updatedReplicas": 1, "readyReplicas": 4, "availableReplicas": 4,
                },
            }),
            waiting,
            set("demo-h1", "demo", "2", "app:v1", "h1", 3),
            set("demo-h2", "demo", "3", "app:v2", "h2", 1),
            owned(
                "Experiment",
                "exp",
                "demo",
                "3",
                json!({
                    "metadata": {
                        "name": "exp", "namespace": "shop", "uid": "exp",
                        "creationTimestamp": "2026-01-01T10:00:00Z",
                        "annotations": {"rollout.argoproj.io/revision": "3"},
                        "ownerReferences": [{"uid": "demo", "name": "demo", "kind": "Rollout"}],
                    },
                    "spec": {"templates": []},
                    "status": {"phase": "Running", "message": "as long as it takes"},
                }),
            ),
            of_experiment,
            owned(
                "AnalysisRun",
                "demo-h2-3-1",
                "demo",
                "3",
                json!({
                    "spec": {"metrics": []},
                    "status": {"phase": "Failed", "metricResults": [{
                        "name": "m", "phase": "Failed", "successful": 2, "failed": 1,
                        "measurements": [{
                            "phase": "Failed", "startedAt": "2026-01-01T10:01:00Z",
                            "metadata": {"job-name": "job.m.1"},
                        }],
                    }]},
                }),
            ),
        ];
        let (mut rollouts, mut observed) = (BTreeMap::new(), Observed::default());
        for object in objects {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            let object = Object::from_json(object).unwrap();
            objects::insert(&mut rollouts, &mut observed, &name, object);
        }
        (rollouts, observed)
    }

    fn pods() -> Vec<PodView> {
        let pod = |name: &str, owner: &str, status: Value| {
            PodView::of_object(&json!({
                "metadata": {
                    "name": name, "creationTimestamp": "2026-01-01T10:03:00Z",
                    "ownerReferences": [{"uid": owner}],
                },
                "spec": {"containers": [{"name": "app"}]},
                "status": status,
            }))
        };
        let runs = json!({"phase": "Running", "containerStatuses": [
            {"ready": true, "restartCount": 2, "state": {"running": {}}}
        ]});
        let fails = json!({"phase": "Pending", "containerStatuses": [
            {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
        ]});
        vec![
            pod("demo-h1-b", "demo-h1", fails),
            pod("demo-h1-a", "demo-h1", runs.clone()),
            pod("other", "other", runs),
        ]
    }

    #[test]
    fn a_tree_shows_what_belongs_to_what() {
        let now = Timestamp::parse("2026-01-01T10:05:00Z").unwrap();
        let (rollouts, observed) = world();
        let view = rollout_view(&rollouts["demo"], &observed, &pods());
        insta::assert_snapshot!("rollout", rollout_text(&view, now, Look::default()));
        let experiment = experiment_view(&observed.experiments["exp"], &observed, &[]);
        let text = experiment_text(&experiment, now, Look::default());
        insta::assert_snapshot!("experiment", text);
        // Colours change nothing but colours.
        let coloured = Look {
            colour: true,
            width: 0,
        };
        let plain = without_escapes(&rollout_text(&view, now, coloured));
        assert_eq!(plain, rollout_text(&view, now, Look::default()));
    }

    /// Without escape sequences.
    fn without_escapes(text: &str) -> String {
        let mut parts = text.split('\x1b');
        let mut plain = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            plain.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
        }
        plain
    }
}
