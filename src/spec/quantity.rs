//! Amounts of resources (`apimachinery` `pkg/api/resource`).

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

/// Smallest amount told apart: a billionth; anything between is rounded up.
const NANOS_PER_UNIT: i128 = 1_000_000_000;

/// An amount, and the notation it is printed in. Compares by amount.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantity {
    nanos: i128,
    notation: Notation,
}

#[derive(Debug, Clone, Copy)]
enum Notation {
    /// `k`, `M`, ... and `m`, `u`, `n`.
    Decimal,
    /// `Ki`, `Mi`, ...
    Binary,
    /// `e3`, `e6`, ...
    Exponent,
}

/// Whether a text is an amount, however large or fine.
pub(crate) fn is_quantity(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let number_end = unsigned
        .find(|c: char| c != '.' && !c.is_ascii_digit())
        .unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(number_end);
    number.bytes().any(|byte| byte.is_ascii_digit())
        && number.matches('.').count() <= 1
        && scale_of(suffix).is_some()
}

impl Quantity {
    /// A number or a text such as `500m` or `1Gi`; `None` if it is none or beyond 64 bits. Null is
    /// zero, as Go reads it.
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            Value::Null => Self::parse("0"),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    pub fn is_negative(&self) -> bool {
        self.nanos < 0
    }

    /// Whether there is no fraction, thousandths rounded up.
    pub fn is_whole(&self) -> bool {
        let millis = (self.nanos + NANOS_PER_UNIT / 1000 - 1).div_euclid(NANOS_PER_UNIT / 1000);
        millis % 1000 == 0
    }

    fn parse(text: &str) -> Option<Self> {
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let number_end = unsigned
            .find(|c: char| c != '.' && !c.is_ascii_digit())
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(number_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let (notation, base, exponent) = scale_of(suffix)?;
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        // Too many digits to matter, and to compute with.
        let places = u32::try_from(fraction.len())
            .ok()
            .filter(|places| *places <= 18)?;
        let divisor = 10i128.checked_pow(places)?;
        let nanos = if exponent >= 0 {
            let factor = i128::from(base).checked_pow(exponent.unsigned_abs())?;
            div_up(
                digits.checked_mul(factor)?.checked_mul(NANOS_PER_UNIT)?,
                divisor,
            )
        } else {
            let factor = i128::from(base).checked_pow(exponent.unsigned_abs())?;
            div_up(
                digits.checked_mul(NANOS_PER_UNIT)?,
                divisor.checked_mul(factor)?,
            )
        };
        let limit = i128::from(i64::MAX).checked_mul(NANOS_PER_UNIT)?;
        let nanos = nanos.min(limit);
        Some(Quantity {
            nanos: if is_negative { -nanos } else { nanos },
            notation,
        })
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.nanos.cmp(&other.nanos))
    }
}

impl fmt::Display for Quantity {
    /// The canonical form: the largest suffix that needs no fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let units = self.nanos / NANOS_PER_UNIT;
        let is_small = self.nanos % NANOS_PER_UNIT != 0 || units.abs() < 1024;
        if matches!(self.notation, Notation::Binary) && !is_small {
            let suffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
            let (amount, steps) = divide_out(units, 1024, suffixes.len() - 1);
            return write!(f, "{amount}{}", suffixes[steps]);
        }
        let (amount, steps) = divide_out(self.nanos, 1000, 9);
        if matches!(self.notation, Notation::Exponent) {
            let exponent = 3 * (steps as i32 - 3);
            return if exponent == 0 {
                write!(f, "{amount}")
            } else {
                write!(f, "{amount}e{exponent}")
            };
        }
        let suffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
        write!(f, "{amount}{}", suffixes[steps])
    }
}

/// Divides by `base` as often as it goes without a rest, at most `limit` times.
fn divide_out(mut amount: i128, base: i128, limit: usize) -> (i128, usize) {
    let mut steps = 0;
    while steps < limit && amount % base == 0 {
        amount /= base;
        steps += 1;
    }
    (amount, steps)
}

fn div_up(amount: i128, divisor: i128) -> i128 {
    amount / divisor + i128::from(amount % divisor != 0)
}

fn scale_of(suffix: &str) -> Option<(Notation, u32, i32)> {
    Some(match suffix {
        "n" => (Notation::Decimal, 10, -9),
        "u" => (Notation::Decimal, 10, -6),
        "m" => (Notation::Decimal, 10, -3),
        "" => (Notation::Decimal, 10, 0),
        "k" => (Notation::Decimal, 10, 3),
        "M" => (Notation::Decimal, 10, 6),
        "G" => (Notation::Decimal, 10, 9),
        "T" => (Notation::Decimal, 10, 12),
        "P" => (Notation::Decimal, 10, 15),
        "E" => (Notation::Decimal, 10, 18),
        "Ki" => (Notation::Binary, 1024, 1),
        "Mi" => (Notation::Binary, 1024, 2),
        "Gi" => (Notation::Binary, 1024, 3),
        "Ti" => (Notation::Binary, 1024, 4),
        "Pi" => (Notation::Binary, 1024, 5),
        "Ei" => (Notation::Binary, 1024, 6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (Notation::Exponent, 10, exponent)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare_and_print_canonically() {
        for (text, printed) in [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1500", "1500"),
            ("2000", "2k"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("100Ki", "100Ki"),
            ("0.5Ki", "512"),
            ("-1", "-1"),
            ("1e3", "1e3"),
            ("0", "0"),
            ("1.1n", "2n"),
        ] {
            assert_eq!(
                Quantity::parse(text).unwrap().to_string(),
                printed,
                "{text}"
            );
        }
        assert!(Quantity::parse("1Gi") > Quantity::parse("1G"));
        assert!(Quantity::parse("1x").is_none());
        assert!(Quantity::parse("").is_none());
        assert!(Quantity::parse("1e999").is_none());
        assert!(!Quantity::parse("500m").unwrap().is_whole());
    }
}
