//! Who belongs to the cluster, as a value (Raft §6, dissertation §4).
//!
//! Every change of voters goes through a joint configuration, in which both the old and the new
//! majority must agree; so any set of changes is one change, and there is no second, special way
//! for single servers. This file does not know who leads or what is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::types::{Incarnation, Index, NodeId};

/// What the cluster knows of a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Member {
    /// Where it is reached; the core only carries it.
    pub address: String,
    /// Which life of its storage belongs to the cluster; bound by the leader if not known before.
    pub incarnation: Incarnation,
    /// Members of a higher priority campaign first. All members have the same by default.
    pub priority: u8,
}

impl Member {
    /// The priority of a member for which none was chosen.
    pub const PRIORITY_DEFAULT: u8 = 1;
    /// The longest address that peers take.
    pub const ADDRESS_BYTES_MAX: usize = 1024;

    /// A member at `address`, its incarnation not yet known, with the usual priority.
    #[must_use]
    pub fn at(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            incarnation: Incarnation::UNBOUND,
            priority: Self::PRIORITY_DEFAULT,
        }
    }

    /// Whether peers take it.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.address.len() <= Self::ADDRESS_BYTES_MAX
    }
}

/// One wish within a change of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum MemberChange {
    /// Add a member that receives the log but does not vote, or turn a voter into one.
    Learner(NodeId, Member),
    /// Add a voter, or promote a learner. It votes only after it has caught up.
    Voter(NodeId, Member),
    /// Remove a member.
    Remove(NodeId),
    /// Replace what is known of a member; its part in the quorum stays as it is.
    Update(NodeId, Member),
}

/// Why a change of the configuration was refused before anything was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeError {
    /// No voter would be left.
    NoVoterLeft,
    /// A member is named that the configuration does not hold.
    NotAMember(NodeId),
    /// The same member is named twice.
    NamedTwice(NodeId),
    /// The change would alter nothing.
    Nothing,
    /// The configuration is not the one the change was based on; this is the present one.
    NotBasedOn(Index),
    /// A voter can't be given another life of its storage; remove it, then add it again.
    OtherLife(NodeId),
    /// Another change is under way.
    InProgress,
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVoterLeft => f.write_str("no voter would be left"),
            Self::NotAMember(id) => write!(f, "node {id} is not a member"),
            Self::NamedTwice(id) => write!(f, "node {id} is named twice"),
            Self::Nothing => f.write_str("the change would alter nothing"),
            Self::NotBasedOn(index) => write!(
                f,
                "the configuration is another one now, that of index {index}"
            ),
            Self::OtherLife(id) => write!(
                f,
                "node {id} can't be given another storage; remove it, then add it again"
            ),
            Self::InProgress => f.write_str("another change is under way"),
        }
    }
}

/// A configuration: its members, and whose agreement counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Membership {
    /// Everybody the leader replicates to. Every id in the sets below is a key here.
    members: BTreeMap<NodeId, Member>,
    /// The voters; in a joint configuration those of the new one.
    voters: BTreeSet<NodeId>,
    /// The voters of the old configuration; empty unless joint.
    outgoing: BTreeSet<NodeId>,
    /// The outgoing voters that are no members any more once the joint configuration is left.
    leaving: BTreeSet<NodeId>,
}

impl Membership {
    /// A configuration of voters alone.
    #[must_use]
    pub fn of_voters(voters: impl IntoIterator<Item = (NodeId, Member)>) -> Self {
        let members: BTreeMap<_, _> = voters.into_iter().collect();
        let voters = members.keys().copied().collect();
        Self {
            members,
            voters,
            ..Self::default()
        }
    }

    /// The configuration of these parts; `None` if they can't be one. What [`Membership::members`],
    /// [`Membership::voters`], [`Membership::outgoing`] and [`Membership::leaving`] gave is one.
    #[must_use]
    pub fn from_parts(
        members: BTreeMap<NodeId, Member>,
        voters: BTreeSet<NodeId>,
        outgoing: BTreeSet<NodeId>,
        leaving: BTreeSet<NodeId>,
    ) -> Option<Self> {
        let mut named = voters.union(&outgoing);
        let is_legal = named.all(|id| members.contains_key(id))
            && leaving.is_subset(&outgoing)
            && leaving.is_disjoint(&voters)
            && (outgoing.is_empty() || !voters.is_empty());
        is_legal.then_some(Self {
            members,
            voters,
            outgoing,
            leaving,
        })
    }

