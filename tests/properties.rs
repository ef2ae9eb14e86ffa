//! Properties of quorums and configurations, against brute force over all subsets of voters.
//!
//! Cases come from a fixed seed, which is printed, so a failure is the same everywhere; proptest
//! shrinks it. This file knows what the functions promise, not how they keep it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use raft_core::consensus::quorum::{self, Tally};
use raft_core::membership::ChangeError;
use raft_core::{Incarnation, Member, MemberChange, Membership, NodeId};

const QUORUM_CASES: u32 = 200_000;
const WALKS: u32 = 50_000;
/// How many changes a walk consists of.
const WALK_STEPS: usize = 6;
/// Ids are 1 to 7: two clusters of five overlap, and all subsets fit into a byte.
const IDS: u64 = 7;

/// A set of ids, as bits.
type Mask = u8;

const ALL: Mask = (1 << IDS) - 1;

// --- Brute force ---

fn bit(id: NodeId) -> Mask {
    1 << (id.0 - 1)
}

fn ids(mask: Mask) -> impl Iterator<Item = NodeId> {
    (1..=IDS).map(NodeId).filter(move |id| mask & bit(*id) != 0)
}

fn mask(ids: &BTreeSet<NodeId>) -> Mask {
    ids.iter().fold(0, |mask, id| mask | bit(*id))
}

/// More than half of them.
fn is_majority(set: Mask, voters: Mask) -> bool {
    2 * (set & voters).count_ones() > voters.count_ones()
}

/// Raft §6: a majority of each half, if there are two.
fn is_quorum(set: Mask, membership: &Membership) -> bool {
    let outgoing = mask(membership.outgoing());
    is_majority(set, mask(membership.voters())) && (outgoing == 0 || is_majority(set, outgoing))
}

/// Whether each quorum of one shares a member with each of the other. A superset of a quorum is a
/// quorum, so it is enough that no complement of one is one.
fn always_intersect(one: &Membership, other: &Membership) -> bool {
    (0..=ALL).all(|set| !is_quorum(set, one) || !is_quorum(ALL & !set, other))
}

// --- Generators ---

fn member(id: NodeId) -> Member {
    let mut member = Member::at(format!("host-{id}"));
    member.incarnation = Incarnation(id.0);
    member
}

/// A configuration of these voters, on the way from those if both are given.
fn configuration(outgoing: Mask, incoming: Mask) -> Membership {
    let voters = |mask| Membership::of_voters(ids(mask).map(|id| (id, member(id))));
    if outgoing == 0 {
        voters(incoming)
    } else {
        voters(outgoing).towards(&voters(incoming))
    }
}

fn some_voters() -> impl Strategy<Value = Mask> {
    1..=ALL
}

fn any_configuration() -> impl Strategy<Value = Membership> {
    let joint = (some_voters(), some_voters());
    prop_oneof![
        some_voters().prop_map(|voters| configuration(0, voters)),
        joint.prop_map(|(outgoing, incoming)| configuration(outgoing, incoming)),
    ]
}

fn a_change() -> impl Strategy<Value = MemberChange> {
    let id = (1..=IDS).prop_map(NodeId);
    (id, 0..8_u8, any::<bool>()).prop_map(|(id, kind, moved)| {
        let mut wanted = member(id);
        if moved {
            wanted.address.push_str("-new");
            wanted.priority = 2;
        }
        match kind {
            0..3 => MemberChange::Voter(id, wanted),
            3..5 => MemberChange::Learner(id, wanted),
            5..7 => MemberChange::Remove(id),
            _ => MemberChange::Update(id, wanted),
        }
    })
}

type Walk = (Mask, Vec<Vec<MemberChange>>);

fn a_walk() -> impl Strategy<Value = Walk> {
    let wishes = prop_oneof![4 => vec(a_change(), 1..4), 1 => Just(Vec::new())];
    (some_voters(), vec(wishes, 1..=WALK_STEPS))
}

fn check<S: Strategy>(
    name: &str,
    cases: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let seed = [7; 32];
    println!("{name}: {cases} cases, ChaCha seed {seed:?}");
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    if let Err(failure) = TestRunner::new_with_rng(config, rng).run(strategy, test) {
        panic!("{name}: {failure}");
    }
}

// --- Quorums ---

