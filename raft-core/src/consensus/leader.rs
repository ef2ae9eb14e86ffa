//! A leader: takes proposals, counts what is durable where, and confirms that it still leads
//! (Raft §5.3, §5.4.2, §8; dissertation §6.4).
//!
//! Replication, transfers and changes of members have files of their own. All that is in here dies
//! with the leadership.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::change::Change;
use super::progress::{Progress, State};
use super::quorum;
use super::raft::Turn;
use super::read::{Barriers, Reader};
use super::replication::{Stream, observe};
use super::server::{Server, refuse};
use super::transfer::Transfer;
use crate::entries::Entries;
use crate::entry::Payload;
use crate::event::{Output, Refusal, Reply, RoleCause};
use crate::message::{
    AppendEntriesReply, AppendOutcome, InstallSnapshotReply, Message, ReadIndexReply,
    SnapshotStatus,
};
use crate::types::{Incarnation, Index, NodeId, Position, Round, Ticket, Time};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Leader {
    /// Its first entry. Until that is committed it does not know what is (§8).
    pub(super) first: Index,
    /// All other members.
    pub(super) progress: BTreeMap<NodeId, Progress>,
    barriers: Barriers,
    pub(super) transfer: Option<Transfer>,
    pub(super) change: Option<Change>,
    /// A successor was told to campaign in spite of this leader, so leases mean nothing any more
    /// in this term: the word may arrive late.
    pub(super) lease_broken: bool,
    /// The index of the configuration of which nothing is left to do.
    pub(super) settled: Option<Index>,
    /// The write that was last found to take too long, by the time it was issued.
    pub(super) stall_seen: Option<Time>,
}

impl Leader {
    /// Takes office: knows nothing of the followers but that it won their votes.
    pub(super) fn new(server: &mut Server, now: Time, out: &mut Output) -> Self {
        let first = server.append(Payload::Noop, out).index;
        let mut leader = Self {
            first,
            progress: BTreeMap::new(),
            barriers: Barriers::new(now),
            transfer: None,
            change: None,
            lease_broken: false,
            settled: None,
            stall_seen: None,
        };
        leader.follow_membership(server, now, out);
        leader
    }

    /// Replicates to exactly the members of the configuration in force.
    pub(super) fn follow_membership(&mut self, server: &Server, now: Time, out: &mut Output) {
        let membership = server.membership();
        self.progress.retain(|id, _| membership.contains(*id));
        let next = server.log.last_index();
        for (id, _) in membership.members().filter(|(id, _)| *id != server.id) {
            self.progress
                .entry(id)
                .or_insert_with(|| Progress::new(next, now));
        }
        self.check_transfer_target(server, out);
    }

    // --- Time ---

    pub(super) fn deadline(&self, server: &Server) -> Option<Time> {
        let heartbeat = server.config.heartbeat_interval;
        let heartbeats = self
            .progress
            .values()
            .map(|progress| progress.sent.plus(heartbeat))
            .min();
        let quorum = self.quorum_deadline(server);
        [
            heartbeats,
            quorum,
            self.transfer_deadline(server),
            self.disk_deadline(server),
        ]
        .into_iter()
        .flatten()
        .chain(self.change.as_ref().and_then(Change::deadline))
        .min()
    }

    fn quorum_lost(&self, server: &Server, now: Time) -> bool {
        let patience = server.config.election_timeout_max;
        let mut members = self.progress.values();
        // While nobody is silent there is nothing to count.
        members.any(|progress| now >= progress.heard.plus(patience))
            && self.quorum_deadline(server).is_some_and(|at| now >= at)
    }

    fn quorum_deadline(&self, server: &Server) -> Option<Time> {
        let heard = self.quorum_heard(server, Time(u64::MAX));
        (heard < Time(u64::MAX)).then(|| heard.plus(server.config.election_timeout_max))
    }

    pub(super) fn tick(
        &mut self,
        server: &mut Server,
        now: Time,
        out: &mut Output,
    ) -> Option<Turn> {
        if self.quorum_lost(server, now) {
            // It may be the new voters that are gone: without them there still is a quorum.
            self.abort_joint(server, now, out);
        }
        if self.quorum_lost(server, now) {
            return Some(Turn::Follow(RoleCause::QuorumLost));
        }
        self.tick_disk(server, now, out);
        self.tick_change(server, now, out);
        self.tick_transfer(server, now, out)
    }

    #[cfg(feature = "sim")]
    pub(super) fn for_each_time(&mut self, change: &mut dyn FnMut(&mut Time)) {
        for progress in self.progress.values_mut() {
            change(&mut progress.heard);
            change(&mut progress.sent);
        }
        self.barriers.for_each_time(change);
        self.stall_seen.iter_mut().for_each(&mut *change);
        if let Some(transfer) = &mut self.transfer {
            transfer.for_each_time(change);
        }
        if let Some(under_way) = &mut self.change {
            under_way.for_each_time(change);
        }
    }

