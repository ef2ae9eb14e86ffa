//! The shell around the cores of a transcript: carries out what they want, and tells it.
//!
//! It keeps the contract of `raft_core::event` and knows nothing of commands.

use std::collections::VecDeque;

use raft_core::event::{Apply, Fetch, RoleName, SnapshotOrder, Write};
use raft_core::{Envelope, Event, Index, NodeId, Output, WriteId};

use super::command::Disk as Speed;
use super::render;
use super::runner::Runner;

impl Runner {
    pub(super) fn event(&mut self, id: NodeId, event: Event) -> Result<(), String> {
        self.events(id, vec![event])
    }

    /// One batch: the events, then the flush, then what follows from it.
    pub(super) fn events(&mut self, id: NodeId, batch: Vec<Event>) -> Result<(), String> {
        let mut batches = VecDeque::from([batch]);
        while let Some(batch) = batches.pop_front() {
            let server = self.server(id)?;
            let now = server.now;
            let raft = server.raft.as_mut().ok_or("it is down")?;
            let mut out = Output::default();
            for event in batch {
                raft.step(now, event, &mut out);
            }
            raft.flush(now, &mut out);
            raft.check()?;
            batches.extend(self.carry_out(id, out).into_iter().map(|event| vec![event]));
            self.check_leaders(id)?;
        }
        Ok(())
    }

    fn check_leaders(&mut self, id: NodeId) -> Result<(), String> {
        let raft = self.server(id)?.up()?;
        if raft.role() != RoleName::Leader {
            return Ok(());
        }
        let term = raft.term();
        let leader = *self.leaders.entry(term).or_insert(id);
        if leader == id {
            Ok(())
        } else {
            Err(format!("two leaders in term {term}"))
        }
    }

    /// Carries out what the core wants, and tells it. Returns what the core has to hear of it.
    pub(super) fn carry_out(&mut self, id: NodeId, out: Output) -> Vec<Event> {
        let mut events = Vec::new();
        for observation in &out.observations {
            self.tell(id, render::observation(observation));
        }
        for reply in &out.replies {
            let says = self.names.reply(reply);
            self.tell(id, says);
        }
        if let Some(write) = out.write {
            self.tell(id, render::write(&write));
            events.extend(self.write(id, write));
        }
        for envelope in out.messages {
            self.send(envelope);
        }
        for apply in out.apply {
            events.extend(self.apply(id, &apply));
        }
        for fetch in out.fetch {
            events.push(self.fetch(id, fetch));
        }
        for order in out.snapshot {
            self.tell(id, render::snapshot_order(&order));
            if let Some(server) = self.servers.get_mut(&id) {
                server.fetching = match order {
                    SnapshotOrder::Fetch { snapshot, .. } => Some(snapshot),
                    SnapshotOrder::Cancel(_) => None,
                };
            }
        }
        if let Some(index) = out.purge {
            self.tell(id, format!("drops its log up to {index}"));
            if let Some(server) = self.servers.get_mut(&id) {
                server.disk.purge(index);
            }
        }
        events
    }

    fn send(&mut self, envelope: Envelope) {
        let link = (envelope.from, envelope.to);
        let cut = self.cut.contains(&link) || !self.servers.contains_key(&envelope.to);
        let arrow = if cut { "-x" } else { "->" };
        let says = self.names.message(&envelope);
        self.told
            .push(format!("{} {arrow} {}  {says}", link.0, link.1));
        if !cut {
            self.links.entry(link).or_default().push_back(envelope);
        }
    }

    fn write(&mut self, id: NodeId, write: Write) -> Option<Event> {
        let server = self.servers.get_mut(&id)?;
        match server.speed {
            Speed::Fast => {
                // What was written while the disk was slow goes first.
                server.unsynced.push_back(write);
                let mut last = WriteId(0);
                for write in server.unsynced.drain(..) {
                    server.disk.write(&write);
                    last = write.id;
                }
                Some(Event::Persisted(last))
            }
            Speed::Slow => {
                server.unsynced.push_back(write);
                None
            }
        }
    }

    pub(super) fn persist(&mut self, id: NodeId, up_to: Option<WriteId>) -> Result<(), String> {
        let server = self.server(id)?;
        server.up()?;
        let last = server
            .unsynced
            .back()
            .map(|write| write.id)
            .ok_or("nothing to persist")?;
        let up_to = up_to.unwrap_or(last);
        while let Some(write) = server.unsynced.pop_front_if(|write| write.id <= up_to) {
            server.disk.write(&write);
        }
        self.tell(id, format!("has #{up_to} on disk"));
        self.event(id, Event::Persisted(up_to))
    }

    fn apply(&mut self, id: NodeId, apply: &Apply) -> Option<Event> {
        match apply {
            Apply::Entries(entries) => {
                self.tell(id, format!("applies [{}]", render::entries(entries)));
                Some(Event::Applied(entries.last()?.index))
            }
            Apply::Restore(snapshot) => {
                self.tell(
                    id,
                    format!("restores its state from snapshot {}", snapshot.last),
                );
                Some(Event::Applied(snapshot.last.index))
            }
        }
    }

    fn fetch(&mut self, id: NodeId, fetch: Fetch) -> Event {
        let entries = self
            .servers
            .get(&id)
            .map(|server| server.disk.fetch(&fetch));
        let entries = entries.unwrap_or_default();
        self.tell(
            id,
            format!("reads back from its log [{}]", render::entries(&entries)),
        );
        Event::Fetched {
            reader: fetch.reader,
            entries: entries.into(),
        }
    }

    // --- Looking on ---

    pub(super) fn tell_logs(&mut self) {
        let mut told = Vec::new();
        for (id, server) in &self.servers {
            let Some(raft) = &server.raft else {
                let entries = render::entries(&server.disk.entries);
                told.push(format!("{id} is down, on disk: [{entries}]"));
                continue;
            };
            let image = server.image();
            let base = match image.base.index {
                Index(0) => String::new(),
                _ => format!(" ..{}", image.base),
            };
            let log = render::log(&image.entries, raft.commit(), raft.durable());
            told.push(format!("{id}:{base}{log}"));
        }
        self.told.append(&mut told);
    }

    pub(super) fn tell_status(&mut self) {
        let mut told = Vec::new();
        for (id, server) in &self.servers {
            let Some(raft) = &server.raft else {
                told.push(format!("{id} is down"));
                continue;
            };
            let status = raft.status(server.now);
            told.push(format!(
                "{id} {} term={} last={} commit={} applied={} {}",
                render::role(status.role),
                status.term,
                status.last,
                status.commit,
                status.applied,
                render::members(&status.membership.1),
            ));
            for peer in status.peers {
                let state = render::progress(peer.state);
                told.push(format!(
                    "  of {}: {state} matched={} next={}",
                    peer.id, peer.matched, peer.next
                ));
            }
        }
        self.told.append(&mut told);
    }
}
