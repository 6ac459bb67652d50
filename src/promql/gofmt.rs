//! Numbers and strings as Go prints them: Prometheus' messages, label values and
//! notation are defined by `strconv`, so agreement needs the same digits.

/// The shortest decimal digits that read back as `v`, and the decimal exponent of the first.
/// `v` must be finite.
fn shortest_digits(v: f64) -> (String, i32) {
    split_exponent(&format!("{:e}", v.abs()))
}

fn split_exponent(text: &str) -> (String, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    (digits, exponent.parse().unwrap_or(0))
}

fn special(v: f64) -> Option<&'static str> {
    if v.is_nan() {
        Some("NaN")
    } else if v == f64::INFINITY {
        Some("+Inf")
    } else if v == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

fn assemble(negative: bool, digits: &str, exponent: i32, scientific: bool) -> String {
    let mut out = String::new();
    if negative {
        out.push('-');
    }
    if scientific {
        let (first, rest) = digits.split_at(1.min(digits.len()));
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        out.push_str(&format!("e{sign}{:02}", exponent.unsigned_abs()));
    } else if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.push_str(digits);
    } else {
        let whole = exponent as usize + 1;
        if digits.len() > whole {
            out.push_str(&digits[..whole]);
            out.push('.');
            out.push_str(&digits[whole..]);
        } else {
            out.push_str(digits);
            out.extend(std::iter::repeat_n('0', whole - digits.len()));
        }
    }
    out
}

/// `%g`: shortest digits, with an exponent when it is below -4 or above 5.
pub fn format_g(v: f64) -> String {
    if let Some(text) = special(v) {
        return text.to_owned();
    }
    let (digits, exponent) = shortest_digits(v);
    assemble(
        v.is_sign_negative(),
        &digits,
        exponent,
        !(-4..6).contains(&exponent),
    )
}

/// `%.Ng`: at most `precision` significant digits, trailing zeros cut.
pub fn format_g_precision(v: f64, precision: usize) -> String {
    if let Some(text) = special(v) {
        return text.to_owned();
    }
    let precision = precision.max(1);
    let (digits, exponent) = split_exponent(&format!("{:.*e}", precision - 1, v.abs()));
    let trimmed = digits.trim_end_matches('0');
    let digits = if trimmed.is_empty() { "0" } else { trimmed };
    let mut limit = precision as i32;
    if limit > digits.len() as i32 && digits.len() as i32 > exponent {
        limit = digits.len() as i32;
    }
    assemble(
        v.is_sign_negative(),
        digits,
        exponent,
        exponent < -4 || exponent >= limit,
    )
}

/// `strconv.FormatFloat(v, 'f', -1, 64)`: shortest digits, never an exponent.
pub fn format_f(v: f64) -> String {
    special(v).map_or_else(|| format!("{v}"), str::to_owned)
}

/// `%.Nf`.
pub fn format_f_precision(v: f64, precision: usize) -> String {
    special(v).map_or_else(|| format!("{v:.precision$}"), str::to_owned)
}

/// A float as Prometheus' HTTP API writes it: without an exponent unless it is tiny or huge.
pub fn format_api(v: f64) -> String {
    if v == 0.0 || (1e-6..1e21).contains(&v.abs()) {
        format_f(v)
    } else {
        format_g(v)
    }
}

/// A float as OpenMetrics writes it: `1.0`, `0.25`, `1e+06`, `+Inf`.
pub fn format_openmetrics(v: f64) -> String {
    let text = format_g(v);
    if text.contains(['e', '.', 'N', 'I']) {
        text
    } else {
        text + ".0"
    }
}

/// Bytes of a string literal that are no UTF-8 are kept as private characters from here on.
const RAW_BYTE_BASE: u32 = 0x10_ff00;

/// The byte that a character of a literal stands for, if it was no UTF-8.
fn raw_byte(c: char) -> Option<u8> {
    (c as u32)
        .checked_sub(RAW_BYTE_BASE)
        .and_then(|byte| u8::try_from(byte).ok())
        .filter(|byte| *byte >= 0x80)
}

/// Whether a string came from valid UTF-8.
pub fn is_valid_utf8(text: &str) -> bool {
    text.chars()
        .all(|c| c != '\u{fffd}' && raw_byte(c).is_none())
}

