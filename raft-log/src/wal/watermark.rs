//! The watermark: what every group has let others rely on, in a file of its own.
//!
//! A slot is written after each batch is durable, and not synced: so after a crash of the process
//! it is exact, and after a power cut at most as old as the system lets written pages become. It is
//! synced when a term or vote changed; so those two lie on the disk twice, in two files. It tells a
//! tail that was never acknowledged from one that was. This file does not judge what is missing.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use raft_core::types::Incarnation;
use raft_core::{GroupId, Watermark};

use crate::disk::{Disk, DiskFile, Open};
use crate::format::{SLOT_BYTES, Slot};

pub(crate) const NAME: &str = "watermark";
/// Two slots a group, written in turn.
const PAIR_BYTES: u64 = 2 * SLOT_BYTES as u64;

/// The file, and what it says.
pub(crate) struct WatermarkFile {
    file: Arc<dyn DiskFile>,
    /// Which pair is whose, and what it says.
    slots: BTreeMap<GroupId, (u64, Slot)>,
    /// The pairs that are nobody's begin here.
    pairs: u64,
}

impl WatermarkFile {
    pub(crate) fn exists(disk: &dyn Disk) -> io::Result<bool> {
        Ok(disk.list(Path::new(""))?.iter().any(|name| name == NAME))
    }

    /// Makes an empty one, durable once the root is synced.
    pub(crate) fn create(disk: &dyn Disk) -> io::Result<Self> {
        let file = disk.open(Path::new(NAME), Open::New)?;
        file.sync()?;
        Ok(Self {
            file,
            slots: BTreeMap::new(),
            pairs: 0,
        })
    }

    /// Reads the one that is there.
    pub(crate) fn open(disk: &dyn Disk) -> io::Result<Self> {
        let file = disk.open(Path::new(NAME), Open::Existing)?;
        let size = file.size()?;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        let read = file.read_at(&mut bytes, 0)?;
        let mut slots: BTreeMap<GroupId, (u64, Slot)> = BTreeMap::new();
        for (place, bytes) in (0..).zip(bytes[..read].chunks(SLOT_BYTES)) {
            if let Some(slot) = Slot::decode(bytes) {
                let known = slots.entry(slot.group).or_insert((place / 2, slot));
                if slot.stamp > known.1.stamp {
                    *known = (place / 2, slot);
                }
            }
        }
        Ok(Self {
            file,
            slots,
            pairs: size.div_ceil(PAIR_BYTES),
        })
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values().map(|(_, slot)| slot)
    }

    pub(crate) fn get(&self, group: GroupId) -> Option<&Slot> {
        self.slots.get(&group).map(|(_, slot)| slot)
    }

    /// Writes what a group lets others rely on from now on; whether term or vote changed by it.
    pub(crate) fn put(
        &mut self,
        group: GroupId,
        incarnation: Incarnation,
        sequence: u64,
        (watermark, lost): (Watermark, bool),
    ) -> io::Result<bool> {
        let known = self.slots.get(&group);
        let (pair, stamp) = known.map_or((self.pairs, 0), |(pair, slot)| (*pair, slot.stamp + 1));
        let said = known.map(|(_, slot)| (slot.watermark.term, slot.watermark.vote));
        let slot = Slot {
            stamp,
            group,
            incarnation,
            sequence,
            watermark,
            lost,
        };
        let offset = pair * PAIR_BYTES + stamp % 2 * SLOT_BYTES as u64;
        self.file.write_at(&slot.encode(), offset)?;
        self.pairs = self.pairs.max(pair + 1);
        self.slots.insert(group, (pair, slot));
        Ok(said != Some((watermark.term, watermark.vote)))
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}
