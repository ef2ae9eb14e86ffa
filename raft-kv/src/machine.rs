//! The state machine: what the log says, done to the rows.
//!
//! A batch of commands becomes one batch of rows, which brings with it the sessions and the place
//! in the log; so a disk never holds half of it, nor the effect of a command without the answer
//! that a retry is given. Readers and watchers have a [`Store`]. This file does not know what a
//! command means (`model`), what keeps the rows (`engine`), nor who leads.

mod digests;
mod fetch;
mod shared;
mod sweeper;
#[cfg(test)]
mod tests;

pub use digests::{DigestLog, DigestPoint, first_difference};
pub(crate) use shared::Shared;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use raft_core::port::{Capture, Committed, Framing, PortError, SnapshotSource, StateMachine};
use raft_core::session::{Answered, SessionLimits, SessionTable, Stamped};
use raft_core::{Index, NodeId, Term};

use crate::auth::Auth;
use crate::codec::CommandError;
use crate::command::Command;
use crate::engine::{self, Direction, Engine, Family, Span, View};
use crate::model::{Catalog, Execution, LeaseChange, Overlay, is_checked_too_early};
use crate::rows::{self, State};
use crate::store::Store;
use crate::types::{AlarmKind, Event};
use crate::watch::{CloseReason, HubConfig};
use sweeper::Sweeper;

/// What a machine goes by.
#[derive(Clone, Debug)]
pub struct MachineConfig {
    /// How much is remembered of clients. Part of the state: all founders must be given the same,
    /// and what the rows say goes before.
    pub sessions: SessionLimits,
    /// Whose machine it is; so that it stops when the others find that its state differs.
    pub member: Option<NodeId>,
    /// After so many entries the members' states are compared; 0 is never. The same on all members.
    pub digest_every: u64,
    /// Where superfluous rows are removed.
    pub sweeping: Sweeping,
    /// The limits of watches.
    pub watches: HubConfig,
}

impl Default for MachineConfig {
    fn default() -> Self {
        Self {
            sessions: SessionLimits::default(),
            member: None,
            digest_every: 4096,
            sweeping: Sweeping::Thread,
            watches: HubConfig::default(),
        }
    }
}

/// Where the rows that a compaction has made superfluous are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweeping {
    /// On a thread of its own, some at a time, so that no command waits for long.
    Thread,
    /// After each batch of commands. For simulations, in which nothing may depend on threads.
    Inline,
}

/// The replicated key-value store.
pub struct Machine {
    shared: Arc<Shared>,
    state: State,
    catalog: Catalog,
    auth: Arc<Auth>,
    sessions: SessionTable,
    config: MachineConfig,
    sweeper: Option<Sweeper>,
    /// Why it can't go on: what it has in memory may not be what the rows say.
    broken: Option<String>,
}

/// What is to be done with an entry.
enum Planned {
    /// To execute a command, unless its session says otherwise.
    Execute(Stamped, Command),
    /// To let the session judge, whose command makes no sense or is none.
    Nothing(Stamped),
    /// To answer that it makes no sense.
    Malformed,
}

/// What a batch leads to beside rows.
#[derive(Default)]
struct Effects {
    answers: Vec<Bytes>,
    /// What happened to keys; nobody watches if it is not collected.
    events: Option<Vec<Event>>,
    leases: Vec<LeaseChange>,
    digests: Vec<DigestPoint>,
    fixed: Option<DigestPoint>,
}

/// The row of the limits of sessions.
const SESSION_LIMITS: &[u8] = b"session-limits";

