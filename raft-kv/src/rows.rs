//! How the data model lies in rows. It does not know when a row is written, or why.
//!
//! Numbers in keys are big-endian, so that they sort; in values they are little-endian.
//!
//! | family | key | value |
//! | --- | --- | --- |
//! | keys | the key | a record: create, mod, version, lease (8 bytes each), the value |
//! | history | the key, escaped; mod revision | the record that was replaced; empty: a deletion |
//! | revisions | revision; place (4 bytes) | kind (1 byte), mod revision before, the key |
//! | leases | 0; lease | time to live in seconds, the entry that granted it |
//! | leases | 1; lease; the key | nothing: the key is attached to the lease |
//! | sessions | client | as the table of sessions writes it |
//! | meta | a name | all that there is one of |
//!
//! In an escaped key a zero byte is followed by 255, and two zero bytes are its end; so all of a
//! key's history lies together, in the order of the keys.

mod state;

pub use state::State;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft_core::Index;
use raft_core::port::PortError;

use crate::engine::{Family, Span, View};
use crate::types::{EventKind, KeyValue, LeaseId, Revision};

/// Where the store stands in this view.
///
/// # Errors
/// When the row can't be read, or is none.
pub fn state(view: &dyn View) -> Result<State, PortError> {
    match view.get(Family::Meta, State::KEY)? {
        Some(row) => State::decode(&row).ok_or_else(|| PortError::damaged("the row of the state")),
        None => Ok(State::FRESH),
    }
}

/// A key as some revision left it, without the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it came to be.
    pub create: Revision,
    /// When it was put.
    pub modified: Revision,
    /// How often it was put.
    pub version: u64,
    /// The lease.
    pub lease: LeaseId,
    /// The value.
    pub value: Bytes,
}

impl Record {
    /// The bytes of a record without its value.
    pub const HEADER_BYTES: usize = 32;

    /// As it lies in a row.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut row = BytesMut::with_capacity(Self::HEADER_BYTES + self.value.len());
        row.put_u64_le(self.create.0);
        row.put_u64_le(self.modified.0);
        row.put_u64_le(self.version);
        row.put_i64_le(self.lease.0);
        row.put_slice(&self.value);
        row.freeze()
    }

    /// Reads a row, without copying the value; `None` if it is something else.
    #[must_use]
    pub fn decode(mut row: Bytes) -> Option<Self> {
        Some(Self {
            create: Revision(row.try_get_u64_le().ok()?),
            modified: Revision(row.try_get_u64_le().ok()?),
            version: row.try_get_u64_le().ok()?,
            lease: LeaseId(row.try_get_i64_le().ok()?),
            value: row,
        })
    }

    /// When the record in this row was put, without reading the rest.
    #[must_use]
    pub fn modified_of(row: &[u8]) -> Option<Revision> {
        let bytes = row.get(8..16)?.try_into().ok()?;
        Some(Revision(u64::from_le_bytes(bytes)))
    }

    /// With its key.
    #[must_use]
    pub fn with_key(self, key: Bytes) -> KeyValue {
        KeyValue {
            key,
            value: self.value,
            create_revision: self.create,
            mod_revision: self.modified,
            version: self.version,
            lease: self.lease,
        }
    }
}

/// What a revision did to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// What.
    pub kind: EventKind,
    /// When the record before it was put; [`Revision::NONE`] if there was none.
    pub prev: Revision,
    /// Which key.
    pub key: Bytes,
}

impl Changed {
    /// As it lies in a row.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut row = BytesMut::with_capacity(9 + self.key.len());
        row.put_u8(match self.kind {
            EventKind::Put => 0,
            EventKind::Delete => 1,
        });
        row.put_u64_le(self.prev.0);
        row.put_slice(&self.key);
        row.freeze()
    }

    /// Reads a row, without copying the key; `None` if it is something else.
    #[must_use]
    pub fn decode(mut row: Bytes) -> Option<Self> {
        let kind = match row.try_get_u8().ok()? {
            0 => EventKind::Put,
            1 => EventKind::Delete,
            _ => return None,
        };
        let prev = Revision(row.try_get_u64_le().ok()?);
        Some(Self {
            kind,
            prev,
            key: row,
        })
    }
}

