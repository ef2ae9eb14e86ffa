//! The random walk: legal calls drawn from a seed, compared with the model at every turn.
//!
//! It does not know what a store finds hard; that is why it tries everything.

use std::sync::Arc;

use super::LogStoreFixture;
use super::stand::{Stand, appending, command, hard, voters};
use crate::conformance::dice::Dice;
use crate::entry::{Payload, SnapshotMeta};
use crate::event::Write;
use crate::types::{Index, Position, Term};

/// So many random calls on a store of its own. The same seed does the same.
///
/// # Panics
/// When the store does not do what the contract says. The message names the seed and the step.
pub fn log_store_walk(fixture: &mut dyn LogStoreFixture, seed: u64, steps: u64) {
    let mut dice = Dice(seed);
    let mut stand = Stand::new(format!("walk of seed {seed}, start"), fixture);
    for step in 0..steps {
        stand.rename(format!("walk of seed {seed}, step {step}"));
        walk(&mut stand, &mut dice);
    }
    stand.reopen();
}

fn walk(stand: &mut Stand, dice: &mut Dice) {
    match dice.within(0..=99) {
        0..55 => write(stand, dice),
        55..70 => read(stand, dice),
        70..78 => snapshot(stand, dice),
        78..81 => reset(stand, dice),
        81..89 => purge(stand, dice),
        _ => stand.reopen(),
    }
}

/// One to three writes in one call, each on top of the one before.
fn write(stand: &mut Stand, dice: &mut Dice) {
    for _ in 0..dice.within(1..=3) {
        let mut writes = Vec::new();
        let mut last = stand.model.last();
        let mut term = stand.model.hard_state.term.0;
        let (mut log_term, model) = (stand.model.last_term(), &stand.model);
        let lowest = model.purged.max(model.snapshot.last.index).next();
        for _ in 0..dice.within(1..=3) {
            let mut one = Write::default();
            if term == 0 || dice.within(0..=3) == 0 {
                term += dice.within(1..=2);
                one.hard_state = Some(hard(term, dice.within(0..=3)));
            }
            if dice.within(0..=4) == 0 && lowest <= last.next() {
                let from = Index(dice.within(lowest.0..=last.next().0));
                one.truncate = Some(from);
                last = from.prev();
            }
            // What a term's leader appends has its term; an older leader's entries may follow
            // only entries that are not younger.
            log_term = Term(dice.within(log_term.0..=term.max(log_term.0)));
            let count = dice.within(0..=6);
            let payloads: Vec<Payload> = (0..count).map(|_| payload(dice)).collect();
            one.entries = appending(log_term, last.next(), payloads).entries;
            last = last.plus(count);
            writes.push(one);
        }
        stand.write(&writes);
    }
}

fn payload(dice: &mut Dice) -> Payload {
    match dice.within(0..=19) {
        0 => Payload::Membership(Arc::new(voters(dice.within(1..=7)))),
        1..4 => Payload::Noop,
        4 => command(&vec![
            4;
            usize::try_from(dice.within(0..=40_000)).unwrap_or(0)
        ]),
        _ => {
            let size = usize::try_from(dice.within(0..=300)).unwrap_or(0);
            let first = dice.draw().to_le_bytes();
            let bytes: Vec<u8> = first.iter().copied().cycle().take(size).collect();
            command(&bytes)
        }
    }
}

fn read(stand: &mut Stand, dice: &mut Dice) {
    let last = stand.model.last().0;
    let from = dice.within(stand.model.floor.index.0..=last + 2);
    let to = dice.within(from.saturating_sub(1)..=last + 3);
    let bytes_max = match dice.within(0..=3) {
        0 => 0,
        1 => u64::MAX,
        _ => dice.within(1..=5000),
    };
    stand.read(Index(from), Index(to), bytes_max);
    stand.count();
}

fn snapshot(stand: &mut Stand, dice: &mut Dice) {
    let first = stand.model.snapshot.last.index.next();
    let first = first.max(stand.model.floor.index.next());
    if first <= stand.model.last() {
        let index = dice.within(first.0..=stand.model.last().0);
        stand.snapshot_at(Index(index));
    }
}

/// A snapshot from elsewhere, within the log or beyond it, then the log is replaced by it.
fn reset(stand: &mut Stand, dice: &mut Dice) {
    let lowest = stand.model.snapshot.last.index.max(stand.model.purged);
    let index = Index(dice.within(lowest.next().0..=lowest.0.max(stand.model.last().0) + 9));
    let snapshot_term = stand.model.snapshot.last.term.0;
    let term = dice.within(snapshot_term..=snapshot_term.max(stand.model.hard_state.term.0));
    let meta = Arc::new(SnapshotMeta {
        last: Position::new(Term(term), index),
        membership: Arc::new(voters(dice.within(1..=7))),
        membership_index: Index(dice.within(0..=index.0)),
    });
    stand.snapshot(&meta, &[("state", b"received")]);
    if dice.within(0..=3) == 0 {
        // The power fails between the two.
        stand.reopen();
    }
    let more = dice.within(0..=3);
    let payloads: Vec<Payload> = (0..more).map(|_| payload(dice)).collect();
    stand.write(&[Write {
        reset: Some(meta),
        ..appending(Term(term), index.next(), payloads)
    }]);
}

fn purge(stand: &mut Stand, dice: &mut Dice) {
    let up_to = dice.within(0..=stand.model.snapshot.last.index.0);
    stand.purge(Index(up_to));
    stand.read_all();
}
