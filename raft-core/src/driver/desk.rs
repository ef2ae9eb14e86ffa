//! Keeps who waits for what: requests handed to the core, accepted, passed on, or waiting for a
//! leader. Every request gets exactly one answer, at the latest when its time is over.
//!
//! The desk decides nothing about consensus: it takes the core's replies and the other nodes'
//! answers, and knows what they mean for a client. This file does not know how they come about.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::clock::Clock;
use super::error::{ChangeRefused, ReadError, WriteError};
use super::request::{
    Change, ChangeDone, ChangeRequest, Client, ClientRequest, ReadRequest, WriteRequest,
};
use super::slots::Slots;
use crate::event::{Event, Refusal, Reply};
use crate::port::{Answer, Ask, Framing, Outcome, Parcel, Question, Transport};
use crate::session::Stamped;
use crate::types::{Index, NodeId, Position, Ticket, Time};

/// The book-keeping of requests.
pub(super) struct Desk {
    rules: DeskRules,
    transport: Arc<dyn Transport>,
    /// What the core has not answered yet.
    asked: Slots<Asked>,
    /// Commands in the log, ascending by index.
    accepted: VecDeque<Accepted>,
    /// No deadline among them is later.
    accepted_until: Time,
    /// The first deadline of those that stand behind one that has more time, or earlier: a request
    /// that waited for a leader has used up some of its time.
    hasty: Option<Time>,
    /// What was passed on.
    away: BTreeMap<Ticket, Away>,
    away_bytes: usize,
    /// What waits for a leader.
    parked: VecDeque<Asked>,
    parked_bytes: usize,
    /// When reads, and what was passed on, are given up.
    deadlines: BTreeSet<(Time, Waits)>,
    /// That of the next question to another node.
    ticket: Ticket,
}

/// What is given up at a deadline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Waits {
    /// For the core.
    Asked(Ticket),
    /// For another node.
    Away(Ticket),
}

/// What the desk goes by.
pub(super) struct DeskRules {
    /// Whose desk it is.
    pub(super) id: NodeId,
    pub(super) framing: Framing,
    /// Whether requests are passed on to the leader, and wait for one.
    pub(super) forwards: bool,
    /// So many requests wait at most for a leader, and so many are passed on at once.
    pub(super) waiting_max: usize,
    /// So many bytes of each.
    pub(super) waiting_bytes_max: usize,
    /// For the time that is noted in the log.
    pub(super) clock: Clock,
    /// Where to count on from; an earlier process of this node used others.
    pub(super) ticket_first: u64,
}

/// A command in the log, and who waits for it to be applied.
pub(super) struct Accepted {
    pub(super) position: Position,
    pub(super) client: Client<Bytes, WriteError>,
    deadline: Time,
}

/// A request, and when it is given up.
pub(super) struct Asked {
    pub(super) request: ClientRequest,
    pub(super) deadline: Time,
}

struct Away {
    to: NodeId,
    asked: Asked,
}

/// A read that the machine may answer.
pub(super) struct ReadyRead {
    pub(super) index: Index,
    pub(super) read: ReadRequest,
    pub(super) deadline: Time,
}

impl Desk {
    pub(super) fn new(rules: DeskRules, transport: Arc<dyn Transport>) -> Self {
        Self {
            ticket: Ticket(rules.ticket_first),
            rules,
            transport,
            asked: Slots::default(),
            accepted: VecDeque::new(),
            accepted_until: Time::default(),
            hasty: None,
            away: BTreeMap::new(),
            away_bytes: 0,
            parked: VecDeque::new(),
            parked_bytes: 0,
            deadlines: BTreeSet::new(),
        }
    }

