//! The network of `raft-core`: length-framed TCP between members, and an unreliable in-memory twin.
//!
//! [`TcpNet`] is the network of a process, [`TcpTransport`] one group's share of it: the transport
//! port. [`Tls`] encrypts it. [`UnreliableNet`] is as bad as a test wants it.
//!
//! It deliberately knows nothing of disks, of elections, or of what a command means.

#![forbid(unsafe_code)]

mod addresses;
mod backoff;
mod bulk;
pub mod config;
mod connection;
pub mod counters;
mod dice;
pub mod discovery;
pub mod frame;
mod group;
mod handshake;
mod link;
mod listener;
mod net;
mod shared;
mod tasks;
pub mod tls;
mod unreliable;
pub mod wire;

pub use config::{TcpConfig, TcpConfigError};
pub use counters::Counters;
pub use group::TcpTransport;
pub use handshake::HandshakeError;
pub use net::{NetError, TcpNet};
pub use tls::{Tls, TlsError};
pub use unreliable::{Faults, NetCounters, UnreliableNet, UnreliableTransport};
