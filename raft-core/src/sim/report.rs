//! What came of a run, and of many: events, faults, marks, operations, and what was wrong.
//!
//! A campaign in which nothing was wrong may still have proved nothing; it says so itself. This
//! file does not run anything.

use std::fmt;

use super::faults::{Fault, FaultCounts};
use super::ghost::Violation;
use super::marks::{Mark, Marks};
use super::workload::Stats;
use crate::types::{Index, Term};

/// A mark, or a fault that no plan can promise, must show in campaigns of this many runs.
pub const RUNS_FOR_ALL_MARKS: u64 = 1000;
/// Every class of faults must show in campaigns of this many runs.
pub const RUNS_FOR_ALL_FAULTS: u64 = 200;
/// So many operations must succeed a run, on average.
pub const OPERATIONS_MIN: u64 = 100;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// Of the plan.
    pub seed: u64,
    /// How many things happened.
    pub events: u64,
    /// How many events the servers stepped.
    pub steps: u64,
    /// How long it took in the world, in nanoseconds.
    pub time: u64,
    /// Folded from everything that happened.
    pub hash: u64,
    /// The last index committed anywhere.
    pub committed: Index,
    /// The highest term that had a leader.
    pub terms: Term,
    /// What the clients did.
    pub operations: Stats,
    /// What went wrong on purpose.
    pub faults: FaultCounts,
    /// What was come across.
    pub marks: Marks,
    /// What was wrong, if anything.
    pub violation: Option<Violation>,
}

/// The sum of many runs.
#[derive(Clone, Debug, Default)]
pub struct Campaign {
    /// How many runs.
    pub runs: u64,
    /// How many things happened.
    pub events: u64,
    /// How many events the servers stepped.
    pub steps: u64,
    /// How many operations succeeded.
    pub operations_ok: u64,
    /// How many operations were begun.
    pub operations: u64,
    /// What went wrong on purpose.
    pub faults: FaultCounts,
    /// What was come across.
    pub marks: Marks,
    /// The runs in which something was wrong, by their seeds.
    pub violations: Vec<(u64, Violation)>,
}

impl Campaign {
    /// Adds a run.
    pub fn add(&mut self, run: &RunReport) {
        self.runs += 1;
        self.events += run.events;
        self.steps += run.steps;
        self.operations_ok += run.operations.ok;
        self.operations += run.operations.operations;
        self.faults.merge(&run.faults);
        self.marks.merge(&run.marks);
        if let Some(violation) = &run.violation {
            self.violations.push((run.seed, violation.clone()));
        }
    }

    /// Adds the runs of another.
    pub fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.events += other.events;
        self.steps += other.steps;
        self.operations_ok += other.operations_ok;
        self.operations += other.operations;
        self.faults.merge(&other.faults);
        self.marks.merge(&other.marks);
        self.violations.extend(other.violations);
        self.violations.sort_by_key(|(seed, _)| *seed);
    }

    /// Why a campaign without violations proves nothing all the same; empty if it does.
    #[must_use]
    pub fn vacuous(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.operations_ok < self.runs * OPERATIONS_MIN {
            let (ok, runs) = (self.operations_ok, self.runs);
            reasons.push(format!("only {ok} operations succeeded in {runs} runs"));
        }
        if self.runs >= RUNS_FOR_ALL_FAULTS {
            let never = self.faults.iter().filter(|(_, count)| *count == 0);
            reasons.extend(never.map(|(fault, _)| format!("no {fault} ever happened")));
        }
        if self.runs >= RUNS_FOR_ALL_MARKS {
            let missing = self.marks.missing();
            reasons.extend(
                missing
                    .iter()
                    .map(|mark| format!("{} never happened", mark.name())),
            );
        }
        reasons
    }

    /// How many marks were hit.
    #[must_use]
    pub fn marks_hit(&self) -> usize {
        Mark::COUNT - self.marks.missing().len()
    }
}

impl fmt::Display for Campaign {
    /// One line, but for the rate, which only who has a clock can tell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seeds, {} events, faults:", self.runs, self.events)?;
        for (fault, count) in self.faults.iter() {
            write!(f, " {fault} {count}")?;
        }
        write!(f, "; marks {}/{}, ", self.marks_hit(), Mark::COUNT)?;
        write!(
            f,
            "operations {}/{} ok, ",
            self.operations_ok, self.operations
        )?;
        write!(f, "{} violations", self.violations.len())
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.time / 1_000_000;
        writeln!(
            f,
            "seed {}: {} events, {} steps,",
            self.seed, self.events, self.steps
        )?;
        writeln!(
            f,
            "  {milliseconds} ms of simulated time, trace {:016x}",
            self.hash
        )?;
        writeln!(
            f,
            "  committed up to {} in {} terms",
            self.committed, self.terms
        )?;
        writeln!(f, "  {:?}", self.operations)?;
        write!(f, "  faults:")?;
        for (fault, count) in self.faults.iter().filter(|(_, count)| *count > 0) {
            write!(f, " {} {count}", Fault::name(fault))?;
        }
        match &self.violation {
            None => write!(f, "\n  no violation"),
            Some(Violation { invariant, detail }) => {
                write!(f, "\n  VIOLATED {invariant}: {detail}")
            }
        }
    }
}
