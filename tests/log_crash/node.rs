//! A process with a log of a few groups, and what it knows must be in it.
//!
//! This file does not know how the disk fails.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use raft_core::port::{LogStore, PortError};
use raft_core::sim::rng::Rng;
use raft_core::{GroupId, NodeId};
use raft_log::{Finding, Identity, OpenError, Preparation, Wal, WalConfig, WalLog};
use raft_tests::crash_disk::CrashDisk;
use raft_tests::log_model::{LogModel, Step};

const ENTRY_BYTES_MAX: u64 = 3000;

pub(crate) const IDENTITY: Identity = Identity {
    cluster: 7,
    node: NodeId(1),
};

/// All that a log may hold: of each group one state if it is known, several after a crash in the
/// middle of something.
pub(crate) type Groups = BTreeMap<GroupId, Vec<LogModel>>;

/// A process while its log is closed.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) config: WalConfig,
    pub(crate) groups: Groups,
}

/// Its log while it is open.
pub(crate) struct Running {
    pub(crate) wal: Wal,
    pub(crate) logs: BTreeMap<GroupId, WalLog>,
}

/// Whether a crash alone can be the reason for a finding.
fn is_harmless(finding: &Finding) -> bool {
    match finding {
        Finding::TornTail { .. } => true,
        // What is left of a snapshot that was taken back after an error, before anybody was told
        // of it. Those that must be there are looked for by name.
        Finding::BadSnapshot { what, .. } => what.ends_with("is missing"),
        Finding::Damage { .. }
        | Finding::BatchesMissing { .. }
        | Finding::SegmentHeader { .. }
        | Finding::EntriesMissing { .. }
        | Finding::WatermarkMissing
        | Finding::SlotsMissing { .. }
        | Finding::IdentityRebuilt
        | Finding::SnapshotMissing { .. }
        | Finding::Lost { .. } => false,
    }
}

/// Why a log could not be opened.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It says so itself.
    Refused(OpenError),
    /// It is open, but not what it must be.
    Wrong(String),
}

/// What could not be done, and why.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) step: Step,
    pub(crate) error: PortError,
}

impl From<OpenError> for Trouble {
    fn from(error: OpenError) -> Self {
        Self::Refused(error)
    }
}

impl From<PortError> for Trouble {
    fn from(error: PortError) -> Self {
        Self::Refused(error.into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "it can't be opened: {error}"),
            Self::Wrong(what) => f.write_str(what),
        }
    }
}

impl Node {
    /// Small segments, so that they are begun, dropped and used again all the time.
    pub(crate) fn drawn(rng: &mut Rng) -> Self {
        let config = WalConfig {
            segment_bytes: rng.magnitude(2048, 16384),
            spares_max: u32::try_from(rng.below(3)).expect("small"),
            batch_bytes_max: rng.magnitude(512, 1 << 20),
            preparation: Preparation::Growing,
            snapshots_retained: rng.place(2) + 1,
        };
        let groups = 1..=rng.between(1, 3);
        Self {
            config,
            groups: groups
                .map(|group| (GroupId(group), vec![LogModel::default()]))
                .collect(),
        }
    }

    /// Opens the log after a crash, in which nothing was damaged. What is found there is known from
    /// then on.
    pub(crate) fn open(&mut self, disk: &CrashDisk) -> Result<Running, Trouble> {
        let disk = Arc::new(disk.clone());
        let wal = Wal::open(disk, IDENTITY, self.config)?;
        let mut logs = BTreeMap::new();
        for (group, stages) in &mut self.groups {
            let mut log = wal.group(*group)?;
            let found = log.recover()?;
            let mut difference = String::new();
            // The furthest first: a step may change nothing that shows.
            let fits = stages.iter().rev().find(|stage| {
                let compared = stage.compare(&found, &log);
                compared.map_err(|differs| difference = differs).is_ok()
            });
            let Some(fits) = fits.cloned() else {
                let what = format!("group {group}, {} stages: {difference}", stages.len());
                let findings = wal.report().findings;
                return Err(Trouble::Wrong(format!("{what}; findings {findings:?}")));
            };
            *stages = vec![fits];
            logs.insert(*group, log);
        }
        let findings = wal.report().findings;
        if !findings.iter().all(is_harmless) {
            return Err(Trouble::Wrong(format!(
                "nothing was damaged, but {findings:?}"
            )));
        }
        Ok(Running { wal, logs })
    }

    /// What may be done next, to one of the groups.
    pub(crate) fn draw(&self, rng: &mut Rng) -> (GroupId, Step) {
        let at = rng.place(self.groups.len());
        let (group, stages) = self.groups.iter().nth(at).expect("within");
        (*group, stages[0].draw_step(rng, ENTRY_BYTES_MAX))
    }

    /// A step has begun.
    pub(crate) fn begin(&mut self, group: GroupId, step: &Step) {
        let stages = self.groups.get_mut(&group).expect("one of ours");
        *stages = step.stages(&stages[0]);
    }

    /// The step that had begun was acknowledged.
    pub(crate) fn end(&mut self, group: GroupId) {
        let stages = self.groups.get_mut(&group).expect("one of ours");
        stages.drain(..stages.len() - 1);
    }

    /// Does something, and learns of it.
    pub(crate) fn step(&mut self, running: &mut Running, rng: &mut Rng) -> Result<(), Box<Failed>> {
        let (group, step) = self.draw(rng);
        self.begin(group, &step);
        let log = running.logs.get_mut(&group).expect("one of ours");
        if let Err(error) = step.carry_out(log) {
            return Err(Box::new(Failed { step, error }));
        }
        self.end(group);
        Ok(())
    }
}
