//! The key-value store against a reference: what it must answer, and random commands to try.
//!
//! It sees the store's requests, answers and commands; it knows nothing of rows or engines.

pub mod dice;
pub mod reference;
pub mod tally;

pub use dice::Dice;
pub use reference::{Entry, Reference, Sessions};
pub use tally::Tally;
