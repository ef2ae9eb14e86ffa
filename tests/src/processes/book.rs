//! What all clients of a cluster did and were told, in one book. It does not judge.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raft_cli::pb::etcdserverpb::ResponseHeader;
use raft_core::sim::history::{INITIAL_VALUE, OpKind, Outcome, Returned};
use raft_core::types::nanos;

/// The book.
#[derive(Debug)]
pub struct Book {
    began: Instant,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    records: Vec<Record>,
    counts: Counts,
    /// The value that was seen last of each key, so that swaps succeed.
    seen: BTreeMap<u64, u64>,
    /// The latest value that somebody wanted to write: each is another.
    value: u64,
    /// What the troubles were, and one example of each.
    troubles: BTreeMap<String, u64>,
}

/// What came of operations so far.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// How many were answered.
    pub answered: u64,
    /// How many surely did not happen.
    pub refused: u64,
    /// Of how many nobody knows.
    pub unknown: u64,
    /// The terms of those who answered: each had a leader.
    pub terms: BTreeSet<u64>,
}

/// An operation on a register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) client: u64,
    pub(super) key: u64,
    pub(super) kind: OpKind,
    pub(super) call: u64,
    pub(super) outcome: Outcome,
    /// When it was known how it ended.
    pub(super) returned: Option<u64>,
    /// The revision that it made, or was answered from.
    pub(super) revision: Option<i64>,
}

/// Names a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordId(usize);

impl Default for Book {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            pages: Mutex::default(),
        }
    }
}

impl Book {
    /// What came of operations so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.open().counts.clone()
    }

    /// What clients were told in place of answers, and how often.
    #[must_use]
    pub fn troubles(&self) -> BTreeMap<String, u64> {
        self.open().troubles.clone()
    }

    /// What the clock of the book says.
    #[must_use]
    pub fn now(&self) -> u64 {
        nanos(self.began.elapsed())
    }

    /// The longest time since then in which no write was acknowledged.
    #[must_use]
    pub fn longest_silence(&self, since: u64) -> Duration {
        let records = self.open().records.clone();
        let is_write = |record: &&Record| {
            matches!(
                record.outcome,
                Outcome::Ok(Returned::Written | Returned::Swapped)
            )
        };
        let ends = records
            .iter()
            .filter(is_write)
            .filter_map(|record| record.returned);
        let mut ends: Vec<_> = ends.filter(|end| *end >= since).collect();
        ends.extend([since, self.now()]);
        ends.sort_unstable();
        let silences = ends.windows(2).map(|pair| pair[1] - pair[0]);
        Duration::from_nanos(silences.max().unwrap_or_default())
    }

    /// The highest number of a client so far.
    pub(super) fn clients(&self) -> u64 {
        let pages = self.open();
        pages
            .records
            .iter()
            .map(|record| record.client)
            .max()
            .unwrap_or_default()
    }

    pub(super) fn records(&self) -> Vec<Record> {
        self.open().records.clone()
    }

    /// A value that nobody has written, and the one that the key was last seen to hold.
    pub(super) fn draw(&self, key: u64) -> (u64, u64) {
        let mut pages = self.open();
        pages.value += 1;
        let seen = pages.seen.get(&key).copied();
        (pages.value, seen.unwrap_or(INITIAL_VALUE))
    }

    /// Somebody is about to do something.
    pub(super) fn call(&self, client: u64, key: u64, kind: OpKind) -> RecordId {
        let mut pages = self.open();
        let record = Record {
            client,
            key,
            kind,
            call: self.now(),
            outcome: Outcome::Unknown,
            returned: None,
            revision: None,
        };
        pages.records.push(record);
        RecordId(pages.records.len() - 1)
    }

    /// It was answered.
    pub(super) fn answered(&self, id: RecordId, returned: Returned, header: &ResponseHeader) {
        let mut pages = self.open();
        let now = self.now();
        let record = &mut pages.records[id.0];
        record.outcome = Outcome::Ok(returned);
        record.returned = Some(now);
        record.revision = Some(header.revision);
        let key = record.key;
        let shown = match returned {
            Returned::Value(value) | Returned::Mismatch { found: value } => Some(value),
            Returned::Written | Returned::Swapped => record.kind.value_new(),
        };
        pages.seen.extend(shown.map(|value| (key, value)));
        pages.counts.answered += 1;
        pages.counts.terms.insert(header.raft_term);
    }

    /// It surely did not happen.
    pub(super) fn refused(&self, id: RecordId, why: &str) {
        let mut pages = self.open();
        let now = self.now();
        pages.records[id.0].outcome = Outcome::Failed;
        pages.records[id.0].returned = Some(now);
        pages.counts.refused += 1;
        *pages.troubles.entry(format!("refused: {why}")).or_default() += 1;
    }

    /// Nobody knows.
    pub(super) fn unknown(&self, why: &str) {
        let mut pages = self.open();
        pages.counts.unknown += 1;
        *pages.troubles.entry(format!("unknown: {why}")).or_default() += 1;
    }

    fn open(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
