//! A store that only watches need: it writes the rows as the machine does, remembers all that ever
//! happened, and says what a watcher has to be told. It knows nothing of how the hub does that.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use raft_core::Index;

use crate::engine::{Batch, Change, Engine, Family, MemoryEngine};
use crate::rows::{self, Changed, Record, State};
use crate::types::{Event, EventKind, KeyValue, LeaseId, Revision};
use crate::watch::{CancelReason, Hub, HubConfig, Wanted, WatchItem, WatchRequest, Watcher};

/// What is done to a key: put with this value, or delete.
pub(super) type Done<'a> = (&'a str, Option<&'a str>);

pub(super) struct World {
    pub(super) engine: Arc<MemoryEngine>,
    pub(super) hub: Hub,
    pub(super) state: State,
    /// The newest revision that the hub was told of.
    pub(super) published: Revision,
    /// All that ever happened.
    pub(super) events: Vec<Event>,
    present: BTreeMap<Bytes, Record>,
}

impl World {
    pub(super) fn new(config: HubConfig) -> Self {
        let engine = Arc::new(MemoryEngine::new());
        let state = State::FRESH;
        Self {
            hub: Hub::new(engine.clone(), state.revision, state.compacted, config),
            engine,
            state,
            published: state.revision,
            events: Vec::new(),
            present: BTreeMap::new(),
        }
    }

