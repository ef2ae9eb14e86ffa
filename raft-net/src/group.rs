//! One group's share of a node's network: the transport port.
//!
//! It deliberately knows no socket: see `link.rs` for what is sent, `listener.rs` for what arrives,
//! `bulk.rs` for snapshots.

use std::fmt;
use std::io;
use std::sync::Arc;

use raft_core::membership::Membership;
use raft_core::port::{Inbox, Parcel, PortError, SnapshotSource, Transport};
use raft_core::{GroupId, NodeId, Position};

use crate::bulk;
use crate::net::TcpNet;
use crate::shared::Group;

/// One group's share of a [`TcpNet`]; keeps it alive.
#[derive(Clone)]
pub struct TcpTransport {
    net: TcpNet,
    id: GroupId,
    group: Arc<Group>,
}

impl TcpTransport {
    pub(crate) fn new(net: TcpNet, id: GroupId) -> Self {
        let group = net.shared().group(id);
        Self { net, id, group }
    }

    /// The network that it is a share of.
    #[must_use]
    pub const fn net(&self) -> &TcpNet {
        &self.net
    }
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TcpTransport");
        out.field("group", &self.id).finish_non_exhaustive()
    }
}

impl Transport for TcpTransport {
    fn start(&self, inbox: Arc<dyn Inbox>) -> Result<(), PortError> {
        if self.net.shared().tasks.is_closed() {
            let error = io::ErrorKind::NotConnected.into();
            return Err(PortError::io("the network was shut down", error));
        }
        self.group.set_inbox(Some(inbox));
        Ok(())
    }

    /// Must not be called while the inbox takes a parcel, from there: it waits for that to end.
    fn stop(&self) {
        self.group.set_inbox(None);
        self.members(&Membership::default());
    }

    fn members(&self, members: &Membership) {
        self.net.shared().set_members(self.id, members);
    }

    fn send(&self, parcel: Parcel) {
        self.net.shared().send(self.id, parcel);
    }

    fn open_snapshot(
        &self,
        from: NodeId,
        last: Position,
    ) -> Result<Box<dyn SnapshotSource>, PortError> {
        let source = bulk::open(self.net.shared(), self.id, from, last)?;
        Ok(Box::new(source))
    }
}
