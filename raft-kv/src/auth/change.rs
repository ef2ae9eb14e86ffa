//! What commands do to users and roles. What is refused has changed nothing.
//!
//! The order of checks is etcd's, since clients are told the first that fails. It does not know
//! who asks: that was checked before.

use super::command::{AuthCommand, Hidden};
use super::permission::{Permission, bounds, is_sensible};
use super::rights::Rights;
use super::{Auth, ROOT, Role, User};
use crate::keys::Keys;
use crate::refusal::Refusal;

/// One of the rows that users and roles lie in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthRow {
    /// What there is one of.
    State,
    /// A user's.
    User(String),
    /// A role's.
    Role(String),
}

/// The rows of users and roles that a command has changed; `None` if nothing has.
type Changed = Result<Option<Vec<AuthRow>>, Refusal>;

impl Auth {
    /// Carries out a command. Returns the rows that are another now, or gone.
    ///
    /// # Errors
    /// When it is refused; then nothing has changed.
    pub fn change(&mut self, command: &AuthCommand) -> Result<Vec<AuthRow>, Refusal> {
        let changed = match command {
            AuthCommand::Enable { secret } => return self.enable(secret),
            AuthCommand::Disable => Ok(self.disable()),
            AuthCommand::UserAdd { name, password } => self.user_add(name, password.as_ref()),
            AuthCommand::UserDelete { name } => self.user_delete(name),
            AuthCommand::UserChangePassword { name, password } => {
                self.user_change_password(name, password)
            }
            AuthCommand::UserGrantRole { name, role } => self.user_grant_role(name, role),
            AuthCommand::UserRevokeRole { name, role } => self.user_revoke_role(name, role),
            AuthCommand::RoleAdd { name } => self.role_add(name),
            AuthCommand::RoleDelete { name } => self.role_delete(name),
            AuthCommand::RoleGrantPermission { name, permission } => {
                self.role_grant_permission(name, permission)
            }
            AuthCommand::RoleRevokePermission { name, keys } => {
                self.role_revoke_permission(name, keys)
            }
        }?;
        let Some(mut rows) = changed else {
            return Ok(Vec::new());
        };
        for row in &rows {
            self.follow(row);
        }
        self.state.revision = self.revision_next();
        rows.push(AuthRow::State);
        Ok(rows)
    }

    const fn revision_next(&self) -> u64 {
        self.state.revision + 1
    }

    /// It makes no revision: who may do what is the same as before. What was checked while it was
    /// disabled is told apart by having no guard.
    fn enable(&mut self, secret: &Hidden) -> Result<Vec<AuthRow>, Refusal> {
        if self.is_enabled() {
            return Ok(Vec::new());
        }
        let root = self.user(ROOT).ok_or(Refusal::RootUserNotFound)?;
        if !root.has_role(ROOT) {
            return Err(Refusal::RootRoleNotGranted);
        }
        self.state.is_enabled = true;
        self.state.secret = secret.clone();
        Ok(vec![AuthRow::State])
    }

    fn disable(&mut self) -> Option<Vec<AuthRow>> {
        if !self.is_enabled() {
            return None;
        }
        self.state.is_enabled = false;
        self.state.secret = Hidden::NONE;
        Some(Vec::new())
    }

    fn user_add(&mut self, name: &str, password: Option<&Hidden>) -> Changed {
        if name.is_empty() {
            return Err(Refusal::UserEmpty);
        }
        if self.users.contains_key(name) {
            return Err(Refusal::UserExists);
        }
        let user = User {
            password: password.cloned(),
            roles: Vec::new(),
            since: self.revision_next(),
        };
        self.users.insert(name.to_owned(), user);
        Ok(Some(vec![AuthRow::User(name.to_owned())]))
    }

    fn user_delete(&mut self, name: &str) -> Changed {
        if self.is_enabled() && name == ROOT {
            return Err(Refusal::InvalidAuthManagement);
        }
        self.users.remove(name).ok_or(Refusal::UserNotFound)?;
        Ok(Some(vec![AuthRow::User(name.to_owned())]))
    }

    fn user_change_password(&mut self, name: &str, password: &Hidden) -> Changed {
        let since = self.revision_next();
        let user = self.users.get_mut(name).ok_or(Refusal::UserNotFound)?;
        if user.password.is_some() {
            user.password = Some(password.clone());
        }
        user.since = since;
        Ok(Some(vec![AuthRow::User(name.to_owned())]))
    }

