//! `rollproof controller`: runs as the controller of a cluster.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use k8s_openapi::api::core::v1::Namespace;
use tokio::sync::{oneshot, watch};
use tracing::level_filters::LevelFilter;

use super::Outcome;
use super::reference_flags::ReferenceFlags;
use crate::live::health::{self, Readiness};
use crate::live::leader::{self, Election, Fence};
use crate::live::metrics::Metrics;
use crate::live::record::Recorder;
use crate::live::redact::SecretBook;
use crate::live::{Controller, Listener, Options, Signals, Workers, client, log};

/// Where a pod finds its namespace.
const ACCOUNT_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// The reference's namespace of the lease outside of a pod.
const LEASE_NAMESPACE: &str = "argo-rollouts";
/// How long the lease may take to be given back.
const MAX_RELEASE: Duration = Duration::from_secs(5);

/// Of Prometheus metrics that name no address, as for the reference.
const PROMETHEUS_ADDRESS: &str = "ARGO_ROLLOUTS_PROMETHEUS_ADDRESS";

/// Run as the controller of a cluster, in the place of the Argo Rollouts controller.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Kubeconfig of the cluster [default: that of the environment, or the pod's own account].
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Namespace of --namespaced [default: the kubeconfig's].
    #[arg(long, short = 'n', value_name = "NAME")]
    namespace: Option<String>,

    /// Look at one namespace only, which needs no rights over the cluster.
    #[arg(long)]
    namespaced: bool,

    /// Look only at objects with this label argo-rollouts.argoproj.io/controller-instance-id; without,
    /// only at those that have none.
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,

    /// Decide and report what would be done, but write nothing.
    #[arg(long)]
    dry_run: bool,

    /// Rollouts that are looked at at once.
    #[arg(long, default_value_t = 10, value_name = "N")]
    rollout_threads: usize,

    /// AnalysisRuns that are looked at at once; those that wait for measurements do not count.
    #[arg(long, default_value_t = 30, value_name = "N")]
    analysis_threads: usize,

    /// Experiments that are looked at at once.
    #[arg(long, default_value_t = 10, value_name = "N")]
    experiment_threads: usize,

    /// Calls of the API server a second, on average.
    #[arg(long, default_value_t = 200.0, value_name = "N")]
    qps: f64,

    /// Calls of the API server at once.
    #[arg(long, default_value_t = 400, value_name = "N")]
    burst: u32,

    /// Whether several controllers elect the one that writes; a dry run does not take part.
    #[arg(
        long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1,
        default_missing_value = "true", require_equals = true, value_name = "BOOL"
    )]
    leader_elect: bool,

    /// Namespace of the lease [default: the pod's; else argo-rollouts where that exists, else the
    /// kubeconfig's].
    #[arg(long, value_name = "NAME")]
    leader_election_namespace: Option<String>,

    /// Name of this candidate, other than those of all others [default: of this process].
    #[arg(long, value_name = "ID")]
    leader_election_id: Option<String>,

    /// How long others wait when the leader is not heard of.
    #[arg(long, default_value = "15s", value_name = "TIME", value_parser = duration)]
    leader_election_lease_duration: Duration,

    /// How long the leader goes on when it cannot renew its lease.
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = duration)]
    leader_election_renew_deadline: Duration,

    /// Between two attempts to renew or get the lease.
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = duration)]
    leader_election_retry_period: Duration,

    /// Port of /healthz and /readyz; 0 for none.
    #[arg(
        long,
        alias = "healthzPort",
        default_value_t = 8080,
        value_name = "PORT"
    )]
    healthz_port: u16,

    /// Port of /metrics; 0 for none.
    #[arg(
        long, aliases = ["metricsPort", "metricsport"], default_value_t = 8090, value_name = "PORT"
    )]
    metrics_port: u16,

    /// What is logged: debug, info, warn or error.
    #[arg(
        long,
        visible_alias = "log-level",
        default_value = "info",
        value_name = "LEVEL"
    )]
    loglevel: LevelFilter,

    /// How it is logged.
    #[arg(long, visible_alias = "log-format", value_enum, default_value_t = LogFormat::Text)]
    logformat: LogFormat,

    /// Record each decision into this folder, to be decided again by `rollproof replay`.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,

    /// Megabytes that the recording may grow to; then the oldest part is deleted.
    #[arg(long, default_value_t = 1024, value_name = "MB")]
    record_limit: u64,

    #[command(flatten)]
    reference: ReferenceFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// `key=value`
    Text,
    /// One JSON object a line.
    Json,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = crate::time::Duration::parse_go(text).map_err(|error| error.to_string())?;
    let nanos = u64::try_from(duration.as_nanos()).map_err(|_| "a duration is not negative")?;
    Ok(Duration::from_nanos(nanos))
}

pub(super) fn run(arguments: &Arguments) -> io::Result<Outcome> {
    let format = match arguments.logformat {
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    };
    let secrets = SecretBook::default();
    log::start(format, arguments.loglevel, secrets.clone()).map_err(io::Error::other)?;
    arguments.reference.warn();
    // Decisions take microseconds; one thread is enough and shares nothing.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(control(arguments, secrets))
}

