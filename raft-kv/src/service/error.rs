//! What can come of a request besides its answer. It does not know which request it was.

use raft_core::driver::{ReadError, WriteError};
use raft_core::port::PortError;

use crate::refusal::Refusal;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// Refused, by the store or at the door: nothing was changed, and the same request gets the
    /// same answer until the store is another.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Refused at the door: it is too long.
    #[error("etcdserver: request is too large")]
    TooLarge {
        /// Its length, encoded.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// It was not done, and never will be; later, or at another member, it may be.
    #[error("not done: {0}")]
    NotDone(WriteError),
    /// It may have been done, may be later, or never; unless the error says more. It may be sent
    /// again only within its session.
    #[error("the outcome is unknown: {0}")]
    Unknown(WriteError),
    /// It only asked, and nobody could confirm in time that the answer is fresh enough. It may
    /// always be asked again.
    #[error(transparent)]
    NotConfirmed(#[from] ReadError),
    /// It was not done: under this session and sequence another command was, which is answered
    /// instead. Sequences are used once.
    #[error("the session has used this sequence for another command")]
    OtherCommand,
    /// It only asked, and the rows could not be read, or it was not for rows to answer.
    #[error("the rows were not read: {0}")]
    NotRead(#[from] PortError),
}

impl KvError {
    /// Whether nothing was changed on account of this request, and nothing will be.
    #[must_use]
    pub const fn is_without_effect(&self) -> bool {
        match self {
            Self::Refused(_)
            | Self::TooLarge { .. }
            | Self::NotDone(_)
            | Self::NotConfirmed(_)
            | Self::OtherCommand
            | Self::NotRead(_) => true,
            Self::Unknown(_) => false,
        }
    }
}

impl From<WriteError> for KvError {
    fn from(error: WriteError) -> Self {
        if let WriteError::TooLarge { bytes, bytes_max } = error {
            return Self::TooLarge { bytes, bytes_max };
        }
        if error.is_refused() {
            Self::NotDone(error)
        } else {
            Self::Unknown(error)
        }
    }
}
