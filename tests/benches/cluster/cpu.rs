//! How much processor time this process has used, as Linux counts it.
//!
//! It deliberately does not know which thread used it.

use std::fs;
use std::time::Duration;

/// A tick of `/proc`, the same on all machines that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// The places of user and system time in `/proc/self/stat`, counted behind the name.
const USER_AND_SYSTEM: std::ops::Range<usize> = 11..13;

/// Time used so far, by all threads; `None` where the system does not say.
pub(crate) fn used() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name may contain anything, but it is the last to end in a parenthesis.
    let (_, behind_name) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = behind_name.split(' ').collect();
    let ticks = fields.get(USER_AND_SYSTEM)?.iter();
    let ticks: u32 = ticks.filter_map(|field| field.parse::<u32>().ok()).sum();
    Some(TICK * ticks)
}
