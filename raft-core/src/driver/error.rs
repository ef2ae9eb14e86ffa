//! What can come of a request besides its answer: one small enum an operation.
//!
//! Each says whether the request was refused, and nothing was or will be done, or whether its
//! outcome is unknown: a client may send a refused command again, but one of unknown outcome only
//! within a session.

use std::sync::Arc;

use thiserror::Error;

use super::mailbox::TurnedAway;
use crate::compaction::CompactionPolicyError;
use crate::config::ConfigError;
use crate::event::Refusal;
use crate::membership::ChangeError;
use crate::port::PortError;
use crate::types::NodeId;

/// Why a write has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    /// Refused: another node leads, or none does for now.
    #[error("not the leader{}", hinted(.hint))]
    NotLeader {
        /// Who leads, if it is known.
        hint: Option<NodeId>,
    },
    /// Refused: too much is waiting already.
    #[error("overloaded, try again later")]
    Overloaded,
    /// Refused: the command is too long.
    #[error("a command of {bytes} bytes, where {bytes_max} are allowed")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Refused: the machine knows no sessions; wrap it into [`Sessions`](crate::session::Sessions).
    #[error("the state machine keeps no sessions")]
    NoSessions,
    /// Unknown: there is no such session, or not any more. The command did nothing now, but may
    /// have been applied before. Open another session.
    #[error("the session is not known, or has expired")]
    SessionExpired,
    /// Unknown: the session has gone on to a later command. This one did nothing now, but may have
    /// been applied before.
    #[error("the session has gone on to a later command")]
    Superseded,
    /// It was applied before, once; what the machine answered then is not kept any more.
    #[error("applied before; the answer is not kept any more")]
    Forgotten,
    /// Refused: the node has stopped.
    #[error("the node has stopped")]
    Stopped,
    /// Unknown: the command may have been applied, may be later, or never.
    #[error("the outcome is unknown")]
    Unknown,
}

impl WriteError {
    /// Whether the command was certainly not applied on account of this request, and never will be.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        match self {
            Self::NotLeader { .. }
            | Self::Overloaded
            | Self::TooLarge { .. }
            | Self::NoSessions
            | Self::Stopped => true,
            Self::SessionExpired | Self::Superseded | Self::Forgotten | Self::Unknown => false,
        }
    }
}

/// Why a read has no answer. A read changes nothing, so it may always be tried again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// No leader could confirm the read in time.
    #[error("no leader has confirmed the read in time{}", hinted(.hint))]
    NoLeader {
        /// Who leads, if it is known.
        hint: Option<NodeId>,
    },
    /// Too much is waiting already.
    #[error("overloaded, try again later")]
    Overloaded,
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

/// Why a change of members, or a transfer of leadership, has not come about.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChangeRefused {
    /// Another node leads, or none does for now.
    #[error("not the leader{}", hinted(.hint))]
    NotLeader {
        /// Who leads, if it is known.
        hint: Option<NodeId>,
    },
    /// The change is not possible.
    #[error("{0}")]
    Impossible(ChangeError),
    /// The address of a member is longer than [`Member::ADDRESS_BYTES_MAX`], so that no peer would
    /// take it.
    ///
    /// [`Member::ADDRESS_BYTES_MAX`]: crate::Member::ADDRESS_BYTES_MAX
    #[error("the address of member {0} is too long")]
    BadAddress(NodeId),
    /// The change was undone: by an operator, or since a new member did not catch up in time.
    #[error("the change was undone before it took effect")]
    Aborted,
    /// Leadership is on its way to another node.
    #[error("leadership is being handed over")]
    Transferring,
    /// The target of the transfer is no other voter.
    #[error("the target is no other voter")]
    BadTarget,
    /// The target of the transfer did not take over in time.
    #[error("the target did not take over in time")]
    TimedOut,
    /// Too much is waiting already.
    #[error("overloaded, try again later")]
    Overloaded,
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
    /// It may have come about, may yet, or never.
    #[error("the outcome is unknown")]
    Unknown,
}

