//! A running member: what all its services share. It does not know them.

use std::sync::Arc;
use std::time::Instant;

use raft_core::{Node, NodeId};
use raft_kv::{Keeper, Kv, Revision, Store};
use raft_net::TcpNet;

use super::auth::Users;
use super::config::ServerConfig;
use super::gate::Gate;
use super::leadership::Leadership;
use super::metrics::Metrics;
use crate::pb::etcdserverpb::ResponseHeader;

/// A running member.
pub(crate) struct Member {
    /// What it goes by.
    pub(crate) config: ServerConfig,
    /// Its id.
    pub(crate) id: NodeId,
    /// The cluster's id.
    pub(crate) cluster: u64,
    /// What the ids follow from.
    pub(crate) token: String,
    /// The store.
    pub(crate) kv: Kv,
    /// Who looks after leases.
    pub(crate) keeper: Keeper,
    /// The network between members.
    pub(crate) net: TcpNet,
    /// Whether there is anybody to ask.
    pub(crate) leadership: Leadership,
    /// What is let in.
    pub(crate) gate: Gate,
    /// Who asks.
    pub(crate) users: Users,
    /// What is counted and timed.
    pub(crate) metrics: Arc<Metrics>,
    /// Since when it runs.
    pub(crate) began: Instant,
}

impl Member {
    /// The node.
    pub(crate) const fn node(&self) -> &Node {
        self.kv.node()
    }

    /// What it has applied.
    pub(crate) const fn store(&self) -> &Store {
        self.kv.store()
    }

    /// What every answer begins with.
    pub(crate) fn header(&self, revision: Revision) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.cluster,
            member_id: self.id.0,
            revision: i64::try_from(revision.0).unwrap_or(i64::MAX),
            raft_term: self.node().status().core.term.0,
        }
    }

    /// The same for answers that no revision belongs to: etcd gives the present one.
    pub(crate) fn header_now(&self) -> ResponseHeader {
        let state = self.store().state();
        self.header(state.map_or(Revision::NONE, |state| state.revision))
    }
}

/// What services hold.
pub(crate) type Shared = Arc<Member>;
