//! What users may and may not do at each door: the crate `etcd-client` as root, and as ann, whose
//! role lets her read and write the keys that begin with `a`.

use std::time::Duration;

use etcd_client::{
    Client, ConnectOptions, Error, GetOptions, LeaseTimeToLiveOptions, LockOptions, Permission,
    PutOptions, Txn, TxnOp, WatchOptions,
};

use raft_cli::pb::etcdserverpb::auth_client::AuthClient;
use raft_cli::pb::etcdserverpb::kv_client::KvClient;
use raft_cli::pb::etcdserverpb::{AuthenticateRequest, PutRequest};
use tokio::time::timeout;
use tonic::Request;
use tonic::transport::Endpoint;

use crate::{cluster, endpoints};

/// No answer takes this long.
const PATIENCE: Duration = Duration::from_secs(10);

async fn connect(endpoints: &str, user: Option<(&str, &str)>) -> Client {
    let options = user.map(|(name, password)| ConnectOptions::new().with_user(name, password));
    let endpoints: Vec<_> = endpoints.split(',').collect();
    Client::connect(&endpoints, options)
        .await
        .expect("connects")
}

/// A user, a role that allows it to read and write keys that begin so, and both for root.
async fn add_users(client: &mut Client) {
    client.role_add("a").await.expect("added");
    let prefix = Permission::read_write("a").with_prefix();
    client
        .role_grant_permission("a", prefix)
        .await
        .expect("granted");
    for (user, role) in [("root", "root"), ("ann", "a")] {
        client.user_add(user, "secret", None).await.expect("added");
        if role == "root" {
            client.role_add(role).await.expect("added");
        }
        client.user_grant_role(user, role).await.expect("granted");
    }
    client.auth_enable().await.expect("enabled");
}

/// It was refused because the user may not.
fn denied<T: std::fmt::Debug>(what: &str, result: Result<T, Error>) {
    let status = match result {
        Err(Error::GRpcStatus(status)) => status,
        other => panic!("{what}: {other:?}"),
    };
    assert!(
        status.message().contains("permission denied"),
        "{what}: {status:?}"
    );
}

/// What a put is answered that the administrator sends under a session.
async fn put_in_a_session(url: String) -> Result<(), tonic::Status> {
    let endpoint = Endpoint::from_shared(url).expect("a URL");
    let channel = endpoint.connect().await.expect("connects");
    let root = AuthenticateRequest {
        name: "root".to_owned(),
        password: "secret".to_owned(),
    };
    let known = AuthClient::new(channel.clone()).authenticate(root).await?;
    let mut put = Request::new(PutRequest {
        key: "a1".into(),
        ..PutRequest::default()
    });
    let shown = [
        ("token", known.into_inner().token),
        ("raft-client-id", "1".to_owned()),
        ("raft-sequence", "1".to_owned()),
    ];
    for (name, value) in shown {
        put.metadata_mut()
            .insert(name, value.parse().expect("plain"));
    }
    KvClient::new(channel).put(put).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_asks_who_it_is() {
    let mut cluster = cluster(3).await;
    let endpoints = endpoints(&cluster, 3);
    let mut nobody = connect(&endpoints, None).await;
    add_users(&mut nobody).await;
    let mut root = connect(&endpoints, Some(("root", "secret"))).await;
    let mut ann = connect(&endpoints, Some(("ann", "secret"))).await;
    assert!(nobody.get("a", None).await.is_err(), "everybody is asked");

    // Keys, in every way that a request names them.
    ann.put("a1", "hers", None).await.expect("she may");
    let prefix = Some(GetOptions::new().with_prefix());
    assert_eq!(ann.get("a", prefix.clone()).await.expect("got").count(), 1);
    denied("get", ann.get("b", None).await);
    denied("get beyond", ann.get("", prefix).await);
    denied("put", ann.put("b", "1", None).await);
    denied("delete", ann.delete("b", None).await);
    let mixed = [TxnOp::put("a1", "2", None), TxnOp::get("b", None)];
    denied("txn", ann.txn(Txn::new().and_then(mixed)).await);

    // Watches.
    let mut watch = ann.watch("a1", None).await.expect("she may");
    ann.put("a1", "seen", None).await.expect("she may");
    let mut seen = 0;
    while seen == 0 {
        let next = timeout(PATIENCE, watch.message()).await.expect("in time");
        seen = next.expect("goes on").expect("goes on").events().len();
    }
    for (key, options) in [("b", None), ("", Some(WatchOptions::new().with_prefix()))] {
        let refused = match ann.watch(key, options).await {
            Ok(mut stream) => {
                let next = timeout(PATIENCE, stream.message()).await.expect("in time");
                // As etcd does it: it is created, and canceled in the same message.
                next.is_ok_and(|next| next.is_none_or(|next| next.canceled()))
            }
            Err(_) => true,
        };
        assert!(refused, "a watch of {key:?}");
    }

    // Leases end what is attached to them.
    let lease = ann.lease_grant(60, None).await.expect("she may").id();
    let attached = Some(PutOptions::new().with_lease(lease));
    ann.put("a2", "x", attached.clone()).await.expect("she may");
    root.put("b2", "x", attached.clone()).await.expect("root");
    denied("revoke", ann.lease_revoke(lease).await);
    denied("attach", ann.put("a3", "x", attached).await);
    let with_keys = Some(LeaseTimeToLiveOptions::new().with_keys());
    let told = ann.lease_time_to_live(lease, with_keys).await;
    denied("keys of a lease", told);
    root.lease_revoke(lease).await.expect("root");

    // Locks and elections are keys under the name.
    let lease = ann.lease_grant(60, None).await.expect("she may").id();
    let with_lease = || Some(LockOptions::new().with_lease(lease));
    let locked = ann.lock("a-lock", with_lease()).await.expect("she may");
    ann.unlock(locked.key()).await.expect("she may");
    denied("lock", ann.lock("b-lock", with_lease()).await);
    denied("unlock", ann.unlock("b-lock/1").await);
    let foreign = root.lease_grant(60, None).await.expect("root").id();
    let of_root = Some(PutOptions::new().with_lease(foreign));
    root.put("b3", "x", of_root).await.expect("root");
    let with_foreign = LockOptions::new().with_lease(foreign);
    denied(
        "lock by a lease of another's keys",
        ann.lock("a-other", Some(with_foreign)).await,
    );
    denied(
        "campaign by it",
        ann.campaign("a-other", "ann", foreign).await,
    );
    let won = ann.campaign("a-office", "ann", lease).await;
    assert!(won.expect("she may").leader().is_some());
    denied("campaign", ann.campaign("b-office", "ann", lease).await);
    denied("leader", ann.leader("b-office").await);

    // A session is nobody's, so it is not even the administrator's.
    let refused = put_in_a_session(cluster.client_url(1)).await;
    let refused = refused.expect_err("sessions are for when nobody is asked");
    assert!(
        refused.message().contains("sessions can't be used"),
        "{refused:?}"
    );

    // Everything else is root's.
    denied("users", ann.user_list().await);
    denied("roles", ann.role_add("c").await);
    denied("members", ann.member_remove(1).await);
    denied("disable", ann.auth_disable().await);
    root.auth_disable().await.expect("root");
    cluster.end().await;
}
