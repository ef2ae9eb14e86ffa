//! Where everything is found: the groups, and the files of the segments.
//!
//! This file reads and writes no entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft_core::GroupId;
use raft_core::port::PortError;

use super::begin::{Begun, Plan};
use super::change::Change;
use super::group::{Group, Impossible, Place};
use super::watermark::WatermarkFile;
use crate::disk::DiskFile;
use crate::format::{Batch, Record};

pub(super) struct Index {
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// By number.
    pub(super) segments: BTreeMap<u32, Arc<dyn DiskFile>>,
}

impl Index {
    /// The change happened.
    pub(super) fn apply(
        &mut self,
        group: GroupId,
        change: &Change,
        place: Place,
    ) -> Result<(), Impossible> {
        if let Change::Checkpoint(checkpoint) = change {
            let known = self.groups.entry(group);
            known.or_insert_with(|| Group::at(checkpoint));
            return Ok(());
        }
        match self.groups.get_mut(&group) {
            Some(state) => state.apply(change, place),
            None => Err(Impossible(format!("group {group} was never founded"))),
        }
    }

    /// Writes what the group lets others rely on; whether it has to be synced. While something is
    /// lost, what was relied on before it was lost stays.
    pub(super) fn write_watermark(
        &self,
        group: GroupId,
        file: &mut WatermarkFile,
        sequence: u64,
    ) -> Result<bool, PortError> {
        let Some(state) = self.groups.get(&group) else {
            return Ok(false);
        };
        let (said, is_lost) = (state.watermark(), state.lost.is_some());
        if is_lost
            && file
                .get(group)
                .is_some_and(|slot| slot.lost && slot.watermark == said)
        {
            return Ok(false);
        }
        file.put(group, state.incarnation, sequence, (said, is_lost))
            .map_err(|error| PortError::io("write the watermark", error))
    }

    /// What must be known of all groups to read on from here.
    pub(super) fn checkpoint(&self) -> Batch {
        let mut batch = Batch::default();
        for (group, state) in &self.groups {
            batch.push(*group, &Record::Checkpoint(Box::new(state.checkpoint())));
        }
        batch
    }

    pub(super) fn add_segment(&mut self, plan: &Plan, begun: &Begun) -> Result<(), PortError> {
        let number = u32::try_from(plan.number)
            .map_err(|_| PortError::misused("the log has used up its segment numbers"))?;
        self.segments.insert(number, Arc::clone(&begun.file));
        Ok(())
    }

    /// The first segment that holds an entry.
    pub(super) fn first_segment(&self) -> Option<u32> {
        self.groups.values().filter_map(Group::first_segment).min()
    }

    pub(super) fn oldest(&self) -> Option<GroupId> {
        let holds = |(group, state): (&GroupId, &Group)| Some((state.first_segment()?, *group));
        let oldest = self.groups.iter().filter_map(holds).min();
        oldest.map(|(_, group)| group)
    }
}
