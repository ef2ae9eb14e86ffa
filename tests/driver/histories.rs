//! What clients see under all faults at once is what one register each would have answered.
//!
//! Seeds beyond the usual: `HISTORIES=1000 HISTORIES_FROM=5000 cargo test --release -p raft-tests
//! --test driver histories`.

#[path = "histories/program.rs"]
mod program;
#[path = "histories/registers.rs"]
mod registers;

use std::rc::Rc;

use program::{Registered, World};
use raft_core::sim::by_index;
use raft_tests::storm::{self, Care, Seeds, Tally};
use tokio::task::spawn_local;

const SEEDS: u64 = 150;
const CLIENTS: u64 = 9;

#[test]
fn histories_under_all_faults_are_linearizable() {
    let seeds = Seeds::wanted("HISTORIES", SEEDS);
    let total = storm::campaign(seeds, |seed| run(seed, Care::None));
    assert!(total.writes >= 100 * seeds.count && total.reads >= 50 * seeds.count);
    assert!(total.refused > 0 && total.unknown >= seeds.count, "{total}");
    total.check(&["again"], seeds.count);
}

#[test]
fn a_command_sent_again_in_a_session_takes_effect_once() {
    let seeds = Seeds::wanted("HISTORIES", SEEDS);
    let total = storm::campaign(seeds, |seed| run(seed, Care::Session));
    assert!(total.writes >= 100 * seeds.count, "{total}");
    assert!(total.again >= seeds.count, "{total}");
    total.check(&["refused", "unknown"], seeds.count);
}

fn run(seed: u64, care: Care) -> Result<Tally, String> {
    let world = Rc::new(World::new(seed, Registered::new(care)));
    storm::in_paused_time(live(Rc::clone(&world)))?;
    judge(&world)?;
    let mut tally = world.told();
    tally.restored = world.program.ghost.look(|seen| seen.restored);
    Ok(tally)
}

async fn live(world: Rc<World>) -> Result<(), String> {
    world.start_all().await;
    let care = world.program.care;
    let clients = (0..CLIENTS).map(|client| spawn_local(Rc::clone(&world).work(client, care)));
    let clients = clients.collect();
    storm::rage(Rc::clone(&world)).await;
    world.finish(clients).await?;
    world.agree(CLIENTS).await
}

fn judge(world: &World) -> Result<(), String> {
    let ghost = &world.program.ghost;
    let wrong = ghost.look(|seen| seen.wrongs.first().cloned());
    wrong.map_or(Ok(()), Err)?;
    world.judge(|value| ghost.look(|seen| seen.by_value.get(&value).copied()))?;
    by_index::check(&world.history.borrow()).map_err(|error| error.to_string())
}
