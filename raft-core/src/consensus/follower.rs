//! A follower: takes what the leader of the term sends, and acknowledges what is durable.
//!
//! Learners, servers in quarantine and servers that wait to be added are followers too; they differ
//! only in that they don't campaign. This file does not know how elections go.

use std::sync::Arc;
use std::time::Duration;

use super::raft::Turn;
use super::read::Questions;
use super::server::{Server, refuse};
use crate::entries::Entries;
use crate::entry::{Entry, SnapshotMeta};
use crate::event::{Observation, Output, Refusal, Reply, RoleCause, SnapshotOrder};
use crate::message::{
    AppendEntries, AppendEntriesReply, AppendOutcome, InstallSnapshot, InstallSnapshotReply,
    Message, ReadIndex, ReadIndexReply, SnapshotStatus,
};
use crate::types::{Index, NodeId, Position, Round, Ticket, Time};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Follower {
    /// When it gives the leader up. `None` if there is none and it may not campaign.
    deadline: Option<Time>,
    /// The log equals the leader's up to here. All that is committed does (§5.4, leader
    /// completeness), so it starts there.
    verified: Index,
    /// The highest index acknowledged to this leader.
    acknowledged: Index,
    /// The latest confirmation round heard of.
    round: Round,
    /// The snapshot being fetched, by its last index, and what it was for the leader.
    receiving: Option<Index>,
    /// Members of this priority or a higher one may campaign now. Halved each time nobody did, so
    /// that the low ones get their turn.
    priority: Option<u8>,
    questions: Questions,
}

impl Follower {
    pub(super) fn new(server: &mut Server, now: Time) -> Self {
        let mut follower = Self {
            deadline: None,
            verified: server.commit,
            acknowledged: Index(0),
            round: Round(0),
            receiving: None,
            priority: None,
            questions: Questions::default(),
        };
        follower.wait_for_leader(server, now);
        follower
    }

    /// In a later term, of which no leader was heard yet. That somebody campaigns is no reason to
    /// wait longer than before: only a leader is, or a vote (§5.2).
    pub(super) fn waiting_like(self, before: &Self) -> Self {
        Self {
            deadline: before.deadline.or(self.deadline),
            priority: before.priority,
            ..self
        }
    }

    /// Starts the election timeout anew (§5.2).
    fn wait_for_leader(&mut self, server: &mut Server, now: Time) {
        let (min, max) = (
            server.config.election_timeout_min,
            server.config.election_timeout_max,
        );
        self.deadline = Some(now.plus(server.rng.between(min, max)));
    }

    /// A vote was given: the candidate gets its time.
    pub(super) fn voted(&mut self, server: &mut Server, now: Time) {
        self.wait_for_leader(server, now);
    }

    /// The only voter has nobody to wait for.
    pub(super) const fn campaign_at(&mut self, at: Time) {
        self.deadline = Some(at);
    }

    pub(super) fn deadline(&self, server: &Server) -> Option<Time> {
        let read = self.questions.deadline(server.config.heartbeat_interval);
        self.deadline.into_iter().chain(read).min()
    }

    pub(super) fn tick(
        &mut self,
        server: &mut Server,
        now: Time,
        out: &mut Output,
    ) -> Option<Turn> {
        if self.deadline.is_none_or(|at| now < at) {
            return None;
        }
        server.follow(None, out);
        self.give_up_reads(server, out);
        if !server.may_campaign() {
            self.deadline = None;
            return None;
        }
        if server.stalled(now).is_some() || !self.is_our_turn(server) {
            self.wait_for_leader(server, now);
            return None;
        }
        Some(Turn::Campaign(RoleCause::ElectionTimeout))
    }

    /// Whether no voter of a higher priority is left to wait for.
    fn is_our_turn(&mut self, server: &Server) -> bool {
        let own = server
            .membership()
            .get(server.id)
            .map_or(0, |member| member.priority);
        let due = self
            .priority
            .unwrap_or_else(|| server.membership().priority_max());
        self.priority = Some(due / 2);
        own >= due
    }

