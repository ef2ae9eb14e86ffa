//! An example of each command, request, answer and refusal, by name. It does not know their bytes.

use bytes::Bytes;
use raft_core::{Index, NodeId, Term};

use crate::auth::{AuthCommand, Guarded, Hidden, Permission, PermissionKind};
use crate::command::{Announcement, Command, DigestReport};
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::request::{
    Compare, CompareTarget, Content, DeleteRequest, Op, Operator, PutRequest, RangeRequest,
    RevisionRange, Sort, SortBy, TxnRequest,
};
use crate::response::{Answer, DeleteResponse, RangeResponse, Response, TxnResponse};
use crate::types::{AlarmKind, KeyValue, LeaseId, Revision};

/// Every command of every version.
pub(in crate::codec) fn commands() -> Vec<(&'static str, Command)> {
    let mut commands = vec![
        ("put", Command::Put(PutRequest::of("key", "value"))),
        ("put_keeping", Command::Put(keeping())),
        ("put_with_lease", Command::Put(with_lease())),
        ("delete_one", Command::Delete(delete(Keys::one("key")))),
        ("delete_prefix", Command::Delete(delete(Keys::prefix("k")))),
        ("delete_all", Command::Delete(delete(Keys::all()))),
        ("txn_empty", Command::Txn(TxnRequest::default())),
        ("txn_compares", Command::Txn(comparing())),
        ("txn_ranges", Command::Txn(ranging())),
        ("txn_nested", Command::Txn(nested())),
        ("compact", Command::Compact(Revision(300))),
        ("revoke", Command::Revoke(LeaseId(7))),
        ("forget", Command::Forget(NodeId(3))),
        ("upgrade", Command::Upgrade(2)),
    ];
    commands.extend(of_leases_and_members());
    commands.extend(of_users_and_roles());
    commands
}

fn of_users_and_roles() -> Vec<(&'static str, Command)> {
    let name = || "märz".to_owned();
    let role = || "role".to_owned();
    let hash = || Hidden(Bytes::from_static(b"hash"));
    let grant = |keys, kind| AuthCommand::RoleGrantPermission {
        name: role(),
        permission: Permission { keys, kind },
    };
    let of_auth = [
        ("auth_enable", AuthCommand::Enable { secret: hash() }),
        ("auth_disable", AuthCommand::Disable),
        ("user_add", user_add(name(), Some(hash()))),
        ("user_add_without_password", user_add(name(), None)),
        ("user_delete", AuthCommand::UserDelete { name: name() }),
        (
            "user_change_password",
            AuthCommand::UserChangePassword {
                name: name(),
                password: hash(),
            },
        ),
        (
            "user_grant_role",
            AuthCommand::UserGrantRole {
                name: name(),
                role: role(),
            },
        ),
        (
            "user_revoke_role",
            AuthCommand::UserRevokeRole {
                name: name(),
                role: role(),
            },
        ),
        ("role_add", AuthCommand::RoleAdd { name: role() }),
        ("role_delete", AuthCommand::RoleDelete { name: role() }),
        (
            "role_grant_read",
            grant(Keys::one("key"), PermissionKind::Read),
        ),
        (
            "role_grant_write",
            grant(Keys::between("a", "b"), PermissionKind::Write),
        ),
        (
            "role_grant_read_write",
            grant(Keys::from("\0"), PermissionKind::ReadWrite),
        ),
        (
            "role_revoke_permission",
            AuthCommand::RoleRevokePermission {
                name: role(),
                keys: Keys::one("key"),
            },
        ),
    ];
    let mut commands = of_auth
        .map(|(name, of_auth)| (name, Command::Auth(of_auth)))
        .to_vec();
    commands.extend(of_users());
    commands
}

