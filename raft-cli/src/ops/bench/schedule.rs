//! When operations begin. A closed loop begins one when the client's last is answered; an open loop
//! at instants that are fixed before the first one, whatever the server does meanwhile. It does not
//! know what an operation is.
//!
//! In an open loop an operation's time counts from the instant it was meant to begin at. A client
//! that waits for a slow answer makes the following operations late; would time count from when
//! they really began, their waiting would be hidden (Tene's "coordinated omission").

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// So many operations.
    Total(u64),
    /// As many as begin within this time.
    For(Duration),
}

/// An operation that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Which one it is, counted over all clients.
    pub(crate) index: u64,
    /// From when its time counts.
    pub(crate) intended: Instant,
    /// False of those that only warm up.
    pub(crate) measured: bool,
}

/// When each of the operations of one round begins. All clients take from the same plan.
#[derive(Debug)]
pub(crate) struct Plan {
    begin: Instant,
    warmup: Duration,
    extent: Extent,
    open: Option<Open>,
    /// Operations that clients took, in a closed loop only the measured ones.
    taken: AtomicU64,
    /// Operations that clients of a closed loop took to warm up.
    warmed: AtomicU64,
    /// Nobody waits for what is still to come.
    stopped: AtomicBool,
}

#[derive(Debug)]
struct Open {
    arrivals: Arrivals,
    /// A permit an arrival that is due and not taken.
    due: Semaphore,
}

impl Plan {
    /// Begins now. With a `rate` a second it is an open loop, and [`Plan::pace`] must run.
    pub(crate) fn new(warmup: Duration, extent: Extent, rate: Option<f64>) -> Self {
        Self {
            begin: Instant::now(),
            warmup,
            extent,
            open: rate.map(|rate| Open {
                arrivals: Arrivals::new(rate, warmup, extent),
                due: Semaphore::new(0),
            }),
            taken: AtomicU64::new(0),
            warmed: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Whether operations begin at fixed instants.
    pub(crate) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// How much is measured.
    pub(crate) const fn extent(&self) -> Extent {
        self.extent
    }

    /// When measuring begins.
    pub(crate) fn measured_from(&self) -> Instant {
        self.begin + self.warmup
    }

    /// After when no operation begins, if that is known beforehand.
    pub(crate) fn measured_until(&self) -> Option<Instant> {
        match (&self.open, self.extent) {
            (Some(open), _) => Some(self.begin + open.arrivals.at(open.arrivals.count)),
            (None, Extent::For(time)) => Some(self.measured_from() + time),
            (None, Extent::Total(_)) => None,
        }
    }

    /// Measured operations that were begun.
    pub(crate) fn begun(&self) -> u64 {
        let warm = self.open.as_ref().map_or(0, |open| open.arrivals.warm);
        self.taken.load(Relaxed).saturating_sub(warm)
    }

    /// Arrivals of an open loop that no client came to.
    pub(crate) fn left_over(&self) -> u64 {
        let taken = self.taken.load(Relaxed);
        self.open
            .as_ref()
            .map_or(0, |open| open.arrivals.count.saturating_sub(taken))
    }

    /// The next operation, when it is due; `None` after the last. `now` is when the client's last
    /// one ended.
    pub(crate) async fn next(&self, now: Instant) -> Option<Arrival> {
        match &self.open {
            None => self.next_closed(now),
            Some(open) => self.next_open(open).await,
        }
    }

    fn next_closed(&self, now: Instant) -> Option<Arrival> {
        let from = self.measured_from();
        if now < from {
            return Some(Arrival {
                index: self.warmed.fetch_add(1, Relaxed),
                intended: now,
                measured: false,
            });
        }
        let index = self.taken.fetch_add(1, Relaxed);
        let is_in = match self.extent {
            Extent::Total(total) => index < total,
            Extent::For(time) => now < from + time,
        };
        is_in.then_some(Arrival {
            index,
            intended: now,
            measured: true,
        })
    }

    async fn next_open(&self, open: &Open) -> Option<Arrival> {
        // It is never closed, so this is no error; and if it were, the round would be over.
        open.due.acquire().await.ok()?.forget();
        let index = self.taken.fetch_add(1, Relaxed);
        (index < open.arrivals.count).then(|| Arrival {
            index,
            intended: self.begin + open.arrivals.at(index),
            measured: index >= open.arrivals.warm,
        })
    }

    /// Lets the clients of an open loop have arrivals when they are due, and at last has all of
    /// `clients` see the end. It blocks, on a thread of its own: timers of the runtime are a
    /// millisecond wide, which is more than what is measured.
    pub(crate) fn pace(&self, clients: usize) {
        let Some(open) = &self.open else { return };
        let mut released = 0;
        while released < open.arrivals.count && !self.stopped.load(Relaxed) {
            let elapsed = Instant::now().duration_since(self.begin);
            let due = open.arrivals.due(elapsed);
            self.release(due - released);
            released = due;
            if released < open.arrivals.count {
                let wait = open.arrivals.at(released).saturating_sub(elapsed);
                std::thread::sleep(wait.min(PACE_LOOKS_UP_AFTER));
            }
        }
        self.release(clients as u64);
    }

    /// Ends the pacing soon, if it goes on.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }

    /// Makes the next arrivals of an open loop due.
    pub(crate) fn release(&self, arrivals: u64) {
        if let Some(open) = &self.open {
            open.due.add_permits(arrivals as usize);
        }
    }
}

/// The longest sleep of the thread that paces.
const PACE_LOOKS_UP_AFTER: Duration = Duration::from_millis(100);

/// The instants of an open loop, as times since its begin: evenly spaced.
#[derive(Clone, Copy, Debug)]
struct Arrivals {
    interval_ns: f64,
    /// So many of the first ones only warm up.
    warm: u64,
    /// All of them, those included.
    count: u64,
}

impl Arrivals {
    fn new(rate: f64, warmup: Duration, extent: Extent) -> Self {
        let within = |time: Duration| (time.as_secs_f64() * rate).round() as u64;
        let warm = within(warmup);
        let measured = match extent {
            Extent::Total(total) => total,
            Extent::For(time) => within(time),
        };
        Self {
            interval_ns: 1e9 / rate,
            warm,
            count: warm + measured,
        }
    }

    /// When an arrival is due.
    fn at(&self, index: u64) -> Duration {
        Duration::from_nanos((index as f64 * self.interval_ns) as u64)
    }

    /// How many are due by then.
    fn due(&self, elapsed: Duration) -> u64 {
        let mut due = (elapsed.as_nanos() as f64 / self.interval_ns) as u64;
        // Near enough; what is missing is lost to rounding, so it is one or two.
        while due < self.count && self.at(due) <= elapsed {
            due += 1;
        }
        due.min(self.count)
    }
}

#[cfg(test)]
mod tests;
