//! Whose disk may be harmed, and when the harm is undone.
//!
//! Raft stands the loss of what one server acknowledged only if that server does not speak up as if
//! it had lost nothing, and if enough others have everything. So one disk is harmed at a time, and
//! a wiped one only when every server that could count its vote knows which life of it counts.
//! This file does not harm anybody itself.

use std::sync::Arc;

use super::World;
use crate::membership::{Member, Membership};
use crate::sim::disk::Disk;
use crate::sim::node::{Node, Standing};
use crate::types::{Incarnation, Index, NodeId};

/// A configuration as one server sees it, and the index of its entry.
type View = (Index, Arc<Membership>);

/// Whether the configuration names another life of the member than the disk is in.
pub(super) fn is_other_life(known: &Member, disk: &Disk) -> bool {
    known.incarnation != Incarnation::UNBOUND && known.incarnation != disk.incarnation()
}

impl World {
    /// The node whose disk was harmed and is not well again.
    pub(super) fn unsound(&self) -> Option<usize> {
        self.nodes
            .iter()
            .position(|node| node.standing != Standing::Sound)
    }

    /// Finds out whether the harm to a disk is undone by now.
    pub(super) fn settle_standing(&mut self) {
        let Some(place) = self.unsound() else { return };
        let node = &self.nodes[place];
        let well = match node.standing {
            Standing::Sound => true,
            Standing::TailLost => {
                let votes = node
                    .raft
                    .as_ref()
                    .is_some_and(|raft| !raft.is_quarantined());
                votes && !node.disk.lacks_tail()
            }
            Standing::Wiped => self.is_known_again(node),
        };
        if well {
            self.nodes[place].standing = Standing::Sound;
            self.note(Some(place), || "SOUND again".to_owned());
        }
    }

    /// Whether every member that knows this server knows its present life, and it has caught up.
    /// Who was removed may go on to know an earlier life; it does not count votes of the present.
    fn is_known_again(&self, node: &Node) -> bool {
        let Some(leader) = self
            .leader()
            .and_then(|leader| self.nodes[leader].raft.as_ref())
        else {
            return false;
        };
        let latest = leader.membership_index();
        let named = leader.membership().contains(node.id);
        let caught_up = node
            .raft
            .as_ref()
            .is_some_and(|raft| raft.commit() >= latest);
        let known = |(_, membership): &View| {
            membership
                .get(node.id)
                .is_none_or(|m| m.incarnation == node.disk.incarnation())
        };
        let members = self
            .nodes
            .iter()
            .filter(|other| leader.membership().contains(other.id));
        let others = members.filter(|other| other.id != node.id);
        leader.commit() >= latest
            && (caught_up || !named)
            && others.flat_map(views).all(|view| known(&view))
    }

    /// Whether the end of this disk's log may be lost: the others are enough without it, now and
    /// by any change under way.
    pub(super) fn may_lose_tail(&self, place: usize) -> bool {
        self.may_harm(place, |_, _| true)
    }

    /// Whether this disk may be replaced by an empty one: besides, every configuration anywhere
    /// that names the server must name its present life, or it could vote again in its next.
    pub(super) fn may_wipe(&self, place: usize) -> bool {
        let incarnation = self.nodes[place].disk.incarnation();
        self.may_harm(place, |id, membership| {
            membership
                .get(id)
                .is_none_or(|member| member.incarnation == incarnation)
        })
    }

    fn may_harm(&self, place: usize, agrees: impl Fn(NodeId, &Membership) -> bool) -> bool {
        let id = self.nodes[place].id;
        let leader = self
            .leader()
            .and_then(|leader| self.nodes[leader].raft.as_ref());
        let Some(leader) = leader.filter(|_| self.unsound().is_none() && !self.is_changing())
        else {
            return false;
        };
        let (latest, current) = (leader.membership_index(), leader.membership());
        if latest > leader.commit() || current.is_joint() {
            return false;
        }
        let fits = |(place, node): (usize, &Node)| {
            let member = current.contains(id_of(self, place));
            views(node).all(|(index, membership)| {
                let agreed = membership.is_blank()
                    || (agrees(id, &membership) && others_suffice(&membership, id));
                let latest_here = index == latest || !member || membership.is_blank();
                index <= latest && agreed && latest_here
            })
        };
        self.nodes.iter().enumerate().all(fits)
    }

    /// Every configuration in force or durable anywhere.
    pub(super) fn all_views(&self) -> impl Iterator<Item = View> + '_ {
        self.nodes.iter().flat_map(views)
    }
}

fn id_of(world: &World, place: usize) -> NodeId {
    world.nodes[place].id
}

/// Whether the configuration has a majority without this server.
fn others_suffice(membership: &Membership, id: NodeId) -> bool {
    [membership.voters(), membership.outgoing()]
        .into_iter()
        .all(|voters| {
            let others = voters.len() - usize::from(voters.contains(&id));
            voters.is_empty() || others > voters.len() / 2
        })
}

/// The configurations that a server acts by now, and would act by after a crash.
fn views(node: &Node) -> impl Iterator<Item = View> + use<> {
    let active = node.raft.as_ref();
    let active = active.map(|raft| (raft.membership_index(), Arc::clone(raft.membership())));
    let recovered = node.disk.recover(Index(0));
    let base = (
        recovered.snapshot.membership_index,
        recovered.snapshot.membership,
    );
    let durable = recovered
        .memberships
        .last()
        .cloned()
        .filter(|(index, _)| *index > base.0);
    active.into_iter().chain([durable.unwrap_or(base)])
}
