//! A power cut at every point: after each effect of each server in 200 random runs, with every
//! prefix of its unsynced writes surviving, and of the whole cluster after each step.
//!
//! After each the servers restart and heal, and what was promised before is checked. This file
//! knows the shell's side of the contract, and of the algorithm only what Raft's Figure 3 promises.

#[path = "crash_points/promises.rs"]
mod promises;
#[path = "crash_points/world.rs"]
mod world;

use raft_core::{Event, NodeId};
use world::{SERVERS, World};

const RUNS: u64 = 200;
/// How many actions a run has before its last crash.
const ACTIONS: u64 = 400;
/// Of so many actions, nothing reaches one of the servers during the latter half.
const CUT_OFF_EVERY: u64 = 120;

#[test]
fn a_crash_at_any_point_loses_nothing_and_heals() {
    let mut tally = Tally::default();
    for seed in 0..RUNS {
        let mut run = Run {
            world: World::new(seed),
            seed,
            action: 0,
            tally: Tally::default(),
        };
        run.go();
        tally.add(&run.tally);
    }
    println!("seeds 0..{RUNS}: {tally:?}");
    assert!(tally.crash_points > 50_000, "too few crash points");
    assert!(
        tally.cluster_crashes > 5_000,
        "too few crashes of the whole cluster"
    );
    assert!(
        tally.commits > 1_000,
        "too little was committed before the crashes"
    );
    assert!(tally.writes_lost > 10_000, "too few writes were lost");
    assert!(
        tally.writes_kept > 10_000,
        "too few unsynced writes survived"
    );
    assert!(tally.snapshots > 50, "too few snapshots were installed");
}

/// What happened, so that the test is not passed by doing nothing.
#[derive(Debug, Default)]
struct Tally {
    actions: u64,
    crash_points: u64,
    cluster_crashes: u64,
    commits: u64,
    writes_lost: u64,
    writes_kept: u64,
    snapshots: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.actions += other.actions;
        self.crash_points += other.crash_points;
        self.cluster_crashes += other.cluster_crashes;
        self.commits += other.commits;
        self.writes_lost += other.writes_lost;
        self.writes_kept += other.writes_kept;
        self.snapshots += other.snapshots;
    }
}

/// One random run, cut off at every point.
struct Run {
    world: World,
    seed: u64,
    action: u64,
    tally: Tally,
}

impl Run {
    fn go(&mut self) {
        if !self.seed.is_multiple_of(4) {
            // Most runs begin with a leader, so that they get further.
            self.try_to("at first".to_owned(), World::heal);
        }
        while self.action < ACTIONS {
            self.action += 1;
            let cut_off = self.action % CUT_OFF_EVERY > CUT_OFF_EVERY / 2;
            self.world.cut_off = cut_off.then_some(NodeId(1 + self.seed % SERVERS));
            let Some((id, event)) = self.world.choose() else {
                continue;
            };
            self.act(id, event);
            while let Some((id, event)) = self.world.pop_inbox() {
                self.act(id, event);
            }
            self.cut_cluster();
        }
        self.tally.actions += self.action;
        self.tally.commits += self.world.promises.commits.len() as u64;
        self.tally.snapshots += self.world.promises.snapshots_installed;
    }

    /// One event, its effects carried out one by one, and the power cut between any two of them.
    fn act(&mut self, id: usize, event: Event) {
        let effects = self.try_to(format!("at server {id}"), |world| world.step(id, event));
        let mut effects = effects.into_iter();
        loop {
            self.cut(id, effects.len());
            let Some(effect) = effects.next() else { return };
            self.try_to(format!("at server {id}"), |world| {
                world.carry_out(id, effect)
            });
        }
    }

    fn try_to<T>(&mut self, what: String, act: impl FnOnce(&mut World) -> Result<T, String>) -> T {
        let _place = Place {
            seed: self.seed,
            action: self.action,
            what,
        };
        act(&mut self.world).expect("all promises are kept")
    }

    /// This server loses power here; each prefix of its unsynced writes may be on the disk.
    fn cut(&mut self, id: usize, effects_left: usize) {
        let unsynced = self.world.servers[id].unsynced.len();
        for survive in 0..=unsynced {
            let what = format!("cut server {id}, {effects_left} effects left, {survive} writes");
            let _place = Place {
                seed: self.seed,
                action: self.action,
                what,
            };
            let mut world = self.world.clone();
            world.crash(id, survive);
            world.restart(id).expect("it starts");
            world.heal().expect("all promises are kept");
            self.tally.crash_points += 1;
            self.tally.writes_kept += survive as u64;
            self.tally.writes_lost += (unsynced - survive) as u64;
        }
    }

    /// All lose power at once: every unsynced write is lost, or some prefix of each server's is.
    fn cut_cluster(&mut self) {
        let what = "cut all".to_owned();
        let _place = Place {
            seed: self.seed,
            action: self.action,
            what,
        };
        let mut world = self.world.clone();
        for id in 0..world.servers.len() {
            let unsynced = world.servers[id].unsynced.len() as u64;
            let survive = world.rng.below(unsynced + 1);
            world.crash(
                id,
                if self.action.is_multiple_of(2) {
                    survive
                } else {
                    0
                },
            );
        }
        for id in 0..world.servers.len() {
            world.restart(id).expect("it starts");
        }
        world.heal().expect("all promises are kept");
        self.tally.cluster_crashes += 1;
    }
}

/// Says where a panic happened, so that it can be reproduced.
struct Place {
    seed: u64,
    action: u64,
    what: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, action {}: {}", self.seed, self.action, self.what);
        }
    }
}
