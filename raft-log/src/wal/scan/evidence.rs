//! What others rely on, concluded from what lies beyond the damage.
//!
//! A group of which nothing more is seen may have had records in the damaged part. Its term and
//! vote are in the watermark all the same, which is synced when they change; and of entries it
//! can't have had more than fit. This file only reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft_core::types::Incarnation;
use raft_core::{GroupId, HardState, Index, SnapshotMeta, Watermark};

use super::segment::Whole;
use crate::format::{Checkpoint, Record};
use crate::wal::group::Group;
use crate::wal::watermark::WatermarkFile;

/// What is seen beyond the damage.
pub(super) struct Evidence {
    groups: BTreeMap<GroupId, Seen>,
    /// How many entries the damaged part can have held.
    most: u64,
}

#[derive(Default)]
struct Seen {
    incarnation: Incarnation,
    founding: Arc<SnapshotMeta>,
    hard_state: HardState,
    last: Index,
    /// The batch that said where the log ends; `None` if none did after the damage.
    sequence: Option<u64>,
}

/// What a group is, should it be known from beyond the damage alone, and what others rely on.
pub(super) type Conclusion = (Checkpoint, Watermark);

impl Evidence {
    /// Begins with what is known of the groups before the damage.
    pub(super) fn new(groups: &BTreeMap<GroupId, Group>, most: u64) -> Self {
        let seen = |(group, state): (&GroupId, &Group)| {
            let seen = Seen {
                incarnation: state.incarnation,
                founding: Arc::clone(&state.founding),
                hard_state: state.hard_state,
                last: state.last(),
                sequence: None,
            };
            (*group, seen)
        };
        Self {
            groups: groups.iter().map(seen).collect(),
            most,
        }
    }

    pub(super) fn take(&mut self, batch: &Whole<'_>) {
        for placed in batch.records {
            let seen = self.groups.entry(placed.group).or_default();
            let last = match &placed.record {
                Record::HardState(hard_state) => {
                    seen.hard_state = *hard_state;
                    continue;
                }
                Record::Purge(_) => continue,
                Record::Truncate(from) => from.prev(),
                Record::Entry(entry) => {
                    if entry.term > seen.hard_state.term {
                        let term = entry.term;
                        seen.hard_state = HardState { term, vote: None };
                    }
                    entry.index
                }
                Record::Reset(last) => last.index,
                Record::Checkpoint(state) => {
                    seen.incarnation = state.incarnation;
                    seen.founding = Arc::clone(&state.founding);
                    seen.hard_state = state.hard_state;
                    state.last
                }
            };
            seen.last = last;
            seen.sequence = Some(batch.sequence);
        }
    }

    /// Something more can't be read, which can have held `most` entries of any group.
    pub(super) fn skip(&mut self, most: u64) {
        for seen in self.groups.values_mut() {
            seen.last = seen.last.plus(most);
        }
    }

    /// What each group lets others rely on.
    pub(super) fn conclude(
        self,
        watermark: Option<&WatermarkFile>,
    ) -> BTreeMap<GroupId, Conclusion> {
        let most = self.most;
        let conclude = |(group, seen): (GroupId, Seen)| {
            let relied_on = seen.relied_on(watermark, group, most);
            // What founded the group may lie in the damaged part; the watermark knows its life too.
            let slot = watermark.and_then(|watermark| watermark.get(group));
            let incarnation = match seen.incarnation {
                Incarnation::UNBOUND => slot.map_or(seen.incarnation, |slot| slot.incarnation),
                known => known,
            };
            let checkpoint = Checkpoint {
                incarnation,
                founding: seen.founding,
                ..Checkpoint::default()
            };
            (group, (checkpoint, relied_on))
        };
        self.groups.into_iter().map(conclude).collect()
    }
}

impl Seen {
    fn relied_on(&self, watermark: Option<&WatermarkFile>, group: GroupId, most: u64) -> Watermark {
        let slot = watermark.and_then(|watermark| watermark.get(group));
        let said = slot.map(|slot| slot.watermark).unwrap_or_default();
        let said_at = slot.map_or(0, |slot| slot.sequence);
        let hard_state = self.hard_state.later(said.hard_state());
        // What was lost before and is not here again is relied on whatever was written since.
        let lost = slot.filter(|slot| slot.lost).map(|_| said.index);
        let index = match self.sequence {
            Some(sequence) if sequence >= said_at => self.last,
            Some(_) => said.index,
            // Either the watermark is beyond the damage and exact, or it is older.
            None => said.index.max(self.last.plus(most)),
        };
        Watermark {
            term: hard_state.term,
            vote: hard_state.vote,
            index: index.max(lost.unwrap_or_default()),
        }
    }
}
