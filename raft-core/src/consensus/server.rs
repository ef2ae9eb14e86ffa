//! What a server has in every role: term and vote, log and configuration, commit and apply.
//!
//! Everything that is sent passes [`Server::send`], which holds back what a write must precede.
//! This file does not know the role, and decides nothing about leadership.

use std::collections::VecDeque;
use std::sync::Arc;

use super::configurations::Configurations;
use super::log::Log;
use super::recovery;
use super::rng::Rng;
use super::writes::Writes;
use crate::config::Config;
use crate::entries::Entries;
use crate::entry::{Entry, HardState, Payload, Recovered, SnapshotMeta, Watermark};
use crate::event::{
    Apply, Fetch, MembershipCause, Observation, Output, Reader, Refusal, Reply, RoleCause, RoleName,
};
use crate::membership::Membership;
use crate::message::{Envelope, Message};
use crate::types::{Incarnation, Index, NodeId, Position, Round, Term, Ticket, Time};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Server {
    pub(super) id: NodeId,
    pub(super) incarnation: Incarnation,
    pub(super) config: Config,
    pub(super) rng: Rng,
    /// Numbers the questions of pre-votes and for read barriers. No number is ever used twice, in
    /// whatever role or term: a late answer to an older question would be taken for one to a newer.
    /// Hence it starts somewhere else in each run, too.
    pub(super) asked: Round,
    /// Figure 2: term and vote, as they are to be; durable once `writes` says so.
    pub(super) hard_state: HardState,
    pub(super) log: Log,
    pub(super) writes: Writes,
    pub(super) configurations: Configurations,
    /// The newest snapshot that is durable here; at or above the log's base.
    pub(super) snapshot: Arc<SnapshotMeta>,
    /// Never decreases, never above the log's end.
    pub(super) commit: Index,
    /// The state machine reported this index; at or below `emitted`.
    pub(super) applied: Index,
    /// All up to here was handed to the state machine; at or below `commit` and what is durable.
    emitted: Index,
    /// What was handed over but not yet applied: last index and weight of each batch.
    applying: VecDeque<(Index, u64)>,
    /// The state machine is to be replaced by this snapshot as soon as the log's reset is durable.
    restore: Option<Arc<SnapshotMeta>>,
    /// Entries are being read back for the state machine.
    fetching: bool,
    /// The leader of this term, if known.
    pub(super) leader: Option<NodeId>,
    /// When a leader was last heard from: the promise not to vote against it (§6, leases).
    pub(super) heard_leader: Option<Time>,
    /// Messages that must not leave before term and vote are durable.
    pub(super) held: Vec<Envelope>,
    /// Acknowledged state was lost; no vote and no campaign before it is here again.
    pub(super) quarantine: Option<Watermark>,
}

impl Server {
    pub(super) fn new(id: NodeId, config: Config, recovered: Recovered, now: Time) -> Self {
        let mut configurations = Configurations::new(
            recovered.snapshot.membership_index,
            Arc::clone(&recovered.snapshot.membership),
        );
        for (index, membership) in &recovered.memberships {
            if *index > recovered.snapshot.membership_index {
                configurations.append(*index, Arc::clone(membership));
            }
        }
        let quarantine = recovery::lost(&recovered).then_some(recovered.watermark);
        let hard_state = recovery::hard_state(&recovered);
        let mut writes = Writes::new(recovered.last);
        if hard_state != recovered.hard_state {
            writes.hard_state_changed();
        }
        // A voter may have promised a leader, just before it stopped, not to vote against it.
        let heard_leader = (config.lease.is_some() && hard_state.term > Term(0)).then_some(now);
        let applied = recovered.applied.max(recovered.snapshot.last.index);
        let last = recovered.last.max(recovered.snapshot.last.index);
        let commit = recovery::commit(&recovered, last);
        let snapshot = Arc::new(recovered.snapshot);
        let mut log = Log::recovered(recovered.base, recovered.terms, recovered.last);
        if !log.contains(snapshot.last) {
            // It stopped after it had received the snapshot and before its log was replaced.
            log.reset(snapshot.last);
            writes.reset(Arc::clone(&snapshot));
            configurations =
                Configurations::new(snapshot.membership_index, Arc::clone(&snapshot.membership));
        }
        let mut rng = Rng::new(config.seed);
        Self {
            id,
            incarnation: recovered.incarnation,
            asked: Round(rng.any()),
            rng,
            config,
            hard_state,
            commit: commit.min(log.last_index()),
            log,
            writes,
            configurations,
            applied,
            emitted: applied,
            applying: VecDeque::new(),
            restore: None,
            snapshot,
            fetching: false,
            leader: None,
            heard_leader,
            held: Vec::new(),
            quarantine,
        }
    }