    /// A request as an event for the core.
    pub(super) fn ask_core(&mut self, asked: Asked, now: Time) -> Event {
        match &asked.request {
            ClientRequest::Write(write) => {
                let command = self.framed(write, now);
                let ticket = self.asked.put(asked);
                Event::Propose { ticket, command }
            }
            ClientRequest::Read(read) => {
                let (consistency, deadline) = (read.consistency, asked.deadline);
                let ticket = self.asked.put(asked);
                self.deadlines.insert((deadline, Waits::Asked(ticket)));
                Event::Read {
                    ticket,
                    consistency,
                }
            }
            ClientRequest::Change(request) => {
                let change = request.change.clone();
                let ticket = self.asked.put(asked);
                match change {
                    Change::Members { based_on, changes } => Event::ChangeMembership {
                        ticket,
                        based_on,
                        changes,
                    },
                    Change::Leader(target) => Event::TransferLeadership { ticket, target },
                }
            }
        }
    }

    fn framed(&self, write: &WriteRequest, now: Time) -> Bytes {
        match self.rules.framing {
            Framing::Raw => write.command.clone(),
            Framing::Stamped => Stamped {
                time_ms: self.rules.clock.wall_ms(now),
                session: write.session,
                command: write.command.clone(),
            }
            .encode(),
        }
    }

    // --- What the core answers ---

    /// Takes the core's answer to a request; a read that may be answered now is handed back.
    pub(super) fn reply(&mut self, reply: &Reply) -> Option<ReadyRead> {
        match *reply {
            Reply::Accepted { ticket, position } => {
                if let Some(Asked { request, deadline }) = self.asked.take(ticket)
                    && let ClientRequest::Write(write) = request
                {
                    self.accept(Accepted {
                        position,
                        client: write.client,
                        deadline,
                    });
                }
            }
            Reply::ReadReady { ticket, index } => {
                if let Some(Asked { request, deadline }) = self.asked.take(ticket)
                    && let ClientRequest::Read(read) = request
                {
                    self.deadlines.remove(&(deadline, Waits::Asked(ticket)));
                    return Some(ReadyRead {
                        index,
                        read,
                        deadline,
                    });
                }
            }
            Reply::MembershipChanged { ticket, index } => {
                self.changed(ticket, Ok(ChangeDone::Members(index)));
            }
            Reply::Transferred { ticket } => self.changed(ticket, Ok(ChangeDone::Leader)),
            Reply::Unknown { ticket } => self.changed(ticket, Err(ChangeRefused::Unknown)),
            Reply::Refused { ticket, reason } => {
                if let Some(asked) = self.asked.take(ticket) {
                    self.deadlines
                        .remove(&(asked.deadline, Waits::Asked(ticket)));
                    self.refused(asked, reason);
                }
            }
        }
        None
    }

    /// The command is in the log. Another that stood at its place, or behind it, was truncated
    /// here; a leader that still has it may yet commit it.
    fn accept(&mut self, accepted: Accepted) {
        while let Some(last) = self.accepted.back()
            && last.position.index >= accepted.position.index
        {
            if let Some(Accepted { client, .. }) = self.accepted.pop_back() {
                self.tell_write(client, Err(WriteError::Unknown));
            }
        }
        self.line_up(accepted);
    }

    /// Puts it at the end, and notes when it is in more of a hurry than those before it.
    fn line_up(&mut self, accepted: Accepted) {
        let deadline = accepted.deadline;
        if deadline < self.accepted_until {
            self.hasty = Some(self.hasty.map_or(deadline, |hasty| hasty.min(deadline)));
        }
        self.accepted_until = self.accepted_until.max(deadline);
        self.accepted.push_back(accepted);
    }

    fn changed(&mut self, ticket: Ticket, outcome: Result<ChangeDone, ChangeRefused>) {
        if let Some(Asked { request, .. }) = self.asked.take(ticket)
            && let ClientRequest::Change(change) = request
        {
            self.tell_change(change, outcome);
        }
    }

