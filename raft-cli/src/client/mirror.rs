//! `make-mirror`: copies keys to another cluster, and what happens to them from then on. It does
//! not know how either cluster is reached.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use bytes::Bytes;
use clap::{ArgAction, Args};
use tokio::time::{Instant, interval_at};

use super::caller::Client;
use super::connect::{ConnectArgs, Destination};
use super::context::{Context, Verb};
use super::endpoint::Endpoint;
use super::output::Printer;
use super::queue::{exactly, get};
use super::range::{Extent, FROM_KEY, bytes, range};
use super::services;
use super::watcher::Watcher;
use crate::exit::Exit;
use crate::pb::etcdserverpb::request_op::Request;
use crate::pb::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest,
};
use crate::pb::mvccpb::Event;
use crate::pb::mvccpb::event::EventType;

/// Copy keys to another cluster, and all that happens to them.
#[derive(Debug, Args)]
pub(crate) struct MirrorArgs {
    /// A server of the other cluster
    destination: Endpoint,
    /// Only keys that begin with this
    #[arg(long, default_value = "")]
    prefix: OsString,
    /// Copy nothing, but what happens from this revision on
    #[arg(long, default_value = "0")]
    rev: i64,
    /// How many changes go into one transaction at most
    #[arg(long, default_value = "128", value_parser = clap::value_parser!(u16).range(1..))]
    max_txn_ops: u16,
    /// What the keys begin with there [default: as here]
    #[arg(long, default_value = "")]
    dest_prefix: OsString,
    /// The keys lose the prefix there
    #[arg(long)]
    no_dest_prefix: bool,
    /// Trust servers there whose certificate these authorities signed
    #[arg(long, value_name = "FILE")]
    dest_cacert: Option<PathBuf>,
    /// Our own certificate there
    #[arg(long, value_name = "FILE")]
    dest_cert: Option<PathBuf>,
    /// The key of our certificate there
    #[arg(long, value_name = "FILE")]
    dest_key: Option<PathBuf>,
    /// Without TLS there, if the server has no scheme and no TLS file is named [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set)]
    dest_insecure_transport: Option<bool>,
    /// Who we are there
    #[arg(long, value_name = "NAME[:PASSWORD]")]
    dest_user: Option<String>,
    /// The user's password there
    #[arg(long, value_name = "PASSWORD")]
    dest_password: Option<String>,
}

/// How many keys are read at once.
const PAGE: i64 = 1_000;
/// How often the number of changes is printed.
const REPORT: Duration = Duration::from_secs(30);

/// A copy that is being made.
struct Mirror {
    from: Arc<Client>,
    to: Client,
    prefix: Bytes,
    prefix_there: Bytes,
    operations_max: usize,
    /// How many changes were copied.
    total: u64,
}

impl Verb for MirrorArgs {
    async fn run(self, context: &mut Context) -> Result<(), Exit> {
        let prefix = bytes(self.prefix);
        let prefix_there = match (self.dest_prefix, self.no_dest_prefix) {
            (_, true) => Bytes::new(),
            (there, false) if there.is_empty() => prefix.clone(),
            (there, false) => bytes(there),
        };
        let there = ConnectArgs::to(Destination {
            endpoint: self.destination,
            cacert: self.dest_cacert,
            cert: self.dest_cert,
            key: self.dest_key,
            insecure_transport: self.dest_insecure_transport,
            user: self.dest_user,
            password: self.dest_password,
        });
        let mut mirror = Mirror {
            from: Arc::new(context.client().await?),
            to: there.without_environment()?.connect().await?,
            prefix,
            prefix_there,
            operations_max: usize::from(self.max_txn_ops),
            total: 0,
        };
        let from = if self.rev > 1 {
            self.rev
        } else {
            mirror.copy().await? + 1
        };
        mirror.follow(from, &mut context.printer).await
    }
}

impl Mirror {
    fn range(&self) -> Result<(Bytes, Bytes), Exit> {
        range(self.prefix.clone(), None, Extent::Prefix)
    }

    /// Copies all keys as of one revision, and returns it.
    async fn copy(&mut self) -> Result<i64, Exit> {
        let now = get(&self.from, exactly(Bytes::from_static(FROM_KEY))).await?;
        let revision = now.header.unwrap_or_default().revision;
        let (mut key, range_end) = self.range()?;
        loop {
            let request = RangeRequest {
                key,
                range_end: range_end.clone(),
                limit: PAGE,
                revision,
                ..RangeRequest::default()
            };
            let page = get(&self.from, request).await?;
            let last = page.kvs.last().map(|pair| pair.key.clone());
            let puts = page
                .kvs
                .into_iter()
                .map(|pair| self.put(&pair.key, pair.value));
            let puts: Vec<_> = puts.collect();
            self.send(puts).await?;
            match last {
                // The next key that there can be.
                Some(last) if page.more => key = [last.as_ref(), FROM_KEY].concat().into(),
                Some(_) | None => return Ok(revision),
            }
        }
    }

    /// Repeats what happens, a revision at a time, until the watch is lost.
    async fn follow(&mut self, from: i64, printer: &mut Printer) -> Result<(), Exit> {
        let (key, range_end) = self.range()?;
        let create = WatchCreateRequest {
            key,
            range_end,
            start_revision: from,
            ..WatchCreateRequest::default()
        };
        let mut watcher = Watcher::new(Arc::clone(&self.from), create);
        let mut reports = interval_at(Instant::now() + REPORT, REPORT);
        loop {
            let answer = tokio::select! {
                answer = watcher.next() => answer?,
                _ = reports.tick() => {
                    printer.line(&self.total.to_string())?;
                    continue;
                }
            };
            let revision = |event: &Event| event.kv.as_ref().map(|pair| pair.mod_revision);
            for change in answer.events.chunk_by(|a, b| revision(a) == revision(b)) {
                let operations = change.iter().filter_map(|event| self.repeat(event));
                let operations: Vec<_> = operations.collect();
                self.send(operations).await?;
            }
            if answer.canceled {
                return Err(Exit::Unwell(anyhow!(
                    "the watch was lost, maybe by a compaction: make the mirror anew"
                )));
            }
        }
    }

    fn repeat(&self, event: &Event) -> Option<Request> {
        let pair = event.kv.as_ref()?;
        if event.r#type == i32::from(EventType::Delete) {
            return Some(Request::RequestDeleteRange(DeleteRangeRequest {
                key: self.key_there(&pair.key),
                ..DeleteRangeRequest::default()
            }));
        }
        Some(self.put(&pair.key, pair.value.clone()))
    }

    fn put(&self, key: &Bytes, value: Bytes) -> Request {
        Request::RequestPut(PutRequest {
            key: self.key_there(key),
            value,
            ..PutRequest::default()
        })
    }

    fn key_there(&self, key: &Bytes) -> Bytes {
        let rest = key.strip_prefix(self.prefix.as_ref()).unwrap_or(key);
        [self.prefix_there.as_ref(), rest].concat().into()
    }

    async fn send(&mut self, requests: Vec<Request>) -> Result<(), Exit> {
        for chunk in requests.chunks(self.operations_max) {
            let operation = |request: &Request| RequestOp {
                request: Some(request.clone()),
            };
            let request = TxnRequest {
                success: chunk.iter().map(operation).collect(),
                ..TxnRequest::default()
            };
            self.to
                .call(request, |channel, request| async move {
                    services::kv(channel).txn(request).await
                })
                .await?;
            self.total += chunk.len() as u64;
        }
        Ok(())
    }
}
