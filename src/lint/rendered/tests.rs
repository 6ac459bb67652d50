//! Rendered texts and what they were made from, all written for this purpose.

use super::*;

const TEMPLATE: &str = r#"{{- if .Values.analysis.enabled }}
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: {{ include "shop.name" . }}-errors
  labels:
    {{- include "shop.labels" . | nindent 4 }}
spec:
  args:
    - name: service
  metrics:
    - name: errors
      interval: {{ .Values.analysis.interval }}
      count: 5
      provider:
        prometheus:
          address: {{ .Values.prometheus | quote }}
          query: sum(rate(errors{service="{{ "{{args.service}}" }}"}[1m]))
    {{- range .Values.analysis.extra }}
    - name: {{ .name }}
      interval: 1m
      count: 5
    {{- end }}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: {{ include "shop.name" . }}
spec:
  strategy:
    canary:
      steps:
        {{- toYaml .Values.steps | nindent 8 }}
  template:
    metadata:
      labels:
        {{- include "shop.labels" . | nindent 8 }}
{{- end }}
"#;

const HELPERS: &str = r#"{{- define "shop.name" -}}
{{ .Release.Name }}-shop
{{- end }}
{{- define "shop.labels" -}}
app: shop
tier: {{ .Values.tier }}
{{- end }}
"#;

const VALUES: &str = "\
tier: front
prometheus: http://prometheus:9090
analysis:
  enabled: true
  interval: 30s
  extra:
    - name: latency
steps:
  - setWeight: 50
  - pause: {}
";

const RENDERED: &str = r#"---
# Source: shop/templates/all.yaml
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: r-shop-errors
  labels:
    app: shop
    tier: front
spec:
  args:
    - name: service
  metrics:
    - name: errors
      interval: 30s
      count: 5
      provider:
        prometheus:
          address: "http://prometheus:9090"
          query: sum(rate(errors{service="{{args.service}}"}[1m]))
    - name: latency
      interval: 1m
      count: 5
---
# Source: shop/templates/all.yaml
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: r-shop
spec:
  strategy:
    canary:
      steps:
        - setWeight: 50
        - pause: {}
  template:
    metadata:
      labels:
        app: shop
        tier: front
"#;

/// Where a text of the rendered output was written, as `file:line text`, and what is said of it.
fn origin_of(texts: &[&str]) -> (String, Vec<String>) {
    let mut originals = Sources::new();
    let files = vec![originals.add("all.yaml", TEMPLATE)];
    let helpers = vec![originals.add("_helpers.tpl", HELPERS)];
    let values = vec![(originals.add("values.yaml", VALUES), String::new())];
    let mut rendered = Sources::new();
    let parts = split_helm(RENDERED);
    assert_eq!(parts.len(), 1);
    let source = rendered.add(parts[0].0.clone(), parts[0].1.clone());
    let origin = Origin {
        files,
        helpers,
        values,
        is_template: true,
    };
    let mut start = 0;
    for text in texts {
        start += parts[0].1[start..].find(text).expect("the text is there");
    }
    let end = start + texts.last().map_or(0, |text| text.len());
    let mut related = Vec::new();
    let span = move_span(
        Span::new(source, start, end),
        &rendered,
        &BTreeMap::from([(source, origin)]),
        &mut originals,
        &mut BTreeMap::new(),
        &mut related,
    );
    let show = |span: Span| {
        let start = originals.start(span);
        format!(
            "{}:{} {}",
            originals.name(span.source),
            start.line,
            originals.slice(span)
        )
    };
    let related = related
        .iter()
        .map(|(span, what)| format!("{} ({what})", show(*span)))
        .collect();
    (show(span), related)
}

#[test]
fn literal_lines_are_found_by_their_neighbours() {
    assert_eq!(origin_of(&["count: 5"]).0, "all.yaml:14 count: 5");
    assert_eq!(
        origin_of(&["name: latency", "count: 5"]).0,
        "all.yaml:22 count: 5"
    );
    assert_eq!(
        origin_of(&["kind: Rollout", "metadata"]).0,
        "all.yaml:27 metadata"
    );
}

