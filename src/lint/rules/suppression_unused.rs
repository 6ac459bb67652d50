//! `unused-suppression`.

use crate::lint::Rule;
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "unused-suppression",
    summary: "a comment or annotation suppresses nothing, has ended, or cannot be read",
    severity: Severity::Warning,
    finds: "
Comments `# rollproof: ignore[rule] reason` and annotations `rollproof.dev/ignore` that cover no
finding of the rules they name, name a rule that does not exist, or whose `until=YYYY-MM-DD` has
passed.

A comment at the end of a line holds for findings on that line; on a line of its own for the entry
that begins on the next line, with all below it; before the first line of an object for the whole
object. `*` names all rules.",
    hurts: "
What was accepted once stays accepted: a suppression that outlives its reason hides the next
mistake at the same place.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      interval: 1m
      count: 5
      # rollproof: ignore[invalid-condition] to be repaired
      successCondition: result[0] >= 0.95
      failureLimit: 1
      provider:
        prometheus:
          address: http://prometheus.monitoring
          query: sum(rate(http_requests_total{code!~\"5..\"}[2m])) / sum(rate(http_requests_total[2m]))
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      interval: 1m
      count: 5
      # rollproof: ignore[empty-result-passes] a service without traffic counts as healthy here
      successCondition: len(result) == 0 || result[0] >= 0.95
      failureLimit: 1
      provider:
        prometheus:
          address: http://prometheus.monitoring
          query: sum(rate(http_requests_total{code!~\"5..\"}[2m])) / sum(rate(http_requests_total[2m]))
",
    settings: &[],
    // Suppressions are looked at when all other rules have run: see `lint/suppress.rs`.
    check: |_, _| {},
};
