//! How commands lie in the log, and how answers travel and are kept.
//!
//! Each byte string means one command or none, and each command has one byte string: members that
//! compare bytes compare meanings.
//!
//! | part | bytes |
//! | --- | --- |
//! | command | version, kind (1 byte each), the fields of that kind |
//! | answer | revision, 0 and a response, or 1 and a refusal |
//! | struct | its fields, in their order |
//! | enum | its tag (1 byte), the fields of that variant |
//! | optional | 0, or 1 and the part |
//! | list | how many, then each |
//! | key, value, text | how many bytes, then they |
//! | truth | 0 or 1 |
//! | number | LEB128: 7 bits a byte, the lowest first, the top bit set in all bytes but the last |
//! | signed number | a number, after zigzag: 0, -1, 1, -2, .. become 0, 1, 2, 3, .. |
//!
//! A number takes as few bytes as it can; whatever is longer, or goes on behind its end, is
//! refused. Tags stand once, beside the variants, in `codec/command.rs`, `codec/request.rs`,
//! `codec/auth.rs` and `codec/answer.rs`; `codec/golden.txt` has an example of everything.
//!
//! # What an older binary makes of a newer command
//!
//! It must never take for garbage what others carry out. So a frozen version is never touched:
//! whatever is new in a command, down to one more variant deep inside, makes it another kind with
//! the next version in front. An older binary finds a version or a kind that it does not know, and
//! stops. [`CommandError::Malformed`] is said only of what no version ever means: where there is no
//! version or no kind, where a kind stands behind a version that did not bring it, and within a
//! known kind. So of all that was ever encoded, nobody says it.
//!
//! Answers have no version. One from a newer member may be unreadable; then its outcome is unknown,
//! as if it had been lost. It has no effect on any state.
//!
//! This module deliberately knows neither what a request means nor which one is sensible.

mod answer;
mod auth;
mod coded;
mod command;
mod reader;
mod request;
#[cfg(test)]
mod tests;
mod writer;

use bytes::{Bytes, BytesMut};

use coded::Coded;
use reader::Reader;
use writer::Length;

/// So deep may transactions lie within each other, the outermost one included: what reads them,
/// and what carries them out, calls itself. A deeper one is not read back; it is refused where it
/// comes in.
pub const TXN_DEPTH_MAX: usize = 16;

/// Why bytes of the log are no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A later binary wrote it, and knows what it does. A member that does not must not go on.
    #[error("a command of version {0}, which this binary does not know")]
    UnknownVersion(u8),
    /// A later binary wrote it, and knows what it does. A member that does not must not go on.
    #[error("a command of kind {kind} and version {version}, which this binary does not know")]
    UnknownKind {
        /// The version.
        version: u8,
        /// The kind.
        kind: u8,
    },
    /// It is a command to nobody, so all members skip it.
    #[error("bytes that are no command")]
    Malformed,
}

/// The bytes of something after those of a head; measured first, so that nothing is moved.
fn encode(head: &[u8], part: &impl Coded) -> Bytes {
    let mut length = Length(head.len());
    part.write(&mut length);
    let mut bytes = BytesMut::with_capacity(length.0);
    bytes.extend_from_slice(head);
    part.write(&mut bytes);
    debug_assert_eq!(bytes.len(), length.0);
    bytes.freeze()
}

/// What all of these bytes are.
fn decode<T: Coded>(bytes: Bytes) -> Option<T> {
    let mut reader = Reader::new(bytes);
    let part = T::read(&mut reader)?;
    reader.is_at_end().then_some(part)
}
