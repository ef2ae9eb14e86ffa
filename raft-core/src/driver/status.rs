//! What a node tells about itself: the core's status, and what the driver adds to it.
//!
//! Published when something of note changes, and otherwise a few times a second at most, so that
//! looking on costs a busy node nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::error::StopReason;
use super::leadership::LeaderChange;
use crate::Raft;
use crate::consensus::Status;
use crate::event::RoleCause;
use crate::port::LogUsage;
use crate::types::{Incarnation, Index, Time};

/// Changes that are not of note are published this often at most.
pub(super) const INTERVAL: Duration = Duration::from_millis(20);
/// After so long a node that is awake publishes in any case: how long others were silent, and what
/// they have, is news that no mark of its own tells.
const REFRESH: Duration = Duration::from_secs(1);

/// A node at a glance.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// The consensus core's part.
    pub core: Status,
    /// Which life of its storage the node is.
    pub incarnation: Incarnation,
    /// Why the core has its role.
    pub role_cause: Option<RoleCause>,
    /// How often since its start the node came to know a leader.
    pub leader_changes: u64,
    /// When leadership moved last, and why.
    pub leader_change: Option<LeaderChange>,
    /// The cluster names another life of this node's storage: it has to be removed and added anew.
    pub is_other_life: bool,
    /// How much the log holds.
    pub log: LogUsage,
    /// How many parcels of other nodes were dropped because too much waited.
    pub parcels_dropped: u64,
    /// Why the newest snapshot could not be taken or fetched, if it could not.
    pub snapshot_trouble: Option<String>,
    /// Why the node has stopped, if it has.
    pub stopped: Option<StopReason>,
}

/// Follows the status of a node.
#[derive(Clone, Debug)]
pub struct StatusWatch {
    receiver: watch::Receiver<Arc<NodeStatus>>,
}

impl StatusWatch {
    pub(super) const fn new(receiver: watch::Receiver<Arc<NodeStatus>>) -> Self {
        Self { receiver }
    }

    /// The newest status.
    #[must_use]
    pub fn now(&self) -> Arc<NodeStatus> {
        Arc::clone(&self.receiver.borrow())
    }

    /// Waits for a status that is news since the last call; `None` once the node has stopped and
    /// its last status was seen.
    pub async fn next(&mut self) -> Option<Arc<NodeStatus>> {
        self.receiver.changed().await.ok()?;
        Some(Arc::clone(&self.receiver.borrow_and_update()))
    }

    /// Waits for a status of which `wanted` holds; `None` if the node stopped before.
    pub async fn until(
        &mut self,
        mut wanted: impl FnMut(&NodeStatus) -> bool,
    ) -> Option<Arc<NodeStatus>> {
        let found = self.receiver.wait_for(|status| wanted(status)).await;
        found.ok().map(|status| Arc::clone(&status))
    }
}

/// The end of the log, the commit index, how far the log is durable, what is applied, and how much
/// the log holds.
type Marks = ([Index; 4], LogUsage);

/// Publishes the status, neither too late nor too often.
pub(super) struct Publisher {
    sender: watch::Sender<Arc<NodeStatus>>,
    /// Something has changed since the last time.
    is_stale: bool,
    /// How far the core was when it was last looked at.
    marks: Marks,
    /// Something of note has.
    pub(super) is_urgent: bool,
    last: Time,
}

impl Publisher {
    pub(super) fn new(status: NodeStatus) -> (Self, StatusWatch) {
        let (sender, receiver) = watch::channel(Arc::new(status));
        let publisher = Self {
            sender,
            is_stale: false,
            marks: Marks::default(),
            is_urgent: false,
            last: Time(0),
        };
        (publisher, StatusWatch::new(receiver))
    }

    /// How far the core is.
    pub(super) fn note(&mut self, marks: Marks) {
        self.is_stale |= marks != self.marks;
        self.marks = marks;
    }

    /// Whether to publish now.
    pub(super) fn is_due(&self, now: Time) -> bool {
        let age = now.since(self.last);
        self.is_urgent || self.is_stale && age >= INTERVAL || age >= REFRESH
    }

    /// When to publish if nothing else happens.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.is_stale.then(|| self.last.plus(INTERVAL))
    }

    pub(super) fn publish(&mut self, now: Time, status: NodeStatus) {
        self.is_stale = false;
        self.is_urgent = false;
        self.last = now;
        self.sender.send_replace(Arc::new(status));
    }

    /// For the last word, once the publisher is gone.
    pub(super) fn epitaph(&self) -> Epitaph {
        Epitaph {
            sender: self.sender.clone(),
        }
    }
}

/// Says why a node has stopped.
pub(super) struct Epitaph {
    sender: watch::Sender<Arc<NodeStatus>>,
}

impl Epitaph {
    pub(super) fn write(self, reason: &StopReason) {
        self.sender.send_modify(|status| {
            let mut last = NodeStatus::clone(status);
            last.stopped = Some(reason.clone());
            *status = Arc::new(last);
        });
    }
}

impl NodeStatus {
    /// That of a node that has just started.
    pub(super) fn first(raft: &Raft, log: LogUsage, now: Time) -> Self {
        Self {
            core: raft.status(now),
            incarnation: raft.incarnation(),
            role_cause: None,
            leader_changes: 0,
            leader_change: None,
            is_other_life: false,
            log,
            parcels_dropped: 0,
            snapshot_trouble: None,
            stopped: None,
        }
    }

    /// What the machine of the node has applied.
    #[must_use]
    pub const fn applied(&self) -> Index {
        self.core.applied
    }
}
