//! Durations as etcd's flags are given them, `1m30s`, and as its programs print them. It does not
//! know what they are for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A span of time that reads and prints as Go's do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

const NANOSECOND: f64 = 1e-9;

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no duration: say 5s, 1m30s or 250ms");
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        if text.is_empty() {
            return Err(wrong());
        }
        let mut rest = text;
        let mut seconds = 0.0;
        while !rest.is_empty() {
            let number = rest.len() - rest.trim_start_matches(is_of_number).len();
            let (count, tail) = rest.split_at(number);
            let unit = tail.len() - tail.trim_start_matches(|c| !is_of_number(c)).len();
            let (unit, tail) = tail.split_at(unit);
            let count: f64 = count.parse().map_err(|_| wrong())?;
            seconds += count * seconds_of(unit).ok_or_else(wrong)?;
            rest = tail;
        }
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| wrong())
    }
}

fn is_of_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

fn seconds_of(unit: &str) -> Option<f64> {
    match unit {
        "ns" => Some(NANOSECOND),
        "us" | "µs" | "μs" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

impl fmt::Display for Span {
    /// Below a second in one unit that leaves digits before the point, from a second on in hours,
    /// minutes and seconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        match nanos {
            0 => write!(f, "0s"),
            1..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => write!(f, "{}µs", decimal(nanos, 3)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", decimal(nanos, 6)),
            _ => {
                let minutes = self.0.as_secs() / 60;
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                write!(f, "{}s", decimal(nanos % 60_000_000_000, 9))
            }
        }
    }
}

/// `value` with the point before its last `places` digits, without zeros at the end.
fn decimal(value: u128, places: u32) -> String {
    let unit = 10_u128.pow(places);
    let whole = value / unit;
    let width = places as usize;
    let part = format!("{:0width$}", value % unit);
    let part = part.trim_end_matches('0');
    if part.is_empty() {
        whole.to_string()
    } else {
        format!("{whole}.{part}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_reads_them() {
        let check = |text: &str, millis: Option<u64>| {
            let read = text.parse::<Span>().ok();
            let expected = millis.map(|millis| Span(Duration::from_millis(millis)));
            assert_eq!(read, expected, "{text}");
        };
        check("0", Some(0));
        check("5s", Some(5_000));
        check("1m30s", Some(90_000));
        check("1.5s", Some(1_500));
        check("250ms", Some(250));
        check("2h", Some(7_200_000));
        check("3000us", Some(3));
        check("", None);
        check("5", None);
        check("s", None);
        check("5 s", None);
        check("-1s", None);
        check("1d", None);
    }

    #[test]
    fn durations_print_as_go_prints_them() {
        let check = |nanos: u64, expected: &str| {
            assert_eq!(Span(Duration::from_nanos(nanos)).to_string(), expected);
        };
        check(0, "0s");
        check(999, "999ns");
        check(1_500, "1.5µs");
        check(1_234_567, "1.234567ms");
        check(20_000_000, "20ms");
        check(1_000_000_000, "1s");
        check(90_500_000_000, "1m30.5s");
        check(3_600_000_000_000, "1h0m0s");
    }
}
