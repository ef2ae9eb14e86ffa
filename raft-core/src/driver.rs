//! The node: runs the pure core on tokio, between the ports, behind a handle.
//!
//! ```text
//!  Node ──> mailbox ──> the loop: core ──> log lane ──> LogStore
//!  Transport ──^  ^                  └───> machine lane ──> StateMachine
//!                 └── lanes: what is done <──┘
//! ```
//!
//! The loop ([`run`]) owns the core and decides nothing. Log and machine each have a lane, by
//! default a thread, so that neither holds consensus up; every hop carries a batch. Everything
//! comes in through one bounded [`mailbox`]. The driver deliberately does not know any
//! implementation of a port, nor what a command means.

mod apply;
mod clock;
mod config;
mod desk;
mod done;
mod error;
mod intake;
mod lane;
mod leadership;
mod mailbox;
mod node;
#[cfg(feature = "recorder")]
pub mod recorder;
mod recording;
mod request;
mod run;
mod slots;
mod snapshots;
mod start;
mod status;
mod take;
mod writer;

pub use config::{Forward, Founding, Lanes, NodeConfig};
pub use error::{ChangeRefused, ReadError, SnapshotError, StartError, StopReason, WriteError};
pub use leadership::{LeaderChange, Resigned};
pub use node::Node;
pub use status::{NodeStatus, StatusWatch};
