//! Compares, branches, and the checks that come before anything is done.

use bytes::Bytes;
use raft_core::Index;
use raft_core::session::{Answered, Session};
use raft_kv::command::Command;
use raft_kv::request::{
    Compare, CompareTarget, Op, Operator, PutRequest, RangeRequest, TxnRequest,
};
use raft_kv::response::TxnResponse;
use raft_kv::{AlarmKind, Answer, Keys, LeaseId, Refusal, Response, Revision};

use super::{Trial, at, delete, put, texts};

fn compare(keys: Keys, operator: Operator, target: CompareTarget) -> Compare {
    Compare {
        keys,
        operator,
        target,
    }
}

fn success(ops: Vec<Op>) -> TxnRequest {
    TxnRequest {
        success: ops,
        ..TxnRequest::default()
    }
}

fn failure(ops: Vec<Op>) -> TxnRequest {
    TxnRequest {
        failure: ops,
        ..TxnRequest::default()
    }
}

fn txn_done(response: Response) -> TxnResponse {
    let Response::Txn(done) = response else {
        panic!("{response:?} of a transaction");
    };
    done
}

fn succeeded(trial: &mut Trial, compares: Vec<Compare>) -> bool {
    let txn = TxnRequest {
        compares,
        ..TxnRequest::default()
    };
    txn_done(trial.done(&Command::Txn(txn))).succeeded
}

#[test]
fn a_compare_holds_when_it_does_for_all_keys() {
    let mut trial = Trial::with(&["a=1", "b=2", "b=3"]);
    use CompareTarget::{Create, Lease, Mod, Value, Version};
    use Operator::{Equal, Greater, Less, NotEqual};
    let value = |text: &'static str| Value(Bytes::from_static(text.as_bytes()));
    for (keys, operator, target, expected) in [
        (Keys::one("a"), Equal, value("1"), true),
        (Keys::one("a"), NotEqual, value("1"), false),
        (Keys::one("b"), Equal, Create(3), true),
        (Keys::one("b"), Equal, Mod(4), true),
        (Keys::one("b"), Equal, Version(2), true),
        (Keys::one("b"), Greater, Mod(3), true),
        (Keys::one("b"), Less, Mod(4), false),
        (Keys::one("b"), Greater, Mod(-1), true),
        (Keys::one("a"), Equal, Lease(0), true),
        (Keys::all(), Greater, Create(1), true),
        (Keys::all(), Greater, Create(2), false),
        (Keys::all(), Less, value("4"), true),
        (Keys::all(), Equal, value("1"), false),
    ] {
        let one = compare(keys, operator, target);
        assert_eq!(
            succeeded(&mut trial, vec![one.clone()]),
            expected,
            "{one:?}"
        );
    }
}

#[test]
fn a_key_that_is_not_there_is_all_zero_and_like_no_value() {
    let mut trial = Trial::with(&["a=1"]);
    use CompareTarget::{Create, Lease, Mod, Value, Version};
    use Operator::{Equal, Greater, Less, NotEqual};
    for keys in [Keys::one("b"), Keys::from("b"), Keys::between("b", "a")] {
        for (operator, target, expected) in [
            (Equal, Version(0), true),
            (Equal, Create(0), true),
            (Equal, Mod(0), true),
            (Equal, Lease(0), true),
            (Greater, Create(0), false),
            (Greater, Create(-1), true),
            (Less, Mod(1), true),
            (NotEqual, Version(0), false),
            (Equal, Value(Bytes::new()), false),
            (NotEqual, Value(Bytes::from_static(b"x")), false),
            (Less, Value(Bytes::from_static(b"x")), false),
        ] {
            let one = compare(keys.clone(), operator, target);
            assert_eq!(
                succeeded(&mut trial, vec![one.clone()]),
                expected,
                "{one:?}"
            );
        }
    }
}

#[test]
fn all_compares_must_hold_and_none_is_enough() {
    let mut trial = Trial::with(&["a=1"]);
    let is = |version| {
        compare(
            Keys::one("a"),
            Operator::Equal,
            CompareTarget::Version(version),
        )
    };
    assert!(succeeded(&mut trial, vec![]));
    assert!(succeeded(&mut trial, vec![is(1), is(1)]));
    assert!(!succeeded(&mut trial, vec![is(1), is(2)]));
}

