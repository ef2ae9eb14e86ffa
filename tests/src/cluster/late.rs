//! What the shell of a server does late, or only when the test says so.
//!
//! It knows nothing of messages.

use std::sync::Arc;

use raft_core::{Event, Index};

use super::Cluster;
use super::disk::Saved;
use super::node::Lane;

/// What a shell does late.
impl Cluster {
    /// `lane` of `id` waits from now on.
    pub fn stall(&mut self, id: u64, lane: Lane) {
        self.node_mut(id).stalled.insert(lane);
    }

    /// `lane` of `id` goes on.
    pub fn unstall(&mut self, id: u64, lane: Lane) {
        self.node_mut(id).stalled.remove(&lane);
        self.settle();
    }

    /// The oldest write of `id` is synced, and the core told.
    pub fn persist_one(&mut self, id: u64) {
        let write = self
            .node_mut(id)
            .disk
            .sync_one()
            .expect("a write is outstanding");
        self.step(id, vec![Event::Persisted(write)]);
    }

    /// All writes of `id` are synced, and the core told; then all that follows happens.
    pub fn persist(&mut self, id: u64) {
        while !self.node(id).disk.pending.is_empty() {
            self.persist_one(id);
        }
        self.settle();
    }

    /// The disk syncs the oldest write of `id`, but the core does not live to hear it.
    pub fn sync_unheard(&mut self, id: u64) {
        self.node_mut(id)
            .disk
            .sync_one()
            .expect("a write is outstanding");
    }

    /// `id` snapshots what it has applied. The log stays.
    pub fn snapshot(&mut self, id: u64) {
        let node = self.node_mut(id);
        let raft = node.raft.as_ref().expect("it runs");
        let meta = raft
            .snapshot_meta(node.machine.applied)
            .expect("what is applied is known");
        let meta = Arc::new(meta);
        let saved = Saved {
            meta: Arc::clone(&meta),
            machine: node.machine.clone(),
        };
        node.disk.save(saved);
        self.input(id, Event::SnapshotTaken(meta));
    }

    /// `id` is asked to drop its log up to `index`.
    pub fn compact(&mut self, id: u64, index: u64) {
        self.input(id, Event::Compact(Index(index)));
    }

    /// `id` can't read its snapshots any more.
    pub fn lose_snapshots(&mut self, id: u64) {
        self.node_mut(id).disk.snapshots.truncate(1);
    }
}
