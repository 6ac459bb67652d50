//! Metric providers against real servers on this machine: what hangs, fails, floods or lies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawForm, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use rollproof::live::providers::{MAX_BODY, Measurer};
use rollproof::live::redact::Redactor;
use rollproof::spec::analysis::{AnalysisPhase, AnalysisRun, Measurement, Metric};
use rollproof::spec::decode::decode;
use rollproof::time::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SECRET: &str = "p1anted-s3cret/+";

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn measurer() -> Measurer {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let nowhere = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
    let client = kube::Client::try_from(nowhere).unwrap();
    Measurer::new(client, String::new())
}

async fn measure_with(measurer: &Measurer, metric: Value) -> Measurement {
    let metric: Metric = decode(metric).unwrap();
    let secrets = Redactor::new([SECRET.to_owned()]);
    let now = Timestamp::from_secs(1_000);
    let run = AnalysisRun::default();
    let answer = measurer.measure(&run, &metric, None, &secrets, now).await;
    let answer = answer.unwrap();
    assert_eq!(answer.metric, metric.name);
    answer.result
}

async fn measure(metric: Value) -> Measurement {
    measure_with(&measurer(), metric).await
}

fn web(mut settings: Value, url: String) -> Value {
    settings["url"] = url.into();
    json!({"name": "m", "successCondition": "result == 'ok'", "provider": {"web": settings}})
}

fn prometheus(mut settings: Value, address: String) -> Value {
    settings["address"] = address.into();
    settings["query"] = "up".into();
    json!({"name": "m", "successCondition": "result[0] > 0.5", "provider": {"prometheus": settings}})
}

fn one_sample() -> Response {
    axum::response::Html(
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"0.9"]}]}}"#,
    )
    .into_response()
}

/// Says all that it was told.
async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let text = format!(
        "{} {} {:?} {}",
        parts.method,
        parts.uri,
        parts
            .headers
            .iter()
            .map(|(key, value)| format!("{key}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect::<Vec<_>>(),
        String::from_utf8_lossy(&body),
    );
    text.into_response()
}

#[tokio::test]
async fn a_web_metric_is_asked_and_judged() {
    let address = serve(
        Router::new()
            .route("/value", get(|| async { r#"{"a": {"b": "ok"}}"# }))
            .route("/moved", get(|| async { Redirect::to("/value") }))
            .route("/circle", get(|| async { Redirect::to("/circle") }))
            .route(
                "/broken",
                get(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
            )
            .route(
                "/post",
                post(|headers: HeaderMap, body: Bytes| async move {
                    assert_eq!(headers["content-type"], "application/json");
                    assert_eq!(body, r#"{"x":1}"#);
                    r#""ok""#
                }),
            ),
    )
    .await;
    let asked = |path: &str, settings| measure(web(settings, format!("http://{address}{path}")));
    for path in ["/value", "/moved"] {
        let found = asked(path, json!({"jsonPath": "{$.a.b}"})).await;
        assert_eq!(found.message, "");
        assert_eq!(found.phase, AnalysisPhase::Successful);
        assert_eq!(found.value, "\"ok\"");
        assert_eq!(found.started_at, Some(Timestamp::from_secs(1_000)));
        assert!(found.finished_at > found.started_at);
    }
    let posted = asked("/post", json!({"method": "POST", "jsonBody": {"x": 1}})).await;
    assert_eq!(posted.phase, AnalysisPhase::Successful, "{posted:?}");
    let circle = asked("/circle", json!({})).await;
    assert_eq!(circle.phase, AnalysisPhase::Error);
    assert!(
        circle.message.ends_with("stopped after 10 redirects"),
        "{}",
        circle.message
    );
    let broken = asked("/broken", json!({})).await;
    assert_eq!(broken.message, "received non 2xx response code: 500");
}

#[tokio::test]
async fn what_hangs_ends_with_the_timeout() {
    let hang = || async {
        std::future::pending::<()>().await;
    };
    // Headers at once, a body that never comes.
    let stall = || async {
        Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>())
            .into_response()
    };
    let address = serve(
        Router::new()
            .route("/hang", any(hang))
            .route("/stall", any(stall))
            .route("/api/v1/query", any(hang)),
    )
    .await;
    let measurer = measurer();
    for path in ["hang", "stall"] {
        let metric = web(
            json!({"timeoutSeconds": 1}),
            format!("http://{address}/{path}"),
        );
        let bounded = tokio::time::timeout(Duration::from_secs(5), measure_with(&measurer, metric));
        let measured = bounded.await.expect("longer than its timeout");
        assert_eq!(
            measured.message,
            format!(
                "Get \"http://{address}/{path}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            )
        );
        assert!(measured.finished_at >= Some(Timestamp::from_secs(1_001)));
    }
    let metric = prometheus(json!({"timeout": 1}), format!("http://{address}"));
    let measured = measure_with(&measurer, metric).await;
    assert_eq!(measured.message, "context deadline exceeded");
}

#[tokio::test]
async fn a_flood_is_refused_and_a_long_value_cut() {
    let flood = || async {
        let chunk = Bytes::from(vec![b'x'; 1 << 20]);
        let chunks = (0..).map(move |_| Ok::<_, std::io::Error>(chunk.clone()));
        Body::from_stream(futures::stream::iter(chunks))
    };
    let address = serve(
        Router::new()
            .route("/flood", get(flood))
            .route("/long", get(|| async { "é".repeat(1 << 20) })),
    )
    .await;
    let flooded = measure(web(json!({}), format!("http://{address}/flood"))).await;
    assert_eq!(flooded.phase, AnalysisPhase::Error);
    let limit = format!("the answer is longer than {} MiB", MAX_BODY >> 20);
    assert!(flooded.message.ends_with(&limit), "{}", flooded.message);
    let long = measure(web(json!({}), format!("http://{address}/long"))).await;
    assert!(long.value.len() < 200_000);
    assert!(long.value.ends_with("é (cut)"));
}

#[tokio::test]
async fn who_is_not_there_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refused = measure(prometheus(json!({}), format!("http://{address}"))).await;
    assert_eq!(
        refused.message,
        format!(
            "Post \"http://{address}/api/v1/query\": dial tcp {address}: connect: connection refused"
        )
    );
    let unknown = measure(web(json!({}), "http://no.such.host.invalid/x".into())).await;
    assert_eq!(unknown.phase, AnalysisPhase::Error);
    println!("{}", unknown.message);
    let scheme = measure(web(json!({}), "ftp://host/x".into())).await;
    assert_eq!(
        scheme.message,
        "Get \"ftp://host/x\": unsupported protocol scheme \"ftp\""
    );
}

/// A server whose certificate nobody has signed.
async fn serve_untrusted() -> SocketAddr {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                stream.write_all(answer).await.unwrap();
                stream.shutdown().await.unwrap();
            });
        }
    });
    address
}

