//! The cables: nodes reach each other through a relay in front of each, and a relay can be cut.
//!
//! A relay reads the first frame of a connection, which says who calls; from then on it copies
//! bytes both ways, and knows nothing of what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use raft_core::NodeId;
use raft_net::frame::FrameCodec;
use raft_net::wire::{HANDSHAKE_BYTES_MAX, Hello};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::codec::Decoder;

/// All relays. Clones are the same ones; they work as long as the runtime.
#[derive(Clone, Default)]
pub(crate) struct Relays {
    cables: Arc<watch::Sender<Cables>>,
}

/// What is connected to what.
#[derive(Default)]
struct Cables {
    /// Where each node listens.
    ends: BTreeMap<NodeId, SocketAddr>,
    /// Who neither reaches anybody nor is reached.
    cut: BTreeSet<NodeId>,
}

impl Relays {
    /// Puts a relay in front of a node. Returns the address at which others reach it.
    pub(crate) async fn open(&self, to: NodeId) -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let relays = self.clone();
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let relays = relays.clone();
                // A connection that fails is closed at both ends; nodes dial again.
                tokio::spawn(async move { relays.carry(caller, to).await });
            }
        });
        Ok(address)
    }

    /// The relay in front of `node` leads there from now on.
    pub(crate) fn lead(&self, node: NodeId, end: SocketAddr) {
        self.cables.send_modify(|cables| {
            cables.ends.insert(node, end);
        });
    }

    /// Cuts all connections from and to a node, and lets no further ones through.
    pub(crate) fn cut(&self, node: NodeId) {
        self.cables.send_modify(|cables| {
            cables.cut.insert(node);
        });
    }

    /// Undoes a cut.
    pub(crate) fn heal(&self, node: NodeId) {
        self.cables.send_modify(|cables| {
            cables.cut.remove(&node);
        });
    }

    /// Whether a node is cut off.
    pub(crate) fn is_cut(&self, node: NodeId) -> bool {
        self.cables.borrow().cut.contains(&node)
    }

    async fn carry(&self, mut caller: TcpStream, to: NodeId) -> io::Result<()> {
        let mut heard = BytesMut::new();
        let from = caller_of(&mut caller, &mut heard).await?;
        let mut cables = self.cables.subscribe();
        let cut = cables.wait_for(|cables| cables.cut.contains(&from) || cables.cut.contains(&to));
        tokio::select! {
            biased;
            _ = cut => Ok(()),
            ended = self.connect(caller, &heard, to) => ended,
        }
    }

    async fn connect(&self, mut caller: TcpStream, heard: &[u8], to: NodeId) -> io::Result<()> {
        let end = self.cables.borrow().ends.get(&to).copied();
        let end = end.ok_or(io::ErrorKind::NotConnected)?;
        let mut callee = TcpStream::connect(end).await?;
        caller.set_nodelay(true)?;
        callee.set_nodelay(true)?;
        callee.write_all(heard).await?;
        copy_bidirectional(&mut caller, &mut callee).await?;
        Ok(())
    }
}

/// Who calls, by its first frame; what was read stays in `heard`, to be passed on.
async fn caller_of(caller: &mut TcpStream, heard: &mut BytesMut) -> io::Result<NodeId> {
    let mut codec = FrameCodec::new(HANDSHAKE_BYTES_MAX);
    loop {
        if caller.read_buf(heard).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(frame) = codec.decode(&mut heard.clone()).map_err(io::Error::other)? {
            return Ok(Hello::decode(&frame).map_err(io::Error::other)?.from);
        }
    }
}
