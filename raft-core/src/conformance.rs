//! The suites that every implementation of a port must pass.
//!
//! They are for whoever writes a store, a machine or a transport of their own, and for ours: what
//! the contract in [`crate::port`] says in words is said here in code. The suites know the ports
//! only; where an implementation keeps its things, a fixture knows.

mod dice;
mod log_store;
mod state_machine;
mod transport;

pub use log_store::{LogStoreFixture, log_store, log_store_walk};
pub use state_machine::{FileReader, StateMachineFixture, state_machine, state_machine_walk};
pub use transport::{TransportFixture, transport};