    /// The core, or the node that leads or did, will not do it.
    fn refused(&mut self, asked: Asked, reason: Refusal) {
        let may_wait = self.rules.forwards && asked.request.is_of_here();
        let is_write = matches!(asked.request, ClientRequest::Write(_));
        match reason {
            Refusal::NotLeader(Some(leader)) if may_wait && leader != self.rules.id => {
                self.pass_on(leader, asked);
            }
            Refusal::NotLeader(_) if may_wait => self.park(asked),
            Refusal::Transferring if may_wait && is_write => self.park(asked),
            Refusal::NotLeader(_)
            | Refusal::Transferring
            | Refusal::Overloaded
            | Refusal::Change(_)
            | Refusal::Aborted
            | Refusal::BadTarget
            | Refusal::TimedOut => self.refuse(asked.request, reason),
        }
    }

    // --- What other nodes answer ---

    /// A leader is known that is not here. Reads are answered here, once it has confirmed them; so
    /// they only wait.
    fn pass_on(&mut self, to: NodeId, asked: Asked) {
        let question = match &asked.request {
            ClientRequest::Read(_) => return self.park(asked),
            ClientRequest::Write(write) => Question::Write {
                session: write.session,
                command: write.command.clone(),
            },
            ClientRequest::Change(request) => match request.change.clone() {
                Change::Members { based_on, changes } => Question::Change { based_on, changes },
                Change::Leader(target) => Question::Transfer { target },
            },
        };
        let bytes = asked.request.weight();
        if self.away.len() >= self.rules.waiting_max
            || self.away_bytes + bytes > self.rules.waiting_bytes_max && !self.away.is_empty()
        {
            return self.refuse(asked.request, Refusal::Overloaded);
        }
        self.away_bytes += bytes;
        self.ticket.0 += 1;
        let ticket = self.ticket;
        self.deadlines.insert((asked.deadline, Waits::Away(ticket)));
        self.away.insert(ticket, Away { to, asked });
        self.transport.send(Parcel::Ask(Ask {
            from: self.rules.id,
            to,
            ticket,
            question,
        }));
    }

    /// Another node answers what was passed on to it.
    pub(super) fn answered(&mut self, answer: Answer) {
        let is_asked = |away: &Away| away.to == answer.from;
        if !self.away.get(&answer.ticket).is_some_and(is_asked) {
            return;
        }
        let Some(asked) = self.take_away(answer.ticket) else {
            return;
        };
        self.deadlines
            .remove(&(asked.deadline, Waits::Away(answer.ticket)));
        match (asked.request, answer.outcome) {
            (ClientRequest::Write(write), Outcome::Written(answer)) => {
                self.tell_write(write.client, Ok(answer));
            }
            (ClientRequest::Change(change), Outcome::Changed(index)) => {
                self.tell_change(change, Ok(ChangeDone::Members(index)));
            }
            (ClientRequest::Change(change), Outcome::Transferred) => {
                self.tell_change(change, Ok(ChangeDone::Leader));
            }
            (request, Outcome::Refused(reason)) => {
                let deadline = asked.deadline;
                let asked = Asked { request, deadline };
                if matches!(reason, Refusal::NotLeader(_)) {
                    // The hint may be this node, or older than what it knows: it waits for news.
                    self.park(asked);
                } else {
                    self.refused(asked, reason);
                }
            }
            (
                request,
                Outcome::Unknown
                | Outcome::Written(_)
                | Outcome::Changed(_)
                | Outcome::Transferred
                | Outcome::Cluster(_),
            ) => self.lose(request),
        }
    }

    fn take_away(&mut self, ticket: Ticket) -> Option<Asked> {
        let Away { asked, .. } = self.away.remove(&ticket)?;
        self.away_bytes -= asked.request.weight();
        Some(asked)
    }

    // --- What waits for a leader ---

    fn park(&mut self, asked: Asked) {
        let bytes = asked.request.weight();
        if self.parked.len() >= self.rules.waiting_max
            || self.parked_bytes + bytes > self.rules.waiting_bytes_max && !self.parked.is_empty()
        {
            return self.refuse(asked.request, Refusal::Overloaded);
        }
        self.parked_bytes += bytes;
        self.parked.push_back(asked);
    }

