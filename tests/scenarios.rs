//! Scenarios that broke other Raft implementations, or could break ours: one named test each.
//!
//! They drive the core by hand. What needs a real disk, socket or clock is tested elsewhere.

#[path = "scenarios/membership.rs"]
mod membership;
#[path = "scenarios/reads.rs"]
mod reads;
#[path = "scenarios/storage.rs"]
mod storage;
