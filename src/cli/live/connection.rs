//! Flags that say which cluster, as kubectl names them.

use std::path::PathBuf;
use std::time;

use clap::Args;

use crate::live::client::{Settings, Token};
use crate::time::Duration;

/// Title of these flags in helps.
pub(super) const HEADING: &str = "Cluster";

/// Before a command or after it; what stands after it counts.
#[derive(Debug, Clone, Default, PartialEq, Args)]
#[command(next_help_heading = HEADING)]
pub(in crate::cli) struct Connection {
    /// The kubeconfig; else those of KUBECONFIG, ~/.kube/config, or the pod's own account.
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig, instead of its current one.
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,

    /// Namespace, instead of the context's.
    #[arg(long, short, global = true, value_name = "NAME")]
    namespace: Option<String>,

    /// Cluster of the kubeconfig, instead of the context's.
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    cluster: Option<String>,

    /// User of the kubeconfig, instead of the context's.
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    user: Option<String>,

    /// Address of the API server.
    #[arg(long, short, global = true, value_name = "URL", hide_short_help = true)]
    server: Option<String>,

    /// Bearer token for the API server.
    #[arg(long, global = true, value_name = "TOKEN", hide_short_help = true, value_parser = token)]
    token: Option<Token>,

    /// Act as this user.
    #[arg(
        long = "as",
        global = true,
        value_name = "USER",
        hide_short_help = true
    )]
    impersonate: Option<String>,

    /// Act as a member of this group; may be given several times.
    #[arg(
        long = "as-group",
        global = true,
        value_name = "GROUP",
        hide_short_help = true
    )]
    impersonate_groups: Vec<String>,

    /// Take any certificate of the server, which lets others listen.
    #[arg(long, global = true, hide_short_help = true)]
    insecure_skip_tls_verify: bool,

    /// How long to wait for an answer, such as 30s; 0 for ever.
    #[arg(long, global = true, value_name = "TIME", hide_short_help = true, value_parser = timeout)]
    request_timeout: Option<Duration>,
}

/// How long a command waits for an answer, where nothing is watched and no flag says otherwise.
const REQUEST_TIMEOUT: time::Duration = time::Duration::from_secs(30);

impl Connection {
    /// Whether no flag was given.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        *self == Connection::default()
    }

    /// For single requests: these flags, and where they say nothing those `outer`.
    pub(super) fn settings(&self, outer: &Connection) -> Settings {
        let timeout = self.request_timeout.or(outer.request_timeout);
        let request_timeout = match timeout {
            None => Some(REQUEST_TIMEOUT),
            Some(timeout) if timeout.is_zero() => None,
            Some(timeout) => u64::try_from(timeout.as_nanos())
                .ok()
                .map(time::Duration::from_nanos),
        };
        Settings {
            request_timeout,
            ..self.watching(outer)
        }
    }

    /// For watches, during which a server is silent for long: see [`Connection::settings`].
    pub(super) fn watching(&self, outer: &Connection) -> Settings {
        fn first<T: Clone>(inner: &Option<T>, outer: &Option<T>) -> Option<T> {
            inner.as_ref().or(outer.as_ref()).cloned()
        }
        let groups = if self.impersonate_groups.is_empty() {
            &outer.impersonate_groups
        } else {
            &self.impersonate_groups
        };
        Settings {
            kubeconfig: first(&self.kubeconfig, &outer.kubeconfig),
            context: first(&self.context, &outer.context),
            cluster: first(&self.cluster, &outer.cluster),
            user: first(&self.user, &outer.user),
            server: first(&self.server, &outer.server),
            token: first(&self.token, &outer.token),
            namespace: first(&self.namespace, &outer.namespace),
            insecure_skip_tls_verify: self.insecure_skip_tls_verify
                || outer.insecure_skip_tls_verify,
            impersonate: first(&self.impersonate, &outer.impersonate),
            impersonate_groups: groups.clone(),
            request_timeout: None,
        }
    }
}

fn token(text: &str) -> Result<Token, String> {
    Ok(Token(text.to_owned()))
}

/// A number without a unit is seconds, as for kubectl.
fn timeout(text: &str) -> Result<Duration, String> {
    let duration = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(i64::from(seconds)),
        Err(_) => Duration::parse_go(text).map_err(|error| error.to_string())?,
    };
    if duration.is_negative() {
        return Err("a timeout is not negative".to_owned());
    }
    Ok(duration)
}
