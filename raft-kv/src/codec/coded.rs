//! Parts of commands and answers, and the macros that say once how each lies in bytes, for both
//! directions. It does not know the larger parts.

use bytes::Bytes;
use raft_core::{Index, NodeId, Term};

use super::reader::Reader;
use super::writer::Writer;
use crate::types::{LeaseId, Revision};

/// Something that lies in bytes in exactly one way, and takes at least one.
pub(super) trait Coded: Sized {
    /// Appends it.
    fn write(&self, to: &mut impl Writer);

    /// The next one; `None` if there is something else.
    fn read(from: &mut Reader) -> Option<Self>;
}

/// The struct lies as its fields, in the order in which they are named here.
macro_rules! in_order {
    ($name:ident { $($field:ident),+ }) => {
        impl Coded for $name {
            fn write(&self, to: &mut impl Writer) {
                let Self { $($field),+ } = self;
                $($field.write(to);)+
            }

            fn read(from: &mut Reader) -> Option<Self> {
                Some(Self { $($field: Coded::read(from)?),+ })
            }
        }
    };
}
pub(super) use in_order;

/// The enum lies as a tag, then the fields of the variant.
macro_rules! by_tag {
    ($name:ident $(<$($of:ident),+>)? {
        $($tag:literal => $variant:ident $(($($part:ident),+))? $({ $($field:ident),+ })?,)+
    }) => {
        impl $(<$($of: Coded),+>)? Coded for $name $(<$($of),+>)? {
            fn write(&self, to: &mut impl Writer) {
                match self {
                    $(Self::$variant $(($($part),+))? $({ $($field),+ })? => {
                        to.byte($tag);
                        $($($part.write(to);)+)?
                        $($($field.write(to);)+)?
                    })+
                }
            }

            fn read(from: &mut Reader) -> Option<Self> {
                match from.byte()? {
                    $($tag => {
                        $($(let $part = Coded::read(from)?;)+)?
                        $($(let $field = Coded::read(from)?;)+)?
                        Some(Self::$variant $(($($part),+))? $({ $($field),+ })?)
                    })+
                    _ => None,
                }
            }
        }
    };
}
pub(super) use by_tag;

/// The newtype lies as what it wraps.
macro_rules! as_inner {
    ($($name:ident),+) => {
        $(impl Coded for $name {
            fn write(&self, to: &mut impl Writer) {
                self.0.write(to);
            }

            fn read(from: &mut Reader) -> Option<Self> {
                Coded::read(from).map(Self)
            }
        })+
    };
}

pub(super) use as_inner;

as_inner!(Index, LeaseId, NodeId, Revision, Term);

by_tag!(Option<T> {
    0 => None,
    1 => Some(part),
});

by_tag!(Result<T, E> {
    0 => Ok(part),
    1 => Err(part),
});

impl Coded for bool {
    fn write(&self, to: &mut impl Writer) {
        to.byte(u8::from(*self));
    }

    fn read(from: &mut Reader) -> Option<Self> {
        match from.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Coded for u8 {
    fn write(&self, to: &mut impl Writer) {
        to.byte(*self);
    }

    fn read(from: &mut Reader) -> Option<Self> {
        from.byte()
    }
}

impl Coded for u16 {
    fn write(&self, to: &mut impl Writer) {
        to.number(u64::from(*self));
    }

    fn read(from: &mut Reader) -> Option<Self> {
        Self::try_from(from.number()?).ok()
    }
}

impl Coded for u64 {
    fn write(&self, to: &mut impl Writer) {
        to.number(*self);
    }

    fn read(from: &mut Reader) -> Option<Self> {
        from.number()
    }
}

impl Coded for i64 {
    fn write(&self, to: &mut impl Writer) {
        to.number((self << 1 ^ self >> 63).cast_unsigned());
    }

    fn read(from: &mut Reader) -> Option<Self> {
        let number = from.number()?;
        let half = (number >> 1).cast_signed();
        Some(if number & 1 == 0 { half } else { !half })
    }
}

impl Coded for Bytes {
    fn write(&self, to: &mut impl Writer) {
        to.count(self.len());
        to.slice(self);
    }

    fn read(from: &mut Reader) -> Option<Self> {
        from.bytes()
    }
}

impl Coded for String {
    fn write(&self, to: &mut impl Writer) {
        to.count(self.len());
        to.slice(self.as_bytes());
    }

    fn read(from: &mut Reader) -> Option<Self> {
        Self::from_utf8(from.bytes()?.into()).ok()
    }
}

/// Room is made for at most so many parts before they are there: a part takes more bytes in memory
/// than it may lie in, and a list may be cut off.
const READY_MAX: usize = 256;

impl<T: Coded> Coded for Vec<T> {
    fn write(&self, to: &mut impl Writer) {
        to.count(self.len());
        for part in self {
            part.write(to);
        }
    }

    fn read(from: &mut Reader) -> Option<Self> {
        let count = from.count()?;
        let mut parts = Self::with_capacity(count.min(READY_MAX));
        for _ in 0..count {
            parts.push(T::read(from)?);
        }
        Some(parts)
    }
}
