//! `rollproof controller`: runs as the controller of a cluster.

use std::path::PathBuf;

use clap::Args;
use tokio::sync::watch;

use super::Outcome;
use crate::live::client;
use crate::live::{Controller, Options, Signals, Workers};

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
    #[arg(long, default_value_t = 100.0, value_name = "N")]
    qps: f64,

    /// Calls of the API server at once.
    #[arg(long, default_value_t = 200, value_name = "N")]
    burst: u32,
}

pub(super) fn run(arguments: &Arguments) -> std::io::Result<Outcome> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| {
                tracing_subscriber::EnvFilter::new("info,kube_client::client::tls=error")
            }),
        )
        .with_writer(std::io::stderr)
        .init();
    // Decisions take microseconds; one thread is enough and shares nothing.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(control(arguments))
}

async fn control(arguments: &Arguments) -> std::io::Result<Outcome> {
    let failed = |error: &dyn std::fmt::Display| std::io::Error::other(error.to_string());
    let settings = client::Settings {
        kubeconfig: arguments.kubeconfig.clone(),
        namespace: arguments.namespace.clone(),
        ..client::Settings::default()
    };
    let config = client::configure(&settings).await.map_err(|e| failed(&e))?;
    let namespace = config.default_namespace.clone();
    let client = client::client(config).map_err(|e| failed(&e))?;
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
    };
    let controller = Controller::new(client, options, Signals::default());
    let (_leads, leading) = watch::channel(true);
    controller.run(leading, stop_signal()).await;
    Ok(Outcome::Clean)
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
}
