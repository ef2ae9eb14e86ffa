//! A crash at every moment of a run: after each operation on the disk, in each of the ways in which
//! a crash may end, and after each operation of the recovery that follows.
//!
//! This file does not know what a run consists of.

use std::sync::Arc;

use raft_core::sim::rng::Rng;
use raft_tests::crash_disk::{Crash, CrashDisk, Moment};

use crate::node::{Groups, Node};

const RUNS: u64 = 12;
const STEPS: u64 = 60;
/// After one in so many crashes, the recovery is crashed too, at each of its moments.
const DOUBLE_CRASH_EVERY: u64 = 60;
/// How often a process is killed and started again between two steps.
const RESTART_PPM: u64 = 40_000;

#[derive(Debug, Default)]
struct Tally {
    steps: u64,
    moments: u64,
    images: u64,
    images_in_recovery: u64,
    restarts: u64,
    segments_max: usize,
    /// How often something had survived of which nobody had been told.
    survived: u64,
}

#[test]
fn a_crash_at_every_moment_loses_nothing() {
    let mut tally = Tally::default();
    for seed in 0..RUNS {
        let run = Run::new(seed, &mut tally);
        run.crash_everywhere(&mut tally);
    }
    println!("seeds 0..{RUNS}: {tally:?}");
    assert!(tally.images > 20_000, "too few crashes");
    assert!(tally.images_in_recovery > 5_000, "too few in recovery");
    assert!(tally.survived > 2_000, "too little survived by chance");
    assert!(
        tally.restarts > 10 && tally.segments_max > 3,
        "too little happened"
    );
}

/// A run that is over, with what was known at each of its moments.
struct Run {
    seed: u64,
    rng: Rng,
    node: Node,
    moments: Vec<Moment>,
    /// What the log may hold at the moment of the same number.
    expected: Vec<Arc<Groups>>,
}

impl Run {
    fn new(seed: u64, tally: &mut Tally) -> Self {
        let mut rng = Rng::new(seed);
        let mut node = Node::drawn(&mut rng);
        let disk = CrashDisk::default();
        disk.record();
        let mut expected = Vec::new();
        let open = |node: &mut Node, expected: &mut Vec<Arc<Groups>>| {
            let running = node.open(&disk);
            let running = running.unwrap_or_else(|what| panic!("seed {seed}: {what}"));
            until(&disk, expected, node);
            running
        };
        let mut running = open(&mut node, &mut expected);
        for _ in 0..STEPS {
            if rng.chance(RESTART_PPM) {
                drop(running);
                running = open(&mut node, &mut expected);
                tally.restarts += 1;
            }
            let (group, step) = node.draw(&mut rng);
            // Up to the first operation it has not begun.
            expected.push(Arc::new(node.groups.clone()));
            node.begin(group, &step);
            let log = running.logs.get_mut(&group).expect("one of ours");
            let done = step.carry_out(log);
            done.unwrap_or_else(|error| panic!("seed {seed}: {step:?} fails: {error}"));
            until(&disk, &mut expected, &node);
            node.end(group);
            tally.segments_max = tally.segments_max.max(running.wal.segments());
        }
        expected.push(Arc::new(node.groups.clone()));
        let moments = disk.moments();
        assert_eq!(moments.len(), expected.len());
        tally.steps += STEPS;
        Self {
            seed,
            rng,
            node,
            moments,
            expected,
        }
    }

    fn crash_everywhere(mut self, tally: &mut Tally) {
        for at in 0..self.moments.len() {
            tally.moments += 1;
            let (moment, expected) = (self.moments[at].clone(), Arc::clone(&self.expected[at]));
            for (how, disk) in ends(&moment, &mut self.rng) {
                let node = Node {
                    config: self.node.config,
                    groups: Groups::clone(&expected),
                };
                let is_double = self.rng.below(DOUBLE_CRASH_EVERY) == 0;
                let looked = look(node, &disk, is_double, &mut self.rng, tally);
                looked.unwrap_or_else(|what| {
                    let (seed, count) = (self.seed, self.moments.len());
                    panic!("seed {seed}, moment {at} of {count}, {how}: {what}")
                });
            }
        }
    }
}

/// All moments up to now that are not known yet are of this state.
fn until(disk: &CrashDisk, expected: &mut Vec<Arc<Groups>>, node: &Node) {
    let count = usize::try_from(disk.operations()).expect("small");
    if count > expected.len() {
        expected.resize(count, Arc::new(node.groups.clone()));
    }
    // The moment after the last operation is that before the next.
    expected.truncate(count);
}

/// The ways in which a moment may end.
fn ends(moment: &Moment, rng: &mut Rng) -> Vec<(String, CrashDisk)> {
    let mut ends = vec![("killed".to_owned(), moment.kill())];
    let crashes = [
        Crash::AllLost,
        Crash::AllKept,
        Crash::Ordered(rng.draw()),
        Crash::Scattered(rng.draw()),
        Crash::Scattered(rng.draw()),
    ];
    if moment.unsynced() > 0 {
        ends.extend(crashes.map(|how| (format!("{how:?}"), moment.crash(how))));
    } else {
        ends.push(("nothing unsynced".to_owned(), moment.crash(Crash::AllLost)));
    }
    ends
}

/// The log must be found as expected; also if the recovery crashes; also when all that the recovery
/// did not sync is lost, after one more step.
fn look(
    mut node: Node,
    disk: &CrashDisk,
    is_double: bool,
    rng: &mut Rng,
    tally: &mut Tally,
) -> Result<(), String> {
    tally.images += 1;
    let before = node.clone();
    disk.record();
    let mut running = node.open(disk).map_err(|what| what.to_string())?;
    let is_survivor = |(group, stages): (_, &Vec<_>)| stages[0] != before.groups[group][0];
    tally.survived += u64::from(node.groups.iter().any(is_survivor));
    if is_double {
        look_at_recovery(&before, &disk.moments(), rng, tally)?;
    }
    let stepped = node.step(&mut running, rng);
    stepped.map_err(|failed| format!("can't go on: {}", failed.error))?;
    drop(running);
    let how = match rng.below(2) {
        0 => Crash::AllLost,
        _ => Crash::Scattered(rng.draw()),
    };
    let again = node.open(&disk.crash(how));
    again.map_err(|what| format!("after one more step and {how:?}: {what}"))?;
    Ok(())
}

fn look_at_recovery(
    before: &Node,
    moments: &[Moment],
    rng: &mut Rng,
    tally: &mut Tally,
) -> Result<(), String> {
    for (at, moment) in moments.iter().enumerate() {
        for (how, disk) in ends(moment, rng) {
            tally.images_in_recovery += 1;
            let opened = before.clone().open(&disk);
            opened.map_err(|what| format!("{how} at moment {at} of the recovery: {what}"))?;
        }
    }
    Ok(())
}
