//! A change of members, as its leader carries it out (Raft §6, dissertation §4).
//!
//! ```text
//!   wish --> Learning --> CatchingUp --> Joint --> Settling --> done
//!              |              |            |
//!              +--------------+------------+---> Undoing --> aborted
//! ```
//!
//! New voters are added as learners first, and count only when they have caught up. A leader that
//! finds a joint configuration in its log, whoever began it, finishes it. This file does not count
//! votes or matches.

use std::sync::Arc;

use super::leader::Leader;
use super::raft::Turn;
use super::server::{Server, refuse};
use super::status::ChangeStage;
use crate::entry::Payload;
use crate::event::{Output, Refusal, Reply, RoleCause};
use crate::membership::{ChangeError, Member, MemberChange, Membership};
use crate::message::Message;
use crate::types::{Incarnation, Index, NodeId, Ticket, Time};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Change {
    ticket: Ticket,
    changes: Vec<MemberChange>,
    /// The configuration before the first step: what an abort returns to.
    origin: Arc<Membership>,
    stage: ChangeStage,
    deadline: Time,
}

impl Change {
    /// What it waits for.
    pub(super) const fn stage(&self) -> ChangeStage {
        self.stage
    }

    /// Once the joint configuration is committed there is nothing to give up any more.
    pub(super) const fn deadline(&self) -> Option<Time> {
        match self.stage {
            ChangeStage::Learning | ChangeStage::CatchingUp | ChangeStage::Joint => {
                Some(self.deadline)
            }
            ChangeStage::Settling | ChangeStage::Undoing => None,
        }
    }
}

#[cfg(feature = "sim")]
impl Change {
    pub(super) fn for_each_time(&mut self, change: &mut dyn FnMut(&mut Time)) {
        change(&mut self.deadline);
    }
}

impl Leader {
    pub(super) fn change_membership(
        &mut self,
        server: &mut Server,
        now: Time,
        wish: Wish,
        out: &mut Output,
    ) {
        let ticket = wish.ticket;
        if let Err(error) = self.begin_change(server, now, wish, out) {
            refuse(ticket, Refusal::Change(error), out);
        }
    }

    fn begin_change(
        &mut self,
        server: &mut Server,
        now: Time,
        wish: Wish,
        out: &mut Output,
    ) -> Result<(), ChangeError> {
        let (index, current) = server.configurations.latest().clone();
        let target = current.changed(&wish.changes)?;
        if wish.based_on.is_some_and(|seen| seen != index) {
            return Err(ChangeError::NotBasedOn(index));
        }
        if self.change.is_some() || current.is_joint() || !self.may_propose_membership(server) {
            return Err(ChangeError::InProgress);
        }
        let (step, stage) = match current.with_learners_of(&target) {
            Some(extended) => (extended, ChangeStage::Learning),
            None if current.voters().is_superset(target.voters()) => {
                let step = current.towards(&target);
                let stage = if step.is_joint() {
                    ChangeStage::Joint
                } else {
                    ChangeStage::Settling
                };
                (step, stage)
            }
            None => (Membership::clone(&current), ChangeStage::CatchingUp),
        };
        self.change = Some(Change {
            ticket: wish.ticket,
            changes: wish.changes,
            origin: Arc::clone(&current),
            stage,
            deadline: now.plus(server.config.membership_timeout),
        });
        if stage != ChangeStage::CatchingUp {
            self.propose_membership(server, now, step, out);
        }
        Ok(())
    }

    /// Never while one is uncommitted, nor before an entry of this term is committed: otherwise
    /// two configurations whose quorums don't overlap could each be in force somewhere (the bug of
    /// single-server changes found in 2015).
    fn may_propose_membership(&self, server: &Server) -> bool {
        self.is_ready(server) && server.configurations.latest().0 <= server.commit
    }

    fn propose_membership(
        &mut self,
        server: &mut Server,
        now: Time,
        membership: Membership,
        out: &mut Output,
    ) {
        server.append(Payload::Membership(Arc::new(membership)), out);
        self.follow_membership(server, now, out);
    }

    /// Takes the next step, if one is due; called after everything that may make it so.
    pub(super) fn advance_change(
        &mut self,
        server: &mut Server,
        now: Time,
        out: &mut Output,
    ) -> Option<Turn> {
        let idle = self.change.is_none();
        if idle && self.settled == Some(server.configurations.latest().0) {
            return None;
        }
        if !self.may_propose_membership(server) {
            return None;
        }
        let (index, current) = server.configurations.latest().clone();
        if current.is_joint() {
            if let Some(change) = &mut self.change {
                change.stage = ChangeStage::Settling;
            }
            self.propose_membership(server, now, current.left(), out);
            return None;
        }
        match self.change.as_ref().map(|change| change.stage) {
            Some(ChangeStage::Learning | ChangeStage::CatchingUp) => {
                self.promote_when_caught_up(server, now, &current, out);
            }
            Some(ChangeStage::Settling | ChangeStage::Joint) => self.finish_change(index, out),
            Some(ChangeStage::Undoing) => self.finish_undoing(server, now, &current, out),
            None => {}
        }
        if !server.membership().is_voter(server.id) && server.membership() == &current {
            return Some(self.leave_office(server, now, out));
        }
        self.bind_incarnations(server, now, out);
        let bound = |(_, member): (NodeId, &Member)| member.incarnation != Incarnation::UNBOUND;
        if idle && current.members().all(bound) {
            self.settled = Some(index);
        }
        None
    }

