//! A replicated counter, whole: a state machine, a log, a network, a node. Run it again, and it
//! counts on, since its log is on the disk. It does not know how the log or the network work.
//!
//! ```sh
//! cargo run --release -p raft-net --example counter
//! cargo run --release -p raft-net --example counter 1 localhost:7001,localhost:7002,localhost:7003
//! ```
//!
//! The second line starts member 1 of 3; start 2 and 3 beside it. Kill any of them, start it again.

use std::collections::BTreeMap;
use std::error::Error;
use std::{env, io};

use bytes::Bytes;
use raft_core::port::{Capture, Committed, PortError, SnapshotSource, StateMachine};
use raft_core::{Consistency, GroupId, Index, Node, NodeConfig, NodeId};
use raft_log::{Identity, Wal, WalConfig};
use raft_net::{TcpConfig, TcpNet};

/// The service: how often it was told to count.
struct Counter(u64);

impl StateMachine for Counter {
    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        let count = |_: &Committed| {
            self.0 += 1;
            self.0.to_string().into()
        };
        Ok(batch.iter().map(count).collect())
    }

    fn query(&self, _: &[u8]) -> Result<Bytes, PortError> {
        Ok(self.0.to_string().into())
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        let count = self.0.to_le_bytes();
        Ok(Box::new(move |files| files.add("count", &mut &count[..])))
    }

    fn restore(&mut self, _: Index, files: &dyn SnapshotSource) -> Result<(), PortError> {
        let mut count = Vec::new();
        files.copy("count", &mut count)?;
        let count = count.try_into();
        self.0 = u64::from_le_bytes(count.map_err(|_| PortError::damaged("the count"))?);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let node = NodeId(arguments.next().as_deref().unwrap_or("1").parse()?);
    let addresses = arguments.next().unwrap_or("localhost:0".into());
    let members: BTreeMap<_, _> = (1..).map(NodeId).zip(addresses.split(',')).collect();
    let own = *members.get(&node).ok_or("a member has an address")?;
    let is_alone = members.len() == 1;

    let (cluster, group) = (1, GroupId(1));
    let dir = env::temp_dir().join(format!("counter-{node}-of-{}", members.len()));
    let log = Wal::open_dir(&dir, Identity { cluster, node }, WalConfig::default())?;
    let net = TcpNet::bind(TcpConfig::new(cluster, node, own)).await?;
    let config = NodeConfig::founding(node, members);
    let node = Node::start(config, log.group(group)?, net.group(group), Counter(0)).await?;

    let mut status = node.watch_status();
    status.until(|status| status.core.leader.is_some()).await;
    loop {
        let count = node.write("one more").await?;
        let read = node.read("how many?", Consistency::Linearizable).await?;
        println!("counted {count:?}, read {read:?}");
        // Among others, it goes on with every line, and ends with the input.
        if is_alone || io::stdin().read_line(&mut String::new())? == 0 {
            break;
        }
    }
    node.shutdown().await;
    Ok(())
}
