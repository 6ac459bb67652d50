//! `invalid-yaml`.

use crate::lint::context::Context;
use crate::lint::{Findings, Rule};
use crate::source::Severity;

pub static RULE: Rule = Rule {
    name: "invalid-yaml",
    summary: "the file is no YAML or JSON that Kubernetes reads",
    severity: Severity::Error,
    finds: "
Errors of syntax, keys that are set twice, aliases and numbers that Kubernetes' reader refuses, and
what it reads in an unexpected way (a warning). Templates of Helm that were not rendered are told
apart.",
    hurts: "
`kubectl apply` and GitOps tools refuse the file, and often all others with it. Of a key that is
set twice only the last value counts.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: a
  name: b
spec:
  metrics:
    - name: m
      provider:
        web: {url: \"http://a.example/health\"}
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: a
spec:
  metrics:
    - name: m
      provider:
        web: {url: \"http://a.example/health\"}
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for problem in &context.problems {
        if problem.code.starts_with("yaml-") {
            findings.report_problem(problem, None);
        }
    }
}
