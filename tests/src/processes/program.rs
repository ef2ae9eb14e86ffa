//! Which program the processes run. It does not know what the program is asked to do.

use std::path::Path;
use std::process::Command;

/// Names a program to test in place of the one built with the tests: `/usr/bin/etcd`, or
/// `/path/to/raft-cli server`.
const PROGRAM: &str = "RAFT_TEST_SERVER";
/// The verb by which our own program runs a member.
const VERB: &str = "server";

/// The program, and the verb that makes a member of it.
#[derive(Clone, Debug)]
pub struct Program {
    words: Vec<String>,
}

impl Program {
    /// The one that the environment names, else the one at this path.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn or_ours(path: &str) -> Self {
        let words = match std::env::var(PROGRAM) {
            Ok(named) => named.split_whitespace().map(ToOwned::to_owned).collect(),
            Err(_) => vec![path.to_owned(), VERB.to_owned()],
        };
        let program = Self { words };
        let path = program.words.first().map_or("", String::as_str);
        assert!(Path::new(path).exists(), "{PROGRAM}: there is no `{path}`");
        program
    }

    /// Whether it is ours, so that it can be held to more than etcd's promises.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.words.get(1).is_some_and(|verb| verb == VERB)
    }

    /// What the words of a command line begin with that run a member.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// A command line of this program with another verb.
    #[must_use]
    pub fn verb(&self, verb: &str) -> Command {
        let mut command = command(&self.words[..1]);
        command.arg(verb);
        command
    }
}

/// What a command prints that must not fail.
///
/// # Panics
/// When it does.
pub fn printed(command: &mut Command) -> String {
    let output = command.output().expect("the program is there");
    let (out, err) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {err}");
    String::from_utf8_lossy(out).into_owned()
}

/// A command line that begins like this. It inherits no settings: those of whoever runs the tests
/// would be taken for those of a member.
pub(super) fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    for (name, _) in std::env::vars() {
        if name.starts_with("RAFT_") || name.starts_with("ETCD") {
            command.env_remove(name);
        }
    }
    command.env("RUST_BACKTRACE", "1");
    command
}