    /// Turns the learners into voters, by way of the joint configuration, once all have caught up.
    fn promote_when_caught_up(
        &mut self,
        server: &mut Server,
        now: Time,
        current: &Membership,
        out: &mut Output,
    ) {
        let Some(change) = &mut self.change else {
            return;
        };
        change.stage = ChangeStage::CatchingUp;
        // The wish may make no sense any more only if it did not when it came.
        let Ok(target) = current.changed(&change.changes) else {
            return;
        };
        let near = Index(
            server
                .commit
                .0
                .saturating_sub(server.config.catch_up_entries),
        )
        .max(server.configurations.latest().0);
        let caught_up = |id: &NodeId| {
            let bound = current
                .get(*id)
                .is_some_and(|m| m.incarnation != Incarnation::UNBOUND);
            bound
                && self
                    .progress
                    .get(id)
                    .is_some_and(|progress| progress.matched >= near)
        };
        let old = current.voters();
        if target
            .voters()
            .iter()
            .filter(|id| !old.contains(id))
            .all(caught_up)
        {
            let step = current.towards(&target);
            change.stage = if step.is_joint() {
                ChangeStage::Joint
            } else {
                ChangeStage::Settling
            };
            self.propose_membership(server, now, step, out);
        }
    }

    fn finish_change(&mut self, index: Index, out: &mut Output) {
        if let Some(change) = self.change.take() {
            out.replies.push(Reply::MembershipChanged {
                ticket: change.ticket,
                index,
            });
        }
    }

    // --- Taking it back ---

    pub(super) fn tick_change(&mut self, server: &mut Server, now: Time, out: &mut Output) {
        let due = self
            .change
            .as_ref()
            .and_then(Change::deadline)
            .is_some_and(|at| now >= at);
        if due {
            self.abort_change(server, now, out);
        }
    }

    /// Takes the change under way back, as far as that is still possible.
    ///
    /// An uncommitted joint configuration may give way to the old one again, but only at the leader
    /// that proposed it, in the same term. Then no configuration of the new majority alone can
    /// exist anywhere: it is proposed only after the joint one is committed, and a later leader
    /// can commit that only with entries of its own term at an old majority, which then refuses
    /// every log that ends in this term. So every quorum in force includes an old majority.
    pub(super) fn abort_change(&mut self, server: &mut Server, now: Time, out: &mut Output) {
        let Some(change) = &mut self.change else {
            return;
        };
        match change.stage {
            ChangeStage::Learning | ChangeStage::CatchingUp => {
                change.stage = ChangeStage::Undoing;
            }
            ChangeStage::Joint => self.abort_joint(server, now, out),
            ChangeStage::Settling | ChangeStage::Undoing => {}
        }
    }

    /// Turns an uncommitted joint configuration of its own back.
    pub(super) fn abort_joint(&mut self, server: &mut Server, now: Time, out: &mut Output) {
        let uncommitted = server.configurations.latest().0 > server.commit;
        let Some(change) = &mut self.change else {
            return;
        };
        if change.stage == ChangeStage::Joint && uncommitted {
            change.stage = ChangeStage::Undoing;
            let before = Membership::clone(&server.configurations.before_latest().1);
            self.propose_membership(server, now, before, out);
        }
    }

    /// The old voters are alone again; now the learners that were added for them go, too.
    fn finish_undoing(
        &mut self,
        server: &mut Server,
        now: Time,
        current: &Membership,
        out: &mut Output,
    ) {
        let Some(change) = &self.change else { return };
        let shrunk = current.without_learners_added_to(&change.origin);
        if shrunk != *current {
            self.propose_membership(server, now, shrunk, out);
            return;
        }
        refuse(change.ticket, Refusal::Aborted, out);
        self.change = None;
    }

    /// Leadership has ended; another leader decides what becomes of the change.
    pub(super) fn end_change(&mut self, out: &mut Output) {
        if let Some(change) = self.change.take() {
            out.replies.push(Reply::Unknown {
                ticket: change.ticket,
            });
        }
    }

    // --- What follows from the configuration ---

    /// The configuration without this server, or with it as a learner, is committed: it manages no
    /// cluster that it does not belong to (dissertation §4.2.2), and leaves it to the best voter.
    fn leave_office(&self, server: &mut Server, now: Time, out: &mut Output) -> Turn {
        if let Some(successor) = self.successor(server, now) {
            server.send(successor, Message::TimeoutNow, out);
        }
        Turn::Follow(RoleCause::Removed)
    }

    /// Writes into the configuration which life of its storage each member answered from, where
    /// that was not known. From then on no other life of it counts.
    fn bind_incarnations(&mut self, server: &mut Server, now: Time, out: &mut Output) {
        if !self.may_propose_membership(server) {
            return;
        }
        let current = Arc::clone(server.membership());
        let unbound = current
            .members()
            .filter(|(_, m)| m.incarnation == Incarnation::UNBOUND);
        let known: Vec<(NodeId, Incarnation)> = unbound
            .filter_map(|(id, _)| {
                let own = (id == server.id).then_some(server.incarnation);
                let heard = || {
                    self.progress
                        .get(&id)
                        .and_then(|progress| progress.incarnation)
                };
                Some((id, own.or_else(heard)?))
            })
            .collect();
        if !known.is_empty() {
            self.propose_membership(server, now, current.with_incarnations(&known), out);
        }
    }
}

/// What an operator wishes.
pub(super) struct Wish {
    pub(super) ticket: Ticket,
    pub(super) based_on: Option<Index>,
    pub(super) changes: Vec<MemberChange>,
}
