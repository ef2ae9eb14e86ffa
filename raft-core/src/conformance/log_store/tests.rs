//! The suite on a sound store, and on stores that are each broken in one way: it must find them
//! all.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use super::{LogStoreFixture, log_store, log_store_walk};
use crate::entry::{Entry, HardState, Recovered, SnapshotMeta};
use crate::event::Write;
use crate::port::{
    LogStore, LogUsage, Manifest, PortError, PortErrorKind, SnapshotReceiver, SnapshotSink,
    SnapshotSource,
};
use crate::sim::disk::DiskStore;
use crate::types::{Index, Position};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    ForgetsHardState,
    IgnoresTruncate,
    ReadsTooMuch,
    ReadsNothingBelowBudget,
    LosesLastAtReopen,
    KeepsOnlyFirstWrite,
    AcceptsGaps,
    PurgesTooMuch,
    PurgesBeyondSnapshot,
    MissesMemberships,
    WatermarkLags,
    SnapshotWithoutFinish,
    OldSnapshotWins,
    CountsNothing,
    FoundsTwice,
    KeepsBadSnapshot,
}

const FLAWS: [Flaw; 16] = [
    Flaw::ForgetsHardState,
    Flaw::IgnoresTruncate,
    Flaw::ReadsTooMuch,
    Flaw::ReadsNothingBelowBudget,
    Flaw::LosesLastAtReopen,
    Flaw::KeepsOnlyFirstWrite,
    Flaw::AcceptsGaps,
    Flaw::PurgesTooMuch,
    Flaw::PurgesBeyondSnapshot,
    Flaw::MissesMemberships,
    Flaw::WatermarkLags,
    Flaw::KeepsBadSnapshot,
    Flaw::SnapshotWithoutFinish,
    Flaw::OldSnapshotWins,
    Flaw::CountsNothing,
    Flaw::FoundsTwice,
];

struct Broken {
    sound: DiskStore,
    flaw: Flaw,
}

struct Fixture(Broken);

impl Fixture {
    fn new(flaw: Flaw) -> Self {
        Self(Broken {
            sound: DiskStore::default(),
            flaw,
        })
    }

    fn again(&self) -> Box<dyn LogStore> {
        Box::new(Broken {
            sound: self.0.sound.clone(),
            flaw: self.0.flaw,
        })
    }
}

impl LogStoreFixture for Fixture {
    fn fresh(&mut self) -> Box<dyn LogStore> {
        self.0.sound = DiskStore::default();
        self.again()
    }

    fn reopen(&mut self) -> Box<dyn LogStore> {
        if self.0.flaw == Flaw::LosesLastAtReopen {
            let last = self.0.sound.recover().expect("memory").last;
            let write = Write {
                truncate: Some(last),
                ..Write::default()
            };
            // Nothing is lost of an empty log.
            let _nothing_to_lose = self.0.sound.write(&[write]);
        }
        self.again()
    }
}

impl LogStore for Broken {
    fn recover(&mut self) -> Result<Recovered, PortError> {
        let mut found = self.sound.recover()?;
        if self.flaw == Flaw::ForgetsHardState {
            found.hard_state = HardState::default();
        } else if self.flaw == Flaw::MissesMemberships {
            found.memberships.pop();
        } else if self.flaw == Flaw::WatermarkLags {
            found.watermark.index = found.watermark.index.prev();
        }
        Ok(found)
    }

    fn found(&mut self, founding: &Recovered) -> Result<(), PortError> {
        match self.sound.found(founding) {
            Err(_) if self.flaw == Flaw::FoundsTwice => Ok(()),
            done => done,
        }
    }

    fn write(&mut self, writes: &[Write]) -> Result<(), PortError> {
        if self.flaw == Flaw::KeepsOnlyFirstWrite {
            return self.sound.write(&writes[..writes.len().min(1)]);
        }
        let mut writes = writes.to_vec();
        if self.flaw == Flaw::IgnoresTruncate {
            for write in &mut writes {
                write.truncate = write.truncate.filter(|_| !write.entries.is_empty());
            }
        }
        match self.sound.write(&writes) {
            Err(error)
                if self.flaw == Flaw::AcceptsGaps && error.kind == PortErrorKind::Misused =>
            {
                Ok(())
            }
            done => done,
        }
    }