async fn control(arguments: &Arguments, secrets: SecretBook) -> io::Result<Outcome> {
    let settings = client::Settings {
        kubeconfig: arguments.kubeconfig.clone(),
        namespace: arguments.namespace.clone(),
        ..client::Settings::default()
    };
    let config = client::configure(&settings)
        .await
        .map_err(io::Error::other)?;
    let namespace = config.default_namespace.clone();
    let client = client::client(config).map_err(io::Error::other)?;
    let election = match arguments.leader_elect && !arguments.dry_run {
        true => Some(election(arguments, &client, &namespace).await?),
        false => None,
    };
    let metrics = Arc::new(Metrics::new());
    let mut listeners: Vec<Arc<dyn Listener>> = vec![metrics.clone()];
    let recorder = match &arguments.record {
        Some(folder) => {
            let limit = arguments.record_limit.saturating_mul(1 << 20);
            let recorder = Recorder::new(folder, limit).map_err(|error| {
                let folder = folder.display();
                io::Error::new(
                    error.kind(),
                    format!("{folder} cannot be recorded into: {error}"),
                )
            })?;
            Some(Arc::new(recorder))
        }
        None => None,
    };
    listeners.extend(recorder.iter().map(|it| it.clone() as Arc<dyn Listener>));
    let ready = Readiness::default();
    health::serve_health(arguments.healthz_port, ready.clone()).await;
    health::serve_metrics(arguments.metrics_port, metrics.clone()).await;
    let fence = election.as_ref().map_or_else(Fence::open, Fence::closed);
    let options = Options {
        namespace: arguments.namespaced.then_some(namespace),
        instance_id: arguments.instance_id.clone(),
        dry_run: arguments.dry_run,
        workers: Workers {
            rollouts: arguments.rollout_threads,
            runs: arguments.analysis_threads,
            experiments: arguments.experiment_threads,
        },
        qps: arguments.qps,
        burst: arguments.burst,
        prometheus_address: std::env::var(PROMETHEUS_ADDRESS).unwrap_or_default(),
        fence: fence.clone(),
        ready,
        secrets,
    };
    let (leads, leading) = watch::channel(election.is_none());
    // The lease is given back when everything else is done.
    let (finished, is_finished) = oneshot::channel::<()>();
    let candidate = election.map(|election| {
        let over = async {
            // Dropped or sent, it is over.
            let _ = is_finished.await;
        };
        tokio::spawn(leader::run(
            client.clone(),
            election,
            fence,
            leads.clone(),
            over,
        ))
    });
    let mut shown = leading.clone();
    tokio::spawn(async move {
        loop {
            metrics.leads(*shown.borrow_and_update());
            if shown.changed().await.is_err() {
                break;
            }
        }
    });
    let controller = Controller::new(client, options, Signals::new(listeners));
    controller.run(leading, stop_signal()).await;
    drop(finished);
    if let Some(candidate) = candidate {
        // It ends by itself, or with the process.
        let _ = tokio::time::timeout(MAX_RELEASE, candidate).await;
    }
    if let Some(recorder) = recorder {
        recorder.finish();
    }
    Ok(Outcome::Clean)
}

/// # Errors
/// Settings that cannot be used.
async fn election(
    arguments: &Arguments,
    client: &kube::Client,
    namespace: &str,
) -> io::Result<Election> {
    let lease_namespace = match &arguments.leader_election_namespace {
        Some(namespace) => namespace.clone(),
        None => lease_namespace(client, namespace).await,
    };
    let election = Election {
        namespace: lease_namespace,
        name: leader::lease_name(arguments.instance_id.as_deref()),
        identity: (arguments.leader_election_id.clone()).unwrap_or_else(leader::identity),
        lease_duration: arguments.leader_election_lease_duration,
        renew_deadline: arguments.leader_election_renew_deadline,
        retry_period: arguments.leader_election_retry_period,
    };
    election
        .check()
        .map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
    Ok(election)
}

/// The pod's namespace as the reference finds it, else one that exists.
async fn lease_namespace(client: &kube::Client, fallback: &str) -> String {
    if let Ok(namespace) = std::env::var("POD_NAMESPACE") {
        return namespace;
    }
    if let Ok(namespace) = std::fs::read_to_string(ACCOUNT_NAMESPACE)
        && !namespace.trim().is_empty()
    {
        return namespace.trim().to_owned();
    }
    let namespaces: kube::Api<Namespace> = kube::Api::all(client.clone());
    match namespaces.get_opt(LEASE_NAMESPACE).await {
        Ok(Some(_)) => LEASE_NAMESPACE.to_owned(),
        Ok(None) | Err(_) => fallback.to_owned(),
    }
}

/// Ends with the first request to stop.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => {
            // Without handlers the signal ends the process by itself.
            std::future::pending::<()>().await;
        }
    }
    tracing::info!("asked to stop: what is under way is finished");
}