/// A lease, as it was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// How long it lives without being kept alive, in seconds.
    pub ttl_s: u64,
    /// The entry that granted it.
    pub granted: Index,
}

impl Lease {
    /// As it lies in a row.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut row = BytesMut::with_capacity(16);
        row.put_u64_le(self.ttl_s);
        row.put_u64_le(self.granted.0);
        row.freeze()
    }

    /// Reads a row; `None` if it is something else.
    #[must_use]
    pub fn decode(mut row: &[u8]) -> Option<Self> {
        let lease = Self {
            ttl_s: row.try_get_u64_le().ok()?,
            granted: Index(row.try_get_u64_le().ok()?),
        };
        row.is_empty().then_some(lease)
    }
}

/// Where the record of a key lies that was put, or deleted, in this revision.
#[must_use]
pub fn history_key(key: &[u8], modified: Revision) -> Bytes {
    let mut row = escaped(key, 8);
    row.put_u64(modified.0);
    row.freeze()
}

/// The key and the revision of a row of the history; `None` if it is none.
#[must_use]
pub fn split_history_key(row: &[u8]) -> Option<(Bytes, Revision)> {
    let (escaped, modified) = row.split_last_chunk::<8>()?;
    let escaped = escaped.strip_suffix(&[0, 0])?;
    let mut key = BytesMut::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(zero) = rest.iter().position(|byte| *byte == 0) {
        if rest.get(zero + 1) != Some(&u8::MAX) {
            return None;
        }
        key.put_slice(&rest[..=zero]);
        rest = &rest[zero + 2..];
    }
    key.put_slice(rest);
    Some((key.freeze(), Revision(u64::from_be_bytes(*modified))))
}

/// Where the history of these keys lies.
#[must_use]
pub fn history_span(keys: &Span) -> Span {
    Span {
        from: escaped(&keys.from, 0).freeze(),
        to: keys.to.as_ref().map(|to| escaped(to, 0).freeze()),
    }
}

/// The escaped key with its end, and room for more.
fn escaped(key: &[u8], more: usize) -> BytesMut {
    let mut row = BytesMut::with_capacity(key.len() + 2 + more);
    let mut rest = key;
    while let Some(zero) = rest.iter().position(|byte| *byte == 0) {
        row.put_slice(&rest[..=zero]);
        row.put_u8(u8::MAX);
        rest = &rest[zero + 1..];
    }
    row.put_slice(rest);
    row.put_u16(0);
    row
}

/// Where the change lies that has this place in a revision.
#[must_use]
pub fn revision_key(revision: Revision, place: u32) -> Bytes {
    let mut row = BytesMut::with_capacity(12);
    row.put_u64(revision.0);
    row.put_u32(place);
    row.freeze()
}

/// The revision and the place of a row of the revisions; `None` if it is none.
#[must_use]
pub fn split_revision_key(mut row: &[u8]) -> Option<(Revision, u32)> {
    let revision = Revision(row.try_get_u64().ok()?);
    let place = row.try_get_u32().ok()?;
    row.is_empty().then_some((revision, place))
}

/// Where the changes of these revisions lie; the last is not included.
#[must_use]
pub fn revision_span(from: Revision, to: Revision) -> Span {
    Span::between(revision_key(from, 0), revision_key(to, 0))
}

/// Where a lease lies.
#[must_use]
pub fn lease_key(lease: LeaseId) -> Bytes {
    lease_row(0, lease, &[])
}

