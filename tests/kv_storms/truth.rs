//! What really happened to keys, as all replicas saw it, and whether it makes sense.
//!
//! It does not know who was told what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use raft_kv::keys::Keys;
use raft_kv::{Event, EventKind, KeyValue, Revision};
use tokio::time::Instant;

/// What was seen on any replica. A clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Truth(Arc<Mutex<Seen>>);

/// The events of a revision, and when the first replica came to it.
pub(crate) struct Change {
    pub(crate) events: Vec<Event>,
    pub(crate) at: Instant,
}

#[derive(Default)]
pub(crate) struct Seen {
    changes: BTreeMap<Revision, Change>,
    /// What was asked to be compacted, by whomever.
    pub(crate) compactions: BTreeSet<Revision>,
    /// What must never happen, in words.
    pub(crate) wrongs: Vec<String>,
    pub(crate) restored: u64,
    /// Snapshots that came over the network, to a node that ran.
    pub(crate) installed: u64,
    /// What replicas applied of those who look after members, counted on each.
    pub(crate) reports: u64,
    pub(crate) upgrades: u64,
    pub(crate) expiries_in_vain: u64,
}

impl Truth {
    pub(crate) fn look<T>(&self, with: impl FnOnce(&mut Seen) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen {
    /// A replica has seen all events of a revision: the same as any other.
    pub(crate) fn saw(&mut self, who: &str, events: &[Event]) {
        let Some(revision) = events.first().map(Event::revision) else {
            return;
        };
        let change = self.changes.entry(revision).or_insert_with(|| Change {
            events: events.to_vec(),
            at: Instant::now(),
        });
        let is_same = change.events.len() == events.len()
            && change.events.iter().zip(events).all(|(a, b)| agree(a, b));
        if !is_same {
            let before = &change.events;
            self.wrongs.push(format!(
                "revision {revision} is {events:?} at {who}, elsewhere {before:?}"
            ));
        }
    }
}

/// Whether these may be the same event. What was there before may be forgotten.
fn agree(one: &Event, other: &Event) -> bool {
    let prev_agrees = match (&one.prev, &other.prev) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => true,
    };
    one.kind == other.kind && one.kv == other.kv && prev_agrees
}

/// All that happened, once it is known to make sense.
pub(crate) struct Chronicle {
    /// Each with what was there before.
    pub(crate) events: Vec<Event>,
    /// When the first replica came to a revision.
    times: BTreeMap<Revision, Instant>,
    /// What each key was from a revision on.
    keys: BTreeMap<Bytes, Vec<(Revision, Option<KeyValue>)>>,
    pub(crate) last: Revision,
    /// What was asked to be compacted.
    pub(crate) compactions: BTreeSet<Revision>,
}

impl Chronicle {
    /// Each revision changes something, and follows from those before it.
    pub(crate) fn of(seen: &Seen) -> Result<Self, String> {
        let mut chronicle = Self {
            events: Vec::new(),
            times: BTreeMap::new(),
            keys: BTreeMap::new(),
            last: Revision::FIRST,
            compactions: seen.compactions.clone(),
        };
        for (revision, change) in &seen.changes {
            if *revision != chronicle.last.next() {
                let last = chronicle.last;
                return Err(format!("{revision} comes after {last}"));
            }
            chronicle.last = *revision;
            chronicle.times.insert(*revision, change.at);
            for event in &change.events {
                chronicle.add(event)?;
            }
        }
        Ok(chronicle)
    }

    fn add(&mut self, event: &Event) -> Result<(), String> {
        let revision = self.last;
        let past = self.keys.entry(event.kv.key.clone()).or_default();
        let prev = past.last().and_then(|(_, kv)| kv.clone());
        let now = match event.kind {
            EventKind::Put => Some(KeyValue {
                create_revision: prev.as_ref().map_or(revision, |prev| prev.create_revision),
                mod_revision: revision,
                version: prev.as_ref().map_or(0, |prev| prev.version) + 1,
                ..event.kv.clone()
            }),
            EventKind::Delete => None,
        };
        let expected = now.clone().unwrap_or_else(|| KeyValue {
            key: event.kv.key.clone(),
            mod_revision: revision,
            ..KeyValue::default()
        });
        let is_sound = match event.kind {
            EventKind::Put => true,
            EventKind::Delete => prev.is_some(),
        };
        if !is_sound || event.kv != expected || event.prev.is_some() && event.prev != prev {
            return Err(format!("{event:?} after {prev:?}"));
        }
        past.push((revision, now));
        self.events.push(Event {
            prev,
            ..event.clone()
        });
        Ok(())
    }

    /// The keys as they were at a revision, in their order.
    pub(crate) fn at(&self, keys: &Keys, revision: Revision) -> Vec<KeyValue> {
        let chosen = self.keys.iter().filter(|(key, _)| keys.contains(key));
        let then = chosen.filter_map(|(_, past)| {
            let behind = past.partition_point(|(at, _)| *at <= revision);
            past.get(behind.checked_sub(1)?)?.1.clone()
        });
        then.collect()
    }

    /// When the first replica came to this revision.
    pub(crate) fn time_of(&self, revision: Revision) -> Option<Instant> {
        self.times.get(&revision).copied()
    }
}
