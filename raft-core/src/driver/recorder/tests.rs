//! The flight recorder on real files, around a core that is its own cluster.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::config::Config;
use crate::entry::Recovered;
use crate::event::Apply;
use crate::membership::{Member, Membership};
use crate::recorder::{Moment, ReplayError, ReplaySummary, replay};
use crate::types::{Incarnation, NodeId, Ticket};

/// A cluster of one, whose disk and state machine are never late.
struct Node {
    now: Time,
    raft: Raft,
    recorder: FlightRecorder,
    tickets: u64,
}

impl Node {
    fn start(mut recorder: FlightRecorder) -> Self {
        let voters = Membership::of_voters([(NodeId(1), Member::at("a"))]);
        let recovered = Recovered::bootstrap(Incarnation(1), voters);
        // The tail is part of every checkpoint.
        let config = Config {
            tail_bytes_max: 1024,
            ..Config::default()
        };
        let now = Time(5_000_000_000);
        let mut output = Output::default();
        let mut raft = Raft::new(NodeId(1), config, recovered, now, &mut output).expect("it works");
        recorder.begin(now, &raft);
        raft.flush(now, &mut output);
        recorder.flushed(now, &output, &raft);
        let tickets = 0;
        let mut node = Self {
            now,
            raft,
            recorder,
            tickets,
        };
        node.carry_out(output);
        node.batch(vec![Event::Tick]);
        node
    }

    /// A batch of events, and all that follows from it.
    fn batch(&mut self, events: Vec<Event>) {
        self.now = self.now.plus(Duration::from_millis(1));
        let mut output = Output::default();
        for event in events {
            self.recorder.event(self.now, &event);
            self.raft.step(self.now, event, &mut output);
        }
        self.raft.flush(self.now, &mut output);
        self.recorder.flushed(self.now, &output, &self.raft);
        self.carry_out(output);
    }

    fn carry_out(&mut self, output: Output) {
        let mut events = Vec::new();
        events.extend(output.write.map(|write| Event::Persisted(write.id)));
        for apply in output.apply {
            if let Apply::Entries(entries) = apply
                && let Some(last) = entries.last()
            {
                events.push(Event::Applied(last.index));
            }
        }
        if !events.is_empty() {
            self.batch(events);
        }
    }

    fn propose(&mut self, count: u64) {
        for _ in 0..count {
            self.tickets += 1;
            let ticket = Ticket(self.tickets);
            let command = Bytes::from(vec![7; 100]);
            self.batch(vec![Event::Propose { ticket, command }]);
        }
    }
}

fn files(dir: &TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.path()).expect("it is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    files
}

/// What the thread does, at a moment of the test's choice.
fn write_out(tape: &mut Tape, batches: &Receiver<Batch>) -> bool {
    batches.try_iter().all(|batch| tape.take(&batch).is_ok())
}

fn run_again(path: &PathBuf) -> Result<ReplaySummary, ReplayError> {
    replay(&fs::read(path).expect("readable"), |_| {})
}

#[test]
fn a_recording_begins_after_the_first_flush_and_ends_with_the_last_event() {
    let dir = TempDir::new().expect("a directory");
    let recorder = FlightRecorder::open(dir.path(), 1 << 20).expect("it opens");
    let mut node = Node::start(recorder);
    node.propose(10);
    // As if the core had panicked in the step.
    node.recorder.event(node.now, &Event::Tick);
    let (ended, commit) = (node.now, node.raft.commit());
    drop(node);
    let [file] = &files(&dir)[..] else {
        panic!("one file: {:?}", files(&dir));
    };
    let mut last = None;
    let summary = replay(&fs::read(file).expect("readable"), |moment| {
        if let Moment::Output { output, .. } = moment {
            last = output.apply.last().cloned().or(last.take());
        }
    });
    let summary = summary.expect("it replays");
    assert_eq!((summary.unflushed, summary.torn_bytes), (1, 0));
    assert_eq!((summary.node, summary.ended), (NodeId(1), ended));
    assert!(summary.events > 20, "{summary:?}");
    let Some(Apply::Entries(entries)) = last else {
        panic!("something was applied");
    };
    assert_eq!(entries.last().map(|entry| entry.index), Some(commit));
}

