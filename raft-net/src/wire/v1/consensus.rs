//! Consensus messages, from the core's types to the frozen ones and back.
//!
//! On the way back it is checked that entries follow each other. This file does not know whether a
//! message makes sense to who receives it.

use std::sync::Arc;

use bytes::BytesMut;
use raft_core::message;
use raft_core::{
    Entries, Entry, GroupId, Incarnation, Index, Message, NodeId, Payload, Position, Round, Term,
};

use super::{AppendOutcome, Count, SnapshotStatus};
use crate::wire::WireError;
use crate::wire::body::{self, Payloads};

/// A leader holds no entries of terms after its own.
pub(in crate::wire) const LATER_THAN_LEADER: WireError =
    WireError::Illegal("an append of entries later than their leader");

pub(super) fn to_wire(group: GroupId, envelope: &raft_core::Envelope) -> super::Envelope {
    super::Envelope {
        group: group.0,
        from: envelope.from.0,
        incarnation: envelope.incarnation.0,
        to: envelope.to.0,
        term: envelope.term.into(),
        message: (&envelope.message).into(),
    }
}

/// Appends the commands among the entries, one after the other.
pub(super) fn put_payloads(message: &Message, out: &mut BytesMut) {
    let Message::AppendEntries(append) = message else {
        return;
    };
    let command = |entry: &Entry| match &entry.payload {
        Payload::Command(command) => command.len(),
        Payload::Noop | Payload::Membership(_) => 0,
    };
    out.reserve(append.entries.iter().map(command).sum());
    for entry in &append.entries {
        if let Payload::Command(command) = &entry.payload {
            out.extend_from_slice(command);
        }
    }
}

pub(super) fn from_wire(
    wire: super::Envelope,
    payloads: &mut Payloads,
) -> Result<(GroupId, raft_core::Envelope), WireError> {
    let envelope = raft_core::Envelope {
        from: NodeId(wire.from),
        incarnation: Incarnation(wire.incarnation),
        to: NodeId(wire.to),
        term: wire.term.into(),
        message: message(wire.message, wire.term.into(), payloads)?,
    };
    Ok((GroupId(wire.group), envelope))
}

impl From<&Message> for super::Message {
    fn from(message: &Message) -> Self {
        match message {
            Message::PreVote(m) => Self::PreVote {
                last: m.last.into(),
                request: m.request.into(),
            },
            Message::PreVoteReply(m) => Self::PreVoteReply {
                request: m.request.into(),
                granted: m.granted,
            },
            Message::RequestVote(m) => Self::RequestVote {
                last: m.last.into(),
                transfer: m.transfer,
            },
            Message::RequestVoteReply(m) => Self::RequestVoteReply { granted: m.granted },
            Message::AppendEntries(m) => Self::AppendEntries {
                prev: m.prev.into(),
                commit: m.commit.into(),
                round: m.round.into(),
                entries: m.entries.iter().map(super::Entry::from).collect(),
            },
            Message::AppendEntriesReply(m) => Self::AppendEntriesReply {
                round: m.round.into(),
                outcome: m.outcome.into(),
            },
            Message::InstallSnapshot(m) => Self::InstallSnapshot {
                snapshot: m.snapshot.as_ref().into(),
                round: m.round.into(),
            },
            Message::InstallSnapshotReply(m) => Self::InstallSnapshotReply {
                round: m.round.into(),
                snapshot: m.snapshot.into(),
                status: m.status.into(),
            },
            Message::TimeoutNow => Self::TimeoutNow,
            Message::ReadIndex(m) => Self::ReadIndex {
                request: m.request.into(),
            },
            Message::ReadIndexReply(m) => Self::ReadIndexReply {
                request: m.request.into(),
                index: m.index.into(),
            },
            Message::StaleTerm => Self::StaleTerm,
            Message::WrongIncarnation => Self::WrongIncarnation,
        }
    }
}

