//! The rules of the Raft paper and of the dissertation, one test each, in the order of the text.
//!
//! They know the algorithm and no detail of this implementation beyond its messages. How servers
//! fare under faults is tested elsewhere.

#[path = "paper/election.rs"]
mod election;
#[path = "paper/membership.rs"]
mod membership;
#[path = "paper/pre_vote.rs"]
mod pre_vote;
#[path = "paper/reads.rs"]
mod reads;
#[path = "paper/replication.rs"]
mod replication;
#[path = "paper/roster.rs"]
mod roster;
#[path = "paper/safety.rs"]
mod safety;
#[path = "paper/snapshots.rs"]
mod snapshots;
#[path = "paper/stage.rs"]
mod stage;
#[path = "paper/terms.rs"]
mod terms;
#[path = "paper/transfer.rs"]
mod transfer;