    pub(super) const fn term(&self) -> Term {
        self.hard_state.term
    }

    /// The configuration in force: the latest in the log, committed or not (§6).
    pub(super) fn membership(&self) -> &Arc<Membership> {
        &self.configurations.latest().1
    }

    /// Whether the newest configuration that names this server, among those that may still count,
    /// names it in this life of its storage.
    pub(super) fn is_member(&self) -> bool {
        let mut uncertain = self.configurations.uncertain(self.commit);
        let naming = uncertain.find(|membership| membership.contains(self.id));
        naming.is_some_and(|membership| membership.accepts(self.id, self.incarnation))
    }

    /// Whether a vote of this server can be trusted. Only members vote, so a server that was wiped
    /// can't help to elect a leader that lacks what its former life had acknowledged.
    pub(super) fn may_vote(&self) -> bool {
        self.is_member() && self.quarantine.is_none()
    }

    /// Whether a leader was heard from so lately that voting against it would disrupt a working
    /// cluster (§6) or break a lease (dissertation §6.4.1).
    pub(super) fn heard_leader_lately(&self, now: Time) -> bool {
        self.heard_leader
            .is_some_and(|at| now < at.plus(self.config.election_timeout_min))
    }

    /// For how long the oldest write has been outstanding, if for too long.
    pub(super) fn stalled(&self, now: Time) -> Option<std::time::Duration> {
        let outstanding = now.since(self.writes.oldest()?);
        (outstanding >= self.config.write_stall_max).then_some(outstanding)
    }

    // --- Sending ---

    /// What is held beyond this, while the disk stalls, is dropped; all of it is repeated by
    /// timers.
    const HELD_MAX: usize = 1024;

    /// Sends a message, at once or as soon as the term that it carries, and the vote if it is one,
    /// are durable.
    pub(super) fn send(&mut self, to: NodeId, message: Message, out: &mut Output) {
        let envelope = Envelope {
            from: self.id,
            incarnation: self.incarnation,
            to,
            term: self.term(),
            message,
        };
        if self.writes.is_hard_state_durable() {
            out.messages.push(envelope);
        } else if self.held.len() < Self::HELD_MAX {
            self.held.push(envelope);
        }
    }

    /// Lets go what was held back, if it may.
    pub(super) fn release_held(&mut self, out: &mut Output) {
        if self.writes.is_hard_state_durable() {
            out.messages.append(&mut self.held);
        }
    }

    // --- Term and vote ---

    /// Enters a later term, in which it has not voted. What it still held back belongs to an
    /// earlier one and is dropped, as the network might have done.
    pub(super) fn enter_term(&mut self, term: Term, out: &mut Output) {
        assert!(term > self.term(), "terms only grow");
        self.hard_state = HardState { term, vote: None };
        self.writes.hard_state_changed();
        self.held.clear();
        self.follow(None, out);
    }

    pub(super) fn vote_for(&mut self, candidate: NodeId) {
        let vote = self.hard_state.vote;
        assert!(
            vote.is_none_or(|id| id == candidate),
            "one vote a term (§5.2)"
        );
        if vote.is_none() {
            self.hard_state.vote = Some(candidate);
            self.writes.hard_state_changed();
        }
    }