/// What was said in a term.
fn message(
    wire: super::Message,
    term: Term,
    payloads: &mut Payloads,
) -> Result<Message, WireError> {
    type Wire = super::Message;
    Ok(match wire {
        Wire::PreVote { last, request } => Message::PreVote(message::PreVote {
            last: last.into(),
            request: request.into(),
        }),
        Wire::PreVoteReply { request, granted } => Message::PreVoteReply(message::PreVoteReply {
            request: request.into(),
            granted,
        }),
        Wire::RequestVote { last, transfer } => Message::RequestVote(message::RequestVote {
            last: last.into(),
            transfer,
        }),
        Wire::RequestVoteReply { granted } => {
            Message::RequestVoteReply(message::RequestVoteReply { granted })
        }
        Wire::AppendEntries {
            prev,
            commit,
            round,
            entries: wire,
        } => Message::AppendEntries(message::AppendEntries {
            prev: prev.into(),
            commit: commit.into(),
            round: round.into(),
            entries: entries(prev.into(), wire, term, payloads)?,
        }),
        Wire::AppendEntriesReply { round, outcome } => {
            Message::AppendEntriesReply(message::AppendEntriesReply {
                round: round.into(),
                outcome: outcome.into(),
            })
        }
        Wire::InstallSnapshot { snapshot, round } => {
            Message::InstallSnapshot(message::InstallSnapshot {
                snapshot: Arc::new(snapshot.try_into()?),
                round: round.into(),
            })
        }
        Wire::InstallSnapshotReply {
            round,
            snapshot,
            status,
        } => Message::InstallSnapshotReply(message::InstallSnapshotReply {
            round: round.into(),
            snapshot: snapshot.into(),
            status: status.into(),
        }),
        Wire::TimeoutNow => Message::TimeoutNow,
        Wire::ReadIndex { request } => Message::ReadIndex(message::ReadIndex {
            request: request.into(),
        }),
        Wire::ReadIndexReply { request, index } => {
            Message::ReadIndexReply(message::ReadIndexReply {
                request: request.into(),
                index: index.into(),
            })
        }
        Wire::StaleTerm => Message::StaleTerm,
        Wire::WrongIncarnation => Message::WrongIncarnation,
    })
}

impl From<&Entry> for super::Entry {
    fn from(entry: &Entry) -> Self {
        Self {
            term: entry.term.into(),
            index: entry.index.into(),
            payload: match &entry.payload {
                Payload::Noop => super::Payload::Noop,
                Payload::Command(command) => super::Payload::Command {
                    length: body::length(command),
                },
                Payload::Membership(membership) => {
                    super::Payload::Membership(Box::new(membership.as_ref().into()))
                }
            },
        }
    }
}

/// Entries follow `prev` and each other without a gap, in terms that never go back and of which
/// none is later than that of their leader (Raft §5.3, §5.4).
fn entries(
    prev: Position,
    wire: Vec<super::Entry>,
    term: Term,
    payloads: &mut Payloads,
) -> Result<Entries, WireError> {
    let mut entries = Vec::with_capacity(wire.len());
    let mut last = prev;
    for entry in wire {
        let position = Position::new(entry.term.into(), entry.index.into());
        if position.index != last.index.next() {
            return Err(WireError::Illegal("entries with a gap between them"));
        }
        if position.term < last.term {
            return Err(WireError::Illegal("entries whose terms go back"));
        }
        last = position;
        entries.push(Entry {
            term: position.term,
            index: position.index,
            payload: match entry.payload {
                super::Payload::Noop => Payload::Noop,
                super::Payload::Command { length } => Payload::Command(payloads.take(length)?),
                super::Payload::Membership(membership) => {
                    Payload::Membership(Arc::new((*membership).try_into()?))
                }
            },
        });
    }
    if last.term > term {
        return Err(LATER_THAN_LEADER);
    }
    Ok(Entries::from(entries))
}

impl From<message::AppendOutcome> for AppendOutcome {
    fn from(outcome: message::AppendOutcome) -> Self {
        match outcome {
            message::AppendOutcome::Matched(index) => Self::Matched(index.into()),
            message::AppendOutcome::Conflict { prev, hint } => Self::Conflict {
                prev: prev.into(),
                hint: hint.into(),
            },
        }
    }
}

impl From<AppendOutcome> for message::AppendOutcome {
    fn from(outcome: AppendOutcome) -> Self {
        match outcome {
            AppendOutcome::Matched(index) => Self::Matched(index.into()),
            AppendOutcome::Conflict { prev, hint } => Self::Conflict {
                prev: prev.into(),
                hint: hint.into(),
            },
        }
    }
}

impl From<message::SnapshotStatus> for SnapshotStatus {
    fn from(status: message::SnapshotStatus) -> Self {
        match status {
            message::SnapshotStatus::Receiving => Self::Receiving,
            message::SnapshotStatus::Matched(index) => Self::Matched(index.into()),
            message::SnapshotStatus::Failed => Self::Failed,
        }
    }
}

impl From<SnapshotStatus> for message::SnapshotStatus {
    fn from(status: SnapshotStatus) -> Self {
        match status {
            SnapshotStatus::Receiving => Self::Receiving,
            SnapshotStatus::Matched(index) => Self::Matched(index.into()),
            SnapshotStatus::Failed => Self::Failed,
        }
    }
}

impl From<Position> for super::Position {
    fn from(position: Position) -> Self {
        Self {
            term: position.term.into(),
            index: position.index.into(),
        }
    }
}

impl From<super::Position> for Position {
    fn from(position: super::Position) -> Self {
        Self::new(position.term.into(), position.index.into())
    }
}

macro_rules! counts {
    ($($name:ident),*) => {$(
        impl From<$name> for Count {
            fn from(number: $name) -> Self {
                Self(number.0)
            }
        }

        impl From<Count> for $name {
            fn from(count: Count) -> Self {
                Self(count.0)
            }
        }
    )*};
}

counts!(Term, Index, Round);
