//! What a group answers to others while it has no node yet: what this node says of itself.
//!
//! This file does not know who asks, or why.

use std::sync::{Arc, Mutex, Weak};

use raft_core::event::Refusal;
use raft_core::port::{Answer, ClusterView, Inbox, Outcome, Parcel, PortError, SnapshotSource};
use raft_core::port::{Ask, Question};
use raft_core::{GroupId, NodeId};

use crate::shared::{Group, Shared, lock};

/// Answers for a group until a node takes over, or until it is dropped.
pub(super) struct Greeting {
    group: Arc<Group>,
    view: Arc<Mutex<ClusterView>>,
    is_to_stay: bool,
}

struct Greeter {
    /// The network owns the group, and the group this.
    shared: Weak<Shared>,
    group: GroupId,
    me: NodeId,
    view: Arc<Mutex<ClusterView>>,
}

impl Greeting {
    /// From now on says this of the node.
    pub(super) fn start(shared: &Arc<Shared>, id: GroupId, view: ClusterView) -> Self {
        let group = shared.group(id);
        let view = Arc::new(Mutex::new(view));
        group.set_inbox(Some(Arc::new(Greeter {
            shared: Arc::downgrade(shared),
            group: id,
            me: shared.config.node,
            view: view.clone(),
        })));
        Self {
            group,
            view,
            is_to_stay: false,
        }
    }

    /// From now on says that.
    pub(super) fn say(&self, view: ClusterView) {
        *lock(&self.view) = view;
    }

    /// Goes on until a node takes over.
    pub(super) fn stay(mut self) {
        self.is_to_stay = true;
    }
}

impl Drop for Greeting {
    fn drop(&mut self) {
        if !self.is_to_stay {
            self.group.set_inbox(None);
        }
    }
}

impl Greeter {
    fn answer(&self, ask: &Ask) {
        let outcome = match ask.question {
            Question::Cluster => Outcome::Cluster(lock(&self.view).clone()),
            Question::Write { .. } | Question::Change { .. } | Question::Transfer { .. } => {
                Outcome::Refused(Refusal::NotLeader(None))
            }
        };
        if let Some(shared) = self.shared.upgrade() {
            let answer = Answer {
                from: self.me,
                to: ask.from,
                ticket: ask.ticket,
                outcome,
            };
            shared.send(self.group, Parcel::Answer(answer));
        }
    }
}

impl Inbox for Greeter {
    fn deliver(&self, parcel: Parcel) {
        match parcel {
            Parcel::Ask(ask) => self.answer(&ask),
            // Who has founded already may campaign; it will again.
            Parcel::Consensus(_) | Parcel::Answer(_) => {}
        }
    }

    fn open_snapshot(&self) -> Result<Box<dyn SnapshotSource>, PortError> {
        Err(PortError::misused("this node has no snapshot yet"))
    }
}
