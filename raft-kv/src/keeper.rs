//! What a member does by the clock: one task that looks after leases, history, room and members,
//! and what clients ask of leases that only a leader can answer.
//!
//! The leader has leases expire, compacts history, lifts the version of commands once all members
//! know a later one, and forgets members that are gone. Each member, whether it leads or not, says
//! who it is, raises and clears its own alarm, and reports the digest of its state. All of that
//! goes through the log, as commands like those of clients; what comes to nothing is due again at a
//! later beat, since what is due follows from the state. It does not know what commands do, nor how
//! superfluous rows are removed.

mod chores;
mod leases;
mod rounds;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use raft_core::driver::ReadError;
use raft_core::{Node, NodeId};
use thiserror::Error;
use tokio::task::JoinSet;

use self::leases::Leases;
use self::rounds::Rounds;
use crate::auto_compaction::AutoCompactionMode;
use crate::command::Announcement;
use crate::lessor::Remaining;
use crate::quota::Quota;
use crate::store::Store;
use crate::types::LeaseId;

/// So many leases expire in one command at most.
pub const EXPIRIES_A_COMMAND_MAX: usize = 500;

/// Says how many bytes are left on the disk, if that is known.
pub type FreeBytes = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// What a keeper goes by.
#[derive(Clone)]
pub struct KeeperConfig {
    /// What the member says of itself.
    pub announcement: Announcement,
    /// What it may use.
    pub quota: Quota,
    /// How much is left on the disk that it uses.
    pub free_bytes: FreeBytes,
    /// Which history the leader keeps.
    pub auto_compaction: AutoCompactionMode,
    /// How often it looks.
    pub beat: Duration,
    /// How often it looks at what is in no hurry.
    pub survey: Duration,
}

impl KeeperConfig {
    /// For a member that says this of itself: etcd's quota, no disk to be looked at, and all
    /// history is kept.
    #[must_use]
    pub fn new(announcement: Announcement) -> Self {
        Self {
            announcement,
            quota: Quota::default(),
            free_bytes: Arc::new(|| None),
            auto_compaction: AutoCompactionMode::Periodic(Duration::ZERO),
            beat: Duration::from_millis(100),
            survey: Duration::from_secs(1),
        }
    }
}

impl fmt::Debug for KeeperConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeeperConfig")
            .field("announcement", &self.announcement)
            .field("quota", &self.quota)
            .field("auto_compaction", &self.auto_compaction)
            .field("beat", &self.beat)
            .field("survey", &self.survey)
            .finish_non_exhaustive()
    }
}

/// Why nothing can be said of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LeaseError {
    /// Another node leads, or none does for now.
    #[error("not the leader")]
    NotLeader {
        /// Who leads, if it is known.
        hint: Option<NodeId>,
    },
    /// This node leads, but does not know yet which leases there are; try again.
    #[error("the leader has just begun to lead")]
    NotReady,
    /// There is no such lease, or it is about to end.
    #[error("etcdserver: requested lease not found")]
    NotFound,
    /// Too much is waiting already.
    #[error("overloaded, try again later")]
    Overloaded,
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

impl From<ReadError> for LeaseError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoLeader { hint } => Self::NotLeader { hint },
            ReadError::Overloaded => Self::Overloaded,
            ReadError::Stopped => Self::Stopped,
        }
    }
}

/// Looks after a member until it is dropped. It holds the node: to stop that, shut it down.
#[derive(Debug)]
pub struct Keeper {
    leases: Arc<Leases>,
    /// The one task; it ends with this.
    task: JoinSet<()>,
}

impl Keeper {
    /// Begins to look after a member: `store` reads from the machine that `node` runs. Needs a
    /// tokio runtime.
    #[must_use]
    pub fn start(node: Node, store: Store, config: KeeperConfig) -> Self {
        let leases = Arc::new(Leases::new(node, store));
        let mut task = JoinSet::new();
        task.spawn(Rounds::new(Arc::clone(&leases), config).run());
        Self { leases, task }
    }

    /// Gives a lease its full time again, and returns how long it lives, in seconds. It does so
    /// from when it was asked; see [`crate::lessor`] why that holds. Nothing is written.
    ///
    /// # Errors
    /// When this node does not lead, or there is no such lease.
    pub async fn keep_alive(&self, id: LeaseId) -> Result<u64, LeaseError> {
        let (term, renewed) = self.leases.renew(id)?;
        self.leases.confirm(term).await?;
        if let Some(ttl_s) = renewed {
            return Ok(ttl_s);
        }
        // What another member has told a client of may have reached this one only now.
        let (term, renewed) = self.leases.renew(id)?;
        let ttl_s = renewed.ok_or(LeaseError::NotFound)?;
        self.leases.confirm(term).await?;
        Ok(ttl_s)
    }

    /// How long a lease has.
    ///
    /// # Errors
    /// When this node does not lead, or there is no such lease.
    pub async fn time_to_live(&self, id: LeaseId) -> Result<Remaining, LeaseError> {
        let term = self.leases.term()?;
        self.leases.confirm(term).await?;
        self.leases.remaining(id)?.ok_or(LeaseError::NotFound)
    }

    /// Ends the task, and waits for that. What was proposed and not answered may yet be done.
    pub async fn shutdown(mut self) {
        self.task.shutdown().await;
    }
}