    // --- Proposals ---

    pub(super) fn propose(
        &self,
        server: &mut Server,
        ticket: Ticket,
        command: Bytes,
        out: &mut Output,
    ) {
        if self.transfer.is_some() {
            refuse(ticket, Refusal::Transferring, out);
        } else if server.log.weight_after(server.commit) >= server.config.uncommitted_bytes_max {
            refuse(ticket, Refusal::Overloaded, out);
        } else {
            let position = server.append(Payload::Command(command), out);
            out.replies.push(Reply::Accepted { ticket, position });
        }
    }

    // --- Answers ---

    fn heard(&mut self, from: NodeId, now: Time, round: Round, incarnation: Incarnation) {
        if let Some(progress) = self.progress.get_mut(&from) {
            progress.heard = now;
            progress.incarnation = Some(incarnation);
            progress.acked_round = progress.acked_round.max(round.min(progress.sent_round));
        }
    }

    pub(super) fn append_entries_reply(
        &mut self,
        server: &Server,
        now: Time,
        from: (NodeId, Incarnation),
        reply: AppendEntriesReply,
        out: &mut Output,
    ) {
        let (id, incarnation) = from;
        self.heard(id, now, reply.round, incarnation);
        match reply.outcome {
            AppendOutcome::Matched(index) => self.matched(id, server, index, out),
            AppendOutcome::Conflict { prev, hint } => {
                self.conflicted(id, server, prev, hint, out);
            }
        }
    }

    fn matched(&mut self, id: NodeId, server: &Server, index: Index, out: &mut Output) {
        let Some(progress) = self.progress.get_mut(&id) else {
            return;
        };
        // Nobody has more of this log than its leader. A follower that says so is wrong, and does
        // not count; it must not bring the leader down.
        if index > server.log.last_index() {
            return;
        }
        let before = progress.name();
        progress.matched(index);
        if progress.name() != before {
            observe(id, progress, out);
        }
    }

    fn conflicted(
        &mut self,
        id: NodeId,
        server: &Server,
        prev: Index,
        hint: Position,
        out: &mut Output,
    ) {
        let Some(progress) = self.progress.get_mut(&id) else {
            return;
        };
        let limit = Position::new(hint.term, hint.index.min(prev.prev()));
        let agree = server.log.last_not_after(limit).index;
        let before = progress.name();
        if progress.conflicted(prev, agree) && progress.name() != before {
            observe(id, progress, out);
        }
    }

    pub(super) fn install_snapshot_reply(
        &mut self,
        server: &Server,
        now: Time,
        from: (NodeId, Incarnation),
        reply: InstallSnapshotReply,
        out: &mut Output,
    ) {
        let (id, incarnation) = from;
        self.heard(id, now, reply.round, incarnation);
        match reply.status {
            SnapshotStatus::Receiving => {}
            SnapshotStatus::Matched(index) => self.matched(id, server, index, out),
            SnapshotStatus::Failed => {
                // The next heartbeat offers the newest one.
                if let Some(progress) = self.progress.get_mut(&id)
                    && matches!(progress.state, State::Snapshot(_))
                {
                    progress.offer(std::sync::Arc::clone(&server.snapshot));
                }
            }
        }
    }

    pub(super) fn fetched(
        &mut self,
        server: &mut Server,
        now: Time,
        id: NodeId,
        entries: Entries,
        out: &mut Output,
    ) {
        let round = self.barriers.round();
        if let Some(progress) = self.progress.get_mut(&id) {
            Stream {
                server,
                id,
                progress,
                round,
                now,
            }
            .fetched(entries, out);
        }
    }

    // --- Commit ---

    /// Commits what a quorum holds durably, this server's own disk being one of the quorum; entries
    /// of earlier terms only along with one of this term (§5.4.2).
    fn advance_commit(&mut self, server: &mut Server, out: &mut Output) {
        let durable = server.writes.durable();
        // The usual case, cheaply: too few hold anything new for any majority.
        let news = |index: Index| usize::from(index > server.commit);
        let holders: usize = self
            .progress
            .values()
            .map(|progress| news(progress.matched))
            .sum();
        if holders + news(durable) < quorum::majority(server.membership().voters().len()) {
            return;
        }
        let index = quorum::reached(server.membership(), |id| match self.progress.get(&id) {
            Some(progress) => progress.matched,
            None if id == server.id => durable,
            None => Index(0),
        });
        if index > server.commit && server.log.term(index) == Some(server.term()) {
            server.commit_to(index, out);
        }
    }

