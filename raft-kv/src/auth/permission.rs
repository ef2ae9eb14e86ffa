//! What a role allows. It does not know whom.

use crate::keys::Keys;

/// Allows something with some keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Which.
    pub keys: Keys,
    /// What.
    pub kind: PermissionKind,
}

/// What may be done with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermissionKind {
    /// They may be read.
    Read,
    /// They may be put and deleted.
    Write,
    /// Both.
    ReadWrite,
}

impl PermissionKind {
    /// Whether keys may be read.
    #[must_use]
    pub const fn reads(self) -> bool {
        match self {
            Self::Read | Self::ReadWrite => true,
            Self::Write => false,
        }
    }

    /// Whether keys may be put and deleted.
    #[must_use]
    pub const fn writes(self) -> bool {
        match self {
            Self::Write | Self::ReadWrite => true,
            Self::Read => false,
        }
    }
}

impl Permission {
    /// The keys in etcd's words, which are also their order within a role: the first, and where
    /// they end, see [`Keys::of`].
    #[must_use]
    pub fn bounds(&self) -> (&[u8], &[u8]) {
        bounds(&self.keys)
    }
}

pub(super) fn bounds(keys: &Keys) -> (&[u8], &[u8]) {
    match keys {
        Keys::One(key) => (key, b""),
        Keys::In(span) => (&span.from, span.to.as_deref().unwrap_or(b"\0")),
    }
}

/// Whether a permission may be about these keys: there can be some among them, and no key is empty.
pub(super) fn is_sensible(keys: &Keys) -> bool {
    let span = keys.span();
    !span.from.is_empty() && !span.is_empty()
}
