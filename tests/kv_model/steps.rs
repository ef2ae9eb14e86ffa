//! What a run consists of, drawn step by step. It does not know how a step is carried out.

use raft_kv::request::RangeRequest;
use raft_kv::watch::{Wanted, WatchRequest};
use raft_kv::{Keys, Revision};
use raft_tests::kv::{Dice, Entry, Sessions};

/// One of the two members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The one that applies at once.
    First,
    /// The one that lags.
    Second,
}

/// Something that is done.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// An entry is committed.
    Enter(Box<Entry>),
    /// The first member applies all that is committed, as one batch.
    Flush,
    /// The second member applies all that the first has, in batches of this many.
    CatchUp(usize),
    /// The first member is asked for keys.
    Range(Box<RangeRequest>),
    /// A member is asked to watch.
    Watch(Who, WatchRequest),
    /// All watchers are asked for what there is.
    Poll,
    /// A watcher leaves.
    Leave(usize),
    /// Members that have the same are asked for its hash.
    Hash(Revision),
    /// The first member is asked for leases, alarms and members.
    Inspect,
    /// A member restarts.
    Reopen(Who),
    /// The first member takes a snapshot, which is kept.
    Snapshot,
    /// A member begins anew, from the snapshot that is kept, and is given the log after it.
    StartFrom(Who),
    /// The second member goes on with a snapshot of the first.
    Install,
}

/// The next step.
pub(crate) fn draw(dice: &mut Dice, now: &Sessions) -> Step {
    let who = if dice.rng.below(2) == 0 {
        Who::First
    } else {
        Who::Second
    };
    match dice.rng.below(100) {
        0..52 => Step::Enter(Box::new(dice.entry(now))),
        52..68 => Step::Flush,
        68..72 => Step::CatchUp(1 + dice.rng.place(6)),
        72..80 => Step::Range(Box::new(dice.range(&now.store))),
        80..85 => Step::Watch(who, watch(dice, now)),
        85..91 => Step::Poll,
        91 => Step::Leave(dice.rng.place(4)),
        92..94 => Step::Hash(dice.revision(&now.store)),
        94 => Step::Inspect,
        95..97 => Step::Reopen(who),
        97 => Step::Snapshot,
        98 => Step::StartFrom(who),
        _ => Step::Install,
    }
}

fn watch(dice: &mut Dice, now: &Sessions) -> WatchRequest {
    let wanted = [
        Wanted::All,
        Wanted::All,
        Wanted::Puts,
        Wanted::Deletes,
        Wanted::Nothing,
    ];
    WatchRequest {
        keys: if dice.rng.below(4) == 0 {
            Keys::all()
        } else {
            dice.keys()
        },
        start: dice.revision(&now.store),
        wanted: *dice.rng.pick(&wanted).unwrap_or(&Wanted::All),
        wants_prev: dice.rng.below(2) == 0,
    }
}
