//! A control plane of one's own: `tests/cluster`, built where Go is there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

/// etcd, kube-apiserver, kube-controller-manager and a fake kubelet; they end with this value.
pub struct ControlPlane {
    process: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
}

/// One control plane at a time: two cores have enough to do with one.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs `test` with a fresh control plane, or says why not.
pub fn with_control_plane(name: &str, test: impl FnOnce(&mut ControlPlane)) {
    let _turn = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    match binary().and_then(|binary| ControlPlane::start(&binary, name)) {
        Ok(mut plane) => test(&mut plane),
        Err(reason) => println!("{name}: skipped, {reason}"),
    }
}

impl ControlPlane {
    fn start(binary: &Path, name: &str) -> Result<Self, String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{name}"));
        // Logs are read by tests: nothing of an earlier run is left.
        let _ = std::fs::remove_dir_all(&folder);
        let mut process = Command::new(binary)
            .arg("up")
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} does not run: {error}", binary.display()))?;
        let commands = process.stdin.take();
        let answers = process.stdout.take().map(BufReader::new);
        let (Some(commands), Some(answers)) = (commands, answers) else {
            return Err("the control plane has no pipes".into());
        };
        let mut plane = Self {
            process,
            commands: Some(commands),
            answers,
            folder,
        };
        let answer = plane.answer();
        assert!(answer.starts_with("ready"), "control plane: {answer}");
        Ok(plane)
    }

    /// Gives a command of `tests/cluster/up.go`, and waits until it is done.
    pub fn tell(&mut self, command: &str) {
        let commands = self.commands.as_mut().expect("a control plane that runs");
        writeln!(commands, "{command}").expect("a control plane that listens");
        let answer = self.answer();
        assert_eq!(answer, "done", "{command}");
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        line.trim().to_owned()
    }

    /// A file of the control plane: `kubeconfig` of its administrator, `kubeconfig-faults` of the same
    /// through the faults, `kubeconfig-writer-0` to `-3` of users of their own, `audit.log`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.process.wait();
    }
}

/// The binary that `ROLLPROOF_CLUSTER` names, or one built from `tests/cluster`.
fn binary() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("ROLLPROOF_CLUSTER") {
        return Ok(named.into());
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster");
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster");
    let go = |arguments: &[&str]| {
        let mut command = Command::new("go");
        command.args(arguments).current_dir(&source).output()
    };
    if go(&["version"]).is_err() {
        return Err("there is no Go to build tests/cluster with".into());
    }
    eprintln!("building the control plane of tests/cluster: minutes at the first time");
    let output = built.to_string_lossy();
    let built_by = go(&[
        "build",
        "-trimpath",
        "-ldflags",
        VERSION,
        "-o",
        &output,
        ".",
    ]);
    match built_by {
        Ok(result) if result.status.success() => Ok(built),
        Ok(result) => {
            let complaint = String::from_utf8_lossy(&result.stderr);
            let last = complaint.lines().last().unwrap_or_default();
            Err(format!("tests/cluster cannot be built: {last}"))
        }
        Err(error) => Err(format!("tests/cluster cannot be built: {error}")),
    }
}

/// What the API server says of its version; without it, it says v0.0.0 and refuses some features.
const VERSION: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";
