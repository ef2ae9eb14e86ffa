//! A sum with a disk of its own, that can be broken in one way.
//!
//! It does not know what is done to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::conformance::StateMachineFixture;
use crate::port::{Capture, Committed, PortError, SnapshotSource, StateMachine};
use crate::types::Index;

/// What a machine does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    Salted,
    DependsOnBatches,
    SwallowsAnAnswer,
    CountsEmptyBatches,
    QueryCounts,
    StopsAtGarbage,
    SaltsGarbage,
    SnapshotForgets,
    SnapshotResets,
    RestoreMerges,
    CaptureIsLazy,
    DropResets,
    IgnoresSink,
    DurableAhead,
    DurableGoesBack,
    DurableIsLost,
    DiskAheadOfDurable,
    DiskOutlivesRestore,
    RestoreSaysTooMuch,
}

impl Flaw {
    /// Each with the case that must find it.
    pub(super) const ALL: [(Self, &str); 19] = [
        (Self::Salted, "two machines agree after every command"),
        (Self::DurableAhead, "two machines agree after every command"),
        (
            Self::DurableGoesBack,
            "two machines agree after every command",
        ),
        (Self::QueryCounts, "a query changes nothing"),
        (
            Self::DependsOnBatches,
            "answers do not depend on the batches",
        ),
        (
            Self::SwallowsAnAnswer,
            "answers do not depend on the batches",
        ),
        (Self::CountsEmptyBatches, "an empty batch changes nothing"),
        (
            Self::StopsAtGarbage,
            "garbage is answered, and stops nothing",
        ),
        (Self::SaltsGarbage, "garbage is answered, and stops nothing"),
        (
            Self::SnapshotForgets,
            "a snapshot and the log after it make the state",
        ),
        (
            Self::SnapshotResets,
            "a snapshot and the log after it make the state",
        ),
        (
            Self::RestoreSaysTooMuch,
            "a snapshot and the log after it make the state",
        ),
        (Self::RestoreMerges, "a restore leaves nothing of what was"),
        (
            Self::CaptureIsLazy,
            "a capture shows the state of its moment",
        ),
        (Self::DropResets, "a capture that is dropped is harmless"),
        (Self::IgnoresSink, "a sink that fails fails the capture"),
        (
            Self::DurableIsLost,
            "after a crash the log makes the rest again",
        ),
        (
            Self::DiskAheadOfDurable,
            "after a crash the log makes the rest again",
        ),
        (
            Self::DiskOutlivesRestore,
            "after a restore and a crash the log makes the rest",
        ),
    ];
}

/// All that a machine holds, and where in the log it is.
#[derive(Clone, Copy, Default)]
struct State {
    sum: u64,
    count: u64,
    applied: Index,
}

/// A state that a machine and its disk, or its captures, share.
#[derive(Clone, Default)]
struct Shared(Arc<[AtomicU64; 3]>);

impl Shared {
    fn get(&self) -> State {
        let [sum, count, applied] = [0, 1, 2].map(|place| self.0[place].load(Ordering::Relaxed));
        State {
            sum,
            count,
            applied: Index(applied),
        }
    }

    fn set(&self, state: State) {
        let numbers = [state.sum, state.count, state.applied.0];
        for (place, number) in self.0.iter().zip(numbers) {
            place.store(number, Ordering::Relaxed);
        }
    }
}

/// Adds up what it is told.
pub(super) struct Tally {
    state: Shared,
    /// What a crash leaves; `None` in memory.
    disk: Option<Shared>,
    /// The batches since the last flush.
    unflushed: u64,
    queries: AtomicU64,
    /// Not the same on two machines.
    salt: u64,
    flaw: Flaw,
}

/// It is written to the disk so often, in batches.
const FLUSH_AFTER: u64 = 3;
const FILE: &str = "tally";

impl Tally {
    pub(super) fn in_memory() -> Self {
        Self {
            state: Shared::default(),
            disk: None,
            unflushed: 0,
            queries: AtomicU64::new(0),
            salt: 0,
            flaw: Flaw::None,
        }
    }

    fn flush(&mut self) {
        self.unflushed = 0;
        if let Some(disk) = &self.disk {
            disk.set(self.state.get());
        }
    }

    fn execute(&self, state: &mut State, batch: usize, one: &Committed) -> Option<Bytes> {
        state.applied = one.index;
        let Ok(number) = one.command[..].try_into().map(u64::from_le_bytes) else {
            let salt = [u8::from(self.flaw == Flaw::SaltsGarbage && self.salt == 1)];
            let is_stopped = self.flaw == Flaw::StopsAtGarbage;
            return (!is_stopped).then(|| Bytes::copy_from_slice(&salt));
        };
        state.count += 1;
        // What depends on the order, so that none goes unnoticed.
        state.sum = state.sum.wrapping_mul(3).wrapping_add(number);
        let mut answer = state.sum;
        if self.flaw == Flaw::Salted {
            answer ^= self.salt;
        } else if self.flaw == Flaw::DependsOnBatches {
            answer ^= u64::from(batch > 1);
        }
        Some(Bytes::copy_from_slice(&answer.to_le_bytes()))
    }

