//! The operator of the cluster: changes its members and moves leadership, sensibly but at any time.
//!
//! It sees what an operator sees, a leader and its configuration. The one thing it never does is to
//! change members while a member's disk is known to have lost something, but to bring that member
//! back. This file does not know how a change is carried out.

use super::effects::OPERATOR_TICKET;
use super::{World, standing};
use crate::event::Event;
use crate::membership::{Member, MemberChange, Membership};
use crate::sim::ghost::Violation;
use crate::sim::net::{id_at, place};
use crate::sim::node::Standing;
use crate::sim::rng::Rng;
use crate::types::{Index, NodeId, Term, Ticket};

/// What the operator remembers.
#[derive(Default)]
pub(super) struct Operator {
    last_ticket: u64,
    /// Changes that have not ended, as far as is known.
    open: Vec<Open>,
}

/// A change asked of one leader in one term.
struct Open {
    ticket: Ticket,
    node: usize,
    epoch: u32,
    term: Term,
}

/// A change of members that the operator may have in mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Something for each of a few nodes.
    Anything,
    RemoveLeader,
    AddLearner,
    Promote,
    /// A server that was a member once, with all that it has on its disk.
    Readd,
}

impl Operator {
    /// A request was answered, one way or the other.
    pub(super) fn ended(&mut self, ticket: Ticket) {
        self.open.retain(|open| open.ticket != ticket);
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(OPERATOR_TICKET | self.last_ticket)
    }
}

impl World {
    /// Whether a change of members that was asked for may still be going on at its leader.
    pub(super) fn is_changing(&self) -> bool {
        self.operator.open.iter().any(|open| {
            let node = &self.nodes[open.node];
            node.epoch == open.epoch && node.raft.as_ref().is_some_and(|r| r.term() == open.term)
        })
    }

    /// Asks the leader for such a change of members. False if none does.
    pub(super) fn change_members(&mut self, wish: Wish, amount: u64) -> Result<bool, Violation> {
        self.settle_standing();
        let Some(leader) = self.leader() else {
            return Ok(false);
        };
        let mut rng = Rng::new(amount);
        let changes = self.draw_changes(wish, leader, &mut rng);
        if changes.is_empty() {
            return Ok(false);
        }
        let index = self.nodes[leader]
            .raft
            .as_ref()
            .map(crate::Raft::membership_index);
        let based_on = match rng.below(10) {
            0 => index.map(Index::prev),
            1..4 => None,
            _ => index,
        };
        self.ask_for(leader, based_on, changes)?;
        Ok(true)
    }

    /// Asks a leader for these changes.
    pub(super) fn ask_for(
        &mut self,
        leader: usize,
        based_on: Option<Index>,
        changes: Vec<MemberChange>,
    ) -> Result<(), Violation> {
        let ticket = self.operator.ticket();
        let node = &self.nodes[leader];
        let term = node.raft.as_ref().map_or(Term(0), crate::Raft::term);
        self.operator.open.push(Open {
            ticket,
            node: leader,
            epoch: node.epoch,
            term,
        });
        self.receive(
            leader,
            Event::ChangeMembership {
                ticket,
                based_on,
                changes,
            },
        )
    }

    /// Asks the leader to hand over. False if there is none.
    pub(super) fn transfer(&mut self, amount: u64) -> Result<bool, Violation> {
        let Some(leader) = self.leader() else {
            return Ok(false);
        };
        let mut rng = Rng::new(amount);
        let target = rng
            .chance(600_000)
            .then(|| id_at(rng.place(self.nodes.len())));
        let ticket = self.operator.ticket();
        self.receive(leader, Event::TransferLeadership { ticket, target })?;
        Ok(true)
    }

    /// Takes the change under way back. False if nobody leads.
    pub(super) fn abort_change(&mut self) -> Result<bool, Violation> {
        let Some(leader) = self.leader() else {
            return Ok(false);
        };
        self.receive(leader, Event::AbortMembershipChange)?;
        Ok(true)
    }

