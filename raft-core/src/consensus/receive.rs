//! The rules about messages: which are believed, what a term does, and who gets them
//! (Raft §5.1 and Figure 2, "rules for servers").
//!
//! What a message means to a role stands in the role's file.

use super::candidate::{Candidate, Stage};
use super::follower::Follower;
use super::raft::{Raft, Role, Turn};
use super::vote::LeaderLiveness;
use crate::event::{Observation, Output, RoleCause, RoleName};
use crate::message::{Envelope, Message, RequestVote};
use crate::types::{NodeId, Time};

impl Raft {
    /// The rules for all servers (Figure 2), then the role.
    pub(super) fn receive(&mut self, now: Time, envelope: Envelope, out: &mut Output) {
        if envelope.to != self.server.id || self.refused_as_other_life(&envelope, out) {
            return;
        }
        let (from, term) = (envelope.from, envelope.term);
        if let Message::PreVote(request) = &envelope.message {
            let leader = self.leader_liveness(now);
            self.server.pre_vote(from, term, *request, leader, out);
            return;
        }
        // A voter that hears a leader ignores who does not (§6), unless the leader wants it so.
        if let Message::RequestVote(request) = &envelope.message
            && !request.transfer
            && self.leader_liveness(now) == LeaderLiveness::Alive
        {
            return;
        }
        if term > self.server.term() {
            self.enter_term(now, &envelope, out);
        } else if term < self.server.term() {
            self.receive_stale(&envelope, out);
            return;
        }
        self.dispatch(now, envelope, out);
    }

    /// Answers count only from the life of the sender's storage that the configuration names. The
    /// requests of another life do no harm: they are answered by the rules, or not believed there.
    fn refused_as_other_life(&mut self, envelope: &Envelope, out: &mut Output) -> bool {
        let (id, incarnation) = (envelope.from, envelope.incarnation);
        let membership = self.server.membership();
        if !envelope.message.is_counted()
            || !membership.contains(id)
            || membership.accepts(id, incarnation)
        {
            return false;
        }
        out.observations
            .push(Observation::WrongIncarnation { id, incarnation });
        self.server.send(id, Message::WrongIncarnation, out);
        true
    }

    /// A later term makes any server a follower (§5.1).
    fn enter_term(&mut self, now: Time, envelope: &Envelope, out: &mut Output) {
        self.role.retire(&self.server, out);
        self.server.enter_term(envelope.term, out);
        let fresh = Follower::new(&mut self.server, now);
        self.role = Role::Follower(match &self.role {
            Role::Follower(before) => fresh.waiting_like(before),
            Role::Candidate(_) | Role::Leader(_) => fresh,
        });
        let cause = RoleCause::HigherTerm(envelope.from);
        self.server.observe_role(RoleName::Follower, cause, out);
    }

    /// What a message of an earlier term deserves: a leader or candidate learns that its term is
    /// over; an answer is late, but for that to a pre-vote, whose sender may be in an earlier term.
    fn receive_stale(&mut self, envelope: &Envelope, out: &mut Output) {
        match &envelope.message {
            Message::AppendEntries(_) | Message::InstallSnapshot(_) | Message::RequestVote(_) => {
                self.server.send(envelope.from, Message::StaleTerm, out);
            }
            Message::PreVoteReply(reply) => {
                if let Role::Candidate(candidate) = &mut self.role {
                    candidate.pre_vote_reply(&self.server, envelope.from, *reply);
                }
            }
            Message::PreVote(_)
            | Message::RequestVoteReply(_)
            | Message::AppendEntriesReply(_)
            | Message::InstallSnapshotReply(_)
            | Message::TimeoutNow
            | Message::ReadIndex(_)
            | Message::ReadIndexReply(_)
            | Message::StaleTerm
            | Message::WrongIncarnation => {}
        }
    }

    /// A message of the present term.
    fn dispatch(&mut self, now: Time, envelope: Envelope, out: &mut Output) {
        let from = (envelope.from, envelope.incarnation);
        if envelope.message.is_of_leader() && matches!(self.role, Role::Candidate(_)) {
            self.turn(now, Turn::Follow(RoleCause::LeaderHeard(from.0)), out);
        }
        let server = &mut self.server;
        match (envelope.message, &mut self.role) {
            (Message::AppendEntries(request), Role::Follower(follower)) => {
                follower.append_entries(server, now, from.0, &request, out);
            }
            (Message::InstallSnapshot(offer), Role::Follower(follower)) => {
                follower.install_snapshot(server, now, from.0, &offer, out);
            }
            (Message::AppendEntries(_) | Message::InstallSnapshot(_), Role::Leader(_)) => {
                assert!(from.0 == server.id, "at most one leader a term (§5.2)");
            }
            (Message::RequestVote(request), _) => self.request_vote(now, from.0, request, out),
            (Message::PreVoteReply(reply), Role::Candidate(candidate)) => {
                candidate.pre_vote_reply(server, from.0, reply);
            }
            (Message::RequestVoteReply(reply), Role::Candidate(candidate)) => {
                candidate.vote_reply(server, from.0, reply.granted);
            }
            (Message::AppendEntriesReply(reply), Role::Leader(leader)) => {
                leader.append_entries_reply(server, now, from, reply, out);
            }
            (Message::InstallSnapshotReply(reply), Role::Leader(leader)) => {
                leader.install_snapshot_reply(server, now, from, reply, out);
            }
            (Message::ReadIndex(question), Role::Leader(leader)) => {
                leader.read_index(server, from.0, question.request);
            }
            (Message::ReadIndexReply(reply), Role::Follower(follower)) => {
                follower.read_index_reply(server, reply, out);
            }
            (Message::TimeoutNow, Role::Follower(_)) => self.take_over(now, out),
            (Message::WrongIncarnation, _) => {
                let (id, incarnation) = (server.id, server.incarnation);
                out.observations
                    .push(Observation::WrongIncarnation { id, incarnation });
            }
            // What is left was meant for a role that this server does not have any more.
            (_, Role::Follower(_) | Role::Candidate(_) | Role::Leader(_)) => {}
        }
    }

    fn request_vote(&mut self, now: Time, from: NodeId, request: RequestVote, out: &mut Output) {
        if !self.server.request_vote(from, request, out) {
            return;
        }
        match &mut self.role {
            Role::Follower(follower) => follower.voted(&mut self.server, now),
            // It only asked whether it could win; now it supports somebody who can.
            Role::Candidate(_) => self.turn(now, Turn::Follow(RoleCause::VotedFor(from)), out),
            Role::Leader(_) => {}
        }
    }

    fn leader_liveness(&self, now: Time) -> LeaderLiveness {
        let alive = match &self.role {
            Role::Leader(leader) => {
                let heard = leader.quorum_heard(&self.server, now);
                now < heard.plus(self.server.config.election_timeout_min)
            }
            Role::Follower(_) | Role::Candidate(_) => self.server.heard_leader_lately(now),
        };
        if alive {
            LeaderLiveness::Alive
        } else {
            LeaderLiveness::Lost
        }
    }

    /// The leader wants this server to lead: no question whether it could win.
    fn take_over(&mut self, now: Time, out: &mut Output) {
        if self.server.may_campaign() && self.server.stalled(now).is_none() {
            self.role.retire(&self.server, out);
            let cause = RoleCause::TransferRequested;
            let candidate = Candidate::start(&mut self.server, now, Stage::Transfer, cause, out);
            self.role = Role::Candidate(candidate);
        }
    }
}
