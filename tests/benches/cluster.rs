//! Three nodes in one process under writers that each await their write before the next.
//!
//! `memory`: our node beside `openraft` in one run, as openraft's own minimal benchmark has it: no
//! disk, no sockets, commands without content, machines that do nothing. What counts are the
//! ratios.
//!
//! Equal: the nodes run on one tokio runtime, the writers on another, with the same number of
//! workers; a fresh cluster a measurement; the two take turns, so that a busy machine meets both;
//! one build profile.
//!
//! openraft gets the settings of its own benchmark (`cluster/theirs.rs`), and two things better
//! than there: a log in a `VecDeque` behind a plain lock instead of a tree behind an async one, and
//! no statistics kept beside the work.
//!
//! Beside the rates stands how much processor time a write took, nodes and writers together: it
//! shifts far less than rates where other programs run too.
//!
//! `durable`: our nodes alone, with TCP on the loopback, logs synced on the disk under `--dir`,
//! and 256-byte commands; and what a file there, written and synced piece by piece, can do.
//!
//! Where the time goes: run the program that `cargo bench --no-run` names under `perf record -e
//! cpu-clock -g` or `valgrind --tool=callgrind --fair-sched=yes`, with `--bench --rounds 1 --only
//! ours --writers 64`. The threads of the nodes are called `node`, those of the load `writer`.
//!
//! It deliberately knows nothing of an API over the node: see `raft-cli bench`.

#[path = "cluster/cpu.rs"]
mod cpu;
#[path = "cluster/disk.rs"]
mod disk;
#[path = "cluster/load.rs"]
mod load;
#[path = "cluster/ours.rs"]
mod ours;
#[path = "cluster/report.rs"]
mod report;
#[path = "cluster/theirs.rs"]
mod theirs;
#[path = "cluster/theirs_store.rs"]
mod theirs_store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use raft_core::driver::Lanes;
use tokio::runtime::{Builder, Runtime};

use disk::Synced;
use load::{Figures, Plan};
use report::{Point, Side};

const WRITERS: [usize; 5] = [1, 64, 256, 1024, 4096];
const ROUNDS: usize = 3;
const STOP_TIME_MAX: Duration = Duration::from_secs(1);
const PLAN: Plan = Plan {
    warm_up: Duration::from_millis(500),
    span: Duration::from_secs(2),
};
const QUICK: Plan = Plan {
    warm_up: Duration::from_millis(200),
    span: Duration::from_millis(500),
};
/// By the end of the warm-up, logs have prepared their first segments.
const DURABLE: Plan = Plan {
    warm_up: Duration::from_secs(5),
    span: Duration::from_secs(4),
};
/// Without `--bench` this runs as a test: that the loops work is enough then.
const AS_TEST: Plan = Plan {
    warm_up: Duration::ZERO,
    span: Duration::from_millis(50),
};

/// Writes a second and latencies of three nodes in one process.
#[derive(Parser, Debug)]
struct Options {
    /// What is between the nodes and below them.
    #[arg(value_enum, default_value_t = Mode::Memory)]
    mode: Mode,
    /// How many writers, one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = WRITERS)]
    writers: Vec<usize>,
    /// How often each point is measured; medians are reported. 3, or 1 with `--quick`.
    #[arg(long)]
    rounds: Option<usize>,
    /// One short round.
    #[arg(long)]
    quick: bool,
    /// Only this side.
    #[arg(long, value_enum)]
    only: Option<Side>,
    /// Threads under the nodes.
    #[arg(long, default_value_t = 2)]
    node_workers: usize,
    /// Threads under the writers.
    #[arg(long, default_value_t = 1)]
    writer_workers: usize,
    /// Where log and machine of our nodes do their work in `memory`.
    #[arg(long, value_enum, default_value_t = Place::Inline)]
    lanes: Place,
    /// Where files are written: on the disk that is to be measured.
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    dir: PathBuf,
    /// Results as JSON.
    #[arg(long)]
    json: bool,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Nothing but memory, beside openraft.
    Memory,
    /// TCP on the loopback, and logs that are synced; our nodes alone.
    Durable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Place {
    /// In the node's loop: nothing blocks.
    Inline,
    /// On threads of their own, as with real disks.
    Threads,
}

impl From<Place> for Lanes {
    fn from(place: Place) -> Lanes {
        match place {
            Place::Inline => Lanes::Inline,
            Place::Threads => Lanes::Threads,
        }
    }
}

impl Options {
    fn plan(&self) -> Plan {
        match (self.bench, self.quick, self.mode) {
            (false, ..) => AS_TEST,
            (true, true, _) => QUICK,
            (true, false, Mode::Memory) => PLAN,
            (true, false, Mode::Durable) => DURABLE,
        }
    }