    // --- Reads ---

    /// A read that may be answered by a barrier of this age, or by none but its own.
    pub(super) fn read(
        &mut self,
        server: &Server,
        now: Time,
        ticket: Ticket,
        age_max: Option<Duration>,
        out: &mut Output,
    ) {
        let fresh_enough = match age_max {
            Some(age) => self
                .barriers
                .fresh()
                .filter(|(began, _)| now.since(*began) <= age)
                .map(|(_, index)| index),
            None => self.lease_valid(server, now).then_some(server.commit),
        };
        if let Some(index) = fresh_enough {
            out.replies.push(Reply::ReadReady { ticket, index });
        } else if self.barriers.waiting() >= server.config.reads_max {
            refuse(ticket, Refusal::Overloaded, out);
        } else {
            self.barriers.wait(Reader::Local(ticket));
        }
    }

    /// A follower asks for a barrier. Too many waiting: it will ask again.
    pub(super) fn read_index(&mut self, server: &Server, follower: NodeId, request: Round) {
        if self.barriers.waiting() < server.config.reads_max {
            self.barriers.wait(Reader::Remote { follower, request });
        }
    }

    /// Whether no other leader can have been elected yet: a quorum has promised, by answering a
    /// round, not to vote for an election timeout, and the clocks are good enough to know that it
    /// has not passed (dissertation §6.4.1).
    pub(super) fn lease_valid(&self, server: &Server, now: Time) -> bool {
        let Some(drift) = server.config.lease else {
            return false;
        };
        let promise = server.config.election_timeout_min;
        let span = promise / 1000 * (1000 - drift.per_mille);
        !self.lease_broken
            && self.is_ready(server)
            && self
                .barriers
                .fresh()
                .is_some_and(|(began, _)| now.since(began) < span)
    }

    /// Whether it knows what is committed.
    pub(super) fn is_ready(&self, server: &Server) -> bool {
        server.commit >= self.first
    }

    fn confirm_round(&mut self, server: &mut Server, out: &mut Output) {
        if !self.barriers.is_out() {
            return;
        }
        let round = self.barriers.round();
        let confirmed = quorum::reached(server.membership(), |id| match self.progress.get(&id) {
            Some(progress) => progress.acked_round,
            None if id == server.id => round,
            None => Round(0),
        });
        let Some((index, readers)) = self.barriers.confirm(confirmed) else {
            return;
        };
        answer(server, index, readers, out);
    }

    // --- The end of a batch ---

    /// What follows from all that was heard in the batch, decided once.
    pub(super) fn flush(
        &mut self,
        server: &mut Server,
        now: Time,
        out: &mut Output,
    ) -> Option<Turn> {
        self.advance_commit(server, out);
        let turn = self.advance_change(server, now, out);
        if turn.is_some() {
            return turn;
        }
        self.confirm_round(server, out);
        if self.is_ready(server) {
            let lease_renewal = server
                .config
                .lease
                .map(|_| server.config.heartbeat_interval);
            if self.lease_valid(server, now) {
                let readers = self.barriers.take_next();
                answer(server, server.commit, readers, out);
            }
            self.barriers.begin(now, server.commit, lease_renewal);
            // Alone in the quorum, it has confirmed already.
            self.confirm_round(server, out);
        }
        let round = self.barriers.round();
        for (id, progress) in &mut self.progress {
            Stream {
                server,
                id: *id,
                progress,
                round,
                now,
            }
            .flush(out);
        }
        self.flush_transfer(server, now, out);
        None
    }

    /// Snapshots that live followers fetch, and the log after them, are not to be dropped.
    pub(super) fn pinned(&self, server: &Server, now: Time) -> Option<Index> {
        let patience = server.config.election_timeout_max;
        let live = self
            .progress
            .values()
            .filter(|progress| now < progress.heard.plus(patience));
        live.filter_map(Progress::fetches_snapshot).min()
    }

    /// Leadership is over: nobody else will answer those who wait here.
    pub(super) fn retire(&mut self, server: &Server, out: &mut Output) {
        for reader in self.barriers.drain() {
            match reader {
                Reader::Local(ticket) => server.refuse_not_leader(ticket, out),
                Reader::Remote { .. } => {}
            }
        }
        self.end_transfer(out);
        self.end_change(out);
    }
}

/// Gives a barrier to all who waited for it.
fn answer(server: &mut Server, index: Index, readers: Vec<Reader>, out: &mut Output) {
    for reader in readers {
        match reader {
            Reader::Local(ticket) => out.replies.push(Reply::ReadReady { ticket, index }),
            Reader::Remote { follower, request } => {
                let reply = ReadIndexReply { request, index };
                server.send(follower, Message::ReadIndexReply(reply), out);
            }
        }
    }
}
