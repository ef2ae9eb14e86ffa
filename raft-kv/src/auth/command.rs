//! Commands that change users and roles, and commands of users. It does not know what they do.

use std::fmt;

use bytes::Bytes;

use super::permission::Permission;
use crate::command::Command;
use crate::keys::Keys;

/// Bytes that nobody reads in a log: the hash of a password, or what tokens are signed with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(pub Bytes);

impl Hidden {
    /// No bytes.
    pub const NONE: Self = Self(Bytes::new());
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} hidden bytes)", self.0.len())
    }
}

/// Changes users and roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthCommand {
    /// From now on everybody is asked who they are.
    Enable {
        /// Drawn by whoever proposes it: what members sign tokens with from now on.
        secret: Hidden,
    },
    /// Nobody is asked any more.
    Disable,
    /// Makes a user.
    UserAdd {
        /// The name.
        name: String,
        /// The hash of the password; `None` for one who has none.
        password: Option<Hidden>,
    },
    /// Removes a user.
    UserDelete {
        /// The name.
        name: String,
    },
    /// Gives a user another password. One who has none still has none.
    UserChangePassword {
        /// The name.
        name: String,
        /// Its hash.
        password: Hidden,
    },
    /// Gives a user a role.
    UserGrantRole {
        /// The user.
        name: String,
        /// The role.
        role: String,
    },
    /// Takes it away.
    UserRevokeRole {
        /// The user.
        name: String,
        /// The role.
        role: String,
    },
    /// Makes a role.
    RoleAdd {
        /// The name.
        name: String,
    },
    /// Removes a role, also from all users.
    RoleDelete {
        /// The name.
        name: String,
    },
    /// Gives a role a permission, instead of the one that it has on the same keys.
    RoleGrantPermission {
        /// The role.
        name: String,
        /// The permission.
        permission: Permission,
    },
    /// Takes away the permission on exactly these keys.
    RoleRevokePermission {
        /// The role.
        name: String,
        /// The keys.
        keys: Keys,
    },
}

/// A command of a user, who was found to be allowed to do it.
///
/// What was found is worth nothing once users or roles have changed. So the command says when that
/// was, and does nothing under any other revision. Who asked it says too: what a user may do with a
/// lease follows from the keys that are attached to it, and those are known only where the command
/// stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// Who.
    pub user: String,
    /// The revision of users and roles under which it was allowed.
    pub auth_revision: u64,
    /// What; nothing that is guarded itself.
    pub command: Box<Command>,
}
