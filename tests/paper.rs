//! The rules of the Raft paper and of the dissertation, one test each, in the order of the text.
//!
//! They know the algorithm and no detail of this implementation beyond its messages. How servers
//! fare under faults is tested elsewhere.

#[path = "paper/stage.rs"]
mod stage;
#[path = "paper/terms.rs"]
mod terms;