    /// The role that may do everything needs not be made.
    fn user_grant_role(&mut self, name: &str, role: &str) -> Changed {
        let is_role = role == ROOT || self.roles.contains_key(role);
        let user = self.users.get_mut(name).ok_or(Refusal::UserNotFound)?;
        if !is_role {
            return Err(Refusal::RoleNotFound);
        }
        let place = user.roles.binary_search_by(|one| one.as_str().cmp(role));
        let Err(place) = place else {
            return Ok(None);
        };
        user.roles.insert(place, role.to_owned());
        Ok(Some(vec![AuthRow::User(name.to_owned())]))
    }

    fn user_revoke_role(&mut self, name: &str, role: &str) -> Changed {
        if self.is_enabled() && name == ROOT && role == ROOT {
            return Err(Refusal::InvalidAuthManagement);
        }
        let user = self.users.get_mut(name).ok_or(Refusal::UserNotFound)?;
        if !user.has_role(role) {
            return Err(Refusal::RoleNotGranted);
        }
        user.roles.retain(|one| one != role);
        Ok(Some(vec![AuthRow::User(name.to_owned())]))
    }

    fn role_add(&mut self, name: &str) -> Changed {
        if name.is_empty() {
            return Err(Refusal::RoleEmpty);
        }
        if self.roles.contains_key(name) {
            return Err(Refusal::RoleExists);
        }
        self.roles.insert(name.to_owned(), Role::default());
        Ok(Some(vec![AuthRow::Role(name.to_owned())]))
    }

    fn role_delete(&mut self, name: &str) -> Changed {
        if self.is_enabled() && name == ROOT {
            return Err(Refusal::InvalidAuthManagement);
        }
        self.roles.remove(name).ok_or(Refusal::RoleNotFound)?;
        let mut rows = vec![AuthRow::Role(name.to_owned())];
        for (holder, user) in &mut self.users {
            if user.has_role(name) {
                user.roles.retain(|one| one != name);
                rows.push(AuthRow::User(holder.clone()));
            }
        }
        Ok(Some(rows))
    }

    fn role_grant_permission(&mut self, name: &str, permission: &Permission) -> Changed {
        if !is_sensible(&permission.keys) {
            return Err(Refusal::InvalidAuthManagement);
        }
        let role = self.roles.get_mut(name).ok_or(Refusal::RoleNotFound)?;
        match role.place_of(&permission.keys) {
            Ok(place) => role.permissions[place].kind = permission.kind,
            Err(place) => role.permissions.insert(place, permission.clone()),
        }
        Ok(Some(vec![AuthRow::Role(name.to_owned())]))
    }

    fn role_revoke_permission(&mut self, name: &str, keys: &Keys) -> Changed {
        let role = self.roles.get_mut(name).ok_or(Refusal::RoleNotFound)?;
        let place = role.place_of(keys);
        let place = place.map_err(|_| Refusal::PermissionNotGranted)?;
        role.permissions.remove(place);
        Ok(Some(vec![AuthRow::Role(name.to_owned())]))
    }

    /// Brings the rights up to date with a row that has changed.
    fn follow(&mut self, row: &AuthRow) {
        match row {
            AuthRow::State => {}
            AuthRow::User(name) => self.follow_user(name),
            AuthRow::Role(role) => {
                let holders = self.users.iter().filter(|(_, user)| user.has_role(role));
                let holders: Vec<String> = holders.map(|(name, _)| name.clone()).collect();
                for name in holders {
                    self.follow_user(&name);
                }
            }
        }
    }

    pub(super) fn follow_user(&mut self, name: &str) {
        let Some(user) = self.users.get(name) else {
            self.rights.remove(name);
            return;
        };
        let roles = user.roles.iter().filter_map(|role| self.roles.get(role));
        let rights = Rights::of(roles.flat_map(|role| &role.permissions));
        self.rights.insert(name.to_owned(), rights);
    }
}

impl Role {
    /// Where the permission on exactly these keys is, or would be.
    fn place_of(&self, keys: &Keys) -> Result<usize, usize> {
        let wanted = bounds(keys);
        let permissions = &self.permissions;
        permissions.binary_search_by(|one| one.bounds().cmp(&wanted))
    }
}
