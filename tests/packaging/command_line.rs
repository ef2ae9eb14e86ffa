//! What the program understands, asked of the program itself. It starts nothing.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory;
use raft_cli::cli::Cli;

/// The flags of `raft-cli server`, without their dashes.
pub(crate) fn server_flags() -> BTreeSet<String> {
    let mut command = Cli::command();
    command.build();
    let server = command
        .find_subcommand("server")
        .expect("there is a server");
    server
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .map(str::to_owned)
        .collect()
}

/// Fails unless the program understands this command line, values and all. The first word is the
/// program.
pub(crate) fn check<S: AsRef<str>>(words: &[S], of: &str) {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    if let Err(error) = Cli::parse_from(words.iter().map(OsString::from)) {
        panic!("{of}: {}\n{error}", words.join(" "));
    }
}

/// Fails unless the server accepts these settings; it does not start.
pub(crate) fn check_server<S: AsRef<str>>(words: &[S], of: &str) {
    let words = words.iter().map(AsRef::as_ref);
    assert_eq!(accepted(words), ExitCode::SUCCESS, "{of}");
}

fn accepted<'a>(words: impl Iterator<Item = &'a str>) -> ExitCode {
    match Cli::parse_from(words.chain(["--check-config"]).map(OsString::from)) {
        Ok(cli) => cli.run(),
        Err(error) => Cli::explain(&error),
    }
}

#[test]
fn what_the_server_does_not_know_offends() {
    let check = |flags: &str, expected: ExitCode| {
        let words = ["raft-cli", "server"].into_iter().chain(flags.split(' '));
        assert_eq!(accepted(words), expected, "{flags}");
    };
    check("--name=a", ExitCode::SUCCESS);
    check("--names=a", ExitCode::from(3));
    check("--name=a,b", ExitCode::from(3));
    check("--listen-peer-urls=nonsense", ExitCode::from(3));
    assert!(server_flags().contains("data-dir"));
}
