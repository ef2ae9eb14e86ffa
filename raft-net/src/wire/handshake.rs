//! The first words on a connection: who calls, who answers, and why not.
//!
//! Their form is the same in every version, since they are how a version is agreed upon. They grow
//! by extensions. This file does not know whom to let in.

use bytes::BytesMut;
use raft_core::NodeId;
use serde::{Deserialize, Serialize};

use super::{ADDRESS_BYTES_MAX, VERSION_FIXED, WireError, body, kind};
use crate::frame::Frame;

/// What every hello begins with: a stranger who speaks something else is noticed at once.
const MAGIC: [u8; 4] = *b"RAFT";

/// What the one who dialed says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The oldest and the newest version that it understands.
    pub versions: (u8, u8),
    /// To which cluster it belongs.
    pub cluster: u64,
    /// Who it is.
    pub from: NodeId,
    /// Whom it wants to reach; whoever listens there if `None`.
    pub to: Option<NodeId>,
    /// For what the connection is.
    pub lane: Lane,
    /// What it can do beyond the version, a bit each.
    pub features: u64,
    /// The address where it is reached.
    pub advertised: String,
}

/// For what a connection is. Two, so that no heartbeat waits behind a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Parcels.
    Consensus,
    /// Snapshots.
    Bulk,
}

/// What the one who listens answers if it agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// What both speak from now on.
    pub version: u8,
    /// To which cluster it belongs.
    pub cluster: u64,
    /// Who it is.
    pub from: NodeId,
    /// What it can do beyond the version, a bit each.
    pub features: u64,
}

/// What the one who listens answers before it closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// No version is understood by both. These are the ones of who answers.
    Version {
        /// The oldest.
        min: u8,
        /// The newest.
        max: u8,
    },
    /// It belongs to this cluster, not to the one of the hello.
    Cluster(u64),
    /// It is this node, not the one that was wanted.
    Node(NodeId),
    /// Too many are connected; try again later.
    Busy,
    /// The certificate does not allow to be who the hello says.
    Unauthorized,
}

impl Hello {
    /// Appends it as a frame.
    pub fn encode(&self, out: &mut BytesMut) {
        let wire = WireHello {
            magic: MAGIC,
            versions: self.versions,
            cluster: self.cluster,
            from: self.from.0,
            to: self.to.map(|node| node.0),
            lane: match self.lane {
                Lane::Consensus => WireLane::Consensus,
                Lane::Bulk => WireLane::Bulk,
            },
            features: self.features,
            advertised: &self.advertised,
        };
        body::put((kind::HELLO, VERSION_FIXED), &wire, out, |_| {});
    }

    /// Reads it from a frame.
    ///
    /// # Errors
    /// When the frame is anything else.
    pub fn decode(frame: &Frame) -> Result<Self, WireError> {
        expect(frame, kind::HELLO)?;
        let wire: WireHello<'_> = body::take_alone(frame)?;
        let (min, max) = wire.versions;
        if wire.magic != MAGIC {
            return Err(WireError::Illegal("not the hello of a Raft node"));
        }
        if min == 0 || min > max {
            return Err(WireError::Illegal("an impossible range of versions"));
        }
        if wire.advertised.len() > ADDRESS_BYTES_MAX {
            return Err(WireError::Illegal("the address of a node is too long"));
        }
        Ok(Self {
            versions: wire.versions,
            cluster: wire.cluster,
            from: NodeId(wire.from),
            to: wire.to.map(NodeId),
            lane: match wire.lane {
                WireLane::Consensus => Lane::Consensus,
                WireLane::Bulk => Lane::Bulk,
            },
            features: wire.features,
            advertised: wire.advertised.to_owned(),
        })
    }
}

impl Welcome {
    /// Appends it as a frame.
    pub fn encode(&self, out: &mut BytesMut) {
        let wire = WireWelcome {
            version: self.version,
            cluster: self.cluster,
            from: self.from.0,
            features: self.features,
        };
        body::put((kind::WELCOME, VERSION_FIXED), &wire, out, |_| {});
    }

    /// Reads it from a frame.
    ///
    /// # Errors
    /// When the frame is anything else. The version may be any: who dialed knows what it offered.
    pub fn decode(frame: &Frame) -> Result<Self, WireError> {
        expect(frame, kind::WELCOME)?;
        let wire: WireWelcome = body::take_alone(frame)?;
        Ok(Self {
            version: wire.version,
            cluster: wire.cluster,
            from: NodeId(wire.from),
            features: wire.features,
        })
    }
}

impl Rejection {
    /// Appends it as a frame.
    pub fn encode(&self, out: &mut BytesMut) {
        let wire = match *self {
            Self::Version { min, max } => WireRejection::Version { min, max },
            Self::Cluster(cluster) => WireRejection::Cluster(cluster),
            Self::Node(node) => WireRejection::Node(node.0),
            Self::Busy => WireRejection::Busy,
            Self::Unauthorized => WireRejection::Unauthorized,
        };
        body::put((kind::REJECTION, VERSION_FIXED), &wire, out, |_| {});
    }

    /// Reads it from a frame.
    ///
    /// # Errors
    /// When the frame is anything else.
    pub fn decode(frame: &Frame) -> Result<Self, WireError> {
        expect(frame, kind::REJECTION)?;
        Ok(match body::take_alone(frame)? {
            WireRejection::Version { min, max } => Self::Version { min, max },
            WireRejection::Cluster(cluster) => Self::Cluster(cluster),
            WireRejection::Node(node) => Self::Node(NodeId(node)),
            WireRejection::Busy => Self::Busy,
            WireRejection::Unauthorized => Self::Unauthorized,
        })
    }
}

/// Says that a frame is of a kind that has one version only.
pub(super) fn expect(frame: &Frame, kind: u8) -> Result<(), WireError> {
    if frame.kind != kind {
        return Err(WireError::Kind(frame.kind));
    }
    if frame.version != VERSION_FIXED {
        return Err(WireError::Version(frame.version));
    }
    Ok(())
}

// Frozen from here on: a variant may be added at the end of an enum, nothing else may change.

#[derive(Serialize, Deserialize)]
struct WireHello<'a> {
    magic: [u8; 4],
    versions: (u8, u8),
    cluster: u64,
    from: u64,
    to: Option<u64>,
    lane: WireLane,
    features: u64,
    advertised: &'a str,
}

#[derive(Serialize, Deserialize)]
enum WireLane {
    Consensus,
    Bulk,
}

#[derive(Serialize, Deserialize)]
struct WireWelcome {
    version: u8,
    cluster: u64,
    from: u64,
    features: u64,
}

#[derive(Serialize, Deserialize)]
enum WireRejection {
    Version { min: u8, max: u8 },
    Cluster(u64),
    Node(u64),
    Busy,
    Unauthorized,
}
