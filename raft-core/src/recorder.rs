//! The flight recorder: writes down what a core is told, so that it can be run again bit for bit.
//!
//! A core is a function of its state, its events and the times that come with them. So a recording
//! is a [checkpoint](Recorder::checkpoint) of all state, then every event, and after each flush a
//! hash of what the core wanted done; [`replay`] runs the same again and compares. Whoever has the
//! recording of an incident has the incident.
//!
//! This file does not know where the bytes go, nor how many there may be: see `driver::recorder`.

mod frame;
mod hash;
mod replay;

use std::fmt;
use std::io;

pub(crate) use frame::{Encoder, Record, header};
pub(crate) use hash::digest;
pub use replay::{Moment, ReplayError, ReplaySummary, replay};

use crate::consensus::Raft;
use crate::event::{Event, Output};
use crate::types::Time;

/// Writes one recording.
///
/// Call it in the order of the contract in [`crate::event`]: [`Recorder::event`] before each step,
/// [`Recorder::flush`] after each flush. It is plain and synchronous; a node that must not wait for
/// a disk uses `driver::recorder::FlightRecorder`.
pub struct Recorder {
    sink: Box<dyn io::Write + Send>,
    encoder: Encoder,
    /// The frame under construction; kept for its room.
    buffer: Vec<u8>,
}

impl Recorder {
    /// Begins a recording in `sink` with the state of `raft`, whose last output was carried out.
    ///
    /// # Errors
    /// When the sink takes no bytes.
    pub fn begin(sink: Box<dyn io::Write + Send>, now: Time, raft: &Raft) -> io::Result<Self> {
        let mut recorder = Self {
            sink,
            encoder: Encoder::new(),
            buffer: header(),
        };
        recorder.add(Record::Checkpoint { now, raft })?;
        Ok(recorder)
    }

    /// Writes all state down again, between a flush and the next event. A replay compares it with
    /// its own and goes on from it.
    ///
    /// # Errors
    /// When the sink takes no bytes.
    pub fn checkpoint(&mut self, now: Time, raft: &Raft) -> io::Result<()> {
        self.add(Record::Checkpoint { now, raft })
    }

    /// What the core is about to be told.
    ///
    /// # Errors
    /// When the sink takes no bytes.
    pub fn event(&mut self, now: Time, event: &Event) -> io::Result<()> {
        self.add(Record::Event { now, event })
    }

    /// What the core wanted done, at the end of a batch.
    ///
    /// # Errors
    /// When the sink takes no bytes.
    pub fn flush(&mut self, now: Time, output: &Output) -> io::Result<()> {
        let hash = digest(output);
        self.add(Record::Flush { now, hash })
    }

    /// A record leaves in one write, so that the end of a process tears at most the last.
    fn add(&mut self, record: Record<'_>) -> io::Result<()> {
        self.encoder.frame(&record, &mut self.buffer)?;
        let written = self.sink.write_all(&self.buffer);
        self.buffer.clear();
        written
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.encoder.records();
        f.debug_struct("Recorder")
            .field("records", &records)
            .finish_non_exhaustive()
    }
}
