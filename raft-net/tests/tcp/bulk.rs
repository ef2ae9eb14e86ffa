//! Snapshots over the bulk lane, whole and cut.
//!
//! It deliberately knows no store: a snapshot here is bytes in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use raft_core::entry::SnapshotMeta;
use raft_core::port::{Manifest, PortError, SnapshotFile, SnapshotSource, Transport};
use raft_core::{Index, NodeId, Position, Term};
use raft_net::{TcpConfig, TcpTransport};

use crate::support::{TestNode, config, cutting_proxy, members, pair, pair_of, until, until_heard};

/// A snapshot in memory.
#[derive(Clone)]
struct Memory {
    manifest: Manifest,
    contents: Arc<Vec<Vec<u8>>>,
}

impl SnapshotSource for Memory {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        let (place, _) = self.manifest.find(name).expect("only what is there");
        let rest = &self.contents[place][usize::try_from(offset).expect("small")..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn copy(&self, _: &str, _: &mut dyn std::io::Write) -> Result<(), PortError> {
        Err(PortError::misused("nobody copies here"))
    }
}

/// Files of these lengths, ending at index 10 of term 2.
fn memory(lengths: &[usize]) -> Memory {
    let content = |(number, length): (usize, &usize)| -> Vec<u8> {
        let mixed = |at: usize| (at.wrapping_mul(31) >> 3).wrapping_add(number * 7) as u8;
        (0..*length).map(mixed).collect()
    };
    let contents: Vec<Vec<u8>> = lengths.iter().enumerate().map(content).collect();
    let file = |(number, content): (usize, &Vec<u8>)| SnapshotFile {
        name: format!("file-{number}"),
        size: content.len() as u64,
        hash: number as u64,
    };
    let files = contents.iter().enumerate().map(file).collect();
    let last = Position::new(Term(2), Index(10));
    let meta = SnapshotMeta {
        last,
        ..SnapshotMeta::default()
    };
    Memory {
        manifest: Manifest {
            meta: Arc::new(meta),
            files,
        },
        contents: Arc::new(contents),
    }
}

fn offer(node: &TestNode, memory: &Memory) {
    let memory = memory.clone();
    let mut snapshot = node.kept.snapshot.lock().expect("no test panics there");
    *snapshot = Some(Box::new(move || Box::new(memory.clone())));
}

fn small_chunks(node: u64) -> TcpConfig {
    TcpConfig {
        bulk_chunk_bytes: 10_000,
        ..config(node)
    }
}

/// Opens node 1's snapshot, and does that with it, where it may block.
async fn reading<T: Send + 'static>(
    transport: &TcpTransport,
    last: u64,
    work: impl FnOnce(Box<dyn SnapshotSource>) -> T + Send + 'static,
) -> Result<T, PortError> {
    let transport = transport.clone();
    let last = Position::new(Term(2), Index(last));
    let opened = tokio::task::spawn_blocking(move || {
        let source = transport.open_snapshot(NodeId(1), last)?;
        Ok(work(source))
    });
    opened.await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_read_in_any_order_and_copied() {
    let (one, two) = pair_of(config(1), small_chunks(2)).await;
    let memory = memory(&[100_000, 0, 9_999, 10_001]);
    offer(&one, &memory);
    let expected = memory.clone();
    let check = move |source: Box<dyn SnapshotSource>| {
        assert_eq!(*source.manifest(), expected.manifest);
        for (file, content) in expected.manifest.files.iter().zip(&*expected.contents) {
            let mut copy = Vec::new();
            source.copy(&file.name, &mut copy).expect("nothing fails");
            assert!(copy == *content, "{}", file.name);
        }
        let content = &expected.contents[0];
        for (offset, length) in [(99_990, 100), (0, 25_000), (25_000, 1), (3, 99_997), (0, 1)] {
            let mut buffer = vec![0; length];
            let count = source.read_at("file-0", offset as u64, &mut buffer);
            let count = count.expect("nothing fails");
            assert_eq!(count, length.min(content.len() - offset));
            assert!(buffer[..count] == content[offset..offset + count]);
        }
        let at_end = source.read_at("file-0", 100_000, &mut [0; 10]);
        assert_eq!(at_end.expect("nothing fails"), 0);
        assert!(source.read_at("file-9", 0, &mut [0; 10]).is_err());
    };
    reading(&two.transport, 10, check)
        .await
        .expect("it is there");
    assert!(one.counters().bulk_sent_bytes >= 120_000);
    assert_eq!(one.counters().bulk_sessions, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_snapshot_or_too_old_a_one_is_an_error_that_says_so() {
    let (one, two) = pair().await;
    let check = async |last, expected: &str| {
        let refused = reading(&two.transport, last, |_| ()).await;
        let text = refused.expect_err("it must not be had").to_string();
        assert!(text.contains(expected), "{text}");
    };
    check(10, "there is no snapshot").await;
    offer(&one, &memory(&[1]));
    check(11, "ends at 10t2").await;
    one.transport.stop();
    check(10, "no group 1 is here").await;
    one.net.shutdown().await;
    check(10, "the snapshot of node 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_snapshots_are_read_at_a_time() {
    let narrow = TcpConfig {
        bulk_sessions_max: 1,
        ..config(1)
    };
    let (one, two) = pair_of(narrow, config(2)).await;
    offer(&one, &memory(&[1]));
    let first = reading(&two.transport, 10, |source| source).await;
    let first = first.expect("it is there");
    assert!(reading(&two.transport, 10, |_| ()).await.is_err());
    assert_eq!(one.counters().refused_limit, 1);
    drop(first);
    until("the first is done", || one.net.connections() == 0).await;
    reading(&two.transport, 10, |_| ()).await.expect("its turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_do_not_wait_behind_a_snapshot() {
    let slow = TcpConfig {
        bulk_bytes_per_second: 100_000,
        ..small_chunks(1)
    };
    let (one, two) = pair_of(slow, small_chunks(2)).await;
    offer(&one, &memory(&[1_000_000]));
    let source = reading(&two.transport, 10, |source| source).await;
    let source = source.expect("it is there");
    let copying = tokio::task::spawn_blocking(move || source.copy("file-0", &mut Vec::new()));
    until("some of it came", || two.counters().bulk_received_bytes > 0).await;
    for _ in 0..20 {
        until_heard(&one, 1, &two, 2).await;
    }
    assert!(!copying.is_finished(), "it takes ten seconds");
    two.net.shutdown().await;
    assert!(copying.await.expect("no panic").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_is_cut_again_and_again_goes_on_where_it_was() {
    let seed = 20_261_121;
    println!("seed {seed}");
    let (one, two) = pair_of(config(1), small_chunks(2)).await;
    let memory = memory(&[3_000_000, 2_000_000]);
    offer(&one, &memory);
    let cuts = Arc::new(AtomicU64::new(0));
    let proxy = cutting_proxy(one.net.local_address(), 1 << 20, seed, cuts.clone()).await;
    two.transport.members(&members(&[(1, &proxy.to_string())]));
    let transport = two.transport.clone();
    let received = tokio::task::spawn_blocking(move || receive_stubbornly(&transport, &[0, 1]));
    let received = received.await.expect("no panic");
    assert!(received == *memory.contents);
    assert!(cuts.load(Ordering::Relaxed) >= 3, "nothing was cut");
    let sent = one.counters().bulk_sent_bytes;
    assert!(sent < 8_000_000, "{sent} bytes for 5,000,000");
}

/// Reads the files from node 1, opening the snapshot again after each error.
fn receive_stubbornly(transport: &TcpTransport, files: &[usize]) -> Vec<Vec<u8>> {
    let last = Position::new(Term(2), Index(10));
    let mut received: Vec<Vec<u8>> = vec![Vec::new(); files.len()];
    for _ in 0..1000 {
        let Ok(source) = transport.open_snapshot(NodeId(1), last) else {
            continue;
        };
        let result = receive_rest(&*source, &mut received);
        if result.is_ok() {
            return received;
        }
    }
    panic!("it never came through");
}

fn receive_rest(source: &dyn SnapshotSource, received: &mut [Vec<u8>]) -> Result<(), PortError> {
    let mut buffer = [0; 4096];
    for (file, content) in source.manifest().files.iter().zip(received) {
        loop {
            let count = source.read_at(&file.name, content.len() as u64, &mut buffer)?;
            if count == 0 {
                break;
            }
            content.extend_from_slice(&buffer[..count]);
        }
    }
    Ok(())
}
