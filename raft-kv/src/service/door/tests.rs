//! What the door refuses, request by request.

use bytes::Bytes;

use super::*;
use crate::request::{Compare, CompareTarget, DeleteRequest, Operator, PutRequest};
use crate::types::LeaseId;

const LIMITS: Limits = Limits {
    txn_ops_max: 4,
    request_bytes_max: 100,
};

/// Puts of different keys.
fn puts(prefix: &str, count: usize) -> Vec<Op> {
    let put = |number| Op::Put(PutRequest::of(format!("{prefix}{number}"), ""));
    (0..count).map(put).collect()
}

fn txn(success: Vec<Op>) -> TxnRequest {
    TxnRequest {
        success,
        ..TxnRequest::default()
    }
}

fn compares(count: usize) -> TxnRequest {
    let compare = Compare {
        keys: Keys::one("a"),
        operator: Operator::Equal,
        target: CompareTarget::Version(0),
    };
    TxnRequest {
        compares: vec![compare; count],
        ..TxnRequest::default()
    }
}

/// So many transactions, each within the one before.
fn nested(depth: usize) -> TxnRequest {
    let around = |inner, _| txn(vec![Op::Txn(inner)]);
    (1..depth).fold(TxnRequest::default(), around)
}

#[test]
fn the_longest_list_of_a_transaction_counts() {
    let both = TxnRequest {
        failure: puts("b", 4),
        ..txn(puts("a", 4))
    };
    for (what, txn, expected) in [
        ("as many as may be", txn(puts("a", 4)), Ok(())),
        ("one more", txn(puts("a", 5)), Err(Refusal::TooManyOps)),
        ("branches apart", both, Ok(())),
        ("compares", compares(4), Ok(())),
        ("one more compare", compares(5), Err(Refusal::TooManyOps)),
    ] {
        assert_eq!(check_txn(&txn, &LIMITS), expected, "{what}");
    }
}

#[test]
fn what_lies_within_may_have_what_is_left() {
    let within = |outer: usize, inner: usize| {
        let mut ops = puts("a", outer - 1);
        ops.push(Op::Txn(txn(puts("b", inner))));
        txn(ops)
    };
    for (outer, inner, expected) in [
        (1, 3, Ok(())),
        (1, 4, Err(Refusal::TooManyOps)),
        (3, 1, Ok(())),
        (4, 1, Err(Refusal::TooManyOps)),
        (4, 0, Ok(())),
    ] {
        let checked = check_txn(&within(outer, inner), &LIMITS);
        assert_eq!(checked, expected, "{inner} within {outer}");
    }
}

#[test]
fn what_is_let_in_is_not_too_deep_to_be_read() {
    let limits = Limits::default();
    let deepest = nested(TXN_DEPTH_MAX);
    assert_eq!(check_txn(&deepest, &limits), Ok(()));
    assert!(Command::decode(Command::Txn(deepest).encode()).is_ok());
    let deeper = nested(TXN_DEPTH_MAX + 1);
    assert_eq!(check_txn(&deeper, &limits), Err(Refusal::TooManyOps));
    assert!(Command::decode(Command::Txn(deeper).encode()).is_err());
}

#[test]
fn commands_that_no_state_allows_are_refused() {
    let put = |key: &str| Command::Put(PutRequest::of(Bytes::copy_from_slice(key.as_bytes()), ""));
    let delete = |keys| {
        Command::Delete(DeleteRequest {
            keys,
            wants_prev: false,
        })
    };
    let grant = |ttl_s| Command::Grant {
        id: LeaseId::NONE,
        ttl_s,
    };
    let twice = txn([puts("a", 1), puts("a", 1)].concat());
    for (what, command, expected) in [
        ("a key", put("a"), Ok(())),
        ("no key", put(""), Err(Refusal::EmptyKey)),
        ("one deleted", delete(Keys::one("a")), Ok(())),
        (
            "none deleted",
            delete(Keys::one("")),
            Err(Refusal::EmptyKey),
        ),
        ("all deleted", delete(Keys::all()), Ok(())),
        (
            "a key put twice",
            Command::Txn(twice),
            Err(Refusal::DuplicateKey),
        ),
        ("a long lease", grant(9_000_000_000), Ok(())),
        (
            "a longer lease",
            grant(9_000_000_001),
            Err(Refusal::LeaseTtlTooLarge),
        ),
    ] {
        assert_eq!(check(&command, &LIMITS), expected, "{what}");
    }
    let nothing = RangeRequest::of(Keys::one(""));
    assert_eq!(check_range(&nothing), Err(Refusal::EmptyKey));
    assert_eq!(check_range(&RangeRequest::of(Keys::all())), Ok(()));
}

#[test]
fn what_is_too_long_is_refused() {
    assert!(check_length(100, &LIMITS).is_ok());
    let refused = check_length(101, &LIMITS);
    let Err(KvError::TooLarge { bytes, bytes_max }) = refused else {
        panic!("it is too long: {refused:?}");
    };
    assert_eq!((bytes, bytes_max), (101, 100));
}