    pub(super) fn follow(&mut self, leader: Option<NodeId>, out: &mut Output) {
        if self.leader != leader {
            self.leader = leader;
            out.observations.push(Observation::Leader {
                leader,
                term: self.term(),
            });
        }
    }

    pub(super) fn observe_role(&self, role: RoleName, cause: RoleCause, out: &mut Output) {
        out.observations.push(Observation::Role {
            role,
            term: self.term(),
            cause,
        });
    }

    // --- The log ---

    /// A leader's append: at the end, in its term.
    pub(super) fn append(&mut self, payload: Payload, out: &mut Output) -> Position {
        let entry = Entry {
            term: self.term(),
            index: self.log.last_index().next(),
            payload,
        };
        let position = entry.position();
        self.heed(&entry, out);
        self.log.append(entry);
        position
    }

    /// A follower's append: entries of a leader, which come together.
    pub(super) fn extend(&mut self, entries: Entries, out: &mut Output) {
        for entry in &entries {
            self.heed(entry, out);
        }
        self.log.extend(entries);
    }

    /// A configuration is in force as soon as its entry is in the log.
    fn heed(&mut self, entry: &Entry, out: &mut Output) {
        if let Payload::Membership(membership) = &entry.payload {
            self.configurations
                .append(entry.index, Arc::clone(membership));
            self.observe_membership(MembershipCause::Appended, out);
        }
    }

    /// Removes the entries from `from` on, which conflict with the leader's (§5.3).
    pub(super) fn truncate(&mut self, from: Index, out: &mut Output) {
        assert!(from > self.commit, "what is committed is never truncated");
        self.log.truncate(from);
        self.writes.truncated(from);
        out.observations.push(Observation::Truncated { from });
        if self.configurations.latest().0 >= from {
            self.configurations.truncate(from);
            self.observe_membership(MembershipCause::RolledBack, out);
        }
    }

    /// Replaces the whole log by a snapshot that it does not reach, or conflicts with (§7).
    pub(super) fn install(&mut self, snapshot: Arc<SnapshotMeta>, out: &mut Output) {
        assert!(
            snapshot.last.index > self.commit,
            "a snapshot never rolls back"
        );
        self.log.reset(snapshot.last);
        self.writes.reset(Arc::clone(&snapshot));
        self.configurations =
            Configurations::new(snapshot.membership_index, Arc::clone(&snapshot.membership));
        self.fetching = false;
        // A machine on a disk of its own can be ahead of a log that lost its tail.
        if snapshot.last.index > self.emitted {
            self.restore = Some(Arc::clone(&snapshot));
        }
        self.snapshot = snapshot;
        out.observations.push(Observation::Installed {
            last: self.snapshot.last,
        });
        self.observe_membership(MembershipCause::Snapshot, out);
        self.commit_to(self.snapshot.last.index, out);
    }

    fn observe_membership(&self, cause: MembershipCause, out: &mut Output) {
        let (index, membership) = self.configurations.latest().clone();
        out.observations.push(Observation::Membership {
            index,
            membership,
            cause,
        });
    }

    // --- Commit and apply ---

    /// Learns that all up to `index`, which the log must hold, is committed.
    pub(super) fn commit_to(&mut self, index: Index, out: &mut Output) {
        if index <= self.commit {
            return;
        }
        assert!(
            index <= self.log.last_index(),
            "only what is in the log is committed"
        );
        for (at, membership) in self.configurations.between(self.commit, index) {
            out.observations.push(Observation::Membership {
                index: *at,
                membership: Arc::clone(membership),
                cause: MembershipCause::Committed,
            });
        }
        self.commit = index;
        out.observations.push(Observation::Committed(index));
    }