    fn heard(&mut self, server: &mut Server, now: Time, leader: NodeId, out: &mut Output) {
        server.follow(Some(leader), out);
        server.heard_leader = Some(now);
        self.priority = None;
        self.wait_for_leader(server, now);
    }

    // --- Entries ---

    pub(super) fn append_entries(
        &mut self,
        server: &mut Server,
        now: Time,
        leader: NodeId,
        request: &AppendEntries,
        out: &mut Output,
    ) {
        self.heard(server, now, leader, out);
        let asked_round = request.round > self.round;
        self.round = self.round.max(request.round);
        if !server.log.contains(request.prev) && request.prev.index > server.commit {
            let hint = server.log.last_not_after(request.prev);
            let outcome = AppendOutcome::Conflict {
                prev: request.prev.index,
                hint,
            };
            self.reply(server, leader, outcome, out);
            return;
        }
        let bare = request.entries.is_empty();
        let last = request
            .entries
            .last()
            .map_or(request.prev.index, |entry| entry.index);
        accept(server, &request.entries, out);
        self.verified = self.verified.max(last);
        server.commit_to(request.commit.min(self.verified), out);
        self.release_quarantine(server, out);
        // An answer to entries waits until they are durable; a question is answered at once.
        if bare || asked_round || self.verified <= server.writes.durable() {
            self.acknowledge(server, leader, out);
        }
    }

    /// Acknowledges what equals the leader's log *and* is durable.
    fn acknowledge(&mut self, server: &mut Server, leader: NodeId, out: &mut Output) {
        let matched = self.verified.min(server.writes.durable());
        self.acknowledged = self.acknowledged.max(matched);
        self.reply(server, leader, AppendOutcome::Matched(matched), out);
    }

    fn reply(&self, server: &mut Server, to: NodeId, outcome: AppendOutcome, out: &mut Output) {
        let reply = AppendEntriesReply {
            round: self.round,
            outcome,
        };
        server.send(to, Message::AppendEntriesReply(reply), out);
    }

    pub(super) fn persisted(&mut self, server: &mut Server, out: &mut Output) {
        self.release_quarantine(server, out);
        let durable = self.verified.min(server.writes.durable());
        if durable > self.acknowledged
            && let Some(leader) = server.leader
        {
            self.acknowledge(server, leader, out);
        }
    }

    /// Ends the quarantine once all that was lost is here again, as a leader has it.
    fn release_quarantine(&mut self, server: &mut Server, out: &mut Output) {
        let here = self.verified.min(server.writes.durable());
        let lost = server.quarantine;
        if lost.is_some_and(|lost| here >= lost.index && server.term() >= lost.term) {
            server.quarantine = None;
            out.observations.push(Observation::Released);
        }
    }

    // --- Snapshots ---

    pub(super) fn install_snapshot(
        &mut self,
        server: &mut Server,
        now: Time,
        leader: NodeId,
        offer: &InstallSnapshot,
        out: &mut Output,
    ) {
        self.heard(server, now, leader, out);
        self.round = self.round.max(offer.round);
        let last = offer.snapshot.last;
        let status = if self.has_all_of(server, last, out) {
            SnapshotStatus::Matched(self.verified.min(server.writes.durable()))
        } else {
            self.receive(leader, &offer.snapshot, out);
            SnapshotStatus::Receiving
        };
        let reply = InstallSnapshotReply {
            round: self.round,
            snapshot: last.index,
            status,
        };
        server.send(leader, Message::InstallSnapshotReply(reply), out);
    }

    /// Whether the log holds all that a snapshot up to `last` stands for. If so, all that is
    /// committed, and nothing is discarded (§7: a matching suffix is kept).
    fn has_all_of(&mut self, server: &mut Server, last: Position, out: &mut Output) -> bool {
        if last.index > server.commit {
            if !server.log.contains(last) {
                return false;
            }
            server.commit_to(last.index, out);
        }
        self.verified = self.verified.max(server.commit);
        true
    }

