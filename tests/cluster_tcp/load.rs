//! Clients that write all the while, and remember what was acknowledged.
//!
//! This file does not know what happens to the cluster meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use raft_core::driver::WriteError;
use raft_core::sim::machine::{Action, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::machine::Name;

/// How long a client rests between two writes: the machine has more to do than this.
const REST: Duration = Duration::from_millis(3);

/// Clients at work.
pub(crate) struct Load {
    clients: JoinSet<Tally>,
    stop: CancellationToken,
}

/// What clients were told.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) acknowledged: BTreeSet<Name>,
    pub(crate) refused: Vec<(Name, WriteError)>,
    pub(crate) unknown: u64,
}

impl Load {
    /// So many clients begin to write, each to all nodes that are up in turn.
    pub(crate) fn start(cluster: &Cluster, clients: u64) -> Self {
        Self::at(cluster, clients, &[])
    }

    /// So many clients begin to write, each to these nodes in turn; to all that are up if none is
    /// named.
    pub(crate) fn at(cluster: &Cluster, clients: u64, nodes: &[u64]) -> Self {
        let stop = CancellationToken::new();
        let mut set = JoinSet::new();
        for client in 1..=clients {
            let (cluster, nodes) = (cluster.clone(), nodes.to_vec());
            set.spawn(write(cluster, nodes, client, stop.clone()));
        }
        Self { clients: set, stop }
    }

    /// Lets the clients end what they have begun.
    pub(crate) async fn stop(self) -> Tally {
        self.stop.cancel();
        let mut all = Tally::default();
        for tally in self.clients.join_all().await {
            all.acknowledged.extend(tally.acknowledged);
            all.refused.extend(tally.refused);
            all.unknown += tally.unknown;
        }
        all
    }
}

/// A command that differs from all others.
pub(crate) fn put((client, sequence): Name) -> Bytes {
    let command = Command {
        client,
        sequence,
        floor: 0,
        key: client,
        action: Action::Put(sequence),
    };
    command.encode()
}

async fn write(cluster: Cluster, nodes: Vec<u64>, client: u64, stop: CancellationToken) -> Tally {
    let mut tally = Tally::default();
    let mut sequence = 0;
    while !stop.is_cancelled() {
        let ids = if nodes.is_empty() {
            cluster.up()
        } else {
            nodes.clone()
        };
        for id in ids {
            let Some(running) = cluster.find(id) else {
                continue;
            };
            sequence += 1;
            let name = (client, sequence);
            match running.write(put(name)).await {
                Ok(_) => drop(tally.acknowledged.insert(name)),
                Err(error) if error.is_refused() => tally.refused.push((name, error)),
                Err(_) => tally.unknown += 1,
            }
            drop(running);
            tokio::time::sleep(REST).await;
        }
        tokio::time::sleep(REST).await;
    }
    tally
}
