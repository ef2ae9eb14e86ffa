//! How revisions, versions and compactions count.

use raft_kv::request::{Op, RangeRequest, TxnRequest};
use raft_kv::{Command, Keys, LeaseId, Refusal, Revision};

use super::{Trial, at, delete, put, texts};

#[test]
fn a_fresh_store_is_at_revision_1() {
    let mut trial = Trial::new();
    assert_eq!(trial.revision(), Revision(1));
    trial.done(&Command::Put(put("a=1")));
    assert_eq!(trial.revision(), Revision(2));
    assert_eq!(trial.all().kvs[0].create_revision, Revision(2));
}

#[test]
fn a_transaction_makes_one_revision_however_much_it_changes() {
    let mut trial = Trial::with(&["a=1", "b=1"]);
    let success = vec![
        Op::Put(put("c=1")),
        Op::Delete(delete(Keys::one("a"))),
        Op::Txn(TxnRequest {
            success: vec![Op::Put(put("d=1"))],
            ..TxnRequest::default()
        }),
    ];
    let txn = TxnRequest {
        success,
        ..TxnRequest::default()
    };
    let answer = trial.answer(&Command::Txn(txn));
    assert_eq!(answer.revision, Revision(4));
    let revisions = trial.all().kvs.into_iter().map(|kv| kv.mod_revision.0);
    assert_eq!(revisions.collect::<Vec<_>>(), [3, 4, 4]);
}

#[test]
fn what_changes_nothing_makes_no_revision() {
    let mut trial = Trial::with(&["a=1"]);
    let read = Op::Range(RangeRequest::of(Keys::all()));
    let without_effect = [
        Command::Delete(delete(Keys::one("b"))),
        Command::Delete(delete(Keys::between("b", "a"))),
        Command::Txn(TxnRequest::default()),
        Command::Txn(TxnRequest {
            success: vec![read, Op::Delete(delete(Keys::from("b")))],
            failure: vec![Op::Put(put("a=2"))],
            ..TxnRequest::default()
        }),
        Command::Grant {
            id: LeaseId(7),
            ttl_s: 60,
        },
        Command::Revoke(LeaseId(7)),
        Command::Compact(Revision(2)),
    ];
    for command in without_effect {
        trial.done(&command);
        assert_eq!(trial.revision(), Revision(2), "{command:?}");
    }
}

#[test]
fn a_put_of_the_same_value_is_a_revision_all_the_same() {
    let trial = Trial::with(&["a=1", "a=1"]);
    let kv = &trial.all().kvs[0];
    assert_eq!(
        (kv.create_revision, kv.mod_revision, kv.version),
        (Revision(2), Revision(3), 2)
    );
}

#[test]
fn a_deleted_key_begins_anew() {
    let mut trial = Trial::with(&["a=1", "a=2"]);
    trial.done(&Command::Delete(delete(Keys::one("a"))));
    trial.done(&Command::Put(put("a=3")));
    let kv = &trial.all().kvs[0];
    assert_eq!(
        (kv.create_revision, kv.mod_revision, kv.version),
        (Revision(5), Revision(5), 1)
    );
}

#[test]
fn every_revision_since_the_compaction_can_be_read() {
    let mut trial = Trial::with(&["a=1", "b=1", "a=2"]);
    trial.done(&Command::Delete(delete(Keys::one("b"))));
    trial.done(&Command::Put(put("a=3")));
    trial.done(&Command::Compact(Revision(3)));
    for (revision, expected) in [
        (3, &["a=1", "b=1"][..]),
        (4, &["a=2", "b=1"]),
        (5, &["a=2"]),
        (6, &["a=3"]),
        (0, &["a=3"]),
    ] {
        let found = trial.found(&at(revision, Keys::all()));
        assert_eq!(texts(&found), expected, "at {revision}");
    }
}

#[test]
fn what_is_compacted_and_what_is_future_cannot_be_read() {
    let mut trial = Trial::with(&["a=1", "a=2", "a=3"]);
    trial.done(&Command::Compact(Revision(3)));
    let compacted = Refusal::Compacted {
        compacted: Revision(3),
    };
    let future = Refusal::FutureRevision {
        revision: Revision(4),
    };
    for (revision, refusal) in [
        (1, compacted),
        (2, compacted),
        (5, future),
        (u64::MAX, future),
    ] {
        let request = at(revision, Keys::one("a"));
        assert_eq!(trial.range(&request), Err(refusal), "at {revision}");
        let txn = TxnRequest {
            success: vec![Op::Put(put("b=1")), Op::Range(request)],
            ..TxnRequest::default()
        };
        assert_eq!(trial.refused(&Command::Txn(txn)), refusal, "at {revision}");
    }
}

#[test]
fn a_compaction_goes_forward_and_not_beyond_what_is_there() {
    let mut trial = Trial::with(&["a=1", "a=2", "a=3"]);
    trial.done(&Command::Compact(Revision(2)));
    let compacted = Refusal::Compacted {
        compacted: Revision(2),
    };
    let future = Refusal::FutureRevision {
        revision: Revision(4),
    };
    for (revision, refusal) in [(0, compacted), (1, compacted), (2, compacted), (5, future)] {
        assert_eq!(
            trial.refused(&Command::Compact(Revision(revision))),
            refusal,
            "to {revision}"
        );
    }
    trial.done(&Command::Compact(Revision(4)));
    assert_eq!(trial.texts(), ["a=3"]);
}

#[test]
fn the_texts_of_refusals_are_those_that_clients_match_on() {
    let revision = Revision(7);
    for (refusal, text) in [
        (
            Refusal::Compacted {
                compacted: revision,
            },
            "etcdserver: mvcc: required revision has been compacted",
        ),
        (
            Refusal::FutureRevision { revision },
            "etcdserver: mvcc: required revision is a future revision",
        ),
        (Refusal::EmptyKey, "etcdserver: key is not provided"),
        (Refusal::KeyNotFound, "etcdserver: key not found"),
        (
            Refusal::DuplicateKey,
            "etcdserver: duplicate key given in txn request",
        ),
        (
            Refusal::TooManyOps,
            "etcdserver: too many operations in txn request",
        ),
        (
            Refusal::LeaseNotFound,
            "etcdserver: requested lease not found",
        ),
        (Refusal::LeaseExists, "etcdserver: lease already exists"),
        (Refusal::LeaseTtlTooLarge, "etcdserver: too large lease TTL"),
        (
            Refusal::NoSpace,
            "etcdserver: mvcc: database space exceeded",
        ),
    ] {
        assert_eq!(refusal.to_string(), text);
    }
}
