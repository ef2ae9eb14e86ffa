//! Who may do what: users, roles, and permissions on keys, with etcd's meaning.
//!
//! It is a value like the rest of the state: commands change it, in the same way on all members,
//! and it lies in rows, one a user and one a role, so that what changes costs as much as has
//! changed. Passwords arrive as hashes: the salt is drawn where a client asks, never by the
//! machine. This module knows neither tokens nor certificates: it is told who asks.

mod change;
mod check;
mod command;
mod load;
mod permission;
mod rights;
#[cfg(test)]
mod tests;

pub use change::AuthRow;
pub use check::NOBODY;
pub use command::{AuthCommand, Guarded, Hidden};
pub(crate) use load::is_auth_key;
pub use permission::{Permission, PermissionKind};

use std::collections::BTreeMap;

use rights::Rights;

/// The user without whom nobody could be let in, and the role whose users may do everything.
pub const ROOT: &str = "root";

/// The revision of a store in which nothing was said of users yet.
pub const REVISION_FIRST: u64 = 1;

/// All that is known of users and roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    state: AuthState,
    users: BTreeMap<String, User>,
    roles: BTreeMap<String, Role>,
    /// What follows from the two above, for each user.
    rights: BTreeMap<String, Rights>,
}

/// What there is one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthState {
    /// Whether anybody is asked who they are.
    pub is_enabled: bool,
    /// One more with each change; whether something was checked before it can be told by this.
    pub revision: u64,
    /// Drawn when it was enabled: what members sign tokens with. Empty while it is not.
    pub secret: Hidden,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The hash of the password; one without can't be let in by a password.
    pub password: Option<Hidden>,
    /// Sorted, each once.
    pub roles: Vec<String>,
    /// The revision that made the user or changed the password: who was let in before is another.
    pub since: u64,
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// Sorted by their keys; for the same keys there is one.
    pub permissions: Vec<Permission>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            state: AuthState::FRESH,
            users: BTreeMap::new(),
            roles: BTreeMap::new(),
            rights: BTreeMap::new(),
        }
    }
}

impl AuthState {
    /// Of a store in which nothing was said of users yet.
    pub const FRESH: Self = Self {
        is_enabled: false,
        revision: REVISION_FIRST,
        secret: Hidden::NONE,
    };
}

impl Auth {
    /// Whether anybody is asked who they are.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.state.is_enabled
    }

    /// One more with each change.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.state.revision
    }

    /// What members sign tokens with.
    #[must_use]
    pub const fn secret(&self) -> &Hidden {
        &self.state.secret
    }

    /// A user, if there is one of this name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// All users, in the order of their names.
    pub fn users(&self) -> impl Iterator<Item = (&str, &User)> {
        self.users.iter().map(|(name, user)| (name.as_str(), user))
    }

    /// A role, if there is one of this name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.get(name)
    }

    /// All roles, in the order of their names.
    pub fn roles(&self) -> impl Iterator<Item = (&str, &Role)> {
        self.roles.iter().map(|(name, role)| (name.as_str(), role))
    }
}

impl User {
    /// Whether this role was granted.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        let found = self.roles.binary_search_by(|one| one.as_str().cmp(role));
        found.is_ok()
    }
}
