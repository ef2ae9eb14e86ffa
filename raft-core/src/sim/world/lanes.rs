//! What a server has others do while it goes on: the disk syncs, the machine applies, snapshots are
//! taken and fetched, entries are read back.
//!
//! Each lane ends in an event for the server. This file does not know what the server makes of it.

use std::sync::Arc;

use super::{Happening, Life, World};
use crate::entry::{Entry, Payload, SnapshotMeta};
use crate::event::{Apply, Event, Fetch};
use crate::port::Committed;
use crate::sim::disk::{Image, ImageSink};
use crate::sim::faults::Fault;
use crate::sim::ghost::Violation;
use crate::sim::marks::Mark;
use crate::sim::node::Transfer;
use crate::sim::workload::Answer;
use crate::types::{Index, Position, Term};

/// A snapshot is given up after this many chunks were lost in a row.
const CHUNK_FAILURES_MAX: u64 = 3;

impl World {
    // --- The disk ---

    /// Begins a sync if something waits for one.
    pub(super) fn start_sync(&mut self, node: usize) {
        let target = &mut self.nodes[node];
        if !target.disk.wants_sync() {
            return;
        }
        target.disk.begin_sync(self.knobs.sync_writes.max(1));
        let begin = self.now.max(target.stalled_until);
        let mut at = begin + self.knobs.sync_ns + self.rng.below(self.knobs.sync_jitter_ns + 1);
        if self.rng.chance(self.knobs.slow_sync_ppm) {
            self.counts.count(Fault::SlowSync);
            at += self.rng.magnitude(1, self.knobs.slow_sync_ns.max(1));
        }
        let life = self.life(node);
        self.schedule.push(at, Happening::Synced(life));
    }

    pub(super) fn synced(&mut self, node: usize) -> Result<(), Violation> {
        let target = &mut self.nodes[node];
        if self.now < target.stalled_until {
            let life = Life {
                node,
                epoch: target.epoch,
            };
            self.schedule
                .push(target.stalled_until, Happening::Synced(life));
            return Ok(());
        }
        let (id, ghost) = (target.id, &mut self.ghost);
        let last = target.disk.end_sync(|write| ghost.persisted(id, write))?;
        self.start_sync(node);
        match last {
            Some(write) => self.receive(node, Event::Persisted(write)),
            None => Ok(()),
        }
    }

    // --- Reading back ---

    pub(super) fn fetched(&mut self, node: usize, fetch: Fetch) {
        let Fetch {
            reader,
            from,
            to,
            bytes_max,
        } = fetch;
        let mut entries = self.nodes[node].disk.read(from, to, bytes_max);
        if entries.len() > 1 && self.rng.chance(self.knobs.short_read_ppm) {
            self.counts.count(Fault::ShortRead);
            entries.truncate(1 + self.rng.place(entries.len()));
        }
        let entries = entries.into();
        self.report_to(node, Event::Fetched { reader, entries });
    }

    /// A thread of the process is done; its word lies in a queue for a while, in which much else
    /// may happen.
    fn report_to(&mut self, node: usize, event: Event) {
        let at = self.now + self.rng.below(self.knobs.fetch_ns + 1);
        let life = self.life(node);
        self.schedule.push(at, Happening::Reported(life, event));
    }

    // --- The machine ---

    /// The machine takes up what is at the front of its lane, if it is idle.
    pub(super) fn start_apply(&mut self, node: usize) {
        let target = &mut self.nodes[node];
        if target.machine.busy || target.machine.queue.is_empty() {
            return;
        }
        target.machine.busy = true;
        let life = Life {
            node,
            epoch: target.epoch,
        };
        let at = self.now + self.knobs.apply_ns + self.rng.below(self.knobs.apply_jitter_ns + 1);
        self.schedule.push(at, Happening::Applied(life));
    }

    pub(super) fn applied(&mut self, node: usize) -> Result<(), Violation> {
        let target = &mut self.nodes[node];
        if let Some(thaw) = target.frozen_until {
            let life = Life {
                node,
                epoch: target.epoch,
            };
            self.schedule.push(thaw + 1, Happening::Applied(life));
            return Ok(());
        }
        target.machine.busy = false;
        let index = match target.machine.queue.pop_front() {
            Some(Apply::Entries(entries)) => self.apply_entries(node, &entries)?,
            Some(Apply::Restore(meta)) => self.restore(node, &meta)?,
            None => return Ok(()),
        };
        self.after_apply(node, index)?;
        self.start_apply(node);
        self.receive(node, Event::Applied(index))
    }

