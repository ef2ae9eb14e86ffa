//! A campaign: first the question whether it could be won, then the vote (Raft §5.2,
//! dissertation §9.6).
//!
//! This file does not know who may campaign, nor how a voter decides.

use std::collections::BTreeMap;

use super::quorum::{self, Tally};
use super::raft::Turn;
use super::server::Server;
use crate::event::{Output, RoleCause, RoleName};
use crate::message::{Message, PreVote, PreVoteReply, RequestVote};
use crate::types::{NodeId, Round, Time};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Candidate {
    stage: Stage,
    /// Names this campaign, so that late answers to an earlier pre-vote are told apart.
    request: Round,
    /// Who answered what. The own vote is among them once it is durable.
    votes: BTreeMap<NodeId, bool>,
    /// When it gives up and starts again (§5.2: split votes).
    deadline: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Stage {
    /// Asks whether it could win. Term and vote stay as they are, so a node that can't win, because
    /// it is cut off or behind, disturbs nobody.
    PreVote,
    /// Asks for votes in a new term.
    Vote,
    /// The same with the old leader's blessing: voters that still hear from it vote all the same.
    Transfer,
}

impl Candidate {
    /// Begins a campaign. In the stages of voting this enters a new term and votes for itself.
    pub(super) fn start(
        server: &mut Server,
        now: Time,
        stage: Stage,
        cause: RoleCause,
        out: &mut Output,
    ) -> Self {
        server.follow(None, out);
        let role = match stage {
            Stage::PreVote => RoleName::PreCandidate,
            Stage::Vote | Stage::Transfer => {
                server.enter_term(server.term().next(), out);
                server.vote_for(server.id);
                RoleName::Candidate
            }
        };
        server.observe_role(role, cause, out);
        let (min, max) = (
            server.config.election_timeout_min,
            server.config.election_timeout_max,
        );
        let deadline = now.plus(server.rng.between(min, max));
        server.asked = server.asked.next();
        let candidate = Self {
            stage,
            request: server.asked,
            votes: BTreeMap::new(),
            deadline,
        };
        candidate.ask(server, out);
        candidate
    }

    fn ask(&self, server: &mut Server, out: &mut Output) {
        let last = server.log.last();
        let membership = std::sync::Arc::clone(server.membership());
        for (id, _) in membership.members() {
            if id == server.id || !membership.is_voter(id) {
                continue;
            }
            let message = match self.stage {
                Stage::PreVote => Message::PreVote(PreVote {
                    last,
                    request: self.request,
                }),
                Stage::Vote => Message::RequestVote(RequestVote {
                    last,
                    transfer: false,
                }),
                Stage::Transfer => Message::RequestVote(RequestVote {
                    last,
                    transfer: true,
                }),
            };
            server.send(id, message, out);
        }
    }

    pub(super) const fn name(&self) -> RoleName {
        match self.stage {
            Stage::PreVote => RoleName::PreCandidate,
            Stage::Vote | Stage::Transfer => RoleName::Candidate,
        }
    }

    pub(super) const fn deadline(&self) -> Time {
        self.deadline
    }

    #[cfg(feature = "sim")]
    pub(super) fn for_each_time(&mut self, change: &mut dyn FnMut(&mut Time)) {
        change(&mut self.deadline);
    }

    pub(super) fn tick(&self, server: &Server, now: Time) -> Option<Turn> {
        if now < self.deadline {
            return None;
        }
        if server.may_campaign() && server.stalled(now).is_none() {
            Some(Turn::Campaign(RoleCause::ElectionTimeout))
        } else {
            Some(Turn::Follow(RoleCause::VotesLost))
        }
    }

    pub(super) fn pre_vote_reply(&mut self, server: &Server, from: NodeId, reply: PreVoteReply) {
        let current = self.stage == Stage::PreVote && self.request == reply.request;
        if current && server.membership().is_voter(from) {
            self.votes.insert(from, reply.granted);
        }
    }

    pub(super) fn vote_reply(&mut self, server: &Server, from: NodeId, granted: bool) {
        if self.stage != Stage::PreVote && server.membership().is_voter(from) {
            self.votes.insert(from, granted);
        }
    }

    /// How the campaign stands; asked after everything that may have changed it.
    pub(super) fn outcome(&mut self, server: &Server) -> Option<Turn> {
        // A vote counts when it would survive a power cut, the own one like any other.
        if self.stage == Stage::PreVote || server.writes.is_hard_state_durable() {
            self.votes.insert(server.id, true);
        }
        match quorum::tally(server.membership(), |id| self.votes.get(&id).copied()) {
            Tally::Open => None,
            Tally::Lost => Some(Turn::Follow(RoleCause::VotesLost)),
            Tally::Won if self.stage == Stage::PreVote => Some(Turn::Elect),
            Tally::Won => Some(Turn::Lead),
        }
    }
}
