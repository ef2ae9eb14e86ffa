//! `explore`: checks every reachable state of some small clusters of the shipped core.
//!
//! It deliberately knows nothing of what is explored; see `raft_tests::model`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use raft_tests::model::configurations::{self, Configuration};
use raft_tests::model::explore::{Limits, Order, Progress, Report, explore};

/// Explores small clusters of the shipped core, state by state.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How many states to look at in each configuration
    #[arg(long, default_value_t = 5_000_000)]
    states: u64,
    /// Only these configurations
    #[arg(long = "config", value_name = "NAME")]
    names: Vec<String>,
    /// How many threads to use
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Breadth first: takes more memory, finds shorter paths
    #[arg(long)]
    broad: bool,
    /// One JSON object a configuration
    #[arg(long)]
    json: bool,
    /// Say what there is to explore, and do nothing
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut all = configurations::all();
    if arguments.list || !arguments.names.is_empty() {
        all.extend(configurations::known_limits());
    }
    if arguments.list {
        for one in &all {
            println!("{:<14} {}", one.name, one.about);
        }
        return ExitCode::SUCCESS;
    }
    if let Some(name) = arguments
        .names
        .iter()
        .find(|name| all.iter().all(|one| one.name != **name))
    {
        eprintln!("there is no configuration {name}; --list says which there are");
        return ExitCode::from(2);
    }
    let wanted = |one: &&Configuration| {
        arguments.names.is_empty() || arguments.names.iter().any(|name| name == one.name)
    };
    let mut failed = false;
    for configuration in all.iter().filter(wanted) {
        let report = explore_one(configuration, &arguments);
        failed |= !report.breaches.is_empty();
    }
    ExitCode::from(u8::from(failed))
}

fn explore_one(configuration: &Configuration, arguments: &Arguments) -> Report {
    let order = if arguments.broad {
        Order::BreadthFirst
    } else {
        Order::DepthFirst
    };
    let limits = Limits {
        states: arguments.states,
        threads: arguments.threads,
        order,
    };
    let show = std::io::stderr().is_terminal();
    let report = explore(configuration, limits, |progress| {
        if show {
            show_progress(configuration.name, progress);
        }
    });
    if show {
        eprint!("\r\x1b[K");
    }
    if arguments.json {
        println!("{}", to_json(&report));
    } else {
        print_line(&report);
    }
    // What was found out already is worth having, should the next configuration be killed.
    let _ = std::io::stdout().flush();
    report
}

fn show_progress(name: &str, progress: Progress) {
    eprint!(
        "\r\x1b[K{name}: {} states, depth {}, {:.0?}",
        progress.states, progress.depth, progress.time
    );
}

fn verdict(report: &Report) -> &'static str {
    if !report.breaches.is_empty() {
        "BROKEN"
    } else if !report.missing.is_empty() {
        "holds, but not all was seen"
    } else if report.complete {
        "holds in every state"
    } else {
        "holds as far as explored"
    }
}

fn print_line(report: &Report) {
    let seconds = report.time.as_secs_f64();
    let (nodes, messages, steps) = report.sizes;
    println!(
        "{:<14} {:>10} states  {:>11} steps  depth {:>3}  {:>6.1} s  {:>7.0}/s  {}  \
         ({nodes} node states, {messages} messages, {steps} node steps)",
        report.name,
        report.states,
        report.steps,
        report.depth,
        seconds,
        report.states as f64 / seconds,
        verdict(report),
    );
    for mark in &report.missing {
        println!("  not seen: {mark}");
    }
    for breach in &report.breaches {
        println!(
            "  BROKEN: {}\n  {}\n{}",
            breach.law, breach.why, breach.path
        );
    }
}

fn to_json(report: &Report) -> serde_json::Value {
    let missing: Vec<&str> = report.missing.iter().map(|mark| mark.words()).collect();
    let breaches: Vec<serde_json::Value> = report
        .breaches
        .iter()
        .map(|breach| {
            let law = breach.law.words();
            serde_json::json!({ "law": law, "why": breach.why, "path": breach.path })
        })
        .collect();
    serde_json::json!({
        "configuration": report.name,
        "states": report.states,
        "steps": report.steps,
        "depth": report.depth,
        "seconds": report.time.as_secs_f64(),
        "complete": report.complete,
        "verdict": verdict(report),
        "missing": missing,
        "breaches": breaches,
    })
}
