//! When leases end, as the leader sees it: a pure object, with time as an input.
//!
//! **A lease never ends early**: once a keep-alive was answered, the lease lives for its full time
//! to live, counted by the client from when it sent the keep-alive; likewise after its grant. With
//! clocks that run at the same speed this holds for these reasons:
//!
//! 1. Only the leader of a term proposes expiries of that term, and an expiry has effect only in an
//!    entry of its own term. So those of a leader that was deposed have none, however late they
//!    come, and whatever way.
//! 2. The leader of term *t* counts from when it records a renewal or learns of a grant, which is
//!    later than the client sent it. Until then plus the time to live it proposes no expiry. If it
//!    has proposed one already, the renewal is refused; so a renewed lease has none under way.
//! 3. A renewal is answered only after a read barrier that was asked for after it was recorded, if
//!    this node still leads in term *t* then. When a quorum took part in that barrier it had voted
//!    in no later term (or, where leaders hold leases, could not yet). So any later leader was
//!    elected after the renewal was recorded, and
//! 4. it gives all leases their full time to live from then on ([`Lessor::promote`]), hence at
//!    least what remained. It reads them after a barrier of its own, so those of earlier terms'
//!    expiries that have an effect have had it by then.
//!
//! A lease that was granted under the name of one that was revoked shortly before is another one:
//! an expiry says up to which entry its leader knew of grants, and leaves later ones alone.
//!
//! A leader that can't hear must not judge: while its process is stopped, keep-alives wait outside.
//! So time counts only as far as [`Lessor::tick`] is called often, see [`Lessor::GAP_MAX`]. To end
//! late is no harm.
//!
//! A lease that is kept alive costs one look-up a renewal: its place in the queue is put right only
//! when it comes up. It does not know how expiries are proposed.

mod clock;
#[cfg(test)]
mod tests;
mod throttle;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use raft_core::{Term, Time};

use self::clock::WakingClock;
use self::throttle::Throttle;
use crate::types::LeaseId;

/// The leader's view of when leases end; empty at those who do not lead.
#[derive(Debug, Default)]
pub struct Lessor {
    clock: WakingClock,
    throttle: Throttle,
    /// In which term it leads.
    term: Option<Term>,
    /// Never gone through in its own order, which differs from run to run.
    leases: HashMap<LeaseId, Tenure>,
    /// Exactly the leases that are [`Tenure::queued`], by then.
    queue: BTreeSet<(Time, LeaseId)>,
}

/// A lease with its time.
#[derive(Debug)]
struct Tenure {
    ttl_s: u64,
    /// Not before then it is proposed to expire.
    deadline: Time,
    /// When it comes up in the queue: at its deadline, or earlier if it was renewed since. `None`
    /// while it is not known what came of a proposal.
    queued: Option<Time>,
    /// It was proposed to expire, and may yet: it can't be renewed any more.
    is_ending: bool,
}

/// How long a lease has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// How long it lives without being kept alive, in seconds.
    pub ttl_s: u64,
    /// How much of that is left.
    pub left: Duration,
}

impl Lessor {
    /// More than this does not pass between two ticks, as far as leases are concerned.
    pub const GAP_MAX: Duration = Duration::from_secs(1);
    /// After a proposal that did nothing, or about which nothing is known, so long passes before
    /// the next for the same lease.
    pub const RETRY_AFTER: Duration = Duration::from_secs(1);
    /// So many leases are looked at in one call at most; all others wait for the next. After a
    /// failover all leases come up that were kept alive since.
    pub const LOOKS_MAX: usize = 50_000;

    /// In which term it leads, if it does.
    #[must_use]
    pub const fn term(&self) -> Option<Term> {
        self.term
    }

