//! Questions to other nodes from who is no node yet: for the cluster, and to be added to it.
//!
//! The answers pass by the group's inbox, which may be a node's own. This file does not know what
//! is asked, or what to make of an answer.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use raft_core::membership::Membership;
use raft_core::port::{Ask, ClusterView, Outcome, Parcel, Question};
use raft_core::{GroupId, NodeId, Ticket};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::net::{NetError, TcpNet};
use crate::shared::Group;

/// How long the answer to a simple question may take.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// A node's own tickets are far below: they begin with its clock.
const TICKETS_FROM: u64 = 1 << 63;

/// Puts questions, and waits for the answers.
#[derive(Clone)]
pub(super) struct Asker {
    net: TcpNet,
    id: GroupId,
    group: Arc<Group>,
}

/// Takes the question back when nobody waits for its answer any more.
struct Waiting<'a> {
    group: &'a Group,
    ticket: Ticket,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.group.forget_guest(self.ticket);
    }
}

impl Asker {
    pub(super) fn new(net: &TcpNet, id: GroupId) -> Self {
        Self {
            net: net.clone(),
            id,
            group: net.shared().group(id),
        }
    }

    /// Who listens at an address.
    pub(super) async fn contact(&self, address: &str) -> Result<NodeId, NetError> {
        self.net.contact(address).await
    }

    /// Where the members are reached, for questions to them.
    pub(super) fn learn(&self, membership: &Membership) {
        for (id, member) in membership.members() {
            self.net.shared().learn(id, member.address.clone());
        }
    }

    /// What comes of the question, if that is heard in time.
    pub(super) async fn ask(
        &self,
        to: NodeId,
        question: Question,
        patience: Duration,
    ) -> Option<Outcome> {
        // The keys of the hasher are new for each; so no two processes of a node, one after the
        // other, take each other's answers for their own.
        let drawn = RandomState::new().hash_one(to.0);
        let ticket = Ticket(drawn | TICKETS_FROM);
        let (sender, receiver) = oneshot::channel();
        if !self.group.expect_for_guest(ticket, to, sender) {
            return None;
        }
        let _waiting = Waiting {
            group: &self.group,
            ticket,
        };
        let ask = Ask {
            from: self.net.shared().config.node,
            to,
            ticket,
            question,
        };
        self.net.shared().send(self.id, Parcel::Ask(ask));
        timeout(patience, receiver).await.ok()?.ok()
    }

    /// What a node knows of its cluster.
    pub(super) async fn cluster_of(&self, node: NodeId) -> Option<ClusterView> {
        match self.ask(node, Question::Cluster, ANSWER_TIMEOUT).await? {
            Outcome::Cluster(view) => Some(view),
            Outcome::Written(_)
            | Outcome::Changed(_)
            | Outcome::Transferred
            | Outcome::Refused(_)
            | Outcome::Unknown => None,
        }
    }
}
