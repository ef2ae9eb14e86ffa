//! One round: all clients of a load at one target, from warming up to the last answer. It does not
//! know of other rounds and targets.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::load::{Client, Load};
use super::progress::Progress;
use super::schedule::{Arrival, Plan};
use super::tally::{Failure, Lane, Tally};
use super::target::Target;
use super::usage::Usage;
use super::watch::Watchers;
use crate::exit::Exit;

/// After the last operation began, answers are waited for so long.
const DRAIN: Duration = Duration::from_secs(10);

/// In a closed loop a refused client waits so long, or refusals would be all that is measured.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);

/// How often the progress is shown.
const SHOW_INTERVAL: Duration = Duration::from_millis(200);

/// Opening the streams of all clients may take so long.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// What one round came to.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) tally: Tally,
    /// From when measuring began to the last answer.
    pub(crate) elapsed: Duration,
    /// What the servers used in that time, if it is known which processes they are, and all of
    /// them still live.
    pub(crate) usage: Option<Usage>,
    /// What this process used in that time.
    pub(crate) own: Usage,
    /// Somebody did not want to wait for the end.
    pub(crate) interrupted: bool,
}

/// Tallies, of which clients that share a connection share one: what they measure is counted
/// together at the end, and hardly two ever want one at the same time.
#[derive(Debug)]
pub(crate) struct Shards(Vec<Mutex<Tally>>);

impl Shards {
    pub(crate) fn new(count: usize) -> Self {
        Self((0..count.max(1)).map(|_| Mutex::default()).collect())
    }

    /// That of a client.
    pub(crate) fn of(&self, client: usize) -> MutexGuard<'_, Tally> {
        // A tally is whole between any two statements.
        self.0[client % self.0.len()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them together.
    pub(crate) fn merged(&self) -> Tally {
        let mut all = Tally::default();
        for number in 0..self.0.len() {
            all.merge(&self.of(number));
        }
        all
    }
}

/// Runs a round; `number` tells it from others of the same load.
pub(crate) async fn round(
    load: &Arc<Load>,
    target: &Target,
    number: u8,
    progress: &Progress,
) -> Result<Round, Exit> {
    let shards = Arc::new(Shards::new(target.connections()));
    // 0 marks what is not measured.
    let mark = 1 + number % u8::MAX;
    let clients = tokio::time::timeout(OPEN_TIMEOUT, open(load, target, mark))
        .await
        .context("the clients can't all open their streams in time")
        .map_err(Exit::Failed)??;
    let watchers = Watchers::open(load, target, &shards, mark).await?;

    let plan = Arc::new(Plan::new(load.warmup, load.extent, load.rate));
    let pacer = pacer(&plan, load.clients)?;
    let mut tasks = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        tasks.spawn(drive(
            client,
            number,
            Arc::clone(&plan),
            Arc::clone(&shards),
        ));
    }
    tokio::time::sleep_until(plan.measured_from()).await;
    let before = (Usage::of(target.pids())?, own()?);
    let interrupted = supervise(&mut tasks, &plan, progress).await;
    // A server that died meanwhile took its figures along; the others still count.
    let after = (Usage::of(target.pids()).ok(), own()?);

    let unanswered = tasks.len() as u64;
    tasks.shutdown().await;
    plan.stop();
    drop(pacer.join());
    let writes = match interrupted {
        true => 0,
        false => shards.merged().count(Lane::Write),
    };
    let missing = watchers.close(writes).await;
    let mut tally = shards.merged();
    if !interrupted {
        let waited = DRAIN.as_secs();
        tally.fail_as(format!("not answered {waited} s after the end"), unanswered);
        tally.fail_as("no client was free to begin it".into(), plan.left_over());
    }
    tally.fail_as("event did not come".into(), missing);
    let from = plan.measured_from();
    let end = tally.last_end().unwrap_or_else(Instant::now);
    Ok(Round {
        tally,
        elapsed: end.saturating_duration_since(from),
        usage: after
            .0
            .filter(|_| !target.pids().is_empty())
            .map(|after| after.since(before.0)),
        own: after.1.since(before.1),
        interrupted,
    })
}

fn own() -> anyhow::Result<Usage> {
    Usage::of(&[std::process::id()])
}

async fn open(load: &Arc<Load>, target: &Target, mark: u8) -> Result<Vec<Client>, Exit> {
    let mut clients = Vec::with_capacity(load.clients);
    for number in 0..load.clients {
        clients.push(Client::new(load, target, number, mark).await?);
    }
    Ok(clients)
}

fn pacer(plan: &Arc<Plan>, clients: usize) -> Result<std::thread::JoinHandle<()>, Exit> {
    let plan = Arc::clone(plan);
    std::thread::Builder::new()
        .name("bench-pacer".into())
        .spawn(move || plan.pace(clients))
        .context("a thread can't be started")
        .map_err(Exit::Failed)
}

/// A client from its first operation to its last.
async fn drive(mut client: Client, number: usize, plan: Arc<Plan>, shards: Arc<Shards>) {
    repeat(&plan, &shards, number, &mut client).await;
    client.close().await;
}

/// What is done over and over: a client of a cluster, or of something that tests look into.
pub(crate) trait Operate {
    /// Does it once.
    fn once(&mut self, arrival: Arrival) -> impl Future<Output = Result<Lane, Failure>> + Send;
}

impl Operate for Client {
    fn once(&mut self, arrival: Arrival) -> impl Future<Output = Result<Lane, Failure>> + Send {
        self.operate(arrival)
    }
}

/// Does what is due until nothing more is.
async fn repeat(plan: &Plan, shards: &Shards, number: usize, client: &mut impl Operate) {
    let mut now = Instant::now();
    while let Some(arrival) = plan.next(now).await {
        let result = client.once(arrival).await;
        now = Instant::now();
        if arrival.measured {
            let mut tally = shards.of(number);
            match &result {
                Ok(lane) => tally.record(*lane, now - arrival.intended, now),
                Err(failure) => tally.fail(failure, now),
            }
        }
        if result.is_err() && !plan.is_open() {
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            now = Instant::now();
        }
    }
}

/// Waits for the clients, as long as that makes sense; true if somebody did not want to.
async fn supervise(tasks: &mut JoinSet<()>, plan: &Plan, progress: &Progress) -> bool {
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let mut deadline = pin!(deadline(plan));
    let mut show = tokio::time::interval(SHOW_INTERVAL);
    loop {
        tokio::select! {
            done = tasks.join_next() => if done.is_none() {
                return false;
            },
            () = &mut deadline => return false,
            _ = &mut interrupt => return true,
            _ = show.tick() => progress.show(plan),
        }
    }
}

fn deadline(plan: &Plan) -> impl Future<Output = ()> {
    let until = plan.measured_until();
    async move {
        match until {
            Some(until) => tokio::time::sleep_until(until + DRAIN).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests;
