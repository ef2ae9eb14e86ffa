//! What each command is refused for, what it makes of the revision, and who may do what.

use super::*;
use crate::auth::{AuthRow, NOBODY};
use crate::command::Command;
use crate::request::{Compare, CompareTarget, DeleteRequest, Op, Operator, PutRequest};
use crate::request::{RangeRequest, TxnRequest};
use crate::types::{LeaseId, Revision};

fn name() -> String {
    "ann".to_owned()
}

#[test]
fn each_command_is_refused_as_etcd_does() {
    let revoke = |name: &str, role: &str| AuthCommand::UserRevokeRole {
        name: name.to_owned(),
        role: role.to_owned(),
    };
    let user_delete = |name: &str| AuthCommand::UserDelete {
        name: name.to_owned(),
    };
    let role_delete = |name: &str| AuthCommand::RoleDelete {
        name: name.to_owned(),
    };
    let password = |name: &str| AuthCommand::UserChangePassword {
        name: name.to_owned(),
        password: hash("other"),
    };
    let read = PermissionKind::Read;
    for (command, expected) in [
        (user_add(""), Refusal::UserEmpty),
        (user_add("ann"), Refusal::UserExists),
        (user_delete("bob"), Refusal::UserNotFound),
        (user_delete(ROOT), Refusal::InvalidAuthManagement),
        (password("bob"), Refusal::UserNotFound),
        (user_grant("bob", "writer"), Refusal::UserNotFound),
        (user_grant("ann", "writer"), Refusal::RoleNotFound),
        (revoke("bob", "reader"), Refusal::UserNotFound),
        (revoke("ann", "writer"), Refusal::RoleNotGranted),
        (revoke(ROOT, ROOT), Refusal::InvalidAuthManagement),
        (role_add(""), Refusal::RoleEmpty),
        (role_add("reader"), Refusal::RoleExists),
        (role_delete("writer"), Refusal::RoleNotFound),
        (role_delete(ROOT), Refusal::InvalidAuthManagement),
        (
            role_grant("writer", Keys::one("a"), read),
            Refusal::RoleNotFound,
        ),
        (
            role_grant("writer", Keys::one(""), read),
            Refusal::InvalidAuthManagement,
        ),
        (
            role_grant("reader", Keys::between("b", "a"), read),
            Refusal::InvalidAuthManagement,
        ),
        (
            role_grant("reader", Keys::all(), read),
            Refusal::InvalidAuthManagement,
        ),
        (
            AuthCommand::RoleRevokePermission {
                name: "writer".to_owned(),
                keys: Keys::one("a"),
            },
            Refusal::RoleNotFound,
        ),
        (
            AuthCommand::RoleRevokePermission {
                name: "reader".to_owned(),
                keys: Keys::one("a"),
            },
            Refusal::PermissionNotGranted,
        ),
    ] {
        let before = enabled();
        let mut auth = before.clone();
        assert_eq!(auth.change(&command), Err(expected), "{command:?}");
        assert_eq!(auth, before, "{command:?} has changed something");
    }
}

#[test]
fn nobody_locks_everybody_out() {
    let mut auth = Auth::default();
    assert_eq!(auth.change(&enable()), Err(Refusal::RootUserNotFound));
    auth.change(&user_add(ROOT)).expect("a user");
    assert_eq!(auth.change(&enable()), Err(Refusal::RootRoleNotGranted));
    auth.change(&user_grant(ROOT, ROOT)).expect("a role");
    auth.change(&enable()).expect("root may do everything");
    assert!(auth.is_enabled());
}

#[test]
fn each_change_makes_a_revision_and_what_changes_nothing_makes_none() {
    let mut auth = enabled();
    let permission = role_grant("reader", Keys::one("a"), PermissionKind::Read);
    for (command, grows_by) in [
        (enable(), 0),
        (user_grant("ann", "reader"), 0),
        (permission.clone(), 1),
        (permission, 1),
        (AuthCommand::Disable, 1),
        (AuthCommand::Disable, 0),
        (enable(), 0),
    ] {
        let before = auth.revision();
        auth.change(&command).expect("it is allowed");
        assert_eq!(auth.revision(), before + grows_by, "{command:?}");
    }
}

#[test]
fn a_role_that_is_deleted_is_taken_from_all_who_have_it() {
    let mut auth = enabled();
    let all = Keys::from("a");
    auth.change(&role_grant("reader", all, PermissionKind::Read))
        .expect("a permission");
    assert_eq!(auth.may_read("ann", &Keys::one("k")), Ok(()));
    let delete = AuthCommand::RoleDelete {
        name: "reader".to_owned(),
    };
    let rows = auth.change(&delete).expect("a role");
    let expected = [
        AuthRow::Role("reader".to_owned()),
        AuthRow::User(name()),
        AuthRow::State,
    ];
    assert_eq!(rows, expected);
    assert!(!auth.user("ann").expect("a user").has_role("reader"));
    let denied = auth.may_read("ann", &Keys::one("k"));
    assert_eq!(denied, Err(Refusal::PermissionDenied));
}

