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

/// A step of a path that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepRef<'p> {
    Key(&'p str),
    /// From 0.
    Index(usize),
}

impl<'p> From<&'p Step> for StepRef<'p> {
    fn from(step: &'p Step) -> Self {
        match step {
            Step::Key(key) => StepRef::Key(key),
            Step::Index(index) => StepRef::Index(*index),
        }
    }
}

impl From<StepRef<'_>> for Step {
    fn from(step: StepRef<'_>) -> Self {
        match step {
            StepRef::Key(key) => Step::Key(key.to_owned()),
            StepRef::Index(index) => Step::Index(index),
        }
    }
}

/// Reads a path. Names in brackets are keys (quotes around them are dropped), numbers are indices.
/// Any text is a path; empty steps are left out.
pub fn parse(path: &str) -> Vec<Step> {
    steps(path).map(Step::from).collect()
}

/// [`parse`], step by step.
pub fn steps(path: &str) -> impl Iterator<Item = StepRef<'_>> {
    let mut rest = path.trim_start_matches('.');
    std::iter::from_fn(move || {
        let (step, after) = match rest.strip_prefix('[') {
            Some(inner) => {
                let end = inner.find(']').unwrap_or(inner.len());
                let name = inner.get(..end).unwrap_or_default();
                let after = inner.get(end + 1..).unwrap_or_default();
                let step = match name.parse() {
                    Ok(index) => StepRef::Index(index),
                    Err(_) => StepRef::Key(name.trim_matches(['"', '\''])),
                };
                (step, after)
            }
            None if rest.is_empty() => return None,
            None => {
                let end = rest
                    .bytes()
                    .position(|byte| matches!(byte, b'.' | b'['))
                    .unwrap_or(rest.len());
                let (key, after) = rest.split_at_checked(end)?;
                (StepRef::Key(key), after)
            }
        };
        rest = after.trim_start_matches('.');
        Some(step)
    })
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
