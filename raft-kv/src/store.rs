//! What can be read of a machine, by any thread, while it goes on. Whoever wants the latest asks
//! the node for a barrier first; this file does not know the node.

use std::sync::Arc;

use raft_core::port::PortError;
use raft_core::{NodeId, Term};

use crate::auth::Auth;
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
        self.range_if(request, |_| Ok(()))
    }

    /// Keys, if this may be done with the state that they are read from.
    pub(crate) fn range_if(
        &self,
        request: &RangeRequest,
        may: impl Fn(&State) -> Result<(), Refusal>,
    ) -> Result<RangeAnswer, PortError> {
        self.read(|view| {
            let state = rows::state(view)?;
            let found = match may(&state) {
                Ok(()) => model::range(view, &state, request)?,
                Err(refusal) => Err(refusal),
            };
            Ok((state.revision, found))
        })
    }

    /// Keys, unless they are longer than this together.
    pub fn range_within(
        &self,
        request: &RangeRequest,
        bytes_max: usize,
    ) -> Result<(Revision, Result<Option<RangeResponse>, Refusal>), PortError> {
        self.range_within_if(request, bytes_max, |_| Ok(()))
    }

    /// The same, if this may be done with the state that they are read from.
    pub(crate) fn range_within_if(
        &self,
        request: &RangeRequest,
        bytes_max: usize,
        may: impl Fn(&State) -> Result<(), Refusal>,
    ) -> Result<(Revision, Result<Option<RangeResponse>, Refusal>), PortError> {
        self.read(|view| {
            let state = rows::state(view)?;
            let found = match may(&state) {
                Ok(()) => model::range_within(view, &state, request, bytes_max)?,
                Err(refusal) => Err(refusal),
            };
            Ok((state.revision, found))
        })
    }

    /// A transaction that changes nothing. One that would is answered by an error: it belongs into
    /// the log.
    pub fn txn(&self, txn: &TxnRequest) -> Result<Answer, PortError> {
        self.txn_if(txn, |_| Ok(()))
    }

    /// The same, if this may be done with the state that it is answered from.
    pub(crate) fn txn_if(
        &self,
        txn: &TxnRequest,
        may: impl Fn(&State) -> Result<(), Refusal>,
    ) -> Result<Answer, PortError> {
        if changes_any(txn) {
            return Err(PortError::misused("a transaction that changes something"));
        }
        self.read(|view| {
            let mut state = rows::state(view)?;
            if let Err(refusal) = may(&state) {
                return Ok(Answer {
                    revision: state.revision,
                    outcome: Err(refusal),
                });
            }
            let mut execution = Execution {
                rows: &mut Overlay::new(view),
                state: &mut state,
                catalog: &mut Catalog::default(),
                // Nobody is asked twice.
                auth: &mut Arc::default(),
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

    /// The same, with the state that it is read from.
    pub(crate) fn lease_and_state(
        &self,
        id: LeaseId,
    ) -> Result<(State, Option<LeaseView>), PortError> {
        self.read(|view| Ok((rows::state(view)?, model::lease_view(view, id)?)))
    }

    /// All leases.
    pub fn leases(&self) -> Result<Vec<(LeaseId, Lease)>, PortError> {
        self.read(model::leases)
    }

    /// The same, with the state that they are read from.
    pub(crate) fn leases_and_state(&self) -> Result<(State, Vec<(LeaseId, Lease)>), PortError> {
        self.read(|view| Ok((rows::state(view)?, model::leases(view)?)))
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

    /// Users and roles, as they are, or are about to be: changes are here before they are in rows.
    pub fn auth(&self) -> Result<Arc<Auth>, PortError> {
        self.shared.auth()
    }

    /// Whether anybody is asked who they are. It costs next to nothing to know.
    #[must_use]
    pub fn is_auth_enabled(&self) -> bool {
        self.shared.is_auth_enabled()
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
