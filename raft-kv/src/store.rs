//! What can be read of a machine, by any thread, while it goes on. Whoever wants the latest asks
//! the node for a barrier first; this file does not know the node.

use std::sync::Arc;

use raft_core::port::PortError;
use raft_core::{NodeId, Term};

use crate::command::{Announcement, Command};
use crate::engine::{self, Health, View};
use crate::lease_feed::LeaseFeed;
use crate::machine::{DigestLog, DigestPoint, Shared};
use crate::model::{self, Catalog, Execution, HashKv, LeaseView, Overlay};
use crate::refusal::Refusal;
use crate::request::{Op, RangeRequest, TxnRequest};
use crate::response::{Answer, RangeResponse};
use crate::rows::{self, Lease, State};
use crate::types::{AlarmKind, LeaseId, Revision};
use crate::watch::{Hub, WatchRefused, WatchRequest, Watcher};

/// The answer to a range, with the revision of the store.
pub type RangeAnswer = (Revision, Result<RangeResponse, Refusal>);

/// Reads from a machine's rows.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

impl Store {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn read<T>(
        &self,
        reader: impl FnOnce(&dyn View) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        engine::read(self.shared.engine(), reader)
    }

    /// Where it stands.
    ///
    /// # Errors
    /// When it can't be read; of all that follows, too.
    pub fn state(&self) -> Result<State, PortError> {
        self.read(rows::state)
    }

    /// Keys.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeAnswer, PortError> {
        self.read(|view| {
            let state = rows::state(view)?;
            let found = model::range(view, &state, request)?;
            Ok((state.revision, found))
        })
    }

    /// A transaction that changes nothing. One that would is answered by an error: it belongs into
    /// the log.
    pub fn txn(&self, txn: &TxnRequest) -> Result<Answer, PortError> {
        if changes_any(txn) {
            return Err(PortError::misused("a transaction that changes something"));
        }
        self.read(|view| {
            let mut state = rows::state(view)?;
            let mut execution = Execution {
                rows: &mut Overlay::new(view),
                state: &mut state,
                catalog: &mut Catalog::default(),
                events: None,
                leases: &mut Vec::new(),
            };
            execution.execute(Term(0), &Command::Txn(txn.clone()))
        })
    }

    /// A lease, if there is one of this name.
    pub fn lease(&self, id: LeaseId) -> Result<Option<LeaseView>, PortError> {
        self.read(|view| model::lease_view(view, id))
    }

    /// All leases.
    pub fn leases(&self) -> Result<Vec<(LeaseId, Lease)>, PortError> {
        self.read(model::leases)
    }

    /// What becomes of leases.
    #[must_use]
    pub fn lease_feed(&self) -> &LeaseFeed {
        self.shared.lease_feed()
    }

    /// Alarms, and what members say of themselves.
    pub fn catalog(&self) -> Result<Catalog, PortError> {
        self.read(Catalog::load)
    }

    /// What is wrong, with whom.
    pub fn alarms(&self) -> Result<Vec<(NodeId, AlarmKind)>, PortError> {
        let alarms = self.catalog()?.alarms.into_iter();
        Ok(alarms.map(|(kind, member)| (member, kind)).collect())
    }

    /// What members say of themselves.
    pub fn members(&self) -> Result<Vec<Announcement>, PortError> {
        Ok(self.catalog()?.members.into_values().collect())
    }

    /// The hash of all up to a revision; [`Revision::NONE`] is now.
    pub fn hash(&self, revision: Revision) -> Result<Result<HashKv, Refusal>, PortError> {
        self.read(|view| model::hash_kv(view, &rows::state(view)?, revision))
    }

    /// Watches keys.
    ///
    /// # Errors
    /// When there are too many watchers.
    pub fn watch(&self, request: WatchRequest) -> Result<Watcher, WatchRefused> {
        self.shared.hub().watch(request)
    }

    /// The hub of all watches.
    #[must_use]
    pub fn watches(&self) -> &Hub {
        self.shared.hub()
    }

    /// How the rows' engine is.
    pub fn health(&self) -> Result<Health, PortError> {
        self.shared.engine().health()
    }

    /// The digest after the latest entry at which members compare theirs.
    pub fn fixed_digest(&self) -> Result<Option<DigestPoint>, PortError> {
        self.shared.fixed_digest()
    }

    /// The digests after the latest commands.
    pub fn digest_log(&self) -> Result<DigestLog, PortError> {
        self.shared.digest_log()
    }
}

/// Whether a branch of it changes something.
pub(crate) fn changes_any(txn: &TxnRequest) -> bool {
    let ops = txn.success.iter().chain(&txn.failure);
    ops.into_iter().any(|op| match op {
        Op::Put(_) | Op::Delete(_) => true,
        Op::Txn(inner) => changes_any(inner),
        Op::Range(_) => false,
    })
}
