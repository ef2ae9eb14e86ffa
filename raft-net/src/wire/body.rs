//! The body of a frame: a message in postcard, its extensions, and raw payloads behind both.
//!
//! A payload never goes through serde: it is copied once when it is sent, and when it is received
//! only if it is small. This file does not know any message.

use bytes::{BufMut, Bytes, BytesMut};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::WireError;
use crate::frame::{Frame, put_frame};

/// Set in the number of an extension without which the message would be misunderstood.
const CRITICAL: u16 = 0x8000;

/// Payloads that are longer together are not copied out of the read buffer.
const COPIED_BYTES_MAX: usize = 16 << 10;

/// Appends a frame: the message, no extensions, and the payloads that `payloads` appends.
pub(super) fn put(
    (kind, version): (u8, u8),
    message: &impl Serialize,
    out: &mut BytesMut,
    payloads: impl FnOnce(&mut BytesMut),
) {
    put_frame(kind, version, 0, out, |out| {
        postcard::serialize_with_flavor(message, Output(out))
            .expect("messages are structs, enums, numbers, texts and lists of known length");
        let none: [(u16, &[u8]); 0] = [];
        out.put_u8(none.len().to_le_bytes()[0]);
        payloads(out);
    });
}

/// The message of a frame, and the payloads behind it.
pub(super) fn take<'a, T: Deserialize<'a>>(frame: &'a Frame) -> Result<(T, Payloads), WireError> {
    if frame.flags != 0 {
        return Err(WireError::Flags(frame.flags));
    }
    let malformed = |error| WireError::Malformed {
        kind: frame.kind,
        error,
    };
    let (message, rest) = postcard::take_from_bytes(&frame.body).map_err(malformed)?;
    // No extension is known yet. Each takes two bytes at least; so the loop ends with the body,
    // whatever the count says.
    let (count, mut rest) = postcard::take_from_bytes::<u32>(rest).map_err(malformed)?;
    for _ in 0..count {
        let ((number, _), after) =
            postcard::take_from_bytes::<(u16, &[u8])>(rest).map_err(malformed)?;
        if number & CRITICAL != 0 {
            return Err(WireError::Extension(number));
        }
        rest = after;
    }
    Ok((message, Payloads::new(&frame.body, rest)))
}

/// A message without payloads.
pub(super) fn take_alone<'a, T: Deserialize<'a>>(frame: &'a Frame) -> Result<T, WireError> {
    let (message, payloads) = take(frame)?;
    payloads.end()?;
    Ok(message)
}

/// What is behind a message and its extensions.
pub(super) struct Payloads {
    body: Bytes,
    /// How much of the body has been taken.
    at: usize,
}

impl Payloads {
    /// A frame is a part of a larger read buffer, which lives as long as any part of it: a small
    /// command that waits in memory is not to keep a heartbeat's whole surroundings there. So
    /// little payloads are copied, all of a frame at once; large ones stay where they are.
    fn new(body: &Bytes, rest: &[u8]) -> Self {
        if rest.len() < COPIED_BYTES_MAX {
            return Self {
                body: Bytes::copy_from_slice(rest),
                at: 0,
            };
        }
        Self {
            body: body.clone(),
            at: body.len() - rest.len(),
        }
    }

    /// The next payload: a part of the body, which lives as long as the payload does.
    pub(super) fn take(&mut self, length: u32) -> Result<Bytes, WireError> {
        let rest = self.body.len() - self.at;
        let length = length as usize;
        if length > rest {
            return Err(WireError::CutOff);
        }
        let payload = self.body.slice(self.at..self.at + length);
        self.at += length;
        Ok(payload)
    }

    /// Nothing may be left: what nobody reads, nobody has checked.
    pub(super) fn end(self) -> Result<(), WireError> {
        match self.body.len() - self.at {
            0 => Ok(()),
            rest => Err(WireError::Remains(rest)),
        }
    }
}

/// The length of a payload, as messages announce it.
pub(super) fn length(payload: &[u8]) -> u32 {
    u32::try_from(payload.len()).expect("payloads are far below 4 GiB")
}

/// Lets postcard write to the end of a buffer.
struct Output<'a>(&'a mut BytesMut);

impl Flavor for Output<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.put_u8(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
