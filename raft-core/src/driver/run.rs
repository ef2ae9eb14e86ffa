//! The loop of a node: takes what waits, lets the core decide, carries out what it says.
//!
//! It decides nothing itself, and never blocks. Its order within one round is the contract of
//! [`crate::event`]: all events, one flush, then the effects, messages before the write, so that
//! the network and the disk work at the same time.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::coop::consume_budget;
use tokio::task::spawn_blocking;
use tokio::time::Sleep;

use super::apply::{Applier, MachineTask};
use super::clock::Clock;
use super::desk::Desk;
use super::done::Done;
use super::error::StopReason;
use super::intake::turn_away;
use super::lane::Lane;
use super::leadership::Leadership;
use super::mailbox::{Batch, Mailbox};
use super::recording::Recording;
use super::snapshots::Snapshots;
use super::status::Publisher;
use super::take::Taking;
use super::writer::{LogTask, Writer};
use crate::Raft;
use crate::event::{Apply, Event, Output, SnapshotOrder};
use crate::port::{Parcel, Transport};
use crate::types::{NodeId, Time};

/// So many requests are looked at in one round: the followers get the first of a crowd while the
/// leader looks at the next, and no message waits behind all of them.
const ROUND_REQUESTS_MAX: usize = 256;

/// A running node. All of it is owned by its loop.
pub(super) struct Run {
    /// First, for it is dropped first.
    pub(super) _door: Door,
    pub(super) raft: Raft,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) log: Lane<Writer>,
    pub(super) machine: Lane<Applier>,
    pub(super) reads_held: Arc<AtomicUsize>,
    pub(super) snapshots: Snapshots,
    pub(super) taking: Taking,
    pub(super) desk: Desk,
    pub(super) publisher: Publisher,
    pub(super) clock: Clock,
    pub(super) timing: Timing,
    pub(super) leadership: Leadership,
    pub(super) is_other_life: bool,
    pub(super) snapshot_trouble: Option<String>,
    pub(super) stop: Option<StopReason>,
    pub(super) out: Output,
    pub(super) recording: Recording,
}

/// Closes when the loop is gone, however that came about: a panic, or the end of the runtime. A
/// request that nobody looks at any more must not get in, nor wait on.
pub(super) struct Door {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) transport: Arc<dyn Transport>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.transport.stop();
        // Dropped, each request learns that its outcome is unknown.
        drop(self.mailbox.close());
    }
}

/// When the loop wakes up by itself.
pub(super) struct Timing {
    pub(super) grid: Duration,
    pub(super) request_timeout: Duration,
    pub(super) change_timeout: Duration,
    /// How often requests that wait for a leader are tried again.
    pub(super) retry: Duration,
    /// When they are next.
    pub(super) retry_at: Option<Time>,
    /// Armed for `alarm_at`, or not later than the next deadline.
    pub(super) alarm: Pin<Box<Sleep>>,
    pub(super) alarm_at: Option<Time>,
}

impl Run {
    /// Runs until the node is told to stop, or can't go on.
    pub(super) async fn run(mut self) -> StopReason {
        let mut batch = Batch::default();
        self.begin();
        loop {
            let now = self.clock.now();
            self.take_in(now, &mut batch);
            self.raft.flush(now, &mut self.out);
            self.recording.flushed(now, &self.out, &self.raft);
            self.carry_out(now);
            self.publish(now);
            if let Some(reason) = self.stop.take() {
                return self.end(reason, batch).await;
            }
            self.wait(now, &mut batch).await;
            consume_budget().await;
        }
    }

    /// Waits until something comes in, or the next deadline.
    async fn wait(&mut self, now: Time, batch: &mut Batch) {
        let deadline = self.deadline();
        let (mailbox, timing) = (&self.mailbox, &mut self.timing);
        // An alarm that goes off too early does no harm; so it is set anew only when it must.
        let is_armed = timing
            .alarm_at
            .is_some_and(|at| now < at && deadline.is_none_or(|deadline| at <= deadline));
        if let Some(deadline) = deadline
            && !is_armed
        {
            let instant = self.clock.instant(deadline, timing.grid);
            timing.alarm.as_mut().reset(instant);
            timing.alarm_at = Some(deadline);
        }
        poll_fn(|context| {
            let filled = mailbox.poll_fill(batch, context);
            if filled.is_pending() && timing.alarm_at.is_some() {
                let rung = timing.alarm.as_mut().poll(context);
                if rung.is_ready() {
                    timing.alarm_at = None;
                }
                return rung;
            }
            filled
        })
        .await;
    }

