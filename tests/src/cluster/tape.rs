//! What a test keeps of a server in recordings: one for each of its lives.
//!
//! It knows no cluster, and does not judge what it records.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use raft_core::recorder::Recorder;
use raft_core::{Event, Output, Raft, Time};

use super::Cluster;

/// Recordings of one server.
pub(super) struct Tape {
    /// After so many flushes all state is written down again.
    checkpoint_every: usize,
    lives: Vec<Reel>,
    /// Of the last life.
    recorder: Option<Recorder>,
    flushes: usize,
}

/// Bytes that the recorder writes and the test reads.
#[derive(Clone, Default)]
struct Reel(Arc<Mutex<Vec<u8>>>);

impl Reel {
    fn bytes(&self) -> Vec<u8> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl io::Write for Reel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut reel = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reel.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const ENDLESS: &str = "memory takes all bytes";

impl Tape {
    fn new(checkpoint_every: usize) -> Self {
        Self {
            checkpoint_every,
            lives: Vec::new(),
            recorder: None,
            flushes: 0,
        }
    }

    pub(super) fn begin(&mut self, now: Time, raft: &Raft) {
        let reel = Reel::default();
        self.lives.push(reel.clone());
        let recorder = Recorder::begin(Box::new(reel), now, raft).expect(ENDLESS);
        self.recorder = Some(recorder);
    }

    pub(super) fn event(&mut self, now: Time, event: &Event) {
        if let Some(recorder) = &mut self.recorder {
            recorder.event(now, event).expect(ENDLESS);
        }
    }

    pub(super) fn flushed(&mut self, now: Time, output: &Output, raft: &Raft) {
        self.flushes += 1;
        if let Some(recorder) = &mut self.recorder {
            recorder.flush(now, output).expect(ENDLESS);
            if self.flushes.is_multiple_of(self.checkpoint_every) {
                recorder.checkpoint(now, raft).expect(ENDLESS);
            }
        }
    }
}

/// Recordings.
impl Cluster {
    /// Records `id` from now on, each of its lives, with a checkpoint after so many flushes.
    pub fn record(&mut self, id: u64, checkpoint_every: usize) {
        let now = self.now;
        let node = self.node_mut(id);
        let mut tape = Tape::new(checkpoint_every);
        if let Some(raft) = &node.raft {
            tape.begin(now, raft);
        }
        node.tape = Some(tape);
    }

    /// What was recorded of `id`, by its lives; none if it is not recorded.
    #[must_use]
    pub fn recordings(&self, id: u64) -> Vec<Vec<u8>> {
        let tape = self.node(id).tape.iter();
        tape.flat_map(|tape| tape.lives.iter().map(Reel::bytes))
            .collect()
    }
}