    fn draw_changes(&self, wish: Wish, leader: usize, rng: &mut Rng) -> Vec<MemberChange> {
        let Some(raft) = &self.nodes[leader].raft else {
            return Vec::new();
        };
        let membership = raft.membership();
        if let Some(unsound) = self.unsound()
            && membership.contains(self.nodes[unsound].id)
        {
            return self
                .bring_back(unsound, membership, rng.below(4))
                .into_iter()
                .collect();
        }
        let mut ids: Vec<NodeId> = (0..self.nodes.len()).map(id_at).collect();
        rng.shuffle(&mut ids);
        let first = |fits: &dyn Fn(NodeId) -> bool| ids.iter().copied().find(|id| fits(*id));
        let outside = |id| !membership.contains(id);
        let change = match wish {
            Wish::RemoveLeader => Some(MemberChange::Remove(raft.id())),
            Wish::AddLearner => {
                first(&outside).map(|id| MemberChange::Learner(id, self.described(id, rng)))
            }
            Wish::Promote => first(&|id| membership.contains(id) && !membership.is_voter(id))
                .and_then(|id| Some(MemberChange::Voter(id, membership.get(id)?.clone()))),
            Wish::Readd => {
                let used = |id| outside(id) && self.nodes[place(id)].disk.last() > Index(0);
                first(&used).map(|id| MemberChange::Voter(id, self.described(id, rng)))
            }
            Wish::Anything => {
                ids.truncate(1 + rng.place(3));
                return self.draw_many(&ids, membership, rng);
            }
        };
        let change: Vec<MemberChange> = change.into_iter().collect();
        if membership.changed(&change).is_ok() {
            change
        } else {
            Vec::new()
        }
    }

    /// Something for each of these nodes, as far as a voter is left.
    fn draw_many(
        &self,
        ids: &[NodeId],
        membership: &Membership,
        rng: &mut Rng,
    ) -> Vec<MemberChange> {
        let mut changes = Vec::new();
        for id in ids {
            let change = match (membership.get(*id), membership.is_voter(*id)) {
                (None, _) if rng.chance(700_000) => {
                    MemberChange::Voter(*id, self.described(*id, rng))
                }
                (None, _) => MemberChange::Learner(*id, self.described(*id, rng)),
                (Some(known), true) => match rng.below(10) {
                    0..5 => MemberChange::Remove(*id),
                    5..8 => MemberChange::Learner(*id, known.clone()),
                    _ => MemberChange::Update(*id, moved(known, rng)),
                },
                (Some(known), false) if rng.chance(600_000) => {
                    MemberChange::Voter(*id, known.clone())
                }
                (Some(_), false) => MemberChange::Remove(*id),
            };
            changes.push(change);
            if membership.changed(&changes).is_err() {
                changes.pop();
            }
        }
        changes
    }

    /// A member as the operator describes it: sometimes with the life that its disk is in now.
    fn described(&self, id: NodeId, rng: &mut Rng) -> Member {
        let mut member = self.member(id);
        if rng.chance(400_000) {
            member.incarnation = self.nodes[place(id)].disk.incarnation();
        }
        member
    }

    /// The next step to make a wiped member useful again. `way` is how, where there is a choice: a
    /// voter can only be removed, and added again as if it had never been there.
    pub(super) fn bring_back(
        &self,
        node: usize,
        membership: &Membership,
        way: u64,
    ) -> Option<MemberChange> {
        let node = &self.nodes[node];
        let known = membership.get(node.id)?;
        if node.standing != Standing::Wiped || !standing::is_other_life(known, &node.disk) {
            return None;
        }
        let member = Member {
            incarnation: node.disk.incarnation(),
            ..known.clone()
        };
        let wishes = [
            MemberChange::Update(node.id, member.clone()),
            MemberChange::Learner(node.id, member),
            MemberChange::Remove(node.id),
        ];
        let first = usize::try_from(way).unwrap_or(0).min(wishes.len());
        let (later, sooner) = wishes.split_at(first);
        let legal = |wish: &&MemberChange| membership.changed(std::slice::from_ref(wish)).is_ok();
        sooner.iter().chain(later).find(legal).cloned()
    }
}

/// A member that lives at another address now, and has perhaps another priority.
fn moved(known: &Member, rng: &mut Rng) -> Member {
    let priority = if rng.chance(300_000) {
        rng.place(4) as u8
    } else {
        known.priority
    };
    Member {
        address: format!("m{}", rng.below(1000)),
        priority,
        ..known.clone()
    }
}
