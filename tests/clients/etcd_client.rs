//! The crate `etcd-client`: a client in Rust that others wrote.

use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, DeleteOptions, GetOptions, LockOptions, PutOptions, Txn, TxnOp,
    WatchOptions,
};

use crate::{cluster, endpoints};

#[tokio::test(flavor = "multi_thread")]
async fn it_puts_gets_watches_leases_and_locks() {
    let mut cluster = cluster(3).await;
    let endpoints = endpoints(&cluster, 3);
    let endpoints: Vec<_> = endpoints.split(',').collect();
    let mut client = Client::connect(&endpoints, None).await.expect("connects");

    let mut watch = client
        .watch("a", Some(WatchOptions::new().with_prefix().with_prev_key()))
        .await
        .expect("watches");
    client.put("a1", "one", None).await.expect("put");
    client.put("a2", "two", None).await.expect("put");
    let found = client
        .get("a", Some(GetOptions::new().with_prefix()))
        .await
        .expect("got");
    let values: Vec<_> = found
        .kvs()
        .iter()
        .map(|kv| kv.value_str().expect("text"))
        .collect();
    assert_eq!(values, ["one", "two"]);

    let txn = Txn::new()
        .when([Compare::value("a1", CompareOp::Equal, "one")])
        .and_then([TxnOp::put("a1", "uno", None)])
        .or_else([TxnOp::get("a1", None)]);
    assert!(client.txn(txn).await.expect("done").succeeded());

    let mut seen = Vec::new();
    while seen.len() < 3 {
        let next = tokio::time::timeout(Duration::from_secs(10), watch.message()).await;
        let response = next.expect("in time").expect("goes on").expect("goes on");
        for event in response.events() {
            seen.push(
                event
                    .kv()
                    .expect("a key")
                    .value_str()
                    .expect("text")
                    .to_owned(),
            );
        }
    }
    assert_eq!(seen, ["one", "two", "uno"]);

    let lease = client.lease_grant(60, None).await.expect("granted").id();
    let (mut keeper, mut kept) = client.lease_keep_alive(lease).await.expect("kept");
    keeper.keep_alive().await.expect("sent");
    assert_eq!(
        kept.message()
            .await
            .expect("goes on")
            .expect("an answer")
            .ttl(),
        60
    );
    client
        .put("leased", "x", Some(PutOptions::new().with_lease(lease)))
        .await
        .expect("put");
    let locked = client
        .lock("lock", Some(LockOptions::new().with_lease(lease)))
        .await;
    let key = locked.expect("nobody else has it").key().to_vec();
    client.unlock(key).await.expect("unlocked");
    client.lease_revoke(lease).await.expect("revoked");
    assert_eq!(client.get("leased", None).await.expect("got").count(), 0);

    let deleted = client
        .delete("a", Some(DeleteOptions::new().with_prefix()))
        .await;
    assert_eq!(deleted.expect("done").deleted(), 2);
    assert_eq!(
        client.member_list().await.expect("listed").members().len(),
        3
    );
    cluster.end().await;
}
