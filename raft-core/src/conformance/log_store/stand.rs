//! The test stand: a store and the model side by side, told the same and compared.
//!
//! It does not know the cases. Its panics name the case it stands for.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;

use super::LogStoreFixture;
use super::model::Model;
use crate::entry::{Entry, HardState, Payload, Recovered, SnapshotMeta};
use crate::event::Write;
use crate::membership::{Member, Membership};
use crate::port::{LogStore, PortError, PortErrorKind};
use crate::types::{Incarnation, Index, NodeId, Term};

/// The life that the stores under test are founded with.
pub(super) const INCARNATION: Incarnation = Incarnation(0x51);

/// One store under test.
pub(super) struct Stand<'a> {
    name: String,
    fixture: &'a mut dyn LogStoreFixture,
    /// Taken only while it is reopened.
    store: Option<Box<dyn LogStore>>,
    pub(super) model: Model,
}

impl<'a> Stand<'a> {
    /// A founded store on storage of its own.
    pub(super) fn new(name: String, fixture: &'a mut dyn LogStoreFixture) -> Self {
        let founding = founding();
        let store = Some(fixture.fresh());
        let model = Model::founded(&founding);
        let mut stand = Self {
            name,
            fixture,
            store,
            model,
        };
        let found = stand.recover();
        stand.check(
            found.incarnation == Incarnation::UNBOUND,
            "a store that was never founded has an incarnation",
        );
        let done = stand.store().found(&founding);
        stand.ok("found", done);
        stand
    }

    /// From now on it stands for this case.
    pub(super) fn rename(&mut self, name: String) {
        self.name = name;
    }

    pub(super) fn store(&mut self) -> &mut dyn LogStore {
        let store = self.store.as_deref_mut();
        store.expect("it is put back as soon as it was taken")
    }

    /// Puts a store on storage of its own in place of this one.
    pub(super) fn fresh(&mut self) {
        self.fresh_with(&founding());
    }

    pub(super) fn fresh_with(&mut self, founding: &Recovered) {
        self.close();
        self.store = Some(self.fixture.fresh());
        self.recover();
        let done = self.store().found(founding);
        self.ok("found", done);
        self.model = Model::founded(founding);
    }

    pub(super) fn close(&mut self) {
        self.store = None;
    }

    /// Opens the storage once more and compares all there is to compare.
    pub(super) fn reopen(&mut self) {
        self.close();
        self.store = Some(self.fixture.reopen());
        let found = self.recover();
        self.judge(self.model.judge_recovered(&found));
        self.read_all();
        self.count();
    }

    pub(super) fn recover(&mut self) -> Recovered {
        let found = self.store().recover();
        self.ok("recover", found)
    }

    /// Writes in one call.
    pub(super) fn write(&mut self, writes: &[Write]) {
        let done = self.store().write(writes);
        self.ok("write", done);
        for write in writes {
            self.model.write(write);
        }
    }

    /// Appends entries with these payloads, of the model's latest term, in one write.
    pub(super) fn append(&mut self, payloads: impl IntoIterator<Item = Payload>) {
        let term = self.model.hard_state.term;
        let write = appending(term, self.model.last().next(), payloads);
        self.write(&[write]);
    }

    /// Brings the store to this term, with `count` small commands in it.
    pub(super) fn fill(&mut self, term: u64, count: u64) {
        self.write(&[Write {
            hard_state: Some(hard(term, 1)),
            ..Write::default()
        }]);
        self.append((0..count).map(|number| command(&number.to_le_bytes())));
    }

    pub(super) fn purge(&mut self, up_to: Index) {
        let done = self.store().purge(up_to);
        self.ok("purge", done);
        self.model.purge(up_to);
    }

    /// Makes a snapshot of these files.
    pub(super) fn snapshot(&mut self, meta: &SnapshotMeta, files: &[(&str, &[u8])]) {
        let begun = self.store().create_snapshot(Arc::new(meta.clone()));
        let mut sink = self.ok("begin a snapshot", begun);
        for (name, content) in files {
            let mut content = *content;
            let added = sink.add(name, &mut content);
            self.ok("add a file", added);
        }
        let done = sink.finish();
        self.ok("finish a snapshot", done);
        self.model.add_snapshot(meta);
    }

    /// Makes a snapshot at an entry of the log.
    pub(super) fn snapshot_at(&mut self, index: Index) {
        let meta = self.model.meta_at(index);
        self.snapshot(&meta, &[("state", &index.0.to_le_bytes())]);
    }

    pub(super) fn read(&mut self, from: Index, to: Index, bytes_max: u64) {
        let found = self.store().read(from, to, bytes_max);
        let found = self.ok("read", found);
        self.judge(self.model.judge_read((from, to), bytes_max, &found));
    }

    pub(super) fn read_all(&mut self) {
        let (first, last) = (self.model.purged.next(), self.model.last());
        self.read(first, last, u64::MAX);
    }

    pub(super) fn count(&mut self) {
        let usage = self.store().usage();
        self.judge(self.model.judge_count(usage.entries));
    }

    /// The store must refuse this, and hold what it held before.
    pub(super) fn refuses(&mut self, what: &str, done: Result<(), PortError>) {
        match done {
            Ok(()) => self.fail(&format!("{what} was not refused")),
            Err(error) => {
                let is_misuse = error.kind == PortErrorKind::Misused;
                self.check(is_misuse, &format!("{what}: {:?}: {error}", error.kind));
            }
        }
        self.reopen();
    }

    pub(super) fn ok<T>(&self, what: &str, result: Result<T, PortError>) -> T {
        match result {
            Ok(value) => value,
            Err(error) => self.fail(&format!("{what}: {:?}: {error}", error.kind)),
        }
    }

    pub(super) fn check(&self, condition: bool, otherwise: &str) {
        if !condition {
            self.fail(&otherwise);
        }
    }

    pub(super) fn judge(&self, verdict: Result<(), String>) {
        if let Err(why) = verdict {
            self.fail(&why);
        }
    }

    pub(super) fn fail(&self, why: &dyn Display) -> ! {
        panic!("log store, {}: {why}", self.name)
    }
}

/// Three voters.
pub(super) fn founding() -> Recovered {
    Recovered::bootstrap(INCARNATION, voters(3))
}

pub(super) fn voters(count: u64) -> Membership {
    Membership::of_voters((1..=count).map(|id| {
        let member = Member::at(format!("host-{id}:2380"));
        (NodeId(id), member)
    }))
}

pub(super) fn hard(term: u64, vote: u64) -> HardState {
    HardState {
        term: Term(term),
        vote: (vote > 0).then_some(NodeId(vote)),
    }
}

pub(super) fn command(bytes: &[u8]) -> Payload {
    Payload::Command(Bytes::copy_from_slice(bytes))
}

/// A write that appends these from `first` on.
pub(super) fn appending(
    term: Term,
    first: Index,
    payloads: impl IntoIterator<Item = Payload>,
) -> Write {
    let numbered = payloads.into_iter().zip(0..);
    let entries = numbered.map(|(payload, offset)| Entry {
        term,
        index: first.plus(offset),
        payload,
    });
    Write {
        entries: entries.collect(),
        ..Write::default()
    }
}
