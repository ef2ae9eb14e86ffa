//! What clients see under all faults at once is what one register each would have answered.
//!
//! Seeds beyond the usual: `HISTORIES=1000 HISTORIES_FROM=5000 cargo test --release -p raft-tests
//! --test driver histories`.

#[path = "histories/clients.rs"]
mod clients;
#[path = "histories/registers.rs"]
mod registers;
#[path = "histories/storm.rs"]
mod storm;
#[path = "histories/tally.rs"]
mod tally;
#[path = "histories/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use raft_core::sim::history::{Operation, Outcome};
use raft_core::sim::{by_index, wgl};
use tally::Tally;
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;
use world::{Care, FOUNDERS, NODES, World};

const SEEDS: u64 = 150;
const CLIENTS: u64 = 9;
/// The time in which a cluster without faults must serve everybody.
const RECOVERY: Duration = Duration::from_secs(120);

#[test]
fn histories_under_all_faults_are_linearizable() {
    let total = campaign(Care::None);
    let seeds = seeds().1;
    assert!(total.writes >= 100 * seeds && total.reads >= 50 * seeds);
    assert!(total.refused > 0 && total.unknown >= seeds, "{total}");
    happened(&total, &["again"]);
}

#[test]
fn a_command_sent_again_in_a_session_takes_effect_once() {
    let total = campaign(Care::Session);
    let seeds = seeds().1;
    assert!(total.writes >= 100 * seeds, "{total}");
    assert!(total.again >= seeds, "{total}");
    happened(&total, &["refused", "unknown"]);
}

fn seeds() -> (u64, u64) {
    let number = |name| std::env::var(name).ok()?.parse().ok();
    let from = number("HISTORIES_FROM").unwrap_or(1);
    (from, number("HISTORIES").unwrap_or(SEEDS))
}

/// Every kind of fault was there, but for those.
fn happened(total: &Tally, but: &[&str]) {
    for (name, count) in total.counts() {
        assert!(count > 0 || but.contains(&name), "no {name}: {total}");
    }
    assert!(total.failovers >= 2 * seeds().1, "{total}");
}

fn campaign(care: Care) -> Tally {
    let (from, count) = seeds();
    let next = AtomicU64::new(from);
    let total = Mutex::new((Tally::default(), Vec::new()));
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                return;
            }
            let run = catch_unwind(AssertUnwindSafe(|| run(seed, care)));
            let mut total = total.lock().expect("nobody panics with it");
            match run {
                Ok(Ok(tally)) => total.0 += &tally,
                Ok(Err(wrong)) => total.1.push(format!("seed {seed}: {wrong}")),
                Err(_) => total.1.push(format!("seed {seed} panicked")),
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(worker);
        }
    });
    let (tally, wrongs) = total.into_inner().expect("nobody panicked with it");
    println!("{count} seeds: {tally}");
    assert!(
        wrongs.is_empty(),
        "{} of {count}:\n{}",
        wrongs.len(),
        wrongs.join("\n")
    );
    tally
}

fn run(seed: u64, care: Care) -> Result<Tally, String> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let world = Rc::new(World::new(seed, care));
    let local = LocalSet::new();
    runtime.block_on(local.run_until(live(Rc::clone(&world))))?;
    drop(local);
    judge(&world)?;
    let mut tally = world.tally.borrow().clone();
    let counters = world.net.counters();
    tally.lost = counters.lost;
    tally.duplicated = counters.duplicated;
    tally.reordered = counters.reordered;
    tally.unreachable = counters.unreachable;
    tally.failovers = world.failovers();
    tally.restored = world.ghost.look(|seen| seen.restored);
    Ok(tally)
}

async fn live(world: Rc<World>) -> Result<(), String> {
    for id in 1..=NODES {
        world.start(id).await;
    }
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        clients.push(spawn_local(clients::work(Rc::clone(&world), client)));
    }
    storm::rage(Rc::clone(&world)).await;
    for client in clients {
        let ended = timeout(RECOVERY, client).await;
        let ended = ended.map_err(|_| "a client is not served after the storm".to_owned())?;
        ended.map_err(|error| error.to_string())?;
    }
    // What everybody agrees on in the end. Founders that were removed can't take part.
    for key in 0..clients::KEYS {
        for id in 1..=FOUNDERS {
            let node = world.node(id).ok_or("all were started again")?;
            clients::read_at(&world, &node, CLIENTS, key).await;
        }
        let read = async {
            loop {
                if let Some(leader) = world.leader()
                    && clients::read_at(&world, &leader, CLIENTS, key).await
                {
                    return;
                }
                world.pause(10, 50).await;
            }
        };
        let read = timeout(RECOVERY, read).await;
        read.map_err(|_| "nobody leads after the storm".to_owned())?;
    }
    Ok(())
}

fn judge(world: &World) -> Result<(), String> {
    let wrong = world.ghost.look(|seen| seen.wrongs.first().cloned());
    wrong.map_or(Ok(()), Err)?;
    world.reveal();
    let history = world.history.borrow();
    for operation in history.operations() {
        check_effect(operation)?;
    }
    wgl::check(&history).map_err(|error| error.to_string())?;
    by_index::check(&history).map_err(|error| error.to_string())
}

/// What was refused never took effect; what was acknowledged did.
fn check_effect(operation: &Operation) -> Result<(), String> {
    let is_write = operation.kind.value_new().is_some();
    match (operation.outcome, operation.index) {
        (Outcome::Failed, Some(_)) if is_write => Err(format!("refused, but: {operation}")),
        (Outcome::Ok(_), None) => Err(format!("acknowledged, but nowhere: {operation}")),
        _ => Ok(()),
    }
}
