//! Every input of the core and every effect it asks for: plain data, no channels inside.
//!
//! The contract with the shell, which every driver keeps and the simulator checks:
//!
//! 1. [`Raft::step`](crate::Raft::step) once an event, then [`Raft::flush`](crate::Raft::flush)
//!    once a batch of events, into the same [`Output`]. Only then the output is carried out. The
//!    first flush follows [`Raft::new`](crate::Raft::new). The clock is read after the batch was
//!    taken: a lease is judged by it.
//! 2. Writes go to the log store in the order of their ids; [`Event::Persisted`] follows when a
//!    write, and with it all before it, would survive a power cut.
//! 3. [`Output::messages`] may be sent at once, in any order, lost or doubled. The core itself
//!    holds back what a write must precede.
//! 4. [`Output::apply`] goes to the state machine in order; [`Event::Applied`] follows.
//! 5. Before the first event, a state machine that is behind the newest snapshot has been restored
//!    from it; the core takes that for granted.
//! 6. [`Event::Tick`] when [`Raft::deadline`](crate::Raft::deadline) has passed; earlier does no
//!    harm.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::entries::Entries;
use crate::entry::{HardState, SnapshotMeta};
use crate::membership::{ChangeError, MemberChange, Membership};
use crate::message::Envelope;
use crate::types::{Incarnation, Index, NodeId, Position, Term, Ticket, WriteId};

/// What happens to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Event {
    /// Time has passed.
    Tick,
    /// A message arrived.
    Received(Envelope),
    /// This write and all before it are durable.
    Persisted(WriteId),
    /// The state machine has applied all up to this index.
    Applied(Index),
    /// A client wants this command in the log.
    Propose {
        /// Comes back in [`Reply::Accepted`] or [`Reply::Refused`].
        ticket: Ticket,
        /// What the state machine is to do.
        command: Bytes,
    },
    /// A client wants to read.
    Read {
        /// Comes back in [`Reply::ReadReady`] or [`Reply::Refused`].
        ticket: Ticket,
        /// What the answer must reflect.
        consistency: Consistency,
    },
    /// An operator wants another configuration.
    ChangeMembership {
        /// Comes back in [`Reply::MembershipChanged`], [`Reply::Refused`] or [`Reply::Unknown`].
        ticket: Ticket,
        /// The index of the configuration that the operator saw; refused if it is another now.
        based_on: Option<Index>,
        /// All wishes at once.
        changes: Vec<MemberChange>,
    },
    /// An operator takes the change under way back, if it can still be undone.
    AbortMembershipChange,
    /// Leadership is to move.
    TransferLeadership {
        /// Comes back in [`Reply::Transferred`] or [`Reply::Refused`].
        ticket: Ticket,
        /// To whom; the most caught-up voter if `None`.
        target: Option<NodeId>,
    },
    /// Entries that [`Output::fetch`] asked for.
    Fetched {
        /// For whom they were read.
        reader: Reader,
        /// From the index asked for on, contiguous; fewer than asked for is fine, and none says
        /// that they were purged meanwhile.
        entries: Entries,
    },
    /// The state machine's snapshot is complete and durable here.
    SnapshotTaken(Arc<SnapshotMeta>),
    /// A snapshot fetched from another node is complete, verified and durable here.
    SnapshotReceived(Arc<SnapshotMeta>),
    /// The fetch of the snapshot that ends at this index failed.
    SnapshotFailed(Index),
    /// The log should not keep entries at or below this index, as far as nobody needs them.
    Compact(Index),
    /// Campaign now, as if the election timeout had passed.
    Campaign,
}

/// What the answer to a read must reflect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Consistency {
    /// Every write that was acknowledged, anywhere, before the read was asked for.
    Linearizable,
    /// Every write that was acknowledged longer ago than this.
    Bounded(Duration),
    /// Whatever this node has applied.
    Local,
}

/// For whom entries are read back from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Reader {
    /// A follower that is further behind than memory reaches.
    Follower(NodeId),
    /// The state machine, after a restart.
    Machine,
}

/// What the core wants done. The shell empties it and hands it back for reuse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Output {
    /// To be sent.
    pub messages: Vec<Envelope>,
    /// To be written; at most one a flush.
    pub write: Option<Write>,
    /// For the state machine, in order.
    pub apply: Vec<Apply>,
    /// To be read from the log.
    pub fetch: Vec<Fetch>,
    /// Snapshots to be brought here, or no longer.
    pub snapshot: Vec<SnapshotOrder>,
    /// Entries at or below this index are not needed any more.
    pub purge: Option<Index>,
    /// Answers to requests.
    pub replies: Vec<Reply>,
    /// For logs, metrics and whoever wants to understand.
    pub observations: Vec<Observation>,
}

/// One atomic write to the log store: all of it is durable, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Write {
    /// Comes back in [`Event::Persisted`].
    pub id: WriteId,
    /// The whole log is replaced by nothing but this snapshot, before all else in this write.
    pub reset: Option<Arc<SnapshotMeta>>,
    /// Term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// Every entry from this index on is removed before the new ones are appended.
    pub truncate: Option<Index>,
    /// Appended at the end of the log.
    pub entries: Entries,
}

/// Work for the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Apply {
    /// Committed entries, contiguous with what was applied before.
    Entries(Entries),
    /// Replace all state by this snapshot.
    Restore(Arc<SnapshotMeta>),
}

