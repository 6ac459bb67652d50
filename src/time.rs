//! Instants and durations.
//!
//! Both count nanoseconds in an `i64`, as Go does, so that sums and overflows agree with the
//! reference. There is no clock here: every instant is handed in.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_MICRO: i64 = 1_000;
const NANOS_PER_MINUTE: i64 = 60 * NANOS_PER_SECOND;
const NANOS_PER_HOUR: i64 = 60 * NANOS_PER_MINUTE;

/// An instant in nanoseconds since 1970-01-01T00:00:00Z; covers the years 1677 to 2262.
///
/// Text form is RFC 3339 in UTC, without a fraction when it is a whole second.
/// `+` and `-` saturate at the ends of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Timestamp = Timestamp(0);
    /// Latest representable instant.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// The instant `nanos` nanoseconds after the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Timestamp(nanos)
    }

    /// The instant `seconds` after the epoch, saturating.
    pub const fn from_secs(seconds: i64) -> Self {
        Timestamp(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded towards the past.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(NANOS_PER_SECOND)
    }

    /// Seconds since the epoch.
    pub fn as_secs_f64(self) -> f64 {
        Duration(self.0).as_secs_f64()
    }

    /// Drops the part below a second, as storing a `metav1.Time` does.
    pub const fn truncate_to_seconds(self) -> Self {
        Timestamp(self.as_secs().saturating_mul(NANOS_PER_SECOND))
    }

    /// `self + duration`, or `None` outside the range.
    pub const fn checked_add(self, duration: Duration) -> Option<Self> {
        match self.0.checked_add(duration.0) {
            Some(nanos) => Some(Timestamp(nanos)),
            None => None,
        }
    }

    /// `self - duration`, or `None` outside the range.
    pub const fn checked_sub(self, duration: Duration) -> Option<Self> {
        match self.0.checked_sub(duration.0) {
            Some(nanos) => Some(Timestamp(nanos)),
            None => None,
        }
    }

    /// Time from `earlier` to `self`, negative if `earlier` is later; saturates.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }

    /// Reads RFC 3339.
    ///
    /// # Errors
    /// Text that is not RFC 3339, or an instant outside the range.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let error = || TimestampError { text: text.into() };
        // Go's RFC 3339 layout has an upper-case `T` and an offset; jiff alone is more lenient.
        let bytes = text.as_bytes();
        if bytes.get(10) != Some(&b'T') || text.contains('[') {
            return Err(error());
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| error())?;
        let nanos = i64::try_from(instant.as_nanosecond()).map_err(|_| error())?;
        Ok(Timestamp(nanos))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(duration.0))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(duration.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant =
            jiff::Timestamp::from_nanosecond(i128::from(self.0)).map_err(|_| fmt::Error)?;
        write!(f, "{instant}")
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Timestamp::parse(text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).map_err(de::Error::custom)
    }
}

/// Text that is no instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an RFC 3339 time between the years 1677 and 2262")]
pub struct TimestampError {
    text: String,
}

/// A signed span of time in nanoseconds; at most about 292 years.
///
/// Text form is Go's (`1h2m3.5s`). `+` and `-` saturate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(i64);

impl Duration {
    pub const ZERO: Duration = Duration(0);
    pub const MAX: Duration = Duration(i64::MAX);
    pub const SECOND: Duration = Duration(NANOS_PER_SECOND);

    pub const fn from_nanos(nanos: i64) -> Self {
        Duration(nanos)
    }

