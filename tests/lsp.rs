//! `rollproof lsp`: the protocol spoken here over standard input and output, and by a client library
//! of others (tests/lsp/), which is skipped where `python3` (or what ROLLPROOF_PYTHON names) has no
//! pytest-lsp.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

const ROLLOUT: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: web
spec:
  selector: {matchLabels: {app: web}}
  strategy:
    canary:
      setps: [] # \u{1f600}
      analysis:
        templates:
          - templateName: errors
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: web}]}
";

const TEMPLATE: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: errors}
spec:
  metrics:
    - name: errors
      provider:
        prometheus: {address: http://p, query: up}
";

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("lsp")
        .join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

struct Client {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    next_id: u64,
}

impl Client {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rollproof"))
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let input = child.stdin.take().expect("an input");
        let mut output = BufReader::new(child.stdout.take().expect("an output"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            while let Some(message) = read_message(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut client = Self {
            child,
            input,
            messages,
            next_id: 0,
        };
        let folders = json!([{"uri": uri(folder), "name": "w"}]);
        let parameters = json!({"processId": null, "capabilities": {}, "rootUri": null, "workspaceFolders": folders});
        let answer = client.ask("initialize", &parameters);
        assert_eq!(answer["capabilities"]["hoverProvider"], true);
        client.tell("initialized", &json!({}));
        client
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("it listens");
        self.input.flush().expect("it listens");
    }

    fn receive(&mut self) -> Value {
        let message = self.messages.recv_timeout(Duration::from_secs(30));
        message.expect("a message in time")
    }

    fn tell(&mut self, method: &str, parameters: &Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": parameters}));
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters}));
        loop {
            let message = self.receive();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{message}");
                return message["result"].clone();
            }
        }
    }

    /// The rules of the next findings of a file, with their lines.
    fn findings(&mut self, file: &Path) -> Vec<(String, u64)> {
        loop {
            let message = self.receive();
            if message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == uri(file)
            {
                let found = message["params"]["diagnostics"].as_array().expect("a list");
                let line = |it: &Value| it["range"]["start"]["line"].as_u64().expect("a line");
                let rule = |it: &Value| it["code"].as_str().unwrap_or_default().to_owned();
                return found.iter().map(|it| (rule(it), line(it))).collect();
            }
        }
    }

    fn open(&mut self, file: &Path, text: &str, version: i32) {
        let document =
            json!({"uri": uri(file), "languageId": "yaml", "version": version, "text": text});
        self.tell("textDocument/didOpen", &json!({"textDocument": document}));
    }

    fn end(mut self) {
        assert!(self.ask("shutdown", &Value::Null).is_null());
        self.tell("exit", &Value::Null);
        assert!(self.child.wait().expect("it ends").success());
    }
}

/// The next message; none at the end.
fn read_message(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(number) = line.strip_prefix("Content-Length: ") {
            length = number.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

fn has(found: &[(String, u64)], rule: &str) -> bool {
    found.iter().any(|(name, _)| name == rule)
}

#[test]
fn findings_follow_the_text_of_the_editor() {
    let folder = folder("findings");
    let (rollout, template) = (folder.join("rollout.yaml"), folder.join("template.yaml"));
    std::fs::write(&rollout, ROLLOUT).expect("a file");
    std::fs::write(&template, TEMPLATE).expect("a file");
    std::fs::write(folder.join("values.yaml"), "a: [\n").expect("a file");
    let mut client = Client::start(&folder);
    let found = client.findings(&rollout);
    assert!(
        found.contains(&("unknown-field".to_owned(), 8)),
        "{found:?}"
    );
    assert!(!has(&found, "unknown-template"), "{found:?}");

    // What the editor has is newer than what is on disk, also for references of other files.
    client.open(
        &template,
        &TEMPLATE.replace("name: errors}", "name: other}"),
        1,
    );
    let settings = "complete = true\n[rules]\nunknown-field = \"off\"\n";
    std::fs::write(folder.join("rollproof.toml"), settings).expect("a file");
    client.open(&rollout, ROLLOUT, 1);
    loop {
        let found = client.findings(&rollout);
        if has(&found, "unknown-template") && !has(&found, "unknown-field") {
            break;
        }
    }
    // Closed without being saved: the file on disk counts again.
    let document = json!({"textDocument": {"uri": uri(&template)}});
    client.tell("textDocument/didClose", &document);
    while has(&client.findings(&rollout), "unknown-template") {}
    client.end();
}

#[test]
fn hover_fixes_and_completion_are_offered() {
    let folder = folder("requests");
    let (rollout, template) = (folder.join("a rollout.yaml"), folder.join("template.yaml"));
    std::fs::write(&template, TEMPLATE).expect("a file");
    let address = uri(&rollout).replace(' ', "%20");
    let mut client = Client::start(&folder);
    let document = json!({"uri": address, "languageId": "yaml", "version": 3, "text": ROLLOUT});
    client.tell("textDocument/didOpen", &json!({"textDocument": document}));
    let at = |line: u64, character: u64| json!({"textDocument": {"uri": address}, "position": {"line": line, "character": character}});
    let hover = client.ask("textDocument/hover", &at(8, 7));
    let text = hover["contents"]["value"].as_str().expect("a text");
    assert!(text.contains("**unknown-field**"), "{text}");
    let hover = client.ask("textDocument/hover", &at(11, 14));
    let text = hover["contents"]["value"].as_str().expect("a text");
    assert!(text.contains("templateName"), "{text}");

    let range = json!({"start": {"line": 8, "character": 6}, "end": {"line": 8, "character": 6}});
    let asked =
        json!({"textDocument": {"uri": address}, "range": range, "context": {"diagnostics": []}});
    let actions = client.ask("textDocument/codeAction", &asked);
    let edits = &actions[0]["edit"]["changes"][&address];
    assert_eq!(edits[0]["newText"], "steps", "{actions}");
    assert_eq!(actions[0]["diagnostics"][0]["code"], "unknown-field");

    let labels = |items: &Value| -> Vec<String> {
        let items = items.as_array().expect("a list").iter();
        items
            .map(|it| it["label"].as_str().expect("a label").to_owned())
            .collect()
    };
    let items = client.ask("textDocument/completion", &at(11, 32));
    assert_eq!(labels(&items), ["errors"]);
    let items = labels(&client.ask("textDocument/completion", &at(8, 6)));
    assert!(items.contains(&"steps".to_owned()), "{items:?}");
    assert!(!items.contains(&"analysis".to_owned()), "{items:?}");
    let items = labels(&client.ask("textDocument/completion", &at(1, 6)));
    assert!(items.contains(&"Experiment".to_owned()), "{items:?}");

    // What is not offered is an error of the request, not the end of the server.
    client
        .send(&json!({"jsonrpc": "2.0", "id": 99, "method": "textDocument/rename", "params": {}}));
    while client.receive()["error"]["code"] != -32601 {}
    client.end();
}

#[test]
fn a_client_of_others_gets_along() {
    let python = std::env::var("ROLLPROOF_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python)
        .args(["-c", "import pytest_lsp"])
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} has no pytest-lsp; set ROLLPROOF_PYTHON to one that has");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lsp/test_client.py");
    let output = Command::new(&python)
        .args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg(script)
        .env("ROLLPROOF", env!("CARGO_BIN_EXE_rollproof"))
        .env("WORKSPACE", folder("client"))
        .output()
        .expect("it starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