#[tokio::test]
async fn certificates_are_checked_unless_insecure() {
    let url = format!("https://localhost:{}/x", serve_untrusted().await.port());
    let measurer = measurer();
    let checked = measure_with(&measurer, web(json!({}), url.clone())).await;
    assert_eq!(checked.phase, AnalysisPhase::Error);
    assert!(
        checked.message.contains("certificate"),
        "{}",
        checked.message
    );
    let unchecked = measure_with(&measurer, web(json!({"insecure": true}), url)).await;
    assert_eq!(unchecked.phase, AnalysisPhase::Successful, "{unchecked:?}");
    // TLS spoken to a server that does not speak it.
    let plain = serve(Router::new()).await;
    let confused = measure_with(&measurer, web(json!({}), format!("https://{plain}/x"))).await;
    assert_eq!(confused.phase, AnalysisPhase::Error);
    println!("{}", confused.message);
}

#[tokio::test]
async fn prometheus_gets_its_credentials() {
    async fn query(headers: HeaderMap, RawForm(form): RawForm) -> Response {
        assert_eq!(headers["x-scope-orgid"], "team");
        assert_eq!(headers["authorization"], "Basic bWU6aHVudGVyMg==");
        assert_eq!(form, "query=up&time=1000");
        one_sample()
    }
    let address = serve(Router::new().route("/api/v1/query", post(query))).await;
    let settings = json!({
        "headers": [{"key": "X-Scope-OrgID", "value": "team"}],
        "authentication": {"basicAuth": {"username": "me", "password": "hunter2"}}});
    let measured = measure(prometheus(settings, format!("http://{address}/"))).await;
    assert_eq!(measured.message, "");
    assert_eq!(
        (measured.phase, measured.value.as_str()),
        (AnalysisPhase::Successful, "[0.9]")
    );
}

#[tokio::test]
async fn a_prometheus_that_takes_no_post_is_asked_by_get() {
    async fn query(request: Request) -> Response {
        assert_eq!(request.uri().query(), Some("query=up&time=1000"));
        one_sample()
    }
    let address = serve(Router::new().route("/api/v1/query", get(query))).await;
    let measured = measure(prometheus(json!({}), format!("http://{address}"))).await;
    assert_eq!(measured.value, "[0.9]", "{}", measured.message);
}

#[derive(Clone, Default)]
struct Issued {
    asked: Arc<AtomicUsize>,
    takes_header: bool,
}

