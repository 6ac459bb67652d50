//! `secret-in-template`.

use crate::lint::context::Context;
use crate::lint::{Confidence, Findings, Rule};
use crate::source::Severity;
use crate::spec::bundle::{Object, Typed};
use crate::spec::yaml::{Node, Step, Value, path};

pub static RULE: Rule = Rule {
    name: "secret-in-template",
    summary: "a token, password or key is written in the manifest",
    severity: Severity::Warning,
    finds: "
Literal values of headers such as `Authorization`, of arguments, and of provider settings (OAuth2, basic
authentication, environment variables of jobs, credentials in addresses) that are secrets by their names,
and values that look like tokens of well-known services. Placeholders, references to Secrets, and texts
such as `<token>` or `${TOKEN}` that something fills in later are left alone.",
    hurts: "
Whoever may read the repository or the template may use the token, and it stays in the history when it
is taken out. Arguments are also copied into every AnalysisRun.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: smoke
spec:
  metrics:
    - name: smoke
      count: 1
      successCondition: result == true
      provider:
        web:
          url: https://shop.example.com/smoke
          headers:
            - key: Authorization
              value: Bearer 5f2d9a7c1be84d0c
          jsonPath: '{$.ok}'
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: smoke
spec:
  args:
    - name: token
      valueFrom:
        secretKeyRef:
          name: smoke-token
          key: token
  metrics:
    - name: smoke
      count: 1
      successCondition: result == true
      provider:
        web:
          url: https://shop.example.com/smoke
          headers:
            - key: Authorization
              value: Bearer {{args.token}}
          jsonPath: '{$.ok}'
",
    settings: &[],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    for object in context.bundle.objects() {
        match &object.typed {
            Typed::AnalysisTemplate(_)
            | Typed::ClusterAnalysisTemplate(_)
            | Typed::AnalysisRun(_) => {
                search(object, "spec.args", findings);
                search(object, "spec.metrics", findings);
            }
            Typed::Experiment(_) => search(object, "spec.analyses", findings),
            Typed::Rollout(_) => {
                search(object, "spec.strategy.canary.analysis", findings);
                search(object, "spec.strategy.canary.steps", findings);
                search(
                    object,
                    "spec.strategy.blueGreen.prePromotionAnalysis",
                    findings,
                );
                search(
                    object,
                    "spec.strategy.blueGreen.postPromotionAnalysis",
                    findings,
                );
            }
            Typed::Service(_) | Typed::Deployment(_) | Typed::Broken | Typed::Untyped => {}
        }
    }
}

/// Looks at every text below a path.
fn search(object: &Object, path: &str, findings: &mut Findings<'_>) {
    if let Some(node) = object.node.at(path) {
        let mut texts = Texts {
            object,
            path: path::parse(path),
            findings,
        };
        texts.search(node);
    }
}

struct Texts<'o, 'f, 's> {
    object: &'o Object,
    /// Of what is looked at.
    path: Vec<Step>,
    findings: &'f mut Findings<'s>,
}

impl Texts<'_, '_, '_> {
    /// Depth is bounded by that of the reader.
    fn search(&mut self, node: &Node) {
        match &node.value {
            Value::Seq(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push(Step::Index(index));
                    self.search(item);
                    self.path.pop();
                }
            }
            Value::Map(map) => {
                // `{name: ..., value: ...}` and `{key: ..., value: ...}`.
                let label = node
                    .get("name")
                    .or_else(|| node.get("key"))
                    .and_then(Node::as_str);
                for entry in map.entries() {
                    let name = match label {
                        Some(label) if entry.key == "value" => label,
                        Some(_) | None => entry.key.as_str(),
                    };
                    self.path.push(Step::Key(entry.key.clone()));
                    if let Some(text) = entry.value.as_str() {
                        self.judge(&entry.value, name, text);
                    }
                    self.search(&entry.value);
                    self.path.pop();
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::UInt(_)
            | Value::Float(_)
            | Value::String(_) => {}
        }
    }

    fn judge(&mut self, node: &Node, name: &str, text: &str) {
        if is_filled_in_later(text) {
            return;
        }
        let (what, confidence) = if looks_like_token(text) {
            (
                "looks like the token of a service".to_owned(),
                Confidence::High,
            )
        } else if has_credentials(text) {
            (
                "holds a user name and a password".to_owned(),
                Confidence::High,
            )
        } else if names_secret(name) {
            (
                format!("is a secret by its name, `{name}`"),
                Confidence::Medium,
            )
        } else {
            return;
        };
        let message = format!("this text {what}: everybody who reads the manifest has it");
        let path = path::display(&self.path);
        self.findings
            .report_at(self.object, path, node.span, message)
            .help("put it into a Secret, and take it from there: an argument with `valueFrom: {secretKeyRef: ...}` in the template")
            .confidence(confidence);
    }
}

/// Whether the text is no secret yet.
fn is_filled_in_later(text: &str) -> bool {
    let text = text.trim();
    let bare = ["Bearer ", "Basic ", "Token ", "token "]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text)
        .trim();
    bare.is_empty()
        || text.contains("{{")
        || text.contains('$')
        || bare.starts_with('<') && bare.ends_with('>')
        || bare.chars().all(|c| matches!(c, '*' | 'x' | 'X' | '.'))
        || matches!(bare, "true" | "false" | "none" | "null" | "changeme")
}

fn names_secret(name: &str) -> bool {
    let name: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    const HARMLESS_ENDS: [&str; 16] = [
        "name",
        "url",
        "uri",
        "ref",
        "path",
        "file",
        "ttl",
        "count",
        "limit",
        "enabled",
        "namespace",
        "type",
        "total",
        "rate",
        "id",
        "seconds",
    ];
    const WORDS: [&str; 12] = [
        "password",
        "passwd",
        "token",
        "secret",
        "apikey",
        "accesskey",
        "privatekey",
        "appkey",
        "authorization",
        "credential",
        "signingkey",
        "xauth",
    ];
    WORDS.iter().any(|word| name.contains(word))
        && !HARMLESS_ENDS.iter().any(|end| name.ends_with(end))
}

/// Prefixes by which services mark their tokens.
fn looks_like_token(text: &str) -> bool {
    const STARTS: [&str; 11] = [
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "AKIA",
        "sk_live_",
        "NRAK-",
        "-----BEGIN",
    ];
    text.split_whitespace().any(|word| {
        let is_long = word.len() >= 16;
        STARTS.iter().any(|start| word.starts_with(start)) && (is_long || word.starts_with("-----"))
            || word.starts_with("eyJ") && word.matches('.').count() == 2 && is_long
    })
}

/// Whether the text is an address with `user:password@`.
fn has_credentials(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .and_then(|(user, _)| user.split_once(':'))
        .is_some_and(|(_, password)| !password.is_empty())
}
