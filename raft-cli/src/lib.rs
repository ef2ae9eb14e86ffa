//! The node as a program, and the client to it: what the other crates offer, put together and
//! spoken to as etcd is.
//!
//! - [`server`] is a member: a log, a network, a store, and the services in front of them.
//! - `client` holds the verbs of the command line that speak to any etcd v3 endpoint.
//! - `ops` holds what is ours beside them.
//! - [`pb`] is etcd's protocol, compiled ahead of time.
//!
//! Nothing here decides anything about consensus, durability or the data model; those are the
//! crates' below.

mod bar;
pub mod cli;
mod client;
mod exit;
mod ops;
mod out;
pub mod pb;
pub mod server;
mod snapshot_file;

pub use exit::Exit;
