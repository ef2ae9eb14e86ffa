//! Stands in front of a node, and lets through what a test wants to get through.
//!
//! It listens to who dials and for what, so that a way can be cut in one direction: each node sends
//! on connections that it dialed. What is sealed by TLS it can't read, and closes. This file does
//! not know what nodes say after that.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use raft_net::frame::FrameCodec;
use raft_net::wire::{HANDSHAKE_BYTES_MAX, Hello, Lane};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::codec::Decoder;

const CHUNK_BYTES: usize = 16 << 10;

/// What stands in front of a node.
#[derive(Clone)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// Where the node is.
    target: Mutex<Option<SocketAddr>>,
    ways: watch::Sender<Ways>,
    /// After how many bytes the next connections for snapshots are cut, one after the other.
    cuts: Mutex<VecDeque<u64>>,
    /// How many connections for snapshots were cut.
    was_cut: AtomicU64,
    /// How many bytes were let through on connections for snapshots.
    bulk_bytes: AtomicU64,
}

/// From whom nothing gets through.
#[derive(Clone, Default)]
struct Ways {
    /// Their connections are closed.
    severed: BTreeSet<u64>,
    /// What they say waits.
    stalled: BTreeSet<u64>,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            target: Mutex::default(),
            ways: watch::Sender::default(),
            cuts: Mutex::default(),
            was_cut: AtomicU64::default(),
            bulk_bytes: AtomicU64::default(),
        });
        let proxy = Self { address, shared };
        tokio::spawn(accept(proxy.shared.clone(), listener));
        proxy
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// The node is there from now on.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        *lock(&self.shared.target) = Some(target);
    }

    /// Nothing that these send gets through; their connections are closed.
    pub(crate) fn sever(&self, from: &[u64]) {
        let ways = &self.shared.ways;
        ways.send_modify(|ways| ways.severed.extend(from));
    }

    /// What these send waits until the way is healed.
    pub(crate) fn stall(&self, from: &[u64]) {
        let ways = &self.shared.ways;
        ways.send_modify(|ways| ways.stalled.extend(from));
    }

    /// All gets through again.
    pub(crate) fn heal(&self) {
        self.shared.ways.send_replace(Ways::default());
    }

    /// The next connections for snapshots are cut after so many bytes, one after the other.
    pub(crate) fn cut_bulk_after(&self, bytes: impl IntoIterator<Item = u64>) {
        lock(&self.shared.cuts).extend(bytes);
    }

    /// Connections for snapshots are not cut any more.
    pub(crate) fn forget_cuts(&self) {
        lock(&self.shared.cuts).clear();
    }

    /// How many of these cuts are done, and how many bytes of snapshots got through.
    pub(crate) fn bulk(&self) -> (u64, u64) {
        let shared = &self.shared;
        (
            shared.was_cut.load(Ordering::Relaxed),
            shared.bulk_bytes.load(Ordering::Relaxed),
        )
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    while let Ok((dialed, _)) = listener.accept().await {
        let shared = shared.clone();
        // Whatever goes wrong, both ends see that the connection is closed.
        tokio::spawn(async move { serve(&shared, dialed).await.ok() });
    }
}

async fn serve(shared: &Shared, mut dialed: TcpStream) -> io::Result<()> {
    let (hello, said) = greeting(&mut dialed).await?;
    let from = hello.from.0;
    let target = *lock(&shared.target);
    let target = target.ok_or(io::ErrorKind::NotConnected)?;
    let ways = shared.ways.subscribe();
    if ways.borrow().severed.contains(&from) {
        return Ok(());
    }
    let mut node = TcpStream::connect(target).await?;
    node.set_nodelay(true)?;
    dialed.set_nodelay(true)?;
    node.write_all(&said).await?;
    let cut = match hello.lane {
        Lane::Consensus => None,
        Lane::Bulk => lock(&shared.cuts).pop_front(),
    };
    let (from_dialed, to_dialed) = dialed.into_split();
    let (from_node, to_node) = node.into_split();
    let mut severed = ways.clone();
    let there = Pump {
        way: (from_dialed, to_node),
        ways: ways.clone(),
        from,
    };
    let back = Pump {
        way: (from_node, to_dialed),
        ways,
        from,
    };
    let bulk = (hello.lane == Lane::Bulk).then_some(&shared.bulk_bytes);
    tokio::select! {
        ended = there.run(None, None) => ended?,
        ended = back.run(cut, bulk) => {
            ended?;
            shared.was_cut.fetch_add(u64::from(cut.is_some()), Ordering::Relaxed);
        }
        _ = severed.wait_for(|ways| ways.severed.contains(&from)) => {}
    }
    Ok(())
}

/// The first frame, and all that was read.
async fn greeting(dialed: &mut TcpStream) -> io::Result<(Hello, BytesMut)> {
    let (mut said, mut codec) = (BytesMut::new(), FrameCodec::new(HANDSHAKE_BYTES_MAX));
    loop {
        if let Some(frame) = codec.decode(&mut said.clone()).map_err(io::Error::other)? {
            let hello = Hello::decode(&frame).map_err(io::Error::other)?;
            return Ok((hello, said));
        }
        if dialed.read_buf(&mut said).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// One direction of a connection.
struct Pump {
    way: (OwnedReadHalf, OwnedWriteHalf),
    ways: watch::Receiver<Ways>,
    /// Who dialed.
    from: u64,
}

impl Pump {
    /// Lets through what comes, up to `cut` bytes.
    async fn run(mut self, cut: Option<u64>, count: Option<&AtomicU64>) -> io::Result<()> {
        let mut left = cut.unwrap_or(u64::MAX);
        let mut chunk = vec![0; CHUNK_BYTES];
        while left > 0 {
            let read = self.way.0.read(&mut chunk).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let is_free = |ways: &Ways| !ways.stalled.contains(&self.from);
            self.ways
                .wait_for(is_free)
                .await
                .map_err(io::Error::other)?;
            let bytes = left.min(read as u64);
            self.way.1.write_all(&chunk[..bytes as usize]).await?;
            left -= bytes;
            if let Some(count) = count {
                count.fetch_add(bytes, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
