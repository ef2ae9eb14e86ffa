//! What a server tells about itself: read-only views for drivers, tests and people.
//!
//! Nothing here changes the server.

use std::sync::Arc;
use std::time::Duration;

use super::change::Change;
use super::raft::{Raft, Role};
use super::transfer::Transfer;
use crate::entry::SnapshotMeta;
use crate::event::{ProgressName, RoleName};
use crate::membership::Membership;
use crate::types::{Incarnation, Index, NodeId, Position, Term, Time};

/// A server at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whose.
    pub id: NodeId,
    /// Its role.
    pub role: RoleName,
    /// Its term.
    pub term: Term,
    /// The leader it knows in this term.
    pub leader: Option<NodeId>,
    /// The end of its log.
    pub last: Position,
    /// What it knows to be committed.
    pub commit: Index,
    /// What its state machine has applied.
    pub applied: Index,
    /// How far its log is durable.
    pub durable: Index,
    /// Where its newest snapshot ends.
    pub snapshot: Position,
    /// The configuration in force, and the index of its entry.
    pub membership: (Index, Arc<Membership>),
    /// Whether it lost acknowledged state and does not vote.
    pub quarantined: bool,
    /// For how long the oldest write that is not durable yet has been outstanding.
    pub write_outstanding: Option<Duration>,
    /// For a leader, what the change of members under way waits for.
    pub change: Option<ChangeStage>,
    /// For a leader, to whom leadership is being handed over.
    pub transfer: Option<NodeId>,
    /// For a leader, its followers.
    pub peers: Vec<PeerStatus>,
}

/// What a change of members waits for: in all stages but `CatchingUp` the commit of the latest
/// configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ChangeStage {
    /// The new voters become learners.
    Learning,
    /// The learners get the log.
    CatchingUp,
    /// Both majorities agree to the joint configuration.
    Joint,
    /// The configuration wished for.
    Settling,
    /// The configuration is turned back.
    Undoing,
}

/// A follower as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub id: NodeId,
    /// How it is replicated to.
    pub state: ProgressName,
    /// What it is known to hold.
    pub matched: Index,
    /// What is sent next.
    pub next: Index,
    /// How long ago it was heard from.
    pub silent_for: Duration,
}

impl Raft {
    /// Everything at a glance.
    #[must_use]
    pub fn status(&self, now: Time) -> Status {
        let peers = match &self.role {
            Role::Leader(leader) => {
                let status = |(id, progress): (&NodeId, &super::progress::Progress)| PeerStatus {
                    id: *id,
                    state: progress.name(),
                    matched: progress.matched,
                    next: progress.next,
                    silent_for: now.since(progress.heard),
                };
                leader.progress.iter().map(status).collect()
            }
            Role::Follower(_) | Role::Candidate(_) => Vec::new(),
        };
        let (change, transfer) = match &self.role {
            Role::Leader(leader) => (leader.change.as_ref(), leader.transfer.as_ref()),
            Role::Follower(_) | Role::Candidate(_) => (None, None),
        };
        let oldest = self.server.writes.oldest();
        Status {
            id: self.id(),
            role: self.role(),
            term: self.term(),
            leader: self.leader(),
            last: self.last(),
            commit: self.commit(),
            applied: self.applied(),
            durable: self.durable(),
            snapshot: self.server.snapshot.last,
            membership: self.server.configurations.latest().clone(),
            quarantined: self.is_quarantined(),
            write_outstanding: oldest.map(|issued| now.since(issued)),
            change: change.map(Change::stage),
            transfer: transfer.map(Transfer::target),
            peers,
        }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.server.id
    }

    /// Which life of its storage it is.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.server.incarnation
    }

    /// Its term.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.server.term()
    }

    /// For whom it voted in this term.
    #[must_use]
    pub const fn vote(&self) -> Option<NodeId> {
        self.server.hard_state.vote
    }

    /// Its role.
    #[must_use]
    pub const fn role(&self) -> RoleName {
        self.role.name()
    }

    /// The leader of this term, if it knows it.
    #[must_use]
    pub const fn leader(&self) -> Option<NodeId> {
        self.server.leader
    }

    /// What it knows to be committed.
    #[must_use]
    pub const fn commit(&self) -> Index {
        self.server.commit
    }

    /// What its state machine has applied.
    #[must_use]
    pub const fn applied(&self) -> Index {
        self.server.applied
    }

    /// How far its log is durable.
    #[must_use]
    pub const fn durable(&self) -> Index {
        self.server.writes.durable()
    }

    /// The end of its log.
    #[must_use]
    pub fn last(&self) -> Position {
        self.server.log.last()
    }

    /// The position just before the first entry that it retains.
    #[must_use]
    pub const fn base(&self) -> Position {
        self.server.log.base()
    }

    /// The term of a retained entry.
    #[must_use]
    pub fn term_at(&self, index: Index) -> Option<Term> {
        self.server.log.term(index)
    }

    /// The configuration in force.
    #[must_use]
    pub fn membership(&self) -> &Arc<Membership> {
        self.server.membership()
    }

    /// The index of the entry that brought it.
    #[must_use]
    pub fn membership_index(&self) -> Index {
        self.server.configurations.latest().0
    }

    /// What a snapshot of the state machine stands for that has applied up to `applied`: the
    /// configuration is the one at that index, not a later one that may yet be rolled back. `None`
    /// for what is not retained or not committed, and on a server that joined and has not yet met
    /// an entry that says who belongs to the cluster there.
    #[must_use]
    pub fn snapshot_meta(&self, applied: Index) -> Option<SnapshotMeta> {
        if applied > self.server.commit {
            return None;
        }
        let term = self.server.log.term(applied)?;
        let (membership_index, membership) = self.server.configurations.at(applied).clone();
        if membership.is_blank() {
            return None;
        }
        let last = Position::new(term, applied);
        Some(SnapshotMeta {
            last,
            membership,
            membership_index,
        })
    }

    /// Whether it is a leader that may answer reads without asking anybody.
    #[must_use]
    pub fn lease_valid(&self, now: Time) -> bool {
        match &self.role {
            Role::Leader(leader) => leader.lease_valid(&self.server, now),
            Role::Follower(_) | Role::Candidate(_) => false,
        }
    }

    /// Whether it lost acknowledged state and does not vote before it has it again.
    #[must_use]
    pub const fn is_quarantined(&self) -> bool {
        self.server.quarantine.is_some()
    }
}
