//! Where nodes are reached: as the memberships say, and as the nodes themselves said.
//!
//! This file dials nobody, and resolves no name.

use std::collections::BTreeMap;

use raft_core::membership::Membership;
use raft_core::{GroupId, NodeId};

/// Where nodes are reached.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// What the membership of each group says.
    members: BTreeMap<GroupId, BTreeMap<NodeId, String>>,
    /// What a handshake said last, with the number of that handshake. Bounded: the oldest goes.
    learned: BTreeMap<NodeId, (u64, String)>,
    handshakes: u64,
}

impl Addresses {
    /// Of how many nodes an address is remembered that no membership names.
    const LEARNED_MAX: usize = 1024;

    /// From now on the group's members are these. Gives the nodes whose address is another one now.
    pub(crate) fn set_members(&mut self, group: GroupId, membership: &Membership) -> Vec<NodeId> {
        let new: BTreeMap<NodeId, String> = membership
            .members()
            .filter(|(_, member)| !member.address.is_empty())
            .map(|(id, member)| (id, member.address.clone()))
            .collect();
        let old = self.members.insert(group, new).unwrap_or_default();
        let new = &self.members[&group];
        let is_moved = |(id, address): &(&NodeId, &String)| old.get(id) != Some(address);
        new.iter().filter(is_moved).map(|(id, _)| *id).collect()
    }

    /// The node said that it is reached there.
    pub(crate) fn learn(&mut self, node: NodeId, address: String) {
        self.handshakes += 1;
        self.learned.insert(node, (self.handshakes, address));
        if self.learned.len() > Self::LEARNED_MAX {
            let oldest = self.learned.iter().min_by_key(|(_, (age, _))| *age);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.learned.remove(&oldest);
            }
        }
    }

    /// Whether any group names the node.
    pub(crate) fn is_member(&self, node: NodeId) -> bool {
        self.members.values().any(|group| group.contains_key(&node))
    }

    /// Where to try to reach the node, what memberships say first, no address twice.
    pub(crate) fn of(&self, node: NodeId) -> Vec<String> {
        let named = self.members.values().filter_map(|group| group.get(&node));
        let learned = self.learned.get(&node).map(|(_, address)| address);
        let mut all: Vec<String> = Vec::new();
        for address in named.chain(learned) {
            if !all.contains(address) {
                all.push(address.clone());
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use raft_core::Member;

    use super::*;

    fn members(of: &[(u64, &str)]) -> Membership {
        Membership::of_voters(of.iter().map(|(id, at)| (NodeId(*id), Member::at(*at))))
    }

    #[test]
    fn what_a_membership_says_comes_before_what_was_learned() {
        let mut addresses = Addresses::default();
        addresses.learn(NodeId(1), "learned".into());
        assert_eq!(addresses.of(NodeId(1)), ["learned"]);
        addresses.set_members(GroupId(1), &members(&[(1, "a")]));
        addresses.set_members(GroupId(2), &members(&[(1, "a")]));
        assert_eq!(addresses.of(NodeId(1)), ["a", "learned"]);
        assert!(addresses.of(NodeId(2)).is_empty());
    }

    #[test]
    fn only_moved_members_are_told() {
        let mut addresses = Addresses::default();
        let first = addresses.set_members(GroupId(1), &members(&[(1, "a"), (2, "b")]));
        assert_eq!(first, [NodeId(1), NodeId(2)]);
        let second = addresses.set_members(GroupId(1), &members(&[(1, "a"), (2, "c")]));
        assert_eq!(second, [NodeId(2)]);
        addresses.set_members(GroupId(1), &members(&[(2, "c")]));
        assert!(!addresses.is_member(NodeId(1)) && addresses.is_member(NodeId(2)));
    }

    #[test]
    fn the_address_learned_longest_ago_is_forgotten_first() {
        let mut addresses = Addresses::default();
        let count = Addresses::LEARNED_MAX as u64;
        (0..count).for_each(|id| addresses.learn(NodeId(id), "x".into()));
        addresses.learn(NodeId(0), "y".into());
        addresses.learn(NodeId(count), "z".into());
        assert!(addresses.of(NodeId(1)).is_empty());
        assert_eq!(addresses.of(NodeId(0)), ["y"]);
    }
}