#[test]
fn what_a_quorum_has_reached_is_what_brute_force_finds() {
    let cases = (any_configuration(), vec(0..5_u64, 7));
    check(
        "reached",
        QUORUM_CASES / 2,
        &cases,
        |(membership, values)| {
            let value = |id: NodeId| values[usize::try_from(id.0 - 1).expect("small")];
            let least = |set: Mask| ids(set).map(value).min().unwrap_or(0);
            let quorums = (0..=ALL).filter(|set| is_quorum(*set, &membership));
            let voters = mask(membership.voters()) | mask(membership.outgoing());
            let expected = quorums.map(|set| least(set & voters)).max();
            prop_assert_eq!(Some(quorum::reached(&membership, value)), expected);
            Ok(())
        },
    );
}

#[test]
fn a_vote_stands_as_brute_force_finds() {
    let vote = prop_oneof![Just(None), Just(Some(true)), Just(Some(false))];
    let cases = (any_configuration(), vec(vote, 7));
    check("tally", QUORUM_CASES / 2, &cases, |(membership, votes)| {
        let vote = |id: NodeId| votes[usize::try_from(id.0 - 1).expect("small")];
        let who = |wanted: &[Option<bool>]| -> Mask {
            ids(ALL)
                .filter(|id| wanted.contains(&vote(*id)))
                .map(bit)
                .sum()
        };
        let (granted, hoped) = (who(&[Some(true)]), who(&[Some(true), None]));
        let has_quorum = |set: Mask| (0..=ALL).any(|q| q & !set == 0 && is_quorum(q, &membership));
        let expected = match (has_quorum(granted), has_quorum(hoped)) {
            (true, _) => Tally::Won,
            (false, true) => Tally::Open,
            (false, false) => Tally::Lost,
        };
        prop_assert_eq!(quorum::tally(&membership, vote), expected);
        Ok(())
    });
}

/// Not by chance: every pair of sets of voters.
#[test]
fn quorums_of_one_configuration_always_intersect() {
    let mut configurations = 0;
    for incoming in 1..=ALL {
        for outgoing in 0..=ALL {
            let membership = configuration(outgoing, incoming);
            assert!(always_intersect(&membership, &membership), "{membership:?}");
            assert!(
                is_quorum(ALL, &membership),
                "all together are a quorum: {membership:?}"
            );
            configurations += 1;
        }
    }
    println!("{configurations} configurations");
    assert_eq!(configurations, 127 * 128);
}

/// The reason for joint consensus (Raft §6, Figure 10), and that this test can tell.
#[test]
fn a_jump_from_three_voters_to_five_others_would_be_unsafe() {
    let (three, five) = (configuration(0, 0b0000_0111), configuration(0, 0b0001_1111));
    assert!(!always_intersect(&three, &five));
    assert!(always_intersect(&three, &three.towards(&five)));
    assert!(always_intersect(&three.towards(&five), &five));
}

// --- Configuration walks ---

#[test]
fn walks_of_legal_changes_keep_their_quorums_together() {
    let (mut made, mut refused) = (0_u64, 0_u64);
    let counts = std::cell::RefCell::new((&mut made, &mut refused));
    check("walk", WALKS, &a_walk(), |(voters, steps)| {
        let mut current = configuration(0, voters);
        for changes in &steps {
            let mut counts = counts.borrow_mut();
            match current.changed(changes) {
                Ok(target) => {
                    *counts.0 += 1;
                    target_is_as_wished(&current, changes, &target)?;
                    current = walk(&current, changes, target)?;
                }
                Err(error) => {
                    *counts.1 += 1;
                    refusal_is_true(&current, changes, error)?;
                }
            }
        }
        Ok(())
    });
    println!("{made} changes made, {refused} refused");
    assert!(made > u64::from(WALKS), "too few changes were legal");
    assert!(
        refused > u64::from(WALKS) / 4,
        "too few changes were refused"
    );
}

