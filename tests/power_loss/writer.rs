//! Writes to a log with two groups until the disk fails, and knows what it must find there next.
//!
//! This file does not know why the disk fails.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use raft_core::port::LogStore;
use raft_core::sim::rng::Rng;
use raft_core::{GroupId, NodeId};
use raft_log::disk::{Disk, DiskFile, Open, RealDisk};
use raft_log::{Identity, Wal, WalConfig, WalLog};
use raft_tests::log_model::{LogModel, Step};

const ENTRY_BYTES_MAX: u64 = 2000;

/// Which syncs reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syncs {
    All,
    None,
}

/// A log, and what must be in it.
pub(crate) struct Writer {
    dir: String,
    syncs: Syncs,
    groups: Vec<Share>,
    wal: Option<Wal>,
    /// How many steps were found done of which nobody had been told.
    survivors: u64,
}

/// The share of one group.
struct Share {
    group: GroupId,
    rng: Rng,
    /// What was acknowledged.
    model: LogModel,
    /// What was being done when the disk failed.
    under_way: Option<Step>,
    log: Option<WalLog>,
}

impl Writer {
    pub(crate) fn new(dir: &str, syncs: Syncs, mut rng: Rng) -> Self {
        let mut share = |group| Share {
            group: GroupId(group),
            rng: rng.fork(),
            model: LogModel::default(),
            under_way: None,
            log: None,
        };
        Self {
            dir: dir.to_owned(),
            syncs,
            groups: vec![share(1), share(2)],
            wal: None,
            survivors: 0,
        }
    }

    /// Opens the log, and says what is missing or wrong.
    pub(crate) fn open(&mut self, root: &Path) -> Result<(), String> {
        let real = RealDisk::open(&root.join(&self.dir)).map_err(|error| error.to_string())?;
        let disk: Arc<dyn Disk> = match self.syncs {
            Syncs::All => Arc::new(real),
            Syncs::None => Arc::new(Careless(real)),
        };
        let identity = Identity {
            cluster: 1,
            node: NodeId(1),
        };
        let config = WalConfig {
            segment_bytes: 1 << 18,
            ..WalConfig::default()
        };
        let wal = Wal::open(disk, identity, config).map_err(|error| error.to_string())?;
        for share in &mut self.groups {
            let log = wal.group(share.group).map_err(|error| error.to_string())?;
            self.survivors += u64::from(share.take(log)?);
        }
        if wal.report().has_loss() {
            return Err(format!("it is said to be damaged: {:?}", wal.report()));
        }
        self.wal = Some(wal);
        Ok(())
    }

    /// Writes until the disk fails, both groups at once.
    pub(crate) fn write_on(&mut self, acknowledged: &AtomicU64) {
        thread::scope(|scope| {
            for share in &mut self.groups {
                scope.spawn(|| share.write_on(acknowledged));
            }
        });
    }

    /// Lets go of all files.
    pub(crate) fn close(&mut self) {
        self.groups.iter_mut().for_each(|share| share.log = None);
        self.wal = None;
    }

    /// How many steps were found done of which nobody had been told.
    pub(crate) const fn survivors(&self) -> u64 {
        self.survivors
    }
}

impl Share {
    /// Takes over what is there; says whether the step that was under way is.
    fn take(&mut self, mut log: WalLog) -> Result<bool, String> {
        let found = log.recover().map_err(|error| error.to_string())?;
        let under_way = self.under_way.take();
        let mut stages = vec![self.model.clone()];
        stages.extend(under_way.iter().flat_map(|step| step.stages(&self.model)));
        let mut difference = String::new();
        // The furthest first: a step may change nothing that shows.
        for stage in stages.into_iter().rev() {
            match stage.compare(&found, &log) {
                Ok(()) => {
                    let is_done = stage != self.model;
                    (self.model, self.log) = (stage, Some(log));
                    return Ok(is_done);
                }
                Err(differs) => difference = differs,
            }
        }
        Err(format!("group {}: {difference}", self.group))
    }

    fn write_on(&mut self, acknowledged: &AtomicU64) {
        let log = self.log.as_mut().expect("it was opened");
        loop {
            let step = self.model.draw_step(&mut self.rng, ENTRY_BYTES_MAX);
            if step.carry_out(log).is_err() {
                self.under_way = Some(step);
                return;
            }
            self.model = step.stages(&self.model).pop().expect("at least one");
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A disk that syncs nothing.
struct Careless(RealDisk);

struct CarelessFile(Arc<dyn DiskFile>);

impl Disk for Careless {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(CarelessFile(self.0.open(path, open)?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for CarelessFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