    fn read(&self, from: Index, to: Index, bytes_max: u64) -> Result<Vec<Entry>, PortError> {
        if self.flaw == Flaw::ReadsNothingBelowBudget && bytes_max == 0 {
            return Ok(Vec::new());
        }
        let more = u64::from(self.flaw == Flaw::ReadsTooMuch);
        self.sound.read(from, to, bytes_max.saturating_add(more))
    }

    fn purge(&mut self, up_to: Index) -> Result<(), PortError> {
        if self.flaw == Flaw::PurgesTooMuch && self.sound.purge(up_to.next()).is_ok() {
            return Ok(());
        }
        match self.sound.purge(up_to) {
            Err(_) if self.flaw == Flaw::PurgesBeyondSnapshot => Ok(()),
            done => done,
        }
    }

    fn usage(&self) -> LogUsage {
        if self.flaw == Flaw::CountsNothing {
            return LogUsage::default();
        }
        self.sound.usage()
    }

    fn create_snapshot(
        &mut self,
        meta: Arc<SnapshotMeta>,
    ) -> Result<Box<dyn SnapshotSink>, PortError> {
        let newest = self.sound.recover()?.snapshot.last.index;
        if self.flaw == Flaw::OldSnapshotWins && newest > Index(0) && meta.last.index > newest {
            return Ok(Box::new(Swallows));
        }
        let sink = self.sound.create_snapshot(meta.clone())?;
        if self.flaw == Flaw::SnapshotWithoutFinish {
            self.sound.create_snapshot(meta)?.finish()?;
        }
        Ok(sink)
    }

    fn open_snapshot(&self) -> Result<Option<Box<dyn SnapshotSource>>, PortError> {
        self.sound.open_snapshot()
    }

    fn set_aside_snapshot(&mut self, last: Position) -> Result<(), PortError> {
        if self.flaw == Flaw::KeepsBadSnapshot {
            return Ok(());
        }
        self.sound.set_aside_snapshot(last)
    }

    fn receive_snapshot(
        &mut self,
        manifest: Manifest,
    ) -> Result<Box<dyn SnapshotReceiver>, PortError> {
        self.sound.receive_snapshot(manifest)
    }
}

/// Takes everything and keeps nothing.
struct Swallows;

impl SnapshotSink for Swallows {
    fn add(&mut self, _: &str, _: &mut dyn Read) -> Result<(), PortError> {
        Ok(())
    }

    fn add_file(&mut self, _: &str, _: &Path) -> Result<(), PortError> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), PortError> {
        Ok(())
    }
}

#[test]
fn a_sound_store_passes() {
    log_store(&mut Fixture::new(Flaw::None));
}

#[test]
fn a_sound_store_walks_on() {
    for seed in 0..300 {
        log_store_walk(&mut Fixture::new(Flaw::None), seed, 120);
    }
}

#[test]
fn every_flaw_is_found() {
    for flaw in FLAWS {
        let found = catch_unwind(AssertUnwindSafe(|| log_store(&mut Fixture::new(flaw))));
        let panic = found.expect_err(&format!("{flaw:?} was not found"));
        let said = panic.downcast_ref::<String>().expect("a formatted message");
        assert!(said.starts_with("log store, "), "{flaw:?}: {said}");
    }
}

#[test]
fn the_walk_finds_what_breaks_a_log() {
    for flaw in [
        Flaw::ForgetsHardState,
        Flaw::IgnoresTruncate,
        Flaw::LosesLastAtReopen,
        Flaw::KeepsOnlyFirstWrite,
        Flaw::PurgesTooMuch,
        Flaw::MissesMemberships,
        Flaw::WatermarkLags,
    ] {
        let mut walk = || {
            for seed in 0..20 {
                log_store_walk(&mut Fixture::new(flaw), seed, 100);
            }
        };
        let panic = catch_unwind(AssertUnwindSafe(&mut walk));
        let panic = panic.expect_err(&format!("{flaw:?} was not found"));
        let said = panic.downcast_ref::<String>().expect("a formatted message");
        assert!(said.contains("walk of seed"), "{flaw:?}: {said}");
    }
}
