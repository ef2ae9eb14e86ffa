//! `version` and `completion`: what the program says of itself. It asks no server.

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::out::Out;

/// The version of etcd's protocol that is spoken.
const API_VERSION: &str = "3.6";

/// Prints the version.
pub(crate) fn version() -> Result<(), Exit> {
    let mut out = Out::new();
    out.line(format!("raft-cli version: {}", env!("CARGO_PKG_VERSION")))?;
    out.line(format!("API version: {API_VERSION}"))?;
    out.flush()
}

/// What a shell needs to complete our verbs and flags.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Supported,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Supported {
    Bash,
    Zsh,
    Fish,
}

impl CompletionArgs {
    /// Prints it, to be sourced.
    pub(crate) fn run(&self) -> Result<(), Exit> {
        let shell = match self.shell {
            Supported::Bash => Shell::Bash,
            Supported::Zsh => Shell::Zsh,
            Supported::Fish => Shell::Fish,
        };
        let mut command = Cli::command();
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, name, &mut script);
        let mut out = Out::new();
        out.bytes(&script)?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_does_not_contradict_itself() {
        Cli::command().debug_assert();
    }
}
