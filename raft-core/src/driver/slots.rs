//! Places for what waits for the core's answer, found by ticket without a search.
//!
//! A ticket names a place and how often it was taken before, so that an answer that comes after its
//! request was given up finds nothing. This file does not know what waits.

use crate::types::Ticket;

/// The places.
pub(super) struct Slots<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

struct Place<T> {
    /// How often it was taken.
    round: u32,
    tenant: Option<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slots<T> {
    /// Takes it in.
    pub(super) fn put(&mut self, tenant: T) -> Ticket {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                round: 0,
                tenant: None,
            });
            u32::try_from(self.places.len() - 1).expect("requests are limited to far fewer")
        });
        let place = &mut self.places[index as usize];
        place.round = place.round.wrapping_add(1);
        place.tenant = Some(tenant);
        Ticket(u64::from(place.round) << 32 | u64::from(index))
    }

    /// Hands it out, if it is still here.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<T> {
        let index = (ticket.0 & u64::from(u32::MAX)) as u32;
        let place = self.places.get_mut(index as usize)?;
        if u64::from(place.round) != ticket.0 >> 32 {
            return None;
        }
        let tenant = place.tenant.take()?;
        self.free.push(index);
        Some(tenant)
    }

    /// Hands all out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.free.clear();
        self.places.drain(..).filter_map(|place| place.tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_ticket_finds_nothing_in_a_place_that_was_taken_again() {
        let mut slots = Slots::default();
        let (a, b) = (slots.put("a"), slots.put("b"));
        assert_eq!(slots.take(a), Some("a"));
        assert_eq!(slots.take(a), None);
        let c = slots.put("c");
        assert_eq!(c.0 & 0xffff_ffff, a.0 & 0xffff_ffff, "the place is reused");
        assert_eq!(slots.take(a), None);
        assert_eq!((slots.take(c), slots.take(b)), (Some("c"), Some("b")));
        assert_eq!(slots.take(Ticket(u64::MAX)), None);
    }
}
