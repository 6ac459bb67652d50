//! Calls of the API server: limited in rate, counted, with errors that say what to do about them.

#![allow(clippy::disallowed_methods)] // The rate is limited by the wall clock.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::AsyncBufRead;
use http::{Method, Request};
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::leader::Fence;
use super::signals::{Listener, Signals, lock};

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The object has changed since it was read.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    AlreadyExists(String),
    #[error("{0}")]
    NotFound(String),
    /// A watch that starts in a past that the server has forgotten.
    #[error("{0}")]
    Expired(String),
    #[error("{message}")]
    Refused { code: u16, message: String },
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    #[error("the API server's answer cannot be read: {0}")]
    Unreadable(String),
    #[error("another controller leads now")]
    NotLeading,
}

/// Calls at once, and so connections that are kept; watches have one each besides.
const CALLS_AT_ONCE: usize = 8;

/// A client of the API server.
pub struct Api {
    client: kube::Client,
    limit: Mutex<Bucket>,
    calls: Semaphore,
    signals: Signals,
    /// Whether this controller may write.
    pub fence: Fence,
}

/// A token bucket.
struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    /// Takes a token, which may be one of the future: how long to wait for it.
    fn take(&mut self, now: Instant) -> Duration {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        self.filled_at = now;
        self.tokens -= 1.0;
        if self.tokens >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-self.tokens / self.per_second)
        }
    }
}

impl Api {
    /// `per_second` calls on average, up to `burst` at once.
    pub fn new(
        client: kube::Client,
        per_second: f64,
        burst: u32,
        signals: Signals,
        fence: Fence,
    ) -> Self {
        let burst = f64::from(burst.max(1));
        Self {
            client,
            limit: Mutex::new(Bucket {
                per_second: per_second.max(0.1),
                burst,
                tokens: burst,
                filled_at: Instant::now(),
            }),
            calls: Semaphore::new(CALLS_AT_ONCE),
            signals,
            fence,
        }
    }

    /// The text of the answer to a read; `verb` is `get` or `list`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn read(
        &self,
        verb: &'static str,
        resource: &str,
        path: &str,
    ) -> Result<String, CallError> {
        let _permit = self.wait_for_turn().await;
        let started = Instant::now();
        let request = request(Method::GET, path, "", Vec::new())?;
        let answer = self.client.request_text(request).await.map_err(explain);
        self.signals
            .called(verb, resource, started.elapsed(), answer.as_ref().err());
        answer
    }

    /// The tree of the answer to a read.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn tree(
        &self,
        verb: &'static str,
        resource: &str,
        path: &str,
    ) -> Result<Value, CallError> {
        let text = self.read(verb, resource, path).await?;
        serde_json::from_str(&text).map_err(|error| CallError::Unreadable(error.to_string()))
    }

    /// The lines of a watch.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn watch(
        &self,
        resource: &str,
        path: &str,
    ) -> Result<impl AsyncBufRead + Send + Unpin + use<>, CallError> {
        let started = Instant::now();
        let answer = self
            .client
            .request_stream(request(Method::GET, path, "", Vec::new())?)
            .await
            .map_err(explain);
        self.signals
            .called("watch", resource, started.elapsed(), answer.as_ref().err());
        answer.map(Box::pin)
    }

    /// Writes: the text of the object as the server has it now.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn write(
        &self,
        verb: &'static str,
        resource: &str,
        path: &str,
        body: &Value,
    ) -> Result<String, CallError> {
        let (method, content_type) = match verb {
            "create" => (Method::POST, "application/json"),
            "delete" => (Method::DELETE, "application/json"),
            _ => (Method::PATCH, "application/merge-patch+json"),
        };
        let _permit = self.wait_for_turn().await;
        let body = serde_json::to_vec(body).map_err(|e| CallError::Unreadable(e.to_string()))?;
        let request = request(method, path, content_type, body)?;
        let limit = self.fence.limit().ok_or(CallError::NotLeading)?;
        let started = Instant::now();
        let answer = tokio::time::timeout_at(limit, self.client.request_text(request))
            .await
            .map_err(|_| CallError::Unreachable("no answer in time".to_owned()))
            .and_then(|answer| answer.map_err(explain));
        self.signals
            .called(verb, resource, started.elapsed(), answer.as_ref().err());
        answer
    }

    async fn wait_for_turn(&self) -> Option<SemaphorePermit<'_>> {
        let wait = lock(&self.limit).take(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        // The semaphore is never closed.
        self.calls.acquire().await.ok()
    }
}

fn request(
    method: Method,
    path: &str,
    content_type: &str,
    body: Vec<u8>,
) -> Result<Request<Vec<u8>>, CallError> {
    let mut builder = Request::builder().method(method).uri(path);
    if !content_type.is_empty() {
        builder = builder.header(http::header::CONTENT_TYPE, content_type);
    }
    builder
        .body(body)
        .map_err(|error| CallError::Unreadable(error.to_string()))
}

fn explain(error: kube::Error) -> CallError {
    match error {
        kube::Error::Api(status) => of_status(status.code, &status.reason, status.message.clone()),
        other => {
            // The outermost error alone says too little.
            let mut text = other.to_string();
            let mut source = std::error::Error::source(&other);
            while let Some(inner) = source {
                let inner_text = inner.to_string();
                if !text.contains(&inner_text) {
                    text = format!("{text}: {inner_text}");
                }
                source = inner.source();
            }
            CallError::Unreachable(text)
        }
    }
}

/// The error that a `Status` of the API means.
pub fn of_status(code: u16, reason: &str, message: String) -> CallError {
    match (code, reason) {
        (409, "AlreadyExists") => CallError::AlreadyExists(message),
        (409, _) => CallError::Conflict(message),
        (404, _) => CallError::NotFound(message),
        (410, _) => CallError::Expired(message),
        (code, _) => CallError::Refused { code, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_more_waits() {
        let start = Instant::now();
        let mut bucket = Bucket {
            per_second: 10.0,
            burst: 2.0,
            tokens: 2.0,
            filled_at: start,
        };
        assert_eq!(bucket.take(start), Duration::ZERO);
        assert_eq!(bucket.take(start), Duration::ZERO);
        assert_eq!(bucket.take(start), Duration::from_millis(100));
        assert_eq!(bucket.take(start), Duration::from_millis(200));
        let later = start + Duration::from_secs(10);
        assert_eq!(bucket.take(later), Duration::ZERO);
    }
}