#[test]
fn two_files_are_kept_within_their_bounds_and_each_replays_alone() {
    let dir = TempDir::new().expect("a directory");
    let bytes_max = 256 << 10;
    for life in 1..=2 {
        let (recorder, mut tape, batches) =
            FlightRecorder::prepare(dir.path(), bytes_max).expect("it opens");
        let mut node = Node::start(recorder);
        for _ in 0..200 {
            node.propose(30);
            assert!(write_out(&mut tape, &batches));
            assert!(files(&dir).len() <= 2);
        }
        let (ended, gaps) = (node.now, node.recorder.gaps());
        assert_eq!(gaps, 0);
        drop(node);
        assert!(write_out(&mut tape, &batches));
        let kept = files(&dir);
        assert_eq!(kept.len(), 2, "in life {life}");
        let runs = kept.iter().map(|file| {
            let length = fs::metadata(file).expect("readable").len();
            assert!(length <= bytes_max / 2, "{length} bytes");
            run_again(file).expect("it replays")
        });
        let runs: Vec<ReplaySummary> = runs.collect();
        assert_eq!(runs[1].ended, ended, "in life {life}");
        assert!(runs[0].ended <= runs[1].began);
        assert!(runs[0].events > 100, "{runs:?}");
    }
}

#[test]
fn after_a_gap_a_new_file_begins_with_a_checkpoint() {
    let dir = TempDir::new().expect("a directory");
    let (recorder, mut tape, batches) =
        FlightRecorder::prepare(dir.path(), 64 << 20).expect("it opens");
    let mut node = Node::start(recorder);
    // Nobody takes the batches.
    while node.recorder.gaps() == 0 {
        node.propose(1);
    }
    assert!(write_out(&mut tape, &batches));
    node.propose(300);
    assert!(write_out(&mut tape, &batches));
    let (ended, gaps) = (node.now, node.recorder.gaps());
    drop(node);
    assert!(write_out(&mut tape, &batches));
    assert_eq!(gaps, 1);
    let kept = files(&dir);
    let runs: Vec<ReplaySummary> = kept
        .iter()
        .map(|file| run_again(file).expect("it replays"))
        .collect();
    assert_eq!(runs.len(), 2);
    assert!(runs[0].ended < runs[1].began, "{runs:?}");
    assert_eq!(runs[1].ended, ended);
}

#[test]
fn a_recorder_that_cannot_write_is_off_and_the_node_goes_on() {
    let dir = TempDir::new().expect("a directory");
    let inner = dir.path().join("recordings");
    let recorder = FlightRecorder::open(&inner, 1 << 20).expect("it opens");
    fs::remove_dir(&inner).expect("it is empty");
    let mut node = Node::start(recorder);
    // How long the thread takes to notice is its own affair, but it must.
    while !node.recorder.is_off() {
        node.propose(100);
    }
    node.propose(10);
    assert_eq!(node.recorder.batch.items.len(), 0, "nothing piles up");
}

#[test]
fn a_checkpoint_that_leaves_no_room_switches_it_off() {
    let dir = TempDir::new().expect("a directory");
    let (recorder, mut tape, batches) =
        FlightRecorder::prepare(dir.path(), FlightRecorder::BYTES_MIN).expect("it opens");
    let mut node = Node::start(recorder);
    let mut output = Output::default();
    let command = Bytes::from(vec![7; 20 << 10]);
    let ticket = Ticket(0);
    let propose = Event::Propose { ticket, command };
    node.raft.step(node.now, propose, &mut output);
    let item = Item::Checkpoint(node.now, Box::new(node.raft.clone()));
    let items = vec![item];
    let error = tape
        .take(&Batch { items, weight: 0 })
        .expect_err("too large");
    assert!(error.to_string().contains("leaves too little of 32768"));
    drop(batches);
}

#[test]
fn too_few_bytes_are_refused() {
    let dir = TempDir::new().expect("a directory");
    let refused = FlightRecorder::open(dir.path(), FlightRecorder::BYTES_MIN - 1);
    let kind = refused.expect_err("too few").kind();
    assert_eq!(kind, io::ErrorKind::InvalidInput);
}