/// The lease of a row of the leases; `None` if it is none of a lease itself.
#[must_use]
pub fn split_lease_key(mut row: &[u8]) -> Option<LeaseId> {
    if row.try_get_u8().ok()? != 0 {
        return None;
    }
    let lease = LeaseId(row.try_get_i64().ok()?);
    row.is_empty().then_some(lease)
}

/// Where all leases lie.
#[must_use]
pub fn leases_span() -> Span {
    Span::prefix(vec![0])
}

/// Where it is said that a key is attached to a lease.
#[must_use]
pub fn attachment_key(lease: LeaseId, key: &[u8]) -> Bytes {
    lease_row(1, lease, key)
}

/// The key of a row that says that it is attached to a lease.
#[must_use]
pub fn attached_key(row: &Bytes) -> Option<Bytes> {
    (row.len() >= 9).then(|| row.slice(9..))
}

/// Where it is said what is attached to a lease.
#[must_use]
pub fn attachments_span(lease: LeaseId) -> Span {
    Span::prefix(lease_row(1, lease, &[]))
}

fn lease_row(kind: u8, lease: LeaseId, key: &[u8]) -> Bytes {
    let mut row = BytesMut::with_capacity(9 + key.len());
    row.put_u8(kind);
    row.put_i64(lease.0);
    row.put_slice(key);
    row.freeze()
}

/// Where the session of a client lies.
#[must_use]
pub fn session_key(client: u64) -> Bytes {
    Bytes::copy_from_slice(&client.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let record = Record {
            create: Revision(2),
            modified: Revision(u64::MAX),
            version: 3,
            lease: LeaseId(-4),
            value: Bytes::from_static(b"value"),
        };
        assert_eq!(Record::modified_of(&record.encode()), Some(record.modified));
        assert_eq!(Record::decode(record.encode()), Some(record));
        assert_eq!(Record::decode(Bytes::from_static(&[0; 31])), None);
        let changed = Changed {
            kind: EventKind::Delete,
            prev: Revision(7),
            key: Bytes::from_static(b"key"),
        };
        assert_eq!(Changed::decode(changed.encode()), Some(changed));
        let lease = Lease {
            ttl_s: 5,
            granted: Index(6),
        };
        assert_eq!(Lease::decode(&lease.encode()), Some(lease));
        assert_eq!(split_lease_key(&lease_key(LeaseId(-9))), Some(LeaseId(-9)));
        let attached = attachment_key(LeaseId(-9), b"key");
        assert_eq!(attached_key(&attached).as_deref(), Some(&b"key"[..]));
        assert!(attachments_span(LeaseId(-9)).contains(&attached));
        assert!(!leases_span().contains(&attached));
        let place = revision_key(Revision(8), 9);
        assert_eq!(split_revision_key(&place), Some((Revision(8), 9)));
    }

    #[test]
    fn the_history_sorts_by_key_then_revision() {
        let keys: [&[u8]; 8] = [
            b"", b"\0", b"\0\0", b"\0\x01", b"\0\xff", b"a", b"a\0", b"ab",
        ];
        let mut rows = Vec::new();
        for key in keys {
            for revision in [1, 255, 256, u64::MAX] {
                let row = history_key(key, Revision(revision));
                let split = split_history_key(&row);
                assert_eq!(split, Some((Bytes::from(key), Revision(revision))));
                rows.push(row);
            }
        }
        assert!(rows.is_sorted(), "{rows:?}");
    }

    #[test]
    fn the_history_of_a_span_is_that_of_its_keys() {
        let keys: [&[u8]; 6] = [b"\0", b"a", b"a\0", b"a\0\xff", b"ab", b"b"];
        for from in keys {
            for to in keys {
                let span = Span::between(Bytes::from(from), Bytes::from(to));
                for key in keys {
                    let row = history_key(key, Revision(5));
                    let is_inside = history_span(&span).contains(&row);
                    assert_eq!(is_inside, span.contains(key), "{key:?} in {span:?}");
                }
            }
        }
    }
}
