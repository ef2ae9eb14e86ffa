//! What nodes say to each other, as bytes: parcels, the handshake, and the lane of snapshots.
//!
//! Bodies are postcard, from types that are frozen with their version and apart from the core's:
//! so no change of the core changes what travels. The book's chapter *The wire format* draws all
//! of it. What comes from a peer may be anything: nothing here trusts a count, or panics. This
//! file does not know of connections, nor when something is said.

mod body;
mod bulk;
mod handshake;
mod v1;
mod v2;

pub use bulk::{BulkReply, BulkRequest};
pub use handshake::{Hello, Lane, Rejection, Welcome};

use bytes::BytesMut;
use raft_core::port::Parcel;
use raft_core::{GroupId, Member};

use crate::frame::Frame;

/// The oldest version that is understood.
pub const VERSION_MIN: u8 = 1;
/// The newest version that is understood.
pub const VERSION_MAX: u8 = 2;
/// The version of the handshake and of the bulk lane. They have only this one: before the
/// handshake is over none has been agreed upon.
pub const VERSION_FIXED: u8 = 1;

/// No body of a handshake is longer; so a stranger can't make us hold more.
pub const HANDSHAKE_BYTES_MAX: usize = 4096;
/// The longest piece of a snapshot's file in one frame.
pub const CHUNK_BYTES_MAX: u32 = 1 << 20;
/// The longest address of a member.
pub const ADDRESS_BYTES_MAX: usize = Member::ADDRESS_BYTES_MAX;
/// The longest reason for a failure; longer ones are cut.
pub const REASON_BYTES_MAX: usize = 1024;
/// How many groups' heartbeats and acknowledgements one frame holds.
pub const HEARTBEATS_MAX: usize = 1024;

/// What a frame may be: its byte `kind`. The numbers are frozen.
pub mod kind {
    /// See [`Hello`](super::Hello).
    pub const HELLO: u8 = 1;
    /// See [`Welcome`](super::Welcome).
    pub const WELCOME: u8 = 2;
    /// See [`Rejection`](super::Rejection).
    pub const REJECTION: u8 = 3;
    /// A sign of life, by either end of a lane of parcels: a frame without a body.
    pub const PULSE: u8 = 4;
    /// A consensus message of one group.
    pub const CONSENSUS: u8 = 16;
    /// A question on behalf of a client.
    pub const ASK: u8 = 17;
    /// The answer to it.
    pub const ANSWER: u8 = 18;
    /// Bare heartbeats and acknowledgements of many groups. Since version 2.
    pub const HEARTBEATS: u8 = 19;
    /// See [`BulkRequest`](super::BulkRequest).
    pub const BULK_REQUEST: u8 = 32;
    /// See [`BulkReply`](super::BulkReply).
    pub const BULK_REPLY: u8 = 33;
}

/// Why a frame was refused although its checksum was right. The peer has another idea of the
/// format than we have, so the connection is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// There is no such kind of message, or it has no place here.
    #[error("a frame of kind {0} has no place here")]
    Kind(u8),
    /// It is not among the versions that are understood.
    #[error("a frame of version {0}")]
    Version(u8),
    /// A flag is set whose meaning is not known.
    #[error("a frame with flags {0:#06x}")]
    Flags(u16),
    /// The body is not one of its kind.
    #[error("a frame of kind {kind} is malformed: {error}")]
    Malformed {
        /// That of the frame.
        kind: u8,
        /// What the decoder says.
        error: postcard::Error,
    },
    /// The body announces more bytes of payload than follow.
    #[error("a payload is cut off")]
    CutOff,
    /// This many bytes are left after all that the body announced.
    #[error("{0} bytes too many")]
    Remains(usize),
    /// The sender says that the message must not be taken by who does not know this extension.
    #[error("the critical extension {0:#06x} is not known")]
    Extension(u16),
    /// What was decoded can't be.
    #[error("{0}")]
    Illegal(&'static str),
}

/// Appends frames in `version` that say all of `parcels`, at least one frame and at most as many as
/// there are parcels. Those of one group stay in their order.
///
/// # Panics
/// If there is no such version.
pub fn encode(version: u8, parcels: &[(GroupId, Parcel)], out: &mut BytesMut) {
    match version {
        1 => {
            for (group, parcel) in parcels {
                v1::encode(1, *group, parcel, out);
            }
        }
        2 => v2::encode(parcels, out),
        unknown => panic!("version {unknown} was never negotiated"),
    }
}

/// Adds the parcels that a frame brings to `into`; none of them if it is refused.
///
/// # Errors
/// When it is not one of the messages that [`encode`] writes, in a version that is understood.
pub fn decode(frame: &Frame, into: &mut Vec<(GroupId, Parcel)>) -> Result<(), WireError> {
    if !(VERSION_MIN..=VERSION_MAX).contains(&frame.version) {
        return Err(WireError::Version(frame.version));
    }
    match (frame.kind, frame.version) {
        (kind::CONSENSUS | kind::ASK | kind::ANSWER, _) => into.push(v1::decode(frame)?),
        (kind::HEARTBEATS, 2..) => v2::decode(frame, into)?,
        _ => return Err(WireError::Kind(frame.kind)),
    }
    Ok(())
}
