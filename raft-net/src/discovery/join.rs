//! Asks the cluster to be added to it: puts the change to whoever leads, until it is committed.
//!
//! The change may be put again at any time: the members tell how far it is. That a voter is first a
//! learner is the core's own doing, not known here.

use std::time::Duration;

use raft_core::event::Refusal;
use raft_core::membership::{ChangeError, Member, MemberChange, Membership};
use raft_core::port::{Outcome, Question};
use raft_core::{GroupId, Incarnation, Index, NodeId};
use tokio::time::{sleep, timeout};

use super::Candidate;
use super::ask::Asker;
use crate::net::TcpNet;

/// How long to wait before the next attempt.
const PAUSE: Duration = Duration::from_millis(200);
/// How long to wait for the answer to a change before looking whether it came about without one.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Who wants to be added, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joining {
    /// Who, and where.
    pub me: Candidate,
    /// Which life of its storage: `NodeStatus::incarnation`.
    pub incarnation: Incarnation,
    /// A member.
    pub via: NodeId,
    /// Whether a member of the same id, whose store was lost, is to be removed first.
    pub replace: bool,
    /// How long to try.
    pub patience: Duration,
}

/// Why a node does not belong to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// Another life of its storage does.
    #[error(
        "another storage of node {0} belongs to the cluster: remove member {0} if that one \
        was lost, or give the order to replace it; else give this node an id of its own"
    )]
    OtherLife(NodeId),
    /// The leader says that it never can.
    #[error("the leader refuses: {0}")]
    Impossible(ChangeError),
    /// It took too long.
    #[error("not added within {} s: {obstacle}", after.as_secs())]
    TimedOut {
        /// How long.
        after: Duration,
        /// What was in the way last.
        obstacle: String,
    },
}

/// Has a node that runs, blank, added to the cluster as a voter, or its new address written down.
/// Returns the index of the configuration; `None` if there was nothing to be done any more.
///
/// May be called again, also after a restart, for as long as the node is blank.
///
/// # Errors
/// When it can't be added, or not in time. Then it may still come about.
pub async fn join(
    net: &TcpNet,
    group: GroupId,
    joining: &Joining,
) -> Result<Option<Index>, JoinError> {
    let mut errand = Errand {
        asker: Asker::new(net, group),
        joining,
        members: vec![joining.via],
        target: joining.via,
        obstacle: "no member was reached".to_owned(),
    };
    match timeout(joining.patience, errand.run()).await {
        Ok(outcome) => outcome,
        Err(_) => Err(JoinError::TimedOut {
            after: joining.patience,
            obstacle: errand.obstacle,
        }),
    }
}

struct Errand<'a> {
    asker: Asker,
    joining: &'a Joining,
    /// Whom to ask.
    members: Vec<NodeId>,
    /// Whom to ask next.
    target: NodeId,
    /// What was in the way last.
    obstacle: String,
}

/// What is to be done about a configuration.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    Wait,
    Change(MemberChange),
    Refuse,
}

