//! Every timeout, window and limit of the core: named, with a default, checked once at the start.
//!
//! This file does not know what the limits are used for; each field says it.

use std::fmt;
use std::time::Duration;

/// What an operator may choose. [`Config::default`] suits a cluster within one region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// From this all randomness of the node comes: give each node its own, and another one at each
    /// start.
    pub seed: u64,
    /// A follower that hears from no leader for a random time between this and
    /// `election_timeout_max` campaigns (§5.2). A leader counts as alive for this long.
    pub election_timeout_min: Duration,
    /// See `election_timeout_min`. A leader that hears from no quorum for this long steps down.
    pub election_timeout_max: Duration,
    /// A leader lets no follower go without a message for longer than this.
    pub heartbeat_interval: Duration,
    /// Leases, if the clocks are good enough for them.
    pub lease: Option<ClockDrift>,
    /// How long a transfer of leadership may take before the leader takes proposals again.
    pub transfer_timeout: Duration,
    /// How long a change of members may wait for a new member to catch up, or for the agreement
    /// of the new voters, before it is undone.
    pub membership_timeout: Duration,
    /// A learner within this many entries of the leader has caught up.
    pub catch_up_entries: u64,
    /// A write that takes longer makes a leader hand over, and keeps a server from campaigning.
    pub write_stall_max: Duration,
    /// How many bytes of entries are kept in memory for followers and the state machine. What is
    /// not yet written or applied is kept beyond that, within the limits below.
    pub tail_bytes_max: u64,
    /// How many bytes of entries one message carries; a single larger entry travels alone.
    pub append_bytes_max: u64,
    /// How many messages with entries may be under way to one follower.
    pub inflight_messages_max: usize,
    /// How many bytes of entries may be under way to one follower.
    pub inflight_bytes_max: u64,
    /// How many bytes may wait for commitment before proposals are refused.
    pub uncommitted_bytes_max: u64,
    /// How many bytes may wait at the state machine before the core holds entries back.
    pub apply_bytes_max: u64,
    /// How many reads may wait at this node before further ones are refused.
    pub reads_max: usize,
}

/// By how much the clocks of two nodes may run apart: 10 is one per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ClockDrift {
    /// In thousandths; below 1000.
    pub per_mille: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            election_timeout_min: Duration::from_millis(1000),
            election_timeout_max: Duration::from_millis(2000),
            heartbeat_interval: Duration::from_millis(100),
            lease: None,
            transfer_timeout: Duration::from_millis(2000),
            membership_timeout: Duration::from_secs(60),
            catch_up_entries: 1000,
            write_stall_max: Duration::from_secs(10),
            tail_bytes_max: 64 << 20,
            append_bytes_max: 1 << 20,
            inflight_messages_max: 256,
            inflight_bytes_max: 16 << 20,
            uncommitted_bytes_max: 64 << 20,
            apply_bytes_max: 64 << 20,
            reads_max: 65_536,
        }
    }
}

/// Which setting can't work, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The field of [`Config`].
    pub field: &'static str,
    /// What it has to be.
    pub must: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.field, self.must)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Checks that the settings can work together.
    ///
    /// # Errors
    /// Names the first setting that can't.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let rules = [
            (
                !self.heartbeat_interval.is_zero(),
                "heartbeat_interval",
                "above zero",
            ),
            (
                self.election_timeout_min >= self.heartbeat_interval * 2,
                "election_timeout_min",
                "at least two heartbeat intervals, or one lost message starts an election",
            ),
            (
                self.election_timeout_max >= self.election_timeout_min,
                "election_timeout_max",
                "at least election_timeout_min",
            ),
            (
                self.lease.is_none_or(|d| d.per_mille < 1000),
                "lease",
                "below 1000 per mille",
            ),
            (
                !self.transfer_timeout.is_zero(),
                "transfer_timeout",
                "above zero",
            ),
            (
                !self.membership_timeout.is_zero(),
                "membership_timeout",
                "above zero",
            ),
            (
                !self.write_stall_max.is_zero(),
                "write_stall_max",
                "above zero",
            ),
            (self.append_bytes_max > 0, "append_bytes_max", "above zero"),
            (
                self.inflight_messages_max > 0,
                "inflight_messages_max",
                "above zero",
            ),
            (
                self.inflight_bytes_max > 0,
                "inflight_bytes_max",
                "above zero",
            ),
            (
                self.uncommitted_bytes_max > 0,
                "uncommitted_bytes_max",
                "above zero",
            ),
            (self.apply_bytes_max > 0, "apply_bytes_max", "above zero"),
            (self.reads_max > 0, "reads_max", "above zero"),
        ];
        match rules.iter().find(|(holds, _, _)| !holds) {
            Some((_, field, must)) => Err(ConfigError { field, must }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_work() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn what_cannot_work_is_named() {
        let hasty = Config {
            election_timeout_min: Duration::from_millis(150),
            ..Config::default()
        };
        assert_eq!(
            hasty.validate().expect_err("too short").field,
            "election_timeout_min"
        );
        let drifting = Config {
            lease: Some(ClockDrift { per_mille: 1000 }),
            ..Config::default()
        };
        assert_eq!(drifting.validate().expect_err("too much").field, "lease");
    }
}
