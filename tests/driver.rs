//! The driver over the unreliable network, under a clock that stands still: nothing here depends on
//! how fast the machine is.

#[path = "driver/nodes.rs"]
mod nodes;
#[path = "driver/writes.rs"]
mod writes;
