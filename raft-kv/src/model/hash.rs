//! The hash of all that is there up to a revision, as etcd's interface asks for it: equal on all
//! members that have the same, however far each has swept. It changes nothing.

use raft_core::port::PortError;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::range::{check_revision, record_at};
use super::{damaged, range::each_at};
use crate::engine::{Direction, Family, View};
use crate::refusal::Refusal;
use crate::rows::{self, Changed, State};
use crate::types::Revision;

/// A hash, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKv {
    /// The hash.
    pub hash: u32,
    /// The history before this revision is not in it.
    pub compacted: Revision,
    /// Nor is what came after this one.
    pub revision: Revision,
}

/// The hash at this revision; [`Revision::NONE`] is now.
///
/// # Errors
/// When a row can't be read. What is inside is refused by the state.
pub fn hash_kv(
    view: &dyn View,
    state: &State,
    revision: Revision,
) -> Result<Result<HashKv, Refusal>, PortError> {
    if let Err(refusal) = check_revision(state, revision) {
        return Ok(Err(refusal));
    }
    let revision = match revision {
        Revision::NONE => state.revision,
        revision => revision,
    };
    let compacted = state.compacted;
    let mut hash = compacted.0;
    let mut fold = |bytes: &[u8]| hash = xxh3_64_with_seed(bytes, hash);
    // What was there at the compaction: some of it is history, and how much depends on the sweep.
    each_at(view, compacted, &mut |key, row| {
        fold(key);
        fold(row);
    })?;
    // Then each change.
    let span = rows::revision_span(compacted.next(), revision.next());
    let mut cursor = view.scan(Family::Revisions, &span, Direction::Ascending)?;
    while let Some((key, row)) = cursor.to_owned() {
        let place = rows::split_revision_key(&key).zip(Changed::decode(row.clone()));
        let ((at, _), changed) = place.ok_or_else(|| damaged("no change", &key))?;
        fold(&key);
        fold(&row);
        if let Some(record) = record_at(view, &changed.key, at)? {
            fold(&record);
        }
        cursor.advance()?;
    }
    Ok(Ok(HashKv {
        // The interface has 32 bits.
        hash: (hash ^ (hash >> 32)) as u32,
        compacted,
        revision,
    }))
}
