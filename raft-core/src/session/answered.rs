//! How the answer to a stamped command lies in the bytes that a machine answers with.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | the kind, in the order of [`Answered`] |
//! | the rest | the machine's answer, or 8 bytes of the client, little-endian; else nothing |
//!
//! Every machine with [`Framing::Stamped`](crate::port::Framing::Stamped) answers so, hence who
//! asked can tell its answer from "not executed". This file does not know when which is said.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// What became of a stamped command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It took effect, now or when it came first; this is what the machine answered then.
    Applied(Bytes),
    /// The session is open.
    Opened {
        /// The client of the session, from now on.
        client: u64,
    },
    /// It took effect when it came first, and what the machine answered is not kept any more.
    Forgotten,
    /// It did nothing now: the client has gone on to a later command. Whether it had taken effect
    /// before is not known any more.
    Superseded,
    /// It did nothing now: there is no such session, or not any more. Whether it had taken effect
    /// before is not known. The client has to open another session.
    Expired,
    /// It did nothing, and no session is open: there are too many. Later there may be room.
    Full,
    /// It did nothing, and never will: it can't be read.
    Malformed,
}

impl Answered {
    /// What stands in front of a machine's answer in [`Answered::Applied`], for machines that write
    /// both at once.
    pub const APPLIED: u8 = 0;
    const OPENED: u8 = 1;
    const FORGOTTEN: u8 = 2;
    const SUPERSEDED: u8 = 3;
    const EXPIRED: u8 = 4;
    const FULL: u8 = 5;
    const MALFORMED: u8 = 6;

    /// As a machine answers it.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Applied(answer) => {
                let mut bytes = BytesMut::with_capacity(1 + answer.len());
                bytes.put_u8(Self::APPLIED);
                bytes.put_slice(answer);
                bytes.freeze()
            }
            Self::Opened { client } => {
                let mut bytes = BytesMut::with_capacity(9);
                bytes.put_u8(Self::OPENED);
                bytes.put_u64_le(*client);
                bytes.freeze()
            }
            Self::Forgotten => Bytes::from_static(&[Self::FORGOTTEN]),
            Self::Superseded => Bytes::from_static(&[Self::SUPERSEDED]),
            Self::Expired => Bytes::from_static(&[Self::EXPIRED]),
            Self::Full => Bytes::from_static(&[Self::FULL]),
            Self::Malformed => Bytes::from_static(&[Self::MALFORMED]),
        }
    }

    /// Reads what [`Answered::encode`] wrote, without copying the answer; `None` if it is something
    /// else.
    #[must_use]
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        let answered = match bytes.try_get_u8().ok()? {
            Self::APPLIED => return Some(Self::Applied(bytes)),
            Self::OPENED => Self::Opened {
                client: bytes.try_get_u64_le().ok()?,
            },
            Self::FORGOTTEN => Self::Forgotten,
            Self::SUPERSEDED => Self::Superseded,
            Self::EXPIRED => Self::Expired,
            Self::FULL => Self::Full,
            Self::MALFORMED => Self::Malformed,
            _ => return None,
        };
        bytes.is_empty().then_some(answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_and_nothing_else_does() {
        for answered in [
            Answered::Applied(Bytes::from_static(b"done")),
            Answered::Applied(Bytes::new()),
            Answered::Opened { client: u64::MAX },
            Answered::Forgotten,
            Answered::Superseded,
            Answered::Expired,
            Answered::Full,
            Answered::Malformed,
        ] {
            let bytes = answered.encode();
            assert_eq!(Answered::decode(bytes.clone()), Some(answered.clone()));
            if !matches!(answered, Answered::Applied(_)) {
                let longer = [&bytes[..], &[0]].concat();
                assert_eq!(Answered::decode(longer.into()), None, "{answered:?}");
                let shorter = bytes.slice(..bytes.len() - 1);
                assert_eq!(Answered::decode(shorter), None, "{answered:?}");
            }
        }
        for kind in 7..=u8::MAX {
            assert_eq!(Answered::decode(vec![kind].into()), None);
        }
    }

    #[test]
    fn the_answer_is_sliced_not_copied() {
        let bytes = Answered::Applied(Bytes::from_static(b"a value")).encode();
        let Some(Answered::Applied(answer)) = Answered::decode(bytes.clone()) else {
            panic!("it is what was encoded");
        };
        assert_eq!(answer.as_ptr(), bytes[1..].as_ptr());
    }
}
