//! What members do by the clock, over the unreliable network and under a clock that stands still:
//! nothing here depends on how fast the machine is.

#[path = "kv_keeper/chores.rs"]
mod chores;
#[path = "kv_keeper/cluster.rs"]
mod cluster;
#[path = "kv_keeper/leases.rs"]
mod leases;
#[path = "kv_keeper/sick.rs"]
mod sick;
#[path = "kv_keeper/storm.rs"]
mod storm;
