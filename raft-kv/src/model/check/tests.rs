//! Which transactions can be carried out.

use super::*;
use crate::request::{Compare, CompareTarget, DeleteRequest, Operator, PutRequest};

fn put(key: &'static str) -> Op {
    Op::Put(PutRequest::of(key, "value"))
}

fn delete(from: &'static str, to: &'static str) -> Op {
    let keys = Keys::of(from.into(), to.into());
    Op::Delete(DeleteRequest {
        keys,
        wants_prev: false,
    })
}

fn txn(success: Vec<Op>, failure: Vec<Op>) -> Op {
    Op::Txn(TxnRequest {
        compares: Vec::new(),
        success,
        failure,
    })
}

fn check(ops: &[Op], expected: Result<(), Refusal>) {
    let branch = TxnRequest {
        success: ops.to_vec(),
        ..TxnRequest::default()
    };
    assert_eq!(check_txn(&branch), expected, "{ops:?}");
    let other_branch = TxnRequest {
        failure: ops.to_vec(),
        ..TxnRequest::default()
    };
    assert_eq!(check_txn(&other_branch), expected, "{ops:?}");
}

#[test]
fn a_key_is_changed_once() {
    let twice = Err(Refusal::DuplicateKey);
    check(&[put("a"), put("b")], Ok(()));
    check(&[put("a"), put("a")], twice);
    check(&[put("b"), delete("a", "c")], twice);
    check(&[delete("a", "c"), put("c")], Ok(()));
    check(&[delete("b", "\0"), put("z")], twice);
    check(&[delete("c", "a"), put("b")], Ok(()));
    check(&[delete("a", "c"), delete("b", "d")], Ok(()));
    check(&[delete("a", "c"), delete("b", "d"), put("cc")], twice);
}

#[test]
fn transactions_within_count_but_branches_exclude_each_other() {
    let twice = Err(Refusal::DuplicateKey);
    check(&[txn(vec![put("a")], vec![put("a")])], Ok(()));
    check(&[txn(vec![put("a")], vec![delete("a", "")])], Ok(()));
    check(&[put("a"), txn(vec![], vec![put("a")])], twice);
    check(
        &[txn(vec![put("a")], vec![]), txn(vec![put("a")], vec![])],
        twice,
    );
    check(&[txn(vec![delete("a", "")], vec![]), put("a")], twice);
    check(&[delete("a", "c"), txn(vec![put("b")], vec![])], twice);
    let deleted_then_put = vec![
        txn(vec![delete("a", "")], vec![]),
        txn(vec![put("a")], vec![]),
    ];
    check(&deleted_then_put, twice);
}

#[test]
fn what_one_inner_transaction_puts_the_next_may_not_delete() {
    let put_then_deleted = vec![
        txn(vec![put("b")], vec![]),
        txn(vec![delete("a", "c")], vec![]),
    ];
    check(&put_then_deleted, Err(Refusal::DuplicateKey));
}

#[test]
fn a_key_is_not_empty() {
    let nothing = Err(Refusal::EmptyKey);
    check(&[put("")], nothing);
    check(&[delete("", "")], nothing);
    check(&[delete("", "b")], Ok(()));
    check(
        &[txn(
            vec![Op::Range(RangeRequest::of(Keys::one("")))],
            vec![],
        )],
        nothing,
    );
    let compare = Compare {
        keys: Keys::one(""),
        operator: Operator::Equal,
        target: CompareTarget::Version(0),
    };
    let compares = TxnRequest {
        compares: vec![compare],
        ..TxnRequest::default()
    };
    assert_eq!(check_txn(&compares), nothing);
}

#[test]
fn many_spans_are_one_where_they_touch() {
    let mut dice = raft_core::sim::rng::Rng::new(3);
    for _ in 0..500 {
        let mut spans = Spans::default();
        let mut inside = [false; 16];
        for _ in 0..dice.below(8) {
            let (from, to) = (dice.below(16), dice.below(17));
            let key = |number: u64| Bytes::from(vec![b'a' + number as u8]);
            spans.insert(&Span {
                from: key(from),
                to: (to < 16).then(|| key(to)),
            });
            for (number, inside) in inside.iter_mut().enumerate() {
                *inside |= (from..to).contains(&(number as u64));
            }
        }
        for (number, inside) in inside.iter().enumerate() {
            let key = Bytes::from(vec![b'a' + number as u8]);
            assert_eq!(spans.contains(&key), *inside, "{key:?} in {:?}", spans.0);
        }
        let stretches = inside.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        assert_eq!(spans.0.len(), stretches + usize::from(inside[0]));
    }
}
