//! What clients ask of a node, and how each gets its answer: here, or on the node that passed the
//! request on.
//!
//! This file does not know who leads.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::error::{ChangeRefused, ReadError, SnapshotError, WriteError};
use crate::event::{Consistency, Refusal};
use crate::membership::MemberChange;
use crate::port::{Answer, Outcome, Parcel, Transport};
use crate::session::Session;
use crate::types::{Index, NodeId, Ticket};

/// What comes from outside on its way to the loop.
pub(super) enum Request {
    /// What the core is asked, and answers.
    Client(ClientRequest),
    /// What is done at once.
    Order(Order),
}

/// A request that gets its answer through the core.
pub(super) enum ClientRequest {
    Write(WriteRequest),
    Read(ReadRequest),
    Change(ChangeRequest),
}

/// What this node alone is told.
pub(super) enum Order {
    /// Take a snapshot now.
    Snapshot(oneshot::Sender<Result<Index, SnapshotError>>),
    /// Undo the change of members that is under way.
    AbortChange,
    /// Campaign now.
    Campaign,
    /// Stop.
    Stop,
}

/// A command that is to be applied.
pub(super) struct WriteRequest {
    pub(super) session: Option<Session>,
    /// What the client gave.
    pub(super) command: Bytes,
    pub(super) client: Client<Bytes, WriteError>,
}

/// A question to the machine; none if only the moment matters in which it could be put.
pub(super) struct ReadRequest {
    pub(super) query: Option<Bytes>,
    pub(super) consistency: Consistency,
    pub(super) reply: oneshot::Sender<Result<ReadAnswer, ReadError>>,
}

/// What a read brought.
pub(super) struct ReadAnswer {
    /// What the machine had applied.
    pub(super) applied: Index,
    /// Its answer; empty if nothing was asked.
    pub(super) answer: Bytes,
}

/// A change of members, or of the leader.
pub(super) struct ChangeRequest {
    pub(super) change: Change,
    pub(super) client: Client<ChangeDone, ChangeRefused>,
    /// It concerns this node alone: nobody else is asked, and no other leader waited for.
    pub(super) is_for_this_node: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Members {
        based_on: Option<Index>,
        changes: Vec<MemberChange>,
    },
    Leader(Option<NodeId>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeDone {
    Members(Index),
    Leader,
}

/// Who waits for an answer.
pub(super) enum Client<T, E> {
    /// A task of this process.
    Here(oneshot::Sender<Result<T, E>>),
    /// A task at the node that passed the request on.
    At { node: NodeId, ticket: Ticket },
}

/// What can be told to a client at another node.
pub(super) trait Tell {
    fn outcome(self) -> Outcome;
}

impl<T, E> Client<T, E>
where
    Result<T, E>: Tell,
{
    /// Gives the answer. A client that waits no longer is none of our concern.
    pub(super) fn tell(self, id: NodeId, answer: Result<T, E>, transport: &dyn Transport) {
        match self {
            Self::Here(sender) => drop(sender.send(answer)),
            Self::At { node, ticket } => transport.send(Parcel::Answer(Answer {
                from: id,
                to: node,
                ticket,
                outcome: answer.outcome(),
            })),
        }
    }

    pub(super) const fn is_here(&self) -> bool {
        matches!(self, Self::Here(_))
    }
}

impl Request {
    /// What its payload weighs.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Client(request) => request.weight(),
            Self::Order(_) => 0,
        }
    }

    /// Whether it gives way when too much waits: what operators want does not.
    pub(super) const fn is_refusable(&self) -> bool {
        match self {
            Self::Client(ClientRequest::Write(_) | ClientRequest::Read(_)) => true,
            Self::Client(ClientRequest::Change(_)) | Self::Order(_) => false,
        }
    }
}

impl ClientRequest {
    /// What its payload weighs.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Write(write) => write.command.len(),
            Self::Read(read) => read.query.as_ref().map_or(0, Bytes::len),
            Self::Change(_) => 0,
        }
    }

    /// Whether it may wait here or be passed on: what was passed on once is not passed on again.
    pub(super) const fn is_of_here(&self) -> bool {
        match self {
            Self::Write(write) => write.client.is_here(),
            Self::Read(_) => true,
            Self::Change(change) => change.client.is_here() && !change.is_for_this_node,
        }
    }
}

impl Tell for Result<Bytes, WriteError> {
    fn outcome(self) -> Outcome {
        match self {
            Ok(answer) => Outcome::Written(answer),
            Err(WriteError::Unknown) => Outcome::Unknown,
            Err(WriteError::NotLeader { hint }) => Outcome::Refused(Refusal::NotLeader(hint)),
            Err(WriteError::Overloaded) => Outcome::Refused(Refusal::Overloaded),
            // The node that asked has checked the rest before, and none of it lasts.
            Err(
                WriteError::TooLarge { .. }
                | WriteError::NoSessions
                | WriteError::SessionExpired
                | WriteError::Superseded
                | WriteError::Forgotten
                | WriteError::Stopped,
            ) => Outcome::Refused(Refusal::NotLeader(None)),
        }
    }
}

impl Tell for Result<ChangeDone, ChangeRefused> {
    fn outcome(self) -> Outcome {
        match self {
            Ok(ChangeDone::Members(index)) => Outcome::Changed(index),
            Ok(ChangeDone::Leader) => Outcome::Transferred,
            Err(error) => match error.refusal() {
                Some(refusal) => Outcome::Refused(refusal),
                None => Outcome::Unknown,
            },
        }
    }
}

impl ChangeRefused {
    /// As the core says it; `None` if the outcome is unknown.
    const fn refusal(&self) -> Option<Refusal> {
        Some(match self {
            Self::NotLeader { hint } => Refusal::NotLeader(*hint),
            Self::Impossible(error) => Refusal::Change(*error),
            Self::Aborted => Refusal::Aborted,
            Self::Transferring => Refusal::Transferring,
            Self::BadTarget => Refusal::BadTarget,
            Self::TimedOut => Refusal::TimedOut,
            Self::Overloaded => Refusal::Overloaded,
            // Checked where the request was made.
            Self::Stopped | Self::BadAddress(_) => Refusal::NotLeader(None),
            Self::Unknown => return None,
        })
    }
}
