//! The examples, run as a newcomer runs them: as programs, to their end, and what they print.
//!
//! It deliberately knows nothing of how they do it. Cargo builds the examples of a package before
//! it runs all of its tests; to run these alone, build them first: `cargo build --examples`.

/// The tests of the service that the four nodes run.
#[path = "../examples/four_nodes/bank.rs"]
mod bank;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program of an example: it lies beside the folder of this one.
fn program(name: &str) -> PathBuf {
    let own = env::current_exe().expect("a test is a file");
    let target = own
        .ancestors()
        .nth(2)
        .expect("it lies in target/profile/deps");
    let program = target.join("examples").join(name);
    assert!(program.exists(), "not built: {}", program.display());
    program
}

/// Runs an example with `dir` for temporary files. Gives what it printed if it ended well.
fn run(name: &str, arguments: &[&str], dir: &Path) -> String {
    let mut command = Command::new(program(name));
    let output = command.args(arguments).env("TMPDIR", dir).output();
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("it can be started");
    let text = String::from_utf8_lossy(&stdout).into_owned();
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{name}: {status}\n{text}\n{errors}");
    text
}

/// Whether all of these are there, in this order.
fn check_tells(text: &str, expected: &[&str]) {
    let mut rest = text;
    for words in expected {
        let at = rest.find(words);
        let at = at.unwrap_or_else(|| panic!("`{words}` is missing, or not in its place:\n{text}"));
        rest = &rest[at + words.len()..];
    }
}

#[test]
fn the_counter_counts_on_where_it_stopped() {
    let dir = tempfile::tempdir().expect("there is room");
    check_tells(
        &run("counter", &[], dir.path()),
        &[r#"counted b"1", read b"1""#],
    );
    check_tells(
        &run("counter", &[], dir.path()),
        &[r#"counted b"2", read b"2""#],
    );
}

#[test]
fn the_story_of_the_four_nodes_ends_well() {
    let dir = tempfile::tempdir().expect("there is room");
    let story = run("four_nodes", &[], dir.path());
    let expected = [
        "Four nodes start",
        "They elect node",
        "200 transfers, 4000 coins",
        "on nodes 1 2 3 4",
        "the leader, is killed",
        "The others elect node",
        "400 transfers, 4000 coins",
        "starts again, from its disk",
        "on nodes 1 2 3 4",
        "a follower, is cut off",
        "600 transfers, 4000 coins",
        "can only tell of the past",
        "400 transfers, 4000 coins",
        "no leader has confirmed the read",
        "compact their logs",
        "fetches a snapshot",
        "610 transfers, 4000 coins",
        "on nodes 1 2 3 4",
        "half is no majority",
        "leads no more",
        "611 transfers, 4000 coins",
        "All is as it should be: 611 transfers, 4000 coins",
    ];
    check_tells(&story, &expected);
}

#[test]
fn a_quiet_story_has_one_line() {
    let dir = tempfile::tempdir().expect("there is room");
    let story = run("four_nodes", &["--quiet"], dir.path());
    assert_eq!(story.lines().count(), 1, "{story}");
    check_tells(
        &run("four_nodes", &["--help"], dir.path()),
        &["Usage: four_nodes"],
    );
}
