//! A deterministic world in which clusters run: clocks, networks, disks, faults, and judges.
//!
//! ```text
//!   Plan (seed, knobs, faults)          drawn by `faults`, shrunk by `shrink`, kept as text
//!     |
//!     v
//!   World  <-->  Service                the machines, and the clients that use them
//!     |  nodes: Raft + disk + clock     `world` is the one loop; `net` and `disk` lose things
//!     |
//!     +--> Ghost                        judges every step against the whole cluster's past
//!     +--> clients' verdict             judges every answer (`history`, `wgl`, `by_index`)
//!     +--> finale                       judges progress, once the faults are over
//!     |
//!     v
//!   RunReport (faults and marks by count, a hash of the trace, a violation or none)
//! ```
//!
//! The servers are the real ones: the same [`Raft`](crate::Raft) that a driver runs, driven by the
//! contract in [`crate::event`]. A run is a function of its [`Plan`] alone; so a
//! failing seed fails again, can be recorded, shrunk, and kept as a test:
//!
//! ```
//! use raft_core::sim::{Plan, Service, World};
//!
//! let plan = Plan::drawn(7, 2_000);
//! let report = World::new(plan.clone(), Service::registers(&plan)).run();
//! assert!(report.violation.is_none(), "{report}");
//! ```
//!
//! To put a state machine of your own into the world, give [`Service`] a way to make it, a digest
//! that tells two of its states apart, and [`Clients`] that speak its language. If all you want to
//! know is that the replicas agree, [`Pump`] is such clients, and needs but a source of commands.
//!
//! Nothing in here knows a real clock, a thread, or a file.

pub mod by_index;
pub mod disk;
pub mod faults;
pub mod ghost;
pub mod history;
pub mod machine;
pub mod marks;
pub mod net;
mod node;
pub mod report;
pub mod rng;
pub mod shrink;
pub mod trace;
pub mod wgl;
pub mod workload;
pub mod world;

pub use faults::{Fault, FaultAction, FaultCounts, Knobs, Plan, Target};
pub use ghost::{Ghost, Violation};
pub use marks::{Mark, Marks};
pub use report::{Campaign, RunReport};
pub use shrink::shrink;
pub use world::{Clients, Pump, Service, World};
