//! A node's network: one listener and one link to each peer, shared by all groups of the process.
//!
//! This file does not know what travels.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use raft_core::{GroupId, NodeId};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::config::{TcpConfig, TcpConfigError};
use crate::counters::{Counters, Tally};
use crate::group::TcpTransport;
use crate::handshake::{self, HandshakeError};
use crate::listener;
use crate::shared::Shared;
use crate::tasks::Tasks;
use crate::wire::Lane;

/// A node's network. Its clones are the same network; it ends with the last of them and of the
/// [`TcpTransport`]s, or with [`TcpNet::shutdown`].
#[derive(Clone)]
pub struct TcpNet {
    owner: Arc<Owner>,
}

/// What is dropped with the last handle. Tasks hold on to what is shared, not to this.
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.tasks.close();
    }
}

/// Why a network can't do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The configuration is no good.
    #[error(transparent)]
    Config(#[from] TcpConfigError),
    /// The address can't be listened at.
    #[error("can't listen at {address}: {source}")]
    Listen {
        /// Which.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody of the cluster was reached there.
    #[error("{address}: {source}")]
    Contact {
        /// Where.
        address: String,
        /// Why.
        source: HandshakeError,
    },
    /// It was shut down.
    #[error("the network was shut down")]
    Closed,
}

impl NetError {
    /// Whether it stays like that until somebody changes what a node was given.
    pub(crate) const fn is_lasting(&self) -> bool {
        match self {
            Self::Contact { source, .. } => source.is_lasting(),
            Self::Config(_) | Self::Listen { .. } | Self::Closed => false,
        }
    }
}

impl TcpNet {
    /// Listens. Everything runs on the runtime that this is called in.
    ///
    /// # Errors
    /// When the configuration is no good, or the address can't be had.
    ///
    /// # Panics
    /// Outside of a tokio runtime that has I/O and time enabled.
    pub async fn bind(config: TcpConfig) -> Result<Self, NetError> {
        config.validate()?;
        let refused = |source| NetError::Listen {
            address: config.listen.clone(),
            source,
        };
        let listener = TcpListener::bind(&config.listen).await.map_err(refused)?;
        let local_address = listener.local_addr().map_err(refused)?;
        let tasks = Tasks::new(Handle::current(), Arc::new(Tally::default()));
        let shared = Arc::new(Shared::new(config, local_address, tasks));
        let task = listener::run(shared.clone(), listener);
        shared.tasks.spawn("listener", task);
        Ok(Self {
            owner: Arc::new(Owner { shared }),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.shared().local_address
    }

    /// One group's share of it: what a node of that group is started with.
    #[must_use]
    pub fn group(&self, id: GroupId) -> TcpTransport {
        TcpTransport::new(self.clone(), id)
    }

    /// Learns who listens at an address, and remembers that the node is reached there as long as
    /// no membership knows better; so who knows nothing but addresses can ask.
    ///
    /// # Errors
    /// When nobody of the cluster answers there.
    pub async fn contact(&self, address: &str) -> Result<NodeId, NetError> {
        let shared = self.shared();
        if shared.tasks.is_closed() {
            return Err(NetError::Closed);
        }
        let reached = handshake::dial(shared, address, None, Lane::Consensus).await;
        let (_, welcome) = reached.map_err(|source| NetError::Contact {
            address: address.to_owned(),
            source,
        })?;
        shared.learn(welcome.from, address.to_owned());
        Ok(welcome.from)
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared().tally.snapshot()
    }

    /// How many connections of others are served.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared().door.count()
    }

    /// Ends all connections, and returns when nothing runs any more.
    pub async fn shutdown(&self) {
        self.shared().tasks.close();
        self.shared().tasks.joined().await;
        self.shared().drop_links();
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }
}

impl fmt::Debug for TcpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TcpNet");
        out.field("node", &self.shared().config.node)
            .field("local_address", &self.local_address())
            .finish_non_exhaustive()
    }
}
