//! Who is to be told of a key: finds the groups that watch it, without asking each of them. It does
//! not know what they are told.
//!
//! The order of the maps is that in which groups are woken, so that a simulation can repeat it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Wanted;
use super::group::Group;
use crate::engine::Span;
use crate::keys::Keys;
use crate::types::Event;

/// Those that watch the same keys: one for each [`Wanted`] at most.
type Alike = Vec<Member>;

struct Member {
    group: Arc<Group>,
    /// At least one.
    watchers: usize,
}

/// All groups, by what they watch.
#[derive(Default)]
pub(super) struct Index {
    single: BTreeMap<Bytes, Alike>,
    prefixes: BTreeMap<Bytes, Alike>,
    /// How many prefixes of each length there are.
    lengths: BTreeMap<usize, usize>,
    /// All other spans, by their ends. Each one that begins before a key has to be looked at, so
    /// their number is limited.
    spans: BTreeMap<(Bytes, Option<Bytes>), Alike>,
    groups: usize,
}

/// Where a group belongs.
enum Shape {
    Single(Bytes),
    Prefix(Bytes),
    Span(Bytes, Option<Bytes>),
}

impl Shape {
    fn of(keys: &Keys) -> Self {
        match keys {
            Keys::One(key) => Self::Single(key.clone()),
            Keys::In(span) if *span == Span::prefix(span.from.clone()) => {
                Self::Prefix(span.from.clone())
            }
            Keys::In(span) => Self::Span(span.from.clone(), span.to.clone()),
        }
    }
}

impl Index {
    /// How many groups there are.
    pub(super) const fn groups(&self) -> usize {
        self.groups
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.groups == 0
    }

    /// Whether one more group for these keys would be one more span to look at for each event.
    pub(super) fn is_new_span(&self, keys: &Keys) -> bool {
        match Shape::of(keys) {
            Shape::Single(_) | Shape::Prefix(_) => false,
            Shape::Span(from, to) => !self.spans.contains_key(&(from, to)),
        }
    }

    /// How many spans there are that are no prefixes.
    pub(super) fn spans(&self) -> usize {
        self.spans.len()
    }

    /// Adds a watcher to the group of these keys; `create` makes one if there is none.
    pub(super) fn join(
        &mut self,
        keys: &Keys,
        wanted: Wanted,
        create: impl FnOnce() -> Arc<Group>,
    ) -> Arc<Group> {
        let alike = match Shape::of(keys) {
            Shape::Single(key) => self.single.entry(key).or_default(),
            Shape::Prefix(prefix) => {
                let length = prefix.len();
                let alike = self.prefixes.entry(prefix).or_default();
                if alike.is_empty() {
                    *self.lengths.entry(length).or_default() += 1;
                }
                alike
            }
            Shape::Span(from, to) => self.spans.entry((from, to)).or_default(),
        };
        if let Some(member) = alike.iter_mut().find(|it| it.group.wanted == wanted) {
            member.watchers += 1;
            return Arc::clone(&member.group);
        }
        let group = create();
        alike.push(Member {
            group: Arc::clone(&group),
            watchers: 1,
        });
        self.groups += 1;
        group
    }

    /// A watcher has left its group. With the last one the group goes.
    pub(super) fn leave(&mut self, group: &Group) {
        let gone = match Shape::of(&group.keys) {
            Shape::Single(key) => leave(&mut self.single, &key, group.id),
            Shape::Prefix(prefix) => {
                let gone = leave(&mut self.prefixes, &prefix, group.id);
                if gone == Gone::AllAlike {
                    self.forget_length(prefix.len());
                }
                gone
            }
            Shape::Span(from, to) => leave(&mut self.spans, &(from, to), group.id),
        };
        if gone != Gone::Watcher {
            self.groups -= 1;
        }
    }

    fn forget_length(&mut self, length: usize) {
        if let Some(count) = self.lengths.get_mut(&length) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&length);
            }
        }
    }

    /// Calls `found` with each group that is to be told of an event.
    pub(super) fn each_of(&self, event: &Event, mut found: impl FnMut(&Arc<Group>)) {
        let key = &event.kv.key;
        let mut tell = |alike: &Alike| {
            for Member { group, .. } in alike {
                if group.wanted.includes(event.kind) {
                    found(group);
                }
            }
        };
        if let Some(alike) = self.single.get(key) {
            tell(alike);
        }
        for length in self.lengths.range(..=key.len()).map(|(length, _)| *length) {
            if let Some(alike) = self.prefixes.get(&key[..length]) {
                tell(alike);
            }
        }
        for ((from, to), alike) in &self.spans {
            if from > key {
                break;
            }
            if to.as_ref().is_none_or(|to| key < to) {
                tell(alike);
            }
        }
    }

    /// All groups.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Group>> {
        let maps = self.single.values().chain(self.prefixes.values());
        let alike = maps.chain(self.spans.values());
        alike.flatten().map(|member| &member.group)
    }
}

/// How much has gone with a watcher.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gone {
    Watcher,
    Group,
    AllAlike,
}

fn leave<K: Ord>(map: &mut BTreeMap<K, Alike>, key: &K, group: u64) -> Gone {
    let Some(alike) = map.get_mut(key) else {
        return Gone::Watcher;
    };
    let Some(place) = alike.iter().position(|member| member.group.id == group) else {
        return Gone::Watcher;
    };
    alike[place].watchers -= 1;
    if alike[place].watchers > 0 {
        return Gone::Watcher;
    }
    alike.remove(place);
    if !alike.is_empty() {
        return Gone::Group;
    }
    map.remove(key);
    Gone::AllAlike
}
