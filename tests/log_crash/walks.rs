//! Random lives of a process, each ended by a crash or a failing disk, one after the other.
//!
//! This file does not know what a life consists of.

use raft_core::event::Write;
use raft_core::port::{LogStore, PortErrorKind};
use raft_core::sim::rng::Rng;
use raft_log::OpenError;
use raft_tests::crash_disk::{Crash, CrashDisk, Fault};
use raft_tests::log_model::Step;

use crate::node::{Failed, Node, Running, Trouble};

const WALKS: u64 = 5_000;
/// How many runs are repeated, with an error at each of their operations.
const ERROR_RUNS: u64 = 16;
const LIVES_MAX: u64 = 8;
const STEPS_MAX: u64 = 24;
/// Within how many operations of a life its fault strikes.
const OPERATIONS_MAX: u64 = 80;

#[derive(Debug, Default)]
struct Tally {
    lives: u64,
    steps: u64,
    killed: u64,
    cut: u64,
    cut_while_opening: u64,
    cut_while_looking: u64,
    broken: u64,
    full: u64,
}

#[test]
fn random_lives_lose_nothing() {
    let mut tally = Tally::default();
    for seed in 0..WALKS {
        let walked = walk(seed, &mut tally);
        walked.unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    }
    println!("seeds 0..{WALKS}: {tally:?}");
    let each = [
        tally.killed,
        tally.cut,
        tally.cut_while_opening,
        tally.broken,
        tally.full,
    ];
    assert!(
        each.iter().all(|count| *count > 200),
        "too little went wrong"
    );
    assert!(tally.steps > 10 * WALKS, "too little was done");
}

/// Each operation of a run fails once, the rest of it being the same.
#[test]
fn an_error_at_every_operation_loses_nothing() {
    let mut tally = Tally::default();
    for seed in 0..ERROR_RUNS {
        for fault in [Fault::Broken, Fault::Full, Fault::Dead] {
            let strike = |at| {
                let struck = strike(seed, fault(at), at, &mut Tally::default());
                struck.unwrap_or_else(|what| panic!("seed {seed}, {:?}: {what}", fault(at)))
            };
            tally.lives += (0..).take_while(|at| strike(*at)).count() as u64;
        }
    }
    println!("seeds 0..{ERROR_RUNS}: {} errors", tally.lives);
    assert!(tally.lives > 3000, "too few errors");
}

/// Says whether the run lasted long enough for the fault to strike.
fn strike(seed: u64, fault: Fault, at: u64, tally: &mut Tally) -> Result<bool, String> {
    let mut rng = Rng::new(seed);
    let mut node = Node::drawn(&mut rng);
    let disk = CrashDisk::default();
    disk.inject(fault);
    live(&mut node, &disk, Some(fault), &mut rng, tally)?;
    for how in [Crash::AllLost, Crash::AllKept, Crash::Scattered(at)] {
        let opened = node.clone().open(&disk.crash(how));
        opened.map_err(|what| format!("{how:?}: {what}"))?;
    }
    node.open(&disk.moment().kill())
        .map_err(|what| format!("killed: {what}"))?;
    Ok(disk.operations() > at)
}

fn walk(seed: u64, tally: &mut Tally) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let mut node = Node::drawn(&mut rng);
    let mut disk = CrashDisk::default();
    for life in 0..rng.between(2, LIVES_MAX) {
        let fault = draw_fault(&disk, &mut rng);
        disk.heal();
        fault.iter().for_each(|fault| disk.inject(*fault));
        let lived = live(&mut node, &disk, fault, &mut rng, tally);
        lived.map_err(|what| format!("life {life} with {fault:?}: {what}"))?;
        disk = match rng.below(4) {
            0 => {
                tally.killed += 1;
                disk.moment().kill()
            }
            1 => disk.crash(Crash::AllLost),
            2 => disk.crash(Crash::Ordered(rng.draw())),
            _ => disk.crash(Crash::Scattered(rng.draw())),
        };
        tally.lives += 1;
    }
    let opened = node.open(&disk);
    opened
        .map_err(|what| format!("at the end: {what}"))
        .map(drop)
}

fn draw_fault(disk: &CrashDisk, rng: &mut Rng) -> Option<Fault> {
    let at = disk.operations() + rng.below(OPERATIONS_MAX);
    match rng.below(8) {
        0..4 => Some(Fault::Dead(at)),
        4 => Some(Fault::Broken(at)),
        5 => Some(Fault::Full(at)),
        6 => {
            let used: usize = disk
                .files()
                .iter()
                .map(|path| disk.content(path).len())
                .sum();
            Some(Fault::Capacity(used as u64 + rng.below(20_000)))
        }
        _ => None,
    }
}

/// Until the fault strikes, or for a while.
fn live(
    node: &mut Node,
    disk: &CrashDisk,
    fault: Option<Fault>,
    rng: &mut Rng,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut running = match node.open(disk) {
        Ok(running) => running,
        Err(Trouble::Refused(OpenError::Port(error))) if fault.is_some() => {
            tally.cut_while_opening += 1;
            return judge(fault, error.kind, tally);
        }
        // The next life will see what is there.
        Err(Trouble::Wrong(_)) if is_dead(disk, fault) => {
            tally.cut_while_looking += 1;
            return Ok(());
        }
        Err(trouble) => return Err(trouble.to_string()),
    };
    for _ in 0..rng.between(1, STEPS_MAX) {
        match node.step(&mut running, rng) {
            Ok(()) => tally.steps += 1,
            Err(failed) => {
                let judged = judge(fault, failed.error.kind, tally);
                judged.map_err(|what| format!("{what}: {failed:?}"))?;
                return stays_failed(&mut running, (disk, fault), &failed);
            }
        }
    }
    Ok(())
}

fn is_dead(disk: &CrashDisk, fault: Option<Fault>) -> bool {
    matches!(fault, Some(Fault::Dead(at)) if disk.operations() >= at)
}

/// Whether the error says what happened.
fn judge(fault: Option<Fault>, kind: PortErrorKind, tally: &mut Tally) -> Result<(), String> {
    let (expected, count) = match fault {
        Some(Fault::Dead(_)) => (PortErrorKind::Broken, &mut tally.cut),
        Some(Fault::Broken(_)) => (PortErrorKind::Broken, &mut tally.broken),
        Some(Fault::Full(_) | Fault::Capacity(_)) => (PortErrorKind::Full, &mut tally.full),
        None => return Err(format!("{kind:?} without a reason")),
    };
    *count += 1;
    if kind == expected {
        Ok(())
    } else {
        Err(format!(
            "the error is said to be {kind:?}, not {expected:?}"
        ))
    }
}

/// After the log has failed nothing succeeds any more, for no group, even if the disk is well.
fn stays_failed(
    running: &mut Running,
    (disk, fault): (&CrashDisk, Option<Fault>),
    failed: &Failed,
) -> Result<(), String> {
    let is_of_log = matches!(
        failed.step,
        Step::Found(_) | Step::Write(_) | Step::Purge(_)
    );
    if is_dead(disk, fault) || !is_of_log {
        return Ok(());
    }
    disk.heal();
    for (group, log) in &mut running.logs {
        let kind = match log.write(&[Write::default()]) {
            Ok(()) => return Err(format!("group {group} can write after {failed:?}")),
            Err(error) => error.kind,
        };
        if kind != failed.error.kind {
            return Err(format!("group {group} says {kind:?} after {failed:?}"));
        }
    }
    Ok(())
}
