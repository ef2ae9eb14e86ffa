//! A snapshot of another node, read through the network.
//!
//! It does not know what is in the files. It fails where the network fails.

use std::io;
use std::sync::Arc;

use raft_core::NodeId;
use raft_core::port::{Inbox, Manifest, PortError, SnapshotSource};

use super::Shared;

/// Between one life of a node and one of another; it breaks when either ends, or they are cut from
/// each other in either direction.
pub(super) struct Connection {
    net: Arc<Shared>,
    reader: NodeId,
    /// Of the reader.
    registration: u64,
    owner: NodeId,
    /// Of the owner.
    session: u64,
}

impl Connection {
    pub(super) fn open(
        net: &Arc<Shared>,
        (reader, registration): (NodeId, u64),
        owner: NodeId,
    ) -> Result<Self, PortError> {
        let target = net.lock().target(reader, registration, owner);
        let target = target.ok_or_else(|| unreachable(owner))?;
        Ok(Self {
            net: Arc::clone(net),
            reader,
            registration,
            owner,
            session: target.session,
        })
    }

    /// The inbox of the owner, if the network carries a question there and its answer back, this
    /// time.
    pub(super) fn inbox(&self) -> Result<Arc<dyn Inbox>, PortError> {
        let mut state = self.net.lock();
        let loss = state.faults.loss_per_mille;
        if state.dice.hits(loss) {
            let what = format!("read the snapshot of node {}", self.owner);
            return Err(PortError::io(what, io::ErrorKind::ConnectionReset.into()));
        }
        let target = state
            .target(self.reader, self.registration, self.owner)
            .filter(|target| target.session == self.session)
            .filter(|_| state.may_answer(self.owner, self.reader));
        drop(state);
        target
            .map(|target| target.inbox)
            .ok_or_else(|| unreachable(self.owner))
    }
}

fn unreachable(owner: NodeId) -> PortError {
    let what = format!("reach node {owner} for its snapshot");
    PortError::io(what, io::ErrorKind::NotConnected.into())
}

pub(super) struct Source {
    source: Box<dyn SnapshotSource>,
    connection: Connection,
}

impl Source {
    pub(super) fn new(source: Box<dyn SnapshotSource>, connection: Connection) -> Self {
        Self { source, connection }
    }
}

impl SnapshotSource for Source {
    fn manifest(&self) -> &Manifest {
        self.source.manifest()
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        self.connection.inbox()?;
        self.source.read_at(name, offset, buffer)
    }

    fn copy(&self, name: &str, to: &mut dyn io::Write) -> Result<(), PortError> {
        self.connection.inbox()?;
        self.source.copy(name, to)
    }
}
