//! Many simulated runs, on all cores: what `simulate` and the integration tests share.
//!
//! Each run has a thread to itself and is a function of its plan alone; a panic in it is one more
//! violation. This file does not know what is simulated, nor what a fault is.

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;

use raft_core::sim::faults::Plan;
use raft_core::sim::ghost::Violation;
use raft_core::sim::report::{Campaign, RunReport};
use raft_core::sim::world::{Service, World};

/// One seed in so many runs twice, and both must leave the same trace.
const TWICE_EVERY: u64 = 1000;

/// Which runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The first seed.
    pub from: u64,
    /// How many seeds.
    pub seeds: u64,
    /// How many threads.
    pub jobs: usize,
    /// How many events a run has before its finale.
    pub events: u64,
    /// How many servers, if it is not each seed's own choice.
    pub nodes: Option<u64>,
    /// After this many violations no further seeds are begun.
    pub violations_max: usize,
}

impl Options {
    /// Enough events for 5000 seeds to make 10⁸.
    pub const EVENTS_DEFAULT: u64 = 20_000;

    /// The plan of a seed.
    #[must_use]
    pub fn plan(&self, seed: u64) -> Plan {
        let mut plan = Plan::drawn(seed, self.events);
        if let Some(nodes) = self.nodes {
            plan.knobs.nodes = nodes;
            plan.knobs.founders = plan.knobs.founders.min(nodes);
        }
        plan
    }
}

/// Runs them all. `progress` is told how many are done, now and then.
pub fn run_all(options: &Options, progress: impl Fn(u64) + Sync) -> Campaign {
    let next = AtomicU64::new(0);
    let total = Mutex::new(Campaign::default());
    let worker = || {
        loop {
            let offset = next.fetch_add(1, Ordering::Relaxed);
            if offset >= options.seeds {
                return;
            }
            let seed = options.from + offset;
            let plan = options.plan(seed);
            let mut report = run(&plan);
            if seed.is_multiple_of(TWICE_EVERY) && report.violation.is_none() {
                let again = run(&plan);
                report.violation = differs(&report, &again);
            }
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            total.add(&report);
            if total.violations.len() >= options.violations_max {
                next.store(options.seeds, Ordering::Relaxed);
            }
            progress(total.runs);
        }
    };
    thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(worker);
        }
    });
    let mut total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    total.violations.sort_by_key(|(seed, _)| *seed);
    total
}

fn differs(one: &RunReport, other: &RunReport) -> Option<Violation> {
    let detail = format!("trace {:016x} became {:016x}", one.hash, other.hash);
    (one.hash != other.hash || one.events != other.events).then_some(Violation {
        invariant: "determinism",
        detail,
    })
}

/// Runs a plan to its end.
#[must_use]
pub fn run(plan: &Plan) -> RunReport {
    run_recorded(plan, 0).0
}

/// Runs a plan and keeps so many lines of its trace; the rendered trace is empty for none.
#[must_use]
pub fn run_recorded(plan: &Plan, lines: usize) -> (RunReport, String) {
    quiet_panics();
    let mut world = World::new(plan.clone(), Service::registers(plan));
    if lines > 0 {
        world.record(lines);
    }
    let report = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|_| {
        let detail = PANIC.take().unwrap_or_default();
        world.report(Some(Violation {
            invariant: "panic",
            detail,
        }))
    });
    let trace = world
        .trace()
        .map(|trace| trace.render(world.nodes()))
        .unwrap_or_default();
    (report, trace)
}

/// The name under which a plan fails: runs that fail under the same name fail alike.
#[must_use]
pub fn failure(plan: &Plan) -> Option<String> {
    let Violation { invariant, detail } = run(plan).violation?;
    // A panic is told from another by its place.
    let place = if invariant == "panic" {
        detail.lines().next().unwrap_or("")
    } else {
        ""
    };
    Some(format!("{invariant} {place}").trim_end().to_owned())
}

thread_local! {
    /// What the latest panic of this thread said.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic in a run is a finding, told with its seed later; printing it here would only add noise.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            if !place.contains("raft-core") {
                return loud(info);
            }
            let said = info.payload_as_str().unwrap_or("a panic without words");
            PANIC.set(Some(format!("{place}: {said}\n{}", Backtrace::capture())));
        }));
    });
}