impl Machine {
    /// A machine upon these rows, and what reads from it.
    ///
    /// # Errors
    /// When the rows can't be read, are none, or say that this member's state differs from that of
    /// the others.
    pub fn open(
        engine: Arc<dyn Engine>,
        config: MachineConfig,
    ) -> Result<(Self, Store), PortError> {
        let loaded = Loaded::read(&*engine, &config)?;
        let (revision, compacted) = (loaded.state.revision, loaded.state.compacted);
        let shared = Arc::new(Shared::new(engine, config.watches, revision, compacted));
        shared.tell_auth(&loaded.auth)?;
        let sweeper = match config.sweeping {
            Sweeping::Thread => Some(Sweeper::start(Arc::clone(&shared))?),
            Sweeping::Inline => None,
        };
        let machine = Self {
            shared: Arc::clone(&shared),
            state: loaded.state,
            catalog: loaded.catalog,
            auth: loaded.auth,
            sessions: loaded.sessions,
            config,
            sweeper,
            broken: None,
        };
        machine.wake_sweeper();
        Ok((machine, Store::new(shared)))
    }

    /// Decodes a batch. What this machine does not know ends it: others may know it, and go on to
    /// another state.
    fn plan(batch: &[Committed]) -> Result<Vec<Planned>, PortError> {
        let plan = |committed: &Committed| {
            let Some(stamped) = Stamped::decode(committed.command.clone()) else {
                return Ok(Planned::Malformed);
            };
            match Command::decode(stamped.command.clone()) {
                Ok(command) => Ok(Planned::Execute(stamped, command)),
                Err(CommandError::Malformed) => Ok(Planned::Nothing(stamped)),
                Err(unknown) => Err(PortError::misused(format!(
                    "the command at {}: {unknown}; this member needs a newer version",
                    committed.index
                ))),
            }
        };
        batch.iter().map(plan).collect()
    }

    fn apply_to(
        &mut self,
        view: &dyn View,
        batch: &[Committed],
        effects: &mut Effects,
    ) -> Result<engine::Batch, PortError> {
        let plan = Self::plan(batch)?;
        let mut overlay = Overlay::new(view);
        if self.state.applied == Index(0) {
            let limits = encode_limits(self.sessions.limits());
            overlay.put(Family::Meta, Bytes::from_static(SESSION_LIMITS), limits);
        }
        fetch::present_records(&mut overlay, &plan)?;
        for (committed, planned) in batch.iter().zip(plan) {
            self.check_next(committed.index)?;
            effects.fixed = self.fixed_before(committed.index).or(effects.fixed);
            self.state.applied = committed.index;
            self.state.term = committed.term;
            let answer = self.answer(&mut overlay, committed.term, planned, effects)?;
            self.state.chain_answer(&answer);
            effects.answers.push(answer);
            let point = DigestPoint {
                index: committed.index,
                digest: self.state.chain,
            };
            effects.digests.push(point);
            if committed.index.0.is_multiple_of(self.config.digest_every) {
                effects.fixed = Some(point);
            }
        }
        for (client, row) in self.sessions.take_changed() {
            let key = rows::session_key(client);
            match row {
                Some(row) => overlay.put(Family::Sessions, key, row),
                None => overlay.remove(Family::Sessions, key),
            }
        }
        self.state.time_ms = self.sessions.time_ms();
        let key = Bytes::from_static(State::KEY);
        overlay.put(Family::Meta, key, self.state.encode());
        Ok(overlay.into_batch(self.state.applied))
    }

    fn check_next(&self, index: Index) -> Result<(), PortError> {
        let before = self.state.applied;
        if index <= before {
            return Err(PortError::misused(format!(
                "entry {index} is applied after entry {before}"
            )));
        }
        Ok(())
    }

    /// Between the last entry and this one, one may stand after which states are compared.
    fn fixed_before(&self, index: Index) -> Option<DigestPoint> {
        let every = self.config.digest_every;
        let fixed = Index(index.0.checked_div(every)? * every);
        let is_between = self.state.applied < fixed && fixed < index;
        is_between.then_some(DigestPoint {
            index: fixed,
            digest: self.state.chain,
        })
    }

