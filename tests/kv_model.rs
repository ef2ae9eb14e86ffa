//! The key-value store against a naive reference: equal answers, revisions, and watch streams.
//!
//! Each run gives random commands to two members and to the reference. A run that fails is made
//! shorter, and printed; its seed makes it again: `RAFT_SEED=… cargo test -p raft-tests --test
//! kv_model`. `RAFT_RUNS` says how many runs there are. This file knows no rule of the data model:
//! the reference does.

#[path = "kv_model/replica.rs"]
mod replica;
#[path = "kv_model/shrink.rs"]
mod shrink;
#[path = "kv_model/stand.rs"]
mod stand;
#[path = "kv_model/steps.rs"]
mod steps;
#[path = "kv_model/sweeping.rs"]
mod sweeping;
#[path = "kv_model/traps.rs"]
mod traps;
#[path = "kv_model/watches.rs"]
mod watches;

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use raft_tests::kv::tally::{OF_ENTRIES, OF_RANGES};
use raft_tests::kv::{Dice, Tally};

use replica::Kind;
use stand::{OF_MEMBERS, Plan, Stand};
use steps::Step;
use watches::OF_WATCHES;

/// So many runs there are unless it is said otherwise.
const RUNS: u64 = 4000;
/// Fewer runs than these do not meet with all that there is to meet.
const RUNS_MIN: u64 = 1000;
/// Steps of a run.
const STEPS: (u64, u64) = (60, 240);

#[test]
fn both_members_do_what_the_reference_does() {
    campaign([Kind::Memory, Kind::Memory], RUNS);
}

/// On a disk each restart, and each snapshot, costs some milliseconds.
#[cfg(feature = "rocksdb")]
#[test]
fn members_on_disks_do_what_the_reference_does() {
    campaign([Kind::Rocks, Kind::Rocks], 25);
}

#[cfg(feature = "rocksdb")]
#[test]
fn a_member_on_a_disk_is_like_one_in_memory() {
    campaign([Kind::Rocks, Kind::Memory], 25);
}

fn campaign(kinds: [Kind; 2], runs: u64) {
    if let Some(seed) = number("RAFT_SEED") {
        let tally = run(seed, kinds).unwrap_or_else(|why| panic!("{why}"));
        println!("seed {seed}: {tally:#?}");
        return;
    }
    let runs = number("RAFT_RUNS").unwrap_or(runs);
    let mut tally = Tally::default();
    for seed in 0..runs {
        tally.add(&run(seed, kinds).unwrap_or_else(|why| panic!("{why}")));
    }
    println!("{runs} runs of {kinds:?}: {tally:#?}");
    if runs >= RUNS_MIN {
        let problems = tally.compare(&[OF_ENTRIES, OF_RANGES, OF_WATCHES, OF_MEMBERS]);
        assert!(problems.is_empty(), "{problems:#?}");
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What a seed decides before its first step.
fn plan(dice: &mut Dice, kinds: [Kind; 2]) -> Plan {
    Plan {
        kinds,
        sessions: dice.session_limits(),
        recent_bytes_max: *dice.rng.pick(&[0, 2000, 64 << 20]).unwrap_or(&0),
    }
}

fn run(seed: u64, kinds: [Kind; 2]) -> Result<Tally, String> {
    let mut dice = Dice::new(seed);
    let plan = plan(&mut dice, kinds);
    let mut steps = Vec::new();
    let done = caught(|| {
        let mut stand = Stand::new(plan)?;
        for _ in 0..dice.rng.between(STEPS.0, STEPS.1) {
            let step = steps::draw(&mut dice, &stand.reference);
            steps.push(step.clone());
            stand.carry_out(&step)?;
        }
        stand.finish()?;
        Ok(stand.tally)
    });
    done.map_err(|why| {
        let again = |steps: &[Step]| caught(|| again(plan, steps)).err();
        let (steps, why) = shrink::shrink(steps, why, again);
        report(seed, plan, &steps, &why)
    })
}

fn again(plan: Plan, steps: &[Step]) -> Result<(), String> {
    let mut stand = Stand::new(plan)?;
    for step in steps {
        stand.carry_out(step)?;
    }
    stand.finish()
}

/// A panic is one more way to fail.
fn caught<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let done = catch_unwind(AssertUnwindSafe(run));
    done.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("without a text")))
    })
}

fn report(seed: u64, plan: Plan, steps: &[Step], why: &str) -> String {
    let mut text = format!("seed {seed}, {plan:?}:\n");
    for step in steps {
        writeln!(text, "  {step:?}").expect("a string takes all");
    }
    text + why
}
