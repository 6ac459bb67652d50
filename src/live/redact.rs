//! Keeps the values of secrets out of what is written: logs, statuses, recordings.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::engine::Observed;
use crate::engine::analysis::REDACTED;
use crate::providers::prometheus::form_encoded;
use crate::sim::recording::is_secret_header;
use crate::spec::analysis::{AnalysisRun, Metric};
use crate::spec::metric_provider::{Authentication, WebMetricHeader};

/// A shorter value is found by chance in any text: to replace it would tell what it is.
const SHORTEST: usize = 4;
/// A line of a secret of several lines is a secret itself from this length on.
const SHORTEST_LINE: usize = 16;
/// Values that a [`SecretBook`] remembers.
const MAX_BOOK: usize = 4096;

/// Replaces secrets, also as they stand in URLs, in JSON and in HTTP's basic authentication.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Redactor {
    /// Longest first, so that one that holds another leaves no rest.
    needles: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Redactor(..)")
    }
}

impl Redactor {
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        Self::default().with(secrets)
    }

    /// With these secrets too.
    pub fn with(&self, secrets: impl IntoIterator<Item = String>) -> Self {
        let mut needles: BTreeSet<String> = self.needles.iter().cloned().collect();
        for secret in secrets {
            needles.extend(forms(&secret));
        }
        let mut needles: Vec<String> = needles.into_iter().collect();
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        Self { needles }
    }

    pub fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// `text` with each secret replaced.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for needle in &self.needles {
            if text.contains(needle.as_str()) {
                text = Cow::Owned(text.replace(needle.as_str(), REDACTED));
            }
        }
        text
    }

    /// Replaces secrets in all texts and keys of a document.
    pub fn json(&self, value: &mut Value) {
        if self.is_empty() {
            return;
        }
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => {
                let text = number.to_string();
                if let Cow::Owned(redacted) = self.text(&text) {
                    *value = Value::String(redacted);
                }
            }
            Value::String(text) => {
                if let Cow::Owned(redacted) = self.text(text) {
                    *text = redacted;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(members) => {
                for item in members.values_mut() {
                    self.json(item);
                }
                if members
                    .keys()
                    .any(|key| matches!(self.text(key), Cow::Owned(_)))
                {
                    *members = std::mem::take(members)
                        .into_iter()
                        .map(|(key, item)| (self.text(&key).into_owned(), item))
                        .collect();
                }
            }
        }
    }
}

/// The values of the Secrets that a run's arguments refer to, and what its metrics
/// authenticate with.
pub fn secrets_of_run(run: &AnalysisRun, observed: &Observed) -> Vec<String> {
    let mut secrets: Vec<String> = run
        .spec
        .args
        .iter()
        .filter_map(|argument| argument.value_from.as_ref()?.secret_key_ref.as_ref())
        .filter_map(|reference| observed.secrets.get(&*reference.name)?.get(&reference.key))
        .cloned()
        .collect();
    secrets.extend(run.spec.metrics.iter().flat_map(secrets_of_metric));
    secrets
}

/// What a metric authenticates with: passwords, tokens, headers that carry such.
pub fn secrets_of_metric(metric: &Metric) -> Vec<String> {
    let mut secrets = Vec::new();
    if let Some(prometheus) = &metric.provider.prometheus {
        secrets.extend(of_authentication(&prometheus.authentication));
        secrets.extend(of_headers(&prometheus.headers));
        secrets.extend(of_url(&prometheus.address));
    }
    if let Some(web) = &metric.provider.web {
        secrets.extend(of_authentication(&web.authentication));
        secrets.extend(of_headers(&web.headers));
        secrets.extend(of_url(&web.url));
    }
    // A placeholder is no secret, and is needed to understand a manifest.
    secrets.retain(|secret| !(secret.starts_with("{{") && secret.ends_with("}}")));
    secrets
}

fn of_authentication(authentication: &Authentication) -> Vec<String> {
    let Authentication {
        sigv4: _,
        oauth2,
        basic_auth,
    } = authentication;
    let mut secrets = vec![oauth2.client_secret.clone(), basic_auth.password.clone()];
    if !basic_auth.password.is_empty() {
        secrets.push(basic_credentials(
            &basic_auth.username,
            &basic_auth.password,
        ));
    }
    if !oauth2.client_secret.is_empty() {
        let encode = form_encoded;
        secrets.push(basic_credentials(
            &encode(&oauth2.client_id),
            &encode(&oauth2.client_secret),
        ));
    }
    secrets
}

/// What follows `Basic ` in a header.
pub(super) fn basic_credentials(user: &str, password: &str) -> String {
    BASE64_STANDARD.encode(format!("{user}:{password}"))
}

