//! The transport port: how nodes reach each other.
//!
//! Beside consensus messages nodes put questions to each other on behalf of their clients: a write
//! that reached a follower, a change of members, a newcomer who looks for the cluster. This file
//! knows no encoding and no sockets.

use std::sync::Arc;

use bytes::Bytes;

use super::{PortError, SnapshotSource};
use crate::event::Refusal;
use crate::membership::{MemberChange, Membership};
use crate::message::Envelope;
use crate::session::Session;
use crate::types::{Index, NodeId, Position, Ticket};

/// What travels between two nodes of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parcel {
    /// A consensus message. May come late, twice, or not at all.
    Consensus(Envelope),
    /// A question on behalf of a client. May get lost, but never comes twice. Where the transport
    /// knows that it never left, it says so with [`Ask::unsent`] in the asker's own inbox; then it
    /// can be put to another node, and is not left to time out.
    Ask(Ask),
    /// The answer to it. May get lost.
    Answer(Answer),
}

impl Parcel {
    /// What a parcel weighs beside the entries, commands and answers that it brings.
    const OVERHEAD: usize = 128;

    /// Who sent it, and for whom it is.
    #[must_use]
    pub const fn ends(&self) -> (NodeId, NodeId) {
        match self {
            Self::Consensus(envelope) => (envelope.from, envelope.to),
            Self::Ask(ask) => (ask.from, ask.to),
            Self::Answer(answer) => (answer.from, answer.to),
        }
    }

    /// What it weighs against the limits of queues.
    #[must_use]
    pub fn weight(&self) -> usize {
        let payload = match self {
            Self::Consensus(envelope) => {
                usize::try_from(envelope.message.weight()).unwrap_or(usize::MAX)
            }
            Self::Ask(ask) => match &ask.question {
                Question::Write { command, .. } => command.len(),
                Question::Change { .. } | Question::Transfer { .. } | Question::Cluster => 0,
            },
            Self::Answer(answer) => match &answer.outcome {
                Outcome::Written(answer) => answer.len(),
                Outcome::Changed(_)
                | Outcome::Transferred
                | Outcome::Cluster(_)
                | Outcome::Refused(_)
                | Outcome::Unknown => 0,
            },
        };
        payload.saturating_add(Self::OVERHEAD)
    }
}

/// A question to another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who asks.
    pub from: NodeId,
    /// Who is asked.
    pub to: NodeId,
    /// Comes back in the answer; chosen by who asks, never twice in one life of its process.
    pub ticket: Ticket,
    /// What is asked.
    pub question: Question,
}

impl Ask {
    /// What a transport answers in place of a node that never saw the question.
    #[must_use]
    pub const fn unsent(&self) -> Answer {
        Answer {
            from: self.to,
            to: self.from,
            ticket: self.ticket,
            outcome: Outcome::Refused(Refusal::NotLeader(None)),
        }
    }
}

/// What nodes ask each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whoever leads is to have this command applied.
    Write {
        /// Whose it is, if it is to take effect once.
        session: Option<Session>,
        /// What the machine is to do.
        command: Bytes,
    },
    /// Whoever leads is to change the configuration.
    Change {
        /// The index of the configuration that the operator saw.
        based_on: Option<Index>,
        /// All wishes at once.
        changes: Vec<MemberChange>,
    },
    /// Whoever leads is to hand over.
    Transfer {
        /// To whom; the most caught-up voter if `None`.
        target: Option<NodeId>,
    },
    /// Which cluster the node belongs to.
    Cluster,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who was asked.
    pub from: NodeId,
    /// Who asked.
    pub to: NodeId,
    /// That of the question.
    pub ticket: Ticket,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command was applied; this is the machine's answer.
    Written(Bytes),
    /// The configuration is committed, at this index.
    Changed(Index),
    /// Leadership went over.
    Transferred,
    /// What the node knows of its cluster.
    Cluster(ClusterView),
    /// Nothing was done, and nothing will be.
    Refused(Refusal),
    /// The node can't tell what came of it, or will come.
    Unknown,
}

/// What a node knows of its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterView {
    /// The configuration in force, as far as the node knows; blank if it belongs to none yet.
    pub membership: Arc<Membership>,
    /// The index of the last entry that it knows to be committed; 0 before the cluster's first.
    pub commit: Index,
    /// Who leads.
    pub leader: Option<NodeId>,
}

/// Carries parcels to other nodes.
pub trait Transport: Send + Sync {
    /// From now on delivers what arrives to `inbox`, and no longer to the one of an earlier call.
    ///
    /// # Errors
    /// When it can't listen.
    fn start(&self, inbox: Arc<dyn Inbox>) -> Result<(), PortError>;

    /// Delivers nothing more, and lets go of the inbox.
    fn stop(&self);

    /// Where members are reached from now on.
    fn members(&self, members: &Membership);

    /// Hands a parcel over for sending; never blocks. Full queues drop, and count what they
    /// dropped.
    fn send(&self, parcel: Parcel);

    /// Opens the newest snapshot of another node, to be read from here. Blocks, as reading from it
    /// does; so both belong on a thread of their own.
    ///
    /// # Errors
    /// When the node can't be reached, or has none that ends at `last` or later.
    fn open_snapshot(
        &self,
        from: NodeId,
        last: Position,
    ) -> Result<Box<dyn SnapshotSource>, PortError>;
}

/// Where a transport delivers.
pub trait Inbox: Send + Sync {
    /// Takes a parcel, or drops it when the node is busy. Never blocks.
    fn deliver(&self, parcel: Parcel);

    /// The newest snapshot, for another node to read. Blocks.
    ///
    /// # Errors
    /// When there is none, or it can't be read.
    fn open_snapshot(&self) -> Result<Box<dyn SnapshotSource>, PortError>;
}
