//! What sessions are to do, one command at a time and without any index.

use bytes::Bytes;

use crate::session::{Answered, Session, SessionLimits, Stamped};

pub(super) struct Model {
    limits: SessionLimits,
    time_ms: u64,
    clients: Vec<Client>,
    /// The commands executed.
    pub(super) lines: Vec<Bytes>,
}

struct Client {
    id: u64,
    sequence: u64,
    active_ms: u64,
    answer: Option<(u64, Bytes)>,
}

impl Model {
    pub(super) const fn new(limits: SessionLimits) -> Self {
        Self {
            limits,
            time_ms: 0,
            clients: Vec::new(),
            lines: Vec::new(),
        }
    }

    pub(super) fn apply(&mut self, index: u64, command: &Bytes) -> Answered {
        let Some(stamped) = Stamped::decode(command.clone()) else {
            return Answered::Malformed;
        };
        self.time_ms = self.time_ms.max(stamped.time_ms);
        let oldest_ms = self.time_ms.saturating_sub(self.limits.idle_ms_max);
        self.clients.retain(|client| client.active_ms >= oldest_ms);
        match stamped.session {
            None => Answered::Applied(self.execute(index, stamped.command)),
            Some(Session::OPENING) if stamped.command.is_empty() => self.open(index),
            Some(Session { sequence: 0, .. }) => Answered::Malformed,
            Some(session) => self.apply_once(index, session, stamped.command),
        }
    }

    fn execute(&mut self, index: u64, command: Bytes) -> Bytes {
        let answer = [index.to_string().as_bytes(), b":", &command].concat();
        self.lines.push(command);
        answer.into()
    }

    fn open(&mut self, index: u64) -> Answered {
        if self.clients.len() as u64 == self.limits.sessions_max {
            return Answered::Full;
        }
        self.clients.push(Client {
            id: index,
            sequence: 0,
            active_ms: self.time_ms,
            answer: None,
        });
        Answered::Opened { client: index }
    }

    fn apply_once(&mut self, index: u64, session: Session, command: Bytes) -> Answered {
        let id = session.client;
        let Some(place) = self.clients.iter().position(|client| client.id == id) else {
            return Answered::Expired;
        };
        self.clients[place].active_ms = self.time_ms;
        if session.sequence < self.clients[place].sequence {
            return Answered::Superseded;
        }
        if session.sequence == self.clients[place].sequence {
            let answer = self.clients[place].answer.clone();
            return answer.map_or(Answered::Forgotten, |(_, answer)| Answered::Applied(answer));
        }
        let answer = self.execute(index, command);
        self.clients[place].sequence = session.sequence;
        self.clients[place].answer = Some((index, answer.clone()));
        while self.bytes() > self.limits.answer_bytes_max {
            let kept = self
                .clients
                .iter_mut()
                .filter(|client| client.answer.is_some());
            let oldest = kept.min_by_key(|client| client.answer.clone());
            oldest.expect("some answer takes the bytes").answer = None;
        }
        Answered::Applied(answer)
    }

    /// With the byte that says what kind of answer it is.
    fn bytes(&self) -> u64 {
        let answers = self
            .clients
            .iter()
            .filter_map(|client| client.answer.as_ref());
        answers.map(|(_, answer)| answer.len() as u64 + 1).sum()
    }
}