/// Decodes UTF-8, keeping stray bytes recognizable.
fn decode(mut bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    while !bytes.is_empty() {
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                out.push_str(text);
                break;
            }
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                out.push_str(std::str::from_utf8(valid).unwrap_or_default());
                let Some((stray, rest)) = rest.split_first() else {
                    break;
                };
                out.push(char::from_u32(RAW_BYTE_BASE + u32::from(*stray)).unwrap_or('\u{fffd}'));
                bytes = rest;
            }
        }
    }
    out
}

fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    !c.is_control()
        && !c.is_whitespace()
        && !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{10ffff}')
}

fn push_escaped(out: &mut String, c: char, quote: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if c == quote => {
            out.push('\\');
            out.push(c);
        }
        c if is_printable(c) => out.push(c),
        c if raw_byte(c).is_some() => out.push_str(&format!("\\x{:02x}", raw_byte(c).unwrap_or(0))),
        c if (c as u32) < 0x80 => out.push_str(&format!("\\x{:02x}", c as u32)),
        c if (c as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", c as u32)),
        c => out.push_str(&format!("\\U{:08x}", c as u32)),
    }
}

/// `strconv.Quote`.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        push_escaped(&mut out, c, '"');
    }
    out.push('"');
    out
}

/// `%q` of a rune; `None` is the end of the input.
pub fn quote_char(c: Option<char>) -> String {
    let mut out = String::from("'");
    push_escaped(&mut out, c.unwrap_or('\u{fffd}'), '\'');
    out.push('\'');
    out
}

/// `%#U` of a rune: `U+0022 '"'`.
pub fn describe_char(c: Option<char>) -> String {
    let Some(c) = c else {
        return "U+FFFFFFFFFFFFFFFF".to_owned();
    };
    if is_printable(c) {
        format!("U+{:04X} '{c}'", c as u32)
    } else {
        format!("U+{:04X}", c as u32)
    }
}

/// Reads a quoted PromQL string (double, single or back quotes) with Go's escapes.
/// `None` when the quoting is not well-formed. See [`is_valid_utf8`] for escaped bytes.
pub fn unquote(text: &str) -> Option<String> {
    let quote = text.chars().next()?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    match quote {
        '`' => return (!inner.contains('`')).then(|| inner.to_owned()),
        '"' | '\'' => {}
        _ => return None,
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c == quote || c == '\n' {
            return None;
        }
        if c != '\\' {
            bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        let radix_digits =
            |rest: &mut std::str::Chars, n: usize, radix: u32, start: u32| -> Option<u32> {
                (0..n).try_fold(start, |acc, _| {
                    rest.next()?
                        .to_digit(radix)
                        .map(|d| acc.wrapping_mul(radix).wrapping_add(d))
                })
            };
        match rest.next()? {
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(11),
            '\\' => bytes.push(b'\\'),
            'x' => bytes.push(radix_digits(&mut rest, 2, 16, 0)? as u8),
            u @ ('u' | 'U') => {
                let value = radix_digits(&mut rest, if u == 'u' { 4 } else { 8 }, 16, 0)?;
                if value > 0x10_ffff {
                    return None;
                }
                let c = char::from_u32(value).unwrap_or('\u{fffd}');
                bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
            }
            d @ '0'..='7' => {
                let value = radix_digits(&mut rest, 2, 8, d.to_digit(8)?)?;
                bytes.push(u8::try_from(value).ok()?);
            }
            q if q == quote => bytes.push(q as u8),
            _ => return None,
        }
    }
    Some(decode(&bytes))
}

/// `strconv.ParseFloat(text, 64)`: `None` for a syntax error; overflow gives an infinity and `true`.
pub fn parse_float(text: &str) -> Option<(f64, bool)> {
    // What most are, as bounds of buckets, without a copy.
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        let value: f64 = text.parse().ok()?;
        return Some((value, value.is_infinite()));
    }
    let (sign, body) = match text.as_bytes().first()? {
        b'+' => (1.0, &text[1..]),
        b'-' => (-1.0, &text[1..]),
        _ => (1.0, text),
    };
    let lower = body.to_ascii_lowercase();
    match lower.as_str() {
        "inf" | "infinity" => return Some((sign * f64::INFINITY, false)),
        "nan" => return Some((f64::NAN, false)),
        _ => {}
    }
    if let Some(hex) = lower.strip_prefix("0x") {
        return parse_hex_float(hex).map(|v| (sign * v, v.is_infinite()));
    }
    if !underscores_separate_digits(&lower) {
        return None;
    }
    let cleaned: String = lower.chars().filter(|c| *c != '_').collect();
    if !cleaned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let value: f64 = cleaned.parse().ok()?;
    Some((sign * value, value.is_infinite()))
}

