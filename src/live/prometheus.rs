//! Fetches recorded series from a Prometheus server: raw samples, by instant queries of ranges.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, StatusCode, Url};

use crate::live::client::use_ring;

/// Bytes of one answer at most.
const BODY_MAX: usize = 512 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(120);

/// How a server is reached.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The server's address, such as `https://prometheus.example/prefix`.
    pub url: String,
    pub bearer_token: Option<String>,
    pub basic: Option<(String, String)>,
    /// Further headers, such as that of a tenant.
    pub headers: Vec<(String, String)>,
    /// PEM, trusted beside the system's authorities.
    pub authorities: Option<Vec<u8>>,
    pub insecure: bool,
}

/// A Prometheus server, or what has its API.
#[derive(Debug)]
pub struct Prometheus {
    client: Client,
    endpoint: Url,
    /// Without credentials.
    shown: String,
    access: Access,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The answer would be too long: a shorter time may be asked for.
    #[error("{0}")]
    TooMuch(String),
    #[error("{0}")]
    Failed(String),
}

impl Prometheus {
    /// # Errors
    /// The address, a header or a certificate cannot be used.
    pub fn new(access: Access) -> Result<Self, String> {
        use_ring();
        let mut endpoint = Url::parse(&access.url)
            .map_err(|error| format!("--prometheus {}: {error}", access.url))?;
        if !matches!(endpoint.scheme(), "http" | "https") {
            return Err(format!(
                "--prometheus {}: the address begins with http:// or https://",
                access.url
            ));
        }
        let mut shown = endpoint.clone();
        // Only addresses without a host have no room for credentials.
        let _ = shown.set_password(None);
        let _ = shown.set_username("");
        let path = endpoint.path().trim_end_matches('/').to_owned();
        endpoint.set_path(&format!("{path}/api/v1/query"));
        let mut headers = HeaderMap::new();
        for (name, value) in &access.headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("{name:?} is no name of a header"))?;
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| format!("the value of the header {name} cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let mut builder = Client::builder()
            .user_agent(concat!("rollproof/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .default_headers(headers)
            .tls_danger_accept_invalid_certs(access.insecure);
        if let Some(pem) = &access.authorities {
            let certificates = Certificate::from_pem_bundle(pem)
                .map_err(|error| format!("certificates of authorities: {error}"))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder
            .build()
            .map_err(|error| format!("cannot make an HTTP client: {}", innermost(&error)))?;
        Ok(Self {
            client,
            endpoint,
            shown: shown.to_string(),
            access,
        })
    }

    /// The samples of a selector in the time up to `end` (milliseconds since the epoch), as the API's answer.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn samples(
        &self,
        selector: &str,
        end: i64,
        length_millis: i64,
    ) -> Result<Vec<u8>, FetchError> {
        let failed = |why: String| FetchError::Failed(format!("{}: {why}", self.shown));
        let mut form = url_form(&[
            ("query", &format!("{selector}[{length_millis}ms]")),
            (
                "time",
                &format!("{}.{:03}", end.div_euclid(1000), end.rem_euclid(1000)),
            ),
        ]);
        form.push_str("&timeout=110s");
        let mut request = self
            .client
            .post(self.endpoint.clone())
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form);
        if let Some(token) = &self.access.bearer_token {
            request = request.bearer_auth(token);
        }
        if let Some((user, password)) = &self.access.basic {
            request = request.basic_auth(user, Some(password));
        }
        let mut response = request.send().await.map_err(|error| {
            failed(if error.is_timeout() {
                "no answer in time".to_owned()
            } else {
                format!("no answer: {}", innermost(&error))
            })
        })?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| failed(format!("the answer broke off: {}", innermost(&error))))?
        {
            if body.len().saturating_add(chunk.len()) > BODY_MAX {
                return Err(FetchError::TooMuch(format!(
                    "{}: the answer is longer than {} MiB",
                    self.shown,
                    BODY_MAX >> 20
                )));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body);
        }
        Err(self.refusal(status, &body))
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> FetchError {
        let answer: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let text = |key: &str| {
            let value = answer.as_ref().and_then(|answer| answer.get(key));
            value.and_then(serde_json::Value::as_str)
        };
        let said = text("error").unwrap_or_default().to_owned();
        if said.contains("too many samples") || said.contains("timed out") {
            return FetchError::TooMuch(format!("{}: {said}", self.shown));
        }
        let why = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => format!(
                "{status}: the server wants other credentials (--bearer-token-file, or --username and --password-file)"
            ),
            StatusCode::NOT_FOUND if said.is_empty() => {
                format!(
                    "{status}: there is no Prometheus API here; is a path missing in the address?"
                )
            }
            _ if said.is_empty() => format!("{status}"),
            _ => said,
        };
        FetchError::Failed(format!("{}: {why}", self.shown))
    }
}

fn url_form(fields: &[(&str, &str)]) -> String {
    let mut form = Url::parse("form:").map(|mut url| {
        url.query_pairs_mut().extend_pairs(fields);
        url.query().unwrap_or_default().to_owned()
    });
    form.as_mut().map(std::mem::take).unwrap_or_default()
}

/// The last cause; the first ones only repeat the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = error.to_string();
    while let Some(next) = cause {
        text = next.to_string();
        cause = next.source();
    }
    text
}
