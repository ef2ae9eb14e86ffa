//! `simulate --replay`, as a person calls it.

use std::path::Path;
use std::process::{Command, Output};

use raft_core::recorder::Recorder;
use raft_core::{Envelope, Event, NodeId};
use raft_tests::cluster::Cluster;
use raft_tests::cluster::words::{append, at, first_life};

use super::eventful;

fn simulate(file: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulate"));
    command.arg("--replay").arg(file).args(more);
    command.output().expect("it starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn recording(change: impl FnOnce(&mut Vec<u8>)) -> tempfile::NamedTempFile {
    let mut bytes = eventful();
    change(&mut bytes);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("it is written");
    file
}

#[test]
fn a_replay_tells_the_story_and_says_that_all_is_the_same() {
    let file = recording(|_| {});
    let told = simulate(file.path(), &[]);
    assert!(told.status.success(), "{}", text(&told.stderr));
    let again = simulate(file.path(), &[]);
    assert_eq!(text(&told.stdout), text(&again.stdout));
    let lines: Vec<&str> = text(&told.stdout).lines().collect();
    assert!(lines[0].starts_with("    0.000000  = server 1 is follower in term 0"));
    assert!(lines.len() > 100);
    let last = lines.last().expect("a summary");
    assert!(last.ends_with("all outputs are the same"), "{last}");

    let short = simulate(file.path(), &["--lines", "5"]);
    let kept: Vec<&str> = text(&short.stdout).lines().collect();
    assert_eq!(kept, lines[lines.len() - 6..]);

    let quiet = simulate(file.path(), &["--quiet"]);
    assert_eq!(text(&quiet.stdout).trim_end(), *last);

    let json = simulate(file.path(), &["--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!((&json["same"], &json["node"]), (&true.into(), &1.into()));
}

#[test]
fn what_is_wrong_with_a_recording_is_said_and_fails() {
    let check = |file: &Path, expected: &str| {
        let told = simulate(file, &["--quiet"]);
        assert!(!told.status.success());
        let error = text(&told.stderr);
        assert!(error.contains(expected), "{error}");
    };
    let half = |bytes: &mut Vec<u8>| {
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
    };
    check(recording(half).path(), "is damaged");
    check(
        recording(Vec::clear).path(),
        "this is no recording of a core",
    );
    check(Path::new("no-such-file.rec"), "no-such-file.rec: ");
    let json = simulate(recording(half).path(), &["--json"]);
    assert!(!json.status.success());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["same"], false);
}

#[test]
fn a_torn_end_is_said_and_does_not_fail() {
    let file = recording(|bytes| bytes.truncate(bytes.len() - 3));
    let told = simulate(file.path(), &["--quiet"]);
    assert!(told.status.success());
    assert!(text(&told.stdout).contains("the last record is torn"));
}

#[test]
fn a_core_that_panicked_panics_again_and_the_event_is_named() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let sink = file.reopen().expect("the same file");
    let (now, raft) = (cluster.now(), cluster.raft(1));
    let mut recorder = Recorder::begin(Box::new(sink), now, raft).expect("it writes");
    // No term has two leaders; a core that meets another one stops.
    let event = Event::Received(Envelope {
        from: NodeId(3),
        incarnation: first_life(3),
        to: NodeId(1),
        term: raft.term(),
        message: append(at(1, 1), &[1], 1),
    });
    recorder.event(now, &event).expect("it writes");
    let told = simulate(file.path(), &[]);
    assert!(!told.status.success());
    let error = text(&told.stderr);
    let expected = "the core panics after record 1, at 0.000000";
    assert!(error.contains(expected), "{error}");
    let last = text(&told.stdout).lines().last().expect("a story");
    assert!(last.contains("< from 3  term 1  AppendEntries"), "{last}");
}