    fn rounds(&self) -> usize {
        let short = self.quick || !self.bench;
        self.rounds.unwrap_or(if short { 1 } else { ROUNDS }).max(1)
    }

    fn sides(&self) -> Vec<Side> {
        let sides = match self.mode {
            Mode::Memory => vec![Side::Ours, Side::Openraft],
            Mode::Durable => vec![Side::Ours],
        };
        let wanted = |side: &Side| self.only.is_none_or(|only| only == *side);
        sides.into_iter().filter(wanted).collect()
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let (disk, points) = match options.mode {
        Mode::Memory => (Vec::new(), measure(&options)?),
        Mode::Durable => (probe(&options)?, measure(&options)?),
    };
    if options.json {
        println!("{}", report::json(&disk, &points)?);
    } else {
        print!("{}", report::table(&disk, &points));
    }
    Ok(())
}

/// What the disk alone can do, in the same run as the logs on it.
fn probe(options: &Options) -> anyhow::Result<Vec<Synced>> {
    let dir = tempfile::tempdir_in(&options.dir)?;
    let span = options.plan().span;
    let probes = disk::PIECES.map(|piece| disk::probe(dir.path(), piece, span));
    probes.into_iter().collect()
}

/// Each number of writers, each side in turn, as often as there are rounds.
fn measure(options: &Options) -> anyhow::Result<Vec<Point>> {
    let mut points = Vec::new();
    for &writers in &options.writers {
        let mut point = Point::new(writers);
        for round in 1..=options.rounds() {
            for side in options.sides() {
                let figures = match side {
                    Side::Ours => ours(options, writers)?,
                    Side::Openraft => openraft(options, writers)?,
                };
                eprintln!("{writers:>5} writers, round {round}, {side}: {figures}");
                point.add(side, figures);
            }
        }
        points.push(point);
    }
    Ok(points)
}

fn ours(options: &Options, writers: usize) -> anyhow::Result<Figures> {
    let nodes = runtime("node", options.node_workers)?;
    let clients = runtime("writer", options.writer_workers)?;
    let dir = tempfile::tempdir_in(&options.dir)?;
    let trio = match options.mode {
        Mode::Memory => nodes.block_on(ours::Trio::in_memory(options.lanes.into()))?,
        Mode::Durable => nodes.block_on(ours::Trio::durable(dir.path()))?,
    };
    let figures = load::closed_loop(&clients, &Arc::new(trio), writers, options.plan());
    nodes.shutdown_timeout(STOP_TIME_MAX);
    figures
}

fn openraft(options: &Options, writers: usize) -> anyhow::Result<Figures> {
    let nodes = runtime("node", options.node_workers)?;
    let clients = runtime("writer", options.writer_workers)?;
    let trio = nodes.block_on(theirs::Trio::start())?;
    let figures = load::closed_loop(&clients, &Arc::new(trio), writers, options.plan());
    nodes.shutdown_background();
    figures
}

fn runtime(name: &str, workers: usize) -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name(name)
        .enable_all()
        .build()
        .context("no runtime")
}
