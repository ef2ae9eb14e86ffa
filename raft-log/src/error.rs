//! Why a log can't be opened, with what to do about it.

use raft_core::port::PortError;

use crate::config::Identity;
use crate::disk::OpenDirError;

/// Why a log can't be opened. Nothing in the directory was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory can't be used.
    #[error(transparent)]
    Dir(#[from] OpenDirError),
    /// The directory belongs to somebody else.
    #[error(
        "this directory belongs to node {} of cluster {:x}, not to node {} of cluster {:x}: give \
         the node its own directory, or start it as the one that this directory belongs to",
        found.node, found.cluster, expected.node, expected.cluster
    )]
    Foreign {
        /// Whose it is.
        found: Identity,
        /// Who wanted to open it.
        expected: Identity,
    },
    /// A later program wrote it.
    #[error(
        "{file} is of version {version}, this program knows versions up to 1: start the newer \
         program again, or let this node join anew with an empty directory"
    )]
    UnknownVersion {
        /// Which file.
        file: String,
        /// Its version.
        version: u32,
    },
    /// What says whose directory it is can't be read, and nothing else says it.
    #[error(
        "{file} is damaged, and nothing else in this directory says whose it is: restore the \
         directory from a copy, or let this node join anew with an empty one"
    )]
    NoIdentity {
        /// Which file.
        file: String,
    },
    /// There is nothing to look into.
    #[error("there is no log in this directory: is it the right one?")]
    NoLog,
    /// The system failed.
    #[error(transparent)]
    Port(#[from] PortError),
}
