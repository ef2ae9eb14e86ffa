//! Random requests in all their forms. It does not know which of them are refused.

use bytes::Bytes;
use raft_kv::request::{
    Compare, CompareTarget, Content, DeleteRequest, Op, Operator, PutRequest, RangeRequest,
    RevisionRange, Sort, SortBy, TxnRequest,
};
use raft_kv::{Keys, LeaseId, Refusal, Revision};

use super::Dice;
use crate::kv::reference::Reference;

/// Transactions in transactions in transactions.
const DEPTH_MAX: u64 = 3;
const VALUES: [&[u8]; 6] = [
    b"",
    b"1",
    b"2",
    b"22",
    b"\0",
    b"a value of some more bytes, for once",
];

impl Dice {
    fn key(&mut self) -> Bytes {
        if self.rng.below(100) == 0 {
            return Bytes::new();
        }
        self.rng.pick(&self.keys).cloned().unwrap_or_default()
    }

    /// One key or some, in all the forms that there are.
    pub fn keys(&mut self) -> Keys {
        let (key, end) = (self.key(), self.key());
        match self.rng.below(16) {
            0..8 => Keys::one(key),
            8..11 => Keys::of(key.clone().min(end.clone()), key.max(end)),
            11 => Keys::of(key, Bytes::from_static(b"\0")),
            12 => Keys::of(key, end),
            13 => Keys::prefix(key),
            14 => Keys::of(Bytes::from_static(b"\0"), Bytes::from_static(b"\0")),
            _ => Keys::all(),
        }
    }

    fn value(&mut self) -> Bytes {
        Bytes::from_static(self.rng.pick(&VALUES).copied().unwrap_or_default())
    }

    pub(super) fn put(&mut self, store: &Reference) -> PutRequest {
        let lease = match self.rng.below(10) {
            0 => None,
            1..6 => Some(LeaseId::NONE),
            // There is mostly none, so this would mostly be refused.
            _ if store.leases.is_empty() && self.rng.below(4) > 0 => Some(LeaseId::NONE),
            _ => Some(self.lease(store)),
        };
        PutRequest {
            key: self.key(),
            value: (self.rng.below(12) > 0).then(|| self.value()),
            lease,
            wants_prev: self.rng.below(3) == 0,
        }
    }

    pub(super) fn delete(&mut self) -> DeleteRequest {
        // Else there would be few keys.
        let is_of_one = self.rng.below(2) == 0;
        DeleteRequest {
            keys: if is_of_one {
                Keys::one(self.key())
            } else {
                self.keys()
            },
            wants_prev: self.rng.below(2) == 0,
        }
    }

    /// A range with any of its options.
    pub fn range(&mut self, store: &Reference) -> RangeRequest {
        let sort_by = [
            SortBy::Key,
            SortBy::Version,
            SortBy::Create,
            SortBy::Mod,
            SortBy::Value,
        ];
        let sort = self.rng.pick(&sort_by).map(|by| Sort {
            by: *by,
            is_descending: false,
        });
        let is_descending = self.rng.below(2) == 0;
        RangeRequest {
            keys: if self.rng.below(3) == 0 {
                Keys::all()
            } else {
                self.keys()
            },
            revision: self.revision(store),
            limit: *self.rng.pick(&[0, 0, 0, 1, 2, 3, u64::MAX]).unwrap_or(&0),
            sort: sort
                .map(|sort| Sort {
                    is_descending,
                    ..sort
                })
                .filter(|_| self.rng.below(2) == 0),
            content: match self.rng.below(6) {
                0 => Content::KeysOnly,
                1 => Content::CountOnly,
                _ => Content::Full,
            },
            modified: self.bounds(store),
            created: self.bounds(store),
        }
    }

    fn bounds(&mut self, store: &Reference) -> RevisionRange {
        let mut bound = |chance: u64| {
            if self.rng.below(chance) == 0 {
                self.edge(store)
            } else {
                Revision::NONE
            }
        };
        RevisionRange {
            min: bound(6),
            max: bound(6),
        }
    }

    /// A transaction; mostly one that does not put a key twice.
    pub(super) fn txn(&mut self, store: &Reference) -> TxnRequest {
        let depth = self.rng.below(DEPTH_MAX);
        let mut txn = self.any_txn(store, depth);
        for _ in 0..6 {
            let is_clear = Reference::check_txn(&txn) != Err(Refusal::DuplicateKey);
            if is_clear || self.rng.below(12) == 0 {
                break;
            }
            txn = self.any_txn(store, depth);
        }
        txn
    }

    fn any_txn(&mut self, store: &Reference, depth: u64) -> TxnRequest {
        TxnRequest {
            compares: (0..self.rng.below(3))
                .map(|_| self.compare(store))
                .collect(),
            success: self.branch(store, depth),
            failure: self.branch(store, depth),
        }
    }

    fn branch(&mut self, store: &Reference, depth: u64) -> Vec<Op> {
        (0..self.rng.below(4))
            .map(|_| self.op(store, depth))
            .collect()
    }

    fn op(&mut self, store: &Reference, depth: u64) -> Op {
        match self.rng.below(9) {
            0..2 => Op::Range(self.range(store)),
            2..5 => Op::Put(self.put(store)),
            5..7 => Op::Delete(self.delete()),
            _ if depth == 0 => Op::Put(self.put(store)),
            _ => Op::Txn(self.any_txn(store, depth - 1)),
        }
    }

    fn compare(&mut self, store: &Reference) -> Compare {
        let operators = [
            Operator::Equal,
            Operator::Greater,
            Operator::Less,
            Operator::NotEqual,
        ];
        let revision = self.edge(store).0.cast_signed();
        let version = self.rng.below(4).cast_signed() - 1;
        Compare {
            keys: self.keys(),
            operator: *self.rng.pick(&operators).unwrap_or(&Operator::Equal),
            target: match self.rng.below(6) {
                0 => CompareTarget::Version(version),
                1 => CompareTarget::Create(revision),
                2 => CompareTarget::Mod(revision),
                3 => CompareTarget::Lease(self.lease(store).0),
                _ => CompareTarget::Value(self.value()),
            },
        }
    }
}
