//! Traces of templates that were not rendered.

pub(super) const RENDER_HELP: &str =
    "render the template first, for instance with `helm template`, and read its output";

/// Words that begin a statement or call of a Helm template; `{{args.x}}` of Argo Rollouts is none.
const WORDS: [&str; 11] = [
    "if", "else", "end", "range", "with", "define", "template", "include", "toYaml", "tpl", "block",
];
const OBJECTS: [&str; 6] = [
    ".Values",
    ".Release",
    ".Chart",
    ".Capabilities",
    ".Files",
    ".Template",
];

/// The first template action of a text that only a Helm template can mean.
pub(super) fn helm_action(text: &str) -> Option<&str> {
    actions(text).find(|action| {
        let inner = inner(action);
        let word = inner
            .split(|c: char| !c.is_alphanumeric())
            .next()
            .unwrap_or("");
        OBJECTS.iter().any(|object| inner.contains(object))
            || action.starts_with("{{-")
            || action.starts_with("{{/*")
            || WORDS.contains(&word)
    })
}

/// The first `{{ ... }}` of a text that stands outside of comments and quotes.
pub(super) fn bare_action(text: &str) -> Option<&str> {
    actions(text).find(|action| {
        let before = before(text, action);
        let line = before.rsplit('\n').next().unwrap_or(before);
        !line.contains(['#', '"', '\''])
    })
}

/// The text before a part of it.
pub(super) fn before<'t>(text: &'t str, part: &str) -> &'t str {
    let at = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    text.get(..at).unwrap_or_default()
}

/// All `{{ ... }}` of a text, each up to the end of its line at most.
fn actions(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("{{").filter_map(move |(at, _)| {
        let line = text.get(at..)?.split('\n').next()?;
        let end = line.find("}}").map_or(line.len(), |end| end + 2);
        line.get(..end)
    })
}

fn inner(action: &str) -> &str {
    action
        .trim_start_matches(['{', '-'])
        .trim_end_matches(['}', '-'])
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_helm_from_arguments() {
        for helm in [
            "{{ .Values.image }}",
            "a-{{- include \"x\" . }}",
            "{{ if .x }}",
            "{{/* c */}}",
            "{{ end }}",
        ] {
            assert!(helm_action(helm).is_some(), "{helm}");
        }
        for other in [
            "{{args.service}}",
            "{{ args.x }}",
            "{{ $labels.x }}",
            "{{ending}}",
        ] {
            assert_eq!(helm_action(other), None, "{other}");
        }
        assert_eq!(
            bare_action("a: '{{args.x}}'\nb: {{args.y}}\n"),
            Some("{{args.y}}")
        );
    }
}