/// Why no snapshot was taken.
#[derive(Clone, Debug, Error)]
pub enum SnapshotError {
    /// Nothing was applied that the newest snapshot does not hold.
    #[error("nothing was applied since the last snapshot")]
    NothingNew,
    /// The machine or the store could not write it.
    #[error("the snapshot could not be written: {0}")]
    Failed(Arc<PortError>),
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

/// Why a node did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A setting can't work.
    #[error("the configuration can't work: {0}")]
    Config(#[from] ConfigError),
    /// The limits for snapshots can't work.
    #[error("the compaction policy can't work: {0:?}")]
    Compaction(CompactionPolicyError),
    /// A founder is not among those whom it founds the cluster with.
    #[error("node {0} is not among the members that it is to found the cluster with")]
    NotAFounder(NodeId),
    /// The address of a member is longer than [`Member::ADDRESS_BYTES_MAX`].
    ///
    /// [`Member::ADDRESS_BYTES_MAX`]: crate::Member::ADDRESS_BYTES_MAX
    #[error("the address of member {0} is too long")]
    BadAddress(NodeId),
    /// The store, the machine or the transport failed.
    #[error("{port} failed: {source}")]
    Port {
        /// Which.
        port: &'static str,
        /// Why.
        source: PortError,
    },
    /// There is no tokio runtime to run on.
    #[error("a node is started within a tokio runtime")]
    NoRuntime,
}

/// Why a node has stopped.
#[derive(Clone, Debug, Error)]
pub enum StopReason {
    /// It was told to.
    #[error("it was told to")]
    Told,
    /// The store, the machine or the transport failed; nothing is tried again.
    #[error("{port} failed: {source}")]
    Failed {
        /// Which.
        port: &'static str,
        /// Why.
        source: Arc<PortError>,
    },
    /// A thread or task of the node panicked: a bug, ours or the machine's.
    #[error("{lane} panicked: {message}")]
    Panicked {
        /// Which thread or task.
        lane: &'static str,
        /// What it said.
        message: String,
    },
}

impl From<TurnedAway> for WriteError {
    fn from(turned_away: TurnedAway) -> Self {
        match turned_away {
            TurnedAway::Overloaded => Self::Overloaded,
            TurnedAway::Stopped => Self::Stopped,
        }
    }
}

impl From<TurnedAway> for ReadError {
    fn from(turned_away: TurnedAway) -> Self {
        match turned_away {
            TurnedAway::Overloaded => Self::Overloaded,
            TurnedAway::Stopped => Self::Stopped,
        }
    }
}

fn hinted(hint: &Option<NodeId>) -> String {
    hint.map(|id| format!(", node {id} is")).unwrap_or_default()
}

impl From<Refusal> for WriteError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotLeader(hint) => Self::NotLeader { hint },
            Refusal::Overloaded => Self::Overloaded,
            Refusal::Transferring
            | Refusal::Change(_)
            | Refusal::Aborted
            | Refusal::BadTarget
            | Refusal::TimedOut => Self::NotLeader { hint: None },
        }
    }
}

impl From<Refusal> for ReadError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotLeader(hint) => Self::NoLeader { hint },
            Refusal::Overloaded => Self::Overloaded,
            Refusal::Transferring
            | Refusal::Change(_)
            | Refusal::Aborted
            | Refusal::BadTarget
            | Refusal::TimedOut => Self::NoLeader { hint: None },
        }
    }
}

impl From<Refusal> for ChangeRefused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotLeader(hint) => Self::NotLeader { hint },
            Refusal::Overloaded => Self::Overloaded,
            Refusal::Transferring => Self::Transferring,
            Refusal::Change(error) => Self::Impossible(error),
            Refusal::Aborted => Self::Aborted,
            Refusal::BadTarget => Self::BadTarget,
            Refusal::TimedOut => Self::TimedOut,
        }
    }
}