    /// How many leases there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.leases.len()
    }

    /// Leads from now on: these are all leases, and each has its full time.
    pub fn promote(
        &mut self,
        term: Term,
        leases: impl IntoIterator<Item = (LeaseId, u64)>,
        now: Time,
    ) {
        self.demote();
        self.term = Some(term);
        for (id, ttl_s) in leases {
            self.granted(id, ttl_s, now);
        }
    }

    /// Leads no more.
    pub fn demote(&mut self) {
        self.term = None;
        self.leases.clear();
        self.queue.clear();
    }

    /// There is a new lease. Another of its name that was there before is gone.
    pub fn granted(&mut self, id: LeaseId, ttl_s: u64, now: Time) {
        self.ended(id);
        let deadline = self.clock.advance(now).plus(Duration::from_secs(ttl_s));
        let tenure = Tenure {
            ttl_s,
            deadline,
            queued: Some(deadline),
            is_ending: false,
        };
        self.leases.insert(id, tenure);
        self.queue.insert((deadline, id));
    }

    /// The lease was revoked, or has expired.
    pub fn ended(&mut self, id: LeaseId) {
        if let Some(tenure) = self.leases.remove(&id)
            && let Some(queued) = tenure.queued
        {
            self.queue.remove(&(queued, id));
        }
    }

    /// Gives a lease its full time again; returns how long it lives, in seconds. `None` if there is
    /// no such lease, or it may be ending already.
    pub fn renew(&mut self, id: LeaseId, now: Time) -> Option<u64> {
        let clock = self.clock.advance(now);
        let tenure = self.leases.get_mut(&id)?;
        if tenure.is_ending {
            return None;
        }
        // Its place in the queue is not later than this, and that is all that is asked of it.
        tenure.deadline = clock.plus(Duration::from_secs(tenure.ttl_s));
        Some(tenure.ttl_s)
    }

    /// How long a lease has. Nothing is left to one that is about to expire.
    #[must_use]
    pub fn remaining(&self, id: LeaseId, now: Time) -> Option<Remaining> {
        let tenure = self.leases.get(&id)?;
        let left = if tenure.is_ending {
            Duration::ZERO
        } else {
            tenure.deadline.since(self.clock.at(now))
        };
        let ttl_s = tenure.ttl_s;
        Some(Remaining { ttl_s, left })
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time) {
        self.clock.advance(now);
    }

    /// The leases that are to be proposed to expire now, those that are due longest first; at most
    /// so many, and fewer if there have been many lately. Each is waiting from now on for what came
    /// of it: [`Lessor::ended`], [`Lessor::refused`], or [`Lessor::lost`].
    pub fn expired(&mut self, now: Time, max: usize) -> Vec<LeaseId> {
        let clock = self.clock.advance(now);
        let max = self.throttle.allowed(clock).min(max);
        let mut expired = Vec::new();
        for _ in 0..Self::LOOKS_MAX {
            let Some((queued, id)) = self.queue.first().copied() else {
                break;
            };
            if queued > clock || expired.len() >= max {
                break;
            }
            self.queue.remove(&(queued, id));
            let Some(tenure) = self.leases.get_mut(&id) else {
                continue;
            };
            if tenure.deadline > queued {
                tenure.queued = Some(tenure.deadline);
                self.queue.insert((tenure.deadline, id));
            } else {
                tenure.queued = None;
                tenure.is_ending = true;
                expired.push(id);
            }
        }
        self.throttle.used(expired.len());
        expired
    }

    /// The proposal of these did nothing, and never will; so they may be renewed again.
    pub fn refused(&mut self, ids: &[LeaseId], now: Time) {
        for id in ids {
            if let Some(tenure) = self.retry(*id, now) {
                tenure.is_ending = false;
            }
        }
    }

    /// The proposal of these may yet do something, or not; so they are proposed again, and can't be
    /// renewed.
    pub fn lost(&mut self, ids: &[LeaseId], now: Time) {
        for id in ids {
            self.retry(*id, now);
        }
    }

    /// Puts it back into the queue, if it is still the one that was proposed.
    fn retry(&mut self, id: LeaseId, now: Time) -> Option<&mut Tenure> {
        let again = self.clock.advance(now).plus(Self::RETRY_AFTER);
        let tenure = self.leases.get_mut(&id)?;
        if tenure.queued.is_some() {
            return None;
        }
        tenure.deadline = again;
        tenure.queued = Some(again);
        self.queue.insert((again, id));
        Some(tenure)
    }
}
