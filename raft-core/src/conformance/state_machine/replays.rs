//! Cases: the same log makes the same answers and the same state, always.

use super::Case;
use super::stand::Stand;

pub(super) const CASES: &[Case] = &[
    ("two machines agree after every command", two_agree),
    ("a query changes nothing", query),
    ("answers do not depend on the batches", batches),
    ("an empty batch changes nothing", empty_batch),
];

/// Comes after all others, since it relies on what they test.
pub(super) const LAST: Case = ("garbage is answered, and stops nothing", garbage);

fn two_agree(stand: &mut Stand) {
    let mut subject = stand.fresh();
    stand.compare(&subject);
    for _ in 0..stand.log.len() {
        stand.apply(&mut subject, 1);
        stand.compare(&subject);
    }
}

/// It is not looked at before the end: who is asked might put things in order first.
fn batches(stand: &mut Stand) {
    let mut subject = stand.fresh();
    stand.apply(&mut subject, stand.log.len());
    stand.compare(&subject);
    for _ in 0..8 {
        let subject = stand.fresh();
        stand.finish(subject);
    }
}

fn empty_batch(stand: &mut Stand) {
    let mut subject = stand.fresh();
    for to in [0, 1, stand.log.len() / 2, stand.log.len()] {
        stand.advance(&mut subject, to);
        for _ in 0..2 {
            stand.apply(&mut subject, 0);
            stand.compare(&subject);
        }
    }
}

/// The reference was asked once after every command, one of these as often as not, the other only
/// at the end.
fn query(stand: &mut Stand) {
    let mut asked = stand.fresh();
    let mut unasked = stand.fresh();
    for applied in 0..stand.log.len() {
        for _ in 0..applied % 4 {
            stand.compare(&asked);
        }
        stand.apply(&mut asked, 1);
        stand.apply(&mut unasked, 1);
    }
    stand.compare(&asked);
    stand.compare(&unasked);
}

/// With the case's own log once more, since the others may have no garbage in theirs.
fn garbage(stand: &mut Stand) {
    let malformed = stand.fixture.malformed();
    // At most a quarter of the log, so that it is garbage among sense.
    for strewn in malformed.chunks(10) {
        stand.draw_log(strewn);
        two_agree(stand);
        batches(stand);
        let mut subject = stand.fresh_at(stand.log.len() / 2);
        let taken = stand.take(&mut subject);
        let mut restored = stand.fresh();
        stand.restore(&mut restored, &taken);
        stand.finish(restored);
    }
}
