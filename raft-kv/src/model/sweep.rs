//! Removing the rows that a compaction has made superfluous, some at a time. What can be read stays
//! the same.
//!
//! A record that was replaced in a revision up to the compaction is seen by nobody: whoever reads
//! at the compaction or later sees what replaced it. So the changes of the revisions tell what to
//! remove, and the work is as much as was changed, not as much as there is. The changes of the
//! compacted revision itself stay, for a watch that starts there.

use bytes::{Buf, Bytes};
use raft_core::port::PortError;

use super::damaged;
use crate::engine::{Batch, Change, Direction, Family, Span, View};
use crate::rows::{self, Changed, State};
use crate::types::{EventKind, Revision};

/// Where it is said how far it has come.
const SWEPT: &[u8] = b"swept";

/// The next rows to be removed.
#[derive(Debug)]
pub struct SweepPage {
    /// What removes them.
    pub batch: Batch,
    /// Whether nothing is left after it.
    pub is_last: bool,
}

/// What there is to remove next: that of about so many changes, always of whole revisions.
///
/// # Errors
/// When a row can't be read.
pub fn sweep(
    view: &dyn View,
    state: &State,
    changes_max: usize,
) -> Result<Option<SweepPage>, PortError> {
    let swept = view.get(Family::Meta, SWEPT)?;
    let swept = swept.map(|mut row| row.try_get_u64_le()).transpose();
    let swept = Revision(
        swept
            .map_err(|_| damaged("no revision", SWEPT))?
            .unwrap_or(0),
    );
    if swept >= state.compacted {
        return Ok(None);
    }
    let span = rows::revision_span(swept.next(), state.compacted.next());
    let mut cursor = view.scan(Family::Revisions, &span, Direction::Ascending)?;
    let (mut seen, mut last, mut removed) = (0, swept, Vec::new());
    let is_last = loop {
        let Some((key, row)) = cursor.to_owned() else {
            last = state.compacted;
            break true;
        };
        let place = rows::split_revision_key(&key).zip(Changed::decode(row));
        let ((revision, _), changed) = place.ok_or_else(|| damaged("no change", &key))?;
        if seen >= changes_max && revision > last {
            break false;
        }
        (seen, last) = (seen + 1, revision);
        if changed.prev != Revision::NONE {
            removed.push(rows::history_key(&changed.key, changed.prev));
        }
        if changed.kind == EventKind::Delete {
            removed.push(rows::history_key(&changed.key, revision));
        }
        cursor.advance()?;
    };
    removed.sort_unstable();
    let mut batch = Batch::new(state.applied);
    let kept_from = last.next().min(state.compacted);
    let gone = Span::between(Bytes::new(), rows::revision_key(kept_from, 0));
    batch.emptied.push((Family::Revisions, gone));
    let removed: Vec<Change> = removed.into_iter().map(|key| (key, None)).collect();
    if !removed.is_empty() {
        batch.changes.push((Family::History, removed));
    }
    let swept = Bytes::copy_from_slice(&last.0.to_le_bytes());
    let swept = (Bytes::from_static(SWEPT), Some(swept));
    batch.changes.push((Family::Meta, vec![swept]));
    Ok(Some(SweepPage { batch, is_last }))
}
