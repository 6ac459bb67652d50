//! Where rollproof differs from the reference on purpose.

use std::cell::Cell;
use std::fmt::Write as _;

use serde::Deserialize;

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
    #[serde(rename = "excepted")]
    pub patterns: Vec<Pattern>,
}

/// The variables of cases that may differ; `*` is any text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    #[serde(deserialize_with = "glob")]
    pub case: glob::Pattern,
    #[serde(deserialize_with = "glob")]
    pub variable: glob::Pattern,
    /// How many failing variables it has covered.
    #[serde(skip)]
    pub used: Cell<usize>,
}

impl Exceptions {
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// Whether a failing variable is excepted; all patterns that cover it count as used.
    pub fn cover(&self, case: &str, variable: &str) -> bool {
        let mut covered = false;
        for pattern in self.patterns() {
            if pattern.case.matches(case) && pattern.variable.matches(variable) {
                pattern.used.set(pattern.used.get() + 1);
                covered = true;
            }
        }
        covered
    }

    /// The patterns that covered nothing.
    pub fn unused(&self) -> impl Iterator<Item = &Pattern> {
        self.patterns().filter(|pattern| pattern.used.get() == 0)
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
                "\n## {}\n\n**rollproof:** {ours}\n\nRecords that differ for this reason:\n\n",
                capitalized(reference)
            );
            for pattern in patterns {
                let _ = writeln!(page, "- `{}` in `{}`", pattern.variable, pattern.case);
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

fn glob<'de, D: serde::Deserializer<'de>>(from: D) -> Result<glob::Pattern, D::Error> {
    let text = String::deserialize(from)?;
    glob::Pattern::new(&text).map_err(serde::de::Error::custom)
}
