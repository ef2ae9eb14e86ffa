//! A list of clients with the last answer of each: a command that comes again is not done again.

use bytes::Bytes;
use raft_core::session::{Answered, Session, SessionLimits};
use raft_core::{Index, Term};
use raft_kv::{Answer, Command, LeaseId};

use super::{Place, Reference};

/// A store whose clients may send a command again.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// The store.
    pub store: Reference,
    /// Those who have a session, in the order in which they opened it.
    pub clients: Vec<Client>,
    limits: SessionLimits,
}

/// Who has a session.
#[derive(Clone, Debug)]
pub struct Client {
    /// The index of the entry that opened it.
    pub id: u64,
    /// The number of its last command.
    pub sequence: u64,
    /// When it was last heard from.
    active_ms: u64,
    /// The entry of its last command, and what was answered, if that is still known.
    answer: Option<(Index, Bytes)>,
}

/// A command as it comes from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log.
    pub index: Index,
    /// Its term.
    pub term: Term,
    /// The leader's clock.
    pub time_ms: u64,
    /// Whose it is, if it is anybody's.
    pub session: Option<Session>,
    /// What is to be done; `None` opens a session.
    pub command: Option<Command>,
}

impl Sessions {
    /// A fresh store.
    #[must_use]
    pub fn new(limits: SessionLimits) -> Self {
        Self {
            store: Reference::default(),
            clients: Vec::new(),
            limits,
        }
    }

    /// What must be answered to an entry. If it grants a lease without a name, this is `chosen`.
    pub fn apply(&mut self, entry: &Entry, chosen: LeaseId) -> Answered {
        self.store.time_ms = self.store.time_ms.max(entry.time_ms);
        let oldest_ms = self.store.time_ms.saturating_sub(self.limits.idle_ms_max);
        self.clients.retain(|client| client.active_ms >= oldest_ms);
        match (&entry.command, entry.session) {
            (None, _) => self.open(entry.index),
            (Some(command), None) => {
                Answered::Applied(self.execute(entry, command, chosen).encode())
            }
            // Of what was checked too early, no session hears.
            (Some(command), Some(_)) if self.store.is_early(command) => {
                Answered::Applied(self.execute(entry, command, chosen).encode())
            }
            (Some(_), Some(Session { sequence: 0, .. })) => Answered::Malformed,
            (Some(command), Some(session)) => self.execute_once(entry, command, session, chosen),
        }
    }

    fn execute(&mut self, entry: &Entry, command: &Command, chosen: LeaseId) -> Answer {
        let (index, term) = (entry.index, entry.term);
        let place = Place {
            index,
            term,
            chosen,
        };
        self.store.apply(place, command)
    }

    fn open(&mut self, index: Index) -> Answered {
        if self.clients.len() as u64 == self.limits.sessions_max {
            return Answered::Full;
        }
        self.clients.push(Client {
            id: index.0,
            sequence: 0,
            active_ms: self.store.time_ms,
            answer: None,
        });
        Answered::Opened { client: index.0 }
    }

    fn execute_once(
        &mut self,
        entry: &Entry,
        command: &Command,
        session: Session,
        chosen: LeaseId,
    ) -> Answered {
        let mut clients = self.clients.iter();
        let Some(place) = clients.position(|client| client.id == session.client) else {
            return Answered::Expired;
        };
        self.clients[place].active_ms = self.store.time_ms;
        if session.sequence < self.clients[place].sequence {
            return Answered::Superseded;
        }
        if session.sequence == self.clients[place].sequence {
            let answer = self.clients[place].answer.clone();
            return answer.map_or(Answered::Forgotten, |(_, answer)| Answered::Applied(answer));
        }
        let answer = self.execute(entry, command, chosen).encode();
        self.clients[place].sequence = session.sequence;
        self.clients[place].answer = Some((entry.index, answer.clone()));
        self.forget_the_oldest();
        Answered::Applied(answer)
    }

    /// Answers are kept within a number of bytes; each counts with one more, which says what kind
    /// of answer it is.
    fn forget_the_oldest(&mut self) {
        let bytes = |client: &Client| {
            client
                .answer
                .as_ref()
                .map_or(0, |(_, of)| of.len() as u64 + 1)
        };
        while self.clients.iter().map(bytes).sum::<u64>() > self.limits.answer_bytes_max {
            let answered = self
                .clients
                .iter_mut()
                .filter(|client| client.answer.is_some());
            let oldest = answered.min_by_key(|client| client.answer.as_ref().map(|(at, _)| *at));
            oldest.expect("some answer takes the bytes").answer = None;
        }
    }
}
