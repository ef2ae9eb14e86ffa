//! What is remembered of each session, within limits.
//!
//! Nothing here may make a command take effect twice. So what runs short is given up in an order
//! that keeps this: when the bytes are used up, the oldest answers are forgotten, but never that a
//! command was executed; when the sessions are used up, no further one is opened; and a session is
//! dropped by the time in the log only. After that its client is a stranger, and a stranger's
//! command is not executed.
//!
//! Everything follows from the log alone. This file knows neither machine nor clock.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{Answered, Session, Stamped};
use crate::types::Index;

/// How much is remembered, and how long.
///
/// They decide what is executed, so they are a part of the replicated state: all founders of a
/// cluster must be given the same, and no member may be given others on a restart. Snapshots carry
/// them, and whoever restores one goes by the limits in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// So many sessions may be open at once.
    pub sessions_max: u64,
    /// So many bytes of answers are remembered in all.
    pub answer_bytes_max: u64,
    /// A session expires when no command of it came for longer than this, in milliseconds by the
    /// time in the log. Clients must have given up sending a command again well before.
    pub idle_ms_max: u64,
}

impl Default for SessionLimits {
    /// 10,000 sessions, 16 MiB, an hour.
    fn default() -> Self {
        Self {
            sessions_max: 10_000,
            answer_bytes_max: 16 << 20,
            idle_ms_max: 3_600_000,
        }
    }
}

/// All sessions, for a machine that keeps them with its own state. One in memory rather has
/// [`Sessions`](super::Sessions) around it.
///
/// For each command the machine calls [`SessionTable::advance`], then [`SessionTable::admit`]. What
/// that answers is the answer; else the machine executes the command, and if it belongs to a
/// session, has [`SessionTable::remember`] remember the answer. It must do so in the order of the
/// log, one command at a time. The sessions that have changed are then written down by their rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionTable {
    pub(super) limits: SessionLimits,
    /// The greatest stamp seen. It never goes back, whatever the next leader's clock says.
    pub(super) time_ms: u64,
    pub(super) sessions: BTreeMap<u64, Kept>,
    /// The clients by the entry that last concerned them: the longest idle is first.
    idle: BTreeMap<Index, u64>,
    /// The clients whose answer is kept, by the entry that was answered: the oldest is first.
    answered: BTreeMap<Index, u64>,
    /// The bytes of the answers kept; at most the limit between two commands.
    bytes: u64,
    /// The clients whose row has changed since it was asked for, if somebody asks.
    changed: Option<BTreeSet<u64>>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The highest number that was executed; 0 before the first.
    pub(super) sequence: u64,
    /// The last entry of this client.
    pub(super) active: Index,
    /// The time in the log then.
    pub(super) active_ms: u64,
    /// What was answered to the command of `sequence`, and at which entry. `None` before the first,
    /// and when it was forgotten.
    pub(super) answer: Option<(Index, Bytes)>,
}

/// What is to be done with a command of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is to be executed, and its answer to be remembered.
    Fresh,
    /// It is not to be executed: this is the answer.
    Known(Bytes),
}

impl SessionTable {
    /// Without sessions. Its rows are not asked for.
    pub(super) const fn new(limits: SessionLimits) -> Self {
        Self {
            limits,
            time_ms: 0,
            sessions: BTreeMap::new(),
            idle: BTreeMap::new(),
            answered: BTreeMap::new(),
            bytes: 0,
            changed: None,
        }
    }

    /// Without sessions, at this time in the log. Notes which rows change.
    #[must_use]
    pub fn with_rows(limits: SessionLimits, time_ms: u64) -> Self {
        Self {
            time_ms,
            changed: Some(BTreeSet::new()),
            ..Self::new(limits)
        }
    }

    /// The limits it goes by.
    #[must_use]
    pub const fn limits(&self) -> SessionLimits {
        self.limits
    }

    /// The greatest stamp seen, in milliseconds since 1970.
    #[must_use]
    pub const fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// The clients whose row has changed since this was asked last, ascending; each with its row,
    /// or with nothing if it has none any more.
    pub fn take_changed(&mut self) -> Vec<(u64, Option<Bytes>)> {
        let changed = self
            .changed
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default();
        let row = |client| (client, self.sessions.get(&client).map(Kept::encode));
        changed.into_iter().map(row).collect()
    }

    /// Puts a session back as its row has it; `None` if that is no state that commands lead to.
    pub fn put_back_row(&mut self, client: u64, mut row: &[u8]) -> Option<()> {
        let kept = Kept::take(&mut row)?;
        row.is_empty().then(|| self.put_back(client, kept))?
    }

    /// The answer to a command that is not to be executed; `None` if it is. One of a session counts
    /// as executed from then on.
    pub fn admit(&mut self, index: Index, stamped: &Stamped) -> Option<Bytes> {
        let session = stamped.session?;
        if session.sequence == 0 {
            let is_opening = session == Session::OPENING && stamped.command.is_empty();
            let answered = if is_opening {
                self.open(index)
            } else {
                Answered::Malformed
            };
            return Some(answered.encode());
        }
        match self.judge(index, session) {
            Verdict::Fresh => None,
            Verdict::Known(answer) => Some(answer),
        }
    }

