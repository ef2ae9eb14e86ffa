//! The store of a cluster through its members' handles: nodes, logs, machines and network in
//! memory, under a clock that stands still until all of them wait.
//!
//! It does not know how commands are carried out: the model has tests of its own.

#[path = "service/cluster.rs"]
mod cluster;
#[path = "service/errors.rs"]
mod errors;
#[path = "service/requests.rs"]
mod requests;
#[path = "service/users.rs"]
mod users;
