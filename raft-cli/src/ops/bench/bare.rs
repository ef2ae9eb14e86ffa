//! A server of keys and values that is nothing but gRPC and a map: what a request costs before
//! anything is done for it. It remembers nothing beyond its life, and compares nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::exit::Exit;
use crate::out::Out;
use crate::pb::etcdserverpb::kv_server::{Kv, KvServer};
use crate::pb::etcdserverpb::request_op::Request as Op;
use crate::pb::etcdserverpb::response_op::Response as Did;
use crate::pb::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};
use crate::pb::mvccpb::KeyValue;

/// Streams a connection may have: as many as clients like, as etcd allows them.
const STREAMS_MAX: u32 = u32::MAX;

/// Serves until it is interrupted. Prints where, so that port 0 can be used.
pub(crate) async fn serve(listen: SocketAddr) -> Result<(), Exit> {
    let incoming = TcpIncoming::bind(listen)
        .with_context(|| format!("can't listen at {listen}"))
        .map_err(Exit::Failed)?
        .with_nodelay(Some(true));
    let at = incoming
        .local_addr()
        .context("the listener has no address")?;
    let mut out = Out::new();
    out.line(format!("listening at {at}"))?;
    out.flush()?;
    let interrupted = async {
        // A process that can't be told to end is ended otherwise.
        let _ = tokio::signal::ctrl_c().await;
    };
    Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .add_service(KvServer::new(Bare::default()))
        .serve_with_incoming_shutdown(incoming, interrupted)
        .await
        .context("the server ended")
        .map_err(Exit::Failed)
}

/// The map.
#[derive(Debug, Default)]
struct Bare {
    store: Mutex<Store>,
}

#[derive(Debug, Default)]
struct Store {
    pairs: BTreeMap<Bytes, KeyValue>,
    revision: i64,
}

impl Bare {
    fn store(&self) -> MutexGuard<'_, Store> {
        // Every change is one insertion or removal, so the map is whole whoever panicked.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn header(&self) -> Option<ResponseHeader> {
        Some(ResponseHeader {
            revision: self.revision,
            ..ResponseHeader::default()
        })
    }

    fn put(&mut self, request: PutRequest) -> PutResponse {
        self.revision += 1;
        let revision = self.revision;
        let pair = self
            .pairs
            .entry(request.key.clone())
            .or_insert_with(|| KeyValue {
                key: request.key,
                create_revision: revision,
                ..KeyValue::default()
            });
        pair.value = request.value;
        pair.mod_revision = revision;
        pair.version += 1;
        PutResponse {
            header: self.header(),
            prev_kv: None,
        }
    }

    fn range(&self, request: &RangeRequest) -> RangeResponse {
        let limit = match usize::try_from(request.limit) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(limit) => limit,
        };
        let kvs: Vec<KeyValue> = match request.range_end.is_empty() {
            true => self.pairs.get(&request.key).into_iter().cloned().collect(),
            false => self
                .pairs
                .range(bounds(&request.key, &request.range_end))
                .take(limit)
                .map(|(_, pair)| pair.clone())
                .collect(),
        };
        RangeResponse {
            header: self.header(),
            count: kvs.len() as i64,
            kvs,
            more: false,
        }
    }

    fn delete(&mut self, request: &DeleteRangeRequest) -> DeleteRangeResponse {
        let keys: Vec<Bytes> = match request.range_end.is_empty() {
            true => vec![request.key.clone()],
            false => self
                .pairs
                .range(bounds(&request.key, &request.range_end))
                .map(|(key, _)| key.clone())
                .collect(),
        };
        self.revision += 1;
        let deleted = keys.iter().filter_map(|key| self.pairs.remove(key)).count();
        DeleteRangeResponse {
            header: self.header(),
            deleted: deleted as i64,
            prev_kvs: Vec::new(),
        }
    }

    fn apply(&mut self, op: Op) -> Result<ResponseOp, Status> {
        let did = match op {
            Op::RequestPut(request) => Did::ResponsePut(self.put(request)),
            Op::RequestRange(request) => Did::ResponseRange(self.range(&request)),
            Op::RequestDeleteRange(request) => Did::ResponseDeleteRange(self.delete(&request)),
            Op::RequestTxn(_) => {
                return Err(Status::unimplemented("no transactions in transactions"));
            }
        };
        Ok(ResponseOp {
            response: Some(did),
        })
    }
}

/// A range that ends before it begins is empty, not a panic.
fn bounds(key: &Bytes, end: &Bytes) -> (Bound<Bytes>, Bound<Bytes>) {
    let from = Bound::Included(key.clone());
    match end.as_ref() {
        [0] => (from, Bound::Unbounded),
        _ => (from, Bound::Excluded(end.max(key).clone())),
    }
}

#[tonic::async_trait]
impl Kv for Bare {
    async fn range(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<RangeResponse>, Status> {
        Ok(Response::new(self.store().range(request.get_ref())))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        Ok(Response::new(self.store().put(request.into_inner())))
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        Ok(Response::new(self.store().delete(request.get_ref())))
    }

    /// All comparisons count as holding.
    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        let mut store = self.store();
        let ops = request.into_inner().success;
        let ops = ops.into_iter().filter_map(|op| op.request);
        let responses: Result<Vec<_>, _> = ops.map(|op| store.apply(op)).collect();
        Ok(Response::new(TxnResponse {
            header: store.header(),
            succeeded: true,
            responses: responses?,
        }))
    }

    /// There is no history.
    async fn compact(
        &self,
        _: Request<CompactionRequest>,
    ) -> Result<Response<CompactionResponse>, Status> {
        Ok(Response::new(CompactionResponse {
            header: self.store().header(),
        }))
    }
}

#[cfg(test)]
mod tests;