#[test]
fn a_password_that_is_changed_makes_another_of_the_user() {
    let mut auth = enabled();
    let since = auth.user("ann").expect("a user").since;
    let change = AuthCommand::UserChangePassword {
        name: name(),
        password: hash("other"),
    };
    auth.change(&change).expect("a user");
    let ann = auth.user("ann").expect("a user");
    assert_eq!(ann.password, Some(hash("other")));
    assert_eq!(ann.since, auth.revision());
    assert!(ann.since > since);
    let keyless = AuthCommand::UserAdd {
        name: "eve".to_owned(),
        password: None,
    };
    auth.change(&keyless).expect("a user");
    let change = AuthCommand::UserChangePassword {
        name: "eve".to_owned(),
        password: hash("other"),
    };
    auth.change(&change).expect("a user");
    assert_eq!(auth.user("eve").expect("a user").password, None);
}

#[test]
fn who_may_administer() {
    let auth = enabled();
    for (user, expected) in [
        (ROOT, Ok(())),
        ("ann", Err(Refusal::PermissionDenied)),
        ("bob", Err(Refusal::UserNotFound)),
        (NOBODY, Err(Refusal::UserEmpty)),
    ] {
        assert_eq!(auth.may_administer(user), expected, "{user}");
        let command = Command::Auth(AuthCommand::Disable);
        assert_eq!(auth.may(user, &command), expected, "{user}");
    }
    assert_eq!(auth.may_see_user("ann", "ann"), Ok(()));
    let denied = Err(Refusal::PermissionDenied);
    assert_eq!(auth.may_see_user("ann", ROOT), denied);
    assert_eq!(auth.may_see_role("ann", "reader"), Ok(()));
    assert_eq!(auth.may_see_role("ann", ROOT), denied);
    assert_eq!(auth.may_see_user(NOBODY, NOBODY), Err(Refusal::UserEmpty));
    assert_eq!(Auth::default().may_administer(NOBODY), Ok(()));
}

/// Someone who may read from `r` to `t`, and write from `s` to `u`.
fn of_both() -> Auth {
    let mut auth = enabled();
    for (from, to, kind) in [
        ("r", "t", PermissionKind::Read),
        ("s", "u", PermissionKind::Write),
    ] {
        auth.change(&role_grant("reader", Keys::between(from, to), kind))
            .expect("a permission");
    }
    auth
}

#[test]
fn what_commands_need() {
    let auth = of_both();
    let put = |key: &'static str, wants_prev| PutRequest {
        wants_prev,
        ..PutRequest::of(key, "value")
    };
    let delete = |from: &'static str, to: &'static str, wants_prev| DeleteRequest {
        keys: Keys::between(from, to),
        wants_prev,
    };
    let range = |key: &'static str| Op::Range(RangeRequest::of(Keys::one(key)));
    let compare = |key: &'static str| Compare {
        keys: Keys::one(key),
        operator: Operator::Equal,
        target: CompareTarget::Version(0),
    };
    let txn = |compared, success, failure| {
        Command::Txn(TxnRequest {
            compares: vec![compare(compared)],
            success,
            failure,
        })
    };
    let inner = |key| {
        Op::Txn(TxnRequest {
            failure: vec![range(key)],
            ..TxnRequest::default()
        })
    };
    for (command, is_allowed) in [
        (Command::Put(put("s", true)), true),
        (Command::Put(put("t", false)), true),
        (Command::Put(put("t", true)), false),
        (Command::Put(put("r", false)), false),
        (Command::Delete(delete("s", "t", true)), true),
        (Command::Delete(delete("s", "u", false)), true),
        (Command::Delete(delete("s", "u", true)), false),
        (txn("r", vec![range("s")], vec![inner("r")]), true),
        (txn("t", vec![], vec![]), false),
        (txn("r", vec![Op::Put(put("r", false))], vec![]), false),
        (txn("r", vec![], vec![inner("t")]), false),
        (
            txn("r", vec![], vec![Op::Delete(delete("r", "s", false))]),
            false,
        ),
        (Command::Compact(Revision(3)), true),
        (Command::Revoke(LeaseId(3)), true),
        (Command::Upgrade(3), false),
    ] {
        let expected = is_allowed.then_some(()).ok_or(Refusal::PermissionDenied);
        assert_eq!(auth.may("ann", &command), expected, "{command:?}");
        assert_eq!(auth.may(ROOT, &command), Ok(()), "{command:?}");
        let nobody = auth.may(NOBODY, &command);
        assert_eq!(nobody, Err(Refusal::UserEmpty), "{command:?}");
    }
}

#[test]
fn a_command_names_the_leases_it_puts_at_risk() {
    let with = |lease| {
        Op::Put(PutRequest {
            lease,
            ..PutRequest::of("key", "value")
        })
    };
    let inner = Op::Txn(TxnRequest {
        failure: vec![with(Some(LeaseId(5))), with(None)],
        ..TxnRequest::default()
    });
    let txn = TxnRequest {
        success: vec![with(Some(LeaseId(7))), with(Some(LeaseId::NONE))],
        failure: vec![with(Some(LeaseId(7))), inner],
        ..TxnRequest::default()
    };
    let leases = Command::Txn(txn).leases();
    assert_eq!(leases, [LeaseId(5), LeaseId(7)]);
    assert_eq!(Command::Revoke(LeaseId(1)).leases(), [LeaseId(1)]);
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?} {:?}", user_add("ann"), enable());
    assert!(!shown.contains("hash") && !shown.contains("104"), "{shown}");
}
