//! What a machine shares with its readers and its sweeper. Locks are taken in the order of the
//! fields, and none is held while something is awaited.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use raft_core::port::PortError;

use super::digests::{DigestLog, DigestPoint};
use crate::auth::Auth;
use crate::engine::{self, Engine};
use crate::lease_feed::{LeaseFeed, LeaseNews};
use crate::model::{LeaseChange, sweep};
use crate::rows;
use crate::types::Revision;
use crate::watch::{Hub, HubConfig};

/// A page of the sweep removes what about so many changes have made superfluous.
const SWEEP_CHANGES: usize = 500;

pub(crate) struct Shared {
    engine: Arc<dyn Engine>,
    /// Whose turn it is to write: what is written is what was read under the same turn, changed.
    turn: Mutex<()>,
    digests: Mutex<Digests>,
    auth: Mutex<Arc<Auth>>,
    /// The same as its own: known without a lock, since every request asks.
    is_auth_enabled: AtomicBool,
    hub: Hub,
    leases: LeaseFeed,
}

#[derive(Default)]
struct Digests {
    log: DigestLog,
    /// The latest one that all members compare.
    fixed: Option<DigestPoint>,
}

impl Shared {
    pub(super) fn new(
        engine: Arc<dyn Engine>,
        watches: HubConfig,
        revision: Revision,
        compacted: Revision,
    ) -> Self {
        Self {
            hub: Hub::new(Arc::clone(&engine), revision, compacted, watches),
            engine,
            turn: Mutex::default(),
            digests: Mutex::default(),
            auth: Mutex::default(),
            is_auth_enabled: AtomicBool::new(false),
            leases: LeaseFeed::default(),
        }
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    pub(crate) const fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(crate) const fn lease_feed(&self) -> &LeaseFeed {
        &self.leases
    }

    pub(super) fn turn(&self) -> Result<MutexGuard<'_, ()>, PortError> {
        self.turn.lock().map_err(panicked)
    }

    /// What users and roles are from now on. It is told before the rows can be read: so whoever is
    /// let in by what they were reads rows under that revision, or finds that it is another.
    pub(super) fn tell_auth(&self, auth: &Arc<Auth>) -> Result<(), PortError> {
        let mut told = self.auth.lock().map_err(panicked)?;
        *told = Arc::clone(auth);
        self.is_auth_enabled
            .store(auth.is_enabled(), Ordering::Release);
        Ok(())
    }

    pub(crate) fn auth(&self) -> Result<Arc<Auth>, PortError> {
        Ok(Arc::clone(&*self.auth.lock().map_err(panicked)?))
    }

    pub(crate) fn is_auth_enabled(&self) -> bool {
        self.is_auth_enabled.load(Ordering::Acquire)
    }

    pub(super) fn note_leases(&self, changes: Vec<LeaseChange>) {
        for change in changes {
            self.leases.push(match change {
                LeaseChange::Granted { id, ttl_s } => LeaseNews::Granted { id, ttl_s },
                LeaseChange::Ended(id) => LeaseNews::Ended(id),
            });
        }
    }

    pub(super) fn note_digests(
        &self,
        points: &[DigestPoint],
        fixed: Option<DigestPoint>,
    ) -> Result<(), PortError> {
        let mut digests = self.digests.lock().map_err(panicked)?;
        digests.log.push(points);
        digests.fixed = fixed.or(digests.fixed);
        Ok(())
    }

    /// The state is another one: what was noted of the old one is no use.
    pub(super) fn forget(&self) {
        self.leases.push(LeaseNews::Reset);
        if let Ok(mut digests) = self.digests.lock() {
            digests.log.clear();
            digests.fixed = None;
        }
    }

    pub(crate) fn digest_log(&self) -> Result<DigestLog, PortError> {
        Ok(self.digests.lock().map_err(panicked)?.log.clone())
    }

    pub(crate) fn fixed_digest(&self) -> Result<Option<DigestPoint>, PortError> {
        Ok(self.digests.lock().map_err(panicked)?.fixed)
    }

    /// Removes some superfluous rows. Whether nothing is left.
    pub(super) fn sweep_page(&self) -> Result<bool, PortError> {
        let _turn = self.turn()?;
        let page = engine::read(self.engine(), |view| {
            sweep(view, &rows::state(view)?, SWEEP_CHANGES)
        })?;
        let Some(page) = page else {
            return Ok(true);
        };
        self.engine.write(page.batch)?;
        Ok(page.is_last)
    }
}

fn panicked<E>(_: E) -> PortError {
    PortError::misused("a machine in which a thread panicked")
}