    fn answer(
        &mut self,
        overlay: &mut Overlay<'_>,
        term: Term,
        planned: Planned,
        effects: &mut Effects,
    ) -> Result<Bytes, PortError> {
        let (stamped, command) = match planned {
            Planned::Execute(stamped, command) => (stamped, Some(command)),
            Planned::Nothing(stamped) => (stamped, None),
            Planned::Malformed => return Ok(Answered::Malformed.encode()),
        };
        self.sessions.advance(stamped.time_ms);
        // What was checked too early is refused without its session hearing of it: once it was
        // checked anew, the same sequence must do it, or be told what it did before.
        let is_early = command
            .as_ref()
            .is_some_and(|command| self.is_early(command));
        let session = stamped.session.filter(|_| !is_early);
        if session.is_some()
            && let Some(known) = self.sessions.admit(self.state.applied, &stamped)
        {
            return Ok(known);
        }
        let answer = match command {
            Some(command) => {
                let mut execution = Execution {
                    rows: overlay,
                    state: &mut self.state,
                    catalog: &mut self.catalog,
                    auth: &mut self.auth,
                    events: effects.events.as_mut(),
                    leases: &mut effects.leases,
                };
                let answer = execution.execute(term, &command)?;
                answer.encode_applied()
            }
            None => Answered::Malformed.encode(),
        };
        if let Some(session) = session {
            let at = self.state.applied;
            self.sessions.remember(session.client, at, answer.clone());
        }
        Ok(answer)
    }

    /// Commands of a version that is not spoken yet are refused for that.
    fn is_early(&self, command: &Command) -> bool {
        command.version() <= self.state.version && is_checked_too_early(&self.auth, command)
    }

    fn apply_batch(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        let shared = Arc::clone(&self.shared);
        let mut effects = Effects {
            events: shared.hub().is_watched().then(Vec::new),
            ..Effects::default()
        };
        let (before, was_compacted) = (self.state.revision, self.state.compacted);
        let knew = Arc::clone(&self.auth);
        {
            // The sweeper may not write between this view and this batch.
            let _turn = shared.turn()?;
            let rows = engine::read(shared.engine(), |view| {
                self.apply_to(view, batch, &mut effects)
            })?;
            if !Arc::ptr_eq(&self.auth, &knew) {
                shared.tell_auth(&self.auth)?;
            }
            shared.engine().write(rows)?;
        }
        shared.note_digests(&effects.digests, effects.fixed)?;
        if self.state.compacted > was_compacted {
            shared.hub().compacted(self.state.compacted);
            self.wake_sweeper();
        }
        if self.state.revision > before {
            let revision = self.state.revision;
            match &effects.events {
                Some(events) => shared.hub().publish(revision, events),
                None => shared.hub().publish_unseen(revision),
            }
        }
        shared.note_leases(effects.leases);
        quarantine(&self.catalog, self.config.member)?;
        if self.config.sweeping == Sweeping::Inline {
            shared.sweep_page()?;
        }
        Ok(effects.answers)
    }

    fn wake_sweeper(&self) {
        if let Some(sweeper) = &self.sweeper {
            sweeper.wake();
        }
    }

    fn check_broken(&self) -> Result<(), PortError> {
        let broken = self.broken.as_ref();
        broken.map_or(Ok(()), |why| {
            Err(PortError::misused(format!(
                "a machine that failed before: {why}"
            )))
        })
    }

    /// Remembers the first failure.
    fn latch<T>(&mut self, result: Result<T, PortError>) -> Result<T, PortError> {
        if let Err(error) = &result {
            self.broken.get_or_insert_with(|| error.to_string());
            self.shared.hub().close(CloseReason::Failed);
        }
        result
    }

    fn replace(&mut self, last: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        let shared = Arc::clone(&self.shared);
        let _turn = shared.turn()?;
        shared.engine().restore(source)?;
        let loaded = Loaded::read(shared.engine(), &self.config)?;
        if loaded.state.applied > last {
            let applied = loaded.state.applied;
            return Err(PortError::damaged(format!(
                "a snapshot that ends at {last} holds what entry {applied} did"
            )));
        }
        self.state = loaded.state;
        self.catalog = loaded.catalog;
        self.auth = loaded.auth;
        shared.tell_auth(&self.auth)?;
        self.sessions = loaded.sessions;
        shared
            .hub()
            .reset(self.state.revision, self.state.compacted);
        shared.forget();
        Ok(())
    }
}

