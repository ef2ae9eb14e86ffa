//! How commands about users and roles lie in the log, and users and roles in their rows. The order
//! of fields and the tags are frozen. It does not know what any of them means.

use bytes::Bytes;

use super::coded::{Coded, as_inner, by_tag, in_order};
use super::reader::Reader;
use super::writer::Writer;
use super::{decode, encode};
use crate::auth::{
    AuthCommand, AuthState, Guarded, Hidden, Permission, PermissionKind, Role, User,
};
use crate::command::Command;

/// Stands before each row, so that a later binary can lay rows out otherwise.
const FORMAT: u8 = 1;

/// The rows of users and roles.
macro_rules! rows {
    ($($name:ident),+) => {
        $(impl $name {
            /// As it lies in its row.
            #[must_use]
            pub fn encode(&self) -> Bytes {
                encode(&[FORMAT], self)
            }

            /// Reads its row; `None` if it is something else.
            #[must_use]
            pub fn decode(mut row: Bytes) -> Option<Self> {
                if row.first() != Some(&FORMAT) {
                    return None;
                }
                decode(row.split_off(1))
            }
        })+
    };
}

rows!(AuthState, User, Role);

as_inner!(Hidden);

in_order!(AuthState {
    is_enabled,
    revision,
    secret
});

in_order!(User {
    password,
    roles,
    since
});

in_order!(Role { permissions });

in_order!(Permission { keys, kind });

by_tag!(PermissionKind {
    0 => Read,
    1 => Write,
    2 => ReadWrite,
});

by_tag!(AuthCommand {
    0 => Enable { secret },
    1 => Disable,
    2 => UserAdd { name, password },
    3 => UserDelete { name },
    4 => UserChangePassword { name, password },
    5 => UserGrantRole { name, role },
    6 => UserRevokeRole { name, role },
    7 => RoleAdd { name },
    8 => RoleDelete { name },
    9 => RoleGrantPermission { name, permission },
    10 => RoleRevokePermission { name, keys },
});

in_order!(Guarded {
    user,
    auth_revision,
    command
});

impl Coded for Box<Command> {
    fn write(&self, to: &mut impl Writer) {
        (**self).write(to);
    }

    fn read(from: &mut Reader) -> Option<Self> {
        from.within_guard(Command::read).map(Self::new)
    }
}
