//! When a member has used up its room, and when it has room again: two judgements, as a value.
//!
//! A member that is out of room has what takes more of it refused: puts, grants, transactions that
//! put. Reads, deletions, compactions and the end of leases go on, or it could never have room
//! again; what they write until the rows are gone from the disk is what the reserve is for. It does
//! not know how much is used, nor how the alarm is spread.

/// What a member may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// So many bytes of rows; 0 is no limit.
    pub bytes: u64,
    /// So many bytes of the disk are left for what makes room; 0 leaves none.
    pub reserve_bytes: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            bytes: Self::BYTES_DEFAULT,
            reserve_bytes: Self::RESERVE_BYTES_DEFAULT,
        }
    }
}

impl Quota {
    /// etcd's.
    pub const BYTES_DEFAULT: u64 = 2 << 30;
    /// Room for some segments of the log, and for an engine to write anew what it compacts.
    pub const RESERVE_BYTES_DEFAULT: u64 = 256 << 20;
    /// There is room again when no more than this share is used. Were it all, the alarm would come
    /// and go with every few writes.
    pub const ROOM_PERCENT: u64 = 90;

    /// Whether the alarm is to be raised: `used` bytes are taken by rows, `free` are left on the
    /// disk, if there is one.
    #[must_use]
    pub const fn is_used_up(&self, used: u64, free: Option<u64>) -> bool {
        let is_full = self.bytes > 0 && used >= self.bytes;
        match free {
            Some(free) => is_full || free < self.reserve_bytes,
            None => is_full,
        }
    }

    /// Whether the alarm is to be cleared. There is a span in which it stays as it is.
    #[must_use]
    pub const fn has_room(&self, used: u64, free: Option<u64>) -> bool {
        let is_roomy = self.bytes == 0 || is_within(used, self.bytes);
        match free {
            Some(free) => is_roomy && is_within(self.reserve_bytes, free),
            None => is_roomy,
        }
    }
}

/// Whether `part` is no more than [`Quota::ROOM_PERCENT`] of `whole`.
const fn is_within(part: u64, whole: u64) -> bool {
    part as u128 * 100 <= whole as u128 * Quota::ROOM_PERCENT as u128
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota {
        bytes: 1000,
        reserve_bytes: 90,
    };

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Judged {
        Full,
        Between,
        Roomy,
    }

    fn check(quota: Quota, used: u64, free: Option<u64>, expected: Judged) {
        let judged = match (quota.is_used_up(used, free), quota.has_room(used, free)) {
            (true, false) => Judged::Full,
            (false, false) => Judged::Between,
            (false, true) => Judged::Roomy,
            (true, true) => panic!("both full and roomy"),
        };
        assert_eq!(judged, expected, "{used} used, {free:?} free");
    }

    #[test]
    fn the_alarm_is_raised_at_the_quota_and_cleared_well_below() {
        check(QUOTA, 1001, None, Judged::Full);
        check(QUOTA, 1000, None, Judged::Full);
        check(QUOTA, 999, None, Judged::Between);
        check(QUOTA, 901, None, Judged::Between);
        check(QUOTA, 900, None, Judged::Roomy);
        check(QUOTA, 0, None, Judged::Roomy);
    }

    #[test]
    fn the_reserve_of_the_disk_is_kept_too() {
        check(QUOTA, 0, Some(89), Judged::Full);
        check(QUOTA, 0, Some(90), Judged::Between);
        check(QUOTA, 0, Some(99), Judged::Between);
        check(QUOTA, 0, Some(100), Judged::Roomy);
        check(QUOTA, 950, Some(100), Judged::Between);
        check(QUOTA, 1000, Some(100), Judged::Full);
    }

    #[test]
    fn nothing_is_no_limit_and_no_number_is_too_large() {
        let (none, all) = (0, u64::MAX);
        let limits = |bytes, reserve_bytes| Quota {
            bytes,
            reserve_bytes,
        };
        check(limits(none, none), all, Some(none), Judged::Roomy);
        check(limits(all, all), all, Some(all), Judged::Full);
        check(limits(all, all), none, Some(all), Judged::Between);
        check(limits(all, none), none, Some(all), Judged::Roomy);
    }
}
