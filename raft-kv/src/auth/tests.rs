//! Users and roles against a list that is walked from its beginning, and tables of what is refused.

mod chance;
mod rows;
mod tables;

use bytes::Bytes;

use super::{Auth, AuthCommand, Hidden, Permission, PermissionKind, ROOT};
use crate::keys::Keys;
use crate::refusal::Refusal;

fn hash(text: &'static str) -> Hidden {
    Hidden(Bytes::from_static(text.as_bytes()))
}

fn user_add(name: &str) -> AuthCommand {
    AuthCommand::UserAdd {
        name: name.to_owned(),
        password: Some(hash("hash")),
    }
}

fn role_add(name: &str) -> AuthCommand {
    AuthCommand::RoleAdd {
        name: name.to_owned(),
    }
}

fn user_grant(name: &str, role: &str) -> AuthCommand {
    AuthCommand::UserGrantRole {
        name: name.to_owned(),
        role: role.to_owned(),
    }
}

fn role_grant(name: &str, keys: Keys, kind: PermissionKind) -> AuthCommand {
    AuthCommand::RoleGrantPermission {
        name: name.to_owned(),
        permission: Permission { keys, kind },
    }
}

fn enable() -> AuthCommand {
    AuthCommand::Enable {
        secret: hash("secret"),
    }
}

/// Enabled, with `root`, and with `ann`, who has the role `reader` and no permission.
fn enabled() -> Auth {
    let mut auth = Auth::default();
    for command in [
        user_add(ROOT),
        user_grant(ROOT, ROOT),
        user_add("ann"),
        role_add("reader"),
        user_grant("ann", "reader"),
        enable(),
    ] {
        auth.change(&command).expect("it is allowed");
    }
    auth
}