    fn deadline(&self) -> Option<Time> {
        [
            self.raft.deadline(),
            self.desk.deadline(),
            self.taking.deadline(),
            self.publisher.deadline(),
            self.timing.retry_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Hands everything that came in to the core: what was done first, clients last.
    fn take_in(&mut self, now: Time, batch: &mut Batch) {
        if self.raft.deadline().is_some_and(|deadline| deadline <= now) {
            self.step(now, Event::Tick);
        }
        for done in batch.done.drain(..) {
            self.done(now, done);
        }
        for parcel in batch.parcels.drain(..) {
            match parcel {
                Parcel::Consensus(envelope) => self.step(now, Event::Received(envelope)),
                Parcel::Ask(ask) => self.asked(now, ask),
                Parcel::Answer(answer) => self.desk.answered(answer),
            }
        }
        let count = batch.requests.len().min(ROUND_REQUESTS_MAX);
        for request in batch.requests.drain(..count) {
            self.request(now, request);
        }
        self.look_at_clock(now);
    }

    /// One event for the core.
    pub(super) fn step(&mut self, now: Time, event: Event) {
        self.recording.event(now, &event);
        self.raft.step(now, event, &mut self.out);
    }

    /// Does what the core wants done.
    fn carry_out(&mut self, now: Time) {
        let mut out = mem::take(&mut self.out);
        for observation in out.observations.drain(..) {
            self.observe(now, &observation);
        }
        for reply in out.replies.drain(..) {
            if let Some(ready) = self.desk.reply(&reply) {
                self.machine.push(MachineTask::Read(ready));
            }
        }
        for envelope in out.messages.drain(..) {
            self.transport.send(Parcel::Consensus(envelope));
        }
        if let Some(write) = out.write.take() {
            self.log.push(LogTask::Write(write));
        }
        for fetch in out.fetch.drain(..) {
            self.log.push(LogTask::Fetch(fetch));
        }
        if let Some(up_to) = out.purge.take() {
            self.log.push(LogTask::Purge(up_to));
        }
        for apply in out.apply.drain(..) {
            self.apply(apply);
        }
        for order in out.snapshot.drain(..) {
            match order {
                SnapshotOrder::Fetch { from, snapshot } => self.snapshots.fetch(from, snapshot),
                SnapshotOrder::Cancel(last) => self.snapshots.cancel(last),
            }
        }
        self.out = out;
        self.log.flush();
        self.machine.flush();
        let is_waiting = self.desk.has_parked() || self.reads_held.load(Ordering::Relaxed) > 0;
        if is_waiting && self.timing.retry_at.is_none() {
            self.timing.retry_at = Some(now.plus(self.timing.retry));
        }
    }

    fn apply(&mut self, apply: Apply) {
        self.machine.push(match apply {
            Apply::Entries(entries) => {
                let waiting = match entries.last() {
                    Some(last) => self.desk.waiting_up_to(last.index),
                    None => Vec::new(),
                };
                MachineTask::Apply { entries, waiting }
            }
            Apply::Restore(snapshot) => {
                self.desk.restored(snapshot.last.index);
                MachineTask::Restore(snapshot)
            }
        });
    }

    /// What the core does not keep time of: requests, snapshots, and what waits for a leader.
    fn look_at_clock(&mut self, now: Time) {
        if self.desk.deadline().is_some_and(|deadline| deadline <= now) {
            self.desk.expire(now);
        }
        if self.timing.retry_at.is_some_and(|at| at <= now) {
            self.timing.retry_at = None;
            self.desk.expire(now);
            self.try_again(now);
            if self.reads_held.load(Ordering::Relaxed) > 0 {
                self.machine.push(MachineTask::Expire(now));
            }
        }
        if self.taking.is_due(now) {
            self.machine.push(MachineTask::Capture);
        }
    }

    /// Requests that waited for a leader go to the core once more.
    pub(super) fn try_again(&mut self, now: Time) {
        for asked in self.desk.unpark() {
            let event = self.desk.ask_core(asked, now);
            self.step(now, event);
        }
    }

    /// Who this is.
    pub(super) const fn id(&self) -> NodeId {
        self.raft.id()
    }
}

impl Run {
    fn begin(&mut self) {
        self.recording.begin(self.clock.now(), &self.raft);
        self.transport.members(self.raft.membership());
    }

    async fn end(self, reason: StopReason, batch: Batch) -> StopReason {
        let rest = self.mailbox.close();
        self.snapshots.close().await;
        let (machine, log) = (self.machine, self.log);
        // What the lanes were given is finished: nobody is told that it is lost when it is not.
        let closing = spawn_blocking(move || {
            machine.close();
            log.close();
        });
        // It fails only together with the runtime; then there is nobody left to tell.
        drop(closing.await);
        for request in batch.requests.into_iter().chain(rest.requests) {
            turn_away(&self.desk, request);
        }
        self.desk.close();
        // Only now: clients at other nodes have their answers, too.
        self.transport.stop();
        let mut done = rest.done;
        done.append(&mut self.mailbox.close().done);
        let reason = last_word(reason, done);
        tracing::info!(node = %self.raft.id(), %reason, "stopped");
        reason
    }
}

/// A node that was told to stop, and failed before it did, has failed.
fn last_word(reason: StopReason, done: Vec<Done>) -> StopReason {
    let broken = done.into_iter().find_map(|done| match done {
        Done::Broken(reason) => Some(reason),
        Done::Persisted(_)
        | Done::Fetched { .. }
        | Done::Applied { .. }
        | Done::Captured { .. }
        | Done::Taken(_)
        | Done::Received { .. } => None,
    });
    match (reason, broken) {
        (StopReason::Told, Some(broken)) => broken,
        (reason, _) => reason,
    }
}