/// Entries to be read from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fetch {
    /// For whom; comes back in [`Event::Fetched`].
    pub reader: Reader,
    /// The first index.
    pub from: Index,
    /// The last index wanted.
    pub to: Index,
    /// After the first entry, stop before this many bytes.
    pub bytes_max: u64,
}

/// A snapshot to be fetched from a peer, or no longer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SnapshotOrder {
    /// Fetch it; [`Event::SnapshotReceived`] or [`Event::SnapshotFailed`] follows.
    Fetch {
        /// Who offered it.
        from: NodeId,
        /// What it stands for.
        snapshot: Arc<SnapshotMeta>,
    },
    /// The fetch of the snapshot that ends at this index is not wanted any more.
    Cancel(Index),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The command is in the leader's log, at this position. It is done when the entry *of this
    /// term* at this index is applied; another entry there means that the outcome is unknown.
    Accepted {
        /// Of the request.
        ticket: Ticket,
        /// Where it stands.
        position: Position,
    },
    /// Whoever has applied up to `index` may answer the read.
    ReadReady {
        /// Of the request.
        ticket: Ticket,
        /// The barrier.
        index: Index,
    },
    /// The configuration wished for is committed.
    MembershipChanged {
        /// Of the request.
        ticket: Ticket,
        /// The index of its entry.
        index: Index,
    },
    /// Leadership has left this node.
    Transferred {
        /// Of the request.
        ticket: Ticket,
    },
    /// Nothing was done, and nothing will be.
    Refused {
        /// Of the request.
        ticket: Ticket,
        /// Why.
        reason: Refusal,
    },
    /// Something was done, but this node can't say how it ends.
    Unknown {
        /// Of the request.
        ticket: Ticket,
    },
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Another node leads; `None` if it is not known which.
    NotLeader(Option<NodeId>),
    /// Too much is waiting; try again later.
    Overloaded,
    /// Leadership is on its way to another node.
    Transferring,
    /// The change of configuration is not possible.
    Change(ChangeError),
    /// The change was undone, by an operator or because a new member did not catch up in time.
    Aborted,
    /// The target of the transfer is this node, or no voter.
    BadTarget,
    /// The target of the transfer did not take over in time.
    TimedOut,
}

/// The role of a node, for those who look on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleName {
    /// Follows, votes.
    Follower,
    /// Asks whether it could win.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
}

/// Why a node changed its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleCause {
    /// It started.
    Started,
    /// It heard from no leader for an election timeout.
    ElectionTimeout,
    /// The old leader asked it to take over.
    TransferRequested,
    /// It was told to campaign.
    Told,
    /// Enough members would vote for it.
    PreVotesWon,
    /// Enough members voted for it.
    VotesWon,
    /// Too many members would not, or did not.
    VotesLost,
    /// It voted for another candidate.
    VotedFor(NodeId),
    /// A message carried a higher term.
    HigherTerm(NodeId),
    /// The leader of the term was heard from.
    LeaderHeard(NodeId),
    /// No quorum answered for an election timeout.
    QuorumLost,
    /// Its own write took too long.
    DiskStalled,
    /// The configuration without it is committed.
    Removed,
}

/// Why a configuration is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MembershipCause {
    /// Its entry was appended (§6: used as soon as it is in the log).
    Appended,
    /// Its entry is committed.
    Committed,
    /// A later one was truncated.
    RolledBack,
    /// It came with a snapshot.
    Snapshot,
}

/// How a leader replicates to one follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProgressName {
    /// It looks for the place where the logs agree.
    Probe,
    /// It streams.
    Replicate,
    /// The follower fetches a snapshot.
    Snapshot,
}

/// Something that happened inside, with its cause. Nothing depends on these.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Observation {
    /// The role or the term changed.
    Role {
        /// The role now.
        role: RoleName,
        /// The term now.
        term: Term,
        /// Why.
        cause: RoleCause,
    },
    /// Another leader is followed, or none.
    Leader {
        /// Who.
        leader: Option<NodeId>,
        /// In which term.
        term: Term,
    },
    /// All entries up to here are committed.
    Committed(Index),
    /// Another configuration is in force, or it became certain.
    Membership {
        /// The index of its entry.
        index: Index,
        /// The configuration.
        membership: Arc<Membership>,
        /// Why.
        cause: MembershipCause,
    },
    /// Entries from here on conflicted with the leader's and were removed.
    Truncated {
        /// The first index removed.
        from: Index,
    },
    /// The leader replicates to a follower in another way.
    Progress {
        /// The follower.
        peer: NodeId,
        /// How now.
        state: ProgressName,
        /// The last index known to be equal.
        matched: Index,
    },
    /// Leadership is being handed over.
    TransferStarted {
        /// To whom.
        target: NodeId,
    },
    /// The transfer did not come about; this node goes on.
    TransferAborted {
        /// Who did not take over.
        target: NodeId,
    },
    /// A write has been outstanding for too long.
    DiskStalled {
        /// For how long by now.
        outstanding: Duration,
    },
    /// Acknowledged state was lost; this node does not vote before it has it again.
    Quarantined {
        /// What it must have.
        until: Position,
    },
    /// What was lost is here again; this node votes.
    Released,
    /// A message came from another life of a member's storage, or this node is told that it is one.
    WrongIncarnation {
        /// Whose storage.
        id: NodeId,
        /// The life that the message came from.
        incarnation: Incarnation,
    },
    /// The log was replaced by a snapshot.
    Installed {
        /// Its last entry.
        last: Position,
    },
}
