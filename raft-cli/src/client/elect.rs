//! `elect`: stands for an election, or observes one. It does not know how candidates queue.

use std::ffi::OsString;
use std::sync::Arc;

use anyhow::anyhow;
use bytes::Bytes;
use clap::Args;

use super::caller::Client;
use super::context::{Context, Verb};
use super::lock::told_to_end;
use super::queue::{Session, exactly, first, get, prefix_of};
use super::range::{bad, bytes, prefix_end};
use super::watcher::Watcher;
use crate::exit::Exit;
use crate::pb::etcdserverpb::{RangeResponse, WatchCreateRequest, WatchResponse};
use crate::pb::mvccpb::event::EventType;

/// Stand for an election, or observe one.
#[derive(Debug, Args)]
pub(crate) struct ElectArgs {
    /// The election
    name: OsString,
    /// What we would say if we were elected
    proposal: Option<OsString>,
    /// Print who is elected, and what they say
    #[arg(short, long)]
    listen: bool,
}

/// How many seconds after our death others may be elected: what etcd's clients take.
const TTL: i64 = 60;

impl Verb for ElectArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let prefix = prefix_of(&bytes(self.name));
        match (self.proposal, self.listen) {
            (None, false) => Err(bad("no proposal argument but -l not set")),
            (Some(_), true) => Err(bad("proposal given but -l is set")),
            (None, true) => {
                let client = Arc::new(context.client().await?);
                tokio::select! {
                    observed = observe(context, &client, &prefix) => observed,
                    () = told_to_end()? => Ok(()),
                }
            }
            (Some(proposal), false) => campaign(context, &prefix, bytes(proposal)).await,
        }
    }
}

async fn campaign(context: &mut Context, prefix: &Bytes, proposal: Bytes) -> Result<(), Exit> {
    let session = Session::begin(context.client().await?, TTL).await?;
    let lead = async {
        let place = session.queue(prefix, proposal).await?;
        let own = get(&session.client, exactly(place.key)).await?;
        context.printer.get(&own)?;
        std::future::pending().await
    };
    tokio::select! {
        lost = session.keep() => Err(lost),
        failed = lead => failed,
        // Our candidacy ends with the session.
        () = told_to_end()? => session.end().await,
    }
}

/// Prints whoever is elected, and each change of what they say, until the watch is lost.
async fn observe(context: &mut Context, client: &Arc<Client>, prefix: &Bytes) -> Result<(), Exit> {
    loop {
        let mut leader = first(client, prefix).await?;
        let revision = leader.header.unwrap_or_default().revision;
        leader.more = false;
        leader.count = 0;
        let Some(pair) = leader.kvs.first() else {
            wait_for_candidate(client, prefix, revision + 1).await?;
            continue;
        };
        let key = pair.key.clone();
        context.printer.get(&leader)?;
        follow(context, client, key, revision + 1).await?;
    }
}

async fn wait_for_candidate(client: &Arc<Client>, prefix: &Bytes, from: i64) -> Result<(), Exit> {
    let create = WatchCreateRequest {
        key: prefix.clone(),
        range_end: prefix_end(prefix).into(),
        start_revision: from,
        ..WatchCreateRequest::default()
    };
    let mut watcher = Watcher::new(Arc::clone(client), create);
    loop {
        let answer = heard(&mut watcher).await?;
        let is_put = |kind| kind == i32::from(EventType::Put);
        if answer.events.iter().any(|event| is_put(event.r#type)) {
            return Ok(());
        }
    }
}

/// Prints what the leader says until it leaves.
async fn follow(
    context: &mut Context,
    client: &Arc<Client>,
    key: Bytes,
    from: i64,
) -> Result<(), Exit> {
    let create = WatchCreateRequest {
        key,
        start_revision: from,
        ..WatchCreateRequest::default()
    };
    let mut watcher = Watcher::new(Arc::clone(client), create);
    loop {
        let answer = heard(&mut watcher).await?;
        for event in answer.events {
            if event.r#type == i32::from(EventType::Delete) {
                return Ok(());
            }
            let said = RangeResponse {
                header: answer.header,
                kvs: event.kv.into_iter().collect(),
                ..RangeResponse::default()
            };
            context.printer.get(&said)?;
        }
    }
}

async fn heard(watcher: &mut Watcher) -> Result<WatchResponse, Exit> {
    let answer = watcher.next().await?;
    if answer.canceled {
        return Err(Exit::Unwell(anyhow!("elect: observer lost")));
    }
    Ok(answer)
}
