//! What several rules refuse for one cause is said once, by the rule that says it best.

use std::collections::BTreeSet;

use super::{Finding, Findings};
use crate::source::{Severity, SourceId};

/// Rules that repeat the controller's validation.
const VALIDATIONS: [&str; 4] = [
    "invalid-rollout",
    "invalid-pod-template",
    "invalid-reference",
    "invalid-experiment",
];
/// The API server refuses these, before the controller sees the object.
const FIELD_RULES: [&str; 2] = ["missing-field", "invalid-type"];
const ARGUMENT_RULE: &str = "missing-arg";
/// How the reference says that an argument has no value.
const UNRESOLVED: &str = " was not resolved";

/// Leaves out of the controller's refusals what another rule tells with more detail.
pub(super) fn leave_out(findings: &mut Findings<'_>) {
    let mut told: BTreeSet<Cause> = BTreeSet::new();
    let refusals = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    for finding in refusals {
        if FIELD_RULES.contains(&finding.rule) {
            told.extend(field(finding));
        } else if finding.rule == ARGUMENT_RULE {
            told.extend(argument(finding));
        }
    }
    if told.is_empty() {
        return;
    }
    findings.retain(|finding| {
        let mut causes = field(finding).into_iter().chain(argument(finding));
        !VALIDATIONS.contains(&finding.rule) || !causes.any(|cause| told.contains(&cause))
    });
}

/// The file, the name of the object, and what is wrong in it.
type Cause = (SourceId, String, String);

/// The field of the finding.
fn field(finding: &Finding) -> Option<Cause> {
    cause(finding, &finding.path)
}

/// The argument that has no value.
fn argument(finding: &Finding) -> Option<Cause> {
    let reason = finding.message.rsplit(": ").next()?;
    let is_argument = reason.starts_with("args.") && reason.ends_with(UNRESOLVED);
    is_argument.then(|| cause(finding, reason))?
}

fn cause(finding: &Finding, what: &str) -> Option<Cause> {
    let object = finding.object.as_ref()?;
    let title = format!("{}/{}/{}", object.kind, object.namespace, object.name);
    Some((finding.span?.source, title, what.to_owned()))
}
