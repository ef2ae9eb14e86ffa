//! Cases: a snapshot stands for the commands before it, and a capture for its moment.

use super::Case;
use super::files::Sink;
use super::stand::Stand;

pub(super) const CASES: &[Case] = &[
    ("a snapshot and the log after it make the state", replay),
    ("a restore leaves nothing of what was", replaces),
    ("a restored machine makes snapshots as good", generations),
    ("a capture shows the state of its moment", moment),
    ("captures are written in any order", any_order),
    ("a capture that is dropped is harmless", dropped),
    ("a sink that fails fails the capture", failing_sink),
];

/// The first, some, and the last.
fn moments(stand: &mut Stand) -> [usize; 5] {
    let end = stand.log.len();
    let mut draw = || usize::try_from(stand.dice.within(2..=end as u64 - 1)).unwrap_or(2);
    let mut moments = [1, draw(), draw(), draw(), end];
    moments.sort_unstable();
    moments
}

fn replay(stand: &mut Stand) {
    let mut subject = stand.fresh();
    for moment in moments(stand) {
        stand.advance(&mut subject, moment);
        let taken = stand.take(&mut subject);
        stand.compare(&subject);
        let mut restored = stand.fresh();
        stand.restore(&mut restored, &taken);
        stand.finish(restored);
    }
    stand.finish(subject);
}

/// Over a state that is older, one that is later, and its own.
fn replaces(stand: &mut Stand) {
    for moment in moments(stand) {
        let mut subject = stand.fresh_at(moment);
        let taken = stand.take(&mut subject);
        stand.restore(&mut subject, &taken);
        for other in [moment / 2, stand.log.len()] {
            let mut restored = stand.fresh_at(other);
            stand.restore(&mut restored, &taken);
            stand.restore(&mut restored, &taken);
            stand.finish(restored);
        }
        stand.finish(subject);
    }
}

fn generations(stand: &mut Stand) {
    let mut subject = stand.fresh();
    for moment in moments(stand) {
        stand.advance(&mut subject, moment);
        let taken = stand.take(&mut subject);
        subject = stand.fresh();
        stand.restore(&mut subject, &taken);
        let again = stand.take(&mut subject);
        subject = stand.fresh();
        stand.restore(&mut subject, &again);
    }
    stand.finish(subject);
}

fn moment(stand: &mut Stand) {
    for moment in moments(stand) {
        let mut subject = stand.fresh_at(moment);
        let capture = stand.capture(&mut subject);
        stand.finish(subject);
        // Its machine is gone, too.
        let taken = stand.write(capture, moment);
        let mut restored = stand.fresh();
        stand.restore(&mut restored, &taken);
        stand.finish(restored);
    }
}

fn any_order(stand: &mut Stand) {
    let mut subject = stand.fresh();
    let mut captures = Vec::new();
    for moment in moments(stand) {
        stand.advance(&mut subject, moment);
        captures.push((moment, stand.capture(&mut subject)));
    }
    while let Some((moment, capture)) = captures.pop() {
        let taken = stand.write(capture, moment);
        let mut restored = stand.fresh();
        stand.restore(&mut restored, &taken);
    }
    stand.compare(&subject);
}

fn dropped(stand: &mut Stand) {
    let mut subject = stand.fresh();
    for moment in moments(stand) {
        stand.advance(&mut subject, moment);
        drop(stand.capture(&mut subject));
        stand.compare(&subject);
    }
    let taken = stand.take(&mut subject);
    let mut restored = stand.fresh();
    stand.restore(&mut restored, &taken);
    stand.finish(subject);
}

/// Else a snapshot would be finished that is not whole.
fn failing_sink(stand: &mut Stand) {
    let middle = stand.log.len() / 2;
    let mut subject = stand.fresh_at(middle);
    let capture = stand.capture(&mut subject);
    let mut sink = Sink::full(stand.fixture.file_reader());
    let done = capture(&mut sink);
    stand.check(done.is_err(), "a full disk goes unnoticed");
    stand.compare(&subject);
    let taken = stand.take(&mut subject);
    let mut restored = stand.fresh();
    stand.restore(&mut restored, &taken);
    stand.finish(subject);
}
