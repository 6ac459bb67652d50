//! Says what a cluster would refuse, and what would hurt although it is accepted.
//!
//! A rule is one file of [`rules`] with its documentation, examples and check, and one line in
//! [`rules::RULES`]. What rules look at is computed once, in [`context`]; how findings are printed
//! is in [`output`].

pub mod config;
pub mod config_schema;
pub mod context;
pub mod edits;
pub mod evaluate;
pub mod facts;
mod finding;
mod fingerprint;
pub mod fixes;
pub mod output;
pub mod rendered;
mod repeated;
mod rule;
pub mod rules;
mod settings;
mod suppress;
pub mod values;

use crate::source::{Problem, Severity, Sources};
use crate::spec::bundle::Bundle;

pub use crate::spec::edit::Edit;
pub use finding::{Applicability, Confidence, Counterexample, Finding, Findings, Fix, ObjectId};
pub use rule::{Rule, Setting, severity_name};
pub use settings::{Level, Override, Settings};
pub use suppress::ANNOTATION as IGNORE_ANNOTATION;

use context::Context;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// By file, place and rule.
    pub findings: Vec<Finding>,
    /// Texts that were read.
    pub files: usize,
    pub objects: usize,
}

impl Report {
    /// Findings of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        let is_counted = |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(is_counted).count()
    }
}

/// Runs all rules over what was read. `problems` are those of reading it.
pub fn lint(
    sources: &Sources,
    bundle: &Bundle,
    problems: Vec<Problem>,
    settings: &Settings,
) -> Report {
    let context = Context::new(sources, bundle, problems, settings);
    let mut findings = Findings::new(settings);
    for rule in rules::RULES {
        if findings.start(rule) {
            let before = findings.len();
            (rule.check)(&context, &mut findings);
            findings.finish_rule(before);
        }
    }
    repeated::leave_out(&mut findings);
    findings.override_levels(sources);
    suppress::apply(&context, &mut findings);
    Report {
        findings: findings.into_sorted(),
        files: sources.ids().count(),
        objects: bundle.objects().len(),
    }
}
