//! Nodes on loopback that find each other, found a cluster or join one, all with the same command
//! line: real sockets, real nodes; only disks and machines are in memory.

#[path = "discovery/found.rs"]
mod found;
#[path = "discovery/later.rs"]
mod later;
#[path = "discovery/newcomer.rs"]
mod newcomer;