    /// Whether anything waits for a leader.
    pub(super) fn has_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// What waited for a leader, to be tried again.
    pub(super) fn unpark(&mut self) -> VecDeque<Asked> {
        self.parked_bytes = 0;
        std::mem::take(&mut self.parked)
    }

    // --- What is applied ---

    /// Those who wait for commands up to this index.
    pub(super) fn waiting_up_to(&mut self, index: Index) -> Vec<Accepted> {
        let count = self
            .accepted
            .partition_point(|accepted| accepted.position.index <= index);
        self.accepted.drain(..count).collect()
    }

    /// All up to this index came with a snapshot: which commands were among it can't be told.
    pub(super) fn restored(&mut self, index: Index) {
        for Accepted { client, .. } in self.waiting_up_to(index) {
            self.tell_write(client, Err(WriteError::Unknown));
        }
    }

    // --- The end ---

    /// When the next request is given up, apart from those that wait for a leader: they are tried
    /// again every now and then in any case.
    pub(super) fn deadline(&self) -> Option<Time> {
        let accepted = self.accepted.front().map(|accepted| accepted.deadline);
        let others = self.deadlines.first().map(|(deadline, _)| *deadline);
        accepted.into_iter().chain(others).chain(self.hasty).min()
    }

    /// Gives up what has waited too long.
    pub(super) fn expire(&mut self, now: Time) {
        while let Some(first) = self.accepted.front()
            && first.deadline <= now
        {
            if let Some(Accepted { client, .. }) = self.accepted.pop_front() {
                self.tell_write(client, Err(WriteError::Unknown));
            }
        }
        if self.hasty.is_some_and(|hasty| hasty <= now) {
            self.expire_hasty(now);
        }
        while let Some((deadline, waits)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.deadlines.pop_first();
            match waits {
                Waits::Away(ticket) => {
                    if let Some(asked) = self.take_away(ticket) {
                        self.lose(asked.request);
                    }
                }
                Waits::Asked(ticket) => {
                    if let Some(asked) = self.asked.take(ticket) {
                        self.refuse(asked.request, Refusal::NotLeader(None));
                    }
                }
            }
        }
        for asked in self.unpark() {
            if asked.deadline <= now {
                self.refuse(asked.request, Refusal::NotLeader(None));
            } else {
                self.park(asked);
            }
        }
    }

    fn expire_hasty(&mut self, now: Time) {
        (self.hasty, self.accepted_until) = (None, Time::default());
        for accepted in std::mem::take(&mut self.accepted) {
            if accepted.deadline <= now {
                self.tell_write(accepted.client, Err(WriteError::Unknown));
            } else {
                self.line_up(accepted);
            }
        }
    }

    /// The node stops: all get what can be said.
    pub(super) fn close(mut self) {
        for Accepted { client, .. } in std::mem::take(&mut self.accepted) {
            self.tell_write(client, Err(WriteError::Unknown));
        }
        for (_, away) in std::mem::take(&mut self.away) {
            self.lose(away.asked.request);
        }
        for asked in self.unpark() {
            self.stop(asked.request);
        }
        let unanswered: Vec<_> = self.asked.drain().collect();
        for Asked { request, .. } in unanswered {
            match request {
                ClientRequest::Read(_) => self.stop(request),
                ClientRequest::Write(_) | ClientRequest::Change(_) => self.lose(request),
            }
        }
    }

    /// It was never handed to the core.
    pub(super) fn stop(&self, request: ClientRequest) {
        match request {
            ClientRequest::Write(write) => self.tell_write(write.client, Err(WriteError::Stopped)),
            ClientRequest::Read(read) => tell_read(read, ReadError::Stopped),
            ClientRequest::Change(change) => self.tell_change(change, Err(ChangeRefused::Stopped)),
        }
    }

