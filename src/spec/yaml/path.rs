//! Paths as Kubernetes validators write them: `spec.steps[0].setWeight`, `metadata.labels[app.kubernetes.io/name]`.

use std::fmt;

use crate::source::Span;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Key(String),
    /// From 0.
    Index(usize),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Key(key) if key.contains(['.', '[', ']']) => write!(f, "[{key}]"),
            Step::Key(key) => write!(f, ".{key}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Writes steps as [`parse`] reads them.
pub fn display(steps: &[Step]) -> String {
    let text: String = steps.iter().map(Step::to_string).collect();
    text.strip_prefix('.').map_or(text.clone(), str::to_owned)
}

/// Where a path leads in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The key of the last step that is there; `None` for the root and for items of lists.
    pub key: Option<Span>,
    /// The value of the last step that is there.
    pub value: Span,
    /// How many steps at the end of the path are not there: 0 where all are.
    pub missing: usize,
}

impl Place {
    /// What to underline: the value where the whole path is there, else the key of the nearest parent.
    pub fn best(self) -> Span {
        match self.key {
            Some(key) if self.missing > 0 || self.value.start == self.value.end => key,
            Some(_) | None => self.value,
        }
    }
}

/// Reads a path. Names in brackets are keys (quotes around them are dropped), numbers are indices.
/// Any text is a path; empty steps are left out.
pub fn parse(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        match first {
            '.' => rest = rest.get(1..).unwrap_or_default(),
            '[' => {
                let inner = rest.get(1..).unwrap_or_default();
                let end = inner.find(']').unwrap_or(inner.len());
                let name = inner.get(..end).unwrap_or_default();
                rest = inner.get(end + 1..).unwrap_or_default();
                steps.push(match name.parse() {
                    Ok(index) => Step::Index(index),
                    Err(_) => Step::Key(name.trim_matches(['"', '\'']).to_owned()),
                });
            }
            _ => {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                steps.push(Step::Key(rest.get(..end).unwrap_or_default().to_owned()));
                rest = rest.get(end..).unwrap_or_default();
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_round_trip() {
        for path in [
            "",
            "spec",
            "spec.steps[0].setWeight",
            "metadata.annotations[rollout.argoproj.io/revision]",
            "[1][2].a",
        ] {
            assert_eq!(display(&parse(path)), path);
        }
        assert_eq!(parse("a[\"b.c\"]"), parse("a[b.c]"));
        assert_eq!(parse("..a[").len(), 2);
    }
}
