//! Users and roles as lists that are walked from their beginning.
//!
//! It knows nothing of rows, nor of how the store puts permissions together.

use raft_kv::auth::{Auth, AuthCommand, Hidden, PermissionKind, ROOT};
use raft_kv::request::{Op, TxnRequest};
use raft_kv::{Command, Keys, LeaseId, Refusal};

use super::Reference;

/// Who may do what.
#[derive(Clone, Debug, PartialEq)]
pub struct Users {
    /// Whether anybody is asked.
    pub is_enabled: bool,
    /// One more with each change.
    pub revision: u64,
    secret: Hidden,
    users: Vec<User>,
    roles: Vec<Role>,
}

#[derive(Clone, Debug, PartialEq)]
struct User {
    name: String,
    password: Option<Hidden>,
    roles: Vec<String>,
    since: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Role {
    name: String,
    permissions: Vec<(Keys, PermissionKind)>,
}

impl Default for Users {
    fn default() -> Self {
        Self {
            is_enabled: false,
            revision: 1,
            secret: Hidden::NONE,
            users: Vec::new(),
            roles: Vec::new(),
        }
    }
}

impl Users {
    /// What a store that says this has.
    #[must_use]
    pub fn said(auth: &Auth) -> Self {
        let users = auth.users().map(|(name, user)| User {
            name: name.to_owned(),
            password: user.password.clone(),
            roles: user.roles.clone(),
            since: user.since,
        });
        let roles = auth.roles().map(|(name, role)| {
            let permissions = role.permissions.iter();
            Role {
                name: name.to_owned(),
                permissions: permissions
                    .map(|one| (one.keys.clone(), one.kind))
                    .collect(),
            }
        });
        let mut said = Self {
            is_enabled: auth.is_enabled(),
            revision: auth.revision(),
            secret: auth.secret().clone(),
            users: users.collect(),
            roles: roles.collect(),
        };
        said.sort();
        said
    }

    /// In an order that does not tell how it came about.
    pub fn sort(&mut self) {
        self.users.sort_by(|one, other| one.name.cmp(&other.name));
        self.roles.sort_by(|one, other| one.name.cmp(&other.name));
        for user in &mut self.users {
            user.roles.sort();
        }
        for role in &mut self.roles {
            role.permissions
                .sort_by_key(|(keys, _)| format!("{:?}", keys.span()));
        }
    }

    /// Whether there is an administrator, and whether that one may be one: without both nobody can
    /// be asked who they are.
    pub fn administrator(&self) -> Option<bool> {
        let root = self.users.iter().find(|user| user.name == ROOT)?;
        Some(root.roles.iter().any(|role| role == ROOT))
    }

    fn user(&mut self, name: &str) -> Result<&mut User, Refusal> {
        let mut users = self.users.iter_mut();
        let found = users.find(|user| user.name == name);
        found.ok_or(Refusal::UserNotFound)
    }

    fn role(&mut self, name: &str) -> Result<&mut Role, Refusal> {
        let mut roles = self.roles.iter_mut();
        let found = roles.find(|role| role.name == name);
        found.ok_or(Refusal::RoleNotFound)
    }

    /// What is refused may have changed something: it is done on a copy.
    pub(super) fn change(&mut self, command: &AuthCommand) -> Result<(), Refusal> {
        let is_enabled = self.is_enabled;
        let is_kept = |name: &str| is_enabled && name == ROOT;
        match command {
            AuthCommand::Enable { secret } => return self.enable(secret),
            AuthCommand::Disable if !is_enabled => return Ok(()),
            AuthCommand::Disable => {
                self.is_enabled = false;
                self.secret = Hidden::NONE;
            }
            AuthCommand::UserAdd { name, .. } if name.is_empty() => return Err(Refusal::UserEmpty),
            AuthCommand::UserAdd { name, .. } if self.user(name).is_ok() => {
                return Err(Refusal::UserExists);
            }
            AuthCommand::UserAdd { name, password } => self.users.push(User {
                name: name.clone(),
                password: password.clone(),
                roles: Vec::new(),
                since: self.revision + 1,
            }),
            AuthCommand::UserDelete { name } if is_kept(name) => {
                return Err(Refusal::InvalidAuthManagement);
            }
            AuthCommand::UserDelete { name } => {
                self.user(name)?;
                self.users.retain(|user| user.name != *name);
            }
            AuthCommand::UserChangePassword { name, password } => {
                let since = self.revision + 1;
                let user = self.user(name)?;
                user.password = user.password.as_ref().map(|_| password.clone());
                user.since = since;
            }
            AuthCommand::UserGrantRole { name, role } => {
                let is_role = role == ROOT || self.role(role).is_ok();
                let user = self.user(name)?;
                if !is_role {
                    return Err(Refusal::RoleNotFound);
                }
                if user.roles.contains(role) {
                    return Ok(());
                }
                user.roles.push(role.clone());
            }
            AuthCommand::UserRevokeRole { name, role } if is_kept(name) && is_kept(role) => {
                return Err(Refusal::InvalidAuthManagement);
            }
            AuthCommand::UserRevokeRole { name, role } => {
                let user = self.user(name)?;
                if !user.roles.contains(role) {
                    return Err(Refusal::RoleNotGranted);
                }
                user.roles.retain(|one| one != role);
            }
            AuthCommand::RoleAdd { .. }
            | AuthCommand::RoleDelete { .. }
            | AuthCommand::RoleGrantPermission { .. }
            | AuthCommand::RoleRevokePermission { .. } => self.change_role(command, is_kept)?,
        }
        self.revision += 1;
        Ok(())
    }

