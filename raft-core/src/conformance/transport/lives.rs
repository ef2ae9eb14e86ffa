//! Cases: nodes that start, stop, start again, and move.

use std::sync::Arc;

use super::Case;
use super::stand::{A, B, Stand};

pub(super) const CASES: &[Case] = &[
    ("a node that starts late is reached then", late_start),
    ("nothing arrives after a stop", stop),
    ("a second start replaces the inbox", replace),
    ("a node starts again after a stop", start_again),
    ("a member that moves is reached where it is", moves),
];

fn late_start(stand: &mut Stand) {
    stand.start(A);
    for _ in 0..100 {
        stand.send(A, B);
    }
    stand.fixture.calm();
    let inbox = stand.start(B);
    stand.reach(A, B, &inbox);
}

/// The inbox is let go, and so nothing can arrive in it.
fn stop(stand: &mut Stand) {
    let [_, inbox, _] = stand.start_all();
    stand.reach(A, B, &inbox);
    stand.transport(B).stop();
    let count = inbox.count();
    for _ in 0..100 {
        stand.send(A, B);
    }
    stand.fixture.calm();
    let more = inbox.count() - count;
    stand.check(more == 0, &format!("{more} parcels came after the stop"));
    stand.wait("to let go of the inbox", || Arc::strong_count(&inbox) == 1);
}

fn replace(stand: &mut Stand) {
    let [_, before, _] = stand.start_all();
    stand.reach(A, B, &before);
    stand.fixture.calm();
    let after = stand.start(B);
    let count = before.count();
    stand.reach(A, B, &after);
    stand.fixture.calm();
    let more = before.count() - count;
    stand.check(more == 0, &format!("{more} parcels came to the old inbox"));
    stand.wait("to let go of it", || Arc::strong_count(&before) == 1);
}

fn start_again(stand: &mut Stand) {
    let [_, before, _] = stand.start_all();
    stand.reach(A, B, &before);
    stand.transport(B).stop();
    let after = stand.start(B);
    // A stop may have made it forget them.
    stand.tell_members();
    stand.reach(A, B, &after);
}

fn moves(stand: &mut Stand) {
    let [first, second, _] = stand.start_all();
    stand.reach(A, B, &second);
    stand.reach(B, A, &first);
    stand.relocate(B);
    let moved = stand.start(B);
    stand.tell_members();
    stand.reach(A, B, &moved);
    stand.reach(B, A, &first);
}
