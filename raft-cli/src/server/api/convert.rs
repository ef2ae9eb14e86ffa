//! Between etcd's messages and the store's own types. What the types below have no words for is
//! refused here, by etcd's texts.

use bytes::Bytes;
use raft_kv::request::{
    Compare, CompareTarget, Content, DeleteRequest, Op, Operator, PutRequest, RangeRequest,
    RevisionRange, Sort, SortBy, TxnRequest,
};
use raft_kv::response::{DeleteResponse, RangeResponse, Response, TxnResponse};
use raft_kv::{Event, EventKind, KeyValue, Keys, LeaseId, Refusal, Revision};
use tonic::Status;

use super::error::refused;
use crate::pb::etcdserverpb as pb;
use crate::pb::etcdserverpb::compare::{CompareResult, CompareTarget as TargetName, TargetUnion};
use crate::pb::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::pb::etcdserverpb::request_op::Request as PbOp;
use crate::pb::etcdserverpb::response_op::Response as PbResponse;
use crate::pb::mvccpb;

/// What a request may be at most, beside its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The longest key that can be put.
    pub(crate) key_bytes: usize,
}

/// Keys, by the first and the end.
pub(crate) fn keys(key: Bytes, range_end: Bytes) -> Result<Keys, Status> {
    if key.is_empty() {
        return Err(refused(Refusal::EmptyKey));
    }
    Ok(Keys::of(key, range_end))
}

/// A revision; those below 1 mean none.
pub(crate) fn revision(revision: i64) -> Revision {
    u64::try_from(revision).map_or(Revision::NONE, Revision)
}

/// A number of ours as etcd has it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A range.
pub(crate) fn range(request: pb::RangeRequest) -> Result<RangeRequest, Status> {
    let sort = sort(request.sort_order, request.sort_target)?;
    let content = match (request.count_only, request.keys_only) {
        (true, _) => Content::CountOnly,
        (false, true) => Content::KeysOnly,
        (false, false) => Content::Full,
    };
    Ok(RangeRequest {
        keys: keys(request.key, request.range_end)?,
        revision: revision(request.revision),
        limit: u64::try_from(request.limit).unwrap_or(0),
        sort,
        content,
        modified: RevisionRange {
            min: revision(request.min_mod_revision),
            max: revision(request.max_mod_revision),
        },
        created: RevisionRange {
            min: revision(request.min_create_revision),
            max: revision(request.max_create_revision),
        },
    })
}

/// Without an order, anything but the key ascends.
fn sort(order: i32, target: i32) -> Result<Option<Sort>, Status> {
    let invalid = |_| Status::invalid_argument("etcdserver: invalid sort option");
    let order = SortOrder::try_from(order).map_err(invalid)?;
    let by = match SortTarget::try_from(target).map_err(invalid)? {
        SortTarget::Key => SortBy::Key,
        SortTarget::Version => SortBy::Version,
        SortTarget::Create => SortBy::Create,
        SortTarget::Mod => SortBy::Mod,
        SortTarget::Value => SortBy::Value,
    };
    let is_descending = match order {
        SortOrder::None if by == SortBy::Key => return Ok(None),
        SortOrder::None | SortOrder::Ascend => false,
        SortOrder::Descend => true,
    };
    Ok(Some(Sort { by, is_descending }))
}

/// A put.
pub(crate) fn put(request: pb::PutRequest, bounds: Bounds) -> Result<PutRequest, Status> {
    let (bytes, most) = (request.key.len(), bounds.key_bytes);
    if bytes == 0 {
        return Err(refused(Refusal::EmptyKey));
    }
    if bytes > most {
        return Err(Status::invalid_argument(format!(
            "etcdserver: the key is too long: {bytes} bytes, where {most} are allowed"
        )));
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(Status::invalid_argument("etcdserver: value is provided"));
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(Status::invalid_argument("etcdserver: lease is provided"));
    }
    Ok(PutRequest {
        key: request.key,
        value: (!request.ignore_value).then_some(request.value),
        lease: (!request.ignore_lease).then_some(LeaseId(request.lease)),
        wants_prev: request.prev_kv,
    })
}

/// A deletion.
pub(crate) fn delete(request: pb::DeleteRangeRequest) -> Result<DeleteRequest, Status> {
    Ok(DeleteRequest {
        keys: keys(request.key, request.range_end)?,
        wants_prev: request.prev_kv,
    })
}

/// A transaction. What it may hold is checked by who takes it.
pub(crate) fn txn(request: pb::TxnRequest, bounds: Bounds) -> Result<TxnRequest, Status> {
    let compares = request.compare.into_iter().map(compare);
    Ok(TxnRequest {
        compares: compares.collect::<Result<_, _>>()?,
        success: ops(request.success, bounds)?,
        failure: ops(request.failure, bounds)?,
    })
}

fn ops(ops: Vec<pb::RequestOp>, bounds: Bounds) -> Result<Vec<Op>, Status> {
    ops.into_iter().map(|it| op(it, bounds)).collect()
}

