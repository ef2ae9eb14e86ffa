//! Any command and any answer, small ones more often. It does not know their bytes.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use raft_core::{Index, NodeId, Term};

use crate::auth::{AuthCommand, Guarded, Hidden, Permission, PermissionKind};
use crate::codec::tests::examples;
use crate::command::{Announcement, Command, DigestReport};
use crate::engine::Span;
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::request::{
    Compare, CompareTarget, Content, DeleteRequest, Op, Operator, PutRequest, RangeRequest,
    RevisionRange, Sort, SortBy, TxnRequest,
};
use crate::response::{Answer, DeleteResponse, RangeResponse, Response, TxnResponse};
use crate::types::{AlarmKind, KeyValue, LeaseId, Revision};

/// Any command.
pub(super) fn command() -> impl Strategy<Value = Command> {
    let guarded = (".{0,9}", number(), bare()).prop_map(|(user, auth_revision, command)| {
        Command::Guarded(Guarded {
            user,
            auth_revision,
            command: Box::new(command),
        })
    });
    prop_oneof![5 => bare(), 1 => guarded]
}

fn auth() -> impl Strategy<Value = AuthCommand> {
    let hidden = || bytes().prop_map(Hidden);
    let name = || ".{0,9}";
    let kind = prop_oneof![
        Just(PermissionKind::Read),
        Just(PermissionKind::Write),
        Just(PermissionKind::ReadWrite),
    ];
    let permission = (keys(), kind).prop_map(|(keys, kind)| Permission { keys, kind });
    prop_oneof![
        hidden().prop_map(|secret| AuthCommand::Enable { secret }),
        Just(AuthCommand::Disable),
        (name(), option::of(hidden()))
            .prop_map(|(name, password)| AuthCommand::UserAdd { name, password }),
        name().prop_map(|name| AuthCommand::UserDelete { name }),
        (name(), hidden())
            .prop_map(|(name, password)| AuthCommand::UserChangePassword { name, password }),
        (name(), name()).prop_map(|(name, role)| AuthCommand::UserGrantRole { name, role }),
        (name(), name()).prop_map(|(name, role)| AuthCommand::UserRevokeRole { name, role }),
        name().prop_map(|name| AuthCommand::RoleAdd { name }),
        name().prop_map(|name| AuthCommand::RoleDelete { name }),
        (name(), permission)
            .prop_map(|(name, permission)| AuthCommand::RoleGrantPermission { name, permission }),
        (name(), keys()).prop_map(|(name, keys)| AuthCommand::RoleRevokePermission { name, keys }),
    ]
}

/// Any command that is not guarded.
fn bare() -> impl Strategy<Value = Command> {
    let alarm = prop_oneof![Just(AlarmKind::NoSpace), Just(AlarmKind::Corrupt)];
    let expire = (number(), number(), vec(lease(), 0..4));
    let report = (number(), number(), any::<u64>(), any::<u16>());
    prop_oneof![
        put().prop_map(Command::Put),
        delete().prop_map(Command::Delete),
        txn().prop_map(Command::Txn),
        revision().prop_map(Command::Compact),
        (lease(), number()).prop_map(|(id, ttl_s)| Command::Grant { id, ttl_s }),
        lease().prop_map(Command::Revoke),
        expire.prop_map(|(term, known, ids)| Command::Expire {
            term: Term(term),
            known: Index(known),
            ids
        }),
        (number(), alarm.clone()).prop_map(|(id, alarm)| Command::Raise(NodeId(id), alarm)),
        (number(), alarm).prop_map(|(id, alarm)| Command::Clear(NodeId(id), alarm)),
        announcement().prop_map(Command::Announce),
        number().prop_map(|id| Command::Forget(NodeId(id))),
        any::<u8>().prop_map(Command::Upgrade),
        auth().prop_map(Command::Auth),
        report.prop_map(
            |(member, index, digest, majority)| Command::Report(DigestReport {
                member: NodeId(member),
                index: Index(index),
                digest,
                majority,
            })
        ),
    ]
}

/// Any answer.
pub(super) fn answer() -> impl Strategy<Value = Answer> {
    let refusals = examples::refusals().into_iter().map(|(_, refusal)| refusal);
    let refusal = proptest::sample::select(refusals.collect::<Vec<Refusal>>());
    let outcome = prop_oneof![
        3 => response().prop_map(Ok),
        1 => refusal.prop_map(Err),
        1 => revision().prop_map(|compacted| Err(Refusal::Compacted { compacted })),
    ];
    (revision(), outcome).prop_map(|(revision, outcome)| Answer { revision, outcome })
}

/// Any number, those at the edges of a byte more often.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..300_u64,
        (0..64_u32).prop_map(|shift| 1 << shift),
        (0..64_u32).prop_map(|shift| (1 << shift) - 1),
        any::<u64>(),
    ]
}

fn revision() -> impl Strategy<Value = Revision> {
    number().prop_map(Revision)
}

