//! `rollproof list`.

use std::collections::BTreeMap;
use std::io;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Connection, Outcome, Problem, on_cluster, out};
use crate::engine::objects::{Kind, Object};
use crate::live::user::follow::{Next, Query, Update, follow, gather};
use crate::live::user::verbs::read_object;
use crate::report::objects::{ListTable, experiment_cells, rollout_cells};

/// List rollouts or experiments.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof list rollouts -n shop
  rollproof list rollouts --all-namespaces --watch
  rollproof list experiments -n shop")]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    what: What,

    /// Of all namespaces.
    #[arg(long, short = 'A', global = true)]
    all_namespaces: bool,

    /// Go on with a line for each that changes.
    #[arg(long, short, global = true)]
    watch: bool,

    /// Only the one of this name.
    #[arg(long, global = true, value_name = "NAME")]
    name: Option<String>,

    /// Begin lines with the time.
    #[arg(long, global = true)]
    timestamps: bool,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
enum What {
    /// List rollouts.
    #[command(visible_aliases = ["ro", "rollout"])]
    Rollouts,
    /// List experiments.
    #[command(visible_aliases = ["exp", "experiment"])]
    Experiments,
}

pub(super) fn run(arguments: &Arguments, outer: &Connection) -> io::Result<Outcome> {
    let settings = if arguments.watch {
        arguments.connection.watching(outer)
    } else {
        arguments.connection.settings(outer)
    };
    let kind = match arguments.what {
        What::Rollouts => Kind::Rollout,
        What::Experiments => Kind::Experiment,
    };
    let query = Query {
        everywhere: arguments.all_namespaces,
        ..match &arguments.name {
            Some(name) => Query::named(kind, name),
            None => Query::all(kind),
        }
    };
    let queries = [query];
    on_cluster(&settings, async |cluster| {
        let mut lines = Lines::new(arguments);
        let first = gather(&cluster, &queries).await?;
        let text = lines.changed(first.iter().flatten());
        if text.is_empty() && !arguments.watch {
            eprintln!("No resources found.");
            return Ok(Outcome::Clean);
        }
        out(&format!("{}{text}", lines.table.titles()))?;
        if !arguments.watch {
            return Ok(Outcome::Clean);
        }
        let ended = follow(&cluster, &queries, None, |update| {
            match update {
                Update::Objects(found) => {
                    let text = lines.changed(found.iter().flatten());
                    if !text.is_empty() {
                        out(&text)?;
                    }
                }
                Update::Trouble(message) => eprintln!("warning: {message}"),
            }
            Ok::<_, Problem>(Next::Watch)
        })
        .await?;
        Ok(ended.unwrap_or(Outcome::Clean))
    })
}

/// A table that remembers what it has shown.
struct Lines<'a> {
    arguments: &'a Arguments,
    table: ListTable,
    /// By namespace and name; without what only time changes.
    shown: BTreeMap<(String, String), Vec<String>>,
}

impl<'a> Lines<'a> {
    fn new(arguments: &'a Arguments) -> Self {
        let table = match arguments.what {
            What::Rollouts => {
                ListTable::of_rollouts(arguments.timestamps, arguments.all_namespaces)
            }
            What::Experiments => {
                ListTable::of_experiments(arguments.timestamps, arguments.all_namespaces)
            }
        };
        Self {
            arguments,
            table,
            shown: BTreeMap::new(),
        }
    }

    /// Lines of the objects that differ from what was shown of them.
    fn changed<'b>(&mut self, objects: impl Iterator<Item = &'b Value>) -> String {
        let now = super::now();
        let mut rows = Vec::new();
        for object in objects {
            let text = |path: &str| {
                let text = object.pointer(path).and_then(Value::as_str);
                text.unwrap_or_default().to_owned()
            };
            let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
            let mut cells = Vec::new();
            if self.arguments.timestamps {
                cells.push(now.truncate_to_seconds().to_string());
            }
            if self.arguments.all_namespaces {
                cells.push(namespace.clone());
            }
            let (own, lasting) = match self.arguments.what {
                What::Rollouts => match read_object(&Kind::Rollout, object.clone()) {
                    Ok(Object::Rollout(rollout)) => {
                        let cells = rollout_cells(&rollout);
                        (cells.clone(), cells)
                    }
                    Ok(_) | Err(_) => unreadable(&name),
                },
                What::Experiments => match read_object(&Kind::Experiment, object.clone()) {
                    Ok(Object::Experiment(experiment)) => {
                        let cells = experiment_cells(&experiment, now);
                        let lasting = cells.iter().take(3).cloned().collect();
                        (cells, lasting)
                    }
                    Ok(_) | Err(_) => unreadable(&name),
                },
            };
            cells.extend(own);
            let key = (namespace, name);
            if self.shown.get(&key) != Some(&lasting) {
                self.shown.insert(key, lasting);
                self.table.widen(&cells);
                rows.push(cells);
            }
        }
        rows.iter().map(|cells| self.table.line(cells)).collect()
    }
}

/// One bad object does not hide the others.
fn unreadable(name: &str) -> (Vec<String>, Vec<String>) {
    let cells = vec![name.to_owned(), "?".to_owned(), "Unreadable".to_owned()];
    (cells.clone(), cells)
}
