//! What the loop makes of what comes in: each thing as an event for the core, or a word with those
//! who keep the books. One short function for each kind.

use std::sync::Arc;

use super::desk::{Asked, Desk};
use super::done::Done;
use super::error::{SnapshotError, StopReason};
use super::request::{Change, ChangeRequest, Client, ClientRequest, Order, Request, WriteRequest};
use super::run::Run;
use super::status::NodeStatus;
use crate::entry::SnapshotMeta;
use crate::event::{Event, Observation};
use crate::port::{Answer, Ask, ClusterView, Outcome, Parcel, PortError, Question};
use crate::types::{Index, Time};

impl Run {
    /// A lane has done something.
    pub(super) fn done(&mut self, now: Time, done: Done) {
        match done {
            Done::Persisted(id) => self.step(now, Event::Persisted(id)),
            Done::Fetched { reader, entries } => self.step(now, Event::Fetched { reader, entries }),
            Done::Applied { index, weight } => {
                self.taking.applied(index, weight);
                self.step(now, Event::Applied(index));
            }
            Done::Captured { index, capture } => match self.raft.snapshot_meta(index) {
                Some(meta) => self.snapshots.take(meta, capture),
                // A snapshot from elsewhere has overtaken it, or this node does not know yet who
                // belongs to the cluster there.
                None => self.taking.failed(&SnapshotError::NothingNew, now),
            },
            Done::Taken(Ok((meta, usage))) => {
                let index = meta.last.index;
                tracing::info!(node = %self.id(), %index, "snapshot taken");
                self.snapshot_trouble = None;
                self.publisher.is_urgent = true;
                self.step(now, Event::SnapshotTaken(meta));
                let compact = self.taking.taken(index, usage, now);
                self.step(now, compact);
            }
            Done::Taken(Err(error)) => {
                self.trouble("could not be taken", &error);
                self.taking
                    .failed(&SnapshotError::Failed(Arc::new(error)), now);
            }
            Done::Received {
                number,
                ordered,
                outcome,
            } => {
                let is_wanted = self.snapshots.ended(number);
                self.received(now, ordered, is_wanted, outcome);
            }
            Done::Broken(reason) => self.stop_for(reason),
        }
    }

    /// A snapshot is here, or can't be had. One that was called off may be here all the same.
    fn received(
        &mut self,
        now: Time,
        ordered: Index,
        is_wanted: bool,
        outcome: Result<Arc<SnapshotMeta>, PortError>,
    ) {
        let met = match outcome {
            Ok(meta) => {
                let index = meta.last.index;
                tracing::info!(node = %self.id(), %index, "snapshot received");
                self.snapshot_trouble = None;
                self.publisher.is_urgent = true;
                self.taking.received(index, now);
                self.step(now, Event::SnapshotReceived(meta));
                index == ordered
            }
            Err(error) => {
                if is_wanted {
                    self.trouble("could not be fetched", &error);
                }
                false
            }
        };
        // A newer one than offered is no answer to the offer.
        if is_wanted && !met {
            self.step(now, Event::SnapshotFailed(ordered));
        }
    }

    /// The first reason counts: what comes after it may be its consequence.
    fn stop_for(&mut self, reason: StopReason) {
        self.stop.get_or_insert(reason);
    }

    /// A client of this process, or an operator.
    pub(super) fn request(&mut self, now: Time, request: Request) {
        match request {
            Request::Client(request) => {
                let patience = match &request {
                    ClientRequest::Write(_) | ClientRequest::Read(_) => self.timing.request_timeout,
                    ClientRequest::Change(_) => self.timing.change_timeout,
                };
                // The clock was read once for the whole batch, not once a request.
                let deadline = now.plus(patience);
                let event = self.desk.ask_core(Asked { request, deadline }, now);
                self.step(now, event);
            }
            Request::Order(Order::Snapshot(waiting)) => self.taking.order(waiting),
            Request::Order(Order::AbortChange) => self.step(now, Event::AbortMembershipChange),
            Request::Order(Order::Campaign) => self.step(now, Event::Campaign),
            Request::Order(Order::Stop) => self.stop_for(StopReason::Told),
        }
    }

