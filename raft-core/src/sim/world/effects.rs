//! Carries out what a server wants done, one effect after another, as every shell must.
//!
//! A crash may come between any two effects. This file does not judge them; that was done before.

use super::{Happening, Life, World, telling};
use crate::event::{Event, Output, Reply, SnapshotOrder, Write};
use crate::port::PortError;
use crate::sim::faults::Fault;
use crate::sim::ghost::Violation;
use crate::sim::net::place;
use crate::sim::node::{Doom, Transfer};
use crate::sim::workload::Answer;
use crate::types::{Index, Ticket};

/// Tickets of the operator have this bit, those of clients don't.
pub(super) const OPERATOR_TICKET: u64 = 1 << 63;

/// How far the carrying out of an output came.
#[derive(PartialEq, Eq)]
enum Progress {
    Done,
    /// The process died in between.
    Died,
}

impl From<PortError> for Violation {
    /// A machine or sink in memory never fails, so if one does it is a finding.
    fn from(error: PortError) -> Self {
        Self::new("state-machine", error.to_string())
    }
}

impl World {
    /// Carries out the output of the latest step, and sees to the next tick.
    pub(super) fn carry_out(&mut self, node: usize) -> Result<(), Violation> {
        let mut out = std::mem::take(&mut self.out);
        if let Some(trace) = &mut self.trace {
            telling::output(trace, self.now, node, &out);
        }
        let progress = self.carry_out_all(node, &mut out)?;
        out.messages.clear();
        out.write = None;
        out.apply.clear();
        out.fetch.clear();
        out.snapshot.clear();
        out.purge = None;
        out.replies.clear();
        out.observations.clear();
        self.out = out;
        if progress == Progress::Done {
            self.arm_tick(node);
        }
        Ok(())
    }

    fn carry_out_all(&mut self, node: usize, out: &mut Output) -> Result<Progress, Violation> {
        for envelope in out.messages.drain(..) {
            if self.strikes(node)? {
                return Ok(Progress::Died);
            }
            let schedule = &mut self.schedule;
            self.net.send(
                self.now,
                envelope,
                &self.knobs,
                &mut self.counts,
                |at, envelope| {
                    schedule.push(at, Happening::Deliver(envelope));
                },
            );
        }
        if let Some(write) = out.write.take() {
            if self.strikes(node)? {
                return Ok(Progress::Died);
            }
            self.issue(node, write);
        }
        for apply in out.apply.drain(..) {
            if self.strikes(node)? {
                return Ok(Progress::Died);
            }
            self.nodes[node].machine.queue.push_back(apply);
        }
        self.start_apply(node);
        for fetch in out.fetch.drain(..) {
            let at = self.now + self.rng.below(self.knobs.fetch_ns + 1);
            let life = self.life(node);
            self.schedule.push(at, Happening::Fetched(life, fetch));
        }
        for order in out.snapshot.drain(..) {
            self.order_snapshot(node, order)?;
        }
        if let Some(up_to) = out.purge.take() {
            self.nodes[node].disk.purge(up_to)?;
        }
        for reply in out.replies.drain(..) {
            if self.strikes(node)? {
                return Ok(Progress::Died);
            }
            self.reply(node, &reply)?;
        }
        Ok(Progress::Done)
    }

    pub(super) fn life(&self, node: usize) -> Life {
        Life {
            node,
            epoch: self.nodes[node].epoch,
        }
    }

    /// Whether the process was doomed to die before this effect, and just did.
    fn strikes(&mut self, node: usize) -> Result<bool, Violation> {
        match &mut self.nodes[node].doom {
            Doom::Spared | Doom::InWrite { .. } => Ok(false),
            Doom::InEffects { left: 0, down } => {
                let down = *down;
                self.counts.count(Fault::CrashInEffects);
                self.crash(node, down)?;
                Ok(true)
            }
            Doom::InEffects { left, .. } => {
                *left -= 1;
                Ok(false)
            }
        }
    }

