//! A node as a server would start it, whatever its store holds; and a name server for it to ask.
//!
//! It knows no test.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use raft_core::port::{Capture, Committed, LogStore, PortError, SnapshotSource, StateMachine};
use raft_core::{GroupId, Incarnation, Index, Node, NodeConfig, NodeId};
use raft_log::{MemoryDisk, MemoryLog};
use raft_net::discovery::{
    Assembled, Candidate, DiscoveryError, Founders, Joining, Plan, Resolver, Seeds, assemble, find,
    join,
};
use raft_net::{TcpConfig, TcpNet};
use tokio::net::UdpSocket;

const GROUP: GroupId = GroupId(1);
/// After this a test has failed; nothing is expected to take anything like it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Answers with the number of commands.
#[derive(Default)]
struct Counter(u64);

impl StateMachine for Counter {
    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        let mut count = |_: &Committed| {
            self.0 += 1;
            Bytes::from(self.0.to_string())
        };
        Ok(batch.iter().map(&mut count).collect())
    }

    fn query(&self, _query: &[u8]) -> Result<Bytes, PortError> {
        Ok(Bytes::from(self.0.to_string()))
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        let bytes = self.0.to_le_bytes();
        Ok(Box::new(move |sink| sink.add("counter", &mut &bytes[..])))
    }

    fn restore(&mut self, _last: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        let mut bytes = Vec::new();
        source.copy("counter", &mut bytes)?;
        self.0 = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        Ok(())
    }
}

/// A server: its network, its disk, and its node while it has one.
pub(crate) struct Newcomer {
    pub(crate) me: Candidate,
    pub(crate) net: TcpNet,
    pub(crate) disk: MemoryDisk,
    pub(crate) node: Option<Node>,
}

impl Newcomer {
    /// A server with an empty disk, at a free port.
    pub(crate) async fn new(id: u64) -> Self {
        let (me, net) = bind(id, "127.0.0.1:0").await;
        Self {
            me,
            net,
            disk: MemoryDisk::default(),
            node: None,
        }
    }

    pub(crate) fn entry(&self) -> (NodeId, String) {
        (self.me.id, self.me.address.clone())
    }

    pub(crate) fn node(&self) -> &Node {
        self.node.as_ref().expect("it was started")
    }

    /// Looks for its cluster if its store is new, starts its node, and asks to be added if that is
    /// what it takes. What a server does, whatever its store holds.
    pub(crate) async fn come(&mut self, plan: Plan) -> Result<Option<Assembled>, DiscoveryError> {
        let assembled = self.start(plan.clone()).await?;
        if let Some(Assembled::Join { via, .. }) = assembled {
            self.ask_to_join(via, plan.replace).await;
        }
        Ok(assembled)
    }

    /// As far as that goes before it asks.
    pub(crate) async fn start(&mut self, plan: Plan) -> Result<Option<Assembled>, DiscoveryError> {
        let mut log = MemoryLog::on(&self.disk);
        let recovered = log.recover().expect("a memory is readable");
        let assembled = if recovered.incarnation == Incarnation::UNBOUND {
            Some(assemble(&self.net, GROUP, &self.me, plan).await?)
        } else {
            None
        };
        let config = match &assembled {
            Some(Assembled::Found(list)) => NodeConfig::founding(self.me.id, list.clone()),
            _ => NodeConfig::joining(self.me.id),
        };
        let transport = self.net.group(GROUP);
        let node = Node::start(config, log, transport, Counter::default()).await;
        let node = node.expect("starts");
        self.node = Some(node);
        Ok(assembled)
    }

    /// Asks to be added, or to have its address written down, by way of a member.
    pub(crate) async fn ask_to_join(&self, via: NodeId, replace: bool) -> Option<Index> {
        let joining = Joining {
            me: self.me.clone(),
            incarnation: self.node().status().incarnation,
            via,
            replace,
            patience: PATIENCE,
        };
        let joined = join(&self.net, GROUP, &joining).await;
        joined.expect("added, or written down")
    }

    /// Looks for a member while its node runs.
    pub(crate) async fn find(&self, seeds: Seeds) -> NodeId {
        let found = find(&self.net, GROUP, &self.me, seeds, PATIENCE).await;
        found.expect("a cluster at work")
    }