    fn enable(&mut self, secret: &Hidden) -> Result<(), Refusal> {
        if self.is_enabled {
            return Ok(());
        }
        let root = self.user(ROOT).map_err(|_| Refusal::RootUserNotFound)?;
        if !root.roles.iter().any(|role| role == ROOT) {
            return Err(Refusal::RootRoleNotGranted);
        }
        self.is_enabled = true;
        self.secret = secret.clone();
        Ok(())
    }

    fn change_role(
        &mut self,
        command: &AuthCommand,
        is_kept: impl Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        match command {
            AuthCommand::RoleAdd { name } if name.is_empty() => return Err(Refusal::RoleEmpty),
            AuthCommand::RoleAdd { name } if self.role(name).is_ok() => {
                return Err(Refusal::RoleExists);
            }
            AuthCommand::RoleAdd { name } => self.roles.push(Role {
                name: name.clone(),
                permissions: Vec::new(),
            }),
            AuthCommand::RoleDelete { name } if is_kept(name) => {
                return Err(Refusal::InvalidAuthManagement);
            }
            AuthCommand::RoleDelete { name } => {
                self.role(name)?;
                self.roles.retain(|role| role.name != *name);
                for user in &mut self.users {
                    user.roles.retain(|role| role != name);
                }
            }
            AuthCommand::RoleGrantPermission { name, permission } => {
                let span = permission.keys.span();
                if span.from.is_empty() || span.to.as_ref().is_some_and(|to| *to <= span.from) {
                    return Err(Refusal::InvalidAuthManagement);
                }
                let role = self.role(name)?;
                role.permissions
                    .retain(|(keys, _)| *keys != permission.keys);
                role.permissions
                    .push((permission.keys.clone(), permission.kind));
            }
            AuthCommand::RoleRevokePermission { name, keys } => {
                let role = self.role(name)?;
                let before = role.permissions.len();
                role.permissions.retain(|(known, _)| known != keys);
                if role.permissions.len() == before {
                    return Err(Refusal::PermissionNotGranted);
                }
            }
            AuthCommand::Enable { .. }
            | AuthCommand::Disable
            | AuthCommand::UserAdd { .. }
            | AuthCommand::UserDelete { .. }
            | AuthCommand::UserChangePassword { .. }
            | AuthCommand::UserGrantRole { .. }
            | AuthCommand::UserRevokeRole { .. } => {
                unreachable!("what changes users is elsewhere")
            }
        }
        Ok(())
    }

    fn may_put(&self, name: &str, key: &[u8]) -> bool {
        let Some(user) = self.users.iter().find(|user| user.name == name) else {
            return false;
        };
        let allows = |role: &Role| {
            let mut permissions = role.permissions.iter();
            permissions.any(|(keys, kind)| *kind != PermissionKind::Read && keys.contains(key))
        };
        user.roles.iter().any(|role| role == ROOT)
            || self
                .roles
                .iter()
                .any(|role| user.roles.contains(&role.name) && allows(role))
    }
}

impl Reference {
    /// Whether it is refused because it was checked too early.
    pub(super) fn is_early(&self, command: &Command) -> bool {
        let is_known = self.version >= 3 || !matches!(command, Command::Guarded(_));
        let refused = self.check_allowed(command) == Err(Refusal::AuthRevisionOld);
        is_known && refused
    }

    /// What is asked of a command because there are users.
    pub(super) fn check_allowed(&self, command: &Command) -> Result<(), Refusal> {
        let users = &self.users;
        let Command::Guarded(guarded) = command else {
            let is_client_s = matches!(
                command,
                Command::Put(_)
                    | Command::Delete(_)
                    | Command::Txn(_)
                    | Command::Grant { .. }
                    | Command::Revoke(_)
                    | Command::Auth(_)
            );
            return if users.is_enabled && is_client_s {
                Err(Refusal::AuthRevisionOld)
            } else {
                Ok(())
            };
        };
        if !users.is_enabled || users.revision != guarded.auth_revision {
            return Err(Refusal::AuthRevisionOld);
        }
        // What is attached to no lease is no lease's.
        let leases = leases(&guarded.command).into_iter();
        for lease in leases.filter(|lease| *lease != LeaseId::NONE) {
            let keys = self.attached(lease);
            if !keys.iter().all(|key| users.may_put(&guarded.user, key)) {
                return Err(Refusal::PermissionDenied);
            }
        }
        Ok(())
    }
}

fn leases(command: &Command) -> Vec<LeaseId> {
    let op = match command {
        Command::Revoke(id) => return vec![*id],
        Command::Put(put) => Op::Put(put.clone()),
        Command::Txn(txn) => Op::Txn(txn.clone()),
        Command::Delete(_)
        | Command::Compact(_)
        | Command::Grant { .. }
        | Command::Expire { .. }
        | Command::Raise(..)
        | Command::Clear(..)
        | Command::Announce(_)
        | Command::Forget(_)
        | Command::Upgrade(_)
        | Command::Report(_)
        | Command::Auth(_)
        | Command::Guarded(_) => return Vec::new(),
    };
    let mut leases = Vec::new();
    leases_of(&op, &mut leases);
    leases
}

fn leases_of(op: &Op, leases: &mut Vec<LeaseId>) {
    match op {
        Op::Put(put) => leases.extend(put.lease.filter(|id| *id != LeaseId::NONE)),
        Op::Txn(TxnRequest {
            success, failure, ..
        }) => {
            for op in success.iter().chain(failure) {
                leases_of(op, leases);
            }
        }
        Op::Range(_) | Op::Delete(_) => {}
    }
}
