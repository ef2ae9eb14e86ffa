//! What a cluster of processes is to be like. It starts nothing.

use std::time::Duration;

use super::certificates::Authority;
use super::network::Network;

/// What a cluster is to be like.
#[derive(Debug)]
pub struct Plan {
    /// How many members found it.
    pub size: u64,
    /// How often a leader is heard of.
    pub heartbeat: Duration,
    /// After how long without a leader there is an election.
    pub election: Duration,
    /// Flags for all members beside those that every cluster needs.
    pub flags: Vec<String>,
    /// Who signs the certificates of members and clients; without it nothing is encrypted.
    pub authority: Option<Authority>,
    /// The network that the members have for themselves; without it they share the machine's.
    pub network: Option<Network>,
}

impl Plan {
    /// So many members that are quick to elect, but not too quick for a busy machine.
    #[must_use]
    pub fn of(size: u64) -> Self {
        Self {
            size,
            heartbeat: Duration::from_millis(75),
            election: Duration::from_millis(750),
            flags: Vec::new(),
            authority: None,
            network: None,
        }
    }

    /// The same with one more flag.
    #[must_use]
    pub fn with(mut self, flag: &str, value: &str) -> Self {
        self.flags.push(format!("--{flag}={value}"));
        self
    }
}
