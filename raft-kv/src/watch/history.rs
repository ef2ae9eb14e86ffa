//! What happened, read from the rows, a page at a time. It does not know who reads it, nor what
//! happens meanwhile.

use bytes::Bytes;
use raft_core::port::PortError;

use super::WatchRequest;
use super::events::weight;
use crate::engine::{self, Direction, Engine, Family, Span, View};
use crate::keys::Keys;
use crate::rows::{self, Changed, Record, State};
use crate::types::{Event, EventKind, KeyValue, LeaseId, Revision};

/// A page ends with the revision in which so many changes were looked at.
const PAGE_ROWS_MAX: usize = 1_000;
/// A page ends with the revision in which its events weigh this much.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// What was found.
pub(super) enum Page {
    /// All events that were looked for up to `through`.
    Changes {
        through: Revision,
        events: Vec<Event>,
    },
    /// The history begins later.
    Compacted(Revision),
}

/// Reads a page of what happened from the start of a request on, in a view of its own.
pub(super) fn read(engine: &dyn Engine, wish: &WatchRequest) -> Result<Page, PortError> {
    engine::read(engine, |view| page(view, wish))
}

fn page(view: &dyn View, wish: &WatchRequest) -> Result<Page, PortError> {
    let state = rows::state(view)?;
    // The rows of the view are at least those that this compaction leaves, whatever is swept later.
    if wish.start < state.compacted {
        return Ok(Page::Compacted(state.compacted));
    }
    let mut events = Vec::new();
    let Some(from) = first_change(view, wish, &state)? else {
        let through = state.revision;
        return Ok(Page::Changes { through, events });
    };
    let span = rows::revision_span(from, state.revision.next());
    let (mut through, mut rows, mut bytes) = (from, 0, 0);
    let mut cursor = view.scan(Family::Revisions, &span, Direction::Ascending)?;
    while let Some((place, changed)) = cursor.to_owned() {
        let (revision, _) =
            rows::split_revision_key(&place).ok_or_else(|| damaged("a revision"))?;
        // Never within a revision.
        if revision > through && (rows >= PAGE_ROWS_MAX || bytes >= PAGE_BYTES_MAX) {
            return Ok(Page::Changes { through, events });
        }
        through = revision;
        rows += 1;
        let changed = Changed::decode(changed).ok_or_else(|| damaged("a change"))?;
        if wish.wanted.includes(changed.kind) && wish.keys.contains(&changed.key) {
            let event = event(view, revision, changed, wish.wants_prev)?;
            bytes += weight(&event);
            events.push(event);
        }
        cursor.advance()?;
    }
    Ok(Page::Changes {
        through: state.revision,
        events,
    })
}

/// A revision before which nothing happened to the keys since the start, or `None` if nothing did
/// at all. Of one key it is known without a look at what happened to all others: many who watch one
/// each may be behind at once, after a snapshot.
fn first_change(
    view: &dyn View,
    wish: &WatchRequest,
    state: &State,
) -> Result<Option<Revision>, PortError> {
    // That the key was deleted in the compacted revision itself may be gone from its history.
    let (Keys::One(key), true) = (&wish.keys, wish.start > state.compacted) else {
        return Ok(Some(wish.start));
    };
    let span = Span::between(
        rows::history_key(key, wish.start),
        rows::history_key(key, Revision(u64::MAX)),
    );
    let replaced = view.scan(Family::History, &span, Direction::Ascending)?;
    if let Some((row, _)) = replaced.row() {
        let split = rows::split_history_key(row).ok_or_else(|| damaged("a history"))?;
        return Ok(Some(split.1));
    }
    let Some(row) = view.get(Family::Keys, key)? else {
        return Ok(None);
    };
    let modified = Record::modified_of(&row).ok_or_else(|| damaged("a record"))?;
    Ok((modified >= wish.start).then_some(modified))
}

/// What a change was, with all that is still known of it.
fn event(
    view: &dyn View,
    revision: Revision,
    changed: Changed,
    wants_prev: bool,
) -> Result<Event, PortError> {
    let Changed { kind, prev, key } = changed;
    let prev = if wants_prev && prev != Revision::NONE {
        // A compaction removes what was replaced by then.
        let row = view.get(Family::History, &rows::history_key(&key, prev))?;
        row.map(|row| known(row, &key)).transpose()?
    } else {
        None
    };
    let kv = match kind {
        EventKind::Put => put(view, &key, revision)?,
        EventKind::Delete => KeyValue {
            key,
            mod_revision: revision,
            lease: LeaseId::NONE,
            ..KeyValue::default()
        },
    };
    Ok(Event { kind, kv, prev })
}

/// What was put. It is the present record, or one that was replaced since; it is there in any case,
/// because only what was replaced before the compaction is removed.
fn put(view: &dyn View, key: &Bytes, revision: Revision) -> Result<KeyValue, PortError> {
    if let Some(row) = view.get(Family::Keys, key)?
        && Record::modified_of(&row) == Some(revision)
    {
        return known(row, key);
    }
    let replaced = view.get(Family::History, &rows::history_key(key, revision))?;
    known(replaced.ok_or_else(|| damaged("what was put"))?, key)
}

fn known(row: Bytes, key: &Bytes) -> Result<KeyValue, PortError> {
    let record = Record::decode(row).ok_or_else(|| damaged("a record"))?;
    Ok(record.with_key(key.clone()))
}

fn damaged(what: &str) -> PortError {
    PortError::damaged(format!("{what} can't be read in the rows of the history"))
}
