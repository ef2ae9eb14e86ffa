//! The nouns of the data model. It does not know what is done with them.

use std::fmt;

use bytes::Bytes;

/// A moment in the store's life: each transaction that changes something makes the next one. A
/// fresh store is at 1; 0 is no revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// No revision; where one is asked for, it means the present one.
    pub const NONE: Self = Self(0);

    /// The one of a store in which nothing was written yet.
    pub const FIRST: Self = Self(1);

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a lease, which clients may choose; 0 is no lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

impl LeaseId {
    /// No lease.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A key with all that is known of it at some revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// When it came to be, since it was deleted last.
    pub create_revision: Revision,
    /// When it was put last.
    pub mod_revision: Revision,
    /// How often it was put since it came to be.
    pub version: u64,
    /// The lease whose end deletes it.
    pub lease: LeaseId,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// It was given a value.
    Put,
    /// It was deleted.
    Delete,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The key as it is from now on. Of a deleted one only the key and the revision of the deletion
    /// are there.
    pub kv: KeyValue,
    /// The key as it was before, if there was one and its history is still there.
    pub prev: Option<KeyValue>,
}

impl Event {
    /// The transaction that it happened in.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.kv.mod_revision
    }
}

/// What is wrong with a member, for all to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlarmKind {
    /// Its store has used up its quota. Nothing that takes room is done.
    NoSpace,
    /// Its state differs from that of the others.
    Corrupt,
}
