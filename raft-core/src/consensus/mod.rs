//! The algorithm: a pure state machine that turns events into effects.
//!
//! Read [`raft`] first: the rules about terms, once for all messages, and then one file a role.
//! `server` is what every role has, `log` and `writes` are its memory of the disk, `progress` is a
//! follower as its leader sees it. Nothing in here knows of time but as a number, of a disk but as
//! `Persisted`, or of a network but as messages.

mod candidate;
mod change;
mod configurations;
mod follower;
pub mod invariants;
mod leader;
mod log;
mod progress;
pub mod quorum;
pub mod raft;
mod read;
#[cfg(feature = "sim")]
mod rebase;
mod receive;
mod recovery;
mod replication;
mod rng;
mod server;
mod status;
mod tail;
mod transfer;
mod vote;
mod writes;

pub use raft::Raft;
pub use status::{ChangeStage, PeerStatus, Status};