    /// Saturates.
    pub const fn from_millis(millis: i64) -> Self {
        Duration(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// Saturates.
    pub const fn from_secs(seconds: i64) -> Self {
        Duration(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// Rounds to the nearest nanosecond and saturates; NaN gives zero.
    pub fn from_secs_f64(seconds: f64) -> Self {
        // A float-to-integer cast saturates and maps NaN to 0.
        Duration((seconds * NANOS_PER_SECOND as f64).round() as i64)
    }

    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds, rounded towards zero.
    pub const fn as_millis(self) -> i64 {
        self.0 / NANOS_PER_MILLI
    }

    /// Whole seconds, rounded towards zero.
    pub const fn as_secs(self) -> i64 {
        self.0 / NANOS_PER_SECOND
    }

    /// Seconds; whole and fractional part are added apart, as Go's `Seconds()` does.
    pub fn as_secs_f64(self) -> f64 {
        let whole = (self.0 / NANOS_PER_SECOND) as f64;
        let fraction = (self.0 % NANOS_PER_SECOND) as f64;
        whole + fraction / NANOS_PER_SECOND as f64
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    pub const fn checked_add(self, other: Duration) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(nanos) => Some(Duration(nanos)),
            None => None,
        }
    }

    pub const fn checked_sub(self, other: Duration) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(nanos) => Some(Duration(nanos)),
            None => None,
        }
    }

    /// `self * factor`, saturating.
    pub const fn saturating_mul(self, factor: i64) -> Self {
        Duration(self.0.saturating_mul(factor))
    }

    /// Reads Go's duration syntax: signed decimal numbers with units `ns us µs ms s m h`, or `0`.
    ///
    /// # Errors
    /// With the text of Go's `time.ParseDuration`, which reports quote.
    pub fn parse_go(text: &str) -> Result<Self, DurationError> {
        let invalid = || DurationError::Invalid(text.into());
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Duration::ZERO);
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        // Up to 2^63, so that the most negative duration can be written.
        const LIMIT: u64 = 1 << 63;
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (whole_digits, after) = split_digits(rest);
            let mut value: u64 = 0;
            for digit in whole_digits.bytes() {
                value = value
                    .checked_mul(10)
                    .and_then(|v| v.checked_add(u64::from(digit - b'0')))
                    .filter(|v| *v <= LIMIT)
                    .ok_or_else(invalid)?;
            }
            let (fraction_digits, after) = match after.strip_prefix('.') {
                Some(after_dot) => split_digits(after_dot),
                None => ("", after),
            };
            if whole_digits.is_empty() && fraction_digits.is_empty() {
                return Err(invalid());
            }
            let unit_end = after
                .find(|c: char| c == '.' || c.is_ascii_digit())
                .unwrap_or(after.len());
            let (unit, next) = after.split_at(unit_end);
            if unit.is_empty() {
                return Err(DurationError::MissingUnit(text.into()));
            }
            let nanos_per_unit = unit_nanos(unit).ok_or_else(|| DurationError::UnknownUnit {
                unit: unit.into(),
                text: text.into(),
            })?;
            value = value
                .checked_mul(nanos_per_unit)
                .filter(|v| *v <= LIMIT)
                .ok_or_else(invalid)?;
            value = value
                .checked_add(fraction_nanos(fraction_digits, nanos_per_unit))
                .filter(|v| *v <= LIMIT)
                .ok_or_else(invalid)?;
            total = total
                .checked_add(value)
                .filter(|v| *v <= LIMIT)
                .ok_or_else(invalid)?;
            rest = next;
        }
        if negative {
            return Ok(Duration(0i64.wrapping_sub_unsigned(total)));
        }
        i64::try_from(total).map(Duration).map_err(|_| invalid())
    }
}

impl Add for Duration {
    type Output = Duration;
    fn add(self, other: Duration) -> Duration {
        Duration(self.0.saturating_add(other.0))
    }
}

impl Sub for Duration {
    type Output = Duration;
    fn sub(self, other: Duration) -> Duration {
        Duration(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Duration {
    /// As Go's `Duration.String()`: `1h0m3.5s`, below a second `1.5ms`, zero `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let nanos = self.0.unsigned_abs();
        let second = NANOS_PER_SECOND.unsigned_abs();
        if nanos < NANOS_PER_MICRO.unsigned_abs() {
            return write!(f, "{nanos}ns");
        }
        if nanos < NANOS_PER_MILLI.unsigned_abs() {
            return write_decimal(f, nanos, 3, "µs");
        }
        if nanos < second {
            return write_decimal(f, nanos, 6, "ms");
        }
        let minutes = nanos / (60 * second);
        if minutes >= 60 {
            write!(f, "{}h", minutes / 60)?;
        }
        if minutes > 0 {
            write!(f, "{}m", minutes % 60)?;
        }
        write_decimal(f, nanos % (60 * second), 9, "s")
    }
}

impl FromStr for Duration {
    type Err = DurationError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Duration::parse_go(text)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Duration::parse_go(&text).map_err(de::Error::custom)
    }
}

/// Text that is no duration; worded as Go words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(String),
    #[error("time: missing unit in duration {}", quote(.0))]
    MissingUnit(String),
    #[error("time: unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit { unit: String, text: String },
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn unit_nanos(unit: &str) -> Option<u64> {
    let nanos = match unit {
        "ns" => 1,
        // Micro sign and Greek mu.
        "us" | "\u{b5}s" | "\u{3bc}s" => NANOS_PER_MICRO,
        "ms" => NANOS_PER_MILLI,
        "s" => NANOS_PER_SECOND,
        "m" => NANOS_PER_MINUTE,
        "h" => NANOS_PER_HOUR,
        _ => return None,
    };
    Some(nanos.unsigned_abs())
}

/// Digits after the point in nanoseconds, rounded as Go does: digits beyond 63 bits are dropped,
/// the rest is scaled in floating point and cut.
fn fraction_nanos(digits: &str, nanos_per_unit: u64) -> u64 {
    let mut value: u64 = 0;
    let mut scale = 1.0f64;
    for digit in digits.bytes() {
        let Some(next) = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(u64::from(digit - b'0')))
            .filter(|v| *v <= 1 << 63)
        else {
            break;
        };
        value = next;
        scale *= 10.0;
    }
    (value as f64 * (nanos_per_unit as f64 / scale)) as u64
}

