//! Little-endian numbers and the values made of them, as they lie on the disk. Version 1.
//!
//! What is encoded here is frozen: a change of it is a new version. Decoding never trusts a length
//! and never panics. This file does not know of files, checksums or records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft_core::types::{Incarnation, Index, NodeId, Position, Term};
use raft_core::{Member, Membership, SnapshotMeta};

/// Appends values to bytes.
pub(crate) struct Encoder<'a>(pub(crate) &'a mut Vec<u8>);

impl Encoder<'_> {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// How many of something follow.
    pub(crate) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).expect("lists in memory are shorter than 2^32"));
    }

    pub(crate) fn position(&mut self, position: Position) {
        self.u64(position.term.0);
        self.u64(position.index.0);
    }

    pub(crate) fn membership(&mut self, membership: &Membership) {
        self.count(membership.members().count());
        for (id, member) in membership.members() {
            self.u64(id.0);
            self.u64(member.incarnation.0);
            self.u8(member.priority);
            self.text(&member.address);
        }
        for set in [
            membership.voters(),
            membership.outgoing(),
            membership.leaving(),
        ] {
            self.count(set.len());
            for id in set {
                self.u64(id.0);
            }
        }
    }

    pub(crate) fn snapshot_meta(&mut self, meta: &SnapshotMeta) {
        self.position(meta.last);
        self.u64(meta.membership_index.0);
        self.membership(&meta.membership);
    }
}

/// Takes values from the front of bytes; `None` when they can't be there.
pub(crate) struct Decoder<'a>(pub(crate) &'a [u8]);

impl<'a> Decoder<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        Some(self.bytes(1)?[0])
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        let bytes = self.bytes(4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        let bytes = self.bytes(8)?.try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        let count = self.count()?;
        String::from_utf8(self.bytes(count)?.to_vec()).ok()
    }

    pub(crate) fn count(&mut self) -> Option<usize> {
        usize::try_from(self.u32()?).ok()
    }

    pub(crate) fn position(&mut self) -> Option<Position> {
        let term = Term(self.u64()?);
        Some(Position::new(term, Index(self.u64()?)))
    }

    pub(crate) fn membership(&mut self) -> Option<Membership> {
        let mut members = BTreeMap::new();
        for _ in 0..self.count()? {
            let id = NodeId(self.u64()?);
            let incarnation = Incarnation(self.u64()?);
            let priority = self.u8()?;
            let address = self.text()?;
            let member = Member {
                address,
                incarnation,
                priority,
            };
            members.insert(id, member);
        }
        let voters = self.ids()?;
        let outgoing = self.ids()?;
        let leaving = self.ids()?;
        Membership::from_parts(members, voters, outgoing, leaving)
    }

    fn ids(&mut self) -> Option<BTreeSet<NodeId>> {
        let mut ids = BTreeSet::new();
        for _ in 0..self.count()? {
            ids.insert(NodeId(self.u64()?));
        }
        Some(ids)
    }

    pub(crate) fn snapshot_meta(&mut self) -> Option<SnapshotMeta> {
        let last = self.position()?;
        let membership_index = Index(self.u64()?);
        let membership = Arc::new(self.membership()?);
        Some(SnapshotMeta {
            last,
            membership,
            membership_index,
        })
    }

    /// Says that nothing may be left.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_core::MemberChange;

    fn joint() -> Membership {
        let member = |id: u64| (NodeId(id), Member::at(format!("host-{id}:2380")));
        let old = Membership::of_voters([member(1), member(2), member(3)]);
        let changes = [
            MemberChange::Voter(NodeId(4), Member::at("four")),
            MemberChange::Learner(NodeId(5), Member::at("")),
            MemberChange::Remove(NodeId(1)),
        ];
        old.towards(&old.changed(&changes).expect("legal"))
    }

    #[test]
    fn a_snapshot_meta_survives_and_no_part_of_it_does() {
        let meta = SnapshotMeta {
            last: Position::new(Term(7), Index(900)),
            membership: Arc::new(joint()),
            membership_index: Index(899),
        };
        let mut bytes = Vec::new();
        Encoder(&mut bytes).snapshot_meta(&meta);
        let mut decoder = Decoder(&bytes);
        assert_eq!(decoder.snapshot_meta(), Some(meta));
        assert_eq!(decoder.end(), Some(()));
        for length in 0..bytes.len() {
            assert_eq!(Decoder(&bytes[..length]).snapshot_meta(), None);
        }
    }

    #[test]
    fn a_huge_count_is_refused_without_memory() {
        assert_eq!(Decoder(&[0xff; 64]).membership(), None);
        assert_eq!(Decoder(&[0xff; 64]).text(), None);
    }
}
