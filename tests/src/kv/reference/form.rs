//! What is wrong with a request whatever the state: empty keys, and keys that are put twice.

use bytes::Bytes;
use raft_kv::request::{Op, TxnRequest};
use raft_kv::{Keys, Refusal};

use super::Reference;

/// A part with the way to it: which branch, and which place in it, from the outermost transaction
/// inwards.
struct Located<'a> {
    way: Vec<(bool, usize)>,
    op: &'a Op,
}

impl Reference {
    pub(super) fn check_keys(keys: &Keys) -> Result<(), Refusal> {
        match keys {
            Keys::One(key) => check_key(key),
            Keys::In(_) => Ok(()),
        }
    }

    /// What is wrong with a transaction whatever the state.
    ///
    /// # Errors
    /// When a key is empty, or put twice, or put where it is deleted.
    pub fn check_txn(txn: &TxnRequest) -> Result<(), Refusal> {
        check_no_key_is_empty(txn)?;
        let mut parts = Vec::new();
        locate(txn, &[], &mut parts);
        for one in &parts {
            for other in &parts {
                if one.way < other.way && clashes(one, other) {
                    return Err(Refusal::DuplicateKey);
                }
            }
        }
        Ok(())
    }
}

fn check_key(key: &Bytes) -> Result<(), Refusal> {
    if key.is_empty() {
        return Err(Refusal::EmptyKey);
    }
    Ok(())
}

fn check_no_key_is_empty(txn: &TxnRequest) -> Result<(), Refusal> {
    for compare in &txn.compares {
        Reference::check_keys(&compare.keys)?;
    }
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            Op::Range(range) => Reference::check_keys(&range.keys)?,
            Op::Put(put) => check_key(&put.key)?,
            Op::Delete(delete) => Reference::check_keys(&delete.keys)?,
            Op::Txn(inner) => check_no_key_is_empty(inner)?,
        }
    }
    Ok(())
}

/// All parts but inner transactions themselves.
fn locate<'a>(txn: &'a TxnRequest, way: &[(bool, usize)], parts: &mut Vec<Located<'a>>) {
    for (branch, ops) in [(true, &txn.success), (false, &txn.failure)] {
        for (place, op) in ops.iter().enumerate() {
            let way = [way, &[(branch, place)]].concat();
            match op {
                Op::Txn(inner) => locate(inner, &way, parts),
                Op::Range(_) | Op::Put(_) | Op::Delete(_) => parts.push(Located { way, op }),
            }
        }
    }
}

/// Whether two parts that may both be done change the same key, and one of them puts it.
fn clashes(one: &Located<'_>, other: &Located<'_>) -> bool {
    let parting = one
        .way
        .iter()
        .zip(&other.way)
        .find(|(one, other)| one != other);
    let are_exclusive = parting.is_some_and(|(one, other)| one.0 != other.0);
    !are_exclusive
        && match (one.op, other.op) {
            (Op::Put(one), Op::Put(other)) => one.key == other.key,
            (Op::Put(put), Op::Delete(delete)) | (Op::Delete(delete), Op::Put(put)) => {
                delete.keys.contains(&put.key)
            }
            _ => false,
        }
}
