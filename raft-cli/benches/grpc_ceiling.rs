//! The ceiling of gRPC on this machine: what puts and ranges cost at a server that has nothing to
//! do for them, at some numbers of clients. It does not know any real server; those are compared
//! with the same one by `raft-cli bench --versus`.
//!
//! The server is a process of its own, as real ones are, so that the two share processors only.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_raft-cli");
const CLIENTS: [&str; 4] = ["1", "64", "256", "1000"];
const SECONDS: &str = "3s";

fn main() -> ExitCode {
    // Cargo passes `--bench`; other arguments go to the load, `--val-size 4096` say.
    let more: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    match measure(&more) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(more: &[String]) -> io::Result<()> {
    let (server, at) = Bare::start()?;
    let pid = server.0.id().to_string();
    for verb in ["put", "range"] {
        for clients in CLIENTS {
            let status = Command::new(PROGRAM)
                .args(["bench", verb, "--endpoints", &at, "--clients", clients])
                .args(["--duration", SECONDS, "--names", "bare", "--pids", &pid])
                .args(["--write-out", "table"])
                .args(more)
                .status()?;
            if !status.success() {
                return Err(io::Error::other(format!("the load ended with {status}")));
            }
        }
    }
    Ok(())
}

/// The server; it ends with this value.
struct Bare(Child);

impl Bare {
    /// Starts one at a free port, and says where that is.
    fn start() -> io::Result<(Self, String)> {
        let mut child = Command::new(PROGRAM)
            .args(["bench", "bare-server", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let server = Self(child);
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim().strip_prefix("listening at ") {
            Some(at) => Ok((server, at.to_owned())),
            None => Err(io::Error::other("the server did not start")),
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // One that can't be killed has ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
