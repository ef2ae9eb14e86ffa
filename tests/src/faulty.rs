//! A log that fails when a test wants it, around any log.
//!
//! This file does not know what a node makes of it.

use std::sync::{Arc, Mutex, PoisonError};

use raft_core::event::Write;
use raft_core::port::{
    LogStore, LogUsage, Manifest, PortError, PortErrorKind, SnapshotReceiver, SnapshotSink,
    SnapshotSource,
};
use raft_core::{Entry, Index, Position, Recovered, SnapshotMeta};

/// Where something is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// [`LogStore::recover`].
    Recover,
    /// [`LogStore::found`].
    Found,
    /// [`LogStore::write`].
    Write,
    /// [`LogStore::read`].
    Read,
    /// [`LogStore::purge`].
    Purge,
    /// [`LogStore::create_snapshot`].
    CreateSnapshot,
    /// A machine applies.
    Apply,
    /// Too few answers.
    Answers,
    /// A machine is asked.
    Query,
    /// A machine holds its state fast.
    Snapshot,
    /// What it held fast is written.
    Capture,
    /// A machine is restored.
    Restore,
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// An error of this kind.
    Error(PortErrorKind),
    /// A panic.
    Panic,
}

/// Says what is to fail from now on; shared with the test.
#[derive(Clone, Default)]
pub struct Trigger(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    armed: Option<(Spot, Mishap)>,
    /// So many times nothing happens there yet.
    spared: u64,
    hits: u64,
}

impl Trigger {
    /// From now on this happens there, each time.
    pub fn arm(&self, spot: Spot, mishap: Mishap) {
        self.arm_after(0, spot, mishap);
    }

    /// The same, after it went well so many times.
    pub fn arm_after(&self, spared: u64, spot: Spot, mishap: Mishap) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State {
            armed: Some((spot, mishap)),
            spared,
            hits: 0,
        };
    }

    /// From now on all goes well.
    pub fn disarm(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// Whether anybody else has it, such as a log that was not let go of.
    #[must_use]
    pub fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// How often it went off.
    pub fn hits(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).hits
    }

    /// Lets happen there what is to happen.
    ///
    /// # Errors
    /// When an error is to happen.
    ///
    /// # Panics
    /// When a panic is.
    pub fn pull(&self, at: Spot) -> Result<(), PortError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((spot, mishap)) = state.armed.filter(|(spot, _)| *spot == at) else {
            return Ok(());
        };
        if state.spared > 0 {
            state.spared -= 1;
            return Ok(());
        }
        state.hits += 1;
        drop(state);
        match mishap {
            Mishap::Error(kind) => Err(PortError {
                kind,
                context: format!("the test fails at {spot:?}"),
                source: None,
            }),
            Mishap::Panic => panic!("the test panics at {spot:?}"),
        }
    }
}

/// What becomes of a snapshot that is opened.
type Twist = fn(Box<dyn SnapshotSource>) -> Box<dyn SnapshotSource>;

/// The log.
pub struct FaultyLog {
    log: Box<dyn LogStore>,
    trigger: Trigger,
    twist: Twist,
}

impl FaultyLog {
    /// Around `log`; fails when the trigger says so.
    pub fn new(log: impl LogStore + 'static, trigger: &Trigger) -> Self {
        Self {
            log: Box::new(log),
            trigger: trigger.clone(),
            twist: |source| source,
        }
    }

    /// Twists each snapshot that is opened.
    #[must_use]
    pub fn twisting(self, twist: Twist) -> Self {
        Self { twist, ..self }
    }
}

impl LogStore for FaultyLog {
    fn recover(&mut self) -> Result<Recovered, PortError> {
        self.trigger.pull(Spot::Recover)?;
        self.log.recover()
    }

    fn found(&mut self, founding: &Recovered) -> Result<(), PortError> {
        self.trigger.pull(Spot::Found)?;
        self.log.found(founding)
    }

    fn write(&mut self, writes: &[Write]) -> Result<(), PortError> {
        self.trigger.pull(Spot::Write)?;
        self.log.write(writes)
    }

    fn read(&self, from: Index, to: Index, bytes_max: u64) -> Result<Vec<Entry>, PortError> {
        self.trigger.pull(Spot::Read)?;
        self.log.read(from, to, bytes_max)
    }

    fn purge(&mut self, up_to: Index) -> Result<(), PortError> {
        self.trigger.pull(Spot::Purge)?;
        self.log.purge(up_to)
    }

    fn usage(&self) -> LogUsage {
        self.log.usage()
    }

    fn create_snapshot(
        &mut self,
        meta: Arc<SnapshotMeta>,
    ) -> Result<Box<dyn SnapshotSink>, PortError> {
        self.trigger.pull(Spot::CreateSnapshot)?;
        self.log.create_snapshot(meta)
    }

    fn open_snapshot(&self) -> Result<Option<Box<dyn SnapshotSource>>, PortError> {
        Ok(self.log.open_snapshot()?.map(self.twist))
    }

    fn set_aside_snapshot(&mut self, last: Position) -> Result<(), PortError> {
        self.log.set_aside_snapshot(last)
    }

    fn receive_snapshot(
        &mut self,
        manifest: Manifest,
    ) -> Result<Box<dyn SnapshotReceiver>, PortError> {
        self.log.receive_snapshot(manifest)
    }
}