fn underscores_separate_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(i, b)| {
        *b != b'_'
            || (i > 0
                && bytes[i - 1].is_ascii_digit()
                && bytes.get(i + 1).is_some_and(u8::is_ascii_digit))
    })
}

fn parse_hex_float(hex: &str) -> Option<f64> {
    let (mantissa, exponent) = hex.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0_f64;
    for c in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(c.to_digit(16)?);
    }
    let exponent: i32 = exponent.parse().ok()?;
    let shift = exponent.saturating_sub(4 * i32::try_from(fraction.len()).ok()?);
    Some(value * 2f64.powi(shift))
}

/// `strconv.ParseInt(text, 0, 64)`: base by prefix (`0x`, `0o`, `0b`, leading `0`), underscores.
pub fn parse_int(text: &str) -> Option<i64> {
    let (negative, body) = match text.as_bytes().first()? {
        b'+' => (false, &text[1..]),
        b'-' => (true, &text[1..]),
        _ => (false, text),
    };
    let lower = body.to_ascii_lowercase();
    let (radix, digits) = if let Some(d) = lower.strip_prefix("0x") {
        (16, d)
    } else if let Some(d) = lower.strip_prefix("0b") {
        (2, d)
    } else if let Some(d) = lower.strip_prefix("0o") {
        (8, d)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.ends_with('_') || digits.contains("__") || (radix == 10 && digits.starts_with('_')) {
        return None;
    }
    let cleaned: String = digits.chars().filter(|c| *c != '_').collect();
    if cleaned.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(&cleaned, radix).ok()?;
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// A PromQL number: an integer in any of Go's bases, else a float.
/// The error is the text that follows `error parsing number: `.
pub fn parse_number(text: &str) -> Result<f64, String> {
    if let Some(n) = parse_int(text) {
        return Ok(n as f64);
    }
    match parse_float(text) {
        Some((v, false)) => Ok(v),
        Some((_, true)) => Err(format!(
            "strconv.ParseFloat: parsing {}: value out of range",
            quote(text)
        )),
        None => Err(format!(
            "strconv.ParseFloat: parsing {}: invalid syntax",
            quote(text)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_in_go() {
        for (v, g, f) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (1.0, "1", "1"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "0.00001"),
            (123456.0, "123456", "123456"),
            (1e6, "1e+06", "1000000"),
            (1e21, "1e+21", "1000000000000000000000"),
            (1.5e300, "1.5e+300", &format!("15{}", "0".repeat(299))),
            (f64::NAN, "NaN", "NaN"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ] {
            assert_eq!(format_g(v), g);
            assert_eq!(format_f(v), f);
        }
        assert_eq!(format_g_precision(470.0, 2), "4.7e+02");
        assert_eq!(format_g_precision(100.0, 2), "1e+02");
        assert_eq!(format_g_precision(1.14, 2), "1.1");
        assert_eq!(format_g_precision(2.0, 2), "2");
        for (v, text) in [
            (0.0, "0"),
            (1e6, "1000000"),
            (1e-6, "0.000001"),
            (1e-7, "1e-07"),
            (-1.5e21, "-1.5e+21"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(format_api(v), text);
        }
        assert_eq!(format_openmetrics(0.5), "0.5");
        assert_eq!(format_openmetrics(10.0), "10.0");
    }

    #[test]
    fn numbers_are_read_as_in_go() {
        assert_eq!(parse_number("0x1F"), Ok(31.0));
        assert_eq!(parse_number("017"), Ok(15.0));
        assert_eq!(parse_number("019"), Ok(19.0));
        assert_eq!(parse_number("1_000"), Ok(1000.0));
        assert_eq!(parse_number("1_000.5"), Ok(1000.5));
        assert_eq!(parse_number(".5"), Ok(0.5));
        assert_eq!(parse_number("Inf"), Ok(f64::INFINITY));
        assert!(parse_number("1e400").is_err());
    }

    #[test]
    fn strings_round_trip() {
        for s in ["", "a\u{10ffc5}z", "a\"b", "tab\t", "üñ", "\u{7f}", "\\d+"] {
            assert_eq!(unquote(&quote(s)).as_deref(), Some(s));
        }
        assert_eq!(unquote("`a\\b`").as_deref(), Some("a\\b"));
        assert_eq!(unquote("'it\\'s'").as_deref(), Some("it's"));
        assert_eq!(unquote("\"\\x\""), None);
    }
}