    /// One revision, which the engine takes and the hub is not told of.
    pub(super) fn write(&mut self, changes: &[Done<'_>]) {
        let revision = self.state.revision.next();
        let mut families: BTreeMap<Family, BTreeMap<Bytes, Option<Bytes>>> = BTreeMap::new();
        let mut row = |family, key, value| families.entry(family).or_default().insert(key, value);
        let mut place = 0;
        for (key, value) in changes {
            let key = Bytes::copy_from_slice(key.as_bytes());
            let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
            let before = self.present.get(&key).cloned();
            let Some(event) = event_of(&key, value, before.as_ref(), revision) else {
                continue;
            };
            if let Some(before) = &before {
                let lies = rows::history_key(&key, before.modified);
                row(Family::History, lies, Some(before.encode()));
            }
            let kind = event.kind;
            match kind {
                EventKind::Put => {
                    let record = Record {
                        create: event.kv.create_revision,
                        modified: revision,
                        version: event.kv.version,
                        lease: event.kv.lease,
                        value: event.kv.value.clone(),
                    };
                    row(Family::Keys, key.clone(), Some(record.encode()));
                    self.present.insert(key.clone(), record);
                }
                EventKind::Delete => {
                    row(Family::Keys, key.clone(), None);
                    let lies = rows::history_key(&key, revision);
                    row(Family::History, lies, Some(Bytes::new()));
                    self.present.remove(&key);
                }
            }
            let prev = before.map_or(Revision::NONE, |before| before.modified);
            let changed = Changed { kind, prev, key };
            let lies = rows::revision_key(revision, place);
            row(Family::Revisions, lies, Some(changed.encode()));
            place += 1;
            self.events.push(event);
        }
        if place > 0 {
            self.state.revision = revision;
        }
        self.take(families);
    }

    /// Tells the hub of all that it was not told of yet.
    pub(super) fn publish(&mut self) {
        let known = self.published;
        let first = self
            .events
            .partition_point(|event| event.revision() <= known);
        self.hub.publish(self.state.revision, &self.events[first..]);
        self.published = self.state.revision;
    }

    /// A revision that all know of.
    pub(super) fn put(&mut self, key: &str, value: &str) {
        self.write(&[(key, Some(value))]);
        self.publish();
    }

    /// A compaction that the hub is told of; all that may be removed is removed at once.
    pub(super) fn compact(&mut self, compacted: Revision) {
        self.compact_silently(compacted);
        self.hub.compacted(compacted);
    }

    pub(super) fn compact_silently(&mut self, compacted: Revision) {
        self.state.compacted = compacted;
        let mut families: BTreeMap<Family, BTreeMap<Bytes, Option<Bytes>>> = BTreeMap::new();
        let mut remove = |family, key| families.entry(family).or_default().insert(key, None);
        let mut latest: BTreeMap<Bytes, Revision> = BTreeMap::new();
        let mut place = (Revision::NONE, 0);
        for event in &self.events {
            let (key, revision) = (&event.kv.key, event.revision());
            place = (revision, if place.0 == revision { place.1 + 1 } else { 0 });
            if revision < compacted {
                remove(Family::Revisions, rows::revision_key(revision, place.1));
            }
            if revision <= compacted && event.kind == EventKind::Delete {
                remove(Family::History, rows::history_key(key, revision));
            }
            let before = latest.insert(key.clone(), revision);
            if let Some(before) = before.filter(|_| revision <= compacted)
                && before < compacted
            {
                remove(Family::History, rows::history_key(key, before));
            }
        }
        self.take(families);
    }

    /// As if all that the hub was not told of had come by a snapshot.
    pub(super) fn reset(&mut self) {
        self.hub.reset(self.state.revision, self.state.compacted);
        self.published = self.state.revision;
    }

    /// As if nobody had watched when the machine began with what the hub was not told of.
    pub(super) fn publish_unseen(&mut self) {
        self.hub.publish_unseen(self.state.revision);
        self.published = self.state.revision;
    }

    fn take(&mut self, mut families: BTreeMap<Family, BTreeMap<Bytes, Option<Bytes>>>) {
        self.state.applied = Index(self.state.applied.0 + 1);
        let state = (Bytes::from_static(State::KEY), Some(self.state.encode()));
        families.entry(Family::Meta).or_default().extend([state]);
        let changes = families
            .into_iter()
            .map(|(family, rows)| (family, rows.into_iter().collect::<Vec<Change>>()))
            .collect();
        let batch = Batch {
            changes,
            ..Batch::new(self.state.applied)
        };
        self.engine.write(batch).unwrap();
    }

    /// What such a request has to be told in `from..=to`.
    pub(super) fn expected(&self, wish: &WatchRequest, from: Revision, to: Revision) -> Vec<Event> {
        let is_told = |event: &&Event| {
            (from..=to).contains(&event.revision())
                && wish.keys.contains(&event.kv.key)
                && wish.wanted.includes(event.kind)
        };
        self.events.iter().filter(is_told).cloned().collect()
    }

    /// Checks that these are the events of a watcher that stood at `from`, up to `to`.
    pub(super) fn check(&self, wish: &WatchRequest, from: Revision, to: Revision, told: &[Event]) {
        let expected = self.expected(wish, from, to);
        let kvs = |events: &[Event]| -> Vec<(EventKind, KeyValue)> {
            events.iter().map(|it| (it.kind, it.kv.clone())).collect()
        };
        assert_eq!(kvs(told), kvs(&expected), "from {from} to {to}");
        for (told, expected) in told.iter().zip(&expected) {
            let is_gone = |prev: &KeyValue| prev.mod_revision < self.state.compacted;
            match (&told.prev, &expected.prev) {
                (None, Some(prev)) => assert!(!wish.wants_prev || is_gone(prev), "{expected:?}"),
                (prev, expected) => assert_eq!(prev, expected),
            }
        }
    }
}

/// What a change does at a revision; deleting what is not there does nothing.
fn event_of(
    key: &Bytes,
    value: Option<Bytes>,
    before: Option<&Record>,
    revision: Revision,
) -> Option<Event> {
    let prev = before.map(|before| before.clone().with_key(key.clone()));
    let mut kv = KeyValue {
        key: key.clone(),
        mod_revision: revision,
        ..KeyValue::default()
    };
    let kind = match value {
        Some(value) => {
            kv.value = value;
            kv.create_revision = before.map_or(revision, |before| before.create);
            kv.version = before.map_or(1, |before| before.version + 1);
            kv.lease = LeaseId(i64::from(kv.value.len() > 3));
            EventKind::Put
        }
        None => {
            before?;
            EventKind::Delete
        }
    };
    Some(Event { kind, kv, prev })
}

/// A hub whose rings hold next to nothing.
pub(super) fn tiny_rings() -> HubConfig {
    HubConfig {
        recent_bytes_max: 2_000,
        ..HubConfig::default()
    }
}

pub(super) fn request(keys: crate::keys::Keys, start: u64) -> WatchRequest {
    WatchRequest {
        start: Revision(start),
        ..WatchRequest::new(keys)
    }
}

pub(super) fn wanting(wanted: Wanted, request: WatchRequest) -> WatchRequest {
    WatchRequest { wanted, ..request }
}

/// All that a watcher has now, one line an item: `revision: key=value key-`.
pub(super) fn told(watcher: &mut Watcher) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(item) = watcher.poll_now() {
        let is_last = matches!(item, WatchItem::Cancelled(_));
        lines.push(line(&item));
        if is_last {
            break;
        }
    }
    lines
}

pub(super) fn line(item: &WatchItem) -> String {
    match item {
        WatchItem::Events { revision, events } => {
            let words: Vec<String> = events.iter().map(word).collect();
            format!("{revision}: {}", words.join(" "))
        }
        WatchItem::Cancelled(CancelReason::Compacted { compacted }) => {
            format!("compacted at {compacted}")
        }
        WatchItem::Cancelled(reason) => reason.to_string(),
    }
}

fn word(event: &Event) -> String {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let key = text(&event.kv.key);
    match event.kind {
        EventKind::Put => format!("{key}={}", text(&event.kv.value)),
        EventKind::Delete => format!("{key}-"),
    }
}
