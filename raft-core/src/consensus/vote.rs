//! How a server decides on a vote (Raft §5.2, §5.4.1, §6; dissertation §9.6).
//!
//! The rules are the same in every role: a candidate or leader has already voted in its term, for
//! itself. This file does not count votes.

use super::server::Server;
use crate::event::Output;
use crate::message::{Message, PreVote, PreVoteReply, RequestVote, RequestVoteReply};
use crate::types::{NodeId, Position, Term};

impl Server {
    /// Whether it may stand for election: a voter that has lost nothing it acknowledged. One that
    /// an uncommitted configuration removes is still a voter here: it may be the only one whose log
    /// can win (dissertation §4.2.2). Its own vote counts only where the latest one says so.
    pub(super) fn may_campaign(&self) -> bool {
        let mut uncertain = self.configurations.uncertain(self.commit);
        self.may_vote() && uncertain.any(|membership| membership.is_voter(self.id))
    }

    /// Whether the candidate's log is at least as up-to-date as the own one (§5.4.1).
    fn is_up_to_date(&self, last: Position) -> bool {
        last >= self.log.last()
    }

    /// Answers whether it would vote. Changes nothing, not even a timer.
    pub(super) fn pre_vote(
        &mut self,
        from: NodeId,
        term: Term,
        question: PreVote,
        leader: LeaderLiveness,
        out: &mut Output,
    ) {
        let granted = term >= self.term()
            && leader == LeaderLiveness::Lost
            && self.may_vote()
            && self.is_up_to_date(question.last);
        let reply = PreVoteReply {
            request: question.request,
            granted,
        };
        self.send(from, Message::PreVoteReply(reply), out);
    }

    /// Votes, if nobody else has its vote in this term. Returns whether it did.
    pub(super) fn request_vote(
        &mut self,
        from: NodeId,
        request: RequestVote,
        out: &mut Output,
    ) -> bool {
        let free = self.hard_state.vote.is_none_or(|id| id == from);
        let granted = free && self.may_vote() && self.is_up_to_date(request.last);
        if granted {
            self.vote_for(from);
        }
        self.send(
            from,
            Message::RequestVoteReply(RequestVoteReply { granted }),
            out,
        );
        granted
    }
}

/// Whether there is a leader whose followers must not be turned against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaderLiveness {
    Alive,
    Lost,
}
