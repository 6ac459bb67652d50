//! Findings that users have accepted: by comment, or by annotation.
//!
//! `# rollproof: ignore[rule, ...] reason until=2027-01-31` at the end of a line holds for findings
//! on that line; on a line of its own for the entry that begins on the next line, with all below it;
//! before the first line of an object for the whole object. The annotation
//! `rollproof.dev/ignore` has the same text without `# rollproof: ignore` and holds for its object.

use super::context::Context;
use super::finding::{Finding, Findings};
use super::rules;
use crate::source::Span;
use crate::spec::bundle::Object;
use crate::spec::yaml::Comment;

/// Annotation that suppresses findings of its object.
pub const ANNOTATION: &str = "rollproof.dev/ignore";
/// Rule that reports suppressions without effect.
pub(super) const UNUSED: &str = "unused-suppression";

/// What follows `#` in a comment of ours.
const MARK: &str = "rollproof:";

struct Suppression<'b> {
    /// Where it is written.
    span: Span,
    object: Option<&'b Object>,
    rules: Vec<String>,
    /// Day, `YYYY-MM-DD`, after which it has no effect.
    until: Option<String>,
    /// Findings that start in here are suppressed.
    scope: Span,
    used: bool,
}

impl Suppression<'_> {
    fn covers(&self, finding: &Finding) -> bool {
        let starts_in = finding.span.is_some_and(|span| {
            span.source == self.scope.source
                && (self.scope.start..self.scope.end).contains(&span.start)
        });
        starts_in
            && self
                .rules
                .iter()
                .any(|rule| rule == finding.rule || rule == "*")
    }
}

/// Takes out what is suppressed and reports suppressions that are wrong, expired or without effect.
pub(super) fn apply(context: &Context<'_>, findings: &mut Findings<'_>) {
    let mut suppressions = Vec::new();
    let mut mistakes: Vec<(Span, Option<&Object>, String)> = Vec::new();
    let mut add = |text: &str, span: Span, scope: Span, object| match parse(text) {
        Ok((rules, until)) => suppressions.push(Suppression {
            span,
            object,
            rules,
            until,
            scope,
            used: false,
        }),
        Err(mistake) => mistakes.push((span, object, mistake)),
    };
    for comment in context.bundle.comments() {
        if let Some(text) = comment.text.strip_prefix(MARK) {
            let (scope, object) = scope_of(context, comment);
            match text.trim_start().strip_prefix("ignore") {
                Some(text) => add(text, comment.span, scope, object),
                None => add("", comment.span, scope, object),
            }
        }
    }
    for object in context.bundle.objects() {
        let path = ["metadata", "annotations", ANNOTATION];
        let written = path
            .iter()
            .try_fold(&object.node, |node, key| node.get(key));
        if let Some(written) = written {
            let text = written.as_str().unwrap_or_default();
            let text = if text.trim_start().starts_with('[') {
                text.to_owned()
            } else {
                // The brackets may be left out where there is no reason.
                format!("[{text}]")
            };
            add(&text, written.span, object.span, Some(object));
        }
    }
    let today = context.settings.today.as_deref();
    let is_over = |suppression: &Suppression<'_>| match (&suppression.until, today) {
        (Some(until), Some(today)) => until.as_str() < today,
        (Some(_), None) | (None, _) => false,
    };
    findings.retain(|finding| {
        let mut is_kept = true;
        for suppression in &mut suppressions {
            if suppression.covers(finding) {
                suppression.used = true;
                is_kept &= is_over(suppression);
            }
        }
        is_kept
    });
    if !rules::find(UNUSED).is_some_and(|rule| findings.start(rule)) {
        return;
    }
    let before = findings.len();
    for (span, object, mistake) in mistakes {
        report(findings, object, span, mistake).help(
            "write `# rollproof: ignore[rule] reason`, with `until=YYYY-MM-DD` where it shall end",
        );
    }
    for suppression in &suppressions {
        let Suppression {
            span,
            object,
            rules,
            until,
            scope: _,
            used,
        } = suppression;
        let names = rules.join(", ");
        if is_over(suppression) {
            let until = until.as_deref().unwrap_or_default();
            let message = format!("this suppression of {names} ended on {until}");
            report(findings, *object, *span, message)
                .help("mend what it hid, or give it a later day");
        } else if !used {
            let message = format!("nothing here is suppressed: no finding of {names}");
            report(findings, *object, *span, message).help("remove it");
        }
    }
    findings.finish_rule(before);
}

