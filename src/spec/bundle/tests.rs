use super::*;
use crate::source::Severity;

fn read(files: &[(&str, &str)]) -> (Sources, Bundle, Vec<Problem>) {
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, text)| (*name, text.as_bytes()))
        .collect();
    let mut sources = Sources::new();
    let (bundle, problems) = Bundle::read(&mut sources, &files);
    (sources, bundle, problems)
}

/// `code line:column` of each problem.
fn shown(sources: &Sources, problems: &[Problem]) -> Vec<String> {
    problems
        .iter()
        .map(|problem| {
            let place = problem.span.map(|span| sources.start(span).to_string());
            format!("{} {}", problem.code, place.unwrap_or_default())
        })
        .collect()
}

const ROLLOUT: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  strategy:
    canary:
      canaryService: web-canary
      stableService: web
      analysis:
        templates:
        - templateName: success
        - templateName: errors
          clusterScope: true
      trafficRouting:
        istio:
          virtualService: {name: web.other}
";

#[test]
fn takes_lists_apart_and_keeps_other_kinds() {
    let (_, bundle, problems) = read(&[(
        "a.yaml",
        "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: a}}\n\
         - {apiVersion: x/v1, kind: Thing, metadata: {generateName: b}}\n---\n\
         kind: RolloutList\napiVersion: argoproj.io/v1alpha1\nitems:\n- metadata: {name: c}\n",
    )]);
    assert_eq!(problems, []);
    let titles: Vec<String> = bundle.objects().iter().map(Object::title).collect();
    assert_eq!(titles, ["Secret/a", "Thing/", "Rollout/c"]);
    assert_eq!(bundle.rollouts().count(), 1);
    assert!(bundle.find("", "Secret", DEFAULT_NAMESPACE, "a").is_some());
}

#[test]
fn type_errors_are_shown_in_place_and_hide_nothing() {
    let text = "\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  replicas: three
  minReadySeconds: [1]
  strategy:
    canary:
      steps:
      - setWeight: 20
      - setWeight: 20%
---
a: [
---
apiVersion: v1
kind: Service
metadata: {name: 12}
---
just text
";
    let (sources, bundle, problems) = read(&[("a.yaml", text), ("b.yaml", ROLLOUT)]);
    assert_eq!(
        shown(&sources, &problems),
        [
            "yaml-syntax 13:4",
            "object-type 5:13",
            "object-type 6:20",
            "object-type 11:20",
            "object-type 17:18",
            "object-expected 19:1",
            "object-duplicate 3:18",
        ]
    );
    assert_eq!(
        problems[1].message,
        "`spec.replicas` must be an integer of 32 bits, not a string"
    );
    assert_eq!(bundle.objects()[0].typed, Typed::Broken);
    assert_eq!(bundle.rollouts().count(), 1);
}

#[test]
fn type_errors_in_flattened_structs_are_found() {
    let text = ROLLOUT.replace(
        "      trafficRouting",
        "        args:\n        - {name: a, value: 5}\n      trafficRouting",
    );
    let (sources, _, problems) = read(&[("a.yaml", &text)]);
    assert_eq!(shown(&sources, &problems), ["object-type 16:28"]);
    assert_eq!(
        problems[0].message,
        "`spec.strategy.canary.analysis.args[0].value` must be a string, not an integer"
    );
}

#[test]
fn incomplete_and_repeated_objects_are_problems() {
    let (sources, _, problems) = read(&[
        ("a.yaml", "kind: Rollout\nmetadata: {name: a}\n"),
        (
            "b.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata:\n  labels: {}\n",
        ),
        (
            "c.yaml",
            "apiVersion: argoproj.io/v1\nkind: Rollout\nmetadata: {name: a}\n",
        ),
        ("d.yaml", ROLLOUT),
        (
            "e.yaml",
            &ROLLOUT.replace("name: web}\nspec", "name: web, namespace: default}\nspec"),
        ),
    ]);
    assert_eq!(
        shown(&sources, &problems),
        [
            "object-incomplete 1:1",
            "object-incomplete 3:1",
            "object-version 1:13",
            "object-duplicate 3:18",
        ]
    );
    assert_eq!(problems[3].severity, Severity::Warning);
    assert_eq!(sources.describe(problems[3].related[0].0), "d.yaml:3:18");
}

#[test]
fn references_are_followed_through_templates() {
    let templates = "\
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: success}
spec:
  args:
  - {name: token, valueFrom: {secretKeyRef: {name: prom, key: token}}}
  templates:
  - templateName: success
  - templateName: errors
---
apiVersion: argoproj.io/v1alpha1
kind: ClusterAnalysisTemplate
metadata: {name: errors}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: other}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: elsewhere}
";
    let (sources, bundle, problems) = read(&[("r.yaml", ROLLOUT), ("t.yaml", templates)]);
    assert_eq!(problems, []);
    let references: Vec<String> = bundle
        .references(&bundle.objects()[0])
        .iter()
        .map(|reference| {
            let sign = if reference.resolved.is_some() {
                '+'
            } else {
                '-'
            };
            let place = sources.describe(reference.span);
            format!("{sign}{} {} {place}", reference.kind, reference.name)
        })
        .collect();
    assert_eq!(
        references,
        [
            "-Deployment web r.yaml:5:62",
            "-Service web r.yaml:9:22",
            "-Service web-canary r.yaml:8:22",
            "+AnalysisTemplate success r.yaml:12:25",
            "+ClusterAnalysisTemplate errors r.yaml:13:25",
            "+VirtualService web r.yaml:17:34",
            "+AnalysisTemplate success t.yaml:8:19",
            "-AnalysisTemplate errors t.yaml:9:19",
            "-Secret prom t.yaml:6:52",
        ]
    );
    let missing: Vec<Problem> = bundle
        .missing_references()
        .into_iter()
        .map(|(_, problem)| problem)
        .collect();
    assert_eq!(
        shown(&sources, &missing),
        [
            "reference-missing 5:62",
            "reference-missing 9:22",
            "reference-missing 8:22",
            "template-missing 9:19",
            "reference-missing 6:52",
        ]
    );
    assert_eq!(missing[1].related.len(), 1);
    assert_eq!(missing[3].help.as_deref(), Some("set `clusterScope: true`"));
    assert_eq!(missing[4].severity, Severity::Info);
}

#[test]
fn the_view_of_a_namespace_serves_validation() {
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}}\n";
    let (_, bundle, _) = read(&[("r.yaml", ROLLOUT), ("s.yaml", service)]);
    let (_, rollout) = bundle.rollouts().next().unwrap();
    let view = bundle.in_namespace(DEFAULT_NAMESPACE);
    let (found, errors) = crate::spec::validation::resolve_references(rollout, &view);
    assert_eq!(found.services.len(), 1);
    assert!(!errors.is_empty());
}