#[test]
fn compares_within_see_what_was_there_before_all() {
    let mut trial = Trial::with(&["a=1"]);
    let inner = TxnRequest {
        compares: vec![compare(
            Keys::one("a"),
            Operator::Equal,
            CompareTarget::Value(Bytes::from_static(b"1")),
        )],
        success: vec![Op::Put(put("b=old"))],
        failure: vec![Op::Put(put("b=new"))],
    };
    trial.done(&Command::Txn(success(vec![
        Op::Put(put("a=2")),
        Op::Txn(inner),
    ])));
    assert_eq!(trial.texts(), ["a=2", "b=old"]);
}

#[test]
fn a_range_sees_what_the_parts_before_it_did_unless_it_asks_for_a_revision() {
    let mut trial = Trial::with(&["a=1"]);
    let ops = vec![
        Op::Range(RangeRequest::of(Keys::all())),
        Op::Put(put("b=1")),
        Op::Range(RangeRequest::of(Keys::all())),
        Op::Range(at(2, Keys::all())),
        Op::Delete(delete(Keys::one("a"))),
        Op::Range(RangeRequest::of(Keys::all())),
    ];
    let done = txn_done(trial.done(&Command::Txn(success(ops))));
    let ranges = done.responses.iter().filter_map(|response| {
        if let Response::Range(found) = response {
            Some(texts(found).join(" "))
        } else {
            None
        }
    });
    assert_eq!(ranges.collect::<Vec<_>>(), ["a=1", "a=1 b=1", "a=1", "b=1"]);
}

#[test]
fn a_key_is_put_once_and_not_where_it_is_deleted() {
    let puts = |text| Op::Put(put(text));
    let deletes = |keys| Op::Delete(delete(keys));
    let duplicates = [
        vec![puts("a=1"), puts("a=2")],
        vec![puts("a=1"), deletes(Keys::one("a"))],
        vec![deletes(Keys::from("a")), puts("b=1")],
        vec![puts("a=1"), Op::Txn(success(vec![puts("a=2")]))],
        vec![puts("a=1"), Op::Txn(failure(vec![puts("a=2")]))],
        vec![deletes(Keys::one("a")), Op::Txn(failure(vec![puts("a=2")]))],
        vec![Op::Txn(success(vec![deletes(Keys::all())])), puts("a=1")],
        vec![
            Op::Txn(success(vec![puts("a=1")])),
            Op::Txn(failure(vec![puts("a=1")])),
        ],
        vec![Op::Txn(success(vec![puts("a=1"), puts("a=1")]))],
    ];
    for ops in duplicates {
        let mut trial = Trial::with(&["z=1"]);
        let txn = Command::Txn(success(ops.clone()));
        assert_eq!(trial.refused(&txn), Refusal::DuplicateKey, "{ops:?}");
        let not_taken = Command::Txn(failure(ops.clone()));
        assert_eq!(
            trial.refused(&not_taken),
            Refusal::DuplicateKey,
            "not taken: {ops:?}"
        );
    }
    let both = TxnRequest {
        success: vec![puts("a=1")],
        failure: vec![puts("a=2"), deletes(Keys::one("b"))],
        ..TxnRequest::default()
    };
    for ops in [
        vec![Op::Txn(both)],
        vec![puts("a=1"), deletes(Keys::from("b"))],
        vec![
            puts("b=1"),
            deletes(Keys::between("a", "b")),
            deletes(Keys::one("a")),
        ],
    ] {
        Trial::new().done(&Command::Txn(success(ops)));
    }
}

#[test]
fn a_transaction_that_is_refused_leaves_nothing_behind() {
    let keeping = |value: Option<&'static str>, lease| PutRequest {
        key: Bytes::from_static(b"x"),
        value: value.map(Bytes::from),
        lease,
        wants_prev: false,
    };
    let last = [
        (
            Op::Put(keeping(None, Some(LeaseId::NONE))),
            Refusal::KeyNotFound,
        ),
        (Op::Put(keeping(Some("1"), None)), Refusal::KeyNotFound),
        (
            Op::Put(keeping(Some("1"), Some(LeaseId(9)))),
            Refusal::LeaseNotFound,
        ),
        (
            Op::Put(keeping(None, Some(LeaseId(9)))),
            Refusal::LeaseNotFound,
        ),
        (Op::Put(put("=1")), Refusal::EmptyKey),
        (Op::Delete(delete(Keys::one(""))), Refusal::EmptyKey),
        (
            Op::Range(at(4, Keys::all())),
            Refusal::FutureRevision {
                revision: Revision(3),
            },
        ),
        (
            Op::Range(at(1, Keys::all())),
            Refusal::Compacted {
                compacted: Revision(2),
            },
        ),
    ];
    for (op, refusal) in last {
        let mut trial = Trial::with(&["a=1", "b=1"]);
        trial.done(&Command::Compact(Revision(2)));
        let first = vec![Op::Put(put("a=2")), Op::Delete(delete(Keys::one("b")))];
        let ops = [first, vec![Op::Txn(success(vec![op.clone()]))]].concat();
        assert_eq!(
            trial.refused(&Command::Txn(success(ops))),
            refusal,
            "{op:?}"
        );
    }
}