/// Values of headers whose names say that they are secret; of `scheme credentials` the latter.
fn of_headers(headers: &[WebMetricHeader]) -> Vec<String> {
    let mut secrets = Vec::new();
    for WebMetricHeader { key, value } in headers {
        if !is_secret_header(key) {
            continue;
        }
        match value.split_once(' ') {
            Some((_, credentials)) => secrets.push(credentials.trim().to_owned()),
            None => secrets.push(value.clone()),
        }
    }
    secrets
}

/// The password of `scheme://user:password@host`.
fn of_url(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user_info, _) = authority.rsplit_once('@')?;
    let (_, password) = user_info.split_once(':')?;
    Some(password.to_owned())
}

/// As it is, and as it stands in URLs, in JSON and in base64.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = Vec::new();
    let trimmed = secret.trim();
    if trimmed.len() < SHORTEST {
        return forms;
    }
    forms.push(trimmed.to_owned());
    let form = form_encoded(trimmed);
    forms.push(form.replace('+', "%20"));
    forms.push(form);
    if let Ok(quoted) = serde_json::to_string(trimmed) {
        forms.push(quoted.trim_matches('"').to_owned());
    }
    for text in [secret, trimmed] {
        forms.push(BASE64_STANDARD.encode(text));
        forms.push(BASE64_STANDARD_NO_PAD.encode(text));
        forms.push(BASE64_URL_SAFE_NO_PAD.encode(text));
    }
    if trimmed.contains('\n') {
        let lines = trimmed.lines().map(str::trim);
        forms.extend(
            lines
                .filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("-----"))
                .map(str::to_owned),
        );
    }
    forms
}

/// The secrets that a process has seen, for what writes without knowing of whom: the log.
#[derive(Clone, Default)]
pub struct SecretBook {
    inner: Arc<RwLock<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// Oldest first.
    order: VecDeque<String>,
    redactor: Redactor,
}

impl fmt::Debug for SecretBook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretBook(..)")
    }
}

impl SecretBook {
    /// Remembers secrets; beyond 4096 values the oldest are forgotten.
    pub fn learn(&self, secrets: impl IntoIterator<Item = String>) {
        let mut new: Vec<String> = secrets
            .into_iter()
            .filter(|secret| secret.trim().len() >= SHORTEST)
            .collect();
        {
            let seen = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            new.retain(|secret| !seen.order.contains(secret));
        }
        if new.is_empty() {
            return;
        }
        let mut seen = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        seen.order.extend(new);
        while seen.order.len() > MAX_BOOK {
            seen.order.pop_front();
        }
        seen.redactor = Redactor::new(seen.order.iter().cloned());
    }

    /// `text` with each known secret replaced.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let seen = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        seen.redactor.text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::decode::decode;
    use serde_json::json;

    #[test]
    fn secrets_are_replaced_in_every_form() {
        let redactor = Redactor::new(["s3cr3t/+\"x".to_owned(), "abc".into()]);
        for (text, wanted) in [
            ("token=s3cr3t/+\"x!", "token=*****!"),
            ("?t=s3cr3t%2F%2B%22x&u", "?t=*****&u"),
            (r#"{"t":"s3cr3t/+\"x"}"#, r#"{"t":"*****"}"#),
            ("Basic czNjcjN0LysieA==", "Basic *****"),
            ("abc", "abc"),
        ] {
            assert_eq!(redactor.text(text), wanted);
        }
        let mut document = json!({"s3cr3t/+\"x": ["s3cr3t/+\"x", 1]});
        redactor.json(&mut document);
        assert_eq!(document, json!({"*****": ["*****", 1]}));
    }

    #[test]
    fn what_a_metric_authenticates_with_is_secret() {
        let metric: Metric = decode(json!({"name": "m", "provider": {"web": {
            "url": "http://user:wordpass@host/x",
            "headers": [{"key": "Authorization", "value": "Bearer abcdef"},
                        {"key": "X-Api-Key", "value": "{{args.key}}"},
                        {"key": "Accept", "value": "text/plain"}],
            "authentication": {"basicAuth": {"username": "me", "password": "hunter2"}}}}}))
        .unwrap();
        let redactor = Redactor::new(secrets_of_metric(&metric));
        assert_eq!(
            redactor.text("abcdef wordpass hunter2 bWU6aHVudGVyMg== {{args.key}} text/plain"),
            "***** ***** ***** ***** {{args.key}} text/plain"
        );
    }

    #[test]
    fn a_book_learns_and_forgets() {
        let book = SecretBook::default();
        book.learn(["first-secret".to_owned()]);
        assert_eq!(book.redact("a first-secret b"), "a ***** b");
        book.learn((0..MAX_BOOK).map(|number| format!("secret-{number}-")));
        assert_eq!(book.redact("first-secret"), "first-secret");
        assert_eq!(book.redact("secret-4095-"), "*****");
    }
}
