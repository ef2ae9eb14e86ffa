//! What many clients cost a member: memory, and how soon others are answered.
//!
//! Limits are far above what was measured (`docs/src/performance.md`), so that they only fail when
//! something grows that should not.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use raft_cli::pb::etcdserverpb::kv_client::KvClient;
use raft_cli::pb::etcdserverpb::watch_client::WatchClient;
use raft_cli::pb::etcdserverpb::watch_request::RequestUnion;
use raft_cli::pb::etcdserverpb::{
    PutRequest, RangeRequest, WatchCreateRequest, WatchRequest, WatchResponse,
};
use raft_tests::processes::{Cluster, Plan, Program};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

const CONNECTIONS: usize = 10_000;
const WATCHERS: usize = 10_000;
const STREAMS: usize = 100;
/// What an idle connection may take, and a watcher.
const CONNECTION_BYTES_MAX: u64 = 64 << 10;
const WATCHER_BYTES_MAX: u64 = 16 << 10;
/// How soon a member answers among all of them.
const ANSWER_MAX: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);

async fn cluster() -> Cluster {
    let program = Program::or_ours(env!("CARGO_BIN_EXE_raft-node"));
    let plan = Plan::of(1).with("max-connections", &(3 * CONNECTIONS).to_string());
    let cluster = Cluster::start(&program, plan).await;
    cluster.leader().await;
    cluster
}

fn channel(cluster: &Cluster) -> Channel {
    let endpoint = Endpoint::from_shared(cluster.client_url(1)).expect("a URL");
    endpoint.connect_lazy()
}

/// What the member's process has in memory.
fn resident_bytes(cluster: &Cluster) -> u64 {
    let dir = cluster.data(1).display().to_string();
    for entry in fs::read_dir("/proc").expect("Linux") {
        let path = entry.expect("a name").path();
        let words = fs::read_to_string(path.join("cmdline")).unwrap_or_default();
        if !words.contains(&dir) {
            continue;
        }
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        return kibibytes.expect("a number") << 10;
    }
    panic!("the process of {dir} does not run");
}

async fn answers(cluster: &Cluster) {
    let mut client = KvClient::new(channel(cluster));
    let began = Instant::now();
    let put = PutRequest {
        key: "w/other".into(),
        ..PutRequest::default()
    };
    client.put(put).await.expect("it is written");
    let range = RangeRequest {
        key: "w/other".into(),
        ..RangeRequest::default()
    };
    let found = client.range(range).await.expect("it is read");
    assert_eq!(found.into_inner().count, 1);
    let took = began.elapsed();
    assert!(took < ANSWER_MAX, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_take_little_and_hinder_nobody() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("what is allowed is allowed");
    let files = limit.maximum.unwrap_or(u64::MAX);
    if files < 3 * CONNECTIONS as u64 {
        return println!("skipped: a process may only have {files} open files here");
    }
    let mut cluster = cluster().await;
    answers(&cluster).await;
    let before = resident_bytes(&cluster);
    let address = cluster.client_url(1).replace("http://", "");
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        idle.push(greeted(&address).await.expect("a connection"));
    }
    let grown = resident_bytes(&cluster).saturating_sub(before);
    let each = grown / CONNECTIONS as u64;
    println!("{CONNECTIONS} idle connections take {grown} bytes, {each} each");
    assert!(each < CONNECTION_BYTES_MAX, "{each} bytes a connection");
    answers(&cluster).await;
    drop(idle);
    answers(&cluster).await;
    cluster.end().await;
}

/// A connection of HTTP/2 over which nothing is asked, after both ends have said their settings.
async fn greeted(address: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await?;
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
    let mut settings = [0; 9];
    stream.read_exact(&mut settings).await?;
    Ok(stream)
}

/// Some watchers on one stream, of which each is known to be there.
async fn watch(
    channel: Channel,
    stream: usize,
) -> (mpsc::Sender<WatchRequest>, Streaming<WatchResponse>) {
    let (sender, receiver) = mpsc::channel(WATCHERS / STREAMS);
    for number in 0..WATCHERS / STREAMS {
        let create = WatchCreateRequest {
            key: format!("w/{stream}/{number}").into(),
            ..WatchCreateRequest::default()
        };
        let request = WatchRequest {
            request_union: Some(RequestUnion::CreateRequest(create)),
        };
        sender.send(request).await.expect("there is room");
    }
    let mut client = WatchClient::new(channel);
    let answers = client.watch(ReceiverStream::new(receiver)).await;
    let mut answers = answers.expect("a stream").into_inner();
    for _ in 0..WATCHERS / STREAMS {
        let answer = answers.message().await.expect("goes on").expect("goes on");
        assert!(answer.created && !answer.canceled, "{answer:?}");
    }
    (sender, answers)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_watchers_take_little_and_are_all_told() {
    let mut cluster = cluster().await;
    answers(&cluster).await;
    let channel = channel(&cluster);
    let before = resident_bytes(&cluster);
    let mut streams = Vec::new();
    for stream in 0..STREAMS {
        streams.push(watch(channel.clone(), stream).await);
    }
    let grown = resident_bytes(&cluster).saturating_sub(before);
    let each = grown / WATCHERS as u64;
    println!("{WATCHERS} watchers take {grown} bytes, {each} each");
    assert!(each < WATCHER_BYTES_MAX, "{each} bytes a watcher");
    answers(&cluster).await;
    let mut client = KvClient::new(channel);
    for (number, (_, answers)) in streams.iter_mut().enumerate() {
        let key = format!("w/{number}/7");
        let put = PutRequest {
            key: key.clone().into(),
            ..PutRequest::default()
        };
        client.put(put).await.expect("it is written");
        let told = tokio::time::timeout(PATIENCE, answers.message()).await;
        let told = told.expect("in time").expect("goes on").expect("goes on");
        let kv = told.events.first().and_then(|event| event.kv.as_ref());
        assert_eq!(kv.map(|kv| kv.key.clone()), Some(key.into()));
    }
    cluster.end().await;
}
