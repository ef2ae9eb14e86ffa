//! The messages under way: a set of ids, ascending.
//!
//! It deliberately does not know what is in them; what it has to know it is told.

use raft_core::event::RoleName;
use raft_core::message::AppendOutcome;
use raft_core::{Envelope, HardState, Message, Raft};

/// Which messages are under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Network(Vec<u32>);

impl Network {
    pub(super) fn ids(&self) -> &[u32] {
        &self.0
    }

    pub(super) fn insert(&mut self, id: u32) {
        if let Err(place) = self.0.binary_search(&id) {
            self.0.insert(place, id);
        }
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        self.0.binary_search(&id).is_ok()
    }

    pub(super) fn remove(&mut self, id: u32) {
        if let Ok(place) = self.0.binary_search(&id) {
            self.0.remove(place);
        }
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&u32) -> bool) {
        self.0.retain(keep);
    }

    /// Loses messages, those of the least rank first, until no more than `max` are left.
    pub(super) fn shrink_to<K: Ord>(&mut self, max: usize, rank: impl Fn(u32) -> K) {
        while self.0.len() > max {
            if let Some(least) = self.0.iter().copied().min_by_key(|id| rank(*id)) {
                self.remove(least);
            }
        }
    }
}

/// Whether a message can never again have an effect on its receiver, whatever becomes of it. Such
/// messages are dropped at once, so that states that differ in nothing else become one.
///
/// Terms that are durable only grow, a server is a candidate of a term only when it has just
/// entered it, and a leader only after that. So an answer to a candidate or leader that has left
/// office comes too late for ever. So does one to a pre-vote that is over, by its number.
pub(super) fn is_void(raft: &Raft, durable: HardState, envelope: &Envelope) -> bool {
    let (role, term) = (raft.role(), envelope.term);
    let in_office = |office: RoleName| raft.term() == term && role == office;
    match &envelope.message {
        Message::RequestVoteReply(_) => term <= durable.term && !in_office(RoleName::Candidate),
        Message::AppendEntriesReply(_)
        | Message::InstallSnapshotReply(_)
        | Message::ReadIndex(_) => {
            let may_yet_lead = in_office(RoleName::Candidate) || in_office(RoleName::Leader);
            term <= durable.term && !may_yet_lead
        }
        Message::PreVoteReply(_) => term <= durable.term && role != RoleName::PreCandidate,
        Message::TimeoutNow | Message::ReadIndexReply(_) | Message::StaleTerm => {
            term < durable.term
        }
        Message::WrongIncarnation => true,
        Message::PreVote(_)
        | Message::RequestVote(_)
        | Message::AppendEntries(_)
        | Message::InstallSnapshot(_) => false,
    }
}

/// The same, given that all refusals get lost: then a message that is at most refused is void, too,
/// and so is a second request for a vote that was given and whose grant is under way or was heard.
pub(super) fn is_refused(durable: HardState, envelope: &Envelope) -> bool {
    let decided = envelope.term == durable.term && durable.vote.is_some();
    match &envelope.message {
        Message::RequestVote(_) => envelope.term < durable.term || decided,
        Message::AppendEntries(_) | Message::InstallSnapshot(_) => envelope.term < durable.term,
        Message::PreVote(_)
        | Message::PreVoteReply(_)
        | Message::RequestVoteReply(_)
        | Message::AppendEntriesReply(_)
        | Message::InstallSnapshotReply(_)
        | Message::TimeoutNow
        | Message::ReadIndex(_)
        | Message::ReadIndexReply(_)
        | Message::StaleTerm
        | Message::WrongIncarnation => false,
    }
}

/// Whether a message that changes nothing now will hardly ever change anything: what it tells is
/// known. Others are ignored only for the time being, as a request for a vote while a leader is
/// heard, or a conflict with what was not asked last.
pub(super) const fn repeats_itself(message: &Message) -> bool {
    match message {
        Message::RequestVoteReply(_)
        | Message::AppendEntries(_)
        | Message::InstallSnapshotReply(_)
        | Message::ReadIndexReply(_)
        | Message::StaleTerm => true,
        Message::AppendEntriesReply(reply) => matches!(reply.outcome, AppendOutcome::Matched(_)),
        Message::PreVote(_)
        | Message::PreVoteReply(_)
        | Message::RequestVote(_)
        | Message::InstallSnapshot(_)
        | Message::TimeoutNow
        | Message::ReadIndex(_)
        | Message::WrongIncarnation => false,
    }
}

/// Whether a message only says no. The network may lose any message; where a configuration loses
/// these, there is less to explore, and only candidates and leaders hold out longer.
pub(super) const fn is_refusal(message: &Message) -> bool {
    match message {
        Message::RequestVoteReply(reply) => !reply.granted,
        Message::PreVoteReply(reply) => !reply.granted,
        Message::StaleTerm | Message::WrongIncarnation => true,
        Message::PreVote(_)
        | Message::RequestVote(_)
        | Message::AppendEntries(_)
        | Message::AppendEntriesReply(_)
        | Message::InstallSnapshot(_)
        | Message::InstallSnapshotReply(_)
        | Message::TimeoutNow
        | Message::ReadIndex(_)
        | Message::ReadIndexReply(_) => false,
    }
}
