//! Version 2 of what travels: bare heartbeats and acknowledgements of many groups share a frame.
//!
//! A node of a thousand groups says a thousand times "I am alive" at each heartbeat, and hears a
//! thousand times "so I heard". Everything else is as in version 1. Frozen as that is.

use bytes::BytesMut;
use raft_core::message::{AppendEntries, AppendEntriesReply, AppendOutcome};
use raft_core::port::Parcel;
use raft_core::{Entries, Envelope, GroupId, Incarnation, Message, NodeId};
use serde::{Deserialize, Serialize};

use super::v1::{self, Count, Position};
use super::{HEARTBEATS_MAX, WireError, body, kind};
use crate::frame::Frame;

const VERSION: u8 = 2;

#[derive(Serialize, Deserialize)]
struct Heartbeats {
    from: u64,
    to: u64,
    /// That of the rows that don't say another.
    incarnation: u64,
    rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    group: u64,
    /// Said only where it differs from that of the frame: usually one server has one life.
    incarnation: Option<u64>,
    term: Count,
    round: Count,
    says: Says,
}

#[derive(Serialize, Deserialize)]
enum Says {
    /// An append without entries.
    Heartbeat { prev: Position, commit: Count },
    /// A reply to an append.
    Matched { index: Count },
}

/// Appends the frames of these parcels. What is bare waits for its like, but no longer than until
/// another parcel of its group comes: an append that is overtaken by the heartbeat after it would
/// be taken for lost.
pub(super) fn encode(parcels: &[(GroupId, Parcel)], out: &mut BytesMut) {
    let mut waiting: Option<Heartbeats> = None;
    for (group, parcel) in parcels {
        if let Some((envelope, says)) = bare(parcel) {
            let frame = waiting.get_or_insert_with(|| Heartbeats::of(envelope));
            if !frame.takes(envelope) {
                let full = std::mem::replace(frame, Heartbeats::of(envelope));
                full.put(out);
            }
            frame.push(*group, envelope, says);
            continue;
        }
        if let Some(frame) = waiting.take_if(|frame| frame.speaks_for(*group)) {
            frame.put(out);
        }
        v1::encode(VERSION, *group, parcel, out);
    }
    if let Some(frame) = waiting {
        frame.put(out);
    }
}

/// Adds the parcels of a frame of heartbeats to `into`.
pub(super) fn decode(frame: &Frame, into: &mut Vec<(GroupId, Parcel)>) -> Result<(), WireError> {
    let heartbeats: Heartbeats = body::take_alone(frame)?;
    if heartbeats.rows.len() > HEARTBEATS_MAX {
        return Err(WireError::Illegal("too many heartbeats in a frame"));
    }
    let is_legal = |row: &Row| match row.says {
        Says::Heartbeat { prev, .. } => prev.term <= row.term,
        Says::Matched { .. } => true,
    };
    if !heartbeats.rows.iter().all(is_legal) {
        return Err(v1::LATER_THAN_LEADER);
    }
    let (from, to) = (NodeId(heartbeats.from), NodeId(heartbeats.to));
    into.extend(heartbeats.rows.into_iter().map(|row| {
        let envelope = Envelope {
            from,
            incarnation: Incarnation(row.incarnation.unwrap_or(heartbeats.incarnation)),
            to,
            term: row.term.into(),
            message: row.says.with_round(row.round),
        };
        (GroupId(row.group), Parcel::Consensus(envelope))
    }));
    Ok(())
}

/// What a parcel says, if it is a heartbeat or acknowledgement and nothing more.
fn bare(parcel: &Parcel) -> Option<(&Envelope, (Count, Says))> {
    let Parcel::Consensus(envelope) = parcel else {
        return None;
    };
    let (round, says) = if let Message::AppendEntries(append) = &envelope.message
        && append.entries.is_empty()
    {
        let (prev, commit) = (append.prev.into(), append.commit.into());
        (append.round, Says::Heartbeat { prev, commit })
    } else if let Message::AppendEntriesReply(reply) = &envelope.message
        && let AppendOutcome::Matched(index) = reply.outcome
    {
        let index = index.into();
        (reply.round, Says::Matched { index })
    } else {
        return None;
    };
    Some((envelope, (round.into(), says)))
}

impl Heartbeats {
    /// A frame without rows, from and to whom the envelope is.
    fn of(envelope: &Envelope) -> Self {
        Self {
            from: envelope.from.0,
            to: envelope.to.0,
            incarnation: envelope.incarnation.0,
            rows: Vec::new(),
        }
    }

    fn takes(&self, envelope: &Envelope) -> bool {
        (self.from, self.to) == (envelope.from.0, envelope.to.0) && self.rows.len() < HEARTBEATS_MAX
    }

    fn speaks_for(&self, group: GroupId) -> bool {
        self.rows.iter().any(|row| row.group == group.0)
    }

    fn push(&mut self, group: GroupId, envelope: &Envelope, (round, says): (Count, Says)) {
        let incarnation = envelope.incarnation.0;
        self.rows.push(Row {
            group: group.0,
            incarnation: (incarnation != self.incarnation).then_some(incarnation),
            term: envelope.term.into(),
            round,
            says,
        });
    }

    fn put(&self, out: &mut BytesMut) {
        body::put((kind::HEARTBEATS, VERSION), self, out, |_| {});
    }
}

impl Says {
    fn with_round(self, round: Count) -> Message {
        match self {
            Self::Heartbeat { prev, commit } => Message::AppendEntries(AppendEntries {
                prev: prev.into(),
                commit: commit.into(),
                round: round.into(),
                entries: Entries::default(),
            }),
            Self::Matched { index } => Message::AppendEntriesReply(AppendEntriesReply {
                round: round.into(),
                outcome: AppendOutcome::Matched(index.into()),
            }),
        }
    }
}
