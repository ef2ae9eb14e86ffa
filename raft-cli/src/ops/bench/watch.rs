//! Watchers of all keys of a load: how long after a put began its event arrives. They do not know
//! who puts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::load::{Kind, Load, stamp};
use super::run::Shards;
use super::tally::{Failure, Lane};
use super::target::Target;
use crate::client::services;
use crate::exit::Exit;
use crate::pb::etcdserverpb::{WatchCreateRequest, WatchRequest, WatchResponse, watch_request};

/// A watch that is not made within this time is not made.
const CREATE_TIMEOUT: Duration = Duration::from_secs(10);

/// Events that did not come for so long after the last put was answered are missing.
const LAST_EVENT_AFTER: Duration = Duration::from_secs(5);

/// How often the end looks whether all have come.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// The watchers of one round.
pub(crate) struct Watchers {
    tasks: JoinSet<()>,
    count: u64,
    seen: Arc<AtomicU64>,
}

impl Watchers {
    /// Opens as many as the load wants, a stream each.
    pub(crate) async fn open(
        load: &Arc<Load>,
        target: &Target,
        shards: &Arc<Shards>,
        mark: u8,
    ) -> Result<Self, Exit> {
        let count = match load.kind {
            Kind::Watch { watchers } => watchers,
            Kind::Put
            | Kind::Range(_)
            | Kind::Txn { .. }
            | Kind::Mixed { .. }
            | Kind::KeepAlive => 0,
        };
        let mut watchers = Self {
            tasks: JoinSet::new(),
            count: count as u64,
            seen: Arc::default(),
        };
        for number in 0..count {
            let (requests, stream) = mpsc::channel(1);
            let opened = open(load, target, number, &requests, stream);
            let answers = tokio::time::timeout(CREATE_TIMEOUT, opened)
                .await
                .map_err(anyhow::Error::new)
                .flatten()
                .context("a watch can't be made")
                .map_err(Exit::Refused)?;
            let (load, shards) = (Arc::clone(load), Arc::clone(shards));
            let seen = Arc::clone(&watchers.seen);
            watchers.tasks.spawn(async move {
                watch(&load, answers, &shards, number, mark, &seen).await;
                // The server ends a watch whose requests end.
                drop(requests);
            });
        }
        Ok(watchers)
    }

    /// Ends them when the events of so many puts have come to each; returns how many did not.
    pub(crate) async fn close(mut self, puts: u64) -> u64 {
        let expected = puts * self.count;
        let until = Instant::now() + LAST_EVENT_AFTER;
        while self.seen.load(Relaxed) < expected && Instant::now() < until {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        self.tasks.shutdown().await;
        expected.saturating_sub(self.seen.load(Relaxed))
    }
}

async fn open(
    load: &Load,
    target: &Target,
    number: usize,
    requests: &mpsc::Sender<WatchRequest>,
    stream: mpsc::Receiver<WatchRequest>,
) -> anyhow::Result<Streaming<WatchResponse>> {
    let create = WatchCreateRequest {
        key: load.keys.prefix(),
        range_end: load.keys.end(),
        ..WatchCreateRequest::default()
    };
    let create = WatchRequest {
        request_union: Some(watch_request::RequestUnion::CreateRequest(create)),
    };
    requests.send(create).await?;
    let caller = target.caller(number);
    let mut answers = services::watch(caller.channel.clone())
        .watch(caller.ask(ReceiverStream::new(stream)))
        .await?
        .into_inner();
    let first = answers.message().await?.context("the stream ended")?;
    anyhow::ensure!(first.created, "refused: {}", first.cancel_reason);
    Ok(answers)
}

async fn watch(
    load: &Load,
    mut answers: Streaming<WatchResponse>,
    shards: &Shards,
    number: usize,
    mark: u8,
    seen: &AtomicU64,
) {
    loop {
        let answer = answers.message().await;
        let now = Instant::now();
        let failure = match answer {
            Ok(Some(answer)) if !answer.canceled => {
                let since = u64::try_from(now.duration_since(load.epoch).as_nanos());
                let since = since.unwrap_or(u64::MAX);
                let mut tally = shards.of(number);
                let mut events = 0;
                for kv in answer.events.iter().filter_map(|event| event.kv.as_ref()) {
                    if let Some(begin) = stamp(&kv.value, mark) {
                        let time = Duration::from_nanos(since.saturating_sub(begin));
                        tally.record(Lane::Event, time, now);
                        events += 1;
                    }
                }
                seen.fetch_add(events, Relaxed);
                continue;
            }
            Ok(Some(_) | None) => Failure::Wrong("a watch was cancelled"),
            Err(status) => status.into(),
        };
        shards.of(number).fail(&failure, now);
        return;
    }
}
