//! A member's machine with its engine: it applies, restarts, and takes snapshots.
//!
//! It does not know what is right.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raft_core::port::{Committed, PortError, SnapshotFile, SnapshotSink, StateMachine};
use raft_core::session::{Answered, SessionLimits, Stamped};
use raft_core::sim::disk::Image;
use raft_core::{Position, SnapshotMeta};
use raft_kv::engine::{Engine, MemoryEngine};
use raft_kv::machine::Sweeping;
use raft_kv::watch::HubConfig;
use raft_kv::{Machine, MachineConfig, Store};
use raft_tests::kv::Entry;

/// What keeps the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In memory.
    Memory,
    /// On a disk.
    #[cfg(feature = "rocksdb")]
    Rocks,
}

/// How a member is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) kind: Kind,
    pub(crate) sessions: SessionLimits,
    pub(crate) watches: HubConfig,
}

/// One member.
pub(crate) struct Replica {
    setup: Setup,
    engine: Arc<dyn Engine>,
    machine: Option<Machine>,
    pub(crate) store: Store,
    /// The directory of an engine that has one; gone when this is dropped, after the engine.
    home: Option<tempfile::TempDir>,
}

impl Replica {
    pub(crate) fn new(setup: Setup) -> Result<Self, String> {
        let (home, engine) = fresh(setup.kind)?;
        let (machine, store) = open(&engine, setup)?;
        Ok(Self {
            setup,
            home,
            engine,
            machine: Some(machine),
            store,
        })
    }

    /// What is answered to these, which are one batch.
    pub(crate) fn apply(&mut self, batch: &[Entry]) -> Result<Vec<Answered>, String> {
        let batch: Vec<Committed> = batch.iter().map(committed).collect();
        let answers = self
            .machine()?
            .apply(&batch)
            .map_err(|why| said("apply", &why))?;
        if answers.len() != batch.len() {
            return Err(format!(
                "{} answers to {} commands",
                answers.len(),
                batch.len()
            ));
        }
        let decoded = |answer: Bytes| {
            Answered::decode(answer.clone()).ok_or_else(|| format!("no answer: {answer:?}"))
        };
        answers.into_iter().map(decoded).collect()
    }

    /// Stops, and comes back with what its engine has kept. Nothing else that reads from it may be
    /// left: an engine on a disk is open once.
    pub(crate) fn reopen(&mut self) -> Result<(), String> {
        let engine = self.engine_again()?;
        self.stop()?;
        let (machine, store) = open(&engine, self.setup)?;
        (self.machine, self.store, self.engine) = (Some(machine), store, engine);
        Ok(())
    }

    fn engine_again(&mut self) -> Result<Arc<dyn Engine>, String> {
        match self.setup.kind {
            Kind::Memory => Ok(Arc::clone(&self.engine)),
            #[cfg(feature = "rocksdb")]
            Kind::Rocks => {
                let home = self.home.as_ref().map(|home| home.path().to_owned());
                self.stop()?;
                on_disk(&home.ok_or("an engine on a disk has a directory")?)
            }
        }
    }

    /// Leaves nothing that could hold the engine open.
    fn stop(&mut self) -> Result<(), String> {
        self.machine = None;
        self.engine = Arc::new(MemoryEngine::new());
        (_, self.store) = open(&self.engine, self.setup)?;
        Ok(())
    }

    /// Comes back on a new disk with nothing but a snapshot. The limits of sessions that the new
    /// machine is given are others, and do not count.
    pub(crate) fn start_from(&mut self, image: &Image) -> Result<(), String> {
        self.stop()?;
        let (home, engine) = fresh(self.setup.kind)?;
        let other = Setup {
            sessions: SessionLimits::default(),
            ..self.setup
        };
        let (machine, store) = open(&engine, other)?;
        (self.machine, self.store) = (Some(machine), store);
        (self.engine, self.home) = (engine, home);
        self.install(image)
    }

