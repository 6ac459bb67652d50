//! `rollproof backtest` as users call it: past releases on trace files, and the same on a real Prometheus with
//! TLS and a password. Needs `prometheus` and `promtool` for the latter; skipped where they are absent.
#![allow(
    clippy::disallowed_methods,
    reason = "waits for a real server to start"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const MANIFESTS: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: errors
spec:
  args:
    - name: hash
  metrics:
    - name: errors
      initialDelay: 2m
      interval: 1m
      count: 5
      successCondition: result[0] < 0.02
      provider:
        prometheus:
          address: http://prometheus
          query: |
            sum(rate(requests_total{hash=\"{{args.hash}}\",code=\"500\"}[2m]))
            / sum(rate(requests_total{hash=\"{{args.hash}}\"}[2m]))
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 4
  selector:
    matchLabels: {app: shop}
  strategy:
    canary:
      steps:
        - setWeight: 25
        - analysis:
            templates:
              - templateName: errors
            args:
              - name: hash
                valueFrom: {podTemplateHashValue: Latest}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:v1
";

/// 2026-01-31T12:00:00Z.
const START: i64 = 1_769_860_800;

/// Name, minutes after the start, failed requests of 1000, label.
const RELEASES: [(&str, i64, i64, &str); 4] = [
    ("v2", 30, 2, "good"),
    ("v3", 70, 300, "bad"),
    ("v4", 110, 30, "good"),
    ("v5", 150, 15, "bad"),
];

/// Two counters of each release, every 15 s for 40 minutes.
fn open_metrics() -> String {
    let mut text = "# TYPE requests counter\n".to_owned();
    for (name, minutes, failed, _) in RELEASES {
        for (code, each) in [("500", failed), ("200", 1000 - failed)] {
            for scrape in 0..160 {
                let time = START + minutes * 60 + scrape * 15;
                let _ = writeln!(
                    text,
                    "requests_total{{hash=\"hash-{name}\",code=\"{code}\"}} {} {time}",
                    scrape * each
                );
            }
        }
    }
    text + "# EOF\n"
}

fn workplace(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("history")).expect("a folder");
    let mut list = "releases:\n".to_owned();
    let mut table = "name,start,label,canaryHash\n".to_owned();
    for (name, minutes, _, label) in RELEASES {
        let start = START + minutes * 60;
        let _ = writeln!(
            list,
            "  - {{name: {name}, start: {start}, label: {label}, canaryHash: hash-{name}}}"
        );
        let _ = writeln!(table, "{name},{start},{label},hash-{name}");
    }
    for (file, text) in [
        ("shop.yaml", MANIFESTS.to_owned()),
        ("releases.yaml", list),
        ("releases.csv", table),
        ("history/requests.om", open_metrics()),
    ] {
        std::fs::write(folder.join(file), text).expect("written");
    }
    folder
}

fn backtest(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .args(["backtest", "shop.yaml", "--window", "30m"])
        .args(arguments)
        .current_dir(folder)
        .env_remove("COLUMNS")
        .output()
        .expect("the command starts")
}

const FILES: [&str; 4] = ["--trace", "history", "--releases", "releases.yaml"];

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The report without the command that made it.
fn json(output: &Output) -> serde_json::Value {
    let mut found: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", stderr(output)));
    found.as_object_mut().expect("an object").remove("command");
    found
}

#[test]
fn past_releases_get_their_verdicts() {
    let folder = workplace("backtest-files");
    let output = backtest(&folder, &[&FILES[..], &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let found = json(&output);
    let of = |index: usize, place: &str| {
        let place = format!("/releases/{index}/fates/0/{place}");
        found.pointer(&place).cloned().unwrap_or_default()
    };
    let endings: Vec<serde_json::Value> = (0..4).map(|index| of(index, "ending")).collect();
    assert_eq!(endings, ["promoted", "aborted", "aborted", "promoted"]);
    // The first measurement is taken two minutes after the canary is ready.
    let seconds = of(1, "seconds").as_f64().expect("a time");
    assert!((120.0..140.0).contains(&seconds), "{seconds}");
    let confusion = &found["settings"][0]["confusion"];
    for (name, count) in [
        ("goodPromoted", 1),
        ("goodAborted", 1),
        ("badPromoted", 1),
        ("badAborted", 1),
    ] {
        assert_eq!(confusion[name], count, "{name}");
    }
    let by_csv = [
        "--trace",
        "history",
        "--releases",
        "releases.csv",
        "--format",
        "json",
    ];
    assert_eq!(json(&backtest(&folder, &by_csv)), found);
    let output = backtest(&folder, &[&FILES[..], &["--check"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("WRONG"), "{text}");
}

#[test]
fn other_values_move_verdicts() {
    let folder = workplace("backtest-vary");
    let vary = "spec.metrics[0].successCondition=result[0] < 0.01,result[0] < 0.04";
    let arguments = [&FILES[..], &["--vary", vary]].concat();
    let output = backtest(&folder, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for wanted in [
        "successCondition = result[0] < 0.01: v5: promoted after",
        "(now right)",
        "successCondition = result[0] < 0.04: v4: aborted after",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let output = backtest(&folder, &[&arguments[..], &["--format", "csv"]].concat());
    assert_eq!(stdout(&output).lines().count(), 1 + 3 * RELEASES.len());
}

#[test]
fn what_is_missing_is_told() {
    let folder = workplace("backtest-missing");
    std::fs::write(
        folder.join("early.yaml"),
        "- {name: v1, start: 1769000000, canaryHash: x}\n- {name: v2, start: +0s}\n",
    )
    .expect("written");
    let output = backtest(&folder, &["--trace", "history", "--releases", "early.yaml"]);
    let text = format!("{}{}", stdout(&output), stderr(&output));
    assert!(
        text.contains("is no time") || text.contains("nothing was recorded at the time of v1"),
        "{text}"
    );
    std::fs::write(folder.join("no-hash.yaml"), "- {name: v2, start: +1m}\n").expect("written");
    let output = backtest(
        &folder,
        &["--trace", "history", "--releases", "no-hash.yaml"],
    );
    assert!(
        stdout(&output).contains("pod template hash that the list does not tell"),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    for (arguments, wanted) in [
        (&["--releases", "releases.yaml"][..], "--trace"),
        (
            &[
                "--releases",
                "releases.yaml",
                "--prometheus",
                "http://127.0.0.1:1",
            ],
            "no answer",
        ),
        (
            &["--releases", "releases.yaml", "--prometheus", "ftp://x"],
            "http://",
        ),
    ] {
        let output = backtest(&folder, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(wanted), "{}", stderr(&output));
    }
}

/// Ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real server with the history, TLS, and a password.
fn serve(folder: &Path) -> Option<(Server, String)> {
    let has = |program: &str| {
        let found = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        found.is_ok_and(|status| status.success())
    };
    if !has("prometheus") || !has("promtool") {
        return None;
    }
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args(["history/requests.om", "data"])
        .current_dir(folder)
        .output()
        .expect("promtool starts");
    assert!(made.status.success(), "{}", stderr(&made));
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a key");
    // The password is "opensesame".
    let web = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n\
               basic_auth_users: {shop: \"HASH\"}\n"
        .replace("HASH", PASSWORD_HASH);
    for (file, text) in [
        ("cert.pem", key.cert.pem()),
        ("key.pem", key.signing_key.serialize_pem()),
        ("web.yml", web),
        ("prometheus.yml", String::new()),
        ("password", "opensesame\n".to_owned()),
        ("wrong", "sesame\n".to_owned()),
    ] {
        std::fs::write(folder.join(file), text).expect("written");
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let server = Command::new("prometheus")
        .args(["--config.file=prometheus.yml", "--web.config.file=web.yml"])
        .args([
            "--storage.tsdb.path=data",
            "--storage.tsdb.retention.time=100y",
        ])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus starts");
    let server = Server(server);
    for _ in 0..600 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some((server, format!("https://localhost:{port}")));
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("prometheus does not listen");
}

const PASSWORD_HASH: &str = "$2b$04$abcdefghijklmnopqrstuuFuhxWRTXIsURoluSTZ1N4tYaWGn9oOi";

#[test]
fn a_real_prometheus_gives_the_same_verdicts_as_files() {
    let folder = workplace("backtest-prometheus");
    let Some((_server, url)) = serve(&folder) else {
        println!("skipped: prometheus or promtool is absent");
        return;
    };
    let access = [
        "--prometheus",
        &url,
        "--releases",
        "releases.yaml",
        "--ca-file",
        "cert.pem",
        "--username",
        "shop",
        "--password-file",
    ];
    let short = ["password", "--format", "json", "--chunk", "7m"];
    let mut output = backtest(&folder, &[&access[..], &short].concat());
    for _ in 0..100 {
        // The server answers 503 until it has read its data.
        if output.status.code() == Some(0) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        output = backtest(&folder, &[&access[..], &short].concat());
    }
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let of_server = json(&output);
    let of_files = json(&backtest(
        &folder,
        &[&FILES[..], &["--format", "json"]].concat(),
    ));
    for index in 0..RELEASES.len() {
        let place = format!("/releases/{index}/fates");
        assert_eq!(of_server.pointer(&place), of_files.pointer(&place));
    }
    let output = backtest(&folder, &[&access[..], &["wrong"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("401 Unauthorized: the server wants other credentials"),
        "{}",
        stderr(&output)
    );
    let unknown = ["--prometheus", &url, "--releases", "releases.yaml"];
    let output = backtest(&folder, &unknown);
    assert!(
        stderr(&output).contains("certificate"),
        "{}",
        stderr(&output)
    );
}
