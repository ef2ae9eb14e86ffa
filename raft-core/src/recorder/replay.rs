//! Runs a recording again, and finds the first difference.
//!
//! This file prints nothing: it shows every moment to whoever asked.

use std::fmt;

use super::frame::{Decoder, Foreign, Found, Next, VERSION};
use super::hash::digest;
use crate::consensus::Raft;
use crate::event::{Event, Output};
use crate::types::{NodeId, Time};

/// What happens in a replay, in order. `record` counts the records of the file from 0.
#[derive(Debug)]
pub enum Moment<'a> {
    /// All state is known, and the same as so far.
    Checkpoint {
        /// The number of the record.
        record: u64,
        /// When it was taken.
        now: Time,
        /// The core.
        raft: &'a Raft,
    },
    /// The core is about to be told this.
    Event {
        /// The number of the record.
        record: u64,
        /// When it was told.
        now: Time,
        /// What.
        event: &'a Event,
    },
    /// The core, run again, wants this done. It is not yet compared with what was recorded.
    Output {
        /// The number of the record.
        record: u64,
        /// When the batch ended.
        now: Time,
        /// What is to be done, as the core says now.
        output: &'a Output,
    },
}

/// What a recording holds that was replayed without a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplaySummary {
    /// Who was recorded.
    pub node: NodeId,
    /// When the first checkpoint was taken.
    pub began: Time,
    /// When the last record was written.
    pub ended: Time,
    /// Checkpoints, the first included; each was equal to the state replayed.
    pub checkpoints: u64,
    /// Events stepped.
    pub events: u64,
    /// Batches flushed; the output of each was equal to the one recorded.
    pub flushes: u64,
    /// Events at the end that no flush follows: the recording ended within a batch.
    pub unflushed: u64,
    /// Bytes at the end of a record that was not written to its end.
    pub torn_bytes: u64,
}

impl ReplaySummary {
    /// How many records were read.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.checkpoints + self.events + self.flushes
    }
}

/// Why a recording can't be replayed, or does not replay to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// The bytes don't begin like a recording.
    NotARecording,
    /// The recording is in another format.
    OtherFormat {
        /// Its number.
        format: u32,
    },
    /// Another version of the core made the recording; only that version can replay it.
    OtherVersion {
        /// Which.
        recorded: String,
    },
    /// It does not begin with a checkpoint.
    NoCheckpoint,
    /// A record before the end is damaged.
    Damaged {
        /// Its number.
        record: u64,
        /// The time of the record before.
        now: Time,
    },
    /// A record is sound and means nothing to this version.
    NotUnderstood {
        /// Its number.
        record: u64,
    },
    /// The core wants something else than it did when it was recorded.
    OutputDiffers {
        /// The number of the record.
        record: u64,
        /// When the batch ended.
        now: Time,
        /// The hash of the output recorded.
        recorded: u64,
        /// The hash of the output now.
        replayed: u64,
    },
    /// The state at a checkpoint is not the one that the events lead to.
    StateDiffers {
        /// The number of the record.
        record: u64,
        /// When the checkpoint was taken.
        now: Time,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARecording => f.write_str("this is no recording of a core"),
            Self::OtherFormat { format } => {
                write!(
                    f,
                    "the recording has format {format}, which is not known here"
                )
            }
            Self::OtherVersion { recorded } => write!(
                f,
                "version {recorded} made the recording, and this is {VERSION}; \
                 only the version that recorded can replay"
            ),
            Self::NoCheckpoint => f.write_str("the recording does not begin with a checkpoint"),
            Self::Damaged { record, now } => {
                write!(f, "record {record}, after {now:?}, is damaged")
            }
            Self::NotUnderstood { record } => write!(
                f,
                "record {record} is sound but not understood: another build recorded it"
            ),
            Self::OutputDiffers {
                record,
                now,
                recorded,
                replayed,
            } => write!(
                f,
                "record {record}, at {now:?}: the output differs; recorded {recorded:016x}, \
                 replayed {replayed:016x}"
            ),
            Self::StateDiffers { record, now } => write!(
                f,
                "record {record}, at {now:?}: the checkpoint is not the state that the events \
                 before lead to"
            ),
        }
    }
}