impl StateMachine for Machine {
    fn framing(&self) -> Framing {
        Framing::Stamped
    }

    fn durable(&self) -> Index {
        self.shared.engine().durable()
    }

    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        self.check_broken()?;
        let applied = self.apply_batch(batch);
        self.latch(applied)
    }

    /// A question is a transaction that changes nothing, as [`Command::Txn`] has it. Two that are
    /// none: nothing asks for the row of the state.
    fn query(&self, query: &[u8]) -> Result<Bytes, PortError> {
        self.check_broken()?;
        if query.is_empty() {
            return Ok(self.state.encode());
        }
        let Ok(Command::Txn(txn)) = Command::decode(Bytes::copy_from_slice(query)) else {
            return Ok(Bytes::from_static(b"no question"));
        };
        let answer = Store::new(Arc::clone(&self.shared)).txn(&txn)?;
        Ok(answer.encode())
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        self.check_broken()?;
        let shared = Arc::clone(&self.shared);
        let _turn = shared.turn()?;
        shared.engine().capture()
    }

    fn restore(&mut self, last: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        self.check_broken()?;
        let restored = self.replace(last, source);
        self.latch(restored)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.shared.hub().close(CloseReason::Stopped);
    }
}

/// What a machine has in memory, as the rows say it.
struct Loaded {
    state: State,
    catalog: Catalog,
    auth: Arc<Auth>,
    sessions: SessionTable,
}

impl Loaded {
    fn read(engine: &dyn Engine, config: &MachineConfig) -> Result<Self, PortError> {
        let loaded = engine::read(engine, |view| {
            let state = rows::state(view)?;
            let limits = match view.get(Family::Meta, SESSION_LIMITS)? {
                Some(row) => decode_limits(&row),
                None => Some(config.sessions),
            };
            let limits = limits.ok_or_else(|| PortError::damaged("the limits of sessions"))?;
            let mut sessions = SessionTable::with_rows(limits, state.time_ms);
            let mut cursor = view.scan(Family::Sessions, &Span::all(), Direction::Ascending)?;
            while let Some((key, row)) = cursor.row() {
                let client = key.try_into().map(u64::from_be_bytes).ok();
                let put_back = client.and_then(|client| sessions.put_back_row(client, row));
                put_back.ok_or_else(|| PortError::damaged("the row of a session"))?;
                cursor.advance()?;
            }
            Ok(Self {
                state,
                catalog: Catalog::load(view)?,
                auth: Arc::new(Auth::load(view)?),
                sessions,
            })
        })?;
        quarantine(&loaded.catalog, config.member)?;
        Ok(loaded)
    }
}

/// A member whose state differs from that of the others must answer nobody.
fn quarantine(catalog: &Catalog, member: Option<NodeId>) -> Result<(), PortError> {
    let is_corrupt = |member| catalog.alarms.contains(&(AlarmKind::Corrupt, member));
    match member.filter(|member| is_corrupt(*member)) {
        Some(member) => Err(PortError::damaged(format!(
            "the state of member {member} differs from that of a majority: remove the member, \
             delete its data, and add it again"
        ))),
        None => Ok(()),
    }
}

fn encode_limits(limits: SessionLimits) -> Bytes {
    let mut row = BytesMut::with_capacity(24);
    row.put_u64_le(limits.sessions_max);
    row.put_u64_le(limits.answer_bytes_max);
    row.put_u64_le(limits.idle_ms_max);
    row.freeze()
}

fn decode_limits(row: &[u8]) -> Option<SessionLimits> {
    let number = |at: usize| {
        let bytes = row.get(at..at + 8)?.try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    };
    Some(SessionLimits {
        sessions_max: number(0)?,
        answer_bytes_max: number(8)?,
        idle_ms_max: number(16)?,
    })
}