    /// All members in the order of their ids, those on their way out included.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        self.members.iter().map(|(id, member)| (*id, member))
    }

    /// What is known of a member.
    #[must_use]
    pub fn get(&self, id: NodeId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// Whether `id` is a member in any role.
    #[must_use]
    pub fn contains(&self, id: NodeId) -> bool {
        self.members.contains_key(&id)
    }

    /// Whether `id` counts in a quorum, be it only of the outgoing configuration.
    #[must_use]
    pub fn is_voter(&self, id: NodeId) -> bool {
        self.voters.contains(&id) || self.outgoing.contains(&id)
    }

    /// Whether `id` will count once a joint configuration is left.
    #[must_use]
    pub fn is_incoming_voter(&self, id: NodeId) -> bool {
        self.voters.contains(&id)
    }

    /// Whether both majorities are needed.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether no member is known: the state of a server that waits to be added.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.members.is_empty()
    }

    /// The voters of the configuration, or of the incoming one if joint.
    #[must_use]
    pub const fn voters(&self) -> &BTreeSet<NodeId> {
        &self.voters
    }

    /// The voters of the outgoing configuration; empty unless joint.
    #[must_use]
    pub const fn outgoing(&self) -> &BTreeSet<NodeId> {
        &self.outgoing
    }

    /// The outgoing voters that are no members any more once the joint configuration is left.
    #[must_use]
    pub const fn leaving(&self) -> &BTreeSet<NodeId> {
        &self.leaving
    }

    /// Whether messages of `id` in this life of its storage are those of the member.
    #[must_use]
    pub fn accepts(&self, id: NodeId, incarnation: Incarnation) -> bool {
        self.members.get(&id).is_some_and(|member| {
            member.incarnation == Incarnation::UNBOUND || member.incarnation == incarnation
        })
    }

    /// The highest priority among the voters: whose turn it is to campaign first.
    #[must_use]
    pub fn priority_max(&self) -> u8 {
        self.voters
            .iter()
            .filter_map(|id| self.get(*id))
            .map(|m| m.priority)
            .max()
            .unwrap_or(0)
    }

    /// The configuration that the changes lead to.
    ///
    /// # Errors
    /// When a change names a member twice or one that is not there, gives a voter another life,
    /// leaves no voter, or alters nothing.
    pub fn changed(&self, changes: &[MemberChange]) -> Result<Self, ChangeError> {
        let mut target = Self {
            members: self.members.clone(),
            voters: self.voters.clone(),
            ..Self::default()
        };
        let mut named = BTreeSet::new();
        for change in changes {
            let id = change.id();
            if self.is_other_life_of_voter(change) {
                return Err(ChangeError::OtherLife(id));
            }
            if !named.insert(id) {
                return Err(ChangeError::NamedTwice(id));
            }
            target.make(change)?;
        }
        if target.voters.is_empty() {
            return Err(ChangeError::NoVoterLeft);
        }
        if target == *self {
            return Err(ChangeError::Nothing);
        }
        Ok(target)
    }

    /// Whether a voter would be given another life of its storage. That is another server, which
    /// counts in no majority that the old one counted in; so it can't take its place in one step.
    fn is_other_life_of_voter(&self, change: &MemberChange) -> bool {
        let new = match change {
            MemberChange::Learner(_, new)
            | MemberChange::Voter(_, new)
            | MemberChange::Update(_, new) => new.incarnation,
            MemberChange::Remove(_) => return false,
        };
        let is_other = |known: &Member| known.incarnation != new;
        new != Incarnation::UNBOUND
            && self.voters.contains(&change.id())
            && self.get(change.id()).is_some_and(is_other)
    }

    fn make(&mut self, change: &MemberChange) -> Result<(), ChangeError> {
        match change {
            MemberChange::Learner(id, member) => {
                self.put(*id, member);
                self.voters.remove(id);
            }
            MemberChange::Voter(id, member) => {
                self.put(*id, member);
                self.voters.insert(*id);
            }
            MemberChange::Remove(id) => {
                self.members
                    .remove(id)
                    .ok_or(ChangeError::NotAMember(*id))?;
                self.voters.remove(id);
            }
            MemberChange::Update(id, member) => {
                self.get(*id).ok_or(ChangeError::NotAMember(*id))?;
                self.put(*id, member);
            }
        }
        Ok(())
    }

    /// An incarnation that is known stays known: a wish that does not name one means the same life.
    fn put(&mut self, id: NodeId, member: &Member) {
        let mut member = member.clone();
        if member.incarnation == Incarnation::UNBOUND
            && let Some(known) = self.get(id)
        {
            member.incarnation = known.incarnation;
        }
        self.members.insert(id, member);
    }

    /// This configuration with the voters of `target` that are no members yet, as learners: the
    /// first step towards `target`. `None` if there are none.
    #[must_use]
    pub fn with_learners_of(&self, target: &Self) -> Option<Self> {
        let mut extended = self.clone();
        for id in &target.voters {
            if let Some(member) = target.members.get(id) {
                extended
                    .members
                    .entry(*id)
                    .or_insert_with(|| member.clone());
            }
        }
        (extended != *self).then_some(extended)
    }

    /// The joint configuration on the way from here to `target`, in which both majorities count.
    /// Where no voter changes, `target` itself: no quorum could disagree.
    #[must_use]
    pub fn towards(&self, target: &Self) -> Self {
        if self.voters == target.voters {
            return target.clone();
        }
        let mut joint = target.clone();
        joint.outgoing.clone_from(&self.voters);
        for id in &self.voters {
            if let Some(member) = self.members.get(id)
                && !target.contains(*id)
            {
                joint.members.insert(*id, member.clone());
                joint.leaving.insert(*id);
            }
        }
        joint
    }

    /// The configuration that follows a joint one: its incoming half alone.
    #[must_use]
    pub fn left(&self) -> Self {
        let mut next = Self {
            members: self.members.clone(),
            ..Self::default()
        };
        next.voters.clone_from(&self.voters);
        next.members.retain(|id, _| !self.leaving.contains(id));
        next
    }

    /// This configuration without the members that `before` does not hold, as far as they are no
    /// voters: takes the first step of a change back.
    #[must_use]
    pub fn without_learners_added_to(&self, before: &Self) -> Self {
        let mut shrunk = self.clone();
        shrunk
            .members
            .retain(|id, _| before.contains(*id) || self.is_voter(*id));
        shrunk
    }

    /// This configuration with the incarnations of members that were not known before.
    #[must_use]
    pub fn with_incarnations(&self, known: &[(NodeId, Incarnation)]) -> Self {
        let mut bound = self.clone();
        for (id, incarnation) in known {
            if let Some(member) = bound.members.get_mut(id) {
                member.incarnation = *incarnation;
            }
        }
        bound
    }
}

