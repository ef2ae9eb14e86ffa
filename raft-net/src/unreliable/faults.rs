//! What can befall a parcel, and how often it did.
//!
//! Plain data. This file draws nothing.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What befalls parcels. The default is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// So many of a thousand are lost. Of a snapshot that is read over the network, so many of a
    /// thousand calls fail.
    pub loss_per_mille: u16,
    /// So many of a thousand consensus messages arrive twice. Questions and answers never do.
    pub duplicate_per_mille: u16,
    /// How long a parcel takes. Those from one node to another arrive in the order in which they
    /// were sent, though, except for the following.
    pub delay: RangeInclusive<Duration>,
    /// So many of a thousand are held back, while those behind them go on.
    pub reorder_per_mille: u16,
    /// For so long at most they are held back.
    pub held_back_max: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            loss_per_mille: 0,
            duplicate_per_mille: 0,
            delay: Duration::ZERO..=Duration::ZERO,
            reorder_per_mille: 0,
            held_back_max: Duration::from_millis(10),
        }
    }
}

impl Faults {
    /// Whether every parcel arrives at once, and once.
    pub(super) fn are_none(&self) -> bool {
        self.loss_per_mille == 0 && self.duplicate_per_mille == 0 && !self.take_time()
    }

    /// Whether a parcel may be on its way for a while.
    pub(super) fn take_time(&self) -> bool {
        let longest = (*self.delay.end()).max(*self.delay.start());
        !longest.is_zero() || self.reorder_per_mille > 0
    }
}

/// What became of the parcels that were sent. What is still on its way is in none of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetCounters {
    /// Taken by an inbox; what was doubled counts twice.
    pub delivered: u64,
    /// Lost by chance, or because too much was on its way.
    pub lost: u64,
    /// Sent once, carried twice.
    pub duplicated: u64,
    /// Held back, so that others could overtake.
    pub reordered: u64,
    /// For a node that is cut off, has stopped or was never there.
    pub unreachable: u64,
}

#[derive(Default)]
pub(super) struct Tallies {
    pub(super) delivered: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) duplicated: AtomicU64,
    pub(super) reordered: AtomicU64,
    pub(super) unreachable: AtomicU64,
}

impl Tallies {
    /// Relaxed: they are only looked at.
    pub(super) fn count(tally: &AtomicU64) {
        tally.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> NetCounters {
        NetCounters {
            delivered: self.delivered.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            duplicated: self.duplicated.load(Ordering::Relaxed),
            reordered: self.reordered.load(Ordering::Relaxed),
            unreachable: self.unreachable.load(Ordering::Relaxed),
        }
    }
}
