//! What clients ask for: etcd's requests with what is meaningless left out by type.
//!
//! It does not know how anything is done.

use bytes::Bytes;

use crate::keys::Keys;
use crate::types::{LeaseId, Revision};

/// Asks for keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeRequest {
    /// Which.
    pub keys: Keys,
    /// As they were then; [`Revision::NONE`] for now.
    pub revision: Revision,
    /// At most so many; 0 for all.
    pub limit: u64,
    /// In which order, if not by key.
    pub sort: Option<Sort>,
    /// How much of each.
    pub content: Content,
    /// Only those put in these revisions.
    pub modified: RevisionRange,
    /// Only those created in these revisions.
    pub created: RevisionRange,
}

impl RangeRequest {
    /// All of these keys, now.
    #[must_use]
    pub fn of(keys: Keys) -> Self {
        Self {
            keys,
            revision: Revision::NONE,
            limit: 0,
            sort: None,
            content: Content::Full,
            modified: RevisionRange::default(),
            created: RevisionRange::default(),
        }
    }
}

/// From one revision to another, both included; [`Revision::NONE`] is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RevisionRange {
    /// The first.
    pub min: Revision,
    /// The last.
    pub max: Revision,
}

impl RevisionRange {
    /// Whether it is within.
    #[must_use]
    pub fn contains(self, revision: Revision) -> bool {
        self.min <= revision && (self.max == Revision::NONE || revision <= self.max)
    }

    /// Whether it bounds anything.
    #[must_use]
    pub fn is_bounded(self) -> bool {
        self != Self::default()
    }
}

/// An order of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// Which end first.
    pub is_descending: bool,
}

/// What keys are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// The key.
    Key,
    /// How often it was put.
    Version,
    /// When it came to be.
    Create,
    /// When it was put last.
    Mod,
    /// The value.
    Value,
}

/// How much of keys is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// All.
    #[default]
    Full,
    /// All but the values.
    KeysOnly,
    /// Only how many there are.
    CountOnly,
}

/// Gives a key a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutRequest {
    /// Which.
    pub key: Bytes,
    /// The value; `None` keeps the one that it has.
    pub value: Option<Bytes>,
    /// The lease; `None` keeps the one that it has.
    pub lease: Option<LeaseId>,
    /// Whether to answer with what was there before.
    pub wants_prev: bool,
}

impl PutRequest {
    /// A value without a lease.
    #[must_use]
    pub fn of(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
            lease: Some(LeaseId::NONE),
            wants_prev: false,
        }
    }
}

/// Deletes keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRequest {
    /// Which.
    pub keys: Keys,
    /// Whether to answer with what was there.
    pub wants_prev: bool,
}

/// Compares, then does one thing or another, at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnRequest {
    /// All must hold.
    pub compares: Vec<Compare>,
    /// What is done if they do.
    pub success: Vec<Op>,
    /// What is done if they do not.
    pub failure: Vec<Op>,
}

/// A part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reads; sees what the parts before it did.
    Range(RangeRequest),
    /// Puts.
    Put(PutRequest),
    /// Deletes.
    Delete(DeleteRequest),
    /// A transaction within: its compares see what was there before the outermost one.
    Txn(TxnRequest),
}

/// A condition, which all of the keys must meet. If there are none of them, it is compared with a
/// key that never was: all numbers are 0; a comparison of values does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// Of which keys.
    pub keys: Keys,
    /// How.
    pub operator: Operator,
    /// What of them, with what.
    pub target: CompareTarget,
}

/// How what is there relates to what is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The same.
    Equal,
    /// More than what is given.
    Greater,
    /// Less than what is given.
    Less,
    /// Something else.
    NotEqual,
}

/// What is compared with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompareTarget {
    /// How often it was put.
    Version(i64),
    /// When it came to be.
    Create(i64),
    /// When it was put last.
    Mod(i64),
    /// The value.
    Value(Bytes),
    /// The lease.
    Lease(i64),
}
