//! Cases: what a snapshot stands for may go from the log, and nothing else.

use std::sync::Arc;

use super::Case;
use super::stand::{Stand, voters};
use crate::entry::{Payload, SnapshotMeta};
use crate::event::Write;
use crate::types::{Index, Position, Term};

pub(super) const CASES: &[Case] = &[
    ("a purge keeps all above it", keeps_above),
    ("a purge may be repeated", idempotent),
    ("a whole log may be purged", whole_log),
    (
        "purged configurations are known from the snapshot",
        memberships,
    ),
    ("purge, truncate and append", purge_then_truncate),
    ("a purge below a reset does nothing", below_reset),
    ("a purge of what is not here yet", beyond_end),
];

fn keeps_above(stand: &mut Stand) {
    stand.fill(1, 4);
    stand.fill(2, 4);
    stand.fill(3, 4);
    stand.snapshot_at(Index(7));
    for up_to in [0, 2, 6, 7] {
        stand.purge(Index(up_to));
        stand.read_all();
        stand.read(Index(1), Index(12), u64::MAX);
        stand.read(Index(up_to), Index(12), 0);
        stand.count();
        stand.reopen();
        stand.read(Index(1), Index(12), u64::MAX);
    }
    stand.fill(4, 3);
    stand.reopen();
}

fn idempotent(stand: &mut Stand) {
    stand.fill(1, 9);
    stand.snapshot_at(Index(6));
    for up_to in [6, 6, 3, 0, 6] {
        stand.purge(Index(up_to));
        stand.read_all();
    }
    stand.reopen();
    stand.purge(Index(6));
    stand.purge(Index(2));
    stand.reopen();
}

fn whole_log(stand: &mut Stand) {
    stand.fill(3, 5);
    stand.snapshot_at(Index(5));
    stand.purge(Index(5));
    stand.count();
    stand.reopen();
    stand.fill(4, 2);
    stand.reopen();
}

fn memberships(stand: &mut Stand) {
    stand.fill(1, 1);
    for count in [4, 5, 6] {
        stand.append([Payload::Membership(Arc::new(voters(count))), Payload::Noop]);
    }
    stand.snapshot_at(Index(5));
    stand.purge(Index(5));
    stand.reopen();
    stand.snapshot_at(Index(7));
    stand.purge(Index(7));
    stand.reopen();
}

fn purge_then_truncate(stand: &mut Stand) {
    stand.fill(1, 10);
    stand.snapshot_at(Index(5));
    stand.purge(Index(5));
    stand.write(&[Write {
        truncate: Some(Index(6)),
        ..Write::default()
    }]);
    stand.reopen();
    stand.fill(2, 4);
    stand.read_all();
    stand.reopen();
}

fn far_meta() -> SnapshotMeta {
    SnapshotMeta {
        last: Position::new(Term(4), Index(40)),
        membership: Arc::new(voters(5)),
        membership_index: Index(33),
    }
}

fn below_reset(stand: &mut Stand) {
    stand.fill(1, 5);
    let meta = far_meta();
    stand.snapshot(&meta, &[("state", b"far")]);
    stand.write(&[Write {
        reset: Some(Arc::new(meta)),
        ..Write::default()
    }]);
    stand.fill(5, 5);
    for up_to in [3, 40] {
        stand.purge(Index(up_to));
        stand.read_all();
        stand.reopen();
    }
}

/// A received snapshot may reach beyond the log, until the log is reset to it.
fn beyond_end(stand: &mut Stand) {
    stand.fill(1, 5);
    stand.snapshot(&far_meta(), &[("state", b"far")]);
    stand.purge(Index(20));
    stand.reopen();
    stand.fill(2, 3);
    stand.reopen();
}
