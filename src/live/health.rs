//! What a cluster asks a controller over HTTP: is it alive, is it ready, how is it doing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::metrics::Metrics;

/// Whether the controller knows the cluster well enough to decide.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }
}

/// Serves `/healthz`, which answers as long as the controller's loop runs, and `/readyz`, which fails
/// until everything is listed. Port 0 is not served, as below.
pub async fn serve_health(port: u16, ready: Readiness) {
    let is_ready = |State(ready): State<Readiness>| async move {
        if ready.0.load(Ordering::Relaxed) {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready")
        }
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(is_ready))
        .with_state(ready);
    serve(port, router).await;
}

/// Serves `/metrics` in the OpenMetrics format.
pub async fn serve_metrics(port: u16, metrics: Arc<Metrics>) {
    let scrape = |State(metrics): State<Arc<Metrics>>| async move {
        match metrics.text() {
            Ok(text) => (
                [(
                    header::CONTENT_TYPE,
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                )],
                text,
            )
                .into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    };
    let router = Router::new()
        .route("/metrics", get(scrape))
        .with_state(metrics);
    serve(port, router).await;
}

/// Answers in the background as long as the runtime lives. A port that is taken is no reason to let
/// rollouts wait: the cluster that asks there will tell.
async fn serve(port: u16, router: Router) {
    if port == 0 {
        return;
    }
    let listener = match TcpListener::bind(("::", port)).await {
        Ok(listener) => Ok(listener),
        // A machine without IPv6.
        Err(_) => TcpListener::bind(("0.0.0.0", port)).await,
    };
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, port, "not served over HTTP");
            return;
        }
    };
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, port, "not served over HTTP any more");
        }
    });
}
