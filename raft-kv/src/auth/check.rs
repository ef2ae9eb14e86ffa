//! Whether somebody may do something. It does not know how it was found out who asks, nor what is
//! attached to leases: a command that attaches to one, or ends it, needs more than is asked here.

use super::{Auth, Guarded, ROOT, Rights};
use crate::command::Command;
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::request::{DeleteRequest, Op, PutRequest, TxnRequest};
use crate::types::LeaseId;

/// The name of nobody: of who has not said who they are.
pub const NOBODY: &str = "";

impl Auth {
    /// Whether this user may read all of these keys.
    ///
    /// # Errors
    /// When not; of all that follows, too.
    pub fn may_read(&self, user: &str, keys: &Keys) -> Result<(), Refusal> {
        self.allows(user, |rights| rights.reads.cover(keys))
    }

    /// Whether this user may put and delete all of these keys.
    pub fn may_write(&self, user: &str, keys: &Keys) -> Result<(), Refusal> {
        self.allows(user, |rights| rights.writes.cover(keys))
    }

    /// Whether this user may do what concerns the cluster, or users and roles.
    pub fn may_administer(&self, user: &str) -> Result<(), Refusal> {
        self.is_somebody(user)?;
        if !self.is_enabled() {
            return Ok(());
        }
        let user = self.user(user).ok_or(Refusal::UserNotFound)?;
        if user.has_role(ROOT) {
            Ok(())
        } else {
            Err(Refusal::PermissionDenied)
        }
    }

    /// Whether it is known who asks: for what everybody may do who is let in.
    pub fn is_somebody(&self, user: &str) -> Result<(), Refusal> {
        if self.is_enabled() && user == NOBODY {
            return Err(Refusal::UserEmpty);
        }
        Ok(())
    }

    /// Whether this user may see which roles another has, or the same.
    pub fn may_see_user(&self, user: &str, other: &str) -> Result<(), Refusal> {
        let allowed = self.may_administer(user);
        if user != NOBODY && user == other {
            return Ok(());
        }
        allowed
    }

    /// Whether this user may see what a role allows.
    pub fn may_see_role(&self, user: &str, role: &str) -> Result<(), Refusal> {
        let has_role = self.user(user).is_some_and(|user| user.has_role(role));
        if has_role {
            return Ok(());
        }
        self.may_administer(user)
    }

    /// Whether this user may do what a command does; the keys of leases excepted.
    pub fn may(&self, user: &str, command: &Command) -> Result<(), Refusal> {
        match command {
            Command::Put(put) => self.may_put(user, put),
            Command::Delete(delete) => self.may_delete(user, delete),
            Command::Txn(txn) => self.may_txn(user, txn),
            Command::Compact(_) | Command::Grant { .. } | Command::Revoke(_) => {
                self.is_somebody(user)
            }
            Command::Guarded(guarded) => self.may(user, &guarded.command),
            Command::Auth(_)
            | Command::Expire { .. }
            | Command::Raise(..)
            | Command::Clear(..)
            | Command::Announce(_)
            | Command::Forget(_)
            | Command::Upgrade(_)
            | Command::Report(_) => self.may_administer(user),
        }
    }

    /// Whether this user may do all that a transaction could do, whichever branch is taken.
    pub fn may_txn(&self, user: &str, txn: &TxnRequest) -> Result<(), Refusal> {
        self.is_somebody(user)?;
        for compare in &txn.compares {
            self.may_read(user, &compare.keys)?;
        }
        for op in txn.success.iter().chain(&txn.failure) {
            match op {
                Op::Range(range) => self.may_read(user, &range.keys)?,
                Op::Put(put) => self.may_put(user, put)?,
                Op::Delete(delete) => self.may_delete(user, delete)?,
                Op::Txn(inner) => self.may_txn(user, inner)?,
            }
        }
        Ok(())
    }

    fn may_put(&self, user: &str, put: &PutRequest) -> Result<(), Refusal> {
        let keys = Keys::One(put.key.clone());
        self.may_write(user, &keys)?;
        if put.wants_prev {
            self.may_read(user, &keys)?;
        }
        Ok(())
    }

    fn may_delete(&self, user: &str, delete: &DeleteRequest) -> Result<(), Refusal> {
        self.may_write(user, &delete.keys)?;
        if delete.wants_prev {
            self.may_read(user, &delete.keys)?;
        }
        Ok(())
    }

    fn allows(&self, user: &str, covers: impl FnOnce(&Rights) -> bool) -> Result<(), Refusal> {
        self.is_somebody(user)?;
        if !self.is_enabled() || self.may_administer(user).is_ok() {
            return Ok(());
        }
        if self.rights.get(user).is_some_and(covers) {
            Ok(())
        } else {
            Err(Refusal::PermissionDenied)
        }
    }
}

impl Command {
    /// Who asked for it, and when that was allowed, if that is said.
    #[must_use]
    pub const fn guarded(&self) -> Option<&Guarded> {
        if let Self::Guarded(guarded) = self {
            Some(guarded)
        } else {
            None
        }
    }

    /// What is to be done, whoever asked for it.
    #[must_use]
    pub fn bare(&self) -> &Self {
        self.guarded().map_or(self, |guarded| &guarded.command)
    }

    /// Whether clients send it, so that somebody must have been found to be allowed to do it. The
    /// others are what members say; to compact, both do, and it takes nothing from anybody.
    #[must_use]
    pub const fn needs_guard(&self) -> bool {
        match self {
            Self::Put(_)
            | Self::Delete(_)
            | Self::Txn(_)
            | Self::Grant { .. }
            | Self::Revoke(_)
            | Self::Auth(_) => true,
            Self::Guarded(_)
            | Self::Compact(_)
            | Self::Expire { .. }
            | Self::Raise(..)
            | Self::Clear(..)
            | Self::Announce(_)
            | Self::Forget(_)
            | Self::Upgrade(_)
            | Self::Report(_) => false,
        }
    }

    /// The leases whose keys the user must be allowed to put, since they could go on its account:
    /// the one it ends, and those it attaches to, because who has attached a key to a lease is the
    /// one who ends it.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseId> {
        let mut leases = Vec::new();
        match self.bare() {
            Self::Revoke(id) => leases.push(*id),
            Self::Put(put) => leases.extend(put.lease),
            Self::Txn(txn) => leases_of(txn, &mut leases),
            Self::Guarded(_)
            | Self::Delete(_)
            | Self::Grant { .. }
            | Self::Auth(_)
            | Self::Compact(_)
            | Self::Expire { .. }
            | Self::Raise(..)
            | Self::Clear(..)
            | Self::Announce(_)
            | Self::Forget(_)
            | Self::Upgrade(_)
            | Self::Report(_) => {}
        }
        leases.retain(|id| *id != LeaseId::NONE);
        leases.sort_unstable();
        leases.dedup();
        leases
    }
}

fn leases_of(txn: &TxnRequest, leases: &mut Vec<LeaseId>) {
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            Op::Put(put) => leases.extend(put.lease),
            Op::Txn(inner) => leases_of(inner, leases),
            Op::Range(_) | Op::Delete(_) => {}
        }
    }
}
