//! Majorities, and the joint rule: with two configurations in force both majorities must agree.
//!
//! Joint consensus (Raft §6) needs nothing but "ask each half, take the lesser answer"; so no other
//! file distinguishes the joint case. This file knows only sets of ids.

use std::collections::BTreeSet;

use crate::membership::Membership;
use crate::types::NodeId;

/// How a vote stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// A quorum agreed.
    Won,
    /// A quorum can't agree any more.
    Lost,
    /// It is open.
    Open,
}

/// How many of `voters` make a majority.
#[must_use]
pub const fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// The highest value that a quorum of the configuration has reached, `reached` being each voter's
/// own. With no voters nothing is ever reached: the least value.
pub fn reached<T: Ord + Copy + Default>(
    membership: &Membership,
    reached: impl Fn(NodeId) -> T,
) -> T {
    let incoming = reached_by_majority(membership.voters(), &reached);
    if membership.is_joint() {
        incoming.min(reached_by_majority(membership.outgoing(), &reached))
    } else {
        incoming
    }
}

/// As many voters as fit here are sorted without an allocation.
const INLINE: usize = 15;

fn reached_by_majority<T: Ord + Copy + Default>(
    voters: &BTreeSet<NodeId>,
    reached: impl Fn(NodeId) -> T,
) -> T {
    if voters.is_empty() {
        return T::default();
    }
    let mut inline = [T::default(); INLINE];
    let mut spilled = Vec::new();
    let values = if let Some(room) = inline.get_mut(..voters.len()) {
        room
    } else {
        spilled.resize(voters.len(), T::default());
        spilled.as_mut_slice()
    };
    // Sorted while gathered: there are few.
    for (count, id) in voters.iter().enumerate() {
        let value = reached(*id);
        let at = values[..count].partition_point(|smaller| *smaller <= value);
        values.copy_within(at..count, at + 1);
        values[at] = value;
    }
    // Ascending: from here to the end there are exactly a majority of values, all at least this.
    values[voters.len() - majority(voters.len())]
}

/// How a vote stands, `vote` being each voter's answer if it gave one.
pub fn tally(membership: &Membership, vote: impl Fn(NodeId) -> Option<bool>) -> Tally {
    let incoming = tally_of(membership.voters(), &vote);
    if !membership.is_joint() {
        return incoming;
    }
    match (incoming, tally_of(membership.outgoing(), &vote)) {
        (Tally::Won, Tally::Won) => Tally::Won,
        (Tally::Lost, _) | (_, Tally::Lost) => Tally::Lost,
        (Tally::Won | Tally::Open, Tally::Won | Tally::Open) => Tally::Open,
    }
}

fn tally_of(voters: &BTreeSet<NodeId>, vote: impl Fn(NodeId) -> Option<bool>) -> Tally {
    let (mut granted, mut open) = (0, 0);
    for id in voters {
        match vote(*id) {
            Some(true) => granted += 1,
            Some(false) => {}
            None => open += 1,
        }
    }
    let needed = majority(voters.len());
    if granted >= needed {
        Tally::Won
    } else if granted + open < needed {
        Tally::Lost
    } else {
        Tally::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::{Member, MemberChange};

    fn voters(ids: &[u64]) -> Membership {
        Membership::of_voters(ids.iter().map(|id| (NodeId(*id), Member::at(""))))
    }

    #[test]
    fn a_majority_is_more_than_half() {
        for (size, expected) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)] {
            assert_eq!(majority(size), expected, "of {size}");
        }
    }

    #[test]
    fn the_value_reached_is_the_least_of_the_best_majority() {
        let check = |values: &[u64], expected: u64| {
            let ids: Vec<u64> = (0..values.len() as u64).collect();
            let value = |id: NodeId| values[usize::try_from(id.0).expect("small")];
            assert_eq!(reached(&voters(&ids), value), expected, "{values:?}");
        };
        check(&[], 0);
        check(&[7], 7);
        check(&[7, 3], 3);
        check(&[7, 3, 5], 5);
        check(&[9, 1, 1, 9], 1);
        check(&[1, 2, 3, 4, 5], 3);
        let many: Vec<u64> = (0..31).collect();
        check(&many, 15);
    }

    #[test]
    fn a_joint_configuration_takes_the_lesser_half() {
        let old = voters(&[1, 2, 3]);
        let changes = [
            MemberChange::Remove(NodeId(1)),
            MemberChange::Remove(NodeId(2)),
            MemberChange::Voter(NodeId(4), Member::at("")),
            MemberChange::Voter(NodeId(5), Member::at("")),
        ];
        let joint = old.towards(&old.changed(&changes).expect("legal"));
        let value = |id: NodeId| if id.0 <= 3 { 10 } else { 4 };
        assert_eq!(reached(&joint, value), 4);
        assert_eq!(tally(&joint, |id| (id.0 <= 3).then_some(true)), Tally::Open);
        assert_eq!(tally(&joint, |id| Some(id.0 <= 3)), Tally::Lost);
        assert_eq!(tally(&joint, |_| Some(true)), Tally::Won);
    }

    #[test]
    fn nobody_elects_nobody() {
        assert_eq!(tally(&Membership::default(), |_| Some(true)), Tally::Lost);
    }
}
