//! Numbers as Go reads, writes, converts and raises them.

/// Why a text is no number, as Go's `strconv` says it.
pub const INVALID_SYNTAX: &str = "invalid syntax";
/// See [`INVALID_SYNTAX`].
pub const OUT_OF_RANGE: &str = "value out of range";

/// An integer with an optional sign.
///
/// # Errors
/// [`INVALID_SYNTAX`] or [`OUT_OF_RANGE`].
pub fn parse_int(text: &str, base: u32) -> Result<i64, &'static str> {
    use std::num::IntErrorKind;
    i64::from_str_radix(text, base).map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => OUT_OF_RANGE,
        _ => INVALID_SYNTAX,
    })
}

/// A decimal or hexadecimal float, `Inf`, `Infinity` or `NaN`.
///
/// # Errors
/// [`INVALID_SYNTAX`] or [`OUT_OF_RANGE`].
pub fn parse_float(text: &str) -> Result<f64, &'static str> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        let value = parse_hex_float(digits)?;
        return Ok(if text.starts_with('-') { -value } else { value });
    }
    if lower == "nan" && unsigned.len() != text.len() {
        return Err(INVALID_SYNTAX);
    }
    let value: f64 = text.parse().map_err(|_| INVALID_SYNTAX)?;
    if value.is_infinite() && !lower.starts_with("inf") {
        return Err(OUT_OF_RANGE);
    }
    Ok(value)
}

/// What follows `0x`: hexadecimal digits with a point, and a binary exponent.
fn parse_hex_float(text: &str) -> Result<f64, &'static str> {
    let (mantissa, exponent) = text.split_once('p').ok_or(INVALID_SYNTAX)?;
    let exponent = match exponent.strip_prefix('+') {
        Some(rest) if rest.starts_with('-') => return Err(INVALID_SYNTAX),
        Some(rest) => rest,
        None => exponent,
    };
    let exponent = match parse_int(exponent, 10) {
        Ok(exponent) => exponent.clamp(-100_000, 100_000),
        Err(OUT_OF_RANGE) if exponent.starts_with('-') => -100_000,
        Err(OUT_OF_RANGE) => 100_000,
        Err(reason) => return Err(reason),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = format!("{whole}{fraction}").replace('_', "");
    if digits.is_empty() || fraction.contains('.') {
        return Err(INVALID_SYNTAX);
    }
    let mut bits: u64 = 0;
    let mut dropped: i64 = 0;
    let mut sticky = 0;
    for digit in digits.chars() {
        let digit = u64::from(digit.to_digit(16).ok_or(INVALID_SYNTAX)?);
        if bits >> 56 == 0 {
            bits = bits * 16 + digit;
        } else {
            dropped += 4;
            sticky |= u64::from(digit != 0);
        }
    }
    let places = i64::try_from(fraction.replace('_', "").len()).unwrap_or(i64::MAX / 8);
    let exponent = exponent + dropped - 4 * places;
    let value = scale((bits | sticky) as f64, exponent);
    if value.is_infinite() {
        return Err(OUT_OF_RANGE);
    }
    Ok(value)
}

/// `value * 2^exponent`.
fn scale(value: f64, exponent: i64) -> f64 {
    let mut value = value;
    let mut exponent = exponent.clamp(-5000, 5000);
    while exponent > 1000 {
        value *= 2f64.powi(1000);
        exponent -= 1000;
    }
    while exponent < -1000 {
        value *= 2f64.powi(-1000);
        exponent += 1000;
    }
    value * 2f64.powi(i32::try_from(exponent).unwrap_or(0))
}

/// The integer part; what does not fit, and NaN, is the least integer, as on amd64.
pub fn float_to_int(value: f64) -> i64 {
    // 2^63 is exact as a float, i64::MAX is not.
    if value >= -(2f64.powi(63)) && value < 2f64.powi(63) {
        value as i64
    } else {
        i64::MIN
    }
}

/// `base` to the power of `exponent`, computed as Go does so that the last bit agrees: the whole
/// part is multiplied out with the power of two kept apart, the rest goes through the logarithm.
pub fn power(base: f64, exponent: f64) -> f64 {
    if exponent == 0.5 {
        return base.sqrt();
    }
    if exponent == -0.5 {
        return 1.0 / base.sqrt();
    }
    let special = base == 0.0
        || !base.is_finite()
        || !exponent.is_finite()
        || base < 0.0 && exponent.fract() != 0.0
        || exponent.abs() >= 2f64.powi(63);
    if special {
        return base.powf(exponent);
    }
    let (mut whole, mut fraction) = (exponent.abs().trunc(), exponent.abs().fract());
    let mut result = 1.0;
    if fraction != 0.0 {
        if fraction > 0.5 {
            fraction -= 1.0;
            whole += 1.0;
        }
        result = (fraction * base.ln()).exp();
    }
    let mut result_exponent: i64 = 0;
    let (mut factor, mut factor_exponent) = split_exponent(base);
    let mut rest = whole as u64;
    while rest != 0 {
        if factor_exponent.abs() > 1 << 12 {
            // Overflow or underflow, decided by the exponent alone.
            result_exponent += factor_exponent;
            break;
        }
        if rest & 1 == 1 {
            result *= factor;
            result_exponent += factor_exponent;
        }
        factor *= factor;
        factor_exponent *= 2;
        if factor.abs() < 0.5 {
            factor += factor;
            factor_exponent -= 1;
        }
        rest >>= 1;
    }
    if exponent < 0.0 {
        result = 1.0 / result;
        result_exponent = -result_exponent;
    }
    scale(result, result_exponent)
}

/// `value` as a fraction from 0.5 up to 1 and a power of two.
fn split_exponent(value: f64) -> (f64, i64) {
    let (value, shift) = if value.abs() < f64::MIN_POSITIVE {
        (value * 2f64.powi(52), -52)
    } else {
        (value, 0)
    };
    let bits = value.to_bits();
    let exponent = i64::try_from(bits >> 52 & 0x7ff).unwrap_or(0) - 1022;
    let fraction = f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52);
    (fraction, exponent + shift)
}

/// A float as `fmt` prints it with `%v`: shortest digits, an exponent from a million on and below
/// a ten-thousandth.
pub fn format_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let exponent = exponent_of(&scientific);
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    with_go_exponent(&scientific, 2)
}

/// A float as JSON has it; `None` for what JSON cannot have.
pub fn format_json_float(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        return Some(with_go_exponent(&format!("{value:e}"), 1));
    }
    Some(format!("{value}"))
}

fn exponent_of(scientific: &str) -> i32 {
    scientific
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or(0)
}

/// `1e-7` as `1e-07`, `1e21` as `1e+21`.
fn with_go_exponent(scientific: &str, digits: usize) -> String {
    let mantissa = scientific.split('e').next().unwrap_or("");
    let exponent = exponent_of(scientific);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:0digits$}", exponent.unsigned_abs())
}