#[test]
fn what_is_kept_must_be_there_and_what_was_there_is_shown() {
    let mut trial = Trial::with(&["a=1"]);
    trial.done(&Command::Grant {
        id: LeaseId(7),
        ttl_s: 60,
    });
    let before = trial.all().kvs.remove(0);
    let keeps_value = PutRequest {
        value: None,
        lease: Some(LeaseId(7)),
        wants_prev: true,
        ..put("a=")
    };
    let shown = trial.done(&Command::Put(keeps_value));
    assert_eq!(shown, Response::Put(Some(before)));
    let keeps_lease = PutRequest {
        lease: None,
        ..put("a=2")
    };
    assert_eq!(trial.done(&Command::Put(keeps_lease)), Response::Put(None));
    let kv = &trial.all().kvs[0];
    assert_eq!(
        (&kv.value[..], kv.lease, kv.version),
        (&b"2"[..], LeaseId(7), 3)
    );
}

#[test]
fn without_space_only_what_takes_room_is_refused() {
    let mut trial = Trial::with(&["a=1", "b=1"]);
    trial.done(&Command::Grant {
        id: LeaseId(7),
        ttl_s: 60,
    });
    let puts_if_not = failure(vec![Op::Txn(success(vec![Op::Put(put("c=1"))]))]);
    let takes_room = [
        Command::Put(put("a=2")),
        Command::Txn(puts_if_not),
        Command::Grant {
            id: LeaseId(8),
            ttl_s: 60,
        },
    ];
    trial.done(&Command::Raise(raft_core::NodeId(3), AlarmKind::NoSpace));
    for command in &takes_room {
        assert_eq!(trial.refused(command), Refusal::NoSpace, "{command:?}");
    }
    trial.done(&Command::Delete(delete(Keys::one("a"))));
    trial.done(&Command::Txn(success(vec![Op::Range(RangeRequest::of(
        Keys::all(),
    ))])));
    trial.done(&Command::Compact(Revision(4)));
    trial.done(&Command::Revoke(LeaseId(7)));
    trial.done(&Command::Raise(raft_core::NodeId(3), AlarmKind::Corrupt));
    trial.done(&Command::Clear(raft_core::NodeId(3), AlarmKind::NoSpace));
    for command in &takes_room {
        trial.done(command);
    }
}

#[test]
fn a_command_that_comes_again_is_answered_as_before_and_done_once() {
    let mut trial = Trial::new();
    let opened = trial.answered(Some(Session::OPENING), Bytes::new());
    let Answered::Opened { client } = opened else {
        panic!("{opened:?}");
    };
    let nth = |sequence| Some(Session { client, sequence });
    let command = Command::Put(PutRequest {
        wants_prev: true,
        ..put("a=1")
    });
    let first = trial.answered(nth(1), command.encode());
    trial.done(&Command::Put(put("a=2")));
    assert_eq!(trial.answered(nth(1), command.encode()), first);
    assert_eq!(trial.texts(), ["a=2"]);
    let Answered::Applied(answer) = first else {
        panic!("{first:?}");
    };
    let answer = Answer::decode(answer).expect("an answer");
    assert_eq!(
        (answer.revision, answer.outcome),
        (Revision(2), Ok(Response::Put(None)))
    );
    assert_ne!(
        trial.answered(nth(2), command.encode()),
        Answered::Superseded
    );
    assert_eq!(
        trial.answered(nth(1), command.encode()),
        Answered::Superseded
    );
    let stranger = Some(Session {
        client: client + 1,
        sequence: 1,
    });
    assert_eq!(
        trial.answered(stranger, command.encode()),
        Answered::Expired
    );
    assert_eq!((trial.revision(), trial.index), (Revision(4), Index(7)));
}
