//! The bulk lane: snapshots, read by whoever needs them over a connection of their own.
//!
//! Each request names file and offset, so a transfer that was cut goes on where it was: whoever
//! reads opens the snapshot anew, and asks for what is missing. This file does not know what a
//! snapshot holds, nor whether it arrived whole: that is for the checksums in its manifest.

mod fetch;
mod serve;
mod throttle;

pub(crate) use fetch::open;
pub(crate) use serve::serve;
pub(crate) use throttle::Throttle;