fn report<'f>(
    findings: &'f mut Findings<'_>,
    object: Option<&Object>,
    span: Span,
    message: String,
) -> &'f mut Finding {
    findings.report_text(object, span, message)
}

/// Rules and last day of `[rule, ...] reason until=DAY`.
fn parse(text: &str) -> Result<(Vec<String>, Option<String>), String> {
    let inner = text
        .trim_start()
        .strip_prefix('[')
        .and_then(|text| text.split_once(']'));
    let Some((names, reason)) = inner else {
        return Err("this comment does not say which rules to ignore".to_owned());
    };
    let rules: Vec<String> = names
        .split(',')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    if rules.is_empty() {
        return Err("this comment does not say which rules to ignore".to_owned());
    }
    let is_known = |name: &String| name == "*" || rules::find(name).is_some();
    if let Some(name) = rules.iter().find(|name| !is_known(name)) {
        return Err(format!("there is no rule `{name}`"));
    }
    let until = reason
        .split_whitespace()
        .find_map(|word| word.strip_prefix("until="));
    if let Some(day) = until.filter(|day| !is_day(day)) {
        return Err(format!("`{day}` is no day of the form YYYY-MM-DD"));
    }
    Ok((rules, until.map(str::to_owned)))
}

/// Whether the text is a day in the form that sorts by time.
pub(super) fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |part: &str, length: usize| {
        let digits = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<u32>().ok()).flatten()
    };
    match parts.as_slice() {
        [year, month, day] => {
            number(year, 4).is_some()
                && number(month, 2).is_some_and(|month| (1..=12).contains(&month))
                && number(day, 2).is_some_and(|day| (1..=31).contains(&day))
        }
        _ => false,
    }
}

/// What a comment holds for, and the object that is.
fn scope_of<'b>(context: &Context<'b>, comment: &Comment) -> (Span, Option<&'b Object>) {
    let source = comment.span.source;
    let text = context.sources.text(source);
    let at = comment.span.start as usize;
    let line_start = text
        .get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |end| end + 1);
    let line_end = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.find('\n').map_or(rest.len(), |length| length + 1)
    };
    let stands_alone = text
        .get(line_start..at)
        .is_some_and(|before| before.trim().is_empty());
    let objects = || {
        context
            .bundle
            .objects()
            .iter()
            .filter(move |object| object.source == source)
    };
    let first = if stands_alone {
        next_content(text, line_end(at))
    } else {
        line_start
    };
    let begins = |object: &&Object| {
        let start = object.span.start as usize;
        stands_alone && start >= first && start < line_end(first)
    };
    if let Some(object) = objects().find(begins) {
        return (object.span, Some(object));
    }
    let end = if stands_alone {
        end_of_block(text, first)
    } else {
        line_end(first)
    };
    let scope = Span::new(source, first, end);
    let holder = objects()
        .find(|object| object.span.start as usize <= first && first < object.span.end as usize);
    (scope, holder)
}

/// Start of the first line from `from` on that is neither empty nor a comment.
fn next_content(text: &str, from: usize) -> usize {
    let mut start = from;
    for line in text.get(from..).unwrap_or_default().split_inclusive('\n') {
        let trimmed = line.trim();
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            break;
        }
        start += line.len();
    }
    start
}

/// End of the entry that begins on the line at `start`: up to the next line that is indented as
/// little, where a dash counts as indentation of what follows it.
fn end_of_block(text: &str, start: usize) -> usize {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let mut end = start;
    let mut own = None;
    for line in text.get(start..).unwrap_or_default().split_inclusive('\n') {
        let content = line.trim();
        let is_empty = content.is_empty() || content.starts_with('#');
        match own {
            None => own = Some((indent(line), content.starts_with("- "))),
            // A list may stand at the indentation of its key.
            Some((own, is_item)) if !is_empty => {
                let deeper = indent(line) > own;
                let list_of_key = indent(line) == own && content.starts_with('-') && !is_item;
                if !deeper && !list_of_key {
                    break;
                }
            }
            Some(_) => {}
        }
        end += line.len();
    }
    end
}
