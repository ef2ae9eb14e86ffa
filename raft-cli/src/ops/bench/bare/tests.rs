//! Whole rounds against the bare server, over real connections: no figure can be right if the
//! loads themselves are not.

use std::sync::Arc;

use clap::Parser;
use tokio::task::JoinHandle;

use super::*;
use crate::client::connect::ConnectArgs;
use crate::ops::bench::args::{Ask, BenchArgs};
use crate::ops::bench::progress::Progress;
use crate::ops::bench::run::{Round, round};
use crate::ops::bench::tally::Lane;
use crate::ops::bench::target::Target;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    bench: BenchArgs,
}

fn start() -> (SocketAddr, JoinHandle<()>) {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let at = incoming.local_addr().unwrap();
    let server = Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .add_service(KvServer::new(Bare::default()))
        .serve_with_incoming(incoming);
    (at, tokio::spawn(async move { server.await.unwrap() }))
}

async fn measured(line: &str) -> Round {
    let (at, server) = start();
    let words = ["bench", "--endpoints", &at.to_string()].map(str::to_owned);
    let words = words
        .into_iter()
        .chain(line.split_whitespace().map(str::to_owned));
    let BenchArgs { verb, connect, .. } = Line::try_parse_from(words).unwrap().bench;
    let Ask::Measure(task) = verb.resolve().unwrap() else {
        panic!("this is no load: {line}");
    };
    let (load, connections) = (Arc::new(task.load), task.connections);
    let settings = ConnectArgs::resolve(connect).unwrap();
    let own = [std::process::id()];
    let target = Target::connect(&settings, connections, &load.keys, &own);
    let target = target.await.unwrap();
    load.fill(&target).await.unwrap();
    let round = round(&load, &target, 0, &Progress::new("test")).await;
    server.abort();
    round.unwrap()
}

#[tokio::test]
async fn each_operation_of_a_load_is_done_and_counted_once() {
    let check = async |line: &str, reads: u64, writes: u64| {
        let line = format!("{line} --warmup 10ms --key-space-size 300 --clients 5 --conns 2");
        let round = measured(&line).await;
        let counts = [Lane::Read, Lane::Write].map(|lane| round.tally.count(lane));
        assert_eq!(counts, [reads, writes], "{line}");
        assert!(round.tally.failures().is_empty(), "{:?}", round.tally);
        assert!(round.usage.is_some() && !round.interrupted);
    };
    check("put --total 200", 0, 200).await;
    check("put --total 40 --rate 2000", 0, 40).await;
    check("range --total 200", 200, 0).await;
    check("range --total 100 --span 20 --consistency s", 100, 0).await;
    check("txn --total 50 --txn-ops 20 --sequential-keys", 0, 50).await;
    check("mixed --total 100 --read-percent 100", 100, 0).await;
    check("mixed --total 100 --read-percent 0", 0, 100).await;
}

#[tokio::test]
async fn reads_that_find_nothing_are_failures_only_if_something_was_written() {
    let round = measured("range --total 10 --warmup 0s --no-fill").await;
    assert_eq!(round.tally.count(Lane::Read), 10);
    assert!(round.tally.failures().is_empty());
}

#[test]
fn the_map_reads_back_what_was_put() {
    let mut store = Store::default();
    for key in ["a", "b", "c"] {
        let put = PutRequest {
            key: key.into(),
            value: "1".into(),
            ..PutRequest::default()
        };
        store.put(put);
    }
    let check = |store: &Store, key: &'static str, end: &'static [u8], limit, found: &str| {
        let request = RangeRequest {
            key: key.into(),
            range_end: Bytes::from_static(end),
            limit,
            ..RangeRequest::default()
        };
        let kvs = store.range(&request).kvs;
        let keys: Vec<_> = kvs.iter().flat_map(|kv| kv.key.to_vec()).collect();
        assert_eq!(String::from_utf8(keys).unwrap(), found);
    };
    check(&store, "b", b"", 0, "b");
    check(&store, "a", b"c", 0, "ab");
    check(&store, "b", b"\0", 0, "bc");
    check(&store, "a", b"\0", 2, "ab");
    check(&store, "c", b"a", 0, "");
    check(&store, "x", b"", 0, "");
    let delete = DeleteRangeRequest {
        key: "a".into(),
        range_end: "c".into(),
        ..DeleteRangeRequest::default()
    };
    assert_eq!(store.delete(&delete).deleted, 2);
    check(&store, "a", b"\0", 0, "c");
}
