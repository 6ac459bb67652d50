//! `rollproof explain`.

use std::io;

use clap::Args;

use crate::lint::{rules, severity_name};

use super::{Outcome, print};

/// Explain a rule of lint, or list all rules.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof explain
  rollproof explain empty-result-passes")]
pub(super) struct Arguments {
    /// Name of the rule, as findings show it.
    rule: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> io::Result<Outcome> {
    let Some(name) = &arguments.rule else {
        print(&list())?;
        return Ok(Outcome::Clean);
    };
    match rules::find(name) {
        Some(rule) => {
            print(&rule.page())?;
            Ok(Outcome::Clean)
        }
        None => {
            eprintln!("error: there is no rule `{name}`; `rollproof explain` lists all");
            Ok(Outcome::WrongUse)
        }
    }
}

fn list() -> String {
    let mut rules: Vec<_> = rules::RULES.to_vec();
    rules.sort_by_key(|rule| rule.name);
    let width = rules
        .iter()
        .map(|rule| rule.name.len())
        .max()
        .unwrap_or_default();
    rules
        .iter()
        .map(|rule| {
            let severity = severity_name(rule.severity);
            format!("{:width$}  {severity:<7}  {}\n", rule.name, rule.summary)
        })
        .collect()
}
