//! Recordings of servers replay bit for bit, and whatever is wrong with one is noticed.
//!
//! The servers live in the hand-made cluster; files and threads of the flight recorder are tested
//! beside it, in `raft-core/src/driver/recorder/tests.rs`.

#[path = "replay/program.rs"]
mod program;
#[path = "replay/storm.rs"]
mod storm;

use raft_core::event::Output;
use raft_core::recorder::{Moment, Recorder, ReplayError, ReplaySummary, replay};
use raft_core::{Event, Raft, Ticket};
use raft_tests::cluster::Cluster;
use raft_tests::replay::Story;

fn silently(bytes: &[u8]) -> Result<ReplaySummary, ReplayError> {
    replay(bytes, |_| {})
}

fn story(bytes: &[u8]) -> Vec<String> {
    let mut story = Story::new(true);
    let mut lines = Vec::new();
    replay(bytes, |moment| lines.extend(story.tell(&moment))).expect("it replays");
    lines
}

/// A leader's recording with elections, writes, a snapshot and a change of members in it.
fn eventful() -> Vec<u8> {
    let mut cluster = Cluster::new(3);
    cluster.record(1, 20);
    cluster.elect(1);
    for command in ["a", "b", "c"] {
        cluster.propose(1, command);
    }
    cluster.snapshot(1);
    cluster.compact(1, 2);
    cluster.add_blank(4);
    cluster.change(1, vec![raft_tests::cluster::words::add(4)]);
    cluster.run(500);
    cluster.read(1);
    cluster.transfer(1, 2);
    cluster.propose(2, "d");
    cluster.run(500);
    let mut recordings = cluster.recordings(1);
    recordings.pop().expect("it was recorded")
}

#[test]
fn every_byte_that_is_wrong_is_noticed() {
    let recording = eventful();
    silently(&recording).expect("it replays");
    // Each record is at least 17 bytes long, so none is spared.
    for at in (0..recording.len()).step_by(5) {
        let mut wrong = recording.clone();
        wrong[at] ^= 0x10;
        match silently(&wrong) {
            Err(_) => {}
            Ok(summary) => panic!("byte {at} is wrong, and nobody notices: {summary:?}"),
        }
    }
}

#[test]
fn a_recording_that_is_torn_anywhere_replays_up_to_there() {
    let recording = eventful();
    let whole = silently(&recording).expect("it replays");
    let mut last = 0;
    let mut is_torn = false;
    for length in (0..recording.len()).step_by(7) {
        match silently(&recording[..length]) {
            Ok(summary) => {
                assert!(summary.events >= last, "{summary:?}");
                last = summary.events;
                is_torn |= summary.torn_bytes > 0;
                assert!(summary.records() < whole.records());
            }
            Err(error) => {
                assert_eq!(last, 0, "after {length} bytes: {error}");
                let expected = [ReplayError::NotARecording, ReplayError::NoCheckpoint];
                assert!(expected.contains(&error), "after {length} bytes: {error}");
            }
        }
    }
    assert!(is_torn && last + 3 >= whole.events);
    let mut padded = recording;
    padded.extend([0; 100]);
    let padded = silently(&padded).expect("the end is passed over");
    assert_eq!((padded.events, padded.torn_bytes), (whole.events, 100));
}

#[test]
fn records_that_are_missing_or_doubled_are_noticed() {
    let recording = eventful();
    let starts = frames(&recording);
    let [.., third, second, last] = starts[..] else {
        panic!("a handful of records");
    };
    let missing = [&recording[..third], &recording[second..]].concat();
    let doubled = [&recording[..last], &recording[second..]].concat();
    for wrong in [missing, doubled] {
        let error = silently(&wrong).expect_err("it is noticed");
        assert!(matches!(error, ReplayError::Damaged { .. }), "{error}");
    }
}

/// Where the records begin.
fn frames(recording: &[u8]) -> Vec<usize> {
    let mut at = 13 + usize::from(recording[12]);
    let mut starts = Vec::new();
    while at < recording.len() {
        starts.push(at);
        let length: [u8; 4] = recording[at..at + 4].try_into().expect("four bytes");
        at += 16 + u32::from_le_bytes(length) as usize;
    }
    starts
}

/// A recording of a leader that was told one thing and says that it was another.
fn lie(checkpoint: bool) -> Result<ReplaySummary, ReplayError> {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    let now = cluster.now();
    let mut raft: Raft = cluster.raft(1).clone();
    let path = tempfile::NamedTempFile::new().expect("a file");
    let file = path.reopen().expect("the same file");
    let mut recorder = Recorder::begin(Box::new(file), now, &raft).expect("it writes");
    let propose = |command: &'static str| Event::Propose {
        ticket: Ticket(99),
        command: command.into(),
    };
    let mut output = Output::default();
    recorder.event(now, &propose("a lie")).expect("it writes");
    raft.step(now, propose("the truth"), &mut output);
    raft.flush(now, &mut output);
    if checkpoint {
        recorder.checkpoint(now, &raft).expect("it writes");
    } else {
        recorder.flush(now, &output).expect("it writes");
    }
    silently(&std::fs::read(path.path()).expect("readable"))
}

#[test]
fn the_first_output_and_the_first_state_that_differ_are_named() {
    let error = lie(false).expect_err("the output differs");
    assert!(
        matches!(error, ReplayError::OutputDiffers { record: 2, .. }),
        "{error}"
    );
    let error = lie(true).expect_err("the state differs");
    assert!(
        matches!(error, ReplayError::StateDiffers { record: 2, .. }),
        "{error}"
    );
}

#[test]
fn what_is_no_recording_or_of_another_version_is_refused() {
    let recording = eventful();
    let check = |at: usize, byte: u8, expected: &str| {
        let mut wrong = recording.clone();
        wrong[at] = byte;
        let error = silently(&wrong).expect_err("refused").to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    check(0, b'x', "this is no recording");
    check(8, 9, "the recording has format 9");
    check(13, b'7', "version 7.");
}

#[test]
fn two_replays_tell_the_same_story() {
    let recording = eventful();
    let told = story(&recording);
    assert_eq!(told, story(&recording));
    for words in [
        "is leader in term",
        "wants \"a\"",
        "snapshot 4t1 is taken",
        "#4 changes members: voter 4",
        "knows committed: 2",
        "answers #5: ready",
        "hands over to 2",
    ] {
        assert!(
            told.iter().any(|line| line.contains(words)),
            "nothing of {words:?} in\n{}",
            told.join("\n")
        );
    }
}

#[test]
fn what_is_shown_is_in_the_order_of_the_records() {
    let mut numbers = Vec::new();
    let summary = replay(&eventful(), |moment| {
        numbers.push(match moment {
            Moment::Checkpoint { record, .. }
            | Moment::Event { record, .. }
            | Moment::Output { record, .. } => record,
        });
    });
    let expected: Vec<u64> = (0..summary.expect("it replays").records()).collect();
    assert_eq!(numbers, expected);
}
