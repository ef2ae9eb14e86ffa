//! The suite on sound machines, and on machines that are each broken in one way: it must find them
//! all.

mod sound;
mod tally;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{state_machine, state_machine_walk};
use crate::session::{SessionLimits, Sessions};
use crate::sim::machine::Registers;
use sound::{InMemory, OfRegisters, OfSessions};
use tally::{Fixture, Flaw, Tally};

const LIMITS: SessionLimits = SessionLimits {
    sessions_max: 6,
    answer_bytes_max: 80,
    idle_ms_max: 300,
};

#[test]
fn a_machine_with_a_disk_passes() {
    state_machine(&mut Fixture::new(Flaw::None));
}

#[test]
fn a_machine_with_a_disk_walks_on() {
    for seed in 0..200 {
        state_machine_walk(&mut Fixture::new(Flaw::None), seed, 120);
    }
}

#[test]
fn a_machine_in_memory_passes() {
    state_machine(&mut InMemory);
    for seed in 0..100 {
        state_machine_walk(&mut InMemory, seed, 120);
    }
}

#[test]
fn the_registers_pass() {
    state_machine(&mut OfRegisters);
    for seed in 0..100 {
        state_machine_walk(&mut OfRegisters, seed, 120);
    }
}

#[test]
fn sessions_pass_around_any_machine() {
    let tally = || Sessions::new(Tally::in_memory(), LIMITS);
    let registers = || Sessions::new(Registers::new(), LIMITS);
    let mut around_tally = OfSessions::new(tally, InMemory);
    let mut around_registers = OfSessions::new(registers, OfRegisters);
    state_machine(&mut around_tally);
    state_machine(&mut around_registers);
    for seed in 0..100 {
        state_machine_walk(&mut around_tally, seed, 120);
        state_machine_walk(&mut around_registers, seed, 120);
    }
}

#[test]
fn every_flaw_is_found() {
    let mut elsewhere = Vec::new();
    for (flaw, case) in Flaw::ALL {
        let found = catch_unwind(AssertUnwindSafe(|| state_machine(&mut Fixture::new(flaw))));
        let panic = found.expect_err(&format!("{flaw:?} was not found"));
        let said = panic.downcast_ref::<String>().expect("a formatted message");
        let expected = format!("state machine, {case}: ");
        if !said.starts_with(&expected) {
            elsewhere.push(format!("{flaw:?}: {said}"));
        }
    }
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
}

#[test]
fn the_walk_finds_what_breaks_in_the_long_run() {
    for flaw in [
        Flaw::SnapshotForgets,
        Flaw::RestoreMerges,
        Flaw::CaptureIsLazy,
        Flaw::DurableAhead,
        Flaw::DiskAheadOfDurable,
        Flaw::DependsOnBatches,
        Flaw::DiskOutlivesRestore,
    ] {
        let mut walk = || {
            for seed in 0..20 {
                state_machine_walk(&mut Fixture::new(flaw), seed, 100);
            }
        };
        let panic = catch_unwind(AssertUnwindSafe(&mut walk));
        let panic = panic.expect_err(&format!("{flaw:?} was not found"));
        let said = panic.downcast_ref::<String>().expect("a formatted message");
        assert!(said.contains("walk of seed"), "{flaw:?}: {said}");
    }
}

#[test]
fn queries_that_tell_nothing_are_no_good() {
    let mut fixture = Fixture::new(Flaw::None);
    fixture.queries.clear();
    let found = catch_unwind(AssertUnwindSafe(|| state_machine(&mut fixture)));
    let panic = found.expect_err("nothing would be compared");
    let said = panic.downcast_ref::<String>().expect("a formatted message");
    assert!(said.contains("the queries do not tell"), "{said}");
}