impl MemberChange {
    /// The member that it is about.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        match self {
            Self::Learner(id, _) | Self::Voter(id, _) | Self::Remove(id) | Self::Update(id, _) => {
                *id
            }
        }
    }

    /// The member as it is to be, unless it is to be removed.
    #[must_use]
    pub const fn member(&self) -> Option<(NodeId, &Member)> {
        match self {
            Self::Learner(id, member) | Self::Voter(id, member) | Self::Update(id, member) => {
                Some((*id, member))
            }
            Self::Remove(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voters(ids: &[u64]) -> Membership {
        Membership::of_voters(ids.iter().map(|id| (NodeId(*id), Member::at(""))))
    }

    fn voter(id: u64) -> MemberChange {
        MemberChange::Voter(NodeId(id), Member::at(""))
    }

    #[test]
    fn a_change_of_voters_passes_through_both_majorities() {
        let old = voters(&[1, 2, 3]);
        let changes = [
            voter(4),
            MemberChange::Remove(NodeId(1)),
            MemberChange::Learner(NodeId(2), Member::at("")),
        ];
        let target = old.changed(&changes).expect("legal");
        let joint = old.towards(&target);
        assert_eq!(joint.outgoing(), old.voters());
        assert!(
            joint.is_voter(NodeId(1)),
            "the leaving voter counts until the end"
        );
        assert_eq!(joint.left(), target);
        assert!(target.contains(NodeId(2)) && !target.is_voter(NodeId(2)));
    }

    #[test]
    fn a_configuration_is_the_sum_of_its_parts() {
        let old = voters(&[1, 2, 3]);
        let changes = [voter(4), MemberChange::Remove(NodeId(1))];
        let joint = old.towards(&old.changed(&changes).expect("legal"));
        let parts = |outgoing: &BTreeSet<NodeId>| {
            let members = joint.members().map(|(id, member)| (id, member.clone()));
            let (voters, leaving) = (joint.voters().clone(), joint.leaving().clone());
            Membership::from_parts(members.collect(), voters, outgoing.clone(), leaving)
        };
        assert_eq!(parts(joint.outgoing()), Some(joint.clone()));
        assert_eq!(
            parts(&BTreeSet::new()),
            None,
            "one leaves who was not there"
        );
        assert_eq!(
            parts(&BTreeSet::from([NodeId(9)])),
            None,
            "a voter is no member"
        );
    }

    #[test]
    fn a_change_of_learners_needs_no_joint_configuration() {
        let old = voters(&[1]);
        let learner = MemberChange::Learner(NodeId(2), Member::at("b"));
        let target = old.changed(&[learner]).expect("legal");
        assert_eq!(old.towards(&target), target);
    }

    #[test]
    fn illegal_changes_are_refused_with_their_reason() {
        let old = voters(&[1, 2]);
        let remove = |id| MemberChange::Remove(NodeId(id));
        let check = |changes: &[MemberChange], expected| {
            assert_eq!(old.changed(changes), Err(expected), "{changes:?}");
        };
        check(&[remove(1), remove(2)], ChangeError::NoVoterLeft);
        check(&[remove(3)], ChangeError::NotAMember(NodeId(3)));
        check(&[remove(1), voter(1)], ChangeError::NamedTwice(NodeId(1)));
        check(&[voter(1)], ChangeError::Nothing);
        check(&[], ChangeError::Nothing);
        let other = Member {
            incarnation: Incarnation(9),
            ..Member::at("")
        };
        check(
            &[MemberChange::Update(NodeId(1), other)],
            ChangeError::OtherLife(NodeId(1)),
        );
    }

    #[test]
    fn another_life_of_a_member_is_not_the_member() {
        let bound = voters(&[1, 2]).with_incarnations(&[(NodeId(1), Incarnation(7))]);
        assert!(bound.accepts(NodeId(1), Incarnation(7)));
        assert!(!bound.accepts(NodeId(1), Incarnation(8)));
        assert!(bound.accepts(NodeId(2), Incarnation(8)), "not bound yet");
        assert!(!bound.accepts(NodeId(3), Incarnation(1)));
    }
}
