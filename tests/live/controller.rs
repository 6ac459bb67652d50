//! `rollproof controller` as a process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

pub struct Controller {
    process: Child,
    arguments: Vec<String>,
    kubeconfig: PathBuf,
    log: PathBuf,
}

impl Controller {
    /// Starts one with further arguments; its log is appended to `log`.
    pub fn start(kubeconfig: &Path, log: &Path, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        Self {
            process: spawn(kubeconfig, log, &arguments),
            arguments,
            kubeconfig: kubeconfig.to_owned(),
            log: log.to_owned(),
        }
    }

    /// kill -9, and a new process at once.
    pub fn kill_and_start(&mut self) {
        self.kill();
        self.process = spawn(&self.kubeconfig, &self.log, &self.arguments);
    }

    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Asks it to end, and waits until it has.
    pub fn end(&mut self) -> ExitStatus {
        let asked = Command::new("kill")
            .arg(self.process_id().to_string())
            .status();
        assert!(asked.is_ok_and(|asked| asked.success()), "kill");
        self.process.wait().expect("an exit status")
    }

    /// It has not ended by itself.
    pub fn runs(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(kubeconfig: &Path, log: &Path, arguments: &[String]) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log)
        .expect("a file for the log");
    Command::new(env!("CARGO_BIN_EXE_rollproof"))
        .arg("controller")
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log twice"))
        .stderr(log)
        .spawn()
        .expect("the controller")
}
