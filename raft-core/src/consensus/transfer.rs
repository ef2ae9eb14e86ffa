//! Handing leadership over (dissertation §3.10), on request or because the own disk is sick.
//!
//! The leader takes no proposals until the target has the whole log, then tells it to campaign at
//! once. If nobody has taken over in time, it goes on. This file does not know how the target wins.

use super::leader::Leader;
use super::progress::Progress;
use super::quorum;
use super::raft::Turn;
use super::server::{Server, refuse};
use crate::event::{Observation, Output, Refusal, Reply, RoleCause};
use crate::message::Message;
use crate::types::{NodeId, Ticket, Time};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Transfer {
    target: NodeId,
    deadline: Time,
    /// When the target was last told to campaign.
    told: Option<Time>,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Why {
    Asked(Ticket),
    SickDisk,
}

impl Transfer {
    /// Who is to take over.
    pub(super) const fn target(&self) -> NodeId {
        self.target
    }
}

#[cfg(feature = "sim")]
impl Transfer {
    pub(super) fn for_each_time(&mut self, change: &mut dyn FnMut(&mut Time)) {
        change(&mut self.deadline);
        self.told.iter_mut().for_each(change);
    }
}

impl Leader {
    pub(super) fn transfer_to(
        &mut self,
        server: &Server,
        now: Time,
        ticket: Ticket,
        target: Option<NodeId>,
        out: &mut Output,
    ) {
        if self.transfer.is_some() {
            refuse(ticket, Refusal::Transferring, out);
            return;
        }
        let fit = |id: &NodeId| {
            *id != server.id
                && server.membership().is_incoming_voter(*id)
                && self.progress.contains_key(id)
        };
        let target = match target {
            Some(id) => Some(id).filter(fit),
            None => self.successor(server, now),
        };
        match target {
            Some(target) => self.start_transfer(server, now, target, Why::Asked(ticket), out),
            None => refuse(ticket, Refusal::BadTarget, out),
        }
    }

    fn start_transfer(
        &mut self,
        server: &Server,
        now: Time,
        target: NodeId,
        why: Why,
        out: &mut Output,
    ) {
        let deadline = now.plus(server.config.transfer_timeout);
        self.transfer = Some(Transfer {
            target,
            deadline,
            told: None,
            why,
        });
        out.observations
            .push(Observation::TransferStarted { target });
    }

    /// The voter that would be the best next leader: alive, most caught up, of high priority.
    pub(super) fn successor(&self, server: &Server, now: Time) -> Option<NodeId> {
        let membership = server.membership();
        let patience = server.config.election_timeout_min;
        let voters = self
            .progress
            .iter()
            .filter(|(id, _)| membership.is_incoming_voter(**id));
        let rank = |id: &NodeId| membership.get(*id).map_or(0, |member| member.priority);
        let fitness = |(id, progress): &(&NodeId, &Progress)| {
            (
                now < progress.heard.plus(patience),
                progress.matched,
                rank(id),
            )
        };
        voters.max_by_key(fitness).map(|(id, _)| *id)
    }

    /// Tells the target to campaign once it has everything; again if the word may be lost.
    pub(super) fn flush_transfer(&mut self, server: &mut Server, now: Time, out: &mut Output) {
        let ready = self
            .transfer
            .as_ref()
            .is_some_and(|to| self.is_caught_up(server, to.target));
        let Some(transfer) = &mut self.transfer else {
            return;
        };
        let patience = server.config.heartbeat_interval;
        if ready && transfer.told.is_none_or(|told| now >= told.plus(patience)) {
            transfer.told = Some(now);
            // From now on an election may succeed although this leader is alive.
            self.lease_broken = true;
            server.send(transfer.target, Message::TimeoutNow, out);
        }
    }

    pub(super) fn transfer_deadline(&self, server: &Server) -> Option<Time> {
        let transfer = self.transfer.as_ref()?;
        let told = transfer
            .told
            .filter(|_| self.is_caught_up(server, transfer.target));
        let again = told.map(|told| told.plus(server.config.heartbeat_interval));
        Some(again.map_or(transfer.deadline, |again| again.min(transfer.deadline)))
    }

    fn is_caught_up(&self, server: &Server, id: NodeId) -> bool {
        let last = server.log.last_index();
        self.progress
            .get(&id)
            .is_some_and(|progress| progress.matched == last)
    }

    /// Gives a transfer up that took too long. A leader with a sick disk leaves all the same.
    pub(super) fn tick_transfer(
        &mut self,
        server: &Server,
        now: Time,
        out: &mut Output,
    ) -> Option<Turn> {
        let transfer = self.transfer.take_if(|transfer| now >= transfer.deadline)?;
        out.observations.push(Observation::TransferAborted {
            target: transfer.target,
        });
        match transfer.why {
            Why::Asked(ticket) => {
                refuse(ticket, Refusal::TimedOut, out);
                None
            }
            Why::SickDisk if server.stalled(now).is_some() => {
                Some(Turn::Follow(RoleCause::DiskStalled))
            }
            Why::SickDisk => None,
        }
    }

    /// The target is no voter any more.
    pub(super) fn check_transfer_target(&mut self, server: &Server, out: &mut Output) {
        let gone =
            |transfer: &mut Transfer| !server.membership().is_incoming_voter(transfer.target);
        if let Some(transfer) = self.transfer.take_if(gone) {
            out.observations.push(Observation::TransferAborted {
                target: transfer.target,
            });
            if let Why::Asked(ticket) = transfer.why {
                refuse(ticket, Refusal::BadTarget, out);
            }
        }
    }

    /// Leadership has ended, as a transfer under way wished.
    pub(super) fn end_transfer(&mut self, out: &mut Output) {
        if let Some(Transfer {
            why: Why::Asked(ticket),
            ..
        }) = self.transfer.take()
        {
            out.replies.push(Reply::Transferred { ticket });
        }
    }

    /// A write has been outstanding for too long: a leader whose disk is sick hands over, once for
    /// each such write. One without a successor goes on; nobody could do better.
    pub(super) fn tick_disk(&mut self, server: &Server, now: Time, out: &mut Output) {
        let Some(outstanding) = server.stalled(now) else {
            return;
        };
        if self.stall_seen == server.writes.oldest() {
            return;
        }
        self.stall_seen = server.writes.oldest();
        out.observations
            .push(Observation::DiskStalled { outstanding });
        if self.transfer.is_none()
            && let Some(target) = self.successor(server, now)
        {
            self.start_transfer(server, now, target, Why::SickDisk, out);
        }
    }

    /// When the oldest write will have taken too long, if that was not noticed yet.
    pub(super) fn disk_deadline(&self, server: &Server) -> Option<Time> {
        let oldest = server.writes.oldest()?;
        (self.stall_seen != Some(oldest)).then(|| oldest.plus(server.config.write_stall_max))
    }

    /// The latest time at which a quorum, this server included, was heard from.
    pub(super) fn quorum_heard(&self, server: &Server, now: Time) -> Time {
        quorum::reached(server.membership(), |id| match self.progress.get(&id) {
            Some(progress) => progress.heard,
            None if id == server.id => now,
            None => Time(0),
        })
    }
}
