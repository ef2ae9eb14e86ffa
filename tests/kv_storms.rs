//! The whole stack under all faults at once: the driver, the log and the key-value store in memory,
//! over the unreliable network and under a clock that stands still.
//!
//! Seeds beyond the usual: `KV_STORMS=1000 KV_STORMS_FROM=5000 cargo test --release -p raft-tests
//! --test kv_storms`. This file does not know what clients do.

#[path = "kv_storms/changes.rs"]
mod changes;
#[path = "kv_storms/leases.rs"]
mod leases;
#[path = "kv_storms/program.rs"]
mod program;
#[path = "kv_storms/replicas.rs"]
mod replicas;
#[path = "kv_storms/scribe.rs"]
mod scribe;
#[path = "kv_storms/tally.rs"]
mod tally;
#[path = "kv_storms/truth.rs"]
mod truth;
#[path = "kv_storms/watchers.rs"]
mod watchers;

use std::collections::BTreeMap;
use std::rc::Rc;

use program::{Stores, World};
use raft_core::sim::by_index;
use raft_core::sim::history::{History, OpKind, Outcome, Returned};
use raft_kv::Revision;
use raft_kv::rows::State;
use raft_tests::storm::{self, Care, Seeds};
use tally::Total;
use tokio::task::{JoinHandle, spawn_local};
use truth::Chronicle;

const SEEDS: u64 = 200;
/// Clients of registers.
const CLIENTS: u64 = 8;
/// Clients that change many keys at once.
const CHANGERS: u64 = 4;
const WATCHERS: u64 = 8;
const HOLDERS: u64 = 6;

#[test]
fn the_store_is_linearizable_exactly_once_and_watched_without_gaps_under_all_faults() {
    let seeds = Seeds::wanted("KV_STORMS", SEEDS);
    let total = storm::campaign(seeds, run);
    let storm = &total.storm;
    storm.check(&[], seeds.count);
    assert!(storm.writes >= 100 * seeds.count, "{total}");
    assert!(storm.reads >= 50 * seeds.count, "{total}");
    assert!(storm.again >= seeds.count, "{total}");
    // One in thirty runs has an expiry that comes too late to do anything.
    let rare: &[&str] = match seeds.count {
        ..1_000 => &["expiries_in_vain"],
        _ => &[],
    };
    for (name, count) in total.counts.counts() {
        assert!(count > 0 || rare.contains(&name), "no {name}: {total}");
    }
}

fn run(seed: u64) -> Result<Total, String> {
    let world = Rc::new(World::new(seed, Stores::new(seed)));
    storm::in_paused_time(live(Rc::clone(&world)))?;
    let mut total = Total {
        storm: world.told(),
        counts: world.program.counts.borrow().clone(),
    };
    world.program.truth.look(|seen| {
        total.storm.restored = seen.restored;
        total.counts.installed = seen.installed;
        total.counts.reports = seen.reports;
        total.counts.upgrades = seen.upgrades;
        total.counts.expiries_in_vain = seen.expiries_in_vain;
    });
    Ok(total)
}

/// The storm, what comes after it, and the verdict: all of it while the nodes run.
async fn live(world: Rc<World>) -> Result<(), String> {
    world.start_all().await;
    let care = |client: u64| match client % 2 {
        0 => Care::None,
        _ => Care::Session,
    };
    let registers =
        (0..CLIENTS).map(|client| spawn_local(Rc::clone(&world).work(client, care(client))));
    let changers =
        (0..CHANGERS).map(|client| spawn_local(changes::work(Rc::clone(&world), care(client))));
    let clients: Vec<JoinHandle<()>> = registers.chain(changers).collect();
    let watchers = (0..WATCHERS).map(|_| spawn_local(watchers::work(Rc::clone(&world))));
    let watchers = watchers.collect();
    let holders = (0..HOLDERS).map(|_| spawn_local(leases::work(Rc::clone(&world))));
    let holders = holders.collect();
    storm::rage(Rc::clone(&world)).await;
    world.finish(clients).await?;
    leases::hold_leaders_still(&world).await;
    world.agree(CLIENTS).await?;
    world.program.is_quiet.set(true);
    world.finish(holders).await?;
    leases::end(&world).await?;
    let state = replicas::agree(&world).await?;
    world.program.last.set(Some(state.revision));
    world.finish(watchers).await?;
    // Leaders may have compacted meanwhile.
    let state = replicas::agree(&world).await?;
    judge(&world, &state)
}

fn judge(world: &World, state: &State) -> Result<(), String> {
    let truth = &world.program.truth;
    let chronicle = truth.look(|seen| match seen.wrongs.first() {
        Some(wrong) => Err(wrong.clone()),
        None => Chronicle::of(seen),
    })?;
    let marks = changes::marks(&chronicle);
    check_once(world, &marks)?;
    world.judge(|value| Some(marks.get(&value)?.first()?.0))?;
    by_index::check(&by_revision(&world.history.borrow())).map_err(|error| error.to_string())?;
    let notes = world.program.notes.borrow();
    notes.check(&chronicle)?;
    let auto_compactions = notes.auto_compactions(&chronicle);
    world
        .program
        .count(|counts| counts.auto_compactions += auto_compactions);
    let told = world.program.told.borrow();
    told.iter().try_for_each(|told| told.check(&chronicle))?;
    let tenures = world.program.tenures.borrow();
    tenures
        .iter()
        .try_for_each(|tenure| tenure.check(world, &chronicle))?;
    replicas::check(world, state, &chronicle)
}

/// No register was put the same value twice, however often it was asked to.
fn check_once(world: &World, marks: &BTreeMap<u64, Vec<Revision>>) -> Result<(), String> {
    let history = world.history.borrow();
    let values = history.operations().iter();
    let mut values = values.filter_map(|operation| operation.kind.value_new());
    let twice =
        values.find_map(|value| Some((value, marks.get(&value).filter(|at| at.len() > 1)?)));
    twice.map_or(Ok(()), |(value, at)| {
        Err(format!("{value} was put at {at:?}"))
    })
}

/// The same history, in which what changed nothing made no revision: it only looked.
fn by_revision(history: &History) -> History {
    let mut looked = History::new(history.operations().len());
    for operation in history.operations() {
        let (mut kind, mut outcome) = (operation.kind, operation.outcome);
        if let Outcome::Ok(Returned::Mismatch { found }) = outcome {
            (kind, outcome) = (OpKind::Read, Outcome::Ok(Returned::Value(found)));
        }
        let id = looked.call(operation.client, operation.key, kind, operation.call);
        let id = id.expect("as many as there were");
        if let Some(returned) = operation.returned {
            looked.complete(id, outcome, returned);
        }
        if let Some(index) = operation.index {
            looked.record_index(id, index);
        }
    }
    looked
}
