//! The sessions' own file of a snapshot.
//!
//! All numbers have 8 bytes, little-endian.
//!
//! | what | |
//! | --- | --- |
//! | format | 1 |
//! | limits | sessions, bytes of answers, milliseconds idle |
//! | time | the time in the log |
//! | count | how many sessions follow, ascending by client |
//! | a session | client, sequence, last entry, its time, entry of the answer or 0, length of the |
//! | | answer, the answer |
//!
//! The limits are in it because they are a part of the state. Snapshots come from peers, so what is
//! read here is believed only as far as the bytes reach. This file knows no machine.

use bytes::{Buf, BufMut, Bytes};

use super::table::{Kept, SessionLimits, SessionTable};
use crate::types::Index;

const FORMAT: u64 = 1;
/// A session without its answer.
const SESSION_BYTES: usize = 6 * 8;

impl SessionTable {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut file = Vec::with_capacity((1 + self.sessions.len()) * SESSION_BYTES);
        let limits = self.limits;
        for number in [
            FORMAT,
            limits.sessions_max,
            limits.answer_bytes_max,
            limits.idle_ms_max,
            self.time_ms,
            self.sessions.len() as u64,
        ] {
            file.put_u64_le(number);
        }
        for (client, kept) in &self.sessions {
            file.put_u64_le(*client);
            kept.put(&mut file);
        }
        file
    }

    /// The table that a file holds, at or before `last`; `None` if it holds none.
    pub(super) fn decode(mut file: &[u8], last: Index) -> Option<Self> {
        if file.try_get_u64_le().ok()? != FORMAT {
            return None;
        }
        let mut table = Self::new(SessionLimits {
            sessions_max: file.try_get_u64_le().ok()?,
            answer_bytes_max: file.try_get_u64_le().ok()?,
            idle_ms_max: file.try_get_u64_le().ok()?,
        });
        table.time_ms = file.try_get_u64_le().ok()?;
        let mut before = 0;
        for _ in 0..file.try_get_u64_le().ok()? {
            // Each turn takes bytes off the file, so a count that lies ends with the file.
            let client = file.try_get_u64_le().ok()?;
            let kept = Kept::take(&mut file)?;
            if client <= before || kept.active > last {
                return None;
            }
            table.put_back(client, kept)?;
            before = client;
        }
        (file.is_empty() && table.is_ordered()).then_some(table)
    }

    /// Whether who was idle for longer was heard of at an earlier time, and no one for too long.
    fn is_ordered(&self) -> bool {
        let mut by_entry: Vec<(Index, u64)> = self
            .sessions
            .values()
            .map(|kept| (kept.active, kept.active_ms))
            .collect();
        by_entry.sort_unstable();
        by_entry.is_sorted_by_key(|(_, time_ms)| *time_ms) && !self.ends_any(self.time_ms)
    }
}

impl Kept {
    /// As it lies in a row of its own: a session of the file without the client.
    pub(super) fn encode(&self) -> Bytes {
        let mut row = Vec::with_capacity(SESSION_BYTES);
        self.put(&mut row);
        row.into()
    }

    fn put(&self, file: &mut Vec<u8>) {
        let nothing = (Index(0), Bytes::new());
        let (at, answer) = self.answer.as_ref().unwrap_or(&nothing);
        for number in [
            self.sequence,
            self.active.0,
            self.active_ms,
            at.0,
            answer.len() as u64,
        ] {
            file.put_u64_le(number);
        }
        file.put_slice(answer);
    }

    /// Takes one off the front of a file.
    pub(super) fn take(file: &mut &[u8]) -> Option<Self> {
        let sequence = file.try_get_u64_le().ok()?;
        let active = Index(file.try_get_u64_le().ok()?);
        let active_ms = file.try_get_u64_le().ok()?;
        let at = Index(file.try_get_u64_le().ok()?);
        let length = usize::try_from(file.try_get_u64_le().ok()?).ok()?;
        let answer = file.split_off(..length)?;
        if at == Index(0) && !answer.is_empty() {
            return None;
        }
        Some(Self {
            sequence,
            active,
            active_ms,
            answer: (at > Index(0)).then(|| (at, Bytes::copy_from_slice(answer))),
        })
    }
}
