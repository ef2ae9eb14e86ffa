//! Model checking of the shipped core: every order in which a few messages, writes, timeouts,
//! crashes and requests can happen, and every law checked after each of them.
//!
//! [`cluster`] is the model, [`configurations`] says what is explored, [`explore`] does it. What
//! happens to one node depends on that node alone; so `node` computes it once, `arena` keeps it,
//! and a state of the cluster is a handful of small numbers.
//!
//! Time: each node has a clock of its own, which moves only when the node times out, and then to
//! its deadline. So clocks may run apart as far as they like, and no law may depend on them. Leases
//! do, and are left to the simulator.
//!
//! The network is a set: a message may be overtaken, stay where it is for ever, and, as far as the
//! configuration allows it, be delivered twice. A restart follows a crash at once, since a node
//! that is down longer is one to which nothing happens.
//!
//! This module deliberately knows nothing of how the core works inside, but for its clock
//! (`Raft::rebase`).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each law and mark looks at a few kinds of messages and says nothing of the others"
)]

mod arena;
pub mod cluster;
pub mod configurations;
mod disk;
pub mod explore;
mod ghost;
pub mod laws;
mod network;
mod node;
mod observe;
mod overlap;
mod print;
mod setup;
mod shadow;
