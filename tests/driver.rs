//! The driver over the unreliable network, under a clock that stands still: nothing here depends on
//! how fast the machine is.

#[path = "driver/failures.rs"]
mod failures;
#[path = "driver/faulty.rs"]
mod faulty;
#[path = "driver/forwarding.rs"]
mod forwarding;
#[path = "driver/histories.rs"]
mod histories;
#[path = "driver/life.rs"]
mod life;
#[path = "driver/members.rs"]
mod members;
#[path = "driver/nodes.rs"]
mod nodes;
#[path = "driver/overload.rs"]
mod overload;
#[path = "driver/reads.rs"]
mod reads;
#[path = "driver/snapshots.rs"]
mod snapshots;
#[path = "driver/threads.rs"]
mod threads;
#[path = "driver/writes.rs"]
mod writes;
