//! One server of a Raft cluster: the rules about terms, once for all messages, then the role.
//!
//! `step` takes in one event; `flush` decides, once a batch, what follows from all of them. Roles
//! don't change themselves: they ask for a [`Turn`], and this file alone makes it.

use std::sync::Arc;

use bytes::Bytes;

use super::candidate::{Candidate, Stage};
use super::change::Wish;
use super::follower::Follower;
use super::leader::Leader;
use super::server::{Server, refuse};
use crate::config::{Config, ConfigError};
use crate::entries::Entries;
use crate::entry::{Recovered, SnapshotMeta};
use crate::event::{
    Consistency, Event, Observation, Output, Reader, Refusal, Reply, RoleCause, RoleName,
};
use crate::types::{Index, NodeId, Position, Ticket, Time, WriteId};

/// A server's consensus state. Feed it events with [`Raft::step`], end each batch with
/// [`Raft::flush`], and carry out the [`Output`]; the contract stands in [`crate::event`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Raft {
    pub(super) server: Server,
    pub(super) role: Role,
}

/// What a server has only while it is in a role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Role {
    Follower(Follower),
    Candidate(Candidate),
    Leader(Box<Leader>),
}

/// A change of role that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Give up what it is, in the same term.
    Follow(RoleCause),
    /// Ask whether an election could be won.
    Campaign(RoleCause),
    /// Ask for votes.
    Elect,
    /// Take office.
    Lead,
}

impl Raft {
    /// A server as it comes up from its disk, or for the first time.
    ///
    /// # Errors
    /// When the configuration can't work.
    pub fn new(
        id: NodeId,
        config: Config,
        recovered: Recovered,
        now: Time,
        out: &mut Output,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut server = Server::new(id, config, recovered, now);
        if let Some(lost) = server.quarantine {
            let until = Position::new(lost.term, lost.index);
            out.observations.push(Observation::Quarantined { until });
        }
        let mut follower = Follower::new(&mut server, now);
        let voters = server.membership().voters();
        let alone = voters.len() == 1 && voters.contains(&id) && !server.membership().is_joint();
        if alone && server.may_campaign() && !server.heard_leader_lately(now) {
            follower.campaign_at(now);
        }
        server.observe_role(RoleName::Follower, RoleCause::Started, out);
        Ok(Self {
            server,
            role: Role::Follower(follower),
        })
    }

    /// Takes in one event. Effects that can't wait are appended to `out`; the others follow with
    /// [`Raft::flush`].
    pub fn step(&mut self, now: Time, event: Event, out: &mut Output) {
        match event {
            Event::Tick => {}
            Event::Received(envelope) => self.receive(now, envelope, out),
            Event::Persisted(id) => self.persisted(id, out),
            Event::Applied(index) => self.server.applied(index),
            Event::Propose { ticket, command } => self.propose(ticket, command, out),
            Event::Read {
                ticket,
                consistency,
            } => self.read(now, ticket, consistency, out),
            Event::ChangeMembership {
                ticket,
                based_on,
                changes,
            } => {
                let wish = Wish {
                    ticket,
                    based_on,
                    changes,
                };
                self.change_membership(now, wish, out);
            }
            Event::AbortMembershipChange => {
                if let Role::Leader(leader) = &mut self.role {
                    leader.abort_change(&mut self.server, now, out);
                }
            }
            Event::TransferLeadership { ticket, target } => {
                self.transfer_leadership(now, ticket, target, out);
            }
            Event::Fetched { reader, entries } => self.fetched(now, reader, entries, out),
            Event::SnapshotTaken(snapshot) => self.server.snapshot_taken(snapshot),
            Event::SnapshotReceived(snapshot) => self.snapshot_received(now, snapshot, out),
            Event::SnapshotFailed(last) => {
                if let Role::Follower(follower) = &mut self.role {
                    follower.snapshot_failed(&mut self.server, last, out);
                }
            }
            Event::Compact(index) => self.compact(now, index, out),
            Event::Campaign => self.told_to_campaign(now, out),
        }
    }

    /// Ends a batch of events: appends to `out` the one write, the messages, and the entries to
    /// apply that follow from all of them.
    pub fn flush(&mut self, now: Time, out: &mut Output) {
        // Each turn leads away from the role that asked for it; the chain ends at the latest with
        // follower, pre-candidate, candidate, leader.
        while let Some(turn) = self.due(now, out) {
            self.turn(now, turn, out);
        }
        self.server.emit_apply(out);
        self.server.evict();
        if let Some(write) =
            self.server
                .writes
                .issue(now, self.server.hard_state, &mut self.server.log)
        {
            assert!(
                out.write.is_none(),
                "an output is carried out before the next flush"
            );
            out.write = Some(write);
        }
    }

    /// The change of role that the batch, or the passing of time, calls for.
    fn due(&mut self, now: Time, out: &mut Output) -> Option<Turn> {
        let server = &mut self.server;
        match &mut self.role {
            Role::Follower(follower) => {
                let turn = follower.tick(server, now, out);
                if turn.is_none() {
                    follower.flush(server, now, out);
                }
                turn
            }
            Role::Candidate(candidate) => candidate
                .outcome(server)
                .or_else(|| candidate.tick(server, now)),
            Role::Leader(leader) => leader
                .tick(server, now, out)
                .or_else(|| leader.flush(server, now, out)),
        }
    }

