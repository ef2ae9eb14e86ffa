//! The engine in memory: a tree for each family, and a lock that no one holds for long.
//!
//! A reader takes the roots of the trees, which costs nothing, and goes. The writer changes the
//! nodes that no reader has where they are, and copies the others. To copy nodes only for readers
//! that are there, and not for those that might come, it changes the very trees that readers take.
//! So it has to hold the lock meanwhile; but when somebody waits it stops after a few changes, and
//! lays those that are left over the trees: with them any moment shows the whole batch.
//!
//! It does not know what a row means, or how rows lie in a snapshot's file: `stream` does.

mod frozen;
mod heads;
mod inner;
mod leaf;
mod tree;
mod turnstile;
mod walk;
mod warm;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use raft_core::Index;
use raft_core::port::{Capture, PortError, SnapshotSource};

use super::{Batch, Change, Engine, Family, Health, View, stream};
use frozen::Frozen;
use tree::{Builder, Node};
use turnstile::Turnstile;

/// So many changes are made between two looks at whether somebody waits: some ten microseconds.
const CHANGES_AT_ONCE: usize = 64;

/// Keeps the rows in memory.
#[derive(Default)]
pub struct MemoryEngine {
    /// Held through a whole batch, and taken first.
    writer: Mutex<()>,
    state: Turnstile<State>,
}

#[derive(Default)]
struct State {
    rows: Frozen,
    /// A batch was refused, so nothing more is done.
    has_failed: bool,
}

impl MemoryEngine {
    /// The file of a snapshot that all rows are in.
    pub const FILE: &str = "rows";

    /// One without rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, PortError> {
        let state = self.state.enter().map_err(poisoned)?;
        if state.has_failed {
            return Err(PortError::misused("an engine that has refused a batch"));
        }
        Ok(state)
    }

    fn freeze(&self) -> Result<Frozen, PortError> {
        Ok(self.state()?.rows.clone())
    }
}

impl fmt::Debug for MemoryEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut described = f.debug_struct("MemoryEngine");
        if let Ok(health) = self.health() {
            described.field("bytes", &health.bytes);
        }
        described.finish_non_exhaustive()
    }
}

impl Engine for MemoryEngine {
    fn write(&self, batch: Batch) -> Result<(), PortError> {
        let _writer = self.writer.lock().map_err(poisoned)?;
        let is_ordered = is_ordered(&batch);
        let mut state = self.state()?;
        if !is_ordered || batch.applied < state.rows.applied {
            state.has_failed = true;
            return Err(PortError::misused("a batch that is not in order"));
        }
        state.rows.applied = batch.applied;
        // What is replaced or removed is dropped without the lock.
        let mut gone = Vec::new();
        for (family, span) in &batch.emptied {
            let tree = &mut state.rows.trees[*family as usize];
            tree.empty(&span.from, span.to.as_deref(), &mut gone);
        }
        let mut rest = Rest::new(batch);
        while let Some(()) = rest.next(|family, changes| {
            state.rows.trees[family as usize].change(changes);
        }) {
            if self.state.is_wanted() {
                state.rows.laid_over = Some(rest.share());
                drop(state);
                state = self.state()?;
            }
        }
        state.rows.laid_over = None;
        drop(state);
        drop::<Vec<Node>>(gone);
        rest.clear();
        Ok(())
    }

    fn read(
        &self,
        reader: &mut dyn FnMut(&dyn View) -> Result<(), PortError>,
    ) -> Result<(), PortError> {
        reader(&self.freeze()?)
    }

    fn durable(&self) -> Index {
        Index(0)
    }

    fn flush(&self) -> Result<(), PortError> {
        Ok(())
    }

    fn capture(&self) -> Result<Capture, PortError> {
        let rows = self.freeze()?;
        Ok(Box::new(move |sink| {
            stream::add(sink, Self::FILE, rows.applied, &rows)
        }))
    }

    fn restore(&self, source: &dyn SnapshotSource) -> Result<(), PortError> {
        let _writer = self.writer.lock().map_err(poisoned)?;
        drop(self.state()?);
        if source.manifest().find(Self::FILE).is_none() {
            let none = "not a snapshot of the memory engine: it has no file of rows";
            return Err(PortError::damaged(none));
        }
        let mut builders: [Builder; Family::ALL.len()] = Default::default();
        let applied = stream::copy(source, Self::FILE, &mut |family, key, value| {
            builders[family as usize].push(key, value);
            Ok(())
        })?;
        let restored = Frozen {
            applied,
            trees: builders.map(Builder::finish),
            laid_over: None,
        };
        let replaced = std::mem::replace(&mut self.state()?.rows, restored);
        drop(replaced);
        Ok(())
    }

    fn health(&self) -> Result<Health, PortError> {
        let state = self.state()?;
        let bytes = state.rows.trees.iter().map(|tree| tree.weight().bytes);
        Ok(Health {
            bytes: bytes.sum(),
            ..Health::default()
        })
    }
}

/// Whether keys ascend, and no family comes twice.
fn is_ordered(batch: &Batch) -> bool {
    let mut seen = [false; Family::ALL.len()];
    batch.changes.iter().all(|(family, changes)| {
        let is_new = !std::mem::replace(&mut seen[*family as usize], true);
        is_new && changes.is_sorted_by(|(one, _), (other, _)| one < other)
    })
}

/// What of a batch is still to be brought into the trees.
struct Rest {
    batch: Arc<Batch>,
    /// The family that is next, by its place in the batch.
    family: usize,
    /// How many of its changes are done.
    done: usize,
}

impl Rest {
    fn new(batch: Batch) -> Self {
        Self {
            batch: Arc::new(batch),
            family: 0,
            done: 0,
        }
    }

    /// The next few changes of a family are brought in; `None` if there are none.
    fn next(&mut self, bring_in: impl FnOnce(Family, &mut [Change])) -> Option<()> {
        while self.batch.changes.get(self.family)?.1.len() == self.done {
            (self.family, self.done) = (self.family + 1, 0);
        }
        let changes = self.batch.changes[self.family].1.len();
        let next = self.done..changes.min(self.done + CHANGES_AT_ONCE);
        self.done = next.end;
        match Arc::get_mut(&mut self.batch) {
            Some(batch) => {
                let (family, changes) = &mut batch.changes[self.family];
                bring_in(*family, &mut changes[next]);
            }
            // Readers have it. Its changes have to stay what they are.
            None => {
                let (family, changes) = &self.batch.changes[self.family];
                bring_in(*family, &mut changes[next].to_vec());
            }
        }
        Some(())
    }

    /// Drops what was replaced and removed.
    fn clear(self) {
        for (_, changes) in &self.batch.changes {
            for some in changes.chunks(CHANGES_AT_ONCE) {
                warm::fetch_owners(some.iter().filter_map(|(_, value)| value.as_ref()));
            }
        }
    }

    /// What is left, for readers.
    fn share(&mut self) -> Arc<Batch> {
        if let Some(batch) = Arc::get_mut(&mut self.batch) {
            // What was brought in has become hollow.
            batch.changes.drain(..self.family);
            if let Some((_, changes)) = batch.changes.first_mut() {
                changes.drain(..self.done);
            }
            (self.family, self.done) = (0, 0);
        }
        Arc::clone(&self.batch)
    }
}

fn poisoned<E>(_: E) -> PortError {
    PortError::misused("an engine whose writer panicked")
}
