//! What a test may see of its cluster: states, answers, messages.
//!
//! Nothing here changes anything but what was already looked at.

use raft_core::event::{Observation, Refusal, RoleName};
use raft_core::{Envelope, HardState, Message, Raft, Reply, Ticket};

use super::Cluster;

impl Cluster {
    /// The core of `id`, which must be running.
    #[must_use]
    pub fn raft(&self, id: u64) -> &Raft {
        self.node(id).raft.as_ref().expect("it runs")
    }

    /// The role of `id`.
    #[must_use]
    pub fn role(&self, id: u64) -> RoleName {
        self.raft(id).role()
    }

    /// The term of `id`.
    #[must_use]
    pub fn term(&self, id: u64) -> u64 {
        self.raft(id).term().0
    }

    /// What `id` knows to be committed.
    #[must_use]
    pub fn commit(&self, id: u64) -> u64 {
        self.raft(id).commit().0
    }

    /// Where the log of `id` ends.
    #[must_use]
    pub fn last(&self, id: u64) -> u64 {
        self.raft(id).last().index.0
    }

    /// The terms of the entries in the log of `id`, as far as it is retained.
    #[must_use]
    pub fn terms(&self, id: u64) -> Vec<u64> {
        let raft = self.raft(id);
        let first = raft.base().index.next();
        let range = first.0..=raft.last().index.0;
        range
            .filter_map(|index| raft.term_at(raft_core::Index(index)))
            .map(|term| term.0)
            .collect()
    }

    /// The terms of the entries on the disk of `id`.
    #[must_use]
    pub fn synced_terms(&self, id: u64) -> Vec<u64> {
        self.node(id)
            .disk
            .entries()
            .iter()
            .map(|entry| entry.term.0)
            .collect()
    }

    /// Term and vote on the disk of `id`.
    #[must_use]
    pub fn synced_vote(&self, id: u64) -> HardState {
        self.node(id).disk.hard_state
    }

    /// How many writes of `id` are not synced yet.
    #[must_use]
    pub fn unsynced(&self, id: u64) -> usize {
        self.node(id).disk.pending.len()
    }

    /// How many writes `id` has asked for.
    #[must_use]
    pub fn writes(&self, id: u64) -> usize {
        self.node(id).writes
    }

    /// The commands that the machine of `id` has applied.
    #[must_use]
    pub fn commands(&self, id: u64) -> Vec<&str> {
        self.node(id)
            .machine
            .commands
            .iter()
            .map(String::as_str)
            .collect()
    }

    /// Who leads in the latest term that has a running leader.
    #[must_use]
    pub fn leader(&self) -> Option<u64> {
        let running = self
            .nodes
            .iter()
            .filter_map(|(id, node)| Some((*id, node.raft.as_ref()?)));
        let leaders = running.filter(|(_, raft)| raft.role() == RoleName::Leader);
        leaders
            .max_by_key(|(_, raft)| raft.term())
            .map(|(id, _)| id)
    }

    /// The voters that `id` has in its latest configuration, and those of the old one if joint.
    #[must_use]
    pub fn voters(&self, id: u64) -> (Vec<u64>, Vec<u64>) {
        let membership = self.raft(id).membership();
        let plain = |ids: &std::collections::BTreeSet<raft_core::NodeId>| {
            ids.iter().map(|id| id.0).collect()
        };
        (plain(membership.voters()), plain(membership.outgoing()))
    }

    /// The answer to a request, if there is one.
    #[must_use]
    pub fn reply(&self, ticket: Ticket) -> Option<&Reply> {
        self.nodes
            .values()
            .find_map(|node| node.replies.get(&ticket))
    }

    /// Why a request was refused, if it was.
    #[must_use]
    pub fn refusal(&self, ticket: Ticket) -> Option<Refusal> {
        match self.reply(ticket)? {
            Reply::Refused { reason, .. } => Some(*reason),
            Reply::Accepted { .. }
            | Reply::ReadReady { .. }
            | Reply::MembershipChanged { .. }
            | Reply::Transferred { .. }
            | Reply::Unknown { .. } => None,
        }
    }

    /// The barrier of a read, if it has one.
    #[must_use]
    pub fn barrier(&self, ticket: Ticket) -> Option<u64> {
        match self.reply(ticket)? {
            Reply::ReadReady { index, .. } => Some(index.0),
            Reply::Accepted { .. }
            | Reply::Refused { .. }
            | Reply::MembershipChanged { .. }
            | Reply::Transferred { .. }
            | Reply::Unknown { .. } => None,
        }
    }

    /// Whether a change of members was reported as done.
    #[must_use]
    pub fn is_changed(&self, ticket: Ticket) -> bool {
        matches!(self.reply(ticket), Some(Reply::MembershipChanged { .. }))
    }

    /// Whether a command is applied where its answer said.
    #[must_use]
    pub fn is_done(&self, ticket: Ticket) -> bool {
        let Some(Reply::Accepted { position, .. }) = self.reply(ticket) else {
            return false;
        };
        let applied = self.applied.get(&position.index);
        applied.is_some_and(|(term, _)| *term == position.term)
    }

    /// What `id` let others see of its insides, oldest first.
    #[must_use]
    pub fn observed(&self, id: u64) -> &[Observation] {
        &self.node(id).observations
    }

    /// The snapshot fetches that `id` gave up, by their last index.
    #[must_use]
    pub fn cancelled(&self, id: u64) -> Vec<u64> {
        self.node(id)
            .cancelled
            .iter()
            .map(|index| index.0)
            .collect()
    }

    /// The snapshots that `id` is to bring here: from whom, up to where.
    #[must_use]
    pub fn wanted(&self, id: u64) -> Vec<(u64, u64)> {
        let wanted = self.node(id).wanted.iter();
        wanted
            .map(|(from, meta)| (from.0, meta.last.index.0))
            .collect()
    }

    /// All that was sent since this was last asked, lost or not.
    pub fn take_sent(&mut self) -> Vec<Envelope> {
        std::mem::take(&mut self.net.sent)
    }

    /// Of that, what `from` sent to `to`.
    pub fn take_sent_to(&mut self, from: u64, to: u64) -> Vec<Message> {
        let sent = self.take_sent().into_iter();
        sent.filter(|envelope| (envelope.from.0, envelope.to.0) == (from, to))
            .map(|envelope| envelope.message)
            .collect()
    }
}
