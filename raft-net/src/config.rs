//! Who a node is on the network, and every limit that its connections keep.
//!
//! Plain data. This file does not know how the limits are kept.

use std::time::Duration;

use raft_core::NodeId;

use crate::tls::Tls;
use crate::wire::{VERSION_MAX, VERSION_MIN};

/// Who a node is, where it listens, and within which limits it talks.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// The cluster, by whatever number its members call it. Others are refused.
    pub cluster: u64,
    /// The node. Whoever wanted to reach another one is told so.
    pub node: NodeId,
    /// Where to listen, as `host:port`; port 0 lets the system choose.
    pub listen: String,
    /// Where others reach this node, if they don't at `listen`.
    pub advertised: Option<String>,
    /// The oldest and the newest version of the protocol that is spoken.
    pub versions: (u8, u8),
    /// Certificates; without them nothing is encrypted, and anybody may claim to be anybody.
    pub tls: Option<Tls>,
    /// No frame is longer than this, neither sent nor taken.
    pub frame_bytes_max: usize,
    /// How many bytes may wait for one peer; what comes on top is dropped.
    pub queue_bytes_max: usize,
    /// How many parcels may wait for one peer; what comes on top is dropped.
    pub queue_parcels_max: usize,
    /// To how many nodes outside of all memberships parcels are sent at one time.
    pub strangers_max: usize,
    /// How many connections are taken at one time. Further ones wait in the system's backlog.
    pub connections_max: usize,
    /// How many connections of one address are taken at one time.
    pub connections_per_ip_max: usize,
    /// How long a connection may take to say who it is, all in all.
    pub handshake_timeout: Duration,
    /// How long a connection may go without a whole frame. Both ends send a sign of life three
    /// times within it, so a peer that vanished is noticed.
    pub idle_timeout: Duration,
    /// How long the peer may take nothing while something is written to it.
    pub write_timeout: Duration,
    /// How long to wait after the first failure to reach a peer.
    pub backoff_min: Duration,
    /// How long to wait at most. A peer that dials us is tried at once.
    pub backoff_max: Duration,
    /// What the jitter of waiting is drawn from.
    pub seed: u64,
    /// How many snapshots are read by others at one time.
    pub bulk_sessions_max: usize,
    /// How many bytes of snapshots are sent in a second, to all together.
    pub bulk_bytes_per_second: u64,
    /// How much of a snapshot is asked for at a time.
    pub bulk_chunk_bytes: u32,
    /// How long the other end of a snapshot's transfer may be silent.
    pub bulk_timeout: Duration,
}

/// Which limit is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TcpConfigError {
    /// It allows nothing at all.
    #[error("`{0}` must not be zero")]
    Zero(&'static str),
    /// Its two ends are the wrong way round, or out of what this program knows.
    #[error("`versions` must lie within {VERSION_MIN}..={VERSION_MAX}, the older one first")]
    Versions,
    /// The longest wait is shorter than the shortest.
    #[error("`backoff_max` must not be below `backoff_min`")]
    Backoff,
    /// Heartbeats of many groups travel in one frame.
    #[error("`frame_bytes_max` must be at least {}", TcpConfig::FRAME_BYTES_LEAST)]
    Frame,
    /// A chunk of a snapshot does not fit into a frame.
    #[error("`bulk_chunk_bytes` must be well below `frame_bytes_max`")]
    Chunk,
    /// A reader would give up before its chunk came.
    #[error(
        "`bulk_bytes_per_second` is so low that chunks of `bulk_chunk_bytes` for \
         `bulk_sessions_max` readers take longer than half of `bulk_timeout`"
    )]
    Slow,
}

impl TcpConfig {
    /// What a frame takes around a chunk of a snapshot, at most.
    const CHUNK_OVERHEAD_MAX: usize = 64;
    /// The least that the longest frame may be.
    const FRAME_BYTES_LEAST: usize = 256 << 10;

