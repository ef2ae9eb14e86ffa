//! The node binary and its client: will assemble the core, the log, the network and the store.
//!
//! Nothing is built here yet. It deliberately will hold no algorithm: it parses, wires and reports.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("raft-cli: the node binary is not built yet; see README.md for what is.");
    ExitCode::FAILURE
}