/// On behalf of somebody.
fn of_users() -> [(&'static str, Command); 2] {
    let guarded = |command| {
        Command::Guarded(Guarded {
            user: "märz".to_owned(),
            auth_revision: 300,
            command: Box::new(command),
        })
    };
    let put = Command::Put(PutRequest::of("key", "value"));
    let disable = Command::Auth(AuthCommand::Disable);
    [
        ("guarded_put", guarded(put)),
        ("guarded_disable", guarded(disable)),
    ]
}

fn user_add(name: String, password: Option<Hidden>) -> AuthCommand {
    AuthCommand::UserAdd { name, password }
}

fn of_leases_and_members() -> Vec<(&'static str, Command)> {
    let grant = |id, ttl_s| Command::Grant {
        id: LeaseId(id),
        ttl_s,
    };
    let expire = Command::Expire {
        term: Term(9),
        known: Index(130),
        ids: vec![LeaseId(1), LeaseId(i64::MAX)],
    };
    let announcement = Announcement {
        member: NodeId(1),
        version: 2,
        name: "märz".to_owned(),
        client_urls: vec!["http://a:1".to_owned(), String::new()],
    };
    let report = DigestReport {
        member: NodeId(2),
        index: Index(4096),
        digest: 0x0123_4567_89ab_cdef,
        majority: 300,
    };
    vec![
        ("grant", grant(0, 5)),
        ("grant_negative", grant(i64::MIN, u64::MAX)),
        ("expire", expire),
        (
            "raise_no_space",
            Command::Raise(NodeId(1), AlarmKind::NoSpace),
        ),
        (
            "clear_corrupt",
            Command::Clear(NodeId(2), AlarmKind::Corrupt),
        ),
        ("announce", Command::Announce(announcement)),
        ("report", Command::Report(report)),
    ]
}

fn keeping() -> PutRequest {
    PutRequest {
        key: Bytes::from_static(b"key"),
        value: None,
        lease: None,
        wants_prev: true,
    }
}

fn with_lease() -> PutRequest {
    PutRequest {
        lease: Some(LeaseId(0x7000_0000_0000_0001)),
        ..PutRequest::of("key", "")
    }
}

fn delete(keys: Keys) -> DeleteRequest {
    DeleteRequest {
        keys,
        wants_prev: true,
    }
}

fn comparing() -> TxnRequest {
    let compare = |operator, target| Compare {
        keys: Keys::one("key"),
        operator,
        target,
    };
    let value = CompareTarget::Value(Bytes::from_static(b"value"));
    TxnRequest {
        compares: vec![
            compare(Operator::Equal, CompareTarget::Version(1)),
            compare(Operator::Greater, CompareTarget::Create(-1)),
            compare(Operator::Less, CompareTarget::Mod(i64::MAX)),
            compare(Operator::NotEqual, value),
            compare(Operator::Equal, CompareTarget::Lease(i64::MIN)),
        ],
        ..TxnRequest::default()
    }
}

fn ranging() -> TxnRequest {
    let sorted = |by, content| RangeRequest {
        sort: Some(Sort {
            by,
            is_descending: matches!(by, SortBy::Key),
        }),
        content,
        ..RangeRequest::of(Keys::from("k"))
    };
    let bounded = RangeRequest {
        revision: Revision(70),
        limit: 1000,
        modified: RevisionRange {
            min: Revision(2),
            max: Revision(3),
        },
        created: RevisionRange {
            min: Revision(4),
            max: Revision(5),
        },
        ..RangeRequest::of(Keys::between("a", "b"))
    };
    let ranges = [
        sorted(SortBy::Key, Content::Full),
        sorted(SortBy::Version, Content::KeysOnly),
        sorted(SortBy::Create, Content::CountOnly),
        sorted(SortBy::Mod, Content::Full),
        sorted(SortBy::Value, Content::Full),
        bounded,
    ];
    TxnRequest {
        failure: ranges.into_iter().map(Op::Range).collect(),
        ..TxnRequest::default()
    }
}

fn nested() -> TxnRequest {
    let inner = TxnRequest {
        success: vec![Op::Put(PutRequest::of("a", "1"))],
        failure: vec![Op::Delete(delete(Keys::one("b")))],
        ..TxnRequest::default()
    };
    TxnRequest {
        success: vec![Op::Txn(inner), Op::Put(PutRequest::of("c", "2"))],
        ..TxnRequest::default()
    }
}

/// Every answer.
pub(in crate::codec) fn answers() -> Vec<(&'static str, Answer)> {
    let done = |name, response| (name, Ok(response));
    let range = RangeResponse {
        kvs: vec![key_value(), KeyValue::default()],
        count: 1000,
        more: true,
    };
    let delete = DeleteResponse {
        deleted: 2,
        prevs: vec![key_value()],
    };
    let inner = TxnResponse {
        succeeded: true,
        responses: vec![Response::Put(None), Response::Delete(delete.clone())],
    };
    let txn = TxnResponse {
        succeeded: false,
        responses: vec![
            Response::Txn(inner),
            Response::Range(RangeResponse::default()),
        ],
    };
    let mut outcomes = vec![
        done("put", Response::Put(None)),
        done("put_with_prev", Response::Put(Some(key_value()))),
        done("range", Response::Range(range)),
        done("delete", Response::Delete(delete)),
        done("txn", Response::Txn(txn)),
        done("granted", Response::Granted(LeaseId(-2))),
        done("expired", Response::Expired(128)),
        done("done", Response::Done),
    ];
    let refused = |(name, refusal)| (name, Err(refusal));
    outcomes.extend(refusals().into_iter().map(refused));
    let answer = |(name, outcome)| {
        let revision = Revision(300);
        (name, Answer { revision, outcome })
    };
    outcomes.into_iter().map(answer).collect()
}

pub(super) fn refusals() -> Vec<(&'static str, Refusal)> {
    let compacted = Refusal::Compacted {
        compacted: Revision(9),
    };
    let future = Refusal::FutureRevision {
        revision: Revision(8),
    };
    vec![
        ("compacted", compacted),
        ("future_revision", future),
        ("empty_key", Refusal::EmptyKey),
        ("key_not_found", Refusal::KeyNotFound),
        ("duplicate_key", Refusal::DuplicateKey),
        ("too_many_ops", Refusal::TooManyOps),
        ("lease_not_found", Refusal::LeaseNotFound),
        ("lease_exists", Refusal::LeaseExists),
        ("lease_ttl_too_large", Refusal::LeaseTtlTooLarge),
        ("too_many_leases", Refusal::TooManyLeases),
        ("no_space", Refusal::NoSpace),
        ("unsupported", Refusal::Unsupported),
        ("version_too_low", Refusal::VersionTooLow),
    ]
    .into_iter()
    .chain(of_auth())
    .collect()
}

fn of_auth() -> [(&'static str, Refusal); 17] {
    [
        ("root_user_not_found", Refusal::RootUserNotFound),
        ("root_role_not_granted", Refusal::RootRoleNotGranted),
        ("user_exists", Refusal::UserExists),
        ("user_empty", Refusal::UserEmpty),
        ("user_not_found", Refusal::UserNotFound),
        ("role_exists", Refusal::RoleExists),
        ("role_not_found", Refusal::RoleNotFound),
        ("role_empty", Refusal::RoleEmpty),
        ("auth_failed", Refusal::AuthFailed),
        ("permission_not_given", Refusal::PermissionNotGiven),
        ("permission_denied", Refusal::PermissionDenied),
        ("role_not_granted", Refusal::RoleNotGranted),
        ("permission_not_granted", Refusal::PermissionNotGranted),
        ("auth_not_enabled", Refusal::AuthNotEnabled),
        ("invalid_auth_token", Refusal::InvalidAuthToken),
        ("invalid_auth_management", Refusal::InvalidAuthManagement),
        ("auth_revision_old", Refusal::AuthRevisionOld),
    ]
}

fn key_value() -> KeyValue {
    KeyValue {
        key: Bytes::from_static(b"key"),
        value: Bytes::from_static(b"value"),
        create_revision: Revision(2),
        mod_revision: Revision(200),
        version: 3,
        lease: LeaseId(4),
    }
}
