//! Durations as Go writes them, `1h30m`, `5m`, `1.5s`, `100ms`: whoever comes from etcd has them in
//! scripts. It does not know what they are for.

use std::time::Duration;

/// The units, each in nanoseconds, and longer names before those that they begin with.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3600 * 1_000_000_000),
];

/// Reads one; `None` if it is none, or does not fit.
pub(super) fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (part, after) = first_part(rest)?;
        nanos = nanos.checked_add(part)?;
        rest = after;
    }
    let is_empty = text.is_empty();
    let nanos = u64::try_from(nanos).ok()?;
    (!is_empty).then_some(Duration::from_nanos(nanos))
}

/// A number and its unit, in nanoseconds; and what comes after.
fn first_part(text: &str) -> Option<(u128, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, after) = text.split_at(end);
    let (name, unit) = UNITS.iter().find(|(name, _)| after.starts_with(name))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut nanos = if whole.is_empty() {
        0
    } else {
        u128::from(whole.parse::<u64>().ok()?) * unit
    };
    let mut place = *unit;
    for digit in fraction.chars() {
        place /= 10;
        nanos += u128::from(digit.to_digit(10)?) * place;
    }
    Some((nanos, &after[name.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_reads_as_a_duration_is_one() {
        let check = |text, expected: Option<u64>| {
            assert_eq!(parse(text), expected.map(Duration::from_millis), "{text}");
        };
        check("0", Some(0));
        check("0s", Some(0));
        check("5m", Some(300_000));
        check("1h30m", Some(5_400_000));
        check("1.5s", Some(1_500));
        check(".5s", Some(500));
        check("1.s", Some(1_000));
        check("100ms", Some(100));
        check("2000us", Some(2));
        check("2000000ns", Some(2));
        check("1h1m1s1ms", Some(3_661_001));
        check("", None);
        check("5", None);
        check("m", None);
        check(".s", None);
        check("5 m", None);
        check("5d", None);
        check("-5m", None);
        check("1.2.3s", None);
        check("99999999999h", None);
    }
}
