//! Cases: what the contract forbids is refused, said to be misuse, and changes nothing.
//!
//! Whether the store goes on afterwards is not said: a node stops at any error. So each case opens
//! it once more.

use std::sync::Arc;

use super::Case;
use super::stand::{Stand, appending, hard, voters};
use crate::entry::{Entry, Payload, SnapshotMeta};
use crate::event::Write;
use crate::types::{Index, Position, Term};

pub(super) const CASES: &[Case] = &[
    ("no gap is appended", gap),
    ("no entry is appended over another", overlap),
    ("entries of a write are contiguous", not_contiguous),
    (
        "nothing is truncated at or below the base",
        truncate_at_base,
    ),
    ("nothing is truncated beyond the end", truncate_beyond),
    ("no reset without its snapshot", reset_to_nothing),
    ("no purge beyond the snapshot", purge_beyond),
];

/// The store, with a log of 5, refuses this write; a term that it brings is not kept either.
fn refuses(stand: &mut Stand, what: &str, write: Write) {
    let write = Write {
        hard_state: Some(hard(9, 2)),
        ..write
    };
    let done = stand.store().write(&[write]);
    stand.refuses(what, done);
}

fn gap(stand: &mut Stand) {
    stand.fill(1, 5);
    let write = appending(Term(1), Index(7), [Payload::Noop]);
    refuses(stand, "an append of 7 after 5", write);
}

fn overlap(stand: &mut Stand) {
    stand.fill(1, 5);
    let write = appending(Term(1), Index(5), [Payload::Noop]);
    refuses(stand, "an append of 5 after 5", write);
    let write = Write {
        truncate: Some(Index(4)),
        ..appending(Term(1), Index(6), [Payload::Noop])
    };
    refuses(stand, "an append of 6 after a truncation at 4", write);
}

fn not_contiguous(stand: &mut Stand) {
    stand.fill(1, 5);
    let entry = |index| Entry {
        term: Term(1),
        index: Index(index),
        payload: Payload::Noop,
    };
    for indexes in [[6, 8], [6, 6], [7, 6]] {
        let write = Write {
            entries: indexes.map(entry).into_iter().collect(),
            ..Write::default()
        };
        refuses(stand, &format!("an append of {indexes:?} after 5"), write);
    }
}

fn truncate_at_base(stand: &mut Stand) {
    stand.fill(1, 5);
    let truncate = |index| Write {
        truncate: Some(Index(index)),
        ..Write::default()
    };
    refuses(stand, "a truncation at 0", truncate(0));
    let meta = stand.model.meta_at(Index(3));
    stand.snapshot(&meta, &[("state", b"3")]);
    stand.write(&[Write {
        reset: Some(Arc::new(meta)),
        ..Write::default()
    }]);
    stand.fill(2, 2);
    refuses(stand, "a truncation at the base", truncate(3));
    refuses(stand, "a truncation below the base", truncate(2));
}

fn truncate_beyond(stand: &mut Stand) {
    stand.fill(1, 5);
    let truncate = |index| Write {
        truncate: Some(Index(index)),
        ..Write::default()
    };
    refuses(stand, "a truncation at 7 of a log of 5", truncate(7));
    stand.write(&[truncate(6)]);
    stand.reopen();
}

fn reset_to_nothing(stand: &mut Stand) {
    stand.fill(1, 5);
    let meta = SnapshotMeta {
        last: Position::new(Term(1), Index(8)),
        membership: Arc::new(voters(3)),
        membership_index: Index(0),
    };
    let write = Write {
        reset: Some(Arc::new(meta)),
        ..Write::default()
    };
    refuses(stand, "a reset to a snapshot that is not here", write);
}

fn purge_beyond(stand: &mut Stand) {
    stand.fill(1, 5);
    let done = stand.store().purge(Index(1));
    stand.refuses("a purge without a snapshot", done);
    stand.snapshot_at(Index(3));
    let done = stand.store().purge(Index(4));
    stand.refuses("a purge beyond the snapshot", done);
}
