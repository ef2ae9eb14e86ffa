//! Runs simulated clusters: a campaign over many seeds, or one seed with its trace. It also replays
//! what a flight recorder took of a real node.
//!
//! It deliberately knows nothing of how a run goes or is judged; see `raft_core::sim` and
//! `raft_core::recorder`.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufWriter, IsTerminal, Write, stderr, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::{Args, Parser};
use raft_core::recorder::{ReplaySummary, replay};
use raft_core::sim::faults::Plan;
use raft_core::sim::report::Campaign;
use raft_core::sim::shrink::shrink;
use raft_tests::campaign::{self, Options};
use raft_tests::replay::{self, Story};
use serde_json::json;

/// A campaign that has found this many violations need not look for more.
const VIOLATIONS_MAX: usize = 20;
/// So many lines of a trace are printed if nothing else is asked for.
const TRACE_LINES: usize = 300;

/// Simulates Raft clusters in a world where things go wrong, or replays a recording of a real node.
///
/// Without --seed, --plan or --replay it runs a campaign over many seeds. The exit status is 0 only
/// if nothing was violated, and every replayed output is the one that was recorded.
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
    #[command(flatten)]
    playback: Playback,
    /// With --seed or --plan: make the failing run as small as possible, print it as a plan
    #[arg(long)]
    shrink: bool,
    /// How many lines of the trace or story to print, the last ones; 300 of a trace and all of a
    /// story if not given
    #[arg(long)]
    lines: Option<usize>,
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
    /// Say the result as JSON; with --replay, print nothing else
    #[arg(long)]
    json: bool,
}

/// What there is to say about a replay.
#[derive(Args)]
struct Playback {
    /// Replay this recording, of a flight recorder (flight-*.rec): run the node's core again, and
    /// tell its story, a line for each event (<), inner change (*) and effect (>), with the seconds
    /// since the recording began. Fails at the first output that is not the one recorded
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "seed", "plan", "shrink"])]
    replay: Option<PathBuf>,
    /// With --replay: print only the summary
    #[arg(long, requires = "replay")]
    quiet: bool,
    /// With --replay: print lines in full length
    #[arg(long, requires = "replay")]
    wide: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(path) = &arguments.playback.replay {
        return Ok(run_again(path, &arguments));
    }
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
    let lines = arguments.lines.unwrap_or(TRACE_LINES);
    if arguments.shrink {
        let Some((small, violated)) = shrink(plan, campaign::failure) else {
            eprintln!("the run does not fail, so there is nothing to shrink");
            return ExitCode::FAILURE;
        };
        println!("# violates {violated}\n{small}");
        let (report, trace) = campaign::run_recorded(&small, lines);
        print!("{trace}");
        println!("{report}");
        return ExitCode::FAILURE;
    }
    let (report, trace) = campaign::run_recorded(plan, lines);
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

fn run_again(path: &Path, arguments: &Arguments) -> ExitCode {
    let result = match fs::read(path) {
        Ok(bytes) => tell(&bytes, arguments),
        Err(error) => Err(error.to_string()),
    };
    if arguments.json {
        println!("{}", replay_as_json(path, &result));
    } else {
        match &result {
            Ok(summary) => println!("{}", replay::summary(summary)),
            Err(error) => eprintln!("{}: {error}", path.display()),
        }
    }
    exit(result.is_ok())
}

fn tell(bytes: &[u8], arguments: &Arguments) -> Result<ReplaySummary, String> {
    let mut story = Story::new(arguments.playback.wide);
    let mut out = BufWriter::new(stdout().lock());
    let is_told = !arguments.playback.quiet && !arguments.json;
    let lines_max = arguments.lines.unwrap_or(usize::MAX);
    let mut kept = VecDeque::new();
    let mut print = Ok(());
    // A core that panicked when it was recorded panics again, and then that is the news.
    let run = catch_unwind(AssertUnwindSafe(|| {
        replay(bytes, |moment| {
            let lines = story.tell(&moment);
            if !is_told || print.is_err() {
                return;
            }
            if arguments.lines.is_none() {
                print = lines.iter().try_for_each(|line| writeln!(out, "{line}"));
                return;
            }
            kept.extend(lines);
            kept.drain(..kept.len().saturating_sub(lines_max));
        })
    }));
    // Who reads the story may have seen enough of it; the verdict is the exit status.
    let _ = print.and_then(|()| kept.iter().try_for_each(|line| writeln!(out, "{line}")));
    let _ = out.flush();
    drop(out);
    match run {
        Ok(Ok(summary)) => Ok(summary),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the core panics after {}", story.last())),
    }
}

fn replay_as_json(path: &Path, result: &Result<ReplaySummary, String>) -> serde_json::Value {
    match result {
        Err(error) => json!({ "file": path, "same": false, "error": error }),
        Ok(summary) => json!({
            "file": path,
            "same": true,
            "node": summary.node,
            "began_ns": summary.began.0,
            "ended_ns": summary.ended.0,
            "records": summary.records(),
            "checkpoints": summary.checkpoints,
            "events": summary.events,
            "flushes": summary.flushes,
            "unflushed": summary.unflushed,
            "torn_bytes": summary.torn_bytes,
        }),
    }
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
