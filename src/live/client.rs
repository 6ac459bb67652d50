//! The client of a cluster's API server: from a kubeconfig, or from within a pod.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderValue, header};
use hyper_util::client::proxy::matcher::Matcher;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// Which cluster, as whom, and where in it. What is not set comes from the kubeconfig.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// File to read; none: the files of `KUBECONFIG`, else `~/.kube/config`, else the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
    pub cluster: Option<String>,
    pub user: Option<String>,
    /// `https://host:port` of the API server.
    pub server: Option<String>,
    pub token: Option<Token>,
    pub namespace: Option<String>,
    /// Whether any certificate of the server is taken.
    pub insecure_skip_tls_verify: bool,
    /// User to act as.
    pub impersonate: Option<String>,
    pub impersonate_groups: Vec<String>,
    /// How long the server may be silent; none for ever. Not to be set where something is watched.
    pub request_timeout: Option<Duration>,
}

/// A bearer token, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(..)")
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{0}; name an existing file by --kubeconfig, or in KUBECONFIG")]
    Kubeconfig(Box<KubeconfigError>),
    #[error("the kubeconfig has no context {context:?}; it has {known}")]
    UnknownContext { context: String, known: String },
    #[error("the kubeconfig has no current context; name one by --context, it has {known}")]
    NoContext { known: String },
    #[error(
        "there is neither a kubeconfig nor a service account of a pod; name a file by --kubeconfig, or in KUBECONFIG"
    )]
    NoCluster,
    #[error("{flag} {value:?} cannot be used: {reason}")]
    Setting {
        flag: &'static str,
        value: String,
        reason: String,
    },
    #[error("the client cannot be made: {0}")]
    Client(Box<kube::Error>),
}

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The client's configuration; its `default_namespace` is the one to work in.
///
/// # Errors
/// See [`ConnectError`].
pub async fn configure(settings: &Settings) -> Result<Config, ConnectError> {
    let Settings {
        kubeconfig: _,
        context: _,
        cluster: _,
        user: _,
        server,
        token,
        namespace,
        insecure_skip_tls_verify,
        impersonate,
        impersonate_groups,
        request_timeout,
    } = settings;
    let mut config = base_config(settings).await?;
    if let Some(server) = server {
        config.cluster_url = server
            .parse()
            .map_err(|error| setting("--server", server, &error))?;
    }
    if let Some(Token(token)) = token {
        config.auth_info.token = Some(token.clone().into());
        config.auth_info.token_file = None;
    }
    if let Some(namespace) = namespace {
        config.default_namespace.clone_from(namespace);
    }
    config.accept_invalid_certs |= insecure_skip_tls_verify;
    if impersonate.is_some() {
        config.auth_info.impersonate.clone_from(impersonate);
    }
    if !impersonate_groups.is_empty() {
        config.auth_info.impersonate_groups = Some(impersonate_groups.clone());
    }
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = *request_timeout;
    // Else the time that a connection was idle counts as silence.
    config.reset_reader_on_write = true;
    let agent = HeaderValue::from_static(concat!("rollproof/", env!("CARGO_PKG_VERSION")));
    config.headers.push((header::USER_AGENT, agent));
    Ok(config)
}

/// A client with this configuration.
///
/// # Errors
/// Certificates or keys that cannot be read.
pub fn client(config: Config) -> Result<Client, ConnectError> {
    use_ring();
    Client::try_from(config).map_err(|error| ConnectError::Client(Box::new(error)))
}

/// Chooses the cryptography of all TLS connections of this process; may be called again.
pub fn use_ring() {
    // An error says that it has been chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

async fn base_config(settings: &Settings) -> Result<Config, ConnectError> {
    let read = match &settings.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let named = settings.kubeconfig.is_some() || std::env::var_os("KUBECONFIG").is_some();
    let kubeconfig = match read {
        Ok(kubeconfig) => kubeconfig,
        Err(KubeconfigError::ReadConfig(..) | KubeconfigError::FindPath) if !named => {
            let mut config = Config::incluster().map_err(|_| ConnectError::NoCluster)?;
            config.proxy_url = proxy_of_environment(&config);
            return Ok(config);
        }
        Err(error) => return Err(ConnectError::Kubeconfig(Box::new(error))),
    };
    let known = known_contexts(&kubeconfig);
    let context = settings
        .context
        .as_ref()
        .or(kubeconfig.current_context.as_ref())
        .filter(|context| !context.is_empty())
        .cloned();
    let Some(context) = context else {
        return Err(ConnectError::NoContext { known });
    };
    let has_own_proxy = has_own_proxy(&kubeconfig, &context, settings.cluster.as_deref());
    let options = KubeConfigOptions {
        context: Some(context),
        cluster: settings.cluster.clone(),
        user: settings.user.clone(),
    };
    match Config::from_custom_kubeconfig(kubeconfig, &options).await {
        Ok(mut config) => {
            if !has_own_proxy {
                config.proxy_url = proxy_of_environment(&config);
            }
            Ok(config)
        }
        Err(KubeconfigError::LoadContext(context)) => {
            Err(ConnectError::UnknownContext { context, known })
        }
        Err(error) => Err(ConnectError::Kubeconfig(Box::new(error))),
    }
}

fn known_contexts(kubeconfig: &Kubeconfig) -> String {
    let names: Vec<&str> = kubeconfig
        .contexts
        .iter()
        .map(|context| context.name.as_str())
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// Whether the cluster of the context names a proxy, which then counts whatever the environment says.
fn has_own_proxy(kubeconfig: &Kubeconfig, context: &str, cluster: Option<&str>) -> bool {
    let of_context = kubeconfig
        .contexts
        .iter()
        .find(|named| named.name == context)
        .and_then(|named| named.context.as_ref())
        .map(|context| context.cluster.as_str());
    let name = cluster.or(of_context);
    kubeconfig
        .clusters
        .iter()
        .filter(|named| Some(named.name.as_str()) == name)
        .filter_map(|named| named.cluster.as_ref())
        .any(|cluster| {
            cluster
                .proxy_url
                .as_ref()
                .is_some_and(|proxy| !proxy.is_empty())
        })
}

/// kube asks whether the proxy's own address is in `NO_PROXY`; what counts is the server's.
fn proxy_of_environment(config: &Config) -> Option<http::Uri> {
    let intercept = Matcher::from_env().intercept(&config.cluster_url)?;
    // kube's still has the user and password in it.
    let with_user = config.proxy_url.clone();
    Some(with_user.unwrap_or_else(|| intercept.uri().clone()))
}

fn setting(flag: &'static str, value: &str, reason: &dyn std::fmt::Display) -> ConnectError {
    ConnectError::Setting {
        flag,
        value: value.to_owned(),
        reason: reason.to_string(),
    }
}
