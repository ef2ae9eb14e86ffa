//! Configurations and snapshots, from the core's types to the frozen ones and back.
//!
//! On the way back it is checked that a configuration can be one, that a file's name leads nowhere
//! else, and that lists are in order. This file does not know who sends them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft_core::NodeId;
use raft_core::port;
use raft_core::types::Incarnation;

use super::{Manifest, Member, MemberChange, Membership, SnapshotFile, SnapshotMeta};
use crate::wire::{ADDRESS_BYTES_MAX, WireError};

impl From<&raft_core::Membership> for Membership {
    fn from(membership: &raft_core::Membership) -> Self {
        let ids = |set: &BTreeSet<NodeId>| set.iter().map(|id| id.0).collect();
        let members = membership.members();
        Self {
            members: members.map(|(id, member)| (id.0, member.into())).collect(),
            voters: ids(membership.voters()),
            outgoing: ids(membership.outgoing()),
            leaving: ids(membership.leaving()),
        }
    }
}

impl TryFrom<Membership> for raft_core::Membership {
    type Error = WireError;

    fn try_from(wire: Membership) -> Result<Self, WireError> {
        let ascends = wire.members.is_sorted_by(|one, next| one.0 < next.0);
        if !ascends {
            return Err(WireError::Illegal("members out of order"));
        }
        let mut members = BTreeMap::new();
        for (id, member) in wire.members {
            members.insert(NodeId(id), member.try_into()?);
        }
        let voters = ids(&wire.voters)?;
        Self::from_parts(members, voters, ids(&wire.outgoing)?, ids(&wire.leaving)?)
            .ok_or(WireError::Illegal("a configuration that can't be"))
    }
}

fn ids(wire: &[u64]) -> Result<BTreeSet<NodeId>, WireError> {
    if !wire.is_sorted_by(|one, next| one < next) {
        return Err(WireError::Illegal("members out of order"));
    }
    Ok(wire.iter().copied().map(NodeId).collect())
}

impl From<&raft_core::Member> for Member {
    fn from(member: &raft_core::Member) -> Self {
        Self {
            incarnation: member.incarnation.0,
            priority: member.priority,
            address: member.address.clone(),
        }
    }
}

impl TryFrom<Member> for raft_core::Member {
    type Error = WireError;

    fn try_from(wire: Member) -> Result<Self, WireError> {
        if wire.address.len() > ADDRESS_BYTES_MAX {
            return Err(WireError::Illegal("the address of a member is too long"));
        }
        Ok(Self {
            address: wire.address,
            incarnation: Incarnation(wire.incarnation),
            priority: wire.priority,
        })
    }
}

impl From<&raft_core::MemberChange> for MemberChange {
    fn from(change: &raft_core::MemberChange) -> Self {
        type Core = raft_core::MemberChange;
        match change {
            Core::Learner(id, member) => Self::Learner(id.0, member.into()),
            Core::Voter(id, member) => Self::Voter(id.0, member.into()),
            Core::Remove(id) => Self::Remove(id.0),
            Core::Update(id, member) => Self::Update(id.0, member.into()),
        }
    }
}

impl TryFrom<MemberChange> for raft_core::MemberChange {
    type Error = WireError;

    fn try_from(wire: MemberChange) -> Result<Self, WireError> {
        Ok(match wire {
            MemberChange::Learner(id, member) => Self::Learner(NodeId(id), member.try_into()?),
            MemberChange::Voter(id, member) => Self::Voter(NodeId(id), member.try_into()?),
            MemberChange::Remove(id) => Self::Remove(NodeId(id)),
            MemberChange::Update(id, member) => Self::Update(NodeId(id), member.try_into()?),
        })
    }
}

impl From<&raft_core::SnapshotMeta> for SnapshotMeta {
    fn from(meta: &raft_core::SnapshotMeta) -> Self {
        Self {
            last: meta.last.into(),
            membership_index: meta.membership_index.into(),
            membership: meta.membership.as_ref().into(),
        }
    }
}

impl TryFrom<SnapshotMeta> for raft_core::SnapshotMeta {
    type Error = WireError;

    fn try_from(wire: SnapshotMeta) -> Result<Self, WireError> {
        if wire.membership_index > wire.last.index {
            return Err(WireError::Illegal(
                "a snapshot older than its configuration",
            ));
        }
        Ok(Self {
            last: wire.last.into(),
            membership: Arc::new(wire.membership.try_into()?),
            membership_index: wire.membership_index.into(),
        })
    }
}

impl From<&port::Manifest> for Manifest {
    fn from(manifest: &port::Manifest) -> Self {
        let file = |file: &port::SnapshotFile| SnapshotFile {
            name: file.name.clone(),
            size: file.size,
            hash: file.hash,
        };
        Self {
            meta: manifest.meta.as_ref().into(),
            files: manifest.files.iter().map(file).collect(),
        }
    }
}

impl TryFrom<Manifest> for port::Manifest {
    type Error = WireError;

    fn try_from(wire: Manifest) -> Result<Self, WireError> {
        let mut files: Vec<port::SnapshotFile> = Vec::with_capacity(wire.files.len());
        let mut size = 0_u64;
        for SnapshotFile {
            name,
            size: more,
            hash,
        } in wire.files
        {
            if !port::SnapshotFile::is_name(&name) {
                return Err(WireError::Illegal("a snapshot with a name that is none"));
            }
            if files.last().is_some_and(|before| before.name >= name) {
                return Err(WireError::Illegal("the files of a snapshot out of order"));
            }
            // Whoever shows progress adds the sizes up.
            size = size
                .checked_add(more)
                .ok_or(WireError::Illegal("a snapshot of impossible size"))?;
            files.push(port::SnapshotFile {
                name,
                size: more,
                hash,
            });
        }
        Ok(Self {
            meta: Arc::new(wire.meta.try_into()?),
            files,
        })
    }
}
