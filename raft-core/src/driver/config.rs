//! What an embedder chooses for a node; the consensus core's own settings are a part of it.
//!
//! This file does not know what is done with the settings; each field says it.

use std::time::Duration;

use crate::compaction::CompactionPolicy;
use crate::config::Config;
use crate::membership::{Member, Membership};
use crate::types::NodeId;

/// The settings of a node. [`NodeConfig::founding`] and [`NodeConfig::joining`] fill in all that
/// has a sensible default.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its stable name within the cluster.
    pub id: NodeId,
    /// What a store that was never used is founded with; of no concern to any other.
    pub founding: Founding,
    /// The settings of the consensus core. A seed of 0 stands for one drawn at random.
    pub raft: Config,
    /// When snapshots are taken, and how much of the log stays behind them.
    pub compaction: CompactionPolicy,
    /// What becomes of writes and changes that reach a node that does not lead.
    pub forward: Forward,
    /// Where disk and machine do their work.
    pub lanes: Lanes,
    /// A request that has no answer after this time is given up: refused if it is still here, its
    /// outcome unknown if it is not.
    pub request_timeout: Duration,
    /// The longest command.
    pub command_bytes_max: usize,
    /// So many requests wait at most to be looked at.
    pub requests_max: usize,
    /// So many bytes of requests wait at most to be looked at.
    pub requests_bytes_max: usize,
    /// So many bytes of messages from other nodes wait at most to be looked at; what comes on top
    /// is dropped, and comes again.
    pub parcels_bytes_max: usize,
    /// The node's timers go off on multiples of this, so that the groups of one process beat
    /// together and their heartbeats share a frame. Zero for a node that is alone in its process.
    pub tick_grid: Duration,
    /// How many bytes a second a snapshot is fetched with at most.
    pub snapshot_bytes_per_second: u64,
    /// Where the flight recorder keeps the newest part of what the core was told, and in how many
    /// bytes at most; nowhere by default. `simulate --replay` tells the story.
    #[cfg(feature = "recorder")]
    pub recorder: Option<(std::path::PathBuf, u64)>,
}

/// What to do with a store that was never used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Founding {
    /// Found a cluster, together with all these, each of which is given the same list.
    Members(Membership),
    /// Wait to be added to a cluster that exists.
    Join,
}

/// What becomes of requests that only the leader can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// They are passed on to the leader; while there is none, they wait.
    ToLeader,
    /// They are refused, with a hint who leads.
    Refuse,
}

/// Where disk and machine do their work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// Each on a thread of its own: neither a slow disk nor a slow machine holds consensus up.
    Threads,
    /// In the node's own loop: for stores and machines in memory that never block. Saves the hand
    /// over, and is deterministic under a paused clock.
    Inline,
}

impl NodeConfig {
    /// A node that founds a cluster with these members, itself among them; or comes back to it.
    #[must_use]
    pub fn founding<A: Into<String>>(
        id: NodeId,
        members: impl IntoIterator<Item = (NodeId, A)>,
    ) -> Self {
        let members = members
            .into_iter()
            .map(|(id, address)| (id, Member::at(address)));
        Self::new(id, Founding::Members(Membership::of_voters(members)))
    }

    /// A node that is going to be added to a cluster; or comes back to it.
    #[must_use]
    pub fn joining(id: NodeId) -> Self {
        Self::new(id, Founding::Join)
    }

    fn new(id: NodeId, founding: Founding) -> Self {
        let raft = Config::default();
        Self {
            id,
            founding,
            request_timeout: raft.election_timeout_max * 2,
            raft,
            compaction: CompactionPolicy::default(),
            forward: Forward::ToLeader,
            lanes: Lanes::Threads,
            command_bytes_max: 1536 << 10,
            requests_max: 16_384,
            requests_bytes_max: 64 << 20,
            parcels_bytes_max: 128 << 20,
            tick_grid: Duration::ZERO,
            snapshot_bytes_per_second: 256 << 20,
            #[cfg(feature = "recorder")]
            recorder: None,
        }
    }
}