/// Issues `token-N`, and takes credentials in one way only.
async fn issue(
    State(issued): State<Issued>,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    let form = String::from_utf8_lossy(&form).into_owned();
    assert!(form.starts_with("grant_type=client_credentials&scope=a+b"));
    let in_header = headers.contains_key("authorization");
    if in_header != issued.takes_header {
        return (StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#).into_response();
    }
    if in_header {
        // `id:p1anted-s3cret/+`, both encoded as in a form.
        assert_eq!(
            headers["authorization"],
            "Basic aWQ6cDFhbnRlZC1zM2NyZXQlMkYlMkI="
        );
    } else {
        assert!(form.ends_with("&client_id=id&client_secret=p1anted-s3cret%2F%2B"));
    }
    let number = issued.asked.fetch_add(1, Ordering::SeqCst);
    axum::response::Html(format!(
        r#"{{"access_token":"token-{number}","token_type":"bearer","expires_in":3600}}"#
    ))
    .into_response()
}

#[tokio::test]
async fn tokens_are_fetched_once_and_again_when_refused() {
    for takes_header in [true, false] {
        let issued = Issued {
            takes_header,
            ..Issued::default()
        };
        let guarded = |headers: HeaderMap| async move {
            match headers["authorization"].to_str().unwrap() {
                "Bearer token-0" => (StatusCode::UNAUTHORIZED, "").into_response(),
                "Bearer token-1" => "ok".into_response(),
                other => panic!("{other}"),
            }
        };
        let router = Router::new()
            .route("/token", post(issue))
            .route("/guarded", get(guarded))
            .with_state(issued.clone());
        let address = serve(router).await;
        let metric = |secret: &str| {
            web(
                json!({"authentication": {"oauth2": {
                    "tokenUrl": format!("http://{address}/token"), "clientId": "id",
                    "clientSecret": secret, "scopes": ["a", "b"]}}}),
                format!("http://{address}/guarded"),
            )
        };
        let measurer = measurer();
        let mut phases = Vec::new();
        for _ in 0..3 {
            phases.push(measure_with(&measurer, metric(SECRET)).await.phase);
        }
        assert_eq!(
            phases,
            [
                AnalysisPhase::Error,
                AnalysisPhase::Successful,
                AnalysisPhase::Successful
            ]
        );
        assert_eq!(issued.asked.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_refused_token_is_explained_without_the_secret() {
    let address = serve(Router::new().route(
        "/token",
        post(|body: String| async move { (StatusCode::FORBIDDEN, format!("no: {body}")) }),
    ))
    .await;
    let metric = prometheus(
        json!({"authentication": {"oauth2": {
            "tokenUrl": format!("http://{address}/token"), "clientId": "id", "clientSecret": SECRET}}}),
        format!("http://{address}"),
    );
    let measured = measure(metric).await;
    assert_eq!(
        measured.message,
        "oauth2: cannot fetch token: 403\nResponse: no: grant_type=client_credentials&client_id=id&client_secret=*****"
    );
}

#[tokio::test]
async fn an_echo_does_not_give_secrets_away() {
    let address = serve(Router::new().fallback(echo)).await;
    let encoded = "p1anted-s3cret%2F%2B";
    let metric = web(
        json!({
            "method": "POST", "body": format!("t={SECRET}"),
            "headers": [{"key": "Authorization", "value": format!("Bearer {SECRET}")},
                        {"key": "X-Token", "value": "a-plain-token"}]}),
        format!("http://{address}/x?t={encoded}"),
    );
    let measured = measure(metric).await;
    let text = format!("{measured:?}");
    for secret in [SECRET, encoded, "a-plain-token"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(
        measured.value.contains("authorization: Bearer *****"),
        "{text}"
    );
    assert!(measured.value.starts_with("POST /x?t=***** "), "{text}");
    // No connection: the URL stands in the message.
    let nowhere = measure(web(
        json!({}),
        format!("http://u:{encoded}@127.0.0.1:9/x?t={encoded}"),
    ))
    .await;
    assert_eq!(
        nowhere.message,
        "Get \"http://u:***@127.0.0.1:9/x?t=*****\": dial tcp 127.0.0.1:9: connect: connection refused"
    );
    let header = web(
        json!({"headers": [{"key": "X-Token", "value": format!("{SECRET}\n")}]}),
        format!("http://{address}/x"),
    );
    let refused = measure(header).await;
    assert!(
        refused
            .message
            .ends_with("invalid header field value for \"X-Token\""),
        "{}",
        refused.message
    );
}

#[tokio::test]
async fn a_provider_that_is_not_built_is_named() {
    for (provider, name) in [
        (json!({"datadog": {"query": "q"}}), "datadog"),
        (json!({"plugin": {"org/x": {}}}), "plugin org/x"),
    ] {
        let measured = measure(json!({"name": "m", "provider": provider})).await;
        assert_eq!(measured.phase, AnalysisPhase::Error);
        assert_eq!(
            measured.message,
            format!("the metric provider {name} is not built yet")
        );
    }
}
