//! Sends the requests of metric providers.

use std::error::Error as _;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};

use crate::live::client::use_ring;
use crate::providers::{Request, Response};

/// Bytes of an answer that are read; a longer one is refused. A status holds far less.
pub const MAX_BODY: usize = 10 << 20;
const MAX_REDIRECTS: usize = 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(90);
const POOL_IDLE_PER_HOST: usize = 4;
/// Headers that Go's client sets itself whatever a request says (`net/http`, `Request.Write`).
const OWN_HEADERS: [&str; 4] = ["host", "content-length", "transfer-encoding", "trailer"];

/// Clients with their pools of connections, each made when it is first needed.
#[derive(Debug, Default)]
pub struct HttpClients {
    /// By [`ClientSetting::index`].
    by_setting: [OnceLock<Result<Client, String>>; 4],
}

/// What a client is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ClientSetting {
    /// Accept any server certificate.
    insecure: bool,
    /// Use the proxy that the environment names (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`).
    proxied: bool,
}

impl ClientSetting {
    fn index(self) -> usize {
        usize::from(self.insecure) * 2 + usize::from(self.proxied)
    }
}

impl HttpClients {
    /// The answer to a request, as far as it came; never longer than its timeout.
    pub async fn send(&self, request: &Request, proxied: bool) -> Response {
        let timeout = Duration::from_nanos(request.timeout.as_nanos().try_into().unwrap_or(0));
        match tokio::time::timeout(timeout, self.exchange(request, proxied)).await {
            Ok(Ok(response)) => response,
            Ok(Err(reason)) => Response::Unreachable(reason),
            Err(_) => Response::TimedOut,
        }
    }

    async fn exchange(&self, request: &Request, proxied: bool) -> Result<Response, String> {
        let Request {
            method,
            url: text,
            headers,
            body,
            insecure,
            timeout: _,
        } = request;
        let fail = |reason: String| format!("{} \"{}\": {reason}", go_method(method), shown(text));
        let url = Url::parse(text).map_err(|error| fail(format!("parse url: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(fail(format!("unsupported protocol scheme \"{scheme}\"")));
        }
        let setting = ClientSetting {
            insecure: *insecure,
            // As Go: what is on this machine is never behind a proxy.
            proxied: proxied && !is_loopback(&url),
        };
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| format!("net/http: invalid method {method:?}"))?;
        let address = address(&url);
        let request = self
            .client(setting)?
            .request(method, url)
            .headers(header_map(headers).map_err(&fail)?)
            .body(body.clone());
        let explain = |error: reqwest::Error| fail(reason(&error, &address));
        let mut response = request.send().await.map_err(explain)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(explain)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(fail(format!(
                    "the answer is longer than {} MiB",
                    MAX_BODY >> 20
                )));
            }
            body.extend_from_slice(&chunk);
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Response::Answered { status, body })
    }

    fn client(&self, setting: ClientSetting) -> Result<&Client, String> {
        let slot = self.by_setting.get(setting.index());
        let slot = slot.ok_or("no such client")?;
        slot.get_or_init(|| build(setting))
            .as_ref()
            .map_err(Clone::clone)
    }
}

fn build(setting: ClientSetting) -> Result<Client, String> {
    use_ring();
    let builder = || {
        let builder = Client::builder()
            .user_agent(concat!("rollproof/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(POOL_IDLE_PER_HOST)
            .redirect(reqwest::redirect::Policy::limited(MAX_REDIRECTS))
            .tls_danger_accept_invalid_certs(setting.insecure);
        if setting.proxied {
            builder
        } else {
            builder.no_proxy()
        }
    };
    builder().build().or_else(|error| {
        // An image without certificate authorities can still speak plain HTTP.
        tracing::warn!(
            "no certificate authorities: {}",
            innermost(&error).unwrap_or_default()
        );
        builder()
            .tls_certs_only([])
            .build()
            .map_err(|error| format!("cannot make an HTTP client: {error}"))
    })
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for (key, value) in headers {
        let name = HeaderName::from_bytes(key.as_bytes())
            .map_err(|_| format!("net/http: invalid header field name {key:?}"))?;
        if OWN_HEADERS.contains(&name.as_str()) {
            continue;
        }
        // Without the value, which may be a secret.
        let mut value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| format!("net/http: invalid header field value for {key:?}"))?;
        value.set_sensitive(true);
        map.insert(name, value);
    }
    Ok(map)
}

/// As Go's errors write a method.
fn go_method(method: &str) -> String {
    let mut letters = method.chars();
    letters.next().map_or_else(
        || "Get".to_owned(),
        |first| format!("{first}{}", letters.as_str().to_ascii_lowercase()),
    )
}

/// A URL without its password.
fn shown(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) if url.password().is_some() => {
            // Only URLs without a host have no room for one.
            let _ = url.set_password(Some("***"));
            url.to_string()
        }
        Ok(_) | Err(_) => text.to_owned(),
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

fn address(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Why there is no answer; common causes in the words of Go's client.
fn reason(error: &reqwest::Error, address: &str) -> String {
    if error.is_redirect() {
        return format!("stopped after {MAX_REDIRECTS} redirects");
    }
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            let refused = match error.kind() {
                io::ErrorKind::ConnectionRefused => Some("connection refused"),
                io::ErrorKind::HostUnreachable => Some("no route to host"),
                io::ErrorKind::NetworkUnreachable => Some("network is unreachable"),
                io::ErrorKind::TimedOut => Some("i/o timeout"),
                _ => None,
            };
            if let Some(refused) = refused {
                return format!("dial tcp {address}: connect: {refused}");
            }
        }
        source = error.source();
    }
    let cause = innermost(error).unwrap_or_else(|| error.to_string());
    if error.is_connect() {
        format!("connect to {address}: {cause}")
    } else {
        cause
    }
}

/// The last cause; the first ones of reqwest only repeat the URL.
fn innermost(error: &reqwest::Error) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(next) = cause.source() {
        cause = next;
    }
    Some(cause.to_string())
}
