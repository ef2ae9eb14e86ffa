//! The load: writers that each await their write before the next, and what came of it.
//!
//! It deliberately does not know whose cluster it writes to.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::cpu;

/// One writer has each of its writes timed; of many, each has one in so many timed, so that looking
/// at the clock costs nothing.
const TIMED_ONE_IN: u64 = 16;

const WARM_UP: u8 = 0;
const COUNTED: u8 = 1;
const OVER: u8 = 2;

/// What is written to: each write is done when the machine of the leader has applied it.
pub(crate) trait Cluster: Send + Sync + 'static {
    fn write(&self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// How long a measurement takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) warm_up: Duration,
    pub(crate) span: Duration,
}

/// What one measurement found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) writes_per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Of all threads of the process; zero if the system does not say.
    pub(crate) cpu_a_write: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.writes_per_second;
        let (p50, p99, cpu) = (self.p50, self.p99, self.cpu_a_write);
        write!(
            out,
            "{rate:.0}/s, p50 {p50:?}, p99 {p99:?}, cpu {cpu:?} a write"
        )
    }
}

/// What one writer saw.
#[derive(Default)]
struct Tally {
    writes: u64,
    latencies: Vec<Duration>,
}

/// While writes were counted.
struct Spent {
    elapsed: Duration,
    used: Option<Duration>,
}

/// Runs so many writers for as long as planned.
pub(crate) fn closed_loop(
    runtime: &Runtime,
    cluster: &Arc<impl Cluster>,
    writers: usize,
    plan: Plan,
) -> anyhow::Result<Figures> {
    let phase = Arc::new(AtomicU8::new(WARM_UP));
    let timed_one_in = if writers == 1 { 1 } else { TIMED_ONE_IN };
    let (tallies, spent) = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            let (cluster, phase) = (Arc::clone(cluster), Arc::clone(&phase));
            tasks.spawn(async move { writer(&*cluster, &phase, timed_one_in).await });
        }
        tokio::time::sleep(plan.warm_up).await;
        phase.store(COUNTED, Ordering::Relaxed);
        let start = (Instant::now(), cpu::used());
        tokio::time::sleep(plan.span).await;
        phase.store(OVER, Ordering::Relaxed);
        let used = cpu::used().zip(start.1).map(|(now, then)| now - then);
        let elapsed = start.0.elapsed();
        (tasks.join_all().await, Spent { elapsed, used })
    });
    let tallies = tallies.into_iter().collect::<Result<Vec<_>, _>>()?;
    figures(tallies, &spent)
}

/// A write that began while writes were counted is counted.
async fn writer(
    cluster: &impl Cluster,
    phase: &AtomicU8,
    timed_one_in: u64,
) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    loop {
        let phase = phase.load(Ordering::Relaxed);
        if phase == OVER {
            return Ok(tally);
        }
        let counted = phase == COUNTED;
        let start = (counted && tally.writes % timed_one_in == 0).then(Instant::now);
        cluster.write().await?;
        tally.writes += u64::from(counted);
        tally.latencies.extend(start.map(|start| start.elapsed()));
    }
}

fn figures(tallies: Vec<Tally>, spent: &Spent) -> anyhow::Result<Figures> {
    let writes: u64 = tallies.iter().map(|tally| tally.writes).sum();
    let mut latencies: Vec<Duration> = tallies.into_iter().flat_map(|t| t.latencies).collect();
    latencies.sort_unstable();
    let writes = u32::try_from(writes).context("a short run")?;
    let at = |per_cent: usize| {
        let place = latencies.len() * per_cent / 100;
        latencies.get(place).copied().context("nothing was written")
    };
    Ok(Figures {
        writes_per_second: f64::from(writes) / spent.elapsed.as_secs_f64(),
        p50: at(50)?,
        p99: at(99)?,
        cpu_a_write: spent.used.unwrap_or_default() / writes.max(1),
    })
}
