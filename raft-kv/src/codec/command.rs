//! How commands lie in the log: their versions and kinds. It does not know what a command does.

use bytes::Bytes;

use super::coded::{Coded, by_tag, in_order};
use super::reader::Reader;
use super::writer::Writer;
use super::{CommandError, decode, encode};
use crate::command::{Announcement, Command, DigestReport};
use crate::types::AlarmKind;

/// Said once for both directions: a version, a kind, and the variant with its fields.
macro_rules! commands {
    ($($version:literal, $kind:literal =>
        $variant:ident $(($($part:ident),+))? $({ $($field:ident),+ })?;)+
    ) => {
        impl Command {
            /// The version that brought its kind.
            const fn version_of_kind(&self) -> u8 {
                match self {
                    $(Self::$variant { .. } => $version,)+
                }
            }

            /// The version that brought this kind; `None` if none has yet.
            const fn version_of(kind: u8) -> Option<u8> {
                match kind {
                    $($kind => Some($version),)+
                    _ => None,
                }
            }
        }

        by_tag!(Command {
            $($kind => $variant $(($($part),+))? $({ $($field),+ })?,)+
        });
    };
}

commands! {
    1, 0 => Put(request);
    1, 1 => Delete(request);
    1, 2 => Txn(request);
    1, 3 => Compact(revision);
    1, 4 => Grant { id, ttl_s };
    1, 5 => Revoke(lease);
    1, 6 => Expire { term, known, ids };
    1, 7 => Raise(member, alarm);
    1, 8 => Clear(member, alarm);
    1, 9 => Announce(announcement);
    1, 10 => Forget(member);
    1, 11 => Upgrade(version);
    2, 12 => Report(report);
    3, 13 => Auth(command);
    3, 14 => Guarded(guarded);
}

impl Command {
    /// The latest version that this binary knows.
    pub const VERSION_LATEST: u8 = 3;

    /// The version that brought this command: only where all members know it may it be proposed.
    #[must_use]
    pub fn version(&self) -> u8 {
        let of_kind = self.version_of_kind();
        match self.guarded() {
            // Whoever does not know what is guarded must stop as at the thing itself.
            Some(guarded) => of_kind.max(guarded.command.version()),
            None => of_kind,
        }
    }

    /// As the log has it.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(&[self.version()], self)
    }

    /// Reads what [`Command::encode`] wrote, and nothing else, without copying keys and values.
    ///
    /// # Errors
    /// [`CommandError::Malformed`] is for everybody to skip. At the others this member must stop,
    /// before it applies anything behind.
    pub fn decode(bytes: Bytes) -> Result<Self, CommandError> {
        Self::decode_up_to(Self::VERSION_LATEST, bytes)
    }

    /// The same, as a binary does it that knows the versions up to this one.
    ///
    /// # Errors
    /// See [`Command::decode`].
    pub fn decode_up_to(latest: u8, mut bytes: Bytes) -> Result<Self, CommandError> {
        // No version is 0: a command of zeros is none.
        let version = match bytes.first() {
            None | Some(0) => return Err(CommandError::Malformed),
            Some(version) if *version > latest => {
                return Err(CommandError::UnknownVersion(*version));
            }
            Some(version) => *version,
        };
        let kind = *bytes.get(1).ok_or(CommandError::Malformed)?;
        if Self::version_of(kind).is_none_or(|version| version > latest) {
            return Err(CommandError::UnknownKind { version, kind });
        }
        let command: Option<Self> = decode(bytes.split_off(1));
        let command = command.filter(|command| command.version() == version);
        command.ok_or(CommandError::Malformed)
    }
}

in_order!(Announcement {
    member,
    version,
    name,
    client_urls
});

in_order!(DigestReport {
    member,
    index,
    digest,
    majority
});

by_tag!(AlarmKind {
    0 => NoSpace,
    1 => Corrupt,
});
