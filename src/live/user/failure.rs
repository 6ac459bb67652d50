//! Why a request failed, and what to do next.

use std::fmt;

use crate::live::resource::Resource;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub enum Failure {
    Request(Box<FailedRequest>),
    /// What the server gave is not what it should be.
    Undecodable {
        name: String,
        reason: String,
    },
    /// The command makes no sense for the object as it is.
    Refused(String),
}

/// A request that failed.
#[derive(Debug)]
pub struct FailedRequest {
    /// As in RBAC.
    pub verb: &'static str,
    pub resource: Resource,
    pub namespace: String,
    pub server: String,
    pub error: kube::Error,
}

impl Failure {
    /// Whether somebody else changed the object meanwhile.
    pub fn is_conflict(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_conflict)
    }

    /// Whether there is no such object.
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_not_found)
    }

    fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Failure::Request(request) => match &request.error {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Failure::Undecodable { name: _, reason: _ } | Failure::Refused(_) => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Request(request) => request.fmt(formatter),
            Failure::Undecodable { name, reason } => write!(
                formatter,
                "{name:?} is not as its CRD should have it: {reason}; is the CRD of another version?"
            ),
            Failure::Refused(reason) => formatter.write_str(reason),
        }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for FailedRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            kube::Error::Api(status) => {
                formatter.write_str(status.message.trim_end())?;
                match advice(status, self.verb, &self.resource, &self.namespace) {
                    Some(advice) => write!(formatter, "; {advice}"),
                    None => Ok(()),
                }
            }
            error => write!(
                formatter,
                "no answer from {}: {}; is the cluster up, and --context or --kubeconfig right?",
                self.server,
                root_cause(error)
            ),
        }
    }
}

fn advice(
    status: &kube::core::Status,
    verb: &str,
    resource: &Resource,
    namespace: &str,
) -> Option<String> {
    let full_name = match resource.group.as_str() {
        "" => resource.plural.clone(),
        group => format!("{}.{group}", resource.plural),
    };
    let names_object = status
        .details
        .as_ref()
        .is_some_and(|details| !details.name.is_empty());
    match status.code {
        401 => Some("the credentials of the kubeconfig were not taken: log in again".into()),
        403 => Some(format!(
            "check: kubectl auth can-i {verb} {full_name} -n {namespace}"
        )),
        404 if names_object && resource.namespaced => Some(format!(
            "namespace {namespace:?} was looked at, others by -n; see: kubectl get {} -A",
            full_name
        )),
        404 if !names_object && resource.group == "argoproj.io" => Some(format!(
            "the cluster has no {}: install them by `rollproof manifests | kubectl apply --server-side -f -`",
            full_name
        )),
        _ => None,
    }
}

/// The innermost error says what happened; those around it, where.
fn root_cause(error: &kube::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    let mut depth = 0;
    while let Some(source) = cause.source() {
        cause = source;
        depth += 1;
        if depth > 32 {
            break;
        }
    }
    cause.to_string()
}
