//! Where rollproof differs from the reference on purpose.

use std::cell::Cell;
use std::fmt::{self, Write as _};

use serde::Deserialize;

use super::compare::{Comparison, Difference as Failure};

/// The exceptions file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exceptions {
    #[serde(rename = "difference")]
    pub differences: Vec<Difference>,
}

/// One difference.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The reason: what the reference was seen to do.
    pub reference: String,
    /// What rollproof does instead.
    pub ours: String,
    /// Where it shows in the records.
    #[serde(rename = "excepted", default)]
    pub patterns: Vec<Pattern>,
}

/// The variables of cases that may differ; `*` is any text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    #[serde(deserialize_with = "glob")]
    pub case: glob::Pattern,
    #[serde(deserialize_with = "globs")]
    pub variables: Vec<glob::Pattern>,
    /// The values must be equal; only their times may differ.
    #[serde(default)]
    times_only: bool,
    /// Other records than those of the default folder show it.
    #[serde(default)]
    elsewhere: bool,
    /// How many failing variables it has covered.
    #[serde(skip)]
    used: Cell<usize>,
}

impl Pattern {
    fn covers(&self, case: &str, comparison: &Comparison) -> bool {
        let kind = match comparison.difference {
            None => return false,
            Some(Failure::Values { .. }) => !self.times_only,
            Some(Failure::Times { .. }) => true,
        };
        let mut variables = self.variables.iter();
        kind && self.case.matches(case) && variables.any(|it| it.matches(&comparison.variable))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<String> = self.variables.iter().map(|it| format!("`{it}`")).collect();
        let times = if self.times_only { " (times only)" } else { "" };
        write!(f, "`{}`: {}{times}", self.case, variables.join(", "))
    }
}

impl Exceptions {
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// Whether a failing variable is excepted; all patterns that cover it count as used.
    pub fn cover(&self, case: &str, comparison: &Comparison) -> bool {
        let mut covered = false;
        for pattern in self.patterns() {
            if pattern.covers(case, comparison) {
                pattern.used.set(pattern.used.get() + 1);
                covered = true;
            }
        }
        covered
    }

    /// The patterns that covered nothing in the default folder, though they should.
    pub fn unused(&self) -> impl Iterator<Item = &Pattern> {
        self.patterns()
            .filter(|pattern| pattern.used.get() == 0 && !pattern.elsewhere)
    }

    /// The page for users.
    pub fn page(&self) -> String {
        let mut page = String::from(PAGE_HEAD);
        for difference in &self.differences {
            let Difference {
                reference,
                ours,
                patterns,
            } = difference;
            let _ = write!(
                page,
                "\n## {}\n\n**rollproof:** {ours}.\n",
                capitalized(reference)
            );
            if !patterns.is_empty() {
                page += "\nRecorded cases in which it shows, and the variables that differ:\n\n";
            }
            for pattern in patterns {
                let _ = writeln!(page, "- {pattern}");
            }
        }
        page
    }

    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.differences.iter().flat_map(|it| &it.patterns)
    }
}

const PAGE_HEAD: &str = "\
# Differences from the reference

rollproof decides as Argo Rollouts (v1.10.0-rc1, at 9f8d111) was recorded to decide on a real API
server, except for what is listed here. Everything else is reproduced, surprises included.

This page is written by the test `differences_page` from `tests/trajectories_exceptions.toml`.
";

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn globs<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<glob::Pattern>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts
        .iter()
        .map(|text| glob::Pattern::new(text).map_err(serde::de::Error::custom))
        .collect()
}

fn glob<'de, D: serde::Deserializer<'de>>(from: D) -> Result<glob::Pattern, D::Error> {
    let text = String::deserialize(from)?;
    glob::Pattern::new(&text).map_err(serde::de::Error::custom)
}
