//! Raft as a pure state machine, with the ports through which it meets the world, and the node that
//! runs it.
//!
//! [`Raft`] takes one [`Event`] at a time and appends what it wants done to an [`Output`]. It reads
//! no clock, draws no randomness but from its seed, touches no disk and never blocks; so a test, a
//! simulator and a server run exactly the same code. Start with [`event`], which is the whole
//! contract, then read [`consensus`].
//!
//! To make a service replicated, implement [`port::StateMachine`], and start a `Node` with it, a
//! log and a transport: that is feature `driver`, on by default. Without it this crate needs
//! neither tokio nor threads.
//!
//! Feature `sim` adds `sim`: a deterministic world of networks, disks, clocks and faults in which
//! whole clusters run, ours and those of users. Feature `conformance` adds the suites that every
//! implementation of a port must pass; feature `recorder`, a flight recorder and its replay.

#![forbid(unsafe_code)]

pub mod compaction;
pub mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod consensus;
#[cfg(feature = "driver")]
pub mod driver;
pub mod entries;
pub mod entry;
pub mod event;
pub mod membership;
pub mod message;
pub mod port;
#[cfg(feature = "recorder")]
pub mod recorder;
pub mod session;
#[cfg(feature = "sim")]
pub mod sim;
pub mod types;

pub use compaction::{CompactionCause, CompactionPolicy, CompactionPolicyError, Compactor};
pub use config::{ClockDrift, Config, ConfigError};
pub use consensus::Raft;
#[cfg(feature = "driver")]
pub use driver::{Node, NodeConfig};
pub use entries::Entries;
pub use entry::{Entry, HardState, Payload, Recovered, SnapshotMeta, Watermark};
pub use event::{Consistency, Event, Output, Reply};
pub use membership::{Member, MemberChange, Membership};
pub use message::{Envelope, Message};
pub use types::{
    GroupId, Incarnation, Index, NodeId, Position, Round, Term, Ticket, Time, WriteId,
};
