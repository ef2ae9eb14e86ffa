//! What a [`LogStore`] must do, case by case, and at random.
//!
//! Every case tells the store and a small model the same, and compares the two: at each read, and
//! after each reopening. This file does not know where a store keeps its things, nor what a power
//! cut does to them: only who owns the disk below can cut its power.

mod logs;
mod model;
mod purges;
mod receives;
mod refusals;
mod snapshots;
mod stand;
mod walk;

#[cfg(all(test, feature = "sim"))]
mod tests;

pub use walk::log_store_walk;

use crate::port::LogStore;
use stand::Stand;

/// Where the stores under test come from.
pub trait LogStoreFixture {
    /// A store on empty storage, never founded. The stores made before are not used any more.
    fn fresh(&mut self) -> Box<dyn LogStore>;

    /// Opens once more what the last [`LogStoreFixture::fresh`] made. Whatever was open on it was
    /// dropped before.
    fn reopen(&mut self) -> Box<dyn LogStore>;
}

type Case = (&'static str, fn(&mut Stand));

/// The whole suite, except for the random walk.
///
/// # Panics
/// When the store does not do what the contract says. The message names the case.
pub fn log_store(fixture: &mut dyn LogStoreFixture) {
    let cases = logs::CASES
        .iter()
        .chain(refusals::CASES)
        .chain(purges::CASES)
        .chain(snapshots::CASES)
        .chain(receives::CASES);
    for (name, case) in cases {
        case(&mut Stand::new((*name).to_owned(), fixture));
    }
}
