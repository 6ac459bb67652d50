//! Prometheus durations: `1h30m`, `15s`, `0`. Whole milliseconds, held as nanoseconds like Go's.

use super::gofmt;

/// Nanoseconds in a millisecond.
pub const NANOS_PER_MILLI: i64 = 1_000_000;

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration, in milliseconds. Units go from large to small, each at most once.
///
/// # Errors
/// The text Prometheus gives for an empty, malformed or too long duration.
pub fn parse_millis(text: &str) -> Result<i64, String> {
    match text {
        "0" => return Ok(0),
        "" => return Err("empty duration string".to_owned()),
        _ => {}
    }
    let malformed = || format!("not a valid duration string: {}", gofmt::quote(text));
    let out_of_range = || "duration out of range".to_owned();
    let mut rest = text;
    let mut next_unit = 0;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len()
            - tail
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, tail) = tail.split_at(letters);
        let position = UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or_else(malformed)?;
        if number.is_empty() || position < next_unit {
            return Err(malformed());
        }
        let number: i64 = number.parse().map_err(|_| out_of_range())?;
        let millis = number
            .checked_mul(UNITS[position].1)
            .ok_or_else(out_of_range)?;
        total = total.checked_add(millis).ok_or_else(out_of_range)?;
        if total > i64::MAX / NANOS_PER_MILLI {
            return Err(out_of_range());
        }
        next_unit = position + 1;
        rest = tail;
    }
    Ok(total)
}

/// Prints a duration of `nanos` (not negative), whole milliseconds: `1h30m`, `0s`.
/// Years and weeks are used only when they leave no remainder.
pub fn format_nanos(nanos: i64) -> String {
    let mut millis = nanos / NANOS_PER_MILLI;
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (unit, size) in UNITS {
        if matches!(unit, "y" | "w") && millis % size != 0 {
            continue;
        }
        let count = millis / size;
        if count > 0 {
            out.push_str(&format!("{count}{unit}"));
            millis -= count * size;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_trip() {
        for (text, millis) in [
            ("1h30m", 5_400_000),
            ("15s", 15_000),
            ("1y", 31_536_000_000),
            ("90d", 7_776_000_000),
            ("1s500ms", 1500),
        ] {
            assert_eq!(parse_millis(text), Ok(millis));
            assert_eq!(format_nanos(millis * NANOS_PER_MILLI), text);
        }
        assert_eq!(parse_millis("0"), Ok(0));
        for bad in ["", "5", "1m1h", "1x", "m", "1m1m", "1.5h"] {
            assert!(parse_millis(bad).is_err(), "{bad}");
        }
    }
}