impl std::error::Error for ReplayError {}

impl From<Foreign> for ReplayError {
    fn from(foreign: Foreign) -> Self {
        match foreign {
            Foreign::NoRecording => Self::NotARecording,
            Foreign::Format(format) => Self::OtherFormat { format },
            Foreign::Version(recorded) => Self::OtherVersion { recorded },
        }
    }
}

/// Runs the recording in `bytes` again, shows each moment to `see`, and compares.
///
/// A last record that was not written to its end is passed over: that is how the recording of a
/// process ends that was killed.
///
/// # Errors
/// The first difference, or why there is nothing to compare.
///
/// # Panics
/// Where the core that was recorded panicked, this one does.
pub fn replay(bytes: &[u8], mut see: impl FnMut(Moment<'_>)) -> Result<ReplaySummary, ReplayError> {
    let mut records = Decoder::new(bytes)?;
    let Next::Record(Found::Checkpoint { now, raft }) = records.next() else {
        return Err(ReplayError::NoCheckpoint);
    };
    let raft = *raft;
    see(Moment::Checkpoint {
        record: 0,
        now,
        raft: &raft,
    });
    let summary = ReplaySummary {
        node: raft.id(),
        began: now,
        ended: now,
        checkpoints: 1,
        events: 0,
        flushes: 0,
        unflushed: 0,
        torn_bytes: 0,
    };
    let mut run = Run {
        raft,
        output: Output::default(),
        summary,
    };
    loop {
        let record = records.records();
        match records.next() {
            Next::Record(found) => run.take(record, found, &mut see)?,
            Next::End => return Ok(run.summary),
            Next::Torn(bytes) => {
                run.summary.torn_bytes = bytes;
                return Ok(run.summary);
            }
            Next::Damaged => {
                let now = run.summary.ended;
                return Err(ReplayError::Damaged { record, now });
            }
            Next::Unknown => return Err(ReplayError::NotUnderstood { record }),
        }
    }
}

struct Run {
    raft: Raft,
    output: Output,
    summary: ReplaySummary,
}

impl Run {
    fn take(
        &mut self,
        record: u64,
        found: Found,
        see: &mut impl FnMut(Moment<'_>),
    ) -> Result<(), ReplayError> {
        let now = match &found {
            Found::Checkpoint { now, .. } | Found::Event { now, .. } | Found::Flush { now, .. } => {
                *now
            }
        };
        self.summary.ended = now;
        match found {
            Found::Checkpoint { raft, .. } => {
                if *raft != self.raft {
                    return Err(ReplayError::StateDiffers { record, now });
                }
                // What is read back must be as good as what was run: so go on with that.
                self.raft = *raft;
                self.summary.checkpoints += 1;
                let raft = &self.raft;
                see(Moment::Checkpoint { record, now, raft });
            }
            Found::Event { event, .. } => {
                let told = &event;
                see(Moment::Event {
                    record,
                    now,
                    event: told,
                });
                self.raft.step(now, event, &mut self.output);
                self.summary.events += 1;
                self.summary.unflushed += 1;
            }
            Found::Flush { hash, .. } => self.flush(record, now, hash, see)?,
        }
        Ok(())
    }

    fn flush(
        &mut self,
        record: u64,
        now: Time,
        recorded: u64,
        see: &mut impl FnMut(Moment<'_>),
    ) -> Result<(), ReplayError> {
        self.raft.flush(now, &mut self.output);
        let output = std::mem::take(&mut self.output);
        see(Moment::Output {
            record,
            now,
            output: &output,
        });
        let replayed = digest(&output);
        if replayed != recorded {
            return Err(ReplayError::OutputDiffers {
                record,
                now,
                recorded,
                replayed,
            });
        }
        self.summary.flushes += 1;
        self.summary.unflushed = 0;
        Ok(())
    }
}