    fn issue(&mut self, node: usize, write: Write) {
        let target = &mut self.nodes[node];
        target.disk.issue(write);
        self.start_sync(node);
        let target = &mut self.nodes[node];
        if let Doom::InWrite { down } = target.doom {
            target.doom = Doom::Spared;
            let at = self.now + self.rng.below(self.knobs.sync_ns.max(1));
            let life = self.life(node);
            self.schedule.push(at, Happening::Die(life, down));
        }
    }

    /// A crash was to come between a write and its durability; it does if the disk was not faster.
    pub(super) fn die_in_write(&mut self, node: usize, down: u64) -> Result<(), Violation> {
        if self.nodes[node].disk.is_dirty() {
            self.counts.count(Fault::CrashInWrite);
            self.crash(node, down)?;
        }
        Ok(())
    }

    fn order_snapshot(&mut self, node: usize, order: SnapshotOrder) -> Result<(), Violation> {
        match order {
            SnapshotOrder::Fetch { from, snapshot } => {
                if self.nodes[node].disk.snapshot(snapshot.last).is_some() {
                    return self.receive_later(node, Event::SnapshotReceived(snapshot));
                }
                self.serial += 1;
                let serial = self.serial;
                let target = &mut self.nodes[node];
                let next = match target.partial {
                    Some((last, chunks)) if last == snapshot.last => chunks,
                    Some(_) | None => 0,
                };
                target.partial = Some((snapshot.last, next));
                let from = place(from);
                target.transfer = Some(Transfer {
                    meta: snapshot,
                    from,
                    next,
                    failures: 0,
                    serial,
                });
                self.next_chunk(node, serial);
            }
            SnapshotOrder::Cancel(last) => {
                let target = &mut self.nodes[node];
                target
                    .transfer
                    .take_if(|transfer| transfer.meta.last.index == last);
            }
        }
        Ok(())
    }

    /// An event that the node causes to itself while it carries out an output: it is stepped after.
    fn receive_later(&mut self, node: usize, event: Event) -> Result<(), Violation> {
        let target = &mut self.nodes[node];
        target.inbox.push(event);
        if !target.inbox.awaited && target.frozen_until.is_none() {
            self.wake_after(node, 1);
        }
        Ok(())
    }

    fn reply(&mut self, node: usize, reply: &Reply) -> Result<(), Violation> {
        match *reply {
            Reply::Accepted { ticket, position } => {
                for displaced in self.nodes[node].waiting.accepted(position, ticket) {
                    self.answer(node, displaced, Answer::Unknown, Index(0));
                }
            }
            Reply::ReadReady { ticket, index } => return self.read_ready(node, ticket, index),
            Reply::MembershipChanged { ticket, .. }
            | Reply::Transferred { ticket }
            | Reply::Unknown { ticket } => {
                if ticket.0 & OPERATOR_TICKET == 0 {
                    self.answer(node, ticket, Answer::Unknown, Index(0));
                } else {
                    self.operator.ended(ticket);
                }
            }
            Reply::Refused { ticket, reason } => {
                if ticket.0 & OPERATOR_TICKET == 0 {
                    self.nodes[node].waiting.take_asked(ticket);
                    self.answer(node, ticket, Answer::Refused(reason), Index(0));
                } else {
                    self.operator.ended(ticket);
                }
            }
        }
        Ok(())
    }

    fn read_ready(&mut self, node: usize, ticket: Ticket, index: Index) -> Result<(), Violation> {
        let target = &mut self.nodes[node];
        self.ghost.read_ready(target.id, ticket, index, self.now)?;
        let Some(query) = target.waiting.take_asked(ticket) else {
            return Ok(());
        };
        if index <= target.machine.applied {
            return self.answer_read(node, ticket, &query);
        }
        target.waiting.ready.push((index, ticket, query));
        Ok(())
    }
}
