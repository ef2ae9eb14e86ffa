//! The row of all that there is one number of. It does not know how the numbers change.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft_core::{Index, Term};

use crate::types::Revision;

/// Where the store stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The latest revision.
    pub revision: Revision,
    /// What was there at this revision, and later, can be read; [`Revision::NONE`] before the first
    /// compaction.
    pub compacted: Revision,
    /// The last entry applied.
    pub applied: Index,
    /// Its term.
    pub term: Term,
    /// The time in the log, in milliseconds since 1970.
    pub time_ms: u64,
    /// How many keys there are now.
    pub keys: u64,
    /// How many leases there are.
    pub leases: u64,
    /// What each row of the state contributes, summed up: see `digest`.
    pub digest: u64,
    /// The digests after each entry so far, chained: what differs once differs for ever.
    pub chain: u64,
    /// The version of commands that may be proposed.
    pub version: u8,
    /// The revision of users and roles while anybody is asked who they are; [`State::AUTH_OFF`]
    /// while nobody is. It stands here so that whoever reads knows under which one.
    pub auth: u64,
}

impl State {
    /// The name of its row.
    pub const KEY: &[u8] = b"state";
    /// No revision of users and roles.
    pub const AUTH_OFF: u64 = 0;
    const FORMAT: u8 = 1;
    const BYTES: usize = 1 + 9 * 8 + 1;
    /// With the revision of users and roles, which is written only while there is one: so what
    /// makes no use of them can be read by a binary that does not know them.
    const FORMAT_WITH_AUTH: u8 = 2;
    const BYTES_WITH_AUTH: usize = Self::BYTES + 8;

    /// That of a store in which nothing was written yet.
    pub const FRESH: Self = Self {
        revision: Revision::FIRST,
        compacted: Revision::NONE,
        applied: Index(0),
        term: Term(0),
        time_ms: 0,
        keys: 0,
        leases: 0,
        digest: 0,
        chain: 0,
        version: 1,
        auth: Self::AUTH_OFF,
    };

    /// As it lies in its row.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut row = BytesMut::with_capacity(Self::BYTES_WITH_AUTH);
        let has_auth = self.auth != Self::AUTH_OFF;
        row.put_u8(if has_auth {
            Self::FORMAT_WITH_AUTH
        } else {
            Self::FORMAT
        });
        for number in [
            self.revision.0,
            self.compacted.0,
            self.applied.0,
            self.term.0,
            self.time_ms,
            self.keys,
            self.leases,
            self.digest,
            self.chain,
        ] {
            row.put_u64_le(number);
        }
        row.put_u8(self.version);
        if has_auth {
            row.put_u64_le(self.auth);
        }
        row.freeze()
    }

    /// Reads its row; `None` if it is something else.
    #[must_use]
    pub fn decode(mut row: &[u8]) -> Option<Self> {
        let has_auth = match (row.try_get_u8().ok()?, row.len() + 1) {
            (Self::FORMAT, Self::BYTES) => false,
            (Self::FORMAT_WITH_AUTH, Self::BYTES_WITH_AUTH) => true,
            _ => return None,
        };
        Some(Self {
            revision: Revision(row.get_u64_le()),
            compacted: Revision(row.get_u64_le()),
            applied: Index(row.get_u64_le()),
            term: Term(row.get_u64_le()),
            time_ms: row.get_u64_le(),
            keys: row.get_u64_le(),
            leases: row.get_u64_le(),
            digest: row.get_u64_le(),
            chain: row.get_u64_le(),
            version: row.get_u8(),
            auth: if has_auth {
                row.get_u64_le()
            } else {
                Self::AUTH_OFF
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_comes_back() {
        comes_back(State::AUTH_OFF);
        comes_back(13);
    }

    fn comes_back(auth: u64) {
        let state = State {
            revision: Revision(2),
            compacted: Revision(3),
            applied: Index(5),
            term: Term(6),
            time_ms: 7,
            keys: 8,
            leases: 9,
            digest: 10,
            chain: 11,
            version: 12,
            auth,
        };
        let row = state.encode();
        assert_eq!(State::decode(&row), Some(state));
        for cut in 0..row.len() {
            assert_eq!(State::decode(&row[..cut]), None, "{cut} bytes");
        }
    }
}
