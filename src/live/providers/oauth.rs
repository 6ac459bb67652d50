//! OAuth2 client credentials (RFC 6749, section 4.4), as Go's `golang.org/x/oauth2` asks for them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use crate::live::redact::basic_credentials;
use crate::providers::prometheus::form_encoded;
use crate::providers::{Request, Response};
use crate::spec::metric_provider::OAuth2Config;
use crate::time::{Duration, Timestamp};

use super::http::HttpClients;

/// A token is not used in its last seconds.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);
/// Characters of a refusal that are shown.
const MAX_SHOWN: usize = 300;

/// Tokens that are still valid, by what they were asked with.
#[derive(Debug, Default)]
pub struct Tokens {
    valid: Mutex<BTreeMap<Grant, Token>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    token_url: String,
    client_id: String,
    client_secret: String,
    scopes: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Token {
    /// Value of the header `Authorization`.
    pub header: String,
    /// Its secret part.
    pub access_token: String,
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Option<String>,
    token_type: Option<String>,
    /// Seconds, of some servers as text.
    expires_in: Option<serde_json::Value>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Tokens {
    /// A token, a former one as long as it is valid.
    ///
    /// # Errors
    /// What the server said, in words.
    pub async fn get(
        &self,
        http: &HttpClients,
        config: &OAuth2Config,
        like: &Request,
        proxied: bool,
        now: Timestamp,
    ) -> Result<Token, String> {
        let grant = Grant::new(config);
        {
            let mut valid = self.valid.lock().unwrap_or_else(PoisonError::into_inner);
            valid.retain(|_, token| token.expires_at.is_some_and(|at| at > now));
            if let Some(token) = valid.get(&grant) {
                return Ok(token.clone());
            }
        }
        let token = ask(http, config, like, proxied, now).await?;
        if token.expires_at.is_some() {
            let mut valid = self.valid.lock().unwrap_or_else(PoisonError::into_inner);
            valid.insert(grant, token.clone());
        }
        Ok(token)
    }

    /// Drops a token that was refused.
    pub fn forget(&self, config: &OAuth2Config) {
        let mut valid = self.valid.lock().unwrap_or_else(PoisonError::into_inner);
        valid.remove(&Grant::new(config));
    }
}

impl Grant {
    fn new(config: &OAuth2Config) -> Self {
        let OAuth2Config {
            token_url,
            client_id,
            client_secret,
            scopes,
        } = config.clone();
        Self {
            token_url,
            client_id,
            client_secret,
            scopes,
        }
    }
}

/// Credentials are given in a header, and where that is refused in the form.
async fn ask(
    http: &HttpClients,
    config: &OAuth2Config,
    like: &Request,
    proxied: bool,
    now: Timestamp,
) -> Result<Token, String> {
    let id = form_encoded(&config.client_id);
    let secret = form_encoded(&config.client_secret);
    let mut form = "grant_type=client_credentials".to_owned();
    if !config.scopes.is_empty() {
        form.push_str("&scope=");
        form.push_str(&form_encoded(&config.scopes.join(" ")));
    }
    let request = |header: Option<String>, body: String| {
        let mut headers = vec![(
            "Content-Type".to_owned(),
            "application/x-www-form-urlencoded".to_owned(),
        )];
        headers.extend(header.map(|value| ("Authorization".to_owned(), value)));
        Request {
            method: "POST".into(),
            url: config.token_url.clone(),
            headers,
            body,
            insecure: like.insecure,
            timeout: like.timeout,
        }
    };
    let header = format!("Basic {}", basic_credentials(&id, &secret));
    let first = http
        .send(&request(Some(header), form.clone()), proxied)
        .await;
    let refused = matches!(&first, Response::Answered { status, .. } if *status / 100 != 2);
    let answer = if refused {
        let body = format!("{form}&client_id={id}&client_secret={secret}");
        http.send(&request(None, body), proxied).await
    } else {
        first
    };
    match answer {
        Response::TimedOut => Err("oauth2: context deadline exceeded".to_owned()),
        Response::Unreachable(reason) => Err(format!("oauth2: {reason}")),
        Response::Answered { status, body } => decode(status, &body, now),
    }
}

fn decode(status: u16, body: &str, now: Timestamp) -> Result<Token, String> {
    let answer: Option<TokenAnswer> = serde_json::from_str(body).ok();
    let refusal = answer.as_ref().and_then(|answer| {
        let error = answer.error.as_ref().filter(|error| !error.is_empty())?;
        Some(match &answer.error_description {
            Some(description) => format!("oauth2: {error:?} {description:?}"),
            None => format!("oauth2: {error:?}"),
        })
    });
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    if status / 100 != 2 {
        let shown: String = body.chars().take(MAX_SHOWN).collect();
        return Err(format!(
            "oauth2: cannot fetch token: {status}\nResponse: {shown}"
        ));
    }
    let Some(answer) = answer else {
        return Err("oauth2: cannot parse json".to_owned());
    };
    let Some(access_token) = answer.access_token.filter(|token| !token.is_empty()) else {
        return Err("oauth2: server response missing access_token".to_owned());
    };
    let scheme = match answer.token_type {
        Some(kind) if !kind.is_empty() && !kind.eq_ignore_ascii_case("bearer") => kind,
        Some(_) | None => "Bearer".to_owned(),
    };
    let seconds = answer.expires_in.as_ref().and_then(|seconds| {
        seconds
            .as_i64()
            .or_else(|| seconds.as_str()?.parse::<i64>().ok())
    });
    Ok(Token {
        header: format!("{scheme} {access_token}"),
        access_token,
        expires_at: seconds
            .filter(|seconds| *seconds > 0)
            .map(|seconds| now + Duration::from_secs(seconds) - EXPIRY_MARGIN),
    })
}