fn lease() -> impl Strategy<Value = LeaseId> {
    number().prop_map(|id| LeaseId(id.cast_signed()))
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        9 => vec(any::<u8>(), 0..8),
        1 => vec(any::<u8>(), 120..140),
    ]
    .prop_map(Bytes::from)
}

fn keys() -> impl Strategy<Value = Keys> {
    let span = (bytes(), option::of(bytes()));
    prop_oneof![
        bytes().prop_map(Keys::One),
        span.prop_map(|(from, to)| Keys::In(Span { from, to })),
    ]
}

fn put() -> impl Strategy<Value = PutRequest> {
    let parts = (
        bytes(),
        option::of(bytes()),
        option::of(lease()),
        any::<bool>(),
    );
    parts.prop_map(|(key, value, lease, wants_prev)| PutRequest {
        key,
        value,
        lease,
        wants_prev,
    })
}

fn delete() -> impl Strategy<Value = DeleteRequest> {
    (keys(), any::<bool>()).prop_map(|(keys, wants_prev)| DeleteRequest { keys, wants_prev })
}

fn range() -> impl Strategy<Value = RangeRequest> {
    let by = prop_oneof![
        Just(SortBy::Key),
        Just(SortBy::Version),
        Just(SortBy::Create),
        Just(SortBy::Mod),
        Just(SortBy::Value),
    ];
    let sort = (by, any::<bool>()).prop_map(|(by, is_descending)| Sort { by, is_descending });
    let content = prop_oneof![
        Just(Content::Full),
        Just(Content::KeysOnly),
        Just(Content::CountOnly)
    ];
    let within = || (revision(), revision()).prop_map(|(min, max)| RevisionRange { min, max });
    let parts = (
        keys(),
        revision(),
        number(),
        option::of(sort),
        content,
        within(),
        within(),
    );
    parts.prop_map(
        |(keys, revision, limit, sort, content, modified, created)| RangeRequest {
            keys,
            revision,
            limit,
            sort,
            content,
            modified,
            created,
        },
    )
}

fn compare() -> impl Strategy<Value = Compare> {
    let operator = prop_oneof![
        Just(Operator::Equal),
        Just(Operator::Greater),
        Just(Operator::Less),
        Just(Operator::NotEqual),
    ];
    let target = prop_oneof![
        any::<i64>().prop_map(CompareTarget::Version),
        any::<i64>().prop_map(CompareTarget::Create),
        any::<i64>().prop_map(CompareTarget::Mod),
        bytes().prop_map(CompareTarget::Value),
        any::<i64>().prop_map(CompareTarget::Lease),
    ];
    (keys(), operator, target).prop_map(|(keys, operator, target)| Compare {
        keys,
        operator,
        target,
    })
}

fn txn() -> impl Strategy<Value = TxnRequest> {
    let leaf = prop_oneof![
        range().prop_map(Op::Range),
        put().prop_map(Op::Put),
        delete().prop_map(Op::Delete),
    ];
    let op = leaf.prop_recursive(4, 16, 3, |op| txn_of(op).prop_map(Op::Txn));
    txn_of(op)
}

fn txn_of(op: impl Strategy<Value = Op> + Clone) -> impl Strategy<Value = TxnRequest> {
    let parts = (vec(compare(), 0..3), vec(op.clone(), 0..3), vec(op, 0..3));
    parts.prop_map(|(compares, success, failure)| TxnRequest {
        compares,
        success,
        failure,
    })
}

fn announcement() -> impl Strategy<Value = Announcement> {
    let parts = (number(), any::<u8>(), ".{0,9}", vec(".{0,9}", 0..3));
    parts.prop_map(|(member, version, name, client_urls)| Announcement {
        member: NodeId(member),
        version,
        name,
        client_urls,
    })
}

fn key_value() -> impl Strategy<Value = KeyValue> {
    let parts = (bytes(), bytes(), revision(), revision(), number(), lease());
    parts.prop_map(
        |(key, value, create_revision, mod_revision, version, lease)| KeyValue {
            key,
            value,
            create_revision,
            mod_revision,
            version,
            lease,
        },
    )
}

fn response() -> impl Strategy<Value = Response> {
    let ranged = (vec(key_value(), 0..4), number(), any::<bool>());
    let deleted = (number(), vec(key_value(), 0..4));
    let leaf = prop_oneof![
        option::of(key_value()).prop_map(Response::Put),
        ranged.prop_map(|(kvs, count, more)| Response::Range(RangeResponse { kvs, count, more })),
        deleted.prop_map(|(deleted, prevs)| Response::Delete(DeleteResponse { deleted, prevs })),
        lease().prop_map(Response::Granted),
        number().prop_map(Response::Expired),
        Just(Response::Done),
    ];
    leaf.prop_recursive(4, 16, 4, |response| {
        (any::<bool>(), vec(response, 0..4)).prop_map(|(succeeded, responses)| {
            Response::Txn(TxnResponse {
                succeeded,
                responses,
            })
        })
    })
}
