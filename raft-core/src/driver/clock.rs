//! The node's clock: tokio's, so that tests may hold it, counted from the node's start.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::types::Time;

/// The clock of one node. It never runs backwards; the time of day is only noted at the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
    wall_at_origin: Duration,
}

/// What the timers of all nodes of this process are aligned to.
static PROCESS: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the time of day is an input, and enters the node here"
    )]
    pub(super) fn start() -> Self {
        let wall_at_origin = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self {
            origin: Instant::now(),
            wall_at_origin,
        }
    }

    pub(super) fn now(&self) -> Time {
        Time::default().plus(self.origin.elapsed())
    }

    /// Milliseconds since 1970.
    pub(super) fn wall_ms(&self, now: Time) -> u64 {
        let wall = self.wall_at_origin + now.since(Time::default());
        u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)
    }

    /// When it is `time`, put off to the next multiple of `grid`.
    pub(super) fn instant(&self, time: Time, grid: Duration) -> Instant {
        let instant = self.origin + time.since(Time::default());
        if grid.is_zero() {
            return instant;
        }
        let grid = grid.as_nanos();
        let wait = match instant.checked_duration_since(*PROCESS) {
            Some(after) => (grid - after.as_nanos() % grid) % grid,
            // Only where time can be set: the clock of a test began after that of another.
            None => PROCESS.duration_since(instant).as_nanos() % grid,
        };
        instant + Duration::from_nanos(u64::try_from(wait).unwrap_or(0))
    }
}
