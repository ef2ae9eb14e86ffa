//! A machine around any machine, in which each command of a session takes effect once.
//!
//! It knows who asked what and when, and what was answered; it does not know what commands mean.

use bytes::Bytes;
use std::io::Read;
use std::path::Path;

use super::{Answered, SessionLimits, SessionTable, Stamped};
use crate::port::{
    Capture, Committed, Framing, PortError, SnapshotSink, SnapshotSource, StateMachine,
};
use crate::types::Index;

/// Makes any machine one whose clients have sessions.
///
/// Its commands are [`Stamped`], its answers [`Answered`]. The machine inside is given the bare
/// commands and its answers go out as [`Answered::Applied`]; one that asks for
/// [`Framing::Stamped`] itself is given the whole frames, to see the time, and answers with
/// [`Answered`] frames itself, as every such machine does. Queries go to it as they are.
///
/// Snapshots consist of its files and one more, [`Sessions::FILE`]. The machine inside sees that
/// one, too, when it is restored, and must not mind.
///
/// The machine inside must live in memory. One with a disk of its own would know after a restart
/// what it was told, but the sessions would not know whom they had told it for; so as soon as its
/// [`StateMachine::durable`] is beyond the snapshot it was restored from, everything is refused.
pub struct Sessions {
    machine: Box<dyn StateMachine>,
    table: SessionTable,
    /// The last entry applied.
    applied: Index,
    /// The last entry of the snapshot that it was restored from.
    restored: Index,
}

/// A command that goes to the machine inside.
struct Pending {
    committed: Committed,
    client: Option<u64>,
    /// Where in the batch it was.
    place: usize,
}

impl Sessions {
    /// The file of a snapshot that no machine inside may write.
    pub const FILE: &str = "sessions";

    /// A machine around this one, which has executed nothing yet.
    #[must_use]
    pub fn new(machine: impl StateMachine + 'static, limits: SessionLimits) -> Self {
        Self {
            machine: Box::new(machine),
            table: SessionTable::new(limits),
            applied: Index(0),
            restored: Index(0),
        }
    }

    /// The limits it goes by: those it was made with, or those of the snapshot it was restored
    /// from.
    #[must_use]
    pub const fn limits(&self) -> SessionLimits {
        self.table.limits
    }

    /// The greatest stamp seen, in milliseconds since 1970.
    #[must_use]
    pub const fn time_ms(&self) -> u64 {
        self.table.time_ms
    }

    /// How many sessions are open.
    #[must_use]
    pub fn open_sessions(&self) -> u64 {
        self.table.sessions.len() as u64
    }

    fn check_in_memory(&self) -> Result<(), PortError> {
        let durable = self.machine.durable();
        if durable > self.restored {
            return Err(PortError::misused(format!(
                "sessions around a machine whose own disk reflects the log up to {durable}"
            )));
        }
        Ok(())
    }

    /// Executes what waits. All that is not fresh is judged after that, so answers do not depend on
    /// how the log was cut into batches.
    fn flush(
        &mut self,
        pending: &mut Vec<Pending>,
        answers: &mut [Bytes],
    ) -> Result<(), PortError> {
        if pending.is_empty() {
            return Ok(());
        }
        let mut batch = Vec::with_capacity(pending.len());
        let mut askers = Vec::with_capacity(pending.len());
        for one in pending.drain(..) {
            askers.push((one.client, one.committed.index, one.place));
            batch.push(one.committed);
        }
        let answered = self.machine.apply(&batch)?;
        if answered.len() != batch.len() {
            let (given, asked) = (answered.len(), batch.len());
            return Err(PortError::misused(format!(
                "{given} answers to {asked} commands"
            )));
        }
        let is_framed = self.machine.framing() == Framing::Stamped;
        for ((client, index, place), answer) in askers.into_iter().zip(answered) {
            let answer = if !is_framed {
                Answered::Applied(answer).encode()
            } else if Answered::decode(answer.clone()).is_some() {
                answer
            } else {
                return Err(PortError::misused(format!(
                    "the answer to the stamped command at {index} has no frame"
                )));
            };
            if let Some(client) = client {
                self.table.remember(client, index, answer.clone());
            }
            answers[place] = answer;
        }
        Ok(())
    }
}

impl StateMachine for Sessions {
    fn framing(&self) -> Framing {
        Framing::Stamped
    }

    /// Nothing is: what the sessions remember is in memory.
    fn durable(&self) -> Index {
        Index(0)
    }

    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        self.check_in_memory()?;
        let is_framed = self.machine.framing() == Framing::Stamped;
        let mut answers = vec![Bytes::new(); batch.len()];
        let mut pending = Vec::new();
        for (place, committed) in batch.iter().enumerate() {
            let (index, applied) = (committed.index, self.applied);
            if index <= applied {
                // A session's number is the index of its entry: none may come twice.
                return Err(PortError::misused(format!(
                    "entry {index} is applied after entry {applied}"
                )));
            }
            self.applied = index;
            let Some(stamped) = Stamped::decode(committed.command.clone()) else {
                answers[place] = Answered::Malformed.encode();
                continue;
            };
            let is_fresh = stamped.session.is_none_or(|s| self.table.is_fresh(s));
            if !is_fresh || self.table.ends_any(stamped.time_ms) {
                self.flush(&mut pending, &mut answers)?;
            }
            self.table.advance(stamped.time_ms);
            if let Some(answer) = self.table.admit(index, &stamped) {
                answers[place] = answer;
                continue;
            }
            let mut inner = committed.clone();
            if !is_framed {
                inner.command = stamped.command;
            }
            pending.push(Pending {
                committed: inner,
                client: stamped.session.map(|session| session.client),
                place,
            });
        }
        self.flush(&mut pending, &mut answers)?;
        self.check_in_memory()?;
        Ok(answers)
    }

    fn query(&self, query: &[u8]) -> Result<Bytes, PortError> {
        self.machine.query(query)
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        self.check_in_memory()?;
        let machine = self.machine.snapshot()?;
        // A copy of the table, whose size is limited, and whose answers are shared.
        let table = self.table.clone();
        Ok(Box::new(move |sink| {
            machine(&mut Inner(&mut *sink))?;
            sink.add(Self::FILE, &mut table.encode().as_slice())
        }))
    }

    fn restore(&mut self, last: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        let mut file = Vec::new();
        source.copy(Self::FILE, &mut file)?;
        let table = SessionTable::decode(&file, last);
        let table = table.ok_or_else(|| PortError::damaged("the sessions of a snapshot"))?;
        self.machine.restore(last, source)?;
        self.table = table;
        self.applied = last;
        self.restored = last;
        Ok(())
    }
}

/// The sink as the machine inside sees it: the sessions' own name is taken.
struct Inner<'a>(&'a mut dyn SnapshotSink);

impl Inner<'_> {
    fn check_name(name: &str) -> Result<(), PortError> {
        if name == Sessions::FILE {
            return Err(PortError::misused(format!(
                "{name} is the name of the sessions' own file"
            )));
        }
        Ok(())
    }
}

impl SnapshotSink for Inner<'_> {
    fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<(), PortError> {
        Self::check_name(name)?;
        self.0.add(name, content)
    }

    fn add_file(&mut self, name: &str, path: &Path) -> Result<(), PortError> {
        Self::check_name(name)?;
        self.0.add_file(name, path)
    }

    /// Whoever made the sink finishes the snapshot, no capture does.
    fn finish(self: Box<Self>) -> Result<(), PortError> {
        Err(PortError::misused("a capture that finishes its snapshot"))
    }
}