    fn apply_entries(&mut self, node: usize, entries: &[Entry]) -> Result<Index, Violation> {
        let target = &mut self.nodes[node];
        let expected = target.machine.applied.next();
        if entries.first().is_none_or(|first| first.index != expected) {
            let first = entries.first().map(Entry::position);
            let detail = format!(
                "{}: asked to apply {first:?} instead of {expected}",
                target.id
            );
            return Err(Violation {
                invariant: "apply-in-order",
                detail,
            });
        }
        let batch: Vec<Committed> = entries
            .iter()
            .filter_map(|entry| match &entry.payload {
                Payload::Command(command) => Some(Committed {
                    index: entry.index,
                    term: entry.term,
                    command: command.clone(),
                }),
                Payload::Noop | Payload::Membership(_) => None,
            })
            .collect();
        let last = entries.last().map_or(Index(0), |entry| entry.index);
        let Some(service) = &mut target.machine.service else {
            return Ok(last);
        };
        let mut answers = service.apply(&batch)?.into_iter();
        target.machine.applied = last;
        let id = target.id;
        for entry in entries {
            let answer = match &entry.payload {
                Payload::Command(command) => {
                    let answer = answers.next().unwrap_or_default();
                    self.service
                        .clients
                        .applied(id, entry.index, command, &answer)?;
                    Some(Answer::Done(answer))
                }
                Payload::Noop | Payload::Membership(_) => None,
            };
            self.answer_command(node, entry.position(), answer);
        }
        Ok(last)
    }

    /// Answers the command at this position, and those below it, which are not there any more.
    fn answer_command(&mut self, node: usize, at: Position, mut answer: Option<Answer>) {
        while let Some((position, ticket)) = self.nodes[node].waiting.take_command(at.index) {
            let own = if position == at { answer.take() } else { None };
            if own.is_none() && position.index == at.index {
                self.marks.hit(Mark::AcceptedThenLost);
            }
            self.answer(node, ticket, own.unwrap_or(Answer::Unknown), at.index);
        }
    }

    fn restore(&mut self, node: usize, meta: &SnapshotMeta) -> Result<Index, Violation> {
        let target = &mut self.nodes[node];
        let Some(image) = target.disk.snapshot(meta.last) else {
            let detail = format!("{}: there is no snapshot at {}", target.id, meta.last);
            return Err(Violation {
                invariant: "restore-without-snapshot",
                detail,
            });
        };
        if let Some(service) = &mut target.machine.service {
            service.restore(meta.last.index, &**image)?;
        }
        target.machine.applied = meta.last.index;
        while let Some((_, ticket)) = self.nodes[node].waiting.take_command(meta.last.index) {
            self.answer(node, ticket, Answer::Unknown, meta.last.index);
        }
        Ok(meta.last.index)
    }

    /// The machine has come to this index: it is judged, reads are answered, snapshots taken.
    fn after_apply(&mut self, node: usize, index: Index) -> Result<(), Violation> {
        let target = &mut self.nodes[node];
        if let Some(service) = &target.machine.service {
            let digest = (self.service.digest)(&**service);
            self.ghost.applied(target.id, index, digest)?;
        }
        while let Some((ticket, query)) = self.nodes[node].waiting.take_ready(index) {
            self.answer_read(node, ticket, &query)?;
        }
        self.sync_machine(node, index)?;
        let since = index.since(self.nodes[node].disk.snapshot_meta().last.index);
        if self.knobs.snapshot_every > 0 && since >= self.knobs.snapshot_every {
            self.take_snapshot(node)?;
        }
        Ok(())
    }

    /// A machine with a disk of its own makes its state durable now and then.
    fn sync_machine(&mut self, node: usize, index: Index) -> Result<(), Violation> {
        let own = self.nodes[node].machine.own.as_ref();
        let synced = own.map_or(Index(0), |own| own.meta.last.index);
        let every = self.knobs.machine_sync_every;
        if every == 0 || index.since(synced) < every {
            return Ok(());
        }
        let last = Position::new(Term(0), index);
        let meta = Arc::new(SnapshotMeta {
            last,
            ..SnapshotMeta::default()
        });
        let image = self.image(node, meta)?;
        self.nodes[node].machine.own = Some(Arc::new(image));
        Ok(())
    }

