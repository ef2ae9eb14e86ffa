//! What processes use of the machine, as the kernel tells: time of its processors, and memory. It
//! does not know what they do.

use std::fs;
use std::time::Duration;

/// The kernel counts processor time for user space in hundredths of a second, whatever its own
/// clock does (`USER_HZ`, proc_pid_stat(5)).
const TICKS_PER_SECOND: u64 = 100;

/// What some processes used together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Of all of them.
    pub(crate) cpu: Duration,
    /// The most that one of them ever had in memory.
    pub(crate) peak_bytes: u64,
}

impl Usage {
    /// Of these processes until now. A process that is not there is an error: its part would be
    /// missing from the sum.
    pub(crate) fn of(pids: &[u32]) -> anyhow::Result<Self> {
        let mut usage = Self::default();
        for pid in pids {
            let wrong = || anyhow::anyhow!("process {pid} is not there to be measured");
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|_| wrong())?;
            let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(|_| wrong())?;
            usage.cpu += cpu(&stat).ok_or_else(wrong)?;
            usage.peak_bytes = usage.peak_bytes.max(peak(&status).ok_or_else(wrong)?);
        }
        Ok(usage)
    }

    /// What was used since an earlier look.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            peak_bytes: self.peak_bytes,
        }
    }
}

/// User and system time, fields 14 and 15. The second field is a name in parentheses that may hold
/// anything, so fields are counted from its end.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis(
        (user + system) * 1000 / TICKS_PER_SECOND,
    ))
}

fn peak(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_any_name() {
        let check = |name: &str| {
            let stat = format!("7 ({name}) S 1 7 7 0 -1 4194560 9 0 0 0 151 49 3 4 20 0 5 0 1");
            assert_eq!(cpu(&stat), Some(Duration::from_secs(2)), "{name}");
        };
        check("etcd");
        check("a b) S 1 (c");
        assert_eq!(cpu("7 (etcd"), None);
        assert_eq!(cpu("7 (etcd) S 1 7"), None);
    }

    #[test]
    fn the_peak_is_read_in_bytes() {
        assert_eq!(peak("VmPeak:\t 9 kB\nVmHWM:\t  12 kB\n"), Some(12 * 1024));
        assert_eq!(peak("VmPeak:\t 9 kB\n"), None);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        // Ids end far below this.
        let error = Usage::of(&[u32::MAX]).unwrap_err();
        assert!(error.to_string().contains("4294967295"), "{error}");
        let own = Usage::of(&[std::process::id()]).unwrap();
        assert!(own.peak_bytes > 0);
    }
}