    /// Has the snapshot fetched, instead of an earlier one if that is still under way.
    fn receive(&mut self, from: NodeId, snapshot: &Arc<SnapshotMeta>, out: &mut Output) {
        let last = snapshot.last.index;
        if self.receiving == Some(last) {
            return;
        }
        self.cancel_receiving(out);
        self.receiving = Some(last);
        let snapshot = Arc::clone(snapshot);
        out.snapshot.push(SnapshotOrder::Fetch { from, snapshot });
    }

    fn cancel_receiving(&mut self, out: &mut Output) {
        out.snapshot
            .extend(self.receiving.take().map(SnapshotOrder::Cancel));
    }

    /// A snapshot is complete and durable here. It holds only what is committed, so it is welcome
    /// whoever leads by now.
    pub(super) fn snapshot_received(
        &mut self,
        server: &mut Server,
        snapshot: Arc<SnapshotMeta>,
        out: &mut Output,
    ) {
        if self.receiving == Some(snapshot.last.index) {
            self.receiving = None;
        }
        let last = snapshot.last;
        if !self.has_all_of(server, last, out) {
            server.install(snapshot, out);
            self.verified = last.index;
        }
    }

    pub(super) fn snapshot_failed(&mut self, server: &mut Server, last: Index, out: &mut Output) {
        if self.receiving != Some(last) {
            return;
        }
        self.receiving = None;
        if let Some(leader) = server.leader {
            let reply = InstallSnapshotReply {
                round: self.round,
                snapshot: last,
                status: SnapshotStatus::Failed,
            };
            server.send(leader, Message::InstallSnapshotReply(reply), out);
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
        if let Some(age) = age_max
            && let Some(index) = self.questions.fresh(now, age)
        {
            out.replies.push(Reply::ReadReady { ticket, index });
        } else if server.leader.is_none() {
            server.refuse_not_leader(ticket, out);
        } else if self.questions.waiting() >= server.config.reads_max {
            refuse(ticket, Refusal::Overloaded, out);
        } else {
            self.questions.wait(ticket);
        }
    }

    pub(super) fn read_index_reply(
        &mut self,
        server: &mut Server,
        reply: ReadIndexReply,
        out: &mut Output,
    ) {
        for ticket in self.questions.answered(reply.request, reply.index) {
            out.replies.push(Reply::ReadReady {
                ticket,
                index: reply.index,
            });
        }
        // The barrier is a commit index of this term's leader: no need to wait for its next
        // message.
        server.commit_to(reply.index.min(self.verified), out);
    }

    #[cfg(feature = "sim")]
    pub(super) fn for_each_time(&mut self, change: &mut dyn FnMut(&mut Time)) {
        self.deadline.iter_mut().for_each(&mut *change);
        self.questions.for_each_time(change);
    }

    fn give_up_reads(&mut self, server: &Server, out: &mut Output) {
        for ticket in self.questions.drain() {
            server.refuse_not_leader(ticket, out);
        }
    }

    pub(super) fn flush(&mut self, server: &mut Server, now: Time, out: &mut Output) {
        if let Some(leader) = server.leader
            && let Some(request) =
                self.questions
                    .ask(now, server.config.heartbeat_interval, &mut server.asked)
        {
            server.send(leader, Message::ReadIndex(ReadIndex { request }), out);
        }
    }

    /// Another role or term follows: nobody will answer what was asked of this term's leader.
    pub(super) fn retire(&mut self, server: &Server, out: &mut Output) {
        self.cancel_receiving(out);
        self.give_up_reads(server, out);
    }
}

/// Makes the log agree with entries whose predecessor it has (§5.3): skips what it holds already,
/// truncates only at a conflict, appends the rest.
fn accept(server: &mut Server, entries: &Entries, out: &mut Output) {
    let known =
        |entry: &&Entry| entry.index <= server.commit || server.log.contains(entry.position());
    let known = entries.iter().take_while(known).count();
    let new = entries.part(known..entries.len());
    let Some(first) = new.first() else { return };
    if first.index <= server.log.last_index() {
        server.truncate(first.index, out);
    }
    server.extend(new, out);
}