    fn image(&mut self, node: usize, meta: Arc<SnapshotMeta>) -> Result<Image, Violation> {
        let mut sink = ImageSink::default();
        if let Some(service) = &mut self.nodes[node].machine.service {
            service.snapshot()?(&mut sink)?;
        }
        Ok(sink.into_image(meta))
    }

    // --- Snapshots taken here ---

    /// A snapshot is taken out of turn, and sometimes more of the log is let go than it allows.
    pub(super) fn compact(&mut self, node: usize, amount: u64) -> Result<bool, Violation> {
        let taken = self.take_snapshot(node)?;
        if amount.is_multiple_of(4) {
            let applied = self.nodes[node].machine.applied;
            self.receive(node, Event::Compact(applied.plus(amount % 100)))?;
        }
        Ok(taken)
    }

    /// Begins to take a snapshot. False if one is being taken, or there is nothing to take.
    pub(super) fn take_snapshot(&mut self, node: usize) -> Result<bool, Violation> {
        let target = &self.nodes[node];
        let applied = target.machine.applied;
        let Some(raft) = target.raft.as_ref().filter(|_| target.taking.is_none()) else {
            return Ok(false);
        };
        let Some(meta) = raft.snapshot_meta(applied) else {
            return Ok(false);
        };
        if meta.last.index <= target.disk.snapshot_meta().last.index {
            return Ok(false);
        }
        let image = self.image(node, Arc::new(meta))?;
        self.nodes[node].taking = Some(Arc::new(image));
        let at = self.now + self.rng.below(self.knobs.snapshot_ns + 1);
        let life = self.life(node);
        self.schedule.push(at, Happening::SnapshotDone(life));
        Ok(true)
    }

    pub(super) fn snapshot_done(&mut self, node: usize) {
        let target = &mut self.nodes[node];
        let Some(image) = target.taking.take() else {
            return;
        };
        let meta = Arc::clone(&image.meta);
        target.disk.add_snapshot(image);
        let keep = meta.last.index.0.saturating_sub(self.knobs.keep_entries);
        self.report_to(node, Event::SnapshotTaken(meta));
        self.report_to(node, Event::Compact(Index(keep)));
    }

    // --- Snapshots fetched from others ---

    pub(super) fn next_chunk(&mut self, node: usize, serial: u64) {
        let at = self.now + 1 + self.rng.below(self.knobs.chunk_ns + 1);
        let life = self.life(node);
        self.schedule.push(at, Happening::Chunk(life, serial));
    }

    /// A chunk arrives, or is lost. What arrived stays, also when the fetch is given up.
    pub(super) fn chunk(&mut self, node: usize, serial: u64) {
        let Some(transfer) = self.nodes[node].transfer.take_if(|it| it.serial == serial) else {
            return;
        };
        let Some(image) = self.served(node, &transfer) else {
            self.chunk_lost(node, transfer, CHUNK_FAILURES_MAX);
            return;
        };
        if self.rng.chance(self.knobs.chunk_lost_ppm) {
            self.counts.count(Fault::ChunkLost);
            self.chunk_lost(node, transfer, 1);
            return;
        }
        let next = transfer.next + 1;
        let target = &mut self.nodes[node];
        if next >= self.knobs.chunks {
            target.partial = None;
            target.disk.add_snapshot(image);
            self.report_to(node, Event::SnapshotReceived(transfer.meta));
            return;
        }
        target.partial = Some((transfer.meta.last, next));
        target.transfer = Some(Transfer {
            next,
            failures: 0,
            ..transfer
        });
        self.next_chunk(node, serial);
    }

    /// The snapshot wanted, if the other node can be reached and still has it.
    fn served(&self, node: usize, transfer: &Transfer) -> Option<Arc<Image>> {
        let from = self.nodes.get(transfer.from)?;
        let linked =
            self.net.connects(node, transfer.from) && self.net.connects(transfer.from, node);
        let there = linked && from.is_awake() && self.nodes[node].is_awake();
        from.disk
            .snapshot(transfer.meta.last)
            .filter(|_| there)
            .cloned()
    }

    fn chunk_lost(&mut self, node: usize, transfer: Transfer, weight: u64) {
        let failures = transfer.failures + weight;
        if failures >= CHUNK_FAILURES_MAX {
            self.report_to(node, Event::SnapshotFailed(transfer.meta.last.index));
            return;
        }
        let serial = transfer.serial;
        self.nodes[node].transfer = Some(Transfer {
            failures,
            ..transfer
        });
        self.next_chunk(node, serial);
    }
}
