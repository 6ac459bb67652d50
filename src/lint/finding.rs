//! What a rule says about a place, and the collector that rules report to.

use serde::Serialize;

use super::context::Refusal;
use super::rule::Rule;
use super::settings::{Level, Settings};
use crate::source::{Problem, Severity, Sources, Span};
use crate::spec::analysis::AnalysisPhase;
use crate::spec::bundle::Object;
use crate::spec::edit::Edit;

/// How sure a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// A guess from names and conventions.
    Low,
    /// Follows from the files, under usual circumstances.
    Medium,
    /// Follows from the files, or was shown by evaluation.
    High,
}

/// One thing wrong at one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Name of the rule.
    pub rule: &'static str,
    pub severity: Severity,
    pub confidence: Confidence,
    /// What happens, one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// What to underline; `None` for what has no place in a file.
    pub span: Option<Span>,
    /// Path in the object, such as `spec.strategy.canary.steps[0].setWeight`; may be empty.
    pub path: String,
    pub object: Option<ObjectId>,
    /// Other places that belong to it, each with what is there.
    pub related: Vec<(Span, String)>,
    pub fix: Option<Fix>,
    pub counterexample: Option<Counterexample>,
}

/// The object that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectId {
    pub kind: String,
    pub name: String,
    /// As it will be in the cluster: `default` where none is written.
    pub namespace: String,
}

impl From<&Object> for ObjectId {
    fn from(object: &Object) -> Self {
        Self {
            kind: object.kind.clone(),
            name: object.name.clone(),
            namespace: object.namespace_or_default().to_owned(),
        }
    }
}

/// A case in which it goes wrong, found by evaluating what is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counterexample {
    /// What comes in, such as the answer of the metric provider.
    pub given: String,
    /// What was done with it, such as the condition that was evaluated.
    pub evaluated: String,
    /// What comes out, such as the phase of the measurement.
    pub outcome: String,
}

impl Counterexample {
    /// A measurement by its conditions.
    pub fn measurement(given: String, evaluated: String, phase: AnalysisPhase) -> Self {
        Self {
            given,
            evaluated,
            outcome: phase.as_str().to_owned(),
        }
    }
}

/// Whether a fix may be applied without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Applicability {
    /// Keeps the meaning, or is surely what was meant.
    Safe,
    /// Changes what happens; somebody has to agree.
    Unsafe,
}

/// Changes to the text that make a finding go away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it does, such as `set failureLimit to 3`.
    pub message: String,
    pub applicability: Applicability,
    /// Not overlapping, in the order of places.
    pub edits: Vec<Edit>,
}

/// What rules report to. Knows the rule that runs, its severity and the settings.
#[derive(Debug)]
pub struct Findings<'s> {
    settings: &'s Settings,
    rule: &'static str,
    default_severity: Severity,
    level: Option<Level>,
    found: Vec<Finding>,
}

impl<'s> Findings<'s> {
    pub(super) fn new(settings: &'s Settings) -> Self {
        Self {
            settings,
            rule: "",
            default_severity: Severity::Warning,
            level: None,
            found: Vec::new(),
        }
    }

    /// Makes the rule the one that reports; false if it is turned off.
    pub(super) fn start(&mut self, rule: &'static Rule) -> bool {
        self.rule = rule.name;
        self.default_severity = rule.severity;
        self.level = self.settings.levels.get(rule.name).copied();
        self.level != Some(Level::Off)
    }

