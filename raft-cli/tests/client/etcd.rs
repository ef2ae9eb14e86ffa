//! An etcd of our own for a test, and programs that speak to it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// A server that ends with the test.
pub(super) struct Etcd {
    process: Child,
    arguments: Vec<String>,
    pub(super) endpoint: String,
    pub(super) directory: TempDir,
}

impl Etcd {
    /// `None`, and why on standard error, where etcd and etcdctl are not installed.
    pub(super) fn start() -> Option<Self> {
        Self::start_with("http", |_| Vec::new())
    }

    /// With flags that may name files in its directory.
    pub(super) fn start_with(
        scheme: &str,
        flags: impl FnOnce(&TempDir) -> Vec<String>,
    ) -> Option<Self> {
        for program in ["etcd", "etcdctl"] {
            if Command::new(program).arg("--help").output().is_err() {
                eprintln!("skipped: `{program}` is not in PATH (etcd-server, etcd-client)");
                return None;
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let endpoint = format!("{scheme}://127.0.0.1:{}", free_port());
        let peer = format!("http://127.0.0.1:{}", free_port());
        // What is advertised is nowhere: a single member calls nobody. So each server has the same
        // ids, and programs that ask different servers print the same.
        let nowhere = "http://127.0.0.1:1";
        let data = directory.path().join("data").display().to_string();
        let mut arguments: Vec<String> = [
            ["--name", "n1"],
            ["--data-dir", &data],
            ["--listen-client-urls", &endpoint],
            ["--advertise-client-urls", nowhere],
            ["--listen-peer-urls", &peer],
            ["--initial-advertise-peer-urls", nowhere],
            ["--initial-cluster", "n1=http://127.0.0.1:1"],
            ["--bcrypt-cost", "4"],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
        arguments.push("--unsafe-no-fsync".to_owned());
        arguments.extend(flags(&directory));
        Some(Self {
            process: ready(&arguments),
            arguments,
            endpoint: endpoint.split_once("://").unwrap().1.to_owned(),
            directory,
        })
    }

    /// The same server, after it was away.
    pub(super) fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = ready(&self.arguments);
    }

    /// Our program, speaking to it.
    pub(super) fn ours(&self, arguments: &[&str]) -> Command {
        let mut command = ours(arguments);
        command.env("ETCDCTL_ENDPOINTS", &self.endpoint);
        command
    }

    /// etcdctl, speaking to it.
    pub(super) fn theirs(&self, arguments: &[&str]) -> Command {
        let mut command = clean("etcdctl", arguments);
        command
            .env("ETCDCTL_API", "3")
            .env("ETCDCTL_ENDPOINTS", &self.endpoint);
        command
    }

    /// How many keys begin with `prefix`.
    pub(super) fn count(&self, prefix: &str) -> usize {
        let output = self
            .ours(&["get", prefix, "--prefix", "--keys-only"])
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.lines().filter(|line| !line.is_empty()).count()
    }
}

/// Starts etcd, and waits until it serves.
fn ready(arguments: &[String]) -> Child {
    let mut process = Command::new("etcd")
        .args(arguments)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("ready to serve client requests") {
        let count = log.read_line(&mut seen).unwrap();
        assert!(count > 0, "etcd did not start:\n{seen}");
    }
    // It would stop at a full pipe.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    process
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Our program, without the environment of whoever runs the test.
pub(super) fn ours(arguments: &[&str]) -> Command {
    clean(env!("CARGO_BIN_EXE_raft-cli"), arguments)
}

fn clean(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        // Machines that test many things at once are slow.
        .env("ETCDCTL_COMMAND_TIMEOUT", "60s")
        .env("PATH", std::env::var_os("PATH").unwrap())
        .args(arguments)
        .stdin(Stdio::null());
    command
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Succeeds, or the test fails with what was said.
pub(super) fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Ends with this code; returns what was said.
pub(super) fn refused(command: &mut Command, code: i32) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert_eq!(status.code(), Some(code), "{command:?}: {}", text(&stderr));
    text(&stderr)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
