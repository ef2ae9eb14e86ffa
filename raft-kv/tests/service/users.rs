//! Requests on behalf of users.

use bytes::Bytes;
use raft_core::Consistency;
use raft_kv::auth::{Hidden, Permission, PermissionKind, ROOT};
use raft_kv::request::{PutRequest, RangeRequest};
use raft_kv::service::{Asker, Kv, KvError};
use raft_kv::{AuthCommand, Keys, Refusal};

use crate::cluster::alone;

/// A member that asks everybody who they are, where ann may read and write `a`.
async fn asking() -> Kv {
    let kv = alone().await;
    kv.upgrade(3).await.expect("it knows it");
    let (ann, role) = (|| "ann".to_owned(), || "role".to_owned());
    let add = |name: &str| AuthCommand::UserAdd {
        name: name.to_owned(),
        password: Some(Hidden::default()),
    };
    let grant = |name: &str, role: &str| AuthCommand::UserGrantRole {
        name: name.to_owned(),
        role: role.to_owned(),
    };
    let permission = Permission {
        keys: Keys::one("a"),
        kind: PermissionKind::ReadWrite,
    };
    for command in [
        add(ROOT),
        grant(ROOT, ROOT),
        add(&ann()),
        AuthCommand::RoleAdd { name: role() },
        AuthCommand::RoleGrantPermission {
            name: role(),
            permission,
        },
        grant(&ann(), &role()),
        AuthCommand::Enable {
            secret: Hidden(Bytes::from_static(b"secret")),
        },
    ] {
        kv.change_auth(command).await.expect("it is allowed");
    }
    kv
}

fn by(kv: &Kv, user: &str) -> Kv {
    kv.by(Asker {
        user: user.to_owned(),
        auth_revision: kv.auth().expect("it runs").revision(),
    })
}

fn refusal<T>(result: Result<T, KvError>) -> Option<Refusal> {
    result.err().and_then(|error| match error {
        KvError::Refused(refusal) => Some(refusal),
        KvError::TooLarge { .. }
        | KvError::NotDone(_)
        | KvError::Unknown(_)
        | KvError::NotConfirmed(_)
        | KvError::OtherCommand
        | KvError::NotRead(_) => None,
    })
}

#[tokio::test(start_paused = true)]
async fn users_do_what_they_may_and_nobody_does_anything() {
    let kv = asking().await;
    let read = || RangeRequest::of(Keys::one("a"));
    let put = |key: &'static str| PutRequest::of(key, "value");
    let ann = by(&kv, "ann");
    let (_, prev) = ann.put(put("a")).await.expect("it may");
    assert_eq!(prev, None);
    let found = ann.range(read(), Consistency::Linearizable).await;
    assert_eq!(found.expect("it may").1.count, 1);
    let denied = Some(Refusal::PermissionDenied);
    assert_eq!(refusal(ann.put(put("b")).await), denied);
    let all = RangeRequest::of(Keys::all());
    let found = ann.range(all.clone(), Consistency::Local).await;
    assert_eq!(refusal(found), denied);
    let disabled = ann.change_auth(AuthCommand::Disable).await;
    assert_eq!(refusal(disabled), denied);
    let nobody = Some(Refusal::UserEmpty);
    assert_eq!(refusal(kv.put(put("a")).await), nobody);
    let found = kv.range(read(), Consistency::Linearizable).await;
    assert_eq!(refusal(found), nobody);
    let root = by(&kv, ROOT);
    root.put(put("b")).await.expect("root may");
    let found = root.range(all, Consistency::Linearizable).await;
    assert_eq!(found.expect("root may").1.count, 2);
}

#[tokio::test(start_paused = true)]
async fn a_handle_is_no_use_once_users_have_changed() {
    let kv = asking().await;
    let (ann, root) = (by(&kv, "ann"), by(&kv, ROOT));
    let revoke = AuthCommand::UserRevokeRole {
        name: "ann".to_owned(),
        role: "role".to_owned(),
    };
    root.change_auth(revoke).await.expect("root may");
    let old = Some(Refusal::AuthRevisionOld);
    let put = || PutRequest::of("a", "value");
    assert_eq!(refusal(ann.put(put()).await), old);
    let read = RangeRequest::of(Keys::one("a"));
    assert_eq!(refusal(ann.range(read, Consistency::Local).await), old);
    let ann = by(&kv, "ann");
    assert_eq!(
        refusal(ann.put(put()).await),
        Some(Refusal::PermissionDenied)
    );
    let root = by(&kv, ROOT);
    let disabled = root.change_auth(AuthCommand::Disable).await;
    disabled.expect("root may");
    assert!(!kv.is_auth_enabled());
    kv.put(put()).await.expect("nobody is asked any more");
    assert_eq!(refusal(by(&kv, ROOT).put(put()).await), old);
}
