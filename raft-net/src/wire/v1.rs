//! Version 1 of what travels: one frame a parcel. Frozen: a variant may be added at the end of an
//! enum together with a new version, nothing else may change. `tests/golden/` holds it to that.
//!
//! These are types of their own, which follow the core's by conversion only. Ids and sessions are
//! plain numbers; [`Count`] is a number that the core goes on counting from. This file does not
//! know what any of it means.

mod ask;
mod consensus;
mod membership;

pub(super) use consensus::LATER_THAN_LEADER;

use bytes::BytesMut;
use raft_core::GroupId;
use raft_core::port::Parcel;
use serde::{Deserialize, Serialize};

use super::{WireError, body, kind};
use crate::frame::Frame;

/// Appends the frame of one parcel. Version 2 has the same.
pub(super) fn encode(version: u8, group: GroupId, parcel: &Parcel, out: &mut BytesMut) {
    match parcel {
        Parcel::Consensus(envelope) => {
            let wire = consensus::to_wire(group, envelope);
            body::put((kind::CONSENSUS, version), &wire, out, |out| {
                consensus::put_payloads(&envelope.message, out);
            });
        }
        Parcel::Ask(ask) => {
            let (wire, payload) = ask::ask_to_wire(group, ask);
            let put_payload = |out: &mut BytesMut| out.extend_from_slice(payload);
            body::put((kind::ASK, version), &wire, out, put_payload);
        }
        Parcel::Answer(answer) => {
            let (wire, payload) = ask::answer_to_wire(group, answer);
            let put_payload = |out: &mut BytesMut| out.extend_from_slice(payload);
            body::put((kind::ANSWER, version), &wire, out, put_payload);
        }
    }
}

/// Reads the frame of one parcel.
pub(super) fn decode(frame: &Frame) -> Result<(GroupId, Parcel), WireError> {
    let (decoded, payloads) = match frame.kind {
        kind::CONSENSUS => {
            let (wire, mut payloads) = body::take(frame)?;
            let (group, envelope) = consensus::from_wire(wire, &mut payloads)?;
            ((group, Parcel::Consensus(envelope)), payloads)
        }
        kind::ASK => {
            let (wire, mut payloads) = body::take(frame)?;
            let (group, ask) = ask::ask_from_wire(wire, &mut payloads)?;
            ((group, Parcel::Ask(ask)), payloads)
        }
        kind::ANSWER => {
            let (wire, mut payloads) = body::take(frame)?;
            let (group, answer) = ask::answer_from_wire(wire, &mut payloads)?;
            ((group, Parcel::Answer(answer)), payloads)
        }
        unknown => return Err(WireError::Kind(unknown)),
    };
    payloads.end()?;
    Ok(decoded)
}

/// A term, an index or a round. Nobody counts as far as [`Count::MAX`], and the core adds to what
/// it is told; so what lies beyond is refused here, before a sum can overflow there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u64", try_from = "u64")]
pub(super) struct Count(pub(super) u64);

impl Count {
    const MAX: u64 = 1 << 62;
}

impl From<Count> for u64 {
    fn from(count: Count) -> Self {
        count.0
    }
}

impl TryFrom<u64> for Count {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, &'static str> {
        if number > Self::MAX {
            return Err("a number that nobody counts up to");
        }
        Ok(Self(number))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) term: Count,
    pub(super) index: Count,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) group: u64,
    pub(super) from: u64,
    pub(super) incarnation: u64,
    pub(super) to: u64,
    pub(super) term: Count,
    pub(super) message: Message,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Message {
    PreVote {
        last: Position,
        request: Count,
    },
    PreVoteReply {
        request: Count,
        granted: bool,
    },
    RequestVote {
        last: Position,
        transfer: bool,
    },
    RequestVoteReply {
        granted: bool,
    },
    AppendEntries {
        prev: Position,
        commit: Count,
        round: Count,
        entries: Vec<Entry>,
    },
    AppendEntriesReply {
        round: Count,
        outcome: AppendOutcome,
    },
    InstallSnapshot {
        snapshot: SnapshotMeta,
        round: Count,
    },
    InstallSnapshotReply {
        round: Count,
        snapshot: Count,
        status: SnapshotStatus,
    },
    TimeoutNow,
    ReadIndex {
        request: Count,
    },
    ReadIndexReply {
        request: Count,
        index: Count,
    },
    StaleTerm,
    WrongIncarnation,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) term: Count,
    pub(super) index: Count,
    pub(super) payload: Payload,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Payload {
    Noop,
    /// The command itself is a payload behind the message.
    Command {
        length: u32,
    },
    Membership(Box<Membership>),
}

#[derive(Serialize, Deserialize)]
pub(super) enum AppendOutcome {
    Matched(Count),
    Conflict { prev: Count, hint: Position },
}

#[derive(Serialize, Deserialize)]
pub(super) enum SnapshotStatus {
    Receiving,
    Matched(Count),
    Failed,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SnapshotMeta {
    pub(super) last: Position,
    pub(super) membership_index: Count,
    pub(super) membership: Membership,
}

/// Lists in ascending order, nobody twice.
#[derive(Serialize, Deserialize)]
pub(super) struct Membership {
    pub(super) members: Vec<(u64, Member)>,
    pub(super) voters: Vec<u64>,
    pub(super) outgoing: Vec<u64>,
    pub(super) leaving: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) incarnation: u64,
    pub(super) priority: u8,
    pub(super) address: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) meta: SnapshotMeta,
    pub(super) files: Vec<SnapshotFile>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SnapshotFile {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) hash: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Ask {
    pub(super) group: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) ticket: u64,
    pub(super) question: Question,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Question {
    /// The command itself is the payload behind the message.
    Write {
        session: Option<Session>,
        length: u32,
    },
    Change {
        based_on: Option<Count>,
        changes: Vec<MemberChange>,
    },
    Transfer {
        target: Option<u64>,
    },
    Cluster,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) client: u64,
    pub(super) sequence: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) enum MemberChange {
    Learner(u64, Member),
    Voter(u64, Member),
    Remove(u64),
    Update(u64, Member),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) group: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) ticket: u64,
    pub(super) outcome: Outcome,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Outcome {
    /// The answer of the machine is the payload behind the message.
    Written {
        length: u32,
    },
    Changed(Count),
    Transferred,
    Cluster(Box<ClusterView>),
    Refused(Refusal),
    Unknown,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ClusterView {
    pub(super) membership: Membership,
    pub(super) commit: Count,
    pub(super) leader: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Refusal {
    NotLeader(Option<u64>),
    Overloaded,
    Transferring,
    Change(ChangeError),
    Aborted,
    BadTarget,
    TimedOut,
}

#[derive(Serialize, Deserialize)]
pub(super) enum ChangeError {
    NoVoterLeft,
    NotAMember(u64),
    NamedTwice(u64),
    Nothing,
    NotBasedOn(Count),
    OtherLife(u64),
    InProgress,
}
