//! Replaces what metrics authenticate with.

use std::sync::Arc;

use crate::engine::analysis::REDACTED;
use crate::engine::{Action, Decision};
use crate::spec::analysis::Metric;
use crate::spec::metric_provider::{Authentication, WebMetricHeader};

/// Whether a header of this name carries what one authenticates with.
pub fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "auth",
        "cookie",
        "token",
        "secret",
        "password",
        "key",
        "credential",
    ]
    .iter()
    .any(|part| name.contains(part))
}

/// The metrics of an object, hidden where they hold something to hide.
pub(super) fn hidden<T: Clone>(
    object: &Arc<T>,
    metrics: impl Fn(&mut T) -> &mut Vec<Metric>,
) -> Arc<T> {
    let mut copy = T::clone(object);
    let changed = hide_all(metrics(&mut copy));
    if changed {
        Arc::new(copy)
    } else {
        object.clone()
    }
}

/// Hides in each metric; whether there was something to hide.
pub(super) fn hide_all(metrics: &mut [Metric]) -> bool {
    let mut changed = false;
    for metric in metrics {
        changed |= hide(metric);
    }
    changed
}

/// Hides in the metrics of all actions.
pub(super) fn hide_in_decision<S>(decision: &mut Decision<S>) {
    for action in &mut decision.actions {
        match action {
            Action::Measure { metric, resume: _ }
            | Action::StopMeasurement {
                metric,
                measurement: _,
            } => {
                hide(metric);
            }
            Action::CreateAnalysisRun(run) => {
                hide_all(run.spec.metrics.make_mut());
            }
            Action::PatchRollout(_)
            | Action::CreateReplicaSet(_)
            | Action::UpdateReplicaSet(_)
            | Action::DeleteReplicaSet { .. }
            | Action::CreateService(_)
            | Action::DeleteService { .. }
            | Action::SelectService { .. }
            | Action::SetTraffic { .. }
            | Action::ChangeRouters { .. }
            | Action::TerminateAnalysisRun { .. }
            | Action::DeleteAnalysisRun { .. }
            | Action::CreateExperiment(_)
            | Action::TerminateExperiment { .. }
            | Action::DeleteExperiment { .. }
            | Action::ScaleDeployment { .. }
            | Action::EvictPod { .. }
            | Action::UpdatePodMetadata { .. } => {}
        }
    }
}

fn hide(metric: &mut Metric) -> bool {
    let mut changed = false;
    if let Some(prometheus) = &mut metric.provider.prometheus {
        changed |= hide_headers(&mut prometheus.headers);
        changed |= hide_authentication(&mut prometheus.authentication);
        changed |= hide_password(&mut prometheus.address);
    }
    if let Some(web) = &mut metric.provider.web {
        changed |= hide_headers(&mut web.headers);
        changed |= hide_authentication(&mut web.authentication);
        changed |= hide_password(&mut web.url);
    }
    changed
}

fn hide_headers(headers: &mut [WebMetricHeader]) -> bool {
    let mut changed = false;
    for header in headers {
        changed |= is_secret_header(&header.key) && hide_text(&mut header.value);
    }
    changed
}

fn hide_authentication(authentication: &mut Authentication) -> bool {
    let Authentication {
        sigv4: _,
        oauth2,
        basic_auth,
    } = authentication;
    let secret = hide_text(&mut oauth2.client_secret);
    hide_text(&mut basic_auth.password) || secret
}

/// A placeholder of an argument is no secret.
fn hide_text(text: &mut String) -> bool {
    if text.is_empty() || text == REDACTED || text.contains("{{") {
        return false;
    }
    REDACTED.clone_into(text);
    true
}

/// Of `scheme://user:password@host`.
fn hide_password(url: &mut String) -> bool {
    let password = url.split_once("://").and_then(|(scheme, rest)| {
        let authority = rest.split(['/', '?', '#']).next()?;
        let (user_info, _) = authority.rsplit_once('@')?;
        let (user, password) = user_info.split_once(':')?;
        Some((scheme.len() + 3 + user.len() + 1, password.to_owned()))
    });
    let Some((start, mut password)) = password else {
        return false;
    };
    let length = password.len();
    if !hide_text(&mut password) {
        return false;
    }
    url.replace_range(start..start + length, &password);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::decode::decode;
    use serde_json::json;

    #[test]
    fn what_a_metric_authenticates_with_is_hidden() {
        let provider = |token: &str, password: &str| -> Metric {
            decode(json!({"name": "m", "provider": {"web": {
                "url": format!("http://user:{password}@host/x?y"),
                "headers": [{"key": "X-Api-Token", "value": token}, {"key": "Accept", "value": "*/*"},
                            {"key": "Authorization", "value": "Bearer {{args.token}}"}],
                "authentication": {"basicAuth": {"username": "me", "password": password}}}}}))
            .unwrap()
        };
        let mut metric = provider("abc", "def");
        assert!(hide(&mut metric));
        assert_eq!(metric, provider(REDACTED, REDACTED));
        assert!(!hide(&mut metric));
    }
}
