//! Running the program, and waiting for what it does.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a fixture that fails fails its test; not every test needs all of it"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value as Json;

/// An address of this machine at which nobody listens.
const NOBODY: &str = "http://127.0.0.1:1";

pub fn sagaline(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagaline"));
    command.current_dir(dir).env_remove("RUST_LOG").env("USER", "ada").env("SAGALINE_API", NOBODY).env("NO_COLOR", "1");
    command
}

pub fn output(dir: &Path, arguments: &[&str]) -> Output {
    sagaline(dir).args(arguments).stdin(Stdio::null()).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs what is to succeed; gives what it printed.
pub fn ok(dir: &Path, arguments: &[&str]) -> String {
    let output = output(dir, arguments);
    assert!(output.status.success(), "sagaline {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs what is to fail; gives the code and the last line of stderr.
pub fn failed(dir: &Path, arguments: &[&str]) -> (i32, String) {
    let output = output(dir, arguments);
    let stderr = text(&output.stderr);
    let why = stderr.lines().rfind(|line| line.starts_with("sagaline: ") || line.starts_with("error: "));
    (output.status.code().unwrap(), why.unwrap_or_else(|| panic!("nothing says why: {stderr}")).to_owned())
}

/// A coordinator in a process of its own, killed when dropped.
pub struct Coordinator {
    child: Child,
    pub api: String,
    pub log: String,
}

impl Coordinator {
    /// `sagaline dev` at free ports, once it is ready.
    pub fn dev(dir: &Path, arguments: &[&str]) -> Self {
        let mut command = sagaline(dir);
        command.args(["dev", "--port", "0", "--log-port", "0"]).args(arguments);
        Self::start(command)
    }

    /// As `dev`, broken as `SAGALINE_FAIL_POINT` says.
    pub fn broken_dev(dir: &Path, arguments: &[&str], how: &str) -> Self {
        let mut command = sagaline(dir);
        command.args(["dev", "--port", "0", "--log-port", "0"]).args(arguments).env("SAGALINE_FAIL_POINT", how);
        Self::start(command)
    }

    /// `sagaline serve`, once it is ready.
    pub fn serve(dir: &Path, config: &str) -> Self {
        let mut command = sagaline(dir);
        command.args(["serve", "--config", config]).env("RUST_LOG", "warn");
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.next().expect("it says when it is ready").unwrap();
        let words: Vec<&str> = ready.split_whitespace().collect();
        assert!(matches!(words[..], ["ready:", "api", _, "log", _]), "{ready}");
        Self { child, api: words[2].to_owned(), log: words[4].to_owned() }
    }

    pub fn ask(&self, dir: &Path, arguments: &[&str]) -> Output {
        sagaline(dir).env("SAGALINE_API", &self.api).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    pub fn json(&self, dir: &Path, arguments: &[&str]) -> Json {
        let output = self.ask(dir, &[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
    }

    /// Asks it to stop as a service manager does; gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        // Stopped already, in most tests.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

pub fn wait_until(mut condition: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !condition() {
        assert!(begun.elapsed().as_secs() < 20, "it does not come to be");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