    fn file(&self) -> Vec<u8> {
        encode(self.state.get(), self.flaw)
    }
}

fn encode(state: State, flaw: Flaw) -> Vec<u8> {
    let count = if flaw == Flaw::SnapshotForgets {
        0
    } else {
        state.count
    };
    [state.sum.to_le_bytes(), count.to_le_bytes()].concat()
}

/// Sets a state to nothing when it is dropped, unless it was used.
struct Resets(Shared, bool);

impl Resets {
    fn spare(&mut self) {
        self.1 = false;
    }
}

impl Drop for Resets {
    fn drop(&mut self) {
        if self.1 {
            self.0.set(State::default());
        }
    }
}

impl StateMachine for Tally {
    fn durable(&self) -> Index {
        let Some(disk) = &self.disk else {
            return Index(0);
        };
        let durable = disk.get().applied;
        if self.flaw == Flaw::DurableAhead && durable > Index(0) {
            durable.plus(40)
        } else if self.flaw == Flaw::DurableIsLost {
            self.state.get().applied
        } else if self.flaw == Flaw::DiskAheadOfDurable
            || self.flaw == Flaw::DurableGoesBack && self.unflushed > 0
        {
            durable.prev()
        } else {
            durable
        }
    }

    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        let mut state = self.state.get();
        let mut answers = Vec::new();
        for one in batch {
            let answer = self.execute(&mut state, batch.len(), one);
            answers.push(answer.ok_or_else(|| PortError::misused("garbage"))?);
        }
        if self.flaw == Flaw::SwallowsAnAnswer && batch.len() > 20 {
            answers.pop();
        }
        if self.flaw == Flaw::CountsEmptyBatches && batch.is_empty() {
            state.count += 1;
        }
        self.state.set(state);
        self.unflushed += 1;
        if self.unflushed >= FLUSH_AFTER {
            self.flush();
        }
        Ok(answers)
    }

    fn query(&self, _: &[u8]) -> Result<Bytes, PortError> {
        let mut state = self.state.get();
        if self.flaw == Flaw::QueryCounts {
            state.count += self.queries.fetch_add(1, Ordering::Relaxed);
        }
        let all = [state.sum.to_le_bytes(), state.count.to_le_bytes()].concat();
        Ok(all.into())
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        let (file, flaw) = (self.file(), self.flaw);
        if flaw == Flaw::SnapshotResets {
            self.state.set(State::default());
        }
        let shared = self.state.clone();
        let mut resets = Resets(self.state.clone(), flaw == Flaw::DropResets);
        Ok(Box::new(move |sink| {
            resets.spare();
            let file = if flaw == Flaw::CaptureIsLazy {
                encode(shared.get(), flaw)
            } else {
                file
            };
            let done = sink.add(FILE, &mut file.as_slice());
            if flaw == Flaw::IgnoresSink {
                return Ok(());
            }
            done
        }))
    }

    fn restore(&mut self, last: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        let mut file = Vec::new();
        source.copy(FILE, &mut file)?;
        let (numbers, _) = file.as_chunks::<8>();
        let [sum, count] = numbers else {
            return Err(PortError::damaged(FILE));
        };
        let mut state = State {
            sum: u64::from_le_bytes(*sum),
            count: u64::from_le_bytes(*count),
            applied: last,
        };
        if self.flaw == Flaw::RestoreMerges {
            state.count = state.count.max(self.state.get().count);
        }
        self.state.set(state);
        if self.flaw == Flaw::RestoreSaysTooMuch {
            state.applied = last.next();
            self.state.set(state);
        }
        match &self.disk {
            // The number is put on the disk, the state is not.
            Some(disk) if self.flaw == Flaw::DiskOutlivesRestore => {
                let mut stale = disk.get();
                stale.applied = last;
                disk.set(stale);
            }
            _ => self.flush(),
        }
        Ok(())
    }
}

/// Makes tallies with disks.
pub(super) struct Fixture {
    flaw: Flaw,
    disk: Shared,
    made: u64,
    pub(super) queries: Vec<Bytes>,
}

impl Fixture {
    pub(super) fn new(flaw: Flaw) -> Self {
        Self {
            flaw,
            disk: Shared::default(),
            made: 0,
            queries: vec![Bytes::new()],
        }
    }
}

impl StateMachineFixture for Fixture {
    fn fresh(&mut self) -> Box<dyn StateMachine> {
        self.disk = Shared::default();
        self.reopen()
    }

    fn reopen(&mut self) -> Box<dyn StateMachine> {
        self.made += 1;
        let state = Shared::default();
        state.set(self.disk.get());
        Box::new(Tally {
            state,
            disk: Some(self.disk.clone()),
            salt: self.made % 2,
            flaw: self.flaw,
            ..Tally::in_memory()
        })
    }

    fn command(&self, _: Index, random: u64) -> Bytes {
        Bytes::copy_from_slice(&random.to_le_bytes())
    }

    fn malformed(&self) -> Vec<Bytes> {
        vec![Bytes::new(), Bytes::from_static(b"garbage")]
    }

    fn queries(&self) -> Vec<Bytes> {
        self.queries.clone()
    }
}