fn op(op: pb::RequestOp, bounds: Bounds) -> Result<Op, Status> {
    match op.request {
        Some(PbOp::RequestRange(request)) => range(request).map(Op::Range),
        Some(PbOp::RequestPut(request)) => put(request, bounds).map(Op::Put),
        Some(PbOp::RequestDeleteRange(request)) => delete(request).map(Op::Delete),
        Some(PbOp::RequestTxn(request)) => txn(request, bounds).map(Op::Txn),
        None => Err(refused(Refusal::KeyNotFound)),
    }
}

fn compare(compare: pb::Compare) -> Result<Compare, Status> {
    let unknown = |_| Status::invalid_argument("etcdserver: unknown comparison");
    let operator = match CompareResult::try_from(compare.result).map_err(unknown)? {
        CompareResult::Equal => Operator::Equal,
        CompareResult::Greater => Operator::Greater,
        CompareResult::Less => Operator::Less,
        CompareResult::NotEqual => Operator::NotEqual,
    };
    let name = TargetName::try_from(compare.target).map_err(unknown)?;
    Ok(Compare {
        operator,
        target: target(name, compare.target_union),
        keys: keys(compare.key, compare.range_end)?,
    })
}

/// What is not given, or given of something else, is nothing or 0.
fn target(name: TargetName, given: Option<TargetUnion>) -> CompareTarget {
    match name {
        TargetName::Version => CompareTarget::Version(match given {
            Some(TargetUnion::Version(number)) => number,
            Some(_) | None => 0,
        }),
        TargetName::Create => CompareTarget::Create(match given {
            Some(TargetUnion::CreateRevision(number)) => number,
            Some(_) | None => 0,
        }),
        TargetName::Mod => CompareTarget::Mod(match given {
            Some(TargetUnion::ModRevision(number)) => number,
            Some(_) | None => 0,
        }),
        TargetName::Lease => CompareTarget::Lease(match given {
            Some(TargetUnion::Lease(number)) => number,
            Some(_) | None => 0,
        }),
        TargetName::Value => CompareTarget::Value(match given {
            Some(TargetUnion::Value(value)) => value,
            Some(_) | None => Bytes::new(),
        }),
    }
}

/// A key with all that is known of it.
pub(crate) fn kv(kv: KeyValue) -> mvccpb::KeyValue {
    mvccpb::KeyValue {
        key: kv.key,
        create_revision: signed(kv.create_revision.0),
        mod_revision: signed(kv.mod_revision.0),
        version: signed(kv.version),
        value: kv.value,
        lease: kv.lease.0,
    }
}

/// One change of one key.
pub(crate) fn event(event: &Event) -> mvccpb::Event {
    let kind = match event.kind {
        EventKind::Put => mvccpb::event::EventType::Put,
        EventKind::Delete => mvccpb::event::EventType::Delete,
    };
    mvccpb::Event {
        r#type: kind.into(),
        kv: Some(kv(event.kv.clone())),
        prev_kv: event.prev.clone().map(kv),
    }
}

/// What a put answers, its header apart; as are those of all that follow.
pub(crate) fn put_response(prev: Option<KeyValue>) -> pb::PutResponse {
    pb::PutResponse {
        header: None,
        prev_kv: prev.map(kv),
    }
}

/// What a range answers.
pub(crate) fn range_response(response: RangeResponse) -> pb::RangeResponse {
    pb::RangeResponse {
        header: None,
        kvs: response.kvs.into_iter().map(kv).collect(),
        more: response.more,
        count: signed(response.count),
    }
}

/// What a deletion answers.
pub(crate) fn delete_response(response: DeleteResponse) -> pb::DeleteRangeResponse {
    pb::DeleteRangeResponse {
        header: None,
        deleted: signed(response.deleted),
        prev_kvs: response.prevs.into_iter().map(kv).collect(),
    }
}

/// What a transaction answers. The answers of its parts bear its own revision in their headers.
pub(crate) fn txn_response(
    response: TxnResponse,
    header: &pb::ResponseHeader,
) -> Result<pb::TxnResponse, Status> {
    let part = |part| part_response(part, header);
    let responses = response.responses.into_iter().map(part);
    Ok(pb::TxnResponse {
        header: None,
        succeeded: response.succeeded,
        responses: responses.collect::<Result<_, _>>()?,
    })
}

fn part_response(response: Response, whole: &pb::ResponseHeader) -> Result<pb::ResponseOp, Status> {
    // etcd says only the revision in the answers of parts.
    let header = Some(pb::ResponseHeader {
        revision: whole.revision,
        ..Default::default()
    });
    let response = match response {
        Response::Put(prev) => PbResponse::ResponsePut(pb::PutResponse {
            header,
            ..put_response(prev)
        }),
        Response::Range(found) => PbResponse::ResponseRange(pb::RangeResponse {
            header,
            ..range_response(found)
        }),
        Response::Delete(deleted) => PbResponse::ResponseDeleteRange(pb::DeleteRangeResponse {
            header,
            ..delete_response(deleted)
        }),
        Response::Txn(inner) => {
            let inner = txn_response(inner, whole)?;
            PbResponse::ResponseTxn(pb::TxnResponse { header, ..inner })
        }
        Response::Granted(_) | Response::Expired(_) | Response::Done => {
            return Err(Status::internal(
                "a part of a transaction has no such answer",
            ));
        }
    };
    Ok(pb::ResponseOp {
        response: Some(response),
    })
}
