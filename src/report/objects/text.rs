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
