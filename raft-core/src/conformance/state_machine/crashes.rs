//! Cases: what a machine says to be durable outlives a crash, and the log makes the rest again.

use super::Case;
use super::stand::{Stand, Subject, Taken};
use crate::types::Index;

pub(super) const CASES: &[Case] = &[
    ("after a crash the log makes the rest again", replay),
    ("after a crash the snapshot is enough", from_snapshot),
    (
        "after a restore and a crash the log makes the rest",
        restored,
    ),
];

/// What a node does when it starts: it restores the snapshot if the machine is behind it, and then
/// applies what is neither in the one nor in the other. `promised` is what the machine had said to
/// be durable before, of its own.
pub(super) fn crash(
    stand: &mut Stand,
    subject: Subject,
    snapshot: Option<&Taken>,
    promised: Index,
) -> Subject {
    let before = subject.applied;
    drop(subject);
    let machine = stand.fixture.reopen();
    let durable = machine.durable();
    if durable < promised {
        stand.fail(&format!(
            "durable was {promised} before the crash, and is {durable} after it"
        ));
    }
    if durable > stand.index_of(before) {
        stand.fail(&format!("{durable} is durable, but was never applied"));
    }
    let mut reopened = Subject {
        machine,
        applied: stand.log.partition_point(|one| one.index <= durable),
        durable,
    };
    stand.compare(&reopened);
    if let Some(taken) = snapshot.filter(|taken| stand.index_of(taken.applied) > durable) {
        stand.restore(&mut reopened, taken);
    }
    reopened
}

fn replay(stand: &mut Stand) {
    let mut subject = stand.fresh();
    let end = stand.log.len();
    for moment in [0, 1, end / 3, end / 2, end / 2, end] {
        // Less than what was there before the crash, or more.
        let moment = moment.max(subject.applied);
        stand.advance(&mut subject, moment);
        let promised = subject.durable;
        subject = crash(stand, subject, None, promised);
    }
    stand.finish(subject);
}

fn from_snapshot(stand: &mut Stand) {
    let mut subject = stand.fresh();
    let end = stand.log.len();
    for moment in [end / 4, end / 2, end - 2] {
        let moment = moment.max(subject.applied);
        stand.advance(&mut subject, moment);
        let taken = stand.take(&mut subject);
        stand.advance(&mut subject, (moment + 5).min(end));
        // What it restored from a snapshot may be gone: the snapshot is still there.
        subject = crash(stand, subject, Some(&taken), Index(0));
        stand.compare(&subject);
    }
    stand.finish(subject);
}

/// Also one that took the machine back, as when its own state was damaged.
fn restored(stand: &mut Stand) {
    let end = stand.log.len();
    let mut other = stand.fresh_at(end / 2);
    let taken = stand.take(&mut other);
    for before in [0, 3, end / 2, end] {
        let mut subject = stand.fresh_at(before);
        stand.restore(&mut subject, &taken);
        subject = crash(stand, subject, Some(&taken), Index(0));
        stand.finish(subject);
    }
}
