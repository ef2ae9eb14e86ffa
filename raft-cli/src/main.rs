//! The program: parses the command line and runs what it says. It does not know any verb.

use std::process::ExitCode;

use raft_cli::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse_from(std::env::args_os()) {
        Ok(cli) => cli.run(),
        Err(error) => Cli::explain(&error),
    }
}