    /// Another node asks, on behalf of its client.
    pub(super) fn asked(&mut self, now: Time, ask: Ask) {
        let (node, ticket) = (ask.from, ask.ticket);
        let change = |change| {
            ClientRequest::Change(ChangeRequest {
                change,
                client: Client::At { node, ticket },
                is_for_this_node: true,
            })
        };
        let request = match ask.question {
            Question::Write { session, command } => ClientRequest::Write(WriteRequest {
                session,
                command,
                client: Client::At { node, ticket },
            }),
            Question::Change { based_on, changes } => change(Change::Members { based_on, changes }),
            Question::Transfer { target } => change(Change::Leader(target)),
            Question::Cluster => {
                let view = ClusterView {
                    membership: Arc::clone(self.raft.membership()),
                    commit: self.raft.commit(),
                    leader: self.raft.leader(),
                };
                return self.transport.send(Parcel::Answer(Answer {
                    from: self.id(),
                    to: node,
                    ticket,
                    outcome: Outcome::Cluster(view),
                }));
            }
        };
        self.request(now, Request::Client(request));
    }

    /// What the core tells about itself.
    pub(super) fn observe(&mut self, now: Time, observation: &Observation) {
        let node = self.id();
        self.leadership.observe(now, node, observation);
        match observation {
            Observation::Role { role, term, cause } => {
                tracing::info!(%node, ?role, %term, ?cause, "role");
                self.publisher.is_urgent = true;
            }
            Observation::Leader { leader, term } => {
                tracing::info!(%node, ?leader, %term, "leader");
                self.publisher.is_urgent = true;
                if leader.is_some() && self.desk.has_parked() {
                    self.timing.retry_at = Some(now);
                }
            }
            Observation::Membership {
                index,
                membership,
                cause,
            } => {
                tracing::info!(%node, %index, ?cause, "membership");
                // Removed, and added anew: the cluster names this life now, or will.
                self.is_other_life &= !membership.accepts(node, self.raft.incarnation());
                self.publisher.is_urgent = true;
                self.transport.members(membership);
            }
            Observation::WrongIncarnation { id, incarnation } => {
                tracing::warn!(%node, %id, %incarnation, "another life of a member's storage");
                self.is_other_life |= *id == node;
                self.publisher.is_urgent = true;
            }
            Observation::Quarantined { .. } | Observation::DiskStalled { .. } => {
                tracing::warn!(%node, ?observation, "trouble");
                self.publisher.is_urgent = true;
            }
            Observation::TransferAborted { .. }
            | Observation::TransferStarted { .. }
            | Observation::Released
            | Observation::Installed { .. } => {
                tracing::info!(%node, ?observation, "news");
                self.publisher.is_urgent = true;
            }
            Observation::Committed(_)
            | Observation::Truncated { .. }
            | Observation::Progress { .. } => {
                tracing::trace!(%node, ?observation, "progress");
            }
        }
    }

    /// Lets those who look on know, if it is time.
    pub(super) fn publish(&mut self, now: Time) {
        let raft = &self.raft;
        let marks = [
            raft.last().index,
            raft.commit(),
            raft.durable(),
            raft.applied(),
        ];
        let usage = self.snapshots.store.usage();
        self.publisher.note((marks, usage));
        if self.publisher.is_due(now) {
            let status = self.status(now);
            self.publisher.publish(now, status);
        }
    }

    fn status(&self, now: Time) -> NodeStatus {
        NodeStatus {
            core: self.raft.status(now),
            incarnation: self.raft.incarnation(),
            role_cause: self.leadership.cause,
            leader_changes: self.leadership.changes,
            leader_change: self.leadership.last(now),
            is_other_life: self.is_other_life,
            log: self.snapshots.store.usage(),
            parcels_dropped: self.mailbox.parcels_dropped(),
            snapshot_trouble: self.snapshot_trouble.clone(),
            stopped: None,
        }
    }

    fn trouble(&mut self, what: &str, error: &PortError) {
        tracing::warn!(node = %self.id(), %error, "snapshot {what}");
        self.snapshot_trouble = Some(format!("a snapshot {what}: {error}"));
        self.publisher.is_urgent = true;
    }
}

/// A request that comes too late for the core.
pub(super) fn turn_away(desk: &Desk, request: Request) {
    match request {
        Request::Client(request) => desk.stop(request),
        Request::Order(Order::Snapshot(waiting)) => {
            // Whoever gave the order may be gone.
            drop(waiting.send(Err(SnapshotError::Stopped)));
        }
        Request::Order(Order::AbortChange | Order::Campaign | Order::Stop) => {}
    }
}
