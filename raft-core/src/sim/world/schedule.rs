//! What happens when: a heap of small keys over a slab of happenings.
//!
//! Happenings at the same instant come in the order in which they were scheduled. This file does
//! not know what they mean.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Things to come, in the order of their times.
pub(super) struct Schedule<T> {
    /// Time, then a serial number, then the place in the slab, packed so that they compare as one.
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
    serial: u64,
}

/// So many bits of a key's second word are the place in the slab; the rest is the serial number.
const PLACE_BITS: u32 = 24;

impl<T> Schedule<T> {
    pub(super) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            slab: Vec::new(),
            free: Vec::new(),
            serial: 0,
        }
    }

    /// It is going to happen at this time.
    pub(super) fn push(&mut self, at: u64, happening: T) {
        let place = if let Some(place) = self.free.pop() {
            self.slab[place as usize] = Some(happening);
            place
        } else {
            let place = u32::try_from(self.slab.len()).unwrap_or(u32::MAX);
            assert!(
                place >> PLACE_BITS == 0,
                "a world with that much to come has run away"
            );
            self.slab.push(Some(happening));
            place
        };
        self.serial += 1;
        self.heap
            .push(Reverse((at, self.serial << PLACE_BITS | u64::from(place))));
    }

    /// What happens next, and when.
    pub(super) fn pop(&mut self) -> Option<(u64, T)> {
        let Reverse((at, key)) = self.heap.pop()?;
        let place = u32::try_from(key & ((1 << PLACE_BITS) - 1)).unwrap_or(u32::MAX);
        let happening = self.slab.get_mut(place as usize)?.take()?;
        self.free.push(place);
        Some((at, happening))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_happen_in_order_and_ties_as_scheduled() {
        let mut schedule = Schedule::new();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b')] {
            schedule.push(at, what);
        }
        assert_eq!(schedule.pop(), Some((1, 'a')));
        schedule.push(5, 'e');
        let rest: Vec<char> = std::iter::from_fn(|| schedule.pop())
            .map(|(_, what)| what)
            .collect();
        assert_eq!(rest, ['b', 'c', 'd', 'e']);
    }
}