    pub fn settings(&self) -> &'s Settings {
        self.settings
    }

    /// Reports at a path of an object; the value there is underlined, or the nearest parent that
    /// is written. Go on with the methods of [`Finding`] for all else.
    pub fn report(
        &mut self,
        object: &Object,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> &mut Finding {
        let path = path.into();
        let span = object.span_of(&path);
        self.report_at(object, path, span, message)
    }

    /// As [`Self::report`], with a narrower or other place to underline.
    pub fn report_at(
        &mut self,
        object: &Object,
        path: impl Into<String>,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.push(Some(object.into()), path.into(), Some(span), message.into())
    }

    /// Reports at a text that belongs to no field of an object.
    pub(super) fn report_text(
        &mut self,
        object: Option<&Object>,
        span: Span,
        message: String,
    ) -> &mut Finding {
        self.push(
            object.map(ObjectId::from),
            String::new(),
            Some(span),
            message,
        )
    }

    /// What the settings say of some files goes over what they say of all.
    pub(super) fn override_levels(&mut self, sources: &Sources) {
        let overrides = &self.settings.overrides;
        self.found.retain_mut(|finding| {
            let Some(span) = finding.span else {
                return true;
            };
            let file = sources.name(span.source);
            let holding = overrides.iter().filter(|it| it.holds_for(file));
            let level = holding
                .filter_map(|it| it.levels.get(finding.rule))
                .next_back();
            match level.map(|level| level.severity()) {
                None => true,
                Some(None) => false,
                Some(Some(severity)) => {
                    finding.severity = severity;
                    true
                }
            }
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.found.iter()
    }

    /// Takes out findings that shall not be shown.
    pub(super) fn retain(&mut self, keep: impl FnMut(&Finding) -> bool) {
        self.found.retain(keep);
    }

    /// Reports a problem of reading as it is.
    pub(super) fn report_problem(
        &mut self,
        problem: &Problem,
        object: Option<&Object>,
    ) -> &mut Finding {
        let Problem {
            severity,
            code: _,
            message,
            help,
            span,
            related,
        } = problem;
        let object = object.map(ObjectId::from);
        let finding = self.push(object, String::new(), *span, message.clone());
        finding.severity = *severity;
        finding.help.clone_from(help);
        finding.related.clone_from(related);
        finding
    }

    /// Reports what the controller refuses, in its words.
    pub(super) fn report_refusal(&mut self, refusal: &Refusal<'_>) -> &mut Finding {
        let message = refusal.error.to_string();
        self.report(refusal.object, refusal.path.clone(), message)
    }

    fn push(
        &mut self,
        object: Option<ObjectId>,
        path: String,
        span: Option<Span>,
        message: String,
    ) -> &mut Finding {
        let finding = Finding {
            rule: self.rule,
            severity: self.default_severity,
            confidence: Confidence::High,
            message,
            help: None,
            span,
            path,
            object,
            related: Vec::new(),
            fix: None,
            counterexample: None,
        };
        self.found.push_mut(finding)
    }

    /// Ends the rule: what the settings say of its severity goes over what the rule said.
    pub(super) fn finish_rule(&mut self, from: usize) {
        let Some(severity) = self.level.and_then(Level::severity) else {
            return;
        };
        for finding in self.found.iter_mut().skip(from) {
            finding.severity = severity;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// All findings by file, place, rule and message; what several uses of a template say alike is
    /// said once, with all their related places.
    pub(super) fn into_sorted(self) -> Vec<Finding> {
        let mut found = self.found;
        found.sort_by(|a, b| {
            (a.span, a.rule, &a.message, &a.path).cmp(&(b.span, b.rule, &b.message, &b.path))
        });
        let mut merged: Vec<Finding> = Vec::with_capacity(found.len());
        for finding in found {
            match merged.last_mut() {
                Some(last) if last.is_same(&finding) => {
                    for place in finding.related {
                        if !last.related.contains(&place) {
                            last.related.push(place);
                        }
                    }
                }
                Some(_) | None => merged.push(finding),
            }
        }
        merged
    }
}

impl Finding {
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Says that the finding weighs other than the rule does by default.
    pub fn severity(&mut self, severity: Severity) -> &mut Self {
        self.severity = severity;
        self
    }

    /// High unless said otherwise.
    pub fn confidence(&mut self, confidence: Confidence) -> &mut Self {
        self.confidence = confidence;
        self
    }

    pub fn related(&mut self, span: Span, what: impl Into<String>) -> &mut Self {
        self.related.push((span, what.into()));
        self
    }

    pub fn counterexample(&mut self, counterexample: Counterexample) -> &mut Self {
        self.counterexample = Some(counterexample);
        self
    }

    pub fn fix(
        &mut self,
        applicability: Applicability,
        message: impl Into<String>,
        edits: Vec<Edit>,
    ) -> &mut Self {
        self.fix = Some(Fix {
            message: message.into(),
            applicability,
            edits,
        });
        self
    }

    fn is_same(&self, other: &Self) -> bool {
        self.rule == other.rule
            && self.span == other.span
            && self.message == other.message
            && self.path == other.path
            && self.object == other.object
    }
}
