//! The program of `raft-cli`, built with these tests so that they can start it as processes. It is
//! the same main, and knows no more than that one does.

use std::process::ExitCode;

use raft_cli::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse_from(std::env::args_os()) {
        Ok(cli) => cli.run(),
        Err(error) => Cli::explain(&error),
    }
}
