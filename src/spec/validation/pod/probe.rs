//! Probes and lifecycle handlers.

use serde_json::Value;

use super::node::{Node, invalid_each};
use super::spec::PodContext;
use crate::spec::validation::field::FieldError;
use crate::spec::validation::syntax;

pub(super) fn validate_liveness_probe(
    container: &Node<'_>,
    context: &PodContext<'_>,
) -> Vec<FieldError> {
    validate_single_success(container, "livenessProbe", context)
}

pub(super) fn validate_startup_probe(
    container: &Node<'_>,
    context: &PodContext<'_>,
) -> Vec<FieldError> {
    validate_single_success(container, "startupProbe", context)
}

pub(super) fn validate_readiness_probe(
    container: &Node<'_>,
    context: &PodContext<'_>,
) -> Vec<FieldError> {
    let Some(probe) = container.child("readinessProbe") else {
        return Vec::new();
    };
    let mut errors = validate_probe(&probe, context);
    if let Some(seconds) = probe.int("terminationGracePeriodSeconds") {
        let path = probe.path("terminationGracePeriodSeconds");
        errors.push(path.invalid(seconds, "must not be set for readinessProbes"));
    }
    errors
}

const WINDOWS_SIGNALS: [&str; 2] = ["SIGKILL", "SIGTERM"];
/// Besides `SIGRTMIN+1` to `+15` and `SIGRTMAX-1` to `-14`.
const LINUX_SIGNALS: [&str; 36] = [
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGRTMAX",
    "SIGRTMIN",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];

fn is_linux_signal(signal: &str) -> bool {
    let is_between = |number: &str, last: u32| {
        !number.starts_with('0') && number.parse().is_ok_and(|it| (1..=last).contains(&it))
    };
    LINUX_SIGNALS.contains(&signal)
        || (signal.strip_prefix("SIGRTMIN+")).is_some_and(|number| is_between(number, 15))
        || (signal.strip_prefix("SIGRTMAX-")).is_some_and(|number| is_between(number, 14))
}

pub(super) fn validate_lifecycle(
    container: &Node<'_>,
    context: &PodContext<'_>,
) -> Vec<FieldError> {
    let Some(lifecycle) = container.child("lifecycle") else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    for field in ["postStart", "preStop"] {
        if let Some(handler) = lifecycle.child(field) {
            let kinds = ["exec", "httpGet", "tcpSocket", "sleep"];
            errors.extend(validate_handler(&handler, &kinds, context));
        }
    }
    if let Some(signal) = lifecycle.get_text("stopSignal") {
        let path = lifecycle.path("stopSignal");
        match context.os {
            None => errors
                .push(path.forbidden("may not be set for containers with empty `spec.os.name`")),
            Some("windows") if !WINDOWS_SIGNALS.contains(&signal) => {
                errors.push(path.not_supported(signal, &WINDOWS_SIGNALS));
            }
            Some("linux") if !is_linux_signal(signal) => {
                // The names alone: those with a number are a hundred more.
                errors.push(path.not_supported(signal, &LINUX_SIGNALS));
            }
            Some(_) => {}
        }
    }
    errors
}

/// A success threshold of 0 becomes 1 by default.
fn validate_single_success(
    container: &Node<'_>,
    field: &str,
    context: &PodContext<'_>,
) -> Vec<FieldError> {
    let Some(probe) = container.child(field) else {
        return Vec::new();
    };
    let mut errors = validate_probe(&probe, context);
    if let Some(threshold) = probe
        .int("successThreshold")
        .filter(|threshold| ![0, 1].contains(threshold))
    {
        errors.push(
            probe
                .path("successThreshold")
                .invalid(threshold, "must be 1"),
        );
    }
    errors
}

fn validate_probe(probe: &Node<'_>, context: &PodContext<'_>) -> Vec<FieldError> {
    let mut errors = validate_handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], context);
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        errors.extend(probe.non_negative(field));
    }
    if let Some(seconds) = probe
        .int("terminationGracePeriodSeconds")
        .filter(|seconds| *seconds <= 0)
    {
        let path = probe.path("terminationGracePeriodSeconds");
        errors.push(path.invalid(seconds, "must be greater than 0"));
    }
    errors
}

/// Of several handlers the first one in the order of `kinds` is looked at, the rest is refused.
fn validate_handler(node: &Node<'_>, kinds: &[&str], context: &PodContext<'_>) -> Vec<FieldError> {
    let mut handlers = kinds
        .iter()
        .filter_map(|kind| Some((*kind, node.child(kind)?)));
    let Some((kind, handler)) = handlers.next() else {
        return vec![node.own_path().required("must specify a handler type")];
    };
    let mut errors = match kind {
        "exec" => validate_exec(&handler),
        "httpGet" => validate_http_get(&handler),
        "sleep" => validate_sleep(&handler, context),
        // TCP sockets and gRPC have a port alone.
        _ => validate_port(&handler),
    };
    errors.extend(handlers.map(|(_, handler)| {
        handler
            .own_path()
            .forbidden("may not specify more than 1 handler type")
    }));
    errors
}

fn validate_exec(exec: &Node<'_>) -> Vec<FieldError> {
    if exec.texts("command").is_empty() {
        return vec![exec.path("command").required("")];
    }
    Vec::new()
}

fn validate_http_get(http: &Node<'_>) -> Vec<FieldError> {
    let mut errors = validate_port(http);
    let scheme = http.text_or("scheme", "HTTP");
    if !["HTTP", "HTTPS"].contains(&scheme) {
        errors.push(
            http.path("scheme")
                .not_supported(scheme, &["HTTP", "HTTPS"]),
        );
    }
    for header in http.items("httpHeaders") {
        let name = header.text("name");
        errors.extend(invalid_each(
            &http.path("httpHeaders"),
            name,
            syntax::http_header_name(name),
        ));
    }
    errors
}

/// A number or the name of a port.
fn validate_port(handler: &Node<'_>) -> Vec<FieldError> {
    let path = handler.path("port");
    match handler.get("port") {
        Some(Value::String(name)) => invalid_each(&path, name, syntax::port_name(name)),
        other => {
            let number = other.and_then(Value::as_i64).unwrap_or(0);
            let detail = syntax::port_number(number);
            detail
                .into_iter()
                .map(|detail| path.invalid(number, detail))
                .collect()
        }
    }
}

fn validate_sleep(sleep: &Node<'_>, context: &PodContext<'_>) -> Vec<FieldError> {
    let seconds = sleep.int("seconds").unwrap_or(0);
    let limit = context.grace_period_seconds;
    if (1..=limit).contains(&seconds) {
        return Vec::new();
    }
    let detail = format!(
        "must be greater than 0 and less than terminationGracePeriodSeconds ({limit}). Enable AllowPodLifecycleSleepActionZeroValue feature gate for zero sleep."
    );
    vec![sleep.own_path().invalid(seconds, detail)]
}