/// Goes from one configuration to another the way a leader does: learners, joint, target. Each step
/// keeps its quorums together with those of the step before, and can be taken back.
fn walk(
    current: &Membership,
    changes: &[MemberChange],
    target: Membership,
) -> Result<Membership, TestCaseError> {
    let extended = current.with_learners_of(&target);
    let missing = target.voters().iter().any(|id| !current.contains(*id));
    prop_assert_eq!(
        extended.is_some(),
        missing,
        "learners come first if there are new voters"
    );
    let extended = extended.unwrap_or_else(|| current.clone());
    prop_assert_eq!(extended.voters(), current.voters(), "a learner is no voter");
    prop_assert!(target.voters().iter().all(|id| extended.contains(*id)));
    prop_assert_eq!(
        &extended.without_learners_added_to(current),
        current,
        "the way back"
    );
    let again = extended.changed(changes);
    prop_assert_eq!(again.as_ref(), Ok(&target), "the same wish, still");

    let joint = extended.towards(&target);
    prop_assert_eq!(joint.is_joint(), extended.voters() != target.voters());
    prop_assert_eq!(joint.voters(), target.voters());
    if joint.is_joint() {
        prop_assert_eq!(joint.outgoing(), extended.voters());
        prop_assert_eq!(
            &joint.left(),
            &target,
            "the joint one gives way to the target"
        );
    } else {
        prop_assert_eq!(&joint, &target);
    }
    for (before, after) in [(current, &extended), (&extended, &joint), (&joint, &target)] {
        prop_assert!(always_intersect(before, after), "{before:?} and {after:?}");
        voters_are_members(after)?;
    }
    Ok(target)
}

fn voters_are_members(membership: &Membership) -> Result<(), TestCaseError> {
    for id in membership.voters().union(membership.outgoing()) {
        prop_assert!(
            membership.contains(*id),
            "{id} votes and is no member: {membership:?}"
        );
        prop_assert!(membership.is_voter(*id));
    }
    let counted = membership
        .members()
        .filter(|(id, _)| membership.is_voter(*id))
        .count();
    let voters = mask(membership.voters()) | mask(membership.outgoing());
    prop_assert_eq!(counted, voters.count_ones() as usize, "nobody else counts");
    Ok(())
}

/// The wishes, made one by one on plain sets.
fn target_is_as_wished(
    current: &Membership,
    changes: &[MemberChange],
    target: &Membership,
) -> Result<(), TestCaseError> {
    let mut members: BTreeMap<NodeId, Member> = current
        .members()
        .map(|(id, member)| (id, member.clone()))
        .collect();
    let mut voters = current.voters().clone();
    for change in changes {
        match change {
            MemberChange::Voter(id, member) => {
                members.insert(*id, member.clone());
                voters.insert(*id);
            }
            MemberChange::Learner(id, member) => {
                members.insert(*id, member.clone());
                voters.remove(id);
            }
            MemberChange::Update(id, member) => {
                members.insert(*id, member.clone());
            }
            MemberChange::Remove(id) => {
                members.remove(id);
                voters.remove(id);
            }
        }
    }
    prop_assert!(!target.is_joint());
    prop_assert_eq!(target.voters(), &voters);
    let found: BTreeMap<NodeId, Member> = target
        .members()
        .map(|(id, member)| (id, member.clone()))
        .collect();
    prop_assert_eq!(found, members);
    prop_assert!(target != current, "a change changes something");
    voters_are_members(target)
}

/// Whoever is refused gets the true reason.
fn refusal_is_true(
    current: &Membership,
    changes: &[MemberChange],
    error: ChangeError,
) -> Result<(), TestCaseError> {
    let times = |id: NodeId| changes.iter().filter(|change| change.id() == id).count();
    let true_reason = match error {
        ChangeError::NamedTwice(id) => times(id) > 1,
        ChangeError::NotAMember(id) => !current.contains(id),
        ChangeError::NoVoterLeft => {
            let kept = |id: &NodeId| {
                !changes
                    .iter()
                    .any(|change| change.id() == *id && takes_the_vote(change))
            };
            let added = |change: &MemberChange| matches!(change, MemberChange::Voter(..));
            !current.voters().iter().any(kept) && !changes.iter().any(added)
        }
        ChangeError::Nothing => changes.iter().all(|change| times(change.id()) == 1),
        // The generator names one life a member, and nobody else changes anything meanwhile.
        ChangeError::NotBasedOn(_) | ChangeError::OtherLife(_) | ChangeError::InProgress => false,
    };
    prop_assert!(true_reason, "{error:?} to {changes:?} of {current:?}");
    Ok(())
}

fn takes_the_vote(change: &MemberChange) -> bool {
    match change {
        MemberChange::Learner(..) | MemberChange::Remove(_) => true,
        MemberChange::Voter(..) | MemberChange::Update(..) => false,
    }
}