/// `nanos / 10^places` without trailing zeros, then `unit`.
fn write_decimal(f: &mut fmt::Formatter<'_>, nanos: u64, places: u32, unit: &str) -> fmt::Result {
    let scale = 10u64.pow(places);
    let (whole, fraction) = (nanos / scale, nanos % scale);
    if fraction == 0 {
        return write!(f, "{whole}{unit}");
    }
    let digits = format!("{fraction:0width$}", width = places as usize);
    write!(f, "{whole}.{}{unit}", digits.trim_end_matches('0'))
}

/// Quotes as Go's time package does: bytes outside printable ASCII become `\xNN`.
fn quote(text: &str) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if !(' '..'\u{80}').contains(&c) {
            let mut buffer = [0u8; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\x{byte:02x}");
            }
            continue;
        }
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_in_go() {
        for (text, printed) in [
            ("0", "0s"),
            ("1h2m3.5s", "1h2m3.5s"),
            ("300ms", "300ms"),
            ("90m", "1h30m0s"),
            ("+5s", "5s"),
            ("-1.5h", "-1h30m0s"),
            (".5s", "500ms"),
            ("1.s", "1s"),
            ("1500us", "1.5ms"),
            ("1µs2ns", "1.002µs"),
            ("9223372036854775807ns", "2562047h47m16.854775807s"),
            ("-9223372036854775808ns", "-2562047h47m16.854775808s"),
        ] {
            let duration = Duration::parse_go(text).unwrap();
            assert_eq!(duration.to_string(), printed, "{text}");
            assert_eq!(Duration::parse_go(printed).unwrap(), duration);
        }
    }

    #[test]
    fn bad_durations_are_worded_as_in_go() {
        for (text, error) in [
            ("", "time: invalid duration \"\""),
            ("x", "time: invalid duration \"x\""),
            ("-", "time: invalid duration \"-\""),
            (".s", "time: invalid duration \".s\""),
            ("5", "time: missing unit in duration \"5\""),
            ("1h30", "time: missing unit in duration \"1h30\""),
            ("3d", "time: unknown unit \"d\" in duration \"3d\""),
            (
                "1é\"",
                "time: unknown unit \"\\xc3\\xa9\\\"\" in duration \"1\\xc3\\xa9\\\"\"",
            ),
            (
                "9223372036854775808ns",
                "time: invalid duration \"9223372036854775808ns\"",
            ),
        ] {
            assert_eq!(Duration::parse_go(text).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn timestamps_read_and_print() {
        let whole = Timestamp::parse("2024-02-29T12:00:01Z").unwrap();
        assert_eq!(whole.to_string(), "2024-02-29T12:00:01Z");
        assert_eq!(
            Timestamp::parse("2024-02-29T13:00:01+01:00").unwrap(),
            whole
        );
        let later = whole + Duration::from_millis(250);
        assert_eq!(later.to_string(), "2024-02-29T12:00:01.25Z");
        assert_eq!(later.truncate_to_seconds(), whole);
        assert_eq!(later.since(whole), Duration::from_millis(250));
        assert_eq!(
            serde_json::to_string(&later).unwrap(),
            "\"2024-02-29T12:00:01.25Z\""
        );
        assert!(Timestamp::parse("2024-02-29 12:00:01Z").is_err());
        assert!(Timestamp::parse("9999-01-01T00:00:00Z").is_err());
        assert_eq!(
            Timestamp::from_nanos(-1).truncate_to_seconds(),
            Timestamp::from_secs(-1)
        );
        assert!(!Timestamp::MAX.to_string().is_empty());
        assert!(!Timestamp::from_nanos(i64::MIN).to_string().is_empty());
    }
}
