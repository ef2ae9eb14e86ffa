//! What servers say to each other: one struct a message, one enum over them.
//!
//! Terms and senders ride on the envelope, since the rules about them are the same for every
//! message (Raft §5.1). This file does not know how a message is encoded or by what it travels.

use std::sync::Arc;

use crate::entries::Entries;
use crate::entry::SnapshotMeta;
use crate::types::{Incarnation, Index, NodeId, Position, Round, Term};

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Envelope {
    /// Who sent it.
    pub from: NodeId,
    /// In which life of its storage: an answer counts only from the life that the configuration
    /// names.
    pub incarnation: Incarnation,
    /// For whom it is.
    pub to: NodeId,
    /// The sender's term. Durable at the sender before the message left it.
    pub term: Term,
    /// What it says.
    pub message: Message,
}

/// Everything that servers say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Message {
    /// "Would you vote for me?" (dissertation §9.6).
    PreVote(PreVote),
    /// The answer to it.
    PreVoteReply(PreVoteReply),
    /// "Vote for me" (§5.2).
    RequestVote(RequestVote),
    /// The answer to it.
    RequestVoteReply(RequestVoteReply),
    /// Entries, or none: a heartbeat (§5.3).
    AppendEntries(AppendEntries),
    /// The answer to it.
    AppendEntriesReply(AppendEntriesReply),
    /// The offer of a snapshot (§7).
    InstallSnapshot(InstallSnapshot),
    /// The answer to it.
    InstallSnapshotReply(InstallSnapshotReply),
    /// "Campaign now, with my blessing" (dissertation §3.10).
    TimeoutNow,
    /// "Up to which index must I have applied to read linearizably?" (dissertation §6.4).
    ReadIndex(ReadIndex),
    /// The answer to it.
    ReadIndexReply(ReadIndexReply),
    /// "Your term is over; mine is on the envelope." The answer to a leader of an old term.
    StaleTerm,
    /// "The configuration names another life of you": the answer to a server whose disk was wiped.
    WrongIncarnation,
}

impl Message {
    /// What the entries that it brings weigh; all else is small.
    #[must_use]
    pub const fn weight(&self) -> u64 {
        match self {
            Self::AppendEntries(append) => append.entries.weight(),
            Self::PreVote(_)
            | Self::PreVoteReply(_)
            | Self::RequestVote(_)
            | Self::RequestVoteReply(_)
            | Self::AppendEntriesReply(_)
            | Self::InstallSnapshot(_)
            | Self::InstallSnapshotReply(_)
            | Self::TimeoutNow
            | Self::ReadIndex(_)
            | Self::ReadIndexReply(_)
            | Self::StaleTerm
            | Self::WrongIncarnation => 0,
        }
    }

    /// Whether only the leader of the envelope's term sends it.
    #[must_use]
    pub const fn is_of_leader(&self) -> bool {
        match self {
            Self::AppendEntries(_) | Self::InstallSnapshot(_) => true,
            Self::PreVote(_)
            | Self::PreVoteReply(_)
            | Self::RequestVote(_)
            | Self::RequestVoteReply(_)
            | Self::AppendEntriesReply(_)
            | Self::InstallSnapshotReply(_)
            | Self::TimeoutNow
            | Self::ReadIndex(_)
            | Self::ReadIndexReply(_)
            | Self::StaleTerm
            | Self::WrongIncarnation => false,
        }
    }

    /// Whether its receiver counts it towards a quorum: a vote, or an acknowledgement.
    #[must_use]
    pub const fn is_counted(&self) -> bool {
        match self {
            Self::PreVoteReply(_)
            | Self::RequestVoteReply(_)
            | Self::AppendEntriesReply(_)
            | Self::InstallSnapshotReply(_) => true,
            Self::PreVote(_)
            | Self::RequestVote(_)
            | Self::AppendEntries(_)
            | Self::InstallSnapshot(_)
            | Self::TimeoutNow
            | Self::ReadIndex(_)
            | Self::ReadIndexReply(_)
            | Self::StaleTerm
            | Self::WrongIncarnation => false,
        }
    }
}

/// Asks whether a campaign in the term after the envelope's could be won. Changes nobody's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PreVote {
    /// The end of the sender's log.
    pub last: Position,
    /// Names the campaign; an answer to an earlier one does not count.
    pub request: Round,
}

/// Whether the receiver would have voted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PreVoteReply {
    /// The campaign that it answers.
    pub request: Round,
    /// Whether it would have.
    pub granted: bool,
}

/// Asks for a vote in the envelope's term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RequestVote {
    /// The end of the candidate's log (§5.4.1).
    pub last: Position,
    /// Sent at the old leader's wish, so that a voter that still hears of it votes all the same.
    pub transfer: bool,
}

/// The vote. Granted only after term and vote are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RequestVoteReply {
    /// Whether the vote is the candidate's.
    pub granted: bool,
}

/// Replicates entries, tells what is committed, and asserts leadership.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AppendEntries {
    /// The entry just before the first of `entries`, which the follower must have (§5.3).
    pub prev: Position,
    /// The leader's commit index.
    pub commit: Index,
    /// The leader's latest confirmation round, to be echoed.
    pub round: Round,
    /// The entries after `prev`, contiguous; none in a heartbeat.
    pub entries: Entries,
}

/// What the follower made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AppendEntriesReply {
    /// The latest round heard of.
    pub round: Round,
    /// How the logs compare.
    pub outcome: AppendOutcome,
}

/// How the follower's log compares with the leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum AppendOutcome {
    /// Equal up to this index, and *durable* up to it at the follower.
    Matched(Index),
    /// The follower has no such entry as `prev`.
    Conflict {
        /// The index of the refused `prev`, so that a late answer is told from a fresh one.
        prev: Index,
        /// The follower's last entry at or below `prev` whose term is not above `prev`'s: all
        /// between is known to conflict, whole terms at once.
        hint: Position,
    },
}

/// Offers a snapshot to a follower whose next entry the leader's log no longer holds. The files
/// travel apart from it, fetched by the follower. Repeated like a heartbeat while it is fetched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct InstallSnapshot {
    /// What the snapshot stands for.
    pub snapshot: Arc<SnapshotMeta>,
    /// The leader's latest confirmation round, to be echoed.
    pub round: Round,
}

/// How far the follower is with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct InstallSnapshotReply {
    /// The latest round heard of.
    pub round: Round,
    /// The last index of the snapshot that this answers.
    pub snapshot: Index,
    /// How far it is.
    pub status: SnapshotStatus,
}

/// How far a follower is with an offered snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SnapshotStatus {
    /// It fetches or installs it.
    Receiving,
    /// It needs it no longer: its log equals the leader's, durably, up to this index.
    Matched(Index),
    /// It could not fetch it; offer it, or a newer one, again.
    Failed,
}

/// A follower asks its leader for a read barrier on behalf of all reads that wait there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ReadIndex {
    /// Counts the follower's questions; an answer to an older one does not count.
    pub request: Round,
}

/// The barrier: whoever has applied up to `index` may answer the reads that waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ReadIndexReply {
    /// The question it answers.
    pub request: Round,
    /// The index, at or above every commit known anywhere when the question arrived.
    pub index: Index,
}
