//! The times of a query, as people write and read them.

use crate::time::Timestamp;

use super::duration::{self, NANOS_PER_MILLI};
use super::gofmt;

/// A trace that begins before this is one of a test, with times that count from 0: two years, in
/// milliseconds.
const TEST_TIMES_END: i64 = 2 * 365 * 24 * 3_600_000;

/// First and last time of a trace, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    pub first: i64,
    pub last: i64,
}

impl Extent {
    /// Reads a time, in milliseconds: RFC 3339, seconds since the epoch, or relative to the
    /// trace: `+5m` after its start, `-5m` before its end.
    ///
    /// # Errors
    /// What the text is not.
    pub fn parse(self, text: &str) -> Result<i64, String> {
        let fail = || {
            format!(
                "{} is no time: give RFC 3339, seconds since 1970, +5m from the trace's start, \
                 or -5m from its end",
                gofmt::quote(text)
            )
        };
        let relative = |length: &str| {
            duration::parse_millis(length)
                .ok()
                .filter(|_| length != "0")
        };
        if let Some(length) = text.strip_prefix('+').and_then(relative) {
            return Ok(self.first.saturating_add(length));
        }
        if let Some(length) = text.strip_prefix('-').and_then(relative) {
            return Ok(self.last.saturating_sub(length));
        }
        if let Ok(time) = Timestamp::parse(text) {
            return Ok(time.as_nanos().div_euclid(NANOS_PER_MILLI));
        }
        match gofmt::parse_float(text) {
            Some((seconds, false)) if seconds.abs() < 1e12 => Ok((seconds * 1000.0).round() as i64),
            Some(_) | None => Err(fail()),
        }
    }

    /// A time in milliseconds: RFC 3339, or for a trace whose times count from 0 what has passed
    /// since its start, in the form that [`Extent::parse`] takes.
    pub fn show(self, time: i64) -> String {
        if self.counts_from_zero() && time.abs() < TEST_TIMES_END {
            let passed = time.saturating_sub(self.first);
            let sign = if passed < 0 { "start-" } else { "+" };
            return format!("{sign}{}", show_length(passed.saturating_abs()));
        }
        match time.checked_mul(NANOS_PER_MILLI) {
            Some(nanos) => Timestamp::from_nanos(nanos).to_string(),
            None => format!("{}s", time / 1000),
        }
    }

    /// Whether times count from 0, as in promtool's notation.
    pub fn counts_from_zero(self) -> bool {
        (0..TEST_TIMES_END).contains(&self.first)
    }
}

/// A length of time in milliseconds, not negative: `1h30m`.
pub fn show_length(millis: i64) -> String {
    duration::format_nanos(millis.saturating_mul(NANOS_PER_MILLI))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown() {
        let trace = Extent {
            first: 1_769_860_800_000,
            last: 1_769_864_400_000,
        };
        for (text, time, shown) in [
            (
                "2026-01-31T12:00:00Z",
                1_769_860_800_000,
                "2026-01-31T12:00:00Z",
            ),
            ("1769860800.5", 1_769_860_800_500, "2026-01-31T12:00:00.5Z"),
            ("+5m", 1_769_861_100_000, "2026-01-31T12:05:00Z"),
            ("-1m30s", 1_769_864_310_000, "2026-01-31T12:58:30Z"),
            ("-60", -60_000, "1969-12-31T23:59:00Z"),
        ] {
            assert_eq!(trace.parse(text), Ok(time), "{text}");
            assert_eq!(trace.show(time), shown);
        }
        for text in ["", "+", "soon", "5m", "+-5m", "1e300", "NaN"] {
            assert!(trace.parse(text).is_err(), "{text}");
        }
        let test = Extent {
            first: 0,
            last: 600_000,
        };
        assert_eq!(test.show(330_000), "+5m30s");
        assert_eq!(test.show(-1_000), "start-1s");
        assert_eq!(test.parse("+5m30s"), Ok(330_000));
        assert_eq!(test.show(1_769_860_800_000), "2026-01-31T12:00:00Z");
    }
}