    /// Ends, and lets go of its port. The disk stays.
    pub(crate) async fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.shutdown().await;
        }
        self.net.shutdown().await;
    }

    /// Comes back at the same address, or at a free one, as after a restart of its process.
    pub(crate) async fn restart(&mut self, listen: &str) {
        self.stop().await;
        (self.me, self.net) = bind(self.me.id.0, listen).await;
    }

    /// Waits until a leader is known, and gives it.
    pub(crate) async fn leader(&self) -> NodeId {
        let mut watch = self.node().watch_status();
        let known = watch.until(|status| status.core.leader.is_some());
        let status = tokio::time::timeout(PATIENCE, known)
            .await
            .expect("in time");
        let status = status.expect("it runs");
        status.core.leader.expect("just seen")
    }

    /// Waits until these are the voters, as far as this node knows, and it votes.
    pub(crate) async fn voters(&self, ids: &[u64]) {
        let expected = ids.iter().map(|id| NodeId(*id)).collect();
        let mut watch = self.node().watch_status();
        let agreed = watch.until(|status| {
            let membership = &status.core.membership.1;
            !membership.is_joint() && *membership.voters() == expected
        });
        let status = tokio::time::timeout(PATIENCE, agreed)
            .await
            .expect("in time");
        assert!(status.is_some(), "it runs");
    }
}

async fn bind(id: u64, listen: &str) -> (Candidate, TcpNet) {
    let config = TcpConfig::new(0xC0FFEE, NodeId(id), listen);
    let net = TcpNet::bind(config).await.expect("the port is free");
    let me = Candidate {
        id: NodeId(id),
        address: net.local_address().to_string(),
    };
    (me, net)
}

/// A plan with so many founders, and seconds of patience.
pub(crate) fn plan(seeds: Seeds, founders: Founders) -> Plan {
    Plan {
        seeds,
        founders,
        replace: false,
        patience: PATIENCE,
    }
}

pub(crate) fn listed(list: &[(NodeId, String)]) -> Plan {
    plan(Seeds::default(), Founders::Listed(list.to_vec()))
}

/// So many servers with empty disks, and the list of them.
pub(crate) async fn newcomers<const COUNT: usize>() -> ([Newcomer; COUNT], Vec<(NodeId, String)>) {
    let mut all = Vec::new();
    for id in 1..=COUNT as u64 {
        all.push(Newcomer::new(id).await);
    }
    let list = all.iter().map(Newcomer::entry).collect();
    (
        all.try_into()
            .unwrap_or_else(|_| panic!("as many as wanted")),
        list,
    )
}

/// A cluster of the first three at work, and the list of its founders.
pub(crate) async fn cluster() -> ([Newcomer; 3], Vec<(NodeId, String)>) {
    let (mut nodes, list) = newcomers::<3>().await;
    let [first, second, third] = &mut nodes;
    let come = tokio::join!(
        first.come(listed(&list)),
        second.come(listed(&list)),
        third.come(listed(&list)),
    );
    for assembled in [come.0, come.1, come.2] {
        assert_eq!(
            assembled.expect("founded"),
            Some(Assembled::Found(list.clone()))
        );
    }
    nodes[0].node().write("x").await.expect("at work");
    (nodes, list)
}

/// A name server that knows one service, at these addresses, whatever it is asked for.
pub(crate) async fn name_server(addresses: Vec<SocketAddr>) -> Resolver {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let resolver = Resolver::of(vec![socket.local_addr().expect("bound")]);
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let mut answer = buffer[..length].to_vec();
            answer[2] = 0x80;
            answer[7] = u8::try_from(addresses.len()).expect("few");
            for address in &addresses {
                // The name of the question, SRV, IN, a second, 18 bytes: all of the same weight.
                answer.extend_from_slice(&[0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 1, 0, 17, 0, 0, 0, 0]);
                answer.extend_from_slice(&address.port().to_be_bytes());
                // The host `127.0.0.1`, a label for each number.
                answer.extend_from_slice(b"\x03127\x010\x010\x011\x00");
            }
            socket.send_to(&answer, from).await.expect("loopback");
        }
    });
    resolver
}
