//! Quorums, worked out a second time: the ghost must not believe the code that it judges.
//!
//! Deliberately plain, and not shared with the core. Learners appear nowhere: only voters count.

use std::collections::BTreeSet;

use crate::membership::Membership;
use crate::types::NodeId;

/// With more voters than this in two configurations together, they are not compared one by one.
const BRUTE_FORCE_MAX: usize = 20;

/// Whether those for whom `agrees` holds are a quorum; in a joint configuration of both halves.
pub(super) fn agrees(membership: &Membership, agrees: impl Fn(NodeId) -> bool) -> bool {
    let majority = |voters: &BTreeSet<NodeId>| {
        2 * voters.iter().filter(|id| agrees(**id)).count() > voters.len()
    };
    majority(membership.voters()) && (!membership.is_joint() || majority(membership.outgoing()))
}

/// Whether every quorum of one configuration has a member in common with every quorum of the
/// other: what makes it safe that some servers use one and some the other (§6).
pub(super) fn intersect(one: &Membership, other: &Membership) -> bool {
    if halves_meet(one, other) {
        return true;
    }
    let all: Vec<NodeId> = all_voters(one).chain(all_voters(other)).collect();
    let all: Vec<NodeId> = BTreeSet::from_iter(all).into_iter().collect();
    all.len() <= BRUTE_FORCE_MAX && !any_split(&all, one, other)
}

/// The quick answer, for nearly all that is asked: if all majorities of some half of one meet all
/// of some half of the other, then so do the quorums. Not the other way round.
fn halves_meet(one: &Membership, other: &Membership) -> bool {
    halves(one).any(|a| halves(other).any(|b| majorities_meet(a, b)))
}

fn halves(membership: &Membership) -> impl Iterator<Item = &BTreeSet<NodeId>> {
    let outgoing = membership.is_joint().then_some(membership.outgoing());
    std::iter::once(membership.voters()).chain(outgoing)
}

/// Two majorities can avoid each other only if what they lack outside of the common voters fits
/// into the common voters without overlap.
fn majorities_meet(one: &BTreeSet<NodeId>, other: &BTreeSet<NodeId>) -> bool {
    if one.is_empty() || other.is_empty() {
        return false;
    }
    let common = one.intersection(other).count();
    let lacks = |set: &BTreeSet<NodeId>| (set.len() / 2 + 1).saturating_sub(set.len() - common);
    lacks(one) + lacks(other) > common
}

fn all_voters(membership: &Membership) -> impl Iterator<Item = NodeId> {
    membership
        .voters()
        .iter()
        .chain(membership.outgoing())
        .copied()
}

/// Whether the voters can be split so that one side is a quorum of the one configuration and the
/// rest a quorum of the other.
fn any_split(all: &[NodeId], one: &Membership, other: &Membership) -> bool {
    (0_u32..1 << all.len()).any(|side| {
        let is_on_side = |id: NodeId| {
            all.binary_search(&id)
                .is_ok_and(|place| side & (1 << place) != 0)
        };
        agrees(one, is_on_side) && agrees(other, |id| !is_on_side(id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::{Member, MemberChange};

    fn voters(bits: u32) -> Membership {
        let ids = (0..32).filter(|id| bits & (1 << id) != 0);
        Membership::of_voters(ids.map(|id| (NodeId(id), Member::at(""))))
    }

    fn joint(from: &Membership, to: &Membership) -> Membership {
        let removed = from
            .voters()
            .difference(to.voters())
            .map(|id| MemberChange::Remove(*id));
        let added = to.voters().difference(from.voters());
        let added = added.map(|id| MemberChange::Voter(*id, Member::at("")));
        let changes: Vec<_> = removed.chain(added).collect();
        from.changed(&changes)
            .map_or_else(|_| from.clone(), |target| from.towards(&target))
    }

    fn brute(one: &Membership, other: &Membership) -> bool {
        let all: BTreeSet<_> = all_voters(one).chain(all_voters(other)).collect();
        !any_split(&all.into_iter().collect::<Vec<_>>(), one, other)
    }

    /// The arithmetic is exact for plain configurations, and never too kind for joint ones.
    #[test]
    fn the_quick_answer_agrees_with_brute_force() {
        let (mut met, mut split) = (0, 0);
        for one in 1..64 {
            for other in 1..64 {
                let (one, other) = (voters(one), voters(other));
                let meets = halves_meet(&one, &other);
                assert_eq!(meets, brute(&one, &other), "{one:?} {other:?}");
                *(if meets { &mut met } else { &mut split }) += 1;
            }
        }
        assert!(met > 100 && split > 100);
        for from in 1..32 {
            for to in 1..32 {
                let joint = joint(&voters(from), &voters(to));
                for other in (1..32).map(voters) {
                    assert!(!halves_meet(&joint, &other) || brute(&joint, &other));
                    assert_eq!(intersect(&joint, &other), brute(&joint, &other));
                }
            }
        }
    }

    #[test]
    fn a_joint_configuration_meets_both_of_its_sides() {
        let (old, new) = (voters(0b000_111), voters(0b111_000));
        let joint = joint(&old, &new);
        assert!(!intersect(&old, &new));
        assert!(intersect(&old, &joint) && intersect(&joint, &new));
        assert!(!intersect(&joint, &voters(0b1000_0000)));
    }

    #[test]
    fn one_server_more_or_less_is_safe_two_are_not() {
        assert!(intersect(&voters(0b0111), &voters(0b1111)));
        assert!(intersect(&voters(0b1111), &voters(0b1_1111)));
        assert!(!intersect(&voters(0b0111), &voters(0b1_1111)));
    }

    #[test]
    fn learners_do_not_count() {
        let learner = MemberChange::Learner(NodeId(3), Member::at(""));
        let three = voters(0b0111).changed(&[learner]).expect("legal");
        assert!(!agrees(&three, |id| id.0 == 3 || id.0 == 0));
        assert!(agrees(&three, |id| id.0 == 1 || id.0 == 0));
        assert!(!agrees(&Membership::default(), |_| true));
    }
}