impl Errand<'_> {
    async fn run(&mut self) -> Result<Option<Index>, JoinError> {
        loop {
            if let Some(membership) = self.look().await {
                match next(&membership, self.joining) {
                    Next::Nothing => return Ok(None),
                    Next::Refuse => return Err(JoinError::OtherLife(self.joining.me.id)),
                    Next::Wait => "another change is under way".clone_into(&mut self.obstacle),
                    Next::Change(change) => {
                        if let Some(index) = self.put(change).await? {
                            return Ok(Some(index));
                        }
                    }
                }
            }
            tracing::debug!(node = %self.joining.me.id, self.obstacle, "not added yet");
            sleep(PAUSE).await;
        }
    }

    /// The members, as who leads knows them, if that is who is asked.
    async fn look(&mut self) -> Option<Membership> {
        let asked = self.target;
        let Some(view) = self.asker.cluster_of(asked).await else {
            self.obstacle = format!("node {asked} does not answer");
            self.ask_another();
            return None;
        };
        if view.membership.is_blank() {
            self.obstacle = format!("node {asked} belongs to no cluster");
            self.ask_another();
            return None;
        }
        self.asker.learn(&view.membership);
        let me = self.joining.me.id;
        let ids = view.membership.members().map(|(id, _)| id);
        self.members = ids.filter(|id| *id != me).collect();
        match view.leader {
            Some(leader) if leader == asked => Some(Membership::clone(&view.membership)),
            Some(leader) => {
                self.obstacle = format!("node {leader} leads");
                self.target = leader;
                None
            }
            None => {
                "nobody leads".clone_into(&mut self.obstacle);
                self.ask_another();
                None
            }
        }
    }

    /// Puts the change to the leader. `Some` if nothing is left to be done.
    async fn put(&mut self, change: MemberChange) -> Result<Option<Index>, JoinError> {
        let is_last = !matches!(change, MemberChange::Remove(_));
        let question = Question::Change {
            based_on: None,
            changes: vec![change],
        };
        let outcome = self.asker.ask(self.target, question, CHANGE_TIMEOUT).await;
        self.obstacle = match outcome {
            Some(Outcome::Changed(index)) if is_last => return Ok(Some(index)),
            Some(Outcome::Changed(_)) => "the former member is removed".to_owned(),
            Some(Outcome::Refused(refusal)) => return self.refused(refusal).map(|()| None),
            None => "the leader has not finished yet; does it reach this node?".to_owned(),
            Some(
                Outcome::Unknown | Outcome::Written(_) | Outcome::Transferred | Outcome::Cluster(_),
            ) => "the leader does not know what came of it".to_owned(),
        };
        Ok(None)
    }

    fn refused(&mut self, refusal: Refusal) -> Result<(), JoinError> {
        self.obstacle = match refusal {
            Refusal::NotLeader(leader) => {
                match leader {
                    Some(leader) => self.target = leader,
                    None => self.ask_another(),
                }
                "whoever was asked does not lead any more".to_owned()
            }
            Refusal::Change(ChangeError::OtherLife(id)) => return Err(JoinError::OtherLife(id)),
            // What it was asked for has come about meanwhile, or has to wait.
            Refusal::Change(
                error @ (ChangeError::Nothing
                | ChangeError::NotAMember(_)
                | ChangeError::NotBasedOn(_)
                | ChangeError::InProgress),
            ) => error.to_string(),
            Refusal::Change(error @ (ChangeError::NoVoterLeft | ChangeError::NamedTwice(_))) => {
                return Err(JoinError::Impossible(error));
            }
            Refusal::Aborted => "the leader took the change back: it could not bring this node up \
                to date in time, or an operator would not have it"
                .to_owned(),
            Refusal::Overloaded
            | Refusal::Transferring
            | Refusal::BadTarget
            | Refusal::TimedOut => "the leader is busy".to_owned(),
        };
        Ok(())
    }

    /// The next member after who was asked last.
    fn ask_another(&mut self) {
        let place = self.members.iter().position(|id| *id == self.target);
        let next = place.map_or(0, |place| (place + 1) % self.members.len());
        if let Some(member) = self.members.get(next) {
            self.target = *member;
        }
    }
}

/// What is to be done so that the node votes, at its address.
fn next(membership: &Membership, joining: &Joining) -> Next {
    let Candidate { id, address } = &joining.me;
    let member = |priority| Member {
        address: address.clone(),
        incarnation: joining.incarnation,
        priority,
    };
    if membership.is_joint() {
        return Next::Wait;
    }
    match membership.get(*id) {
        None => Next::Change(MemberChange::Voter(*id, member(Member::PRIORITY_DEFAULT))),
        Some(_) if !membership.accepts(*id, joining.incarnation) => {
            if joining.replace {
                Next::Change(MemberChange::Remove(*id))
            } else {
                Next::Refuse
            }
        }
        Some(known) if !membership.is_voter(*id) => {
            Next::Change(MemberChange::Voter(*id, member(known.priority)))
        }
        Some(known) if known.address == *address => Next::Nothing,
        Some(known) => {
            let moved = Member {
                address: address.clone(),
                ..known.clone()
            };
            Next::Change(MemberChange::Update(*id, moved))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joining(replace: bool) -> Joining {
        Joining {
            me: Candidate {
                id: NodeId(4),
                address: "new:4".into(),
            },
            incarnation: Incarnation(44),
            via: NodeId(1),
            replace,
            patience: PAUSE,
        }
    }

    fn member(address: &str, incarnation: u64) -> Member {
        Member {
            incarnation: Incarnation(incarnation),
            ..Member::at(address)
        }
    }

    fn with(change: Option<MemberChange>) -> Membership {
        let three = (1..=3).map(|id| (NodeId(id), Member::at(format!("n:{id}"))));
        let three = Membership::of_voters(three);
        change.map_or(three.clone(), |change| {
            three.changed(&[change]).expect("legal")
        })
    }

    #[test]
    fn what_is_to_be_done_follows_from_the_configuration() {
        let id = NodeId(4);
        let check = |membership: Membership, replace, expected: Next| {
            assert_eq!(next(&membership, &joining(replace)), expected);
        };
        let voter = || Next::Change(MemberChange::Voter(id, member("new:4", 44)));
        let voter_at = |at, life| with(Some(MemberChange::Voter(id, member(at, life))));
        let learner = |life| with(Some(MemberChange::Learner(id, member("new:4", life))));
        check(with(None), false, voter());
        check(with(None), true, voter());
        check(learner(0), false, voter());
        check(learner(44), true, voter());
        check(learner(9), false, Next::Refuse);
        check(voter_at("new:4", 44), true, Next::Nothing);
        check(voter_at("new:4", 9), false, Next::Refuse);
        check(
            voter_at("new:4", 9),
            true,
            Next::Change(MemberChange::Remove(id)),
        );
        let moved = MemberChange::Update(id, member("new:4", 44));
        check(voter_at("old:4", 44), false, Next::Change(moved));
        let target = voter_at("new:4", 44);
        check(with(None).towards(&target), false, Next::Wait);
    }
}
