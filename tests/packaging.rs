//! What `raft-cli/packaging` ships is well formed, and says nothing that the program does not know:
//! a Dockerfile, a systemd unit with its settings, a Helm chart, a Debian package.
//!
//! None of it is run here: containers, Kubernetes and a system's services are engines of others.
//! Where a tool that judges it is installed it is asked; where not, the test says so and does the
//! rest.

#[path = "packaging/chart.rs"]
mod chart;
#[path = "packaging/command_line.rs"]
mod command_line;
#[path = "packaging/debian.rs"]
mod debian;
#[path = "packaging/dockerfile.rs"]
mod dockerfile;
#[path = "packaging/functions.rs"]
mod functions;
#[path = "packaging/render.rs"]
mod render;
#[path = "packaging/systemd.rs"]
mod systemd;
#[path = "packaging/template.rs"]
mod template;
#[path = "packaging/yaml.rs"]
mod yaml;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The root of the repository.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .parent()
        .expect("this crate lies one level below the root")
        .to_owned()
}

fn packaging() -> PathBuf {
    root().join("raft-cli/packaging")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs a tool; none, with the reason printed, where it is not installed.
fn tool(command: &mut Command, instead: &str) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            let name = command.get_program().to_string_lossy().into_owned();
            eprintln!("skipped, {name}: {error}; {instead}");
            None
        }
    }
}

/// What a tool said, for the message of a failure.
fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
