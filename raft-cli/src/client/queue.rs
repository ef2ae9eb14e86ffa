//! A place in a queue of keys under one prefix, as etcd's clients queue for locks and elections:
//! `<name>/<lease in hexadecimal>`, attached to a lease that its owner keeps alive. The one that
//! was created first is served. It does not know what for.

use std::sync::Arc;

use anyhow::anyhow;
use bytes::Bytes;

use super::caller::Client;
use super::lease::{Beats, grant, revoke};
use super::range::prefix_end;
use super::services;
use super::watcher::Watcher;
use crate::exit::Exit;
use crate::pb::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::pb::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::pb::etcdserverpb::request_op::Request;
use crate::pb::etcdserverpb::response_op::Response;
use crate::pb::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp, TxnRequest,
    TxnResponse, WatchCreateRequest,
};
use crate::pb::mvccpb::event::EventType;

/// A lease of our own.
pub(crate) struct Session {
    pub(crate) client: Arc<Client>,
    lease: i64,
}

/// Where we are.
pub(crate) struct Place {
    pub(crate) key: Bytes,
    /// The revision that our key was created at: who was there before has a smaller one.
    created: i64,
    /// The revision at which our turn came.
    pub(crate) revision: i64,
}

/// The prefix of all places.
pub(crate) fn prefix_of(name: &[u8]) -> Bytes {
    [name, b"/"].concat().into()
}

impl Session {
    pub(crate) async fn begin(client: Client, ttl: i64) -> Result<Self, Exit> {
        let lease = grant(&client, ttl).await?.id;
        Ok(Self {
            client: Arc::new(client),
            lease,
        })
    }

    /// Keeps the session; returns when that was not possible, and why.
    pub(crate) async fn keep(&self) -> Exit {
        let mut beats = Beats::new(&self.client, self.lease);
        loop {
            match beats.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return Exit::Unwell(anyhow!("session expired")),
                Err(exit) => return exit,
            }
        }
    }

    /// Ends the session, so that nobody has to wait for its end.
    pub(crate) async fn end(&self) -> Result<(), Exit> {
        revoke(&self.client, self.lease).await.map(|_| ())
    }

    /// Queues up with `value`, and waits for our turn.
    pub(crate) async fn queue(&self, prefix: &Bytes, value: Bytes) -> Result<Place, Exit> {
        let key: Bytes = [prefix.as_ref(), format!("{:x}", self.lease).as_bytes()]
            .concat()
            .into();
        let answer = self.enter(&key, value).await?;
        let mut place = Place {
            key,
            created: answer.header.unwrap_or_default().revision,
            revision: answer.header.unwrap_or_default().revision,
        };
        if !answer.succeeded {
            let there = first_pair_created(&answer);
            place.created = there.ok_or_else(|| anyhow!("the server's answer lacks our key"))?;
        }
        self.wait_for_those_before(prefix, place.created - 1)
            .await?;
        let own = get(&self.client, exactly(place.key.clone())).await?;
        if own.kvs.is_empty() {
            return Err(Exit::Unwell(anyhow!("session is expired")));
        }
        place.revision = own.header.unwrap_or_default().revision;
        Ok(place)
    }

    async fn enter(&self, key: &Bytes, value: Bytes) -> Result<TxnResponse, Exit> {
        let put = PutRequest {
            key: key.clone(),
            value,
            lease: self.lease,
            ..PutRequest::default()
        };
        let request = TxnRequest {
            compare: vec![created_at(key.clone(), 0)],
            success: vec![operation(Request::RequestPut(put))],
            failure: vec![operation(Request::RequestRange(exactly(key.clone())))],
        };
        self.txn(request).await
    }

    async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, Exit> {
        self.client
            .call(request, |channel, request| async move {
                services::kv(channel).txn(request).await
            })
            .await
    }

    /// Waits for the last one before us only, so that not all wake up when one leaves.
    async fn wait_for_those_before(&self, prefix: &Bytes, created_max: i64) -> Result<(), Exit> {
        loop {
            let last = RangeRequest {
                limit: 1,
                sort_order: SortOrder::Descend.into(),
                sort_target: SortTarget::Create.into(),
                max_create_revision: created_max,
                ..all_of(prefix)
            };
            let answer = get(&self.client, last).await?;
            let Some(pair) = answer.kvs.into_iter().next() else {
                return Ok(());
            };
            let revision = answer.header.unwrap_or_default().revision;
            wait_until_gone(&self.client, pair.key, revision + 1).await?;
        }
    }

    /// Leaves the queue, but only our own place in it.
    pub(crate) async fn leave(&self, place: &Place) -> Result<(), Exit> {
        let delete = DeleteRangeRequest {
            key: place.key.clone(),
            ..DeleteRangeRequest::default()
        };
        let request = TxnRequest {
            compare: vec![created_at(place.key.clone(), place.created)],
            success: vec![operation(Request::RequestDeleteRange(delete))],
            failure: Vec::new(),
        };
        self.txn(request).await.map(|_| ())
    }
}

async fn wait_until_gone(client: &Arc<Client>, key: Bytes, from: i64) -> Result<(), Exit> {
    let create = WatchCreateRequest {
        key,
        start_revision: from,
        ..WatchCreateRequest::default()
    };
    let mut watcher = Watcher::new(Arc::clone(client), create);
    loop {
        let answer = watcher.next().await?;
        let is_delete = |kind| kind == i32::from(EventType::Delete);
        if answer.events.iter().any(|event| is_delete(event.r#type)) {
            return Ok(());
        }
        if answer.canceled {
            // Compacted meanwhile: the caller looks again.
            return Ok(());
        }
    }
}

/// Who is served.
pub(crate) async fn first(client: &Client, prefix: &Bytes) -> Result<RangeResponse, Exit> {
    let request = RangeRequest {
        limit: 1,
        sort_order: SortOrder::Ascend.into(),
        sort_target: SortTarget::Create.into(),
        ..all_of(prefix)
    };
    get(client, request).await
}

/// Asks for keys.
pub(crate) async fn get(client: &Client, request: RangeRequest) -> Result<RangeResponse, Exit> {
    client
        .call(request, |channel, request| async move {
            services::kv(channel).range(request).await
        })
        .await
}

fn all_of(prefix: &Bytes) -> RangeRequest {
    RangeRequest {
        key: prefix.clone(),
        range_end: prefix_end(prefix).into(),
        ..RangeRequest::default()
    }
}

/// A single key.
pub(crate) fn exactly(key: Bytes) -> RangeRequest {
    RangeRequest {
        key,
        ..RangeRequest::default()
    }
}

fn created_at(key: Bytes, revision: i64) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Create.into(),
        key,
        range_end: Bytes::new(),
        target_union: Some(TargetUnion::CreateRevision(revision)),
    }
}

const fn operation(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

fn first_pair_created(answer: &TxnResponse) -> Option<i64> {
    match answer.responses.first()?.response.as_ref()? {
        Response::ResponseRange(answer) => Some(answer.kvs.first()?.create_revision),
        Response::ResponsePut(_) | Response::ResponseDeleteRange(_) | Response::ResponseTxn(_) => {
            None
        }
    }
}
