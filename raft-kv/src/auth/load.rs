//! How users and roles lie in rows, and come back from them. It does not know when a row is
//! written.
//!
//! | key | row |
//! | --- | --- |
//! | `auth/state` | [`AuthState`] |
//! | `auth/user/` and a name | [`User`] |
//! | `auth/role/` and a name | [`Role`] |

use bytes::{Bytes, BytesMut};
use raft_core::port::PortError;

use super::{Auth, AuthRow, AuthState, Role, User};
use crate::engine::{Direction, Family, Span, View};

const PREFIX: &[u8] = b"auth/";
const STATE: &[u8] = b"auth/state";
const USER: &[u8] = b"auth/user/";
const ROLE: &[u8] = b"auth/role/";

/// Whether this is the key of such a row, among those of what there is one of.
pub(crate) fn is_auth_key(key: &[u8]) -> bool {
    key.starts_with(PREFIX)
}

impl AuthRow {
    /// Where it lies.
    #[must_use]
    pub fn key(&self) -> Bytes {
        let named = |prefix: &[u8], name: &str| {
            let mut key = BytesMut::with_capacity(prefix.len() + name.len());
            key.extend_from_slice(prefix);
            key.extend_from_slice(name.as_bytes());
            key.freeze()
        };
        match self {
            Self::State => Bytes::from_static(STATE),
            Self::User(name) => named(USER, name),
            Self::Role(name) => named(ROLE, name),
        }
    }
}

impl Auth {
    /// What is to lie in a row; `None` if it is not to be there.
    #[must_use]
    pub fn row(&self, row: &AuthRow) -> Option<Bytes> {
        match row {
            AuthRow::State => Some(self.state.encode()),
            AuthRow::User(name) => self.users.get(name).map(User::encode),
            AuthRow::Role(name) => self.roles.get(name).map(Role::encode),
        }
    }

    /// Reads the rows.
    ///
    /// # Errors
    /// When they can't be read, or are none.
    pub fn load(view: &dyn View) -> Result<Self, PortError> {
        let mut auth = Self::default();
        let mut cursor = view.scan(Family::Meta, &Span::prefix(PREFIX), Direction::Ascending)?;
        while let Some((key, row)) = cursor.to_owned() {
            auth.take(&key, row).ok_or_else(|| {
                PortError::damaged(format!("no such row under {}", key.escape_ascii()))
            })?;
            cursor.advance()?;
        }
        let names: Vec<String> = auth.users.keys().cloned().collect();
        for name in names {
            auth.follow_user(&name);
        }
        Ok(auth)
    }

    fn take(&mut self, key: &[u8], row: Bytes) -> Option<()> {
        if key == STATE {
            self.state = AuthState::decode(row)?;
        } else if let Some(name) = key.strip_prefix(USER) {
            self.users.insert(text(name)?, User::decode(row)?);
        } else {
            let name = key.strip_prefix(ROLE)?;
            self.roles.insert(text(name)?, Role::decode(row)?);
        }
        Some(())
    }
}

fn text(name: &[u8]) -> Option<String> {
    String::from_utf8(name.to_vec()).ok()
}
