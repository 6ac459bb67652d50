//! What a rule declares of itself. Everything that is said about a rule elsewhere comes from here.

use super::context::Context;
use super::finding::Findings;
use crate::source::Severity;

/// A rule: its documentation, and the function that looks for it.
#[derive(Debug)]
pub struct Rule {
    /// Stable, kebab case.
    pub name: &'static str,
    /// One line, without a full stop.
    pub summary: &'static str,
    /// Of its findings, unless a finding or the settings say otherwise.
    pub severity: Severity,
    /// What is found and what is not.
    pub finds: &'static str,
    /// Why that hurts.
    pub hurts: &'static str,
    /// YAML in which the rule finds something; a test runs it.
    pub bad: &'static str,
    /// The same, put right: the rule finds nothing, and there is no error.
    pub good: &'static str,
    pub settings: &'static [Setting],
    pub check: fn(&Context<'_>, &mut Findings<'_>),
}

/// A setting that a rule reads.
#[derive(Debug)]
pub struct Setting {
    /// Name of the field in [`super::Settings`].
    pub name: &'static str,
    /// As it is written in a settings file; a test compares it with the default.
    pub default: &'static str,
    pub about: &'static str,
}

impl Rule {
    /// The rule's page, in Markdown.
    pub fn page(&self) -> String {
        let Rule {
            name,
            summary,
            severity,
            finds,
            hurts,
            bad,
            good,
            settings,
            check: _,
        } = self;
        let mut page = format!(
            "# {name}\n\n{summary}. Severity: {}.\n\n## What it finds\n\n{}\n\n## Why it hurts\n\n{}\n",
            severity_name(*severity),
            finds.trim(),
            hurts.trim(),
        );
        for (title, example) in [("Bad", bad), ("Good", good)] {
            page.push_str(&format!(
                "\n## {title}\n\n```yaml\n{}\n```\n",
                example.trim_matches('\n')
            ));
        }
        if !settings.is_empty() {
            page.push_str("\n## Settings\n\n| setting | default | meaning |\n|---|---|---|\n");
            for Setting {
                name,
                default,
                about,
            } in *settings
            {
                page.push_str(&format!("| `{name}` | `{default}` | {about} |\n"));
            }
        }
        page
    }
}

/// The word for a severity in all formats.
pub fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}
