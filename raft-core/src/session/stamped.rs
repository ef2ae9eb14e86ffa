//! How a command that carries a time, and perhaps a session, lies in the log.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | 0 without a session, 1 with one |
//! | 8 | the time, milliseconds since 1970, little-endian |
//! | 8 + 8 | client and sequence, little-endian; only with a session |
//! | the rest | the client's command |

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Session;

/// A command with what the leader noted on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The leader's clock when the command entered its log, in milliseconds since 1970. It may be
    /// less than that of an earlier command: leaders differ. Machines take the greatest seen.
    pub time_ms: u64,
    /// Whose command it is, if it is to take effect once.
    pub session: Option<Session>,
    /// What the client gave.
    pub command: Bytes,
}

impl Stamped {
    /// The length without the command.
    const HEADER_BYTES_MAX: usize = 25;

    /// As it lies in the log.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(Self::HEADER_BYTES_MAX + self.command.len());
        bytes.put_u8(u8::from(self.session.is_some()));
        bytes.put_u64_le(self.time_ms);
        if let Some(Session { client, sequence }) = self.session {
            bytes.put_u64_le(client);
            bytes.put_u64_le(sequence);
        }
        bytes.put_slice(&self.command);
        bytes.freeze()
    }

    /// Reads what [`Stamped::encode`] wrote, without copying the command; `None` if it is something
    /// else.
    #[must_use]
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        let has_session = match bytes.try_get_u8().ok()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let time_ms = bytes.try_get_u64_le().ok()?;
        let session = if has_session {
            Some(Session {
                client: bytes.try_get_u64_le().ok()?,
                sequence: bytes.try_get_u64_le().ok()?,
            })
        } else {
            None
        };
        Some(Self {
            time_ms,
            session,
            command: bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let session = Session {
            client: 7,
            sequence: 9,
        };
        for session in [None, Some(session)] {
            let stamped = Stamped {
                time_ms: 1_700_000_000_123,
                session,
                command: Bytes::from_static(b"put"),
            };
            let bytes = stamped.encode();
            for cut in 0..bytes.len() - 3 {
                assert_eq!(Stamped::decode(bytes.slice(..cut)), None, "{cut} bytes");
            }
            assert_eq!(Stamped::decode(bytes), Some(stamped));
        }
        assert_eq!(Stamped::decode(Bytes::from_static(&[2; 30])), None);
    }
}