    /// Goes on with the state of a snapshot.
    pub(crate) fn install(&mut self, image: &Image) -> Result<(), String> {
        let last = image.meta.last.index;
        let restored = self.machine()?.restore(last, image);
        restored.map_err(|why| said("restore", &why))
    }

    /// A snapshot of its state.
    pub(crate) fn image(&mut self) -> Result<Image, String> {
        let state = self
            .store
            .state()
            .map_err(|why| said("read the state", &why))?;
        let last = Position {
            index: state.applied,
            term: state.term,
        };
        let meta = SnapshotMeta {
            last,
            ..SnapshotMeta::default()
        };
        let capture = self
            .machine()?
            .snapshot()
            .map_err(|why| said("capture", &why))?;
        let mut sink = Sink::default();
        capture(&mut sink).map_err(|why| said("write a snapshot", &why))?;
        Ok(Image::new(Arc::new(meta), sink.0))
    }

    fn machine(&mut self) -> Result<&mut Machine, String> {
        self.machine
            .as_mut()
            .ok_or_else(|| "there is no machine".to_owned())
    }
}

/// As the log has it.
pub(crate) fn committed(entry: &Entry) -> Committed {
    let command = entry.command.as_ref();
    let stamped = Stamped {
        time_ms: entry.time_ms,
        session: entry.session,
        command: command.map_or_else(Bytes::new, raft_kv::Command::encode),
    };
    Committed {
        index: entry.index,
        term: entry.term,
        command: stamped.encode(),
    }
}

/// What went wrong, in doing what.
pub(crate) fn said(what: &str, why: &PortError) -> String {
    format!("{what}: {why}")
}

fn fresh(kind: Kind) -> Result<(Option<tempfile::TempDir>, Arc<dyn Engine>), String> {
    match kind {
        Kind::Memory => Ok((None, Arc::new(MemoryEngine::new()))),
        #[cfg(feature = "rocksdb")]
        Kind::Rocks => {
            let home = tempfile::tempdir().map_err(|why| format!("a directory: {why}"))?;
            let engine = on_disk(home.path())?;
            Ok((Some(home), engine))
        }
    }
}

/// It flushes often, so that some of what was applied outlives a restart, and some does not.
#[cfg(feature = "rocksdb")]
fn on_disk(dir: &Path) -> Result<Arc<dyn Engine>, String> {
    use raft_kv::engine::{RocksEngine, RocksEngineConfig};

    let config = RocksEngineConfig {
        cache_bytes: 1 << 20,
        flush_batches: 5,
        ..RocksEngineConfig::default()
    };
    let engine = RocksEngine::open(dir, config).map_err(|why| format!("open: {why}"))?;
    Ok(Arc::new(engine))
}

fn open(engine: &Arc<dyn Engine>, setup: Setup) -> Result<(Machine, Store), String> {
    let config = MachineConfig {
        sessions: setup.sessions,
        watches: setup.watches,
        sweeping: Sweeping::Inline,
        ..MachineConfig::default()
    };
    Machine::open(Arc::clone(engine), config).map_err(|why| said("open", &why))
}

/// Takes a snapshot into memory, files on a disk as they are when they are added.
#[derive(Default)]
struct Sink(Vec<(String, Bytes)>);

impl SnapshotSink for Sink {
    fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<(), PortError> {
        if !SnapshotFile::is_name(name) || self.0.iter().any(|(known, _)| known == name) {
            return Err(PortError::misused(format!("a second or no name: {name}")));
        }
        let mut bytes = Vec::new();
        let read = content.read_to_end(&mut bytes);
        read.map_err(|why| PortError::io(format!("add {name}"), why))?;
        self.0.push((name.to_owned(), bytes.into()));
        Ok(())
    }

    fn add_file(&mut self, name: &str, path: &Path) -> Result<(), PortError> {
        let opened = std::fs::File::open(path);
        let mut file = opened.map_err(|why| PortError::io(format!("open {name}"), why))?;
        self.add(name, &mut file)
    }

    fn finish(self: Box<Self>) -> Result<(), PortError> {
        Ok(())
    }
}
