//! The handle of a node: what embedders call. Cheap to clone; the node stops when the last is gone.
//!
//! This file does not know how anything is done: it puts requests into the mailbox and waits.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::config::NodeConfig;
use super::error::{ChangeRefused, ReadError, SnapshotError, StartError, StopReason, WriteError};
use super::mailbox::Mailbox;
use super::request::{
    Change, ChangeDone, ChangeRequest, Client, ClientRequest, Order, ReadAnswer, ReadRequest,
    Request, WriteRequest,
};
use super::status::{NodeStatus, StatusWatch};
use crate::event::{Consistency, RoleName};
use crate::membership::MemberChange;
use crate::port::{Framing, LogStore, StateMachine, Transport};
use crate::session::{Answered, Session};
use crate::types::{Index, NodeId};

/// A member of a cluster, running on the tokio runtime that it was started in.
#[derive(Clone)]
pub struct Node {
    id: NodeId,
    rules: Rules,
    mailbox: Arc<Mailbox>,
    status: StatusWatch,
    _guard: Arc<Guard>,
}

#[derive(Clone, Copy)]
struct Rules {
    framing: Framing,
    command_bytes_max: usize,
}

/// Stops the node when the last handle is gone.
struct Guard {
    mailbox: Arc<Mailbox>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // If nothing gets in any more, it has stopped already.
        drop(self.mailbox.request(Request::Order(Order::Stop)));
    }
}

impl Node {
    /// Starts a node: recovers what `log` holds, restores `machine` if it is behind, and begins to
    /// take part. A store that was never used is founded as [`NodeConfig::founding`] says.
    ///
    /// # Errors
    /// When the settings can't work, or a port failed.
    pub async fn start(
        config: NodeConfig,
        log: impl LogStore + 'static,
        transport: impl Transport + 'static,
        machine: impl StateMachine + 'static,
    ) -> Result<Self, StartError> {
        super::start::start(
            config,
            Box::new(log),
            Arc::new(transport),
            Box::new(machine),
        )
        .await
    }

    pub(super) fn new(
        config: &NodeConfig,
        framing: Framing,
        mailbox: Arc<Mailbox>,
        status: StatusWatch,
    ) -> Self {
        let guard = Guard {
            mailbox: Arc::clone(&mailbox),
        };
        Self {
            id: config.id,
            rules: Rules {
                framing,
                command_bytes_max: config.command_bytes_max,
            },
            mailbox,
            status,
            _guard: Arc::new(guard),
        }
    }

    /// Who it is.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// Has `command` applied, and returns the machine's answer: the command is durable on a quorum
    /// then. Sent to a node that does not lead, it is passed on, unless the node was told not to.
    ///
    /// # Errors
    /// Say whether the command was refused or its outcome is unknown.
    pub async fn write(&self, command: impl Into<Bytes>) -> Result<Bytes, WriteError> {
        let answer = self.propose(None, command.into()).await?;
        match self.rules.framing {
            Framing::Raw => Ok(answer),
            Framing::Stamped => match Answered::decode(answer) {
                Some(answered) => applied(answered),
                None => Err(WriteError::Unknown),
            },
        }
    }

    /// Opens a session, for [`Node::write_once`]; returns the number of its client. A session that
    /// is idle for long expires.
    ///
    /// # Errors
    /// As [`Node::write`]. It may be tried again in any case.
    pub async fn open_session(&self) -> Result<u64, WriteError> {
        let answered = self.propose_once(Session::OPENING, Bytes::new()).await?;
        if let Answered::Opened { client } = answered {
            Ok(client)
        } else {
            Err(not_applied(&answered))
        }
    }

    /// As [`Node::write`], but takes effect once: sent again under the same `session`, to any node,
    /// the command gets the answer of the first time. Needs a machine within
    /// [`Sessions`](crate::session::Sessions), or one that keeps sessions itself.
    ///
    /// # Errors
    /// Say whether the command was refused or its outcome is unknown; then it may be sent again.
    pub async fn write_once(
        &self,
        session: Session,
        command: impl Into<Bytes>,
    ) -> Result<Bytes, WriteError> {
        applied(self.propose_once(session, command.into()).await?)
    }

    async fn propose_once(&self, session: Session, command: Bytes) -> Result<Answered, WriteError> {
        if self.rules.framing == Framing::Raw {
            return Err(WriteError::NoSessions);
        }
        let answer = self.propose(Some(session), command).await?;
        Answered::decode(answer).ok_or(WriteError::Unknown)
    }

    async fn propose(&self, session: Option<Session>, command: Bytes) -> Result<Bytes, WriteError> {
        let (bytes, bytes_max) = (command.len(), self.rules.command_bytes_max);
        if bytes > bytes_max {
            return Err(WriteError::TooLarge { bytes, bytes_max });
        }
        let (sender, receiver) = oneshot::channel();
        let write = WriteRequest {
            session,
            command,
            client: Client::Here(sender),
        };
        let request = Request::Client(ClientRequest::Write(write));
        self.mailbox.request(request).map_err(WriteError::from)?;
        receiver.await.unwrap_or(Err(WriteError::Unknown))
    }

    /// Asks this node's machine, once it reflects what `consistency` demands.
    ///
    /// # Errors
    /// When nobody could confirm that in time.
    pub async fn read(
        &self,
        query: impl Into<Bytes>,
        consistency: Consistency,
    ) -> Result<Bytes, ReadError> {
        let read = self.look(Some(query.into()), consistency).await?;
        Ok(read.answer)
    }

