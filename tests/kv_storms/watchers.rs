//! Watchers that go from node to node, and whether they were told everything once and in order.
//!
//! It does not know which faults there are.

use std::rc::Rc;
use std::time::Duration;

use raft_kv::keys::Keys;
use raft_kv::watch::{CancelReason, Events, Wanted, WatchItem, WatchRequest, Watcher};
use raft_kv::{Event, Revision, Store};
use tokio::time::{Instant, timeout_at};

use super::program::World;
use super::truth::Chronicle;

/// What a watcher was told, wherever.
pub(crate) struct Told {
    keys: Keys,
    wanted: Wanted,
    /// The first revision that it wanted to know of.
    from: Revision,
    /// The first that it knows nothing of.
    next: Revision,
    events: Vec<Event>,
    /// From where to where it was told that the history is gone.
    skipped: Vec<(Revision, Revision)>,
}

/// Watches until it knows all up to the final revision.
pub(crate) async fn work(world: Rc<World>) {
    world.pause(0, 10_000).await;
    let mut told = begin(&world).await;
    let last = loop {
        if let Some(last) = world.program.last.get() {
            break last;
        }
        match world.any().and_then(|node| world.program.store(node.id())) {
            Some(store) => follow(&world, &store, &mut told).await,
            None => world.pause(10, 50).await,
        }
    };
    // Nothing happens any more, and the leader has it all.
    while told.next <= last {
        let leader = world.leader();
        if let Some(store) = leader.and_then(|leader| world.program.store(leader.id())) {
            let mut watcher = watch(&store, &told);
            while let Some(item) = watcher.poll_now() {
                let is_on = take(&world, &mut told, item);
                if !is_on {
                    break;
                }
            }
            if let Some(revision) = watcher.progress() {
                told.next = told.next.max(revision.next());
            }
        }
        world.pause(10, 50).await;
    }
    world.program.told.borrow_mut().push(told);
}

/// Some keys, from somewhere on.
async fn begin(world: &World) -> Told {
    let keys = match world.draw(6) {
        0 => Keys::all(),
        1 => Keys::prefix("r/"),
        2 => Keys::one(format!("r/{}", world.draw(3))),
        3 => Keys::between("d/2", "g/2"),
        4 => Keys::from("g/4"),
        _ => Keys::prefix("g/"),
    };
    let wanted = match world.draw(4) {
        0 => Wanted::Puts,
        1 => Wanted::Deletes,
        _ => Wanted::All,
    };
    let store = loop {
        let node = world.somebody().await;
        if let Some(store) = world.program.store(node.id()) {
            break store;
        }
    };
    let present = store.state().expect("its rows").revision;
    let start = match world.draw(3) {
        0 => Revision::NONE,
        1 => Revision(1 + world.draw(present.0)),
        _ => Revision(present.0 + 1 + world.draw(50)),
    };
    let mut told = Told {
        keys,
        wanted,
        from: start,
        next: start,
        events: Vec::new(),
        skipped: Vec::new(),
    };
    let start = watch(&store, &told).rest().start;
    (told.from, told.next) = (start, start);
    told
}

fn watch(store: &Store, told: &Told) -> Watcher {
    let watcher = store.watch(WatchRequest {
        keys: told.keys.clone(),
        start: told.next,
        wanted: told.wanted,
        wants_prev: told.next.0.is_multiple_of(2),
    });
    watcher.expect("there are not that many, and it runs")
}

/// Watches at one node, until that ends or it has been there for long enough.
async fn follow(world: &World, store: &Store, told: &mut Told) {
    let present = store.state().expect("its rows").revision;
    let mut is_late = told.next <= present;
    world
        .program
        .count(|counts| counts.early_starts += u64::from(told.next > present.next()));
    let mut watcher = watch(store, told);
    let until = Instant::now() + Duration::from_millis(200 + world.draw(8_000));
    loop {
        let Ok(item) = timeout_at(until, watcher.next()).await else {
            world.program.count(|counts| counts.hops += 1);
            return;
        };
        if !take(world, told, item) {
            return;
        }
        if watcher.rest().start != told.next {
            let rest = watcher.rest();
            world.wrong(format!("{rest:?} is left of what is told to {}", told.next));
        }
        let behind = store.watches().stats().behind;
        world.program.count(|counts| {
            counts.catch_ups += u64::from(is_late);
            counts.behind += u64::from(behind > 0);
        });
        is_late = false;
        if world.draw(6) == 0 {
            world.pause(0, 800).await;
        }
    }
}

/// Whether the watch goes on.
fn take(world: &World, told: &mut Told, item: WatchItem) -> bool {
    match item {
        WatchItem::Events { revision, events } => {
            if !told.takes(revision, &events) {
                let next = told.next;
                world.wrong(format!("told to {next}, then of {events:?} to {revision}"));
            }
            told.next = revision.next();
            told.events.extend_from_slice(&events);
            let count = events.len() as u64;
            world.program.count(|counts| counts.events_told += count);
            return true;
        }
        WatchItem::Cancelled(CancelReason::Compacted { compacted }) => {
            if compacted <= told.next {
                let next = told.next;
                world.wrong(format!(
                    "{next} is not before the compaction at {compacted}"
                ));
            }
            told.skipped.push((told.next, compacted));
            told.next = compacted;
            world.program.count(|counts| counts.compacted_watches += 1);
        }
        WatchItem::Cancelled(CancelReason::Closed(_)) => {
            world.program.count(|counts| counts.closed += 1);
        }
        WatchItem::Cancelled(CancelReason::Failed(error)) => {
            world.wrong(format!("a watch failed: {error}"));
        }
    }
    false
}

impl Told {
    /// Whether these come next. What was told of up to a revision never comes again, so none was
    /// split.
    fn takes(&self, revision: Revision, events: &Events) -> bool {
        let (first, last) = (events.first(), events.last());
        first.is_some_and(|first| first.revision() >= self.next)
            && last.is_some_and(|last| last.revision() <= revision)
            && events.is_sorted_by_key(Event::revision)
    }

    /// It was told exactly what happened, but for what it was told that it can't be.
    pub(crate) fn check(&self, chronicle: &Chronicle) -> Result<(), String> {
        let is_unasked = |(_, to): &&(Revision, Revision)| !chronicle.compactions.contains(to);
        let unasked = self.skipped.iter().find(is_unasked);
        if let Some((_, to)) = unasked {
            return Err(format!("nobody asked for a compaction at {to}"));
        }
        let is_due = |event: &&Event| {
            let at = event.revision();
            let is_skipped = self
                .skipped
                .iter()
                .any(|(from, to)| *from <= at && at < *to);
            at >= self.from
                && !is_skipped
                && self.keys.contains(&event.kv.key)
                && self.wanted.includes(event.kind)
        };
        let due: Vec<&Event> = chronicle.events.iter().filter(is_due).collect();
        for place in 0..due.len().max(self.events.len()) {
            let (due, told) = (due.get(place).copied(), self.events.get(place));
            let is_same = due.zip(told).is_some_and(|(due, told)| {
                let may_be_prev = told.prev.is_none() || told.prev == due.prev;
                due.kind == told.kind && due.kv == told.kv && may_be_prev
            });
            if !is_same {
                let Self {
                    keys,
                    wanted,
                    from,
                    skipped,
                    ..
                } = self;
                return Err(format!(
                    "{keys:?} {wanted:?} from {from} without {skipped:?}: {due:?} was due, \
                     {told:?} was told"
                ));
            }
        }
        Ok(())
    }
}
