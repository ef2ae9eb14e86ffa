//! Users and roles, and what is asked of commands because there are any. What each command does to
//! them is told in [`crate::auth`].

use std::sync::Arc;

use raft_core::port::PortError;

use super::execution::Execution;
use super::leases::attached;
use crate::auth::{Auth, AuthCommand, AuthRow};
use crate::command::Command;
use crate::engine::{Family, View};
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::response::Response;
use crate::rows::State;

/// Whether what was found where the client asked does not hold any more: that nobody is asked, or
/// that the user was allowed to do it under the present revision.
#[must_use]
pub fn is_checked_too_early(auth: &Auth, command: &Command) -> bool {
    match command.guarded() {
        Some(guarded) => !auth.is_enabled() || guarded.auth_revision != auth.revision(),
        None => auth.is_enabled() && command.needs_guard(),
    }
}

impl Execution<'_, '_> {
    /// Whether the command may be done now, of all that was asked for where it came in.
    pub(super) fn check_allowed(
        &self,
        command: &Command,
    ) -> Result<Result<(), Refusal>, PortError> {
        if is_checked_too_early(self.auth, command) {
            return Ok(Err(Refusal::AuthRevisionOld));
        }
        match command.guarded() {
            Some(guarded) => self.check_leases(&guarded.user, command),
            None => Ok(Ok(())),
        }
    }

    /// What is attached to leases is known only here.
    fn check_leases(
        &self,
        user: &str,
        command: &Command,
    ) -> Result<Result<(), Refusal>, PortError> {
        if self.auth.may_administer(user).is_ok() {
            return Ok(Ok(()));
        }
        for lease in command.leases() {
            for key in attached(&*self.rows, lease)? {
                if let Err(refusal) = self.auth.may_write(user, &Keys::One(key)) {
                    return Ok(Err(refusal));
                }
            }
        }
        Ok(Ok(()))
    }

    pub(super) fn change_auth(
        &mut self,
        command: &AuthCommand,
    ) -> Result<Result<Response, Refusal>, PortError> {
        let mut auth = Auth::clone(self.auth);
        let rows = match auth.change(command) {
            Ok(rows) => rows,
            Err(refusal) => return Ok(Err(refusal)),
        };
        for row in &rows {
            self.write_auth_row(row, &auth)?;
        }
        if !rows.is_empty() {
            self.state.auth = if auth.is_enabled() {
                auth.revision()
            } else {
                State::AUTH_OFF
            };
            *self.auth = Arc::new(auth);
        }
        Ok(Ok(Response::Done))
    }

    fn write_auth_row(&mut self, row: &AuthRow, auth: &Auth) -> Result<(), PortError> {
        let key = row.key();
        if let Some(before) = self.rows.get(Family::Meta, &key)? {
            self.state.row_went(Family::Meta, &key, &before);
        }
        match auth.row(row) {
            Some(after) => {
                self.state.row_came(Family::Meta, &key, &after);
                self.rows.put(Family::Meta, key, after);
            }
            None => self.rows.remove(Family::Meta, key),
        }
        Ok(())
    }
}