    pub(super) fn applied(&mut self, index: Index) {
        self.applied = self.applied.max(index.min(self.emitted));
        while self
            .applying
            .front()
            .is_some_and(|(last, _)| *last <= index)
        {
            self.applying.pop_front();
        }
    }

    /// Hands what is committed *and* durable here to the state machine, so that it never outruns
    /// its own log; as much as the apply limit lets through.
    pub(super) fn emit_apply(&mut self, out: &mut Output) {
        if let Some(snapshot) = self.restore.take() {
            if self.writes.durable() < snapshot.last.index {
                self.restore = Some(snapshot);
                return;
            }
            self.emitted = snapshot.last.index;
            self.applying.clear();
            out.apply.push(Apply::Restore(snapshot));
        }
        let Some((from, to, room)) = self.applicable() else {
            return;
        };
        match self.log.slice(from, to, room) {
            Some(entries) => self.emit(entries, out),
            None if self.fetching => {}
            None => {
                self.fetching = true;
                out.fetch.push(Fetch {
                    reader: Reader::Machine,
                    from,
                    to,
                    bytes_max: room,
                });
            }
        }
    }

    /// The range that may be applied next, and how many bytes of it.
    fn applicable(&self) -> Option<(Index, Index, u64)> {
        let (from, to) = (self.emitted.next(), self.commit.min(self.writes.durable()));
        let waiting: u64 = self.applying.iter().map(|(_, weight)| weight).sum();
        let room = self.config.apply_bytes_max.saturating_sub(waiting);
        (from <= to && room > 0).then_some((from, to, room))
    }

    fn emit(&mut self, entries: Entries, out: &mut Output) {
        let Some(last) = entries.last() else { return };
        self.emitted = last.index;
        self.applying.push_back((last.index, entries.weight()));
        out.apply.push(Apply::Entries(entries));
    }

    /// Entries were read back for the state machine. What does not fit the present state is
    /// dropped, and asked for again if it is still needed.
    pub(super) fn fetched(&mut self, entries: Entries, out: &mut Output) {
        self.fetching = false;
        let wanted = self.applicable().is_some_and(|(from, to, _)| {
            entries.first().is_some_and(|entry| entry.index == from)
                && entries.last().is_some_and(|entry| entry.index <= to)
        });
        if wanted && self.restore.is_none() && self.holds(&entries) {
            self.emit(entries, out);
        }
    }

    /// Whether entries read from the disk are still those of the log.
    pub(super) fn holds(&self, entries: &[Entry]) -> bool {
        entries
            .iter()
            .all(|entry| self.log.contains(entry.position()))
    }

    /// Lets entries go from memory that are durable and applied, beyond what is to be kept.
    pub(super) fn evict(&mut self) {
        let done = self.emitted.min(self.writes.durable());
        self.log.evict(done, self.config.tail_bytes_max);
    }

    // --- Snapshots and answers ---

    /// The state machine's snapshot is durable.
    pub(super) fn snapshot_taken(&mut self, snapshot: Arc<SnapshotMeta>) {
        if snapshot.last.index > self.snapshot.last.index && snapshot.last.index <= self.emitted {
            self.snapshot = snapshot;
        }
    }

    /// Drops the log up to `index`, but nothing that the snapshot does not stand for.
    pub(super) fn compact(&mut self, index: Index, out: &mut Output) {
        let applied = self.applied.min(self.commit);
        let up_to = index.min(self.snapshot.last.index).min(applied);
        if up_to > self.log.base().index {
            self.log.compact(up_to);
            self.configurations.compact(up_to);
            out.purge = Some(up_to);
        }
    }

    pub(super) fn refuse_not_leader(&self, ticket: Ticket, out: &mut Output) {
        let leader = self.leader.filter(|id| *id != self.id);
        refuse(ticket, Refusal::NotLeader(leader), out);
    }
}

pub(super) fn refuse(ticket: Ticket, reason: Refusal, out: &mut Output) {
    out.replies.push(Reply::Refused { ticket, reason });
}
