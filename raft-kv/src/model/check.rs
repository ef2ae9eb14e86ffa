//! What is wrong with a transaction in itself, whatever the state.
//!
//! Within one transaction a key is put at most once, and not put where it is deleted; the two
//! branches of a transaction exclude each other, so they may share keys. This is etcd's rule but
//! for one case: of two transactions within another, the second may not delete what the first puts.
//! etcd does both; then the key has two changes in one revision, of which no reader can see the
//! first.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::engine::Span;
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::request::{Op, RangeRequest, TxnRequest};

/// Whether a transaction can be carried out at all.
///
/// # Errors
/// When a key is empty, or changed twice.
pub fn check_txn(txn: &TxnRequest) -> Result<(), Refusal> {
    check_keys(txn)?;
    changes_of(&txn.success)?;
    changes_of(&txn.failure)?;
    Ok(())
}

fn check_keys(txn: &TxnRequest) -> Result<(), Refusal> {
    if txn.compares.iter().any(|compare| is_nothing(&compare.keys)) {
        return Err(Refusal::EmptyKey);
    }
    for op in txn.success.iter().chain(&txn.failure) {
        let is_nothing = match op {
            Op::Range(RangeRequest { keys, .. }) => is_nothing(keys),
            Op::Put(put) => put.key.is_empty(),
            Op::Delete(delete) => is_nothing(&delete.keys),
            Op::Txn(inner) => {
                check_keys(inner)?;
                false
            }
        };
        if is_nothing {
            return Err(Refusal::EmptyKey);
        }
    }
    Ok(())
}

fn is_nothing(keys: &Keys) -> bool {
    matches!(keys, Keys::One(key) if key.is_empty())
}

/// What some parts of a transaction may change.
#[derive(Default)]
struct Changes {
    puts: BTreeSet<Bytes>,
    deletes: Spans,
}

/// What the parts of a branch change, if none is in another's way.
fn changes_of(ops: &[Op]) -> Result<Changes, Refusal> {
    let mut changes = Changes::default();
    for op in ops {
        if let Op::Delete(delete) = op {
            changes.deletes.insert(&delete.keys.span());
        }
    }
    // Beside those of this level: what a transaction within deletes may have been deleted here.
    let mut inner_deletes = Spans::default();
    for op in ops {
        let Op::Txn(inner) = op else { continue };
        let branches = [changes_of(&inner.success)?, changes_of(&inner.failure)?];
        for branch in &branches {
            let is_free = |key| {
                !changes.puts.contains(key)
                    && !changes.deletes.contains(key)
                    && !inner_deletes.contains(key)
            };
            if !branch.puts.iter().all(is_free) || changes.puts_any_in(&branch.deletes) {
                return Err(Refusal::DuplicateKey);
            }
        }
        for branch in branches {
            changes.puts.extend(branch.puts);
            inner_deletes.extend(&branch.deletes);
        }
    }
    changes.deletes.extend(&inner_deletes);
    for op in ops {
        let Op::Put(put) = op else { continue };
        if changes.deletes.contains(&put.key) || !changes.puts.insert(put.key.clone()) {
            return Err(Refusal::DuplicateKey);
        }
    }
    Ok(changes)
}

impl Changes {
    fn puts_any_in(&self, spans: &Spans) -> bool {
        spans.0.iter().any(|(from, to)| {
            let first = self.puts.range(from.clone()..).next();
            first.is_some_and(|key| to.as_ref().is_none_or(|to| key < to))
        })
    }
}

/// Stretches of keys: each from its first to the key behind it, none touching another.
#[derive(Default)]
struct Spans(BTreeMap<Bytes, Option<Bytes>>);

impl Spans {
    fn insert(&mut self, span: &Span) {
        if span.is_empty() {
            return;
        }
        let (mut from, mut to) = (span.from.clone(), span.to.clone());
        let reaches = |end: &Option<Bytes>, key: &Bytes| end.as_ref().is_none_or(|end| end >= key);
        // Whatever begins at or before its end, and reaches its beginning, becomes one with it.
        while let Some((other_from, other_to)) = self
            .last_at(to.as_ref())
            .filter(|(_, other_to)| reaches(other_to, &from))
        {
            self.0.remove(&other_from);
            from = from.min(other_from);
            to = match (to, other_to) {
                (Some(to), Some(other_to)) => Some(to.max(other_to)),
                (_, None) | (None, _) => None,
            };
        }
        self.0.insert(from, to);
    }

    /// The last one that begins at this key or before it.
    fn last_at(&self, key: Option<&Bytes>) -> Option<(Bytes, Option<Bytes>)> {
        let last = match key {
            Some(key) => self.0.range::<Bytes, _>(..=key).next_back(),
            None => self.0.last_key_value(),
        };
        last.map(|(from, to)| (from.clone(), to.clone()))
    }

    fn extend(&mut self, other: &Self) {
        for (from, to) in &other.0 {
            let (from, to) = (from.clone(), to.clone());
            self.insert(&Span { from, to });
        }
    }

    fn contains(&self, key: &Bytes) -> bool {
        let before = self.0.range::<Bytes, _>(..=key).next_back();
        before.is_some_and(|(_, to)| to.as_ref().is_none_or(|to| key < to))
    }
}

#[cfg(test)]
mod tests;
