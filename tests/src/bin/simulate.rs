//! Runs simulated clusters: a campaign over many seeds, or one seed with its trace.
//!
//! It deliberately knows nothing of how a run goes or is judged; see `raft_core::sim`.

use std::fs;
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use raft_core::sim::faults::Plan;
use raft_core::sim::report::Campaign;
use raft_core::sim::shrink::shrink;
use raft_tests::campaign::{self, Options};
use serde_json::json;

/// A campaign that has found this many violations need not look for more.
const VIOLATIONS_MAX: usize = 20;

/// Simulates Raft clusters in a world where things go wrong.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Run this seed alone, and print its trace
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run the plan in this file alone, and print its trace
    #[arg(long, conflicts_with_all = ["seeds", "seed"])]
    plan: Option<PathBuf>,
    /// With --seed or --plan: make the failing run as small as possible, print it as a plan
    #[arg(long)]
    shrink: bool,
    /// How many lines of the trace to print, the last ones
    #[arg(long, default_value_t = 300)]
    lines: usize,
    /// How many events a run has before its finale
    #[arg(long, default_value_t = Options::EVENTS_DEFAULT)]
    events: u64,
    /// How many servers; each seed's own choice if not given
    #[arg(long)]
    nodes: Option<u64>,
    /// How many threads; as many as there are cores if not given
    #[arg(long)]
    jobs: Option<usize>,
    /// Stop at the first violation, instead of after some
    #[arg(long)]
    first: bool,
    /// Say the result as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        from: arguments.from,
        seeds: arguments.seeds,
        jobs: arguments.jobs.unwrap_or(cores),
        events: arguments.events,
        nodes: arguments.nodes,
        violations_max: if arguments.first { 1 } else { VIOLATIONS_MAX },
    };
    let plan = match (&arguments.plan, arguments.seed) {
        (Some(path), _) => {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            Some(text.parse::<Plan>()?)
        }
        (None, Some(seed)) => Some(options.plan(seed)),
        (None, None) => None,
    };
    Ok(match plan {
        Some(plan) => run_one(&plan, &arguments),
        None => run_many(&options, &arguments),
    })
}

fn run_one(plan: &Plan, arguments: &Arguments) -> ExitCode {
    if arguments.shrink {
        let Some((small, violated)) = shrink(plan, campaign::failure) else {
            eprintln!("the run does not fail, so there is nothing to shrink");
            return ExitCode::FAILURE;
        };
        println!("# violates {violated}\n{small}");
        let (report, trace) = campaign::run_recorded(&small, arguments.lines);
        print!("{trace}");
        println!("{report}");
        return ExitCode::FAILURE;
    }
    let (report, trace) = campaign::run_recorded(plan, arguments.lines);
    print!("{trace}");
    println!("{report}");
    exit(report.violation.is_none())
}

fn run_many(options: &Options, arguments: &Arguments) -> ExitCode {
    let began = Instant::now();
    let watched = stderr().is_terminal();
    let total = campaign::run_all(options, |done| {
        if watched {
            eprint!("\r{done} of {} seeds", options.seeds);
        }
    });
    if watched {
        eprint!("\r                                \r");
    }
    let seconds = began.elapsed().as_secs_f64();
    for (seed, violation) in &total.violations {
        eprintln!("seed {seed}: {}: {}", violation.invariant, violation.detail);
    }
    let vacuous = total.vacuous();
    for reason in &vacuous {
        eprintln!("vacuous: {reason}");
    }
    if arguments.json {
        println!("{}", as_json(&total, seconds, &vacuous));
    } else {
        println!("{total} ({:.0} events/s)", total.events as f64 / seconds);
    }
    exit(total.violations.is_empty() && vacuous.is_empty())
}

fn as_json(total: &Campaign, seconds: f64, vacuous: &[String]) -> serde_json::Value {
    let faults: serde_json::Map<_, _> = total
        .faults
        .iter()
        .map(|(fault, count)| (fault.to_string(), json!(count)))
        .collect();
    let marks: serde_json::Map<_, _> = total
        .marks
        .iter()
        .map(|(mark, count)| (mark.name().to_owned(), json!(count)))
        .collect();
    let violations: Vec<_> = total
        .violations
        .iter()
        .map(|(seed, violation)| {
            json!({
                "seed": seed,
                "invariant": violation.invariant,
                "detail": violation.detail,
            })
        })
        .collect();
    json!({
        "seeds": total.runs,
        "events": total.events,
        "steps": total.steps,
        "seconds": seconds,
        "operations": total.operations,
        "operations_ok": total.operations_ok,
        "faults": faults,
        "marks": marks,
        "violations": violations,
        "vacuous": vacuous,
    })
}

fn exit(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
