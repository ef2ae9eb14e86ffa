//! What the core tells of itself, turned into facts and marks.
//!
//! It deliberately believes none of it without a check where one is possible.

use std::sync::Arc;

use raft_core::event::{MembershipCause, Observation, Refusal, RoleCause, RoleName};
use raft_core::{Index, Membership, Position, Reply, Term, Ticket};

use super::laws::{Law, Mark};
use super::node::{Effect, Fact, Node};

/// What was true of a node at the point of its step that the observations have reached.
pub(super) struct Seen {
    role: RoleName,
    term: Term,
    commit: Index,
    /// The configuration in force, and the one before it.
    membership: (Index, Arc<Membership>),
    previous: Arc<Membership>,
}

impl Seen {
    pub(super) fn of(node: &Node) -> Self {
        let configurations = node.log.configurations();
        let previous = configurations
            .len()
            .checked_sub(2)
            .and_then(|at| configurations.get(at));
        let membership = (
            node.raft.membership_index(),
            Arc::clone(node.raft.membership()),
        );
        Self {
            role: node.raft.role(),
            term: node.raft.term(),
            commit: node.raft.commit(),
            previous: Arc::clone(previous.map_or(&membership.1, |(_, previous)| previous)),
            membership,
        }
    }

    pub(super) fn observe(
        &mut self,
        observation: &Observation,
        effect: &mut Effect,
    ) -> Result<(), (Law, String)> {
        match observation {
            Observation::Role { role, term, cause } => {
                (self.role, self.term) = (*role, *term);
                if *role == RoleName::Leader {
                    effect.marks.add(Mark::Elected);
                    effect.facts.push(Fact::Elected { term: *term });
                }
                if *cause == RoleCause::Removed {
                    effect.marks.add(Mark::LeftOffice);
                }
            }
            Observation::Committed(index) => return self.committed(*index, effect),
            Observation::Membership {
                index,
                membership,
                cause,
            } => {
                return self.configured(*index, membership, *cause, effect);
            }
            Observation::Truncated { .. } => effect.marks.add(Mark::Truncated),
            Observation::TransferAborted { .. } => effect.marks.add(Mark::TransferAborted),
            Observation::Quarantined { .. } => effect.marks.add(Mark::Quarantined),
            Observation::Released => effect.marks.add(Mark::Released),
            Observation::Installed { .. } => effect.marks.add(Mark::Installed),
            Observation::WrongIncarnation { .. } => effect.marks.add(Mark::OtherLife),
            Observation::Leader { .. }
            | Observation::Progress { .. }
            | Observation::TransferStarted { .. }
            | Observation::DiskStalled { .. } => {}
        }
        Ok(())
    }

    fn committed(&mut self, index: Index, effect: &mut Effect) -> Result<(), (Law, String)> {
        effect.marks.add(Mark::Committed);
        self.commit = index;
        if self.role != RoleName::Leader {
            return Ok(());
        }
        let term = effect.node.log.term(index);
        if term != Some(self.term) {
            let why = format!("the leader of {} commits {index} of {term:?}", self.term);
            return Err((Law::CommitQuorum, why));
        }
        effect.facts.push(Fact::LeaderCommitted {
            entry: Position::new(self.term, index),
            membership: Arc::clone(&self.membership.1),
        });
        Ok(())
    }

    fn configured(
        &mut self,
        index: Index,
        membership: &Arc<Membership>,
        cause: MembershipCause,
        effect: &mut Effect,
    ) -> Result<(), (Law, String)> {
        let mut verdict = Ok(());
        match cause {
            MembershipCause::Committed => {
                if self.membership.0 == index && self.previous.is_joint() && !membership.is_joint()
                {
                    effect.marks.add(Mark::JointLeft);
                }
                return Ok(());
            }
            MembershipCause::Appended if self.role == RoleName::Leader => {
                verdict = self.proposed(membership, effect);
            }
            MembershipCause::RolledBack => effect.marks.add(Mark::RolledBack),
            MembershipCause::Appended | MembershipCause::Snapshot => {}
        }
        if membership.is_joint() {
            effect.marks.add(Mark::Joint);
        }
        self.previous = std::mem::replace(&mut self.membership, (index, Arc::clone(membership))).1;
        verdict
    }

    /// A configuration may be proposed when the one before is committed, and so is an entry of the
    /// term; only a joint one may give way, uncommitted, to the one before it.
    fn proposed(&self, membership: &Membership, effect: &mut Effect) -> Result<(), (Law, String)> {
        let log = &effect.node.log;
        let (index, current) = &self.membership;
        let certain = *index <= self.commit && log.term(self.commit) == Some(self.term);
        let own = log.term(*index) == Some(self.term);
        let returns = own && current.is_joint() && *membership == *self.previous;
        if current.is_joint() && !membership.is_joint() && log.term(*index) < Some(self.term) {
            effect.marks.add(Mark::Inherited);
        }
        if certain || returns {
            return Ok(());
        }
        let why = format!(
            "at commit {} of {}, after {index}: {membership:?}",
            self.commit, self.term
        );
        Err((Law::OneChangeAtATime, why))
    }

    pub(super) fn reply(reply: &Reply, effect: &mut Effect) {
        match reply {
            Reply::ReadReady { ticket, index } => {
                let leads = effect.node.leads();
                effect.marks.add(if leads {
                    Mark::ReadAtLeader
                } else {
                    Mark::ReadAtFollower
                });
                let ready = |ticket| Fact::ReadReady {
                    ticket,
                    index: *index,
                };
                effect.facts.extend(read_of(*ticket).map(ready));
            }
            Reply::MembershipChanged { .. } => effect.marks.add(Mark::Changed),
            Reply::Transferred { .. } => effect.marks.add(Mark::Transferred),
            Reply::Refused { ticket, reason } => match reason {
                Refusal::Aborted => effect.marks.add(Mark::Aborted),
                Refusal::NotLeader(_)
                | Refusal::Overloaded
                | Refusal::Transferring
                | Refusal::Change(_)
                | Refusal::BadTarget
                | Refusal::TimedOut => {
                    effect
                        .facts
                        .extend(read_of(*ticket).map(|ticket| Fact::ReadOver { ticket }));
                }
            },
            Reply::Accepted { .. } | Reply::Unknown { .. } => {}
        }
    }
}

/// The ticket of a read, apart from those of other requests.
pub(super) fn ticket_of_read(number: u8) -> Ticket {
    Ticket(READS + u64::from(number))
}

fn read_of(ticket: Ticket) -> Option<u8> {
    u8::try_from(ticket.0.checked_sub(READS)?).ok()
}

const READS: u64 = 1000;
