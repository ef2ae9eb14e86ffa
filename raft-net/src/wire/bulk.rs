//! The bulk lane: a follower opens a peer's snapshot, and reads its files piece by piece.
//!
//! Their form is the same in every version, as that of the handshake is; they grow by extensions.
//! This file does not know where snapshots lie.

use bytes::{Bytes, BytesMut};
use raft_core::port::Manifest;
use raft_core::{GroupId, NodeId, Position};
use serde::{Deserialize, Serialize};

use super::handshake::expect;
use super::{CHUNK_BYTES_MAX, REASON_BYTES_MAX, VERSION_FIXED, WireError, body, kind, v1};
use crate::frame::Frame;

/// What the one who dialed wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkRequest {
    /// The newest snapshot of a group. From here on it is open, and stays as it is.
    Open {
        /// Of which group.
        group: GroupId,
        /// Whose snapshot it is to be.
        from: NodeId,
        /// It should end here, or later.
        last: Position,
    },
    /// A part of a file of the snapshot that is open.
    Read {
        /// The place of the file in the manifest.
        file: u32,
        /// From where.
        offset: u64,
        /// How much at most; no more than [`CHUNK_BYTES_MAX`].
        length: u32,
    },
}

/// What it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkReply {
    /// The snapshot is open, and this is what it consists of.
    Manifest(Manifest),
    /// The part of the file; less than was wanted, or nothing, at its end.
    Chunk(Bytes),
    /// It can't be had.
    Failed {
        /// Why, for people. Cut after [`REASON_BYTES_MAX`].
        reason: String,
    },
}

impl BulkRequest {
    /// Appends it as a frame.
    pub fn encode(&self, out: &mut BytesMut) {
        let wire = match *self {
            Self::Open { group, from, last } => WireRequest::Open {
                group: group.0,
                from: from.0,
                last: last.into(),
            },
            Self::Read {
                file,
                offset,
                length,
            } => WireRequest::Read {
                file,
                offset,
                length,
            },
        };
        body::put((kind::BULK_REQUEST, VERSION_FIXED), &wire, out, |_| {});
    }

    /// Reads it from a frame.
    ///
    /// # Errors
    /// When the frame is anything else.
    pub fn decode(frame: &Frame) -> Result<Self, WireError> {
        expect(frame, kind::BULK_REQUEST)?;
        Ok(match body::take_alone(frame)? {
            WireRequest::Open { group, from, last } => Self::Open {
                group: GroupId(group),
                from: NodeId(from),
                last: last.into(),
            },
            WireRequest::Read { length, .. } if length > CHUNK_BYTES_MAX => {
                return Err(WireError::Illegal("more is wanted than a frame may hold"));
            }
            WireRequest::Read {
                file,
                offset,
                length,
            } => Self::Read {
                file,
                offset,
                length,
            },
        })
    }
}

impl BulkReply {
    /// Appends it as a frame.
    pub fn encode(&self, out: &mut BytesMut) {
        let (wire, chunk): (_, &[u8]) = match self {
            Self::Manifest(manifest) => (WireReply::Manifest(manifest.into()), &[]),
            Self::Chunk(chunk) => {
                let length = body::length(chunk);
                (WireReply::Chunk { length }, chunk)
            }
            Self::Failed { reason } => {
                let reason = reason[..reason.floor_char_boundary(REASON_BYTES_MAX)].to_owned();
                (WireReply::Failed { reason }, &[])
            }
        };
        let id = (kind::BULK_REPLY, VERSION_FIXED);
        body::put(id, &wire, out, |out| out.extend_from_slice(chunk));
    }

    /// Reads it from a frame.
    ///
    /// # Errors
    /// When the frame is anything else.
    pub fn decode(frame: &Frame) -> Result<Self, WireError> {
        expect(frame, kind::BULK_REPLY)?;
        let (wire, mut payloads) = body::take(frame)?;
        let reply = match wire {
            WireReply::Manifest(manifest) => Self::Manifest(manifest.try_into()?),
            WireReply::Chunk { length } if length > CHUNK_BYTES_MAX => {
                return Err(WireError::Illegal("a piece of a file is too long"));
            }
            WireReply::Chunk { length } => Self::Chunk(payloads.take(length)?),
            WireReply::Failed { reason } if reason.len() > REASON_BYTES_MAX => {
                return Err(WireError::Illegal("a reason is too long"));
            }
            WireReply::Failed { reason } => Self::Failed { reason },
        };
        payloads.end()?;
        Ok(reply)
    }
}

// Frozen from here on: a variant may be added at the end of an enum, nothing else may change.

#[derive(Serialize, Deserialize)]
enum WireRequest {
    Open {
        group: u64,
        from: u64,
        last: v1::Position,
    },
    Read {
        file: u32,
        offset: u64,
        length: u32,
    },
}

#[derive(Serialize, Deserialize)]
enum WireReply {
    Manifest(v1::Manifest),
    Chunk { length: u32 },
    Failed { reason: String },
}