    fn note(&mut self, client: u64) {
        if let Some(changed) = &mut self.changed {
            changed.insert(client);
        }
    }

    /// Whether the log's time, once it is at least `time_ms`, ends some session.
    pub(super) fn ends_any(&self, time_ms: u64) -> bool {
        self.expired(time_ms).is_some()
    }

    /// The log's time is at least `time_ms`: ends the sessions that were idle for too long.
    pub fn advance(&mut self, time_ms: u64) {
        self.time_ms = self.time_ms.max(time_ms);
        while let Some(client) = self.expired(self.time_ms) {
            self.forget(client);
            if let Some(kept) = self.sessions.remove(&client) {
                self.idle.remove(&kept.active);
            }
            self.note(client);
        }
    }

    /// The longest idle session, if it has expired at that time.
    fn expired(&self, time_ms: u64) -> Option<u64> {
        let (_, client) = self.idle.first_key_value()?;
        let active_ms = self.sessions.get(client)?.active_ms;
        let is_expired = time_ms.saturating_sub(active_ms) > self.limits.idle_ms_max;
        is_expired.then_some(*client)
    }

    /// Opens a session by the entry at `index`.
    fn open(&mut self, index: Index) -> Answered {
        if self.sessions.len() as u64 >= self.limits.sessions_max {
            // To end another session instead would leave its client, which did nothing wrong, not
            // knowing what became of its command. Who is refused now knows that nothing happened.
            return Answered::Full;
        }
        let kept = Kept {
            sequence: 0,
            active: index,
            active_ms: self.time_ms,
            answer: None,
        };
        self.sessions.insert(index.0, kept);
        self.idle.insert(index, index.0);
        self.note(index.0);
        Answered::Opened { client: index.0 }
    }

    /// Whether this command would be executed if it came now.
    pub(super) fn is_fresh(&self, session: Session) -> bool {
        let kept = self.sessions.get(&session.client);
        kept.is_some_and(|kept| session.sequence > kept.sequence)
    }

    /// The command of this session stands at `index`. A fresh one counts as executed from now on.
    fn judge(&mut self, index: Index, session: Session) -> Verdict {
        let Some(kept) = self.sessions.get_mut(&session.client) else {
            return Verdict::Known(Answered::Expired.encode());
        };
        if let Some(changed) = &mut self.changed {
            changed.insert(session.client);
        }
        self.idle.remove(&kept.active);
        self.idle.insert(index, session.client);
        kept.active = index;
        kept.active_ms = self.time_ms;
        if session.sequence > kept.sequence {
            kept.sequence = session.sequence;
            return Verdict::Fresh;
        }
        Verdict::Known(match &kept.answer {
            _ if session.sequence < kept.sequence => Answered::Superseded.encode(),
            Some((_, answer)) => answer.clone(),
            None => Answered::Forgotten.encode(),
        })
    }

    /// The command at `index`, the latest executed of this client, was answered so.
    pub fn remember(&mut self, client: u64, index: Index, answer: Bytes) {
        self.forget(client);
        let Some(kept) = self.sessions.get_mut(&client) else {
            return;
        };
        self.bytes += answer.len() as u64;
        self.answered.insert(index, client);
        kept.answer = Some((index, answer));
        while self.bytes > self.limits.answer_bytes_max {
            let Some((_, oldest)) = self.answered.first_key_value() else {
                return;
            };
            self.forget(*oldest);
        }
    }

    fn forget(&mut self, client: u64) {
        let kept = self.sessions.get_mut(&client);
        if let Some((index, answer)) = kept.and_then(|kept| kept.answer.take()) {
            self.answered.remove(&index);
            self.bytes -= answer.len() as u64;
            self.note(client);
        }
    }

    /// Puts a session back as a snapshot has it; `None` if that is no state that commands lead to.
    pub(super) fn put_back(&mut self, client: u64, kept: Kept) -> Option<()> {
        let is_place_free = !self.sessions.contains_key(&client);
        let is_past = client <= kept.active.0 && kept.active_ms <= self.time_ms;
        if !is_place_free || !is_past || self.idle.insert(kept.active, client).is_some() {
            return None;
        }
        if let Some((index, answer)) = &kept.answer {
            let is_past = client < index.0 && *index <= kept.active && kept.sequence > 0;
            if !is_past || self.answered.insert(*index, client).is_some() {
                return None;
            }
            self.bytes += answer.len() as u64;
        }
        self.sessions.insert(client, kept);
        let is_within = self.sessions.len() as u64 <= self.limits.sessions_max
            && self.bytes <= self.limits.answer_bytes_max;
        is_within.then_some(())
    }
}
