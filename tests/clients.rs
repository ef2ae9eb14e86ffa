//! The node as clients see it that others wrote: `etcdctl`, `curl`, the crate `etcd-client`, and a
//! client in Python. Each is used where it is installed, and it is said where it is not.
//!
//! What is compared with is what etcd answers the same client.

#[path = "clients/curl.rs"]
mod curl;
#[cfg(feature = "clients")]
#[path = "clients/etcd_client.rs"]
mod etcd_client;
#[path = "clients/etcdctl.rs"]
mod etcdctl;
#[path = "clients/python.rs"]
mod python;
#[path = "clients/tool.rs"]
mod tool;
#[cfg(feature = "clients")]
#[path = "clients/users.rs"]
mod users;

use raft_tests::processes::{Cluster, Plan, Program};

/// A cluster of so many members.
async fn cluster(size: u64) -> Cluster {
    cluster_of(Plan::of(size)).await
}

async fn cluster_of(plan: Plan) -> Cluster {
    let program = Program::or_ours(env!("CARGO_BIN_EXE_raft-node"));
    let cluster = Cluster::start(&program, plan).await;
    cluster.leader().await;
    cluster
}

/// Where clients reach a cluster of this size.
fn endpoints(cluster: &Cluster, size: u64) -> String {
    let urls: Vec<_> = (1..=size).map(|id| cluster.client_url(id)).collect();
    urls.join(",")
}
