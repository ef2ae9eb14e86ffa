//! Who asks, and whether they may: what a handle knows of the user on whose behalf it is used.
//!
//! Whoever lets clients in finds out who they are under some revision of users and roles, and takes
//! a handle for them. Whatever is done by that handle is checked first, and done only if the
//! revision is still the same when it is done: in the log, where the command stands; for what is
//! only read, in the rows that it is read from. Otherwise it is refused as
//! [`Refusal::AuthRevisionOld`], which says that nothing was done: find out anew who asks, and do
//! it again. This file does not know how a user proves to be one.

use std::sync::Arc;

use raft_core::port::PortError;

use super::{Kv, KvError};
use crate::auth::{Auth, Guarded, NOBODY};
use crate::command::Command;
use crate::refusal::Refusal;
use crate::rows::State;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The user.
    pub user: String,
    /// The revision of users and roles under which that was found out.
    pub auth_revision: u64,
}

impl Kv {
    /// Users and roles. They may be ahead of the rows by what is being applied.
    ///
    /// # Errors
    /// When the machine has failed.
    pub fn auth(&self) -> Result<Arc<Auth>, PortError> {
        self.store().auth()
    }

    /// Whether anybody is asked who they are. It costs next to nothing to know.
    #[must_use]
    pub fn is_auth_enabled(&self) -> bool {
        self.store().is_auth_enabled()
    }

    /// A handle on behalf of a user. One without is on behalf of nobody, which is enough as long as
    /// nobody is asked.
    #[must_use]
    pub fn by(&self, asker: Asker) -> Self {
        let mut by = self.clone();
        by.asker = Some(Arc::new(asker));
        by
    }

    /// Whether whom this handle acts for may do what `may` asks for.
    ///
    /// # Errors
    /// When not, or when it must be found out anew who asks.
    pub fn permit(
        &self,
        may: impl FnOnce(&Auth, &str) -> Result<(), Refusal>,
    ) -> Result<(), KvError> {
        if self.asker.is_none() && !self.is_auth_enabled() {
            return Ok(());
        }
        let auth = self.auth()?;
        match &self.asker {
            None => may(&auth, NOBODY)?,
            Some(asker) if is_under(&auth, asker) => may(&auth, &asker.user)?,
            Some(_) => return Err(Refusal::AuthRevisionOld.into()),
        }
        Ok(())
    }

    /// Whether what is read from this state is read under the revision that it was allowed under.
    pub(super) fn check_still(&self, state: &State) -> Result<(), Refusal> {
        let asker = self.asker.as_ref();
        if state.auth == asker.map_or(State::AUTH_OFF, |asker| asker.auth_revision) {
            Ok(())
        } else {
            Err(Refusal::AuthRevisionOld)
        }
    }

    /// The command, on behalf of whom this handle acts for.
    pub(super) fn guard(&self, command: Command) -> Command {
        match &self.asker {
            None => command,
            Some(asker) => Command::Guarded(Guarded {
                user: asker.user.clone(),
                auth_revision: asker.auth_revision,
                command: Box::new(command),
            }),
        }
    }

    /// Whether this command may be proposed. What members say of themselves is no client's, and
    /// needs nobody's leave unless a client says it.
    pub(super) fn check_may(&self, command: &Command) -> Result<(), KvError> {
        if self.asker.is_none() && !command.needs_guard() {
            return Ok(());
        }
        self.permit(|auth, user| auth.may(user, command))
    }
}

fn is_under(auth: &Auth, asker: &Asker) -> bool {
    auth.is_enabled() && auth.revision() == asker.auth_revision
}