    /// The usual limits.
    #[must_use]
    pub fn new(cluster: u64, node: NodeId, listen: impl Into<String>) -> Self {
        Self {
            cluster,
            node,
            listen: listen.into(),
            advertised: None,
            versions: (VERSION_MIN, VERSION_MAX),
            tls: None,
            frame_bytes_max: 32 << 20,
            queue_bytes_max: 64 << 20,
            queue_parcels_max: 16 << 10,
            strangers_max: 32,
            connections_max: 512,
            connections_per_ip_max: 128,
            handshake_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(6),
            write_timeout: Duration::from_secs(6),
            backoff_min: Duration::from_millis(20),
            backoff_max: Duration::from_secs(1),
            seed: node.0,
            bulk_sessions_max: 4,
            bulk_bytes_per_second: 256 << 20,
            bulk_chunk_bytes: 512 << 10,
            bulk_timeout: Duration::from_secs(20),
        }
    }

    /// Whether a node can talk within these limits.
    ///
    /// # Errors
    /// When not, with the limit that is to blame.
    pub fn validate(&self) -> Result<(), TcpConfigError> {
        let is_zero = [
            ("frame_bytes_max", self.frame_bytes_max == 0),
            ("queue_bytes_max", self.queue_bytes_max == 0),
            ("queue_parcels_max", self.queue_parcels_max == 0),
            ("connections_max", self.connections_max == 0),
            ("connections_per_ip_max", self.connections_per_ip_max == 0),
            ("handshake_timeout", self.handshake_timeout.is_zero()),
            ("idle_timeout", self.idle_timeout.is_zero()),
            ("write_timeout", self.write_timeout.is_zero()),
            ("backoff_min", self.backoff_min.is_zero()),
            ("bulk_sessions_max", self.bulk_sessions_max == 0),
            ("bulk_bytes_per_second", self.bulk_bytes_per_second == 0),
            ("bulk_chunk_bytes", self.bulk_chunk_bytes == 0),
            ("bulk_timeout", self.bulk_timeout.is_zero()),
        ];
        if let Some((name, _)) = is_zero.iter().find(|(_, is_zero)| *is_zero) {
            return Err(TcpConfigError::Zero(name));
        }
        let (oldest, newest) = self.versions;
        if oldest < VERSION_MIN || newest > VERSION_MAX || oldest > newest {
            return Err(TcpConfigError::Versions);
        }
        if self.backoff_max < self.backoff_min {
            return Err(TcpConfigError::Backoff);
        }
        if self.frame_bytes_max < Self::FRAME_BYTES_LEAST {
            return Err(TcpConfigError::Frame);
        }
        if self.bulk_chunk_bytes as usize + Self::CHUNK_OVERHEAD_MAX > self.frame_bytes_max {
            return Err(TcpConfigError::Chunk);
        }
        let at_once = f64::from(self.bulk_chunk_bytes) * self.bulk_sessions_max as f64;
        let per_second = self.bulk_bytes_per_second as f64;
        if at_once > per_second * self.bulk_timeout.as_secs_f64() / 2.0 {
            return Err(TcpConfigError::Slow);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_allow_nothing_are_refused_by_name() {
        let check = |spoil: fn(&mut TcpConfig), expected| {
            let mut config = TcpConfig::new(1, NodeId(1), "127.0.0.1:0");
            spoil(&mut config);
            assert_eq!(config.validate(), expected);
        };
        check(|_| {}, Ok(()));
        check(
            |config| config.queue_parcels_max = 0,
            Err(TcpConfigError::Zero("queue_parcels_max")),
        );
        check(
            |config| config.versions = (2, 1),
            Err(TcpConfigError::Versions),
        );
        check(
            |config| config.versions.1 = VERSION_MAX + 1,
            Err(TcpConfigError::Versions),
        );
        check(
            |config| config.backoff_max = Duration::ZERO,
            Err(TcpConfigError::Backoff),
        );
        check(
            |config| config.frame_bytes_max = 1000,
            Err(TcpConfigError::Frame),
        );
        check(
            |config| config.bulk_chunk_bytes = 1 << 30,
            Err(TcpConfigError::Chunk),
        );
        check(
            |config| config.bulk_bytes_per_second = 1000,
            Err(TcpConfigError::Slow),
        );
    }
}
