//! Scenarios that broke other Raft implementations, or could break ours: one named test each.
//!
//! They drive the core by hand. What needs a real disk, socket or clock is tested elsewhere.

#[path = "scenarios/election.rs"]
mod election;
#[path = "scenarios/flow.rs"]
mod flow;
#[path = "scenarios/lives.rs"]
mod lives;
#[path = "scenarios/log.rs"]
mod log;
#[path = "scenarios/membership.rs"]
mod membership;
#[path = "scenarios/reads.rs"]
mod reads;
#[path = "scenarios/snapshots.rs"]
mod snapshots;
#[path = "paper/stage.rs"]
mod stage;
#[path = "scenarios/storage.rs"]
mod storage;