    /// When this server next wants a [`Event::Tick`], if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        match &self.role {
            Role::Follower(follower) => follower.deadline(&self.server),
            Role::Candidate(candidate) => Some(candidate.deadline()),
            Role::Leader(leader) => leader.deadline(&self.server),
        }
    }

    // --- The shell's answers ---

    fn persisted(&mut self, id: WriteId, out: &mut Output) {
        self.server.writes.persisted(id);
        self.server.release_held(out);
        if let Role::Follower(follower) = &mut self.role {
            follower.persisted(&mut self.server, out);
        }
    }

    fn fetched(&mut self, now: Time, reader: Reader, entries: Entries, out: &mut Output) {
        match (reader, &mut self.role) {
            (Reader::Machine, _) => self.server.fetched(entries, out),
            (Reader::Follower(id), Role::Leader(leader)) => {
                leader.fetched(&mut self.server, now, id, entries, out);
            }
            (Reader::Follower(_), Role::Follower(_) | Role::Candidate(_)) => {}
        }
    }

    /// A leader has all that a snapshot could hold; a candidate that lacks some of it can't win.
    fn snapshot_received(&mut self, now: Time, snapshot: Arc<SnapshotMeta>, out: &mut Output) {
        let news = snapshot.last.index > self.server.commit;
        if news && matches!(self.role, Role::Candidate(_)) {
            self.turn(now, Turn::Follow(RoleCause::VotesLost), out);
        }
        if let Role::Follower(follower) = &mut self.role {
            follower.snapshot_received(&mut self.server, snapshot, out);
        }
    }

    /// Drops the log up to `index`, but for what a live follower still needs.
    fn compact(&mut self, now: Time, index: Index, out: &mut Output) {
        let pinned = match &self.role {
            Role::Leader(leader) => leader.pinned(&self.server, now),
            Role::Follower(_) | Role::Candidate(_) => None,
        };
        self.server
            .compact(pinned.map_or(index, |pinned| pinned.min(index)), out);
    }

    // --- Requests ---

    fn propose(&mut self, ticket: Ticket, command: Bytes, out: &mut Output) {
        match &self.role {
            Role::Leader(leader) => leader.propose(&mut self.server, ticket, command, out),
            Role::Follower(_) | Role::Candidate(_) => self.server.refuse_not_leader(ticket, out),
        }
    }

    fn transfer_leadership(
        &mut self,
        now: Time,
        ticket: Ticket,
        target: Option<NodeId>,
        out: &mut Output,
    ) {
        match &mut self.role {
            Role::Leader(leader) => leader.transfer_to(&self.server, now, ticket, target, out),
            Role::Follower(_) | Role::Candidate(_) => self.server.refuse_not_leader(ticket, out),
        }
    }

    fn read(&mut self, now: Time, ticket: Ticket, consistency: Consistency, out: &mut Output) {
        let age_max = match consistency {
            Consistency::Linearizable => None,
            Consistency::Bounded(age) => Some(age),
            Consistency::Local => {
                // Whatever is applied, but nothing older than the log: a restore may be under way.
                let index = self.server.log.base().index;
                out.replies.push(Reply::ReadReady { ticket, index });
                return;
            }
        };
        match &mut self.role {
            Role::Follower(follower) => follower.read(&self.server, now, ticket, age_max, out),
            Role::Candidate(_) => self.server.refuse_not_leader(ticket, out),
            Role::Leader(leader) => leader.read(&self.server, now, ticket, age_max, out),
        }
    }

    fn change_membership(&mut self, now: Time, wish: Wish, out: &mut Output) {
        match &mut self.role {
            Role::Leader(leader) if leader.transfer.is_some() => {
                refuse(wish.ticket, Refusal::Transferring, out);
            }
            Role::Leader(leader) => leader.change_membership(&mut self.server, now, wish, out),
            Role::Follower(_) | Role::Candidate(_) => {
                self.server.refuse_not_leader(wish.ticket, out);
            }
        }
    }

    /// As if the election timeout had passed; so not while a leader is heard, which would break
    /// the promise not to vote against it.
    fn told_to_campaign(&mut self, now: Time, out: &mut Output) {
        let free = !matches!(self.role, Role::Leader(_)) && !self.server.heard_leader_lately(now);
        if free && self.server.may_campaign() && self.server.stalled(now).is_none() {
            self.turn(now, Turn::Campaign(RoleCause::Told), out);
        }
    }

    // --- Roles ---

    pub(super) fn turn(&mut self, now: Time, turn: Turn, out: &mut Output) {
        self.role.retire(&self.server, out);
        let server = &mut self.server;
        self.role = match turn {
            Turn::Follow(cause) => {
                server.follow(None, out);
                server.observe_role(RoleName::Follower, cause, out);
                Role::Follower(Follower::new(server, now))
            }
            Turn::Campaign(cause) => {
                Role::Candidate(Candidate::start(server, now, Stage::PreVote, cause, out))
            }
            Turn::Elect => {
                let cause = RoleCause::PreVotesWon;
                Role::Candidate(Candidate::start(server, now, Stage::Vote, cause, out))
            }
            Turn::Lead => {
                server.observe_role(RoleName::Leader, RoleCause::VotesWon, out);
                server.follow(Some(server.id), out);
                Role::Leader(Box::new(Leader::new(server, now, out)))
            }
        };
    }
}

impl Role {
    pub(super) fn retire(&mut self, server: &Server, out: &mut Output) {
        match self {
            Self::Follower(follower) => follower.retire(server, out),
            Self::Candidate(_) => {}
            Self::Leader(leader) => leader.retire(server, out),
        }
    }

    pub(super) const fn name(&self) -> RoleName {
        match self {
            Self::Follower(_) => RoleName::Follower,
            Self::Candidate(candidate) => candidate.name(),
            Self::Leader(_) => RoleName::Leader,
        }
    }
}