    fn refuse(&self, request: ClientRequest, reason: Refusal) {
        match request {
            ClientRequest::Write(write) => self.tell_write(write.client, Err(reason.into())),
            ClientRequest::Read(read) => tell_read(read, reason.into()),
            ClientRequest::Change(change) => self.tell_change(change, Err(reason.into())),
        }
    }

    /// What came of it can't be told.
    fn lose(&self, request: ClientRequest) {
        match request {
            ClientRequest::Write(write) => self.tell_write(write.client, Err(WriteError::Unknown)),
            ClientRequest::Read(read) => tell_read(read, ReadError::NoLeader { hint: None }),
            ClientRequest::Change(change) => self.tell_change(change, Err(ChangeRefused::Unknown)),
        }
    }

    fn tell_write(&self, client: Client<Bytes, WriteError>, answer: Result<Bytes, WriteError>) {
        client.tell(self.rules.id, answer, self.transport.as_ref());
    }

    fn tell_change(&self, request: ChangeRequest, answer: Result<ChangeDone, ChangeRefused>) {
        let client = request.client;
        client.tell(self.rules.id, answer, self.transport.as_ref());
    }
}

fn tell_read(read: ReadRequest, error: ReadError) {
    // Who asked may be gone; nobody else wants the answer.
    drop(read.reply.send(Err(error)));
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::membership::Membership;
    use crate::port::{Inbox, PortError, SnapshotSource};
    use crate::types::Term;

    /// Carries nothing.
    struct Nowhere;

    impl Transport for Nowhere {
        fn start(&self, _: Arc<dyn Inbox>) -> Result<(), PortError> {
            Ok(())
        }

        fn stop(&self) {}

        fn members(&self, _: &Membership) {}

        fn send(&self, _: Parcel) {}

        fn open_snapshot(
            &self,
            _: NodeId,
            _: Position,
        ) -> Result<Box<dyn SnapshotSource>, PortError> {
            Err(PortError::misused("there is nobody"))
        }
    }

    type Answered = oneshot::Receiver<Result<Bytes, WriteError>>;

    /// Has a write accepted there.
    fn accepted(desk: &mut Desk, position: Position) -> Answered {
        let (sender, receiver) = oneshot::channel();
        let request = ClientRequest::Write(WriteRequest {
            session: None,
            command: Bytes::new(),
            client: Client::Here(sender),
        });
        let deadline = Time(u64::MAX);
        let Event::Propose { ticket, .. } = desk.ask_core(Asked { request, deadline }, Time(0))
        else {
            panic!("a write is proposed");
        };
        assert!(desk.reply(&Reply::Accepted { ticket, position }).is_none());
        receiver
    }

    /// It was truncated here only: with five servers, of which two have the entry of the later
    /// term, a third leader may still commit the earlier one (Raft §5.4.2, Figure 8).
    #[test]
    fn what_became_of_a_command_that_another_displaced_is_unknown() {
        let rules = DeskRules {
            id: NodeId(1),
            framing: Framing::Raw,
            forwards: true,
            waiting_max: 10,
            waiting_bytes_max: 10,
            clock: Clock::start(),
            ticket_first: 0,
        };
        let mut desk = Desk::new(rules, Arc::new(Nowhere));
        let at = |term, index| Position::new(Term(term), Index(index));
        let mut kept = accepted(&mut desk, at(1, 5));
        let mut displaced = [accepted(&mut desk, at(1, 6)), accepted(&mut desk, at(1, 7))];
        let mut later = accepted(&mut desk, at(3, 6));
        for receiver in &mut displaced {
            assert_eq!(receiver.try_recv(), Ok(Err(WriteError::Unknown)));
        }
        assert!(
            kept.try_recv().is_err() && later.try_recv().is_err(),
            "they wait"
        );
        let waiting = desk.waiting_up_to(Index(9));
        let positions: Vec<_> = waiting.iter().map(|waiting| waiting.position).collect();
        assert_eq!(positions, [at(1, 5), at(3, 6)]);
    }
}
