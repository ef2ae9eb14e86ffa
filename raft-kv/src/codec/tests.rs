//! The format of commands and answers: golden bytes, everything there and back, and whatever else
//! may be in a log. It does not know what the examples do.

mod arbitrary;
mod examples;
mod golden;
mod properties;
mod refusals;

pub(super) use examples::{answers, commands};
