//! Few users and few roles, so that they meet. It does not know what comes of that.

use bytes::Bytes;
use raft_kv::auth::{AuthCommand, Guarded, Hidden, Permission, PermissionKind, ROOT};
use raft_kv::{Command, Keys};

use super::super::reference::Reference;
use super::Dice;

const NAMES: [&str; 4] = [ROOT, ROOT, "ann", "bob"];
const ROLES: [&str; 4] = [ROOT, "reader", "writer", "writer"];

impl Dice {
    /// On behalf of a user, mostly if there are users, and hardly ever if not.
    pub(super) fn allowed(&mut self, command: Command, store: &Reference) -> Command {
        let is_asked = store.users.is_enabled && command.needs_guard();
        let is_guarded = if is_asked {
            self.rng.below(12) > 0
        } else {
            self.rng.below(60) == 0
        };
        if !is_guarded {
            return command;
        }
        let revision = store.users.revision;
        Command::Guarded(Guarded {
            user: self.pick_name(),
            auth_revision: revision - u64::from(self.rng.below(10) == 0),
            command: Box::new(command),
        })
    }

    pub(super) fn auth(&mut self, store: &Reference) -> AuthCommand {
        // Left to chance it would hardly ever come about that anybody is asked.
        if !store.users.is_enabled && self.rng.below(3) > 0 {
            return match store.users.administrator() {
                None => AuthCommand::UserAdd {
                    name: ROOT.to_owned(),
                    password: Some(hidden("hash")),
                },
                Some(false) => AuthCommand::UserGrantRole {
                    name: ROOT.to_owned(),
                    role: ROOT.to_owned(),
                },
                Some(true) => AuthCommand::Enable {
                    secret: hidden("secret"),
                },
            };
        }
        let (name, role) = (self.pick_name(), self.pick_role());
        match self.rng.below(24) {
            0..4 => AuthCommand::UserAdd {
                name: self.or_empty(name),
                password: (self.rng.below(3) > 0).then(|| hidden("hash")),
            },
            4 => AuthCommand::UserDelete { name },
            5 => AuthCommand::UserChangePassword {
                name,
                password: hidden("other"),
            },
            6..10 => AuthCommand::UserGrantRole { name, role },
            10 => AuthCommand::UserRevokeRole { name, role },
            11..13 => AuthCommand::RoleAdd {
                name: self.or_empty(role),
            },
            13 => AuthCommand::RoleDelete { name: role },
            14..18 => AuthCommand::RoleGrantPermission {
                name: role,
                permission: self.permission(),
            },
            18 => AuthCommand::RoleRevokePermission {
                name: role,
                keys: self.keys(),
            },
            19..22 => AuthCommand::Enable {
                secret: hidden("secret"),
            },
            _ => AuthCommand::Disable,
        }
    }

    fn permission(&mut self) -> Permission {
        let kinds = [
            PermissionKind::Read,
            PermissionKind::Write,
            PermissionKind::ReadWrite,
        ];
        let kind = *self.rng.pick(&kinds).unwrap_or(&PermissionKind::Read);
        let keys: Keys = self.keys();
        Permission { keys, kind }
    }

    fn or_empty(&mut self, name: String) -> String {
        if self.rng.below(12) == 0 {
            String::new()
        } else {
            name
        }
    }

    fn pick_name(&mut self) -> String {
        (*self.rng.pick(&NAMES).unwrap_or(&ROOT)).to_owned()
    }

    fn pick_role(&mut self) -> String {
        (*self.rng.pick(&ROLES).unwrap_or(&ROOT)).to_owned()
    }
}

fn hidden(text: &'static str) -> Hidden {
    Hidden(Bytes::from_static(text.as_bytes()))
}
