//! Four nodes over real TCP, with real logs, through the troubles that Raft is for: the leader is
//! killed and comes back, a follower is cut off and healed, half of the cluster is. Every step is
//! checked, and whatever is not as it should be ends the program with an error.
//!
//! ```sh
//! cargo run --release -p raft-net --example four_nodes
//! ```
//!
//! Read `story.rs` first, then `bank.rs`, the service that is replicated, and `teller.rs`, its
//! client. This file knows the command line, and nothing of nodes.

mod bank;
mod cluster;
mod relay;
mod story;
mod teller;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use crate::story::Pen;

const HELP: &str = "\
Four nodes, their logs in a temporary directory, tell what Raft does for them.

Usage: four_nodes [--quiet]

  --quiet  Say only how it ended
  --help   Say this

It takes about ten seconds, and fails if anything is not as it should be.";

/// No story takes longer, however slow the machine.
const TIME_MAX: Duration = Duration::from_secs(180);

#[tokio::main]
async fn main() -> ExitCode {
    let mut is_quiet = false;
    for argument in env::args().skip(1) {
        match argument.as_str() {
            "--quiet" => is_quiet = true,
            "--help" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            unknown => {
                eprintln!("`{unknown}` is not known.\n\n{HELP}");
                return ExitCode::from(2);
            }
        }
    }
    match run(is_quiet).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("The story went wrong: {trouble}");
            ExitCode::FAILURE
        }
    }
}

async fn run(is_quiet: bool) -> Result<(), cluster::Trouble> {
    let dir = tempfile::tempdir()?;
    let told = story::tell(dir.path().to_owned(), Pen::new(is_quiet));
    tokio::time::timeout(TIME_MAX, told).await?
}
