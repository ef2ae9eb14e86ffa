//! Whole nodes over real sockets and real disks: the driver, `TcpNet` and the write-ahead log
//! together, with everything done to them that happens in operation.
//!
//! The clock is the real one, and the machine may be busy: nothing here asserts how long it takes.

#[path = "cluster_tcp/basics.rs"]
mod basics;
#[path = "cluster_tcp/chaos.rs"]
mod chaos;
#[path = "cluster_tcp/cluster.rs"]
mod cluster;
#[path = "cluster_tcp/groups.rs"]
mod groups;
#[path = "cluster_tcp/load.rs"]
mod load;
#[path = "cluster_tcp/machine.rs"]
mod machine;
#[path = "cluster_tcp/membership.rs"]
mod membership;
#[path = "cluster_tcp/proxy.rs"]
mod proxy;
#[path = "cluster_tcp/rolling.rs"]
mod rolling;
#[path = "cluster_tcp/snapshots.rs"]
mod snapshots;
#[path = "cluster_tcp/trouble.rs"]
mod trouble;
