//! What the tests of the network share: nodes on loopback, inboxes that keep what comes, and
//! waiting for something to become true.
//!
//! It deliberately knows no test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use raft_core::message::{Message, PreVote};
use raft_core::port::{
    Answer, Ask, Inbox, Outcome, Parcel, PortError, Question, SnapshotSource, Transport,
};
use raft_core::{
    Envelope, GroupId, Incarnation, Member, Membership, NodeId, Position, Round, Term, Ticket,
};
use raft_net::{Counters, TcpConfig, TcpNet, TcpTransport};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

/// The group that most tests use.
pub(crate) const GROUP: GroupId = GroupId(1);
/// The cluster that most tests use.
pub(crate) const CLUSTER: u64 = 0xC0FFEE;
/// After this a test has failed; nothing is expected to take anything like it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps what is delivered.
#[derive(Default)]
pub(crate) struct Kept {
    parcels: Mutex<Vec<Parcel>>,
    /// What others may read.
    pub(crate) snapshot: Mutex<Option<MakeSnapshot>>,
}

/// Opens a snapshot.
pub(crate) type MakeSnapshot = Box<dyn Fn() -> Box<dyn SnapshotSource> + Send>;

impl Kept {
    pub(crate) fn parcels(&self) -> Vec<Parcel> {
        self.parcels.lock().expect("no test panics there").clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.parcels.lock().expect("no test panics there").len()
    }
}

impl Inbox for Kept {
    fn deliver(&self, parcel: Parcel) {
        let mut parcels = self.parcels.lock().expect("no test panics there");
        parcels.push(parcel);
    }

    fn open_snapshot(&self) -> Result<Box<dyn SnapshotSource>, PortError> {
        let snapshot = self.snapshot.lock().expect("no test panics there");
        let none = || PortError::misused("there is no snapshot");
        Ok(snapshot.as_ref().ok_or_else(none)?())
    }
}

/// A node with one group.
pub(crate) struct TestNode {
    pub(crate) net: TcpNet,
    pub(crate) transport: TcpTransport,
    pub(crate) kept: Arc<Kept>,
}

impl TestNode {
    pub(crate) async fn start(config: TcpConfig) -> Self {
        let net = TcpNet::bind(config).await.expect("loopback has free ports");
        let transport = net.group(GROUP);
        let kept = Arc::new(Kept::default());
        transport.start(kept.clone()).expect("just bound");
        Self {
            net,
            transport,
            kept,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.net.local_address().to_string()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.net.counters()
    }

    pub(crate) fn send(&self, parcel: Parcel) {
        self.transport.send(parcel);
    }
}

/// Quick to notice and to retry, so that tests are quick.
pub(crate) fn config(node: u64) -> TcpConfig {
    TcpConfig {
        handshake_timeout: Duration::from_millis(500),
        idle_timeout: Duration::from_millis(600),
        write_timeout: Duration::from_millis(600),
        backoff_min: Duration::from_millis(2),
        backoff_max: Duration::from_millis(20),
        bulk_timeout: Duration::from_secs(2),
        ..TcpConfig::new(CLUSTER, NodeId(node), "127.0.0.1:0")
    }
}

/// Two nodes, 1 and 2, that know each other.
pub(crate) async fn pair() -> (TestNode, TestNode) {
    pair_of(config(1), config(2)).await
}

/// Two nodes that know each other.
pub(crate) async fn pair_of(one: TcpConfig, two: TcpConfig) -> (TestNode, TestNode) {
    let ids = (one.node, two.node);
    let (one, two) = (TestNode::start(one).await, TestNode::start(two).await);
    let members = members(&[(ids.0.0, &one.address()), (ids.1.0, &two.address())]);
    one.transport.members(&members);
    two.transport.members(&members);
    (one, two)
}

pub(crate) fn members(of: &[(u64, &str)]) -> Membership {
    Membership::of_voters(of.iter().map(|(id, at)| (NodeId(*id), Member::at(*at))))
}

/// A small consensus message that is told from others by its number.
pub(crate) fn hail(from: u64, to: u64, number: u64) -> Parcel {
    Parcel::Consensus(Envelope {
        from: NodeId(from),
        incarnation: Incarnation(1),
        to: NodeId(to),
        term: Term(1),
        message: Message::PreVote(PreVote {
            last: Position::default(),
            request: Round(number),
        }),
    })
}

/// A question with this much to carry.
pub(crate) fn ask(from: u64, to: u64, ticket: u64, bytes: usize) -> Parcel {
    Parcel::Ask(Ask {
        from: NodeId(from),
        to: NodeId(to),
        ticket: Ticket(ticket),
        question: Question::Write {
            session: None,
            command: Bytes::from(vec![7; bytes]),
        },
    })
}

/// An answer.
pub(crate) fn answer(from: u64, to: u64, ticket: u64) -> Parcel {
    Parcel::Answer(Answer {
        from: NodeId(from),
        to: NodeId(to),
        ticket: Ticket(ticket),
        outcome: Outcome::Unknown,
    })
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never came to be: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Sends hails with new numbers until one of them arrives: any single one may get lost.
pub(crate) async fn until_heard(from: &TestNode, from_id: u64, to: &TestNode, to_id: u64) {
    let before = to.kept.count();
    let mut number = 1_000_000;
    until("a hail arrives", || {
        number += 1;
        from.send(hail(from_id, to_id, number));
        to.kept.count() > before
    })
    .await;
}

/// The counters that are not zero, to be shown when a test fails.
pub(crate) fn shown(counters: &Counters) -> BTreeMap<&'static str, u64> {
    let named = counters.named().into_iter();
    named.filter(|(_, count)| *count > 0).collect()
}

/// Passes connections on to that address, and cuts each after some random number of bytes below
/// `bytes_max` in either direction. Counts the cuts.
pub(crate) async fn cutting_proxy(
    to: SocketAddr,
    bytes_max: u64,
    mut seed: u64,
    cuts: Arc<AtomicU64>,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("free ports");
    let address = listener.local_addr().expect("just bound");
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let far = TcpStream::connect(to).await.expect("it listens");
            let cuts = cuts.clone();
            tokio::spawn(pass_on(near, far, (seed >> 32) % bytes_max, cuts));
        }
    });
    address
}

async fn pass_on(mut near: TcpStream, mut far: TcpStream, bytes: u64, cuts: Arc<AtomicU64>) {
    near.set_nodelay(true).expect("it is open");
    far.set_nodelay(true).expect("it is open");
    let (near_in, mut near_out) = near.split();
    let (far_in, mut far_out) = far.split();
    let (mut near_in, mut far_in) = (near_in.take(bytes), far_in.take(bytes));
    tokio::select! {
        _ = tokio::io::copy(&mut near_in, &mut far_out) => {}
        _ = tokio::io::copy(&mut far_in, &mut near_out) => {}
    }
    if near_in.limit() == 0 || far_in.limit() == 0 {
        cuts.fetch_add(1, Ordering::Relaxed);
    }
}
