//! What strangers may send: whatever it is, the worst that happens is that it is counted.
//!
//! It deliberately uses no link: bytes are written as a stranger would write them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use raft_core::NodeId;
use raft_core::port::Transport;
use raft_net::TcpConfig;
use raft_net::frame::{FrameCodec, HEADER_BYTES};
use raft_net::wire::{self, Hello, Lane, Rejection, Welcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Decoder;

use crate::support::{
    CLUSTER, GROUP, TestNode, ask, config, hail, members, pair, pair_of, shown, until, until_heard,
};

/// A stranger who says hello as that node.
async fn welcomed(node: u64, at: &TestNode) -> TcpStream {
    let mut stream = TcpStream::connect(at.address()).await.expect("it listens");
    let mut out = BytesMut::new();
    hello(node).encode(&mut out);
    stream.write_all(&out).await.expect("it is read");
    let frame = frame_of(&mut stream).await;
    let welcome = Welcome::decode(&frame).expect("nothing is wrong with the hello");
    assert_eq!(welcome.version, 2);
    stream
}

fn hello(node: u64) -> Hello {
    Hello {
        versions: (1, 2),
        cluster: CLUSTER,
        from: NodeId(node),
        to: None,
        lane: Lane::Consensus,
        features: 0,
        advertised: String::new(),
    }
}

async fn frame_of(stream: &mut TcpStream) -> raft_net::frame::Frame {
    let mut buffer = BytesMut::new();
    loop {
        let decoded = FrameCodec::new(4096).decode(&mut buffer).expect("sound");
        if let Some(frame) = decoded {
            return frame;
        }
        let count = stream.read_buf(&mut buffer).await.expect("it is open");
        assert!(count > 0, "the connection was closed");
    }
}

/// Until the other end hangs up, whatever it says before.
async fn hung_up(stream: &mut TcpStream) {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_closes_the_connection_and_harms_nobody() {
    let (one, two) = pair().await;
    until_heard(&one, 1, &two, 2).await;
    let mut seed = 0x5EED_u64;
    for round in 1..=20 {
        let mut garbage = BytesMut::new();
        for _ in 0..512 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            garbage.put_u64(seed);
        }
        let mut stream = TcpStream::connect(two.address()).await.expect("it listens");
        stream.write_all(&garbage).await.ok();
        hung_up(&mut stream).await;
        let is_counted = || two.counters().bad_frames == round;
        until(&format!("round {round} is counted"), is_counted).await;
    }
    until_heard(&one, 1, &two, 2).await;
    assert_eq!(one.counters().dials, 1, "its connection was let alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_after_a_proper_hello_closes_only_that_connection() {
    let (one, two) = pair().await;
    until_heard(&one, 1, &two, 2).await;
    let too_long = [0xFF; HEADER_BYTES];
    let mut of_no_kind = BytesMut::new();
    raft_net::frame::put_frame(99, 2, 0, &mut of_no_kind, |_| {});
    for (round, bytes) in [&too_long[..], &of_no_kind[..]].iter().enumerate() {
        let mut stream = welcomed(3, &two).await;
        stream.write_all(bytes).await.expect("it is read");
        hung_up(&mut stream).await;
        until("it is counted", || {
            two.counters().bad_frames == round as u64 + 1
        })
        .await;
    }
    until_heard(&one, 1, &two, 2).await;
    assert_eq!(one.counters().dials, 1, "its connection was let alone");
}

/// Says the bytes one by one, and panics if it can say all of them.
async fn drip_until_hung_up(mut stream: TcpStream, bytes: &[u8]) {
    let (mut reading, mut writing) = stream.split();
    let dripping = async {
        for byte in bytes {
            writing.write_u8(*byte).await.ok();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let closed = async {
        let mut rest = [0; 1024];
        while reading.read(&mut rest).await.is_ok_and(|count| count > 0) {}
    };
    tokio::select! {
        () = dripping => panic!("it had all the time that it wanted"),
        () = closed => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_hello_too_slowly_is_hung_up_on() {
    let (one, two) = pair().await;
    let mut out = BytesMut::new();
    hello(3).encode(&mut out);
    let stream = TcpStream::connect(two.address()).await.expect("it listens");
    drip_until_hung_up(stream, &out[..out.len() - 1]).await;
    assert_eq!(two.counters().handshake_timeouts, 1);
    until_heard(&one, 1, &two, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_completes_a_frame_is_hung_up_on() {
    let (one, two) = pair().await;
    let mut out = BytesMut::new();
    wire::encode(2, &[(GROUP, hail(3, 2, 1))], &mut out);
    let stream = welcomed(3, &two).await;
    drip_until_hung_up(stream, &out[..out.len() - 1]).await;
    until("it is counted", || two.counters().idle_timeouts == 1).await;
    until_heard(&one, 1, &two, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_speaks_for_another() {
    let (_one, two) = pair().await;
    let forged = [
        (GROUP, hail(1, 2, 1)),
        (GROUP, hail(3, 1, 2)),
        (GROUP, hail(3, 2, 3)),
    ];
    let mut out = BytesMut::new();
    wire::encode(2, &forged, &mut out);
    let mut stream = welcomed(3, &two).await;
    stream.write_all(&out).await.expect("it is read");
    until("the honest one arrives", || two.kept.count() > 0).await;
    assert_eq!(two.kept.parcels(), [hail(3, 2, 3)]);
    assert_eq!(two.counters().refused_sender, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_holds_too_many_connections_gets_no_more() {
    let tight = TcpConfig {
        connections_per_ip_max: 2,
        ..config(2)
    };
    let (one, two) = pair_of(config(1), tight).await;
    until_heard(&one, 1, &two, 2).await;
    let _second = welcomed(3, &two).await;
    let mut third = TcpStream::connect(two.address()).await.expect("it listens");
    hung_up(&mut third).await;
    assert_eq!(two.counters().refused_limit, 1);
    until_heard(&one, 1, &two, 2).await;
    assert_eq!(two.net.connections(), 2, "{:?}", shown(&two.counters()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_is_refused_is_told_why() {
    let two = TestNode::start(config(2)).await;
    let check = async |spoil: fn(&mut Hello), expected| {
        let mut hello = hello(3);
        spoil(&mut hello);
        let mut stream = TcpStream::connect(two.address()).await.expect("it listens");
        let mut out = BytesMut::new();
        hello.encode(&mut out);
        stream.write_all(&out).await.expect("it is read");
        let frame = frame_of(&mut stream).await;
        assert_eq!(Rejection::decode(&frame), Ok(expected));
        hung_up(&mut stream).await;
    };
    check(|hello| hello.cluster = 1, Rejection::Cluster(CLUSTER)).await;
    check(
        |hello| hello.to = Some(NodeId(9)),
        Rejection::Node(NodeId(2)),
    )
    .await;
    let (min, max) = (1, 2);
    check(
        |hello| hello.versions = (3, 4),
        Rejection::Version { min, max },
    )
    .await;
}

/// Listens as node 2, welcomes whoever says hello, and neither reads nor writes anything more.
/// Counts the hellos.
async fn petrified(hellos: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("free ports");
    let address = listener.local_addr().expect("just bound").to_string();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            Hello::decode(&frame_of(&mut stream).await).expect("a node says it");
            let welcome = Welcome {
                version: 2,
                cluster: CLUSTER,
                from: NodeId(2),
                features: 0,
            };
            let mut out = BytesMut::new();
            welcome.encode(&mut out);
            stream.write_all(&out).await.expect("it is read");
            held.push(stream);
            hellos.fetch_add(1, Ordering::Relaxed);
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_without_a_sign_of_life_is_dialed_anew() {
    let hellos = Arc::new(AtomicUsize::new(0));
    let address = petrified(hellos.clone()).await;
    let one = TestNode::start(config(1)).await;
    one.transport.members(&members(&[(2, &address)]));
    until("it was dialed again", || {
        one.send(hail(1, 2, 1));
        hellos.load(Ordering::Relaxed) >= 2
    })
    .await;
    assert!(one.counters().idle_timeouts >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_nothing_holds_up_nobody_else() {
    let hellos = Arc::new(AtomicUsize::new(0));
    let address = petrified(hellos.clone()).await;
    let (one, three) = pair_of(config(1), config(3)).await;
    let all = [(1, one.address()), (2, address), (3, three.address())];
    let all = all.each_ref().map(|(id, address)| (*id, address.as_str()));
    one.transport.members(&members(&all));
    // More than any socket holds.
    (0..64).for_each(|ticket| one.send(ask(1, 2, ticket, 1 << 20)));
    until("it is given up", || {
        let before = three.kept.count();
        one.send(hail(1, 3, before as u64));
        one.counters().write_timeouts >= 1
    })
    .await;
    until("the other heard of it", || three.kept.count() > 0).await;
    assert_eq!(three.counters().accepted, 1);
}