#[test]
fn expressions_are_pointed_at_and_their_values_too() {
    let (place, related) = origin_of(&["30s"]);
    assert_eq!(place, "all.yaml:13 {{ .Values.analysis.interval }}");
    assert_eq!(related, ["values.yaml:5 30s (the value is given here)"]);
    let (place, _) = origin_of(&["\"http://prometheus:9090\""]);
    assert_eq!(place, "all.yaml:17 {{ .Values.prometheus | quote }}");
    // A part of a line that stands there literally.
    assert_eq!(
        origin_of(&["interval: 30s", "sum(rate"]).0,
        "all.yaml:18 sum(rate"
    );
    let (place, _) = origin_of(&["sum(rate", "{{args.service}}"]);
    assert_eq!(place, "all.yaml:18 {{ \"{{args.service}}\" }}");
}

#[test]
fn what_a_whole_expression_gave_is_placed_there() {
    let (place, related) = origin_of(&["setWeight: 50"]);
    assert_eq!(place, "all.yaml:33 {{- toYaml .Values.steps | nindent 8 }}");
    assert_eq!(
        related,
        ["values.yaml:9 - setWeight: 50 (the value is given here)"]
    );
}

#[test]
fn included_texts_are_found_in_their_file() {
    assert_eq!(origin_of(&["app: shop"]).0, "_helpers.tpl:5 app: shop");
    let (place, related) = origin_of(&["tier: ", "front"]);
    assert_eq!(place, "_helpers.tpl:6 {{ .Values.tier }}");
    assert_eq!(related, ["values.yaml:1 front (the value is given here)"]);
}

#[test]
fn what_is_found_nowhere_gives_the_file_and_says_so() {
    let mut originals = Sources::new();
    let file = originals.add("a.yaml", "{{ include \"x\" . }}\n");
    let mut rendered = Sources::new();
    let source = rendered.add("a.yaml", "kind: Rollout\n");
    let mut related = Vec::new();
    let origin = Origin {
        files: vec![file],
        is_template: true,
        ..Origin::default()
    };
    let span = move_span(
        Span::new(source, 0, 13),
        &rendered,
        &BTreeMap::from([(source, origin)]),
        &mut originals,
        &mut BTreeMap::new(),
        &mut related,
    );
    assert_eq!(originals.describe(span), "a.yaml:1:1");
    assert_eq!(
        related[0].1,
        "which line gives `kind: Rollout` could not be found"
    );
}

#[test]
fn reordered_output_finds_the_patch_or_the_resource() {
    let base = "apiVersion: v1\nkind: Rollout\nmetadata:\n  name: web\nspec:\n  replicas: 3\n  strategy:\n    canary:\n      steps:\n        - setWeight: 20 # first\n          x: 1\n";
    let other = base.replace("name: web", "name: other");
    let patch = "kind: Rollout\nmetadata:\n  name: web\nspec:\n  replicas: 1\n";
    let output = "apiVersion: v1\nkind: Rollout\nmetadata:\n  name: prod-web\nspec:\n  replicas: 1\n  strategy:\n    canary:\n      steps:\n      - x: 1\n        setWeight: 20\n";
    let mut originals = Sources::new();
    let files = vec![
        originals.add("other.yaml", other),
        originals.add("base.yaml", base),
        originals.add("patch.yaml", patch),
    ];
    assert_eq!(home(output, &files, &originals), Some(files[1]));
    let origin = Origin {
        files,
        ..Origin::default()
    };
    let search = Search::new(output, &origin, &originals).expect("files");
    let find = |text: &str| {
        let start = output.find(text).expect("text");
        match search.find(start..start + text.len()) {
            Found::Written(span) => originals.describe(span),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(find("replicas: 1"), "patch.yaml:5:3");
    assert_eq!(find("setWeight: 20"), "base.yaml:10:11");
}

#[test]
fn outputs_are_split_by_file_and_document() {
    let parts =
        split_helm("---\n# Source: a/x.yaml\na: 1\n---\n# Source: a/y.yaml\nb: 1\n---\nc: 1\n");
    assert_eq!(
        parts,
        [
            (
                "a/x.yaml".to_owned(),
                "---\n# Source: a/x.yaml\na: 1\n".to_owned()
            ),
            (
                "a/y.yaml".to_owned(),
                "---\n# Source: a/y.yaml\nb: 1\n---\nc: 1\n".to_owned()
            ),
        ]
    );
    assert_eq!(
        split_documents("a: 1\n---\n\n---\nb: 1\n"),
        ["a: 1\n", "b: 1\n"]
    );
}
