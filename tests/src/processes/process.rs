//! One process: what it says goes to a file, and it does not outlive its owner. It does not know
//! what it runs.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

use super::until;

/// How much of what a process said is shown when a test fails.
const TAIL_LINES: usize = 40;
/// Words that only a program says that found itself to be wrong.
const PANICS: [&str; 3] = ["panicked at", "panic:", "fatal error:"];

/// A process that runs, or has ended without anybody having asked how.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it. What it says is added to the file.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.expect("there is a disk for the log of a process");
        let other = file.try_clone().expect("a handle more");
        let command = command.stdin(Stdio::null()).stdout(file).stderr(other);
        let child = command.spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            child,
            log: log.to_owned(),
        }
    }

    /// Sends a signal to it.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id fits");
        let pid = Pid::from_raw(pid).expect("no process has the id 0");
        kill_process(pid, signal).expect("it is ours, and not yet waited for");
    }

    /// Ends it as a crash would.
    pub fn kill(mut self) {
        self.end();
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is ours")
    }

    /// Waits for it to end by itself.
    ///
    /// # Panics
    /// When it does not.
    pub async fn wait(mut self) -> ExitStatus {
        let what = format!("the end of {}", self.log.display());
        until(&what, async || self.ended()).await
    }

    fn end(&mut self) {
        // It may have ended already; then there is nothing to kill, and only to be waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The lines by which a process said that it found itself to be wrong.
pub(super) fn panics(log: &Path) -> Vec<String> {
    let said = said(log);
    let lines = said.lines();
    lines
        .filter(|line| PANICS.iter().any(|word| line.contains(word)))
        .map(ToOwned::to_owned)
        .collect()
}

/// The last lines that a process said.
pub(super) fn tail(log: &Path) -> String {
    let said = said(log);
    let lines: Vec<_> = said.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// All that a process said.
pub(super) fn said(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