    /// Waits until this node's machine reflects what `consistency` demands, and says how far it is:
    /// for services that look into their machine by themselves.
    ///
    /// # Errors
    /// When nobody could confirm that in time.
    pub async fn barrier(&self, consistency: Consistency) -> Result<Index, ReadError> {
        let read = self.look(None, consistency).await?;
        Ok(read.applied)
    }

    async fn look(
        &self,
        query: Option<Bytes>,
        consistency: Consistency,
    ) -> Result<ReadAnswer, ReadError> {
        let (reply, receiver) = oneshot::channel();
        let read = ReadRequest {
            query,
            consistency,
            reply,
        };
        let request = Request::Client(ClientRequest::Read(read));
        self.mailbox.request(request).map_err(ReadError::from)?;
        receiver.await.unwrap_or(Err(ReadError::Stopped))
    }

    /// Changes the configuration: all wishes in one step, learners first where they have to catch
    /// up. Returns the index of the new configuration once it is committed. `based_on` is the index
    /// of the configuration that the wishes were made for; if it is another by now, they are
    /// refused.
    ///
    /// # Errors
    /// Say whether it was refused, undone, or can't be told.
    pub async fn change_membership(
        &self,
        changes: Vec<MemberChange>,
        based_on: Option<Index>,
    ) -> Result<Index, ChangeRefused> {
        let mut members = changes.iter().filter_map(MemberChange::member);
        if let Some((id, _)) = members.find(|(_, member)| !member.is_sound()) {
            return Err(ChangeRefused::BadAddress(id));
        }
        let change = Change::Members { based_on, changes };
        match self.change(change, false).await? {
            ChangeDone::Members(index) => Ok(index),
            ChangeDone::Leader => Err(ChangeRefused::Unknown),
        }
    }

    /// Takes back the change of members under way, if this node leads and it still can be.
    pub fn abort_membership_change(&self) {
        self.order(Order::AbortChange);
    }

    /// Hands leadership over: to `target`, or to the most caught-up voter.
    ///
    /// # Errors
    /// When the target did not take over, or can't.
    pub async fn transfer_leadership(&self, target: Option<NodeId>) -> Result<(), ChangeRefused> {
        let change = Change::Leader(target);
        self.change(change, false).await.map(|_| ())
    }

    async fn change(
        &self,
        change: Change,
        is_for_this_node: bool,
    ) -> Result<ChangeDone, ChangeRefused> {
        let (sender, receiver) = oneshot::channel();
        let request = ChangeRequest {
            change,
            client: Client::Here(sender),
            is_for_this_node,
        };
        let request = Request::Client(ClientRequest::Change(request));
        if self.mailbox.request(request).is_err() {
            return Err(ChangeRefused::Stopped);
        }
        receiver.await.unwrap_or(Err(ChangeRefused::Unknown))
    }

    /// Has a snapshot taken now, and the log compacted behind it. Returns where it ends.
    ///
    /// # Errors
    /// When there is nothing new, or it could not be written.
    pub async fn snapshot_now(&self) -> Result<Index, SnapshotError> {
        let (sender, receiver) = oneshot::channel();
        self.order(Order::Snapshot(sender));
        receiver.await.unwrap_or(Err(SnapshotError::Stopped))
    }

    /// Campaigns now, as if nothing had been heard of the leader, if that is true.
    pub fn campaign(&self) {
        self.order(Order::Campaign);
    }

    /// The newest status; a busy node is at most a few milliseconds further.
    #[must_use]
    pub fn status(&self) -> Arc<NodeStatus> {
        self.status.now()
    }

    /// Follows the status.
    #[must_use]
    pub fn watch_status(&self) -> StatusWatch {
        self.status.clone()
    }

    /// Stops the node: hands leadership over first if it leads others, then finishes what was
    /// begun. Returns why it stopped, which may be another reason if it had stopped before.
    pub async fn shutdown(&self) -> StopReason {
        let status = self.status();
        let voters = status.core.membership.1.voters().len();
        if status.stopped.is_none() && status.core.role == RoleName::Leader && voters > 1 {
            // If it leads no more, whoever does shall not hand over for that.
            let handed_over = self.change(Change::Leader(None), true).await;
            if let Err(error) = handed_over {
                tracing::info!(node = %self.id, %error, "leadership was not handed over");
            }
        }
        self.order(Order::Stop);
        self.stopped().await
    }

    /// Stops the node without handing over, other handles or not: to its cluster it is as if it had
    /// crashed, but what was begun here is finished.
    pub async fn halt(&self) -> StopReason {
        self.order(Order::Stop);
        self.stopped().await
    }

    /// Waits until the node has stopped, and says why.
    pub async fn stopped(&self) -> StopReason {
        let stopped = |status: &NodeStatus| status.stopped.is_some();
        let last = self.status.clone().until(stopped).await;
        last.and_then(|status| status.stopped.clone())
            .unwrap_or(StopReason::Told)
    }

    /// Orders always get in; once the node has stopped, whoever waits learns that from the answer.
    fn order(&self, order: Order) {
        drop(self.mailbox.request(Request::Order(order)));
    }
}

fn applied(answered: Answered) -> Result<Bytes, WriteError> {
    if let Answered::Applied(answer) = answered {
        Ok(answer)
    } else {
        Err(not_applied(&answered))
    }
}

/// What a machine with sessions says of a command that it did not apply now.
const fn not_applied(answered: &Answered) -> WriteError {
    match answered {
        Answered::Expired => WriteError::SessionExpired,
        Answered::Superseded => WriteError::Superseded,
        Answered::Forgotten => WriteError::Forgotten,
        Answered::Full => WriteError::Overloaded,
        Answered::Applied(_) | Answered::Opened { .. } | Answered::Malformed => WriteError::Unknown,
    }
}
