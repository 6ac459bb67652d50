//! What a scalar means: the resolution table of sigs.k8s.io/yaml 1.6 (YAML 1.1 as Go reads it).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A resolved scalar.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// Only above `i64::MAX`.
    UInt(u64),
    /// May be infinite or NaN: the caller refuses those.
    Float(f64),
    String(String),
}

/// The tags that change how a scalar is read; all others make it a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// No tag, plain style.
    Plain,
    /// No tag, quoted or block style.
    Quoted,
    Str,
    Bool,
    Int,
    Float,
    Null,
    Timestamp,
    Binary,
    Merge,
    Other,
}

impl Tag {
    /// From a resolved tag URI such as `tag:yaml.org,2002:int`.
    pub(super) fn of(uri: &str) -> Tag {
        match uri.strip_prefix("tag:yaml.org,2002:") {
            Some("str") => Tag::Str,
            Some("bool") => Tag::Bool,
            Some("int") => Tag::Int,
            Some("float") => Tag::Float,
            Some("null") => Tag::Null,
            Some("timestamp") => Tag::Timestamp,
            Some("binary") => Tag::Binary,
            Some("merge") => Tag::Merge,
            Some(_) | None => Tag::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Tag::Plain | Tag::Quoted | Tag::Other => "",
            Tag::Str => "!!str",
            Tag::Bool => "!!bool",
            Tag::Int => "!!int",
            Tag::Float => "!!float",
            Tag::Null => "!!null",
            Tag::Timestamp => "!!timestamp",
            Tag::Binary => "!!binary",
            Tag::Merge => "!!merge",
        }
    }
}

/// Resolves the text of a scalar; the error says what its tag forbids.
pub(super) fn resolve(tag: Tag, text: &str) -> Result<Scalar, String> {
    match tag {
        Tag::Quoted | Tag::Str | Tag::Merge | Tag::Other => Ok(Scalar::String(text.to_owned())),
        Tag::Plain => Ok(implicit(text)),
        Tag::Binary => binary(text).map(Scalar::String),
        Tag::Timestamp if is_timestamp(text) => Ok(Scalar::String(text.to_owned())),
        Tag::Bool | Tag::Int | Tag::Float | Tag::Null | Tag::Timestamp => {
            let value = implicit(text);
            match (tag, value) {
                (Tag::Bool, value @ Scalar::Bool(_))
                | (Tag::Int, value @ (Scalar::Int(_) | Scalar::UInt(_)))
                | (Tag::Float, value @ Scalar::Float(_))
                | (Tag::Null, value @ Scalar::Null) => Ok(value),
                #[allow(clippy::cast_precision_loss)] // as the reference converts
                (Tag::Float, Scalar::Int(value)) => Ok(Scalar::Float(value as f64)),
                (_, _) => Err(format!("`{}` cannot be read as {}", clip(text), tag.name())),
            }
        }
    }
}

/// A plain scalar without a tag.
fn implicit(text: &str) -> Scalar {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes().first() {
        Some(b'.') => separated(text).and_then(|digits| float(&digits)),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            let digits = text.replace('_', "");
            integer(&digits).or_else(|| float(&digits))
        }
        Some(_) | None => None,
    };
    number.unwrap_or_else(|| Scalar::String(text.to_owned()))
}

/// Without underscores, where each stands between two digits: so far Go goes behind a leading dot.
fn separated(text: &str) -> Option<String> {
    let digit = |at: Option<usize>| {
        at.and_then(|at| text.as_bytes().get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    text.match_indices('_')
        .all(|(at, _)| digit(at.checked_sub(1)) && digit(at.checked_add(1)))
        .then(|| text.replace('_', ""))
}

/// An integer as Go's base 0 reads it: `0x`, `0b`, `0o`, and a leading `0` for octal.
fn integer(text: &str) -> Option<Scalar> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, text.get(1..)?),
        b'+' => (false, true, text.get(1..)?),
        _ => (false, false, text),
    };
    let (radix, body) = radix(digits);
    if body.is_empty() {
        return None;
    }
    // `0b+1` and `0b-1`: a sign behind the prefix counts, as the reference retries in base 2.
    if radix == 2 && !signed && body.starts_with(['+', '-']) {
        let magnitude = body.get(1..)?;
        return plain_digits(magnitude, 2)
            .and_then(|value| signed_value(body.starts_with('-'), value));
    }
    let value = plain_digits(body, radix)?;
    match signed_value(negative, value) {
        Some(value) => Some(value),
        None if !signed => Some(Scalar::UInt(value)),
        None => None,
    }
}

fn radix(digits: &str) -> (u32, &str) {
    let Some(rest) = digits.strip_prefix('0').filter(|rest| !rest.is_empty()) else {
        return (10, digits);
    };
    for (prefixes, radix) in [(['x', 'X'], 16), (['b', 'B'], 2), (['o', 'O'], 8)] {
        if let Some(body) = rest.strip_prefix(prefixes) {
            return (radix, body);
        }
    }
    (8, rest)
}

/// Digits only: no sign, as `from_str_radix` would take one.
fn plain_digits(digits: &str, radix: u32) -> Option<u64> {
    let all = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    all.then(|| u64::from_str_radix(digits, radix).ok())?
}

fn signed_value(negative: bool, magnitude: u64) -> Option<Scalar> {
    let value = if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    };
    value.map(Scalar::Int)
}

/// A decimal float; what overflows stays a string.
fn float(text: &str) -> Option<Scalar> {
    let mut rest = text.trim_start_matches(['+', '-']);
    if text.len() - rest.len() > 1 {
        return None;
    }
    let whole = skip_digits(&mut rest);
    let mut fraction = 0;
    if let Some(after) = rest.strip_prefix('.') {
        rest = after;
        fraction = skip_digits(&mut rest);
    }
    if whole + fraction == 0 {
        return None;
    }
    if let Some(after) = rest.strip_prefix(['e', 'E']) {
        rest = after.strip_prefix(['+', '-']).unwrap_or(after);
        if skip_digits(&mut rest) == 0 {
            return None;
        }
    }
    let value: f64 = if rest.is_empty() {
        text.parse().ok()?
    } else {
        return None;
    };
    value.is_finite().then_some(Scalar::Float(value))
}

fn skip_digits(rest: &mut &str) -> usize {
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let count = rest.len() - after.len();
    *rest = after;
    count
}

/// Base64 to text; each byte that is no UTF-8 becomes U+FFFD, as the reference's JSON writer does.
fn binary(text: &str) -> Result<String, String> {
    let compact: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let bytes = STANDARD
        .decode(compact)
        .map_err(|_| "the value of !!binary is not base64".to_owned())?;
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Ok(out)
}

/// The forms that the reference takes behind `!!timestamp`: `2006-1-2`, and with a time of day.
fn is_timestamp(text: &str) -> bool {
    let Some((date, time)) = (match text.find(['T', 't', ' ']) {
        Some(at) => text
            .get(..at)
            .zip(text.get(at..))
            .map(|(date, time)| (date, Some(time))),
        None => Some((text, None)),
    }) else {
        return false;
    };
    let mut parts = date.split('-');
    let mut part = |width: std::ops::RangeInclusive<usize>| -> Option<i16> {
        let text = parts.next()?;
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        (digits && width.contains(&text.len())).then(|| text.parse().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (part(4..=4), part(1..=2), part(1..=2)) else {
        return false;
    };
    let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) else {
        return false;
    };
    if parts.next().is_some() || jiff::civil::Date::new(year, month, day).is_err() {
        return false;
    }
    match time {
        None => true,
        Some(time) => is_time_of_day(time),
    }
}

fn is_time_of_day(time: &str) -> bool {
    let zoned = !time.starts_with(' ');
    let Some(time) = time.get(1..) else {
        return false;
    };
    let (clock, zone) = match time.find(['Z', '+', '-']) {
        Some(at) => (
            time.get(..at).unwrap_or_default(),
            time.get(at..).unwrap_or_default(),
        ),
        None => (time, ""),
    };
    let zone_fits = match (zoned, zone) {
        (false, zone) => zone.is_empty(),
        (true, "Z") => true,
        (true, zone) => zone.len() == 6 && clock_fits(zone.get(1..).unwrap_or_default(), &[24, 60]),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    zone_fits
        && !fraction.is_empty()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && clock_fits(clock, &[23, 59, 59])
}

fn clock_fits(clock: &str, limits: &[u32]) -> bool {
    let parts: Vec<&str> = clock.split(':').collect();
    parts.len() == limits.len()
        && parts.iter().zip(limits).all(|(part, limit)| {
            (1..=2).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_digit())
                && part.parse::<u32>().is_ok_and(|value| value <= *limit)
        })
}

/// A float key as text: Go's `%g` of the value in 32 bits, which is what becomes of `1.5: x`.
pub(super) fn float_key(value: f64) -> String {
    #[allow(clippy::cast_possible_truncation)] // as the reference converts
    let narrow = value as f32;
    if narrow.is_nan() {
        return ".nan".to_owned();
    }
    if narrow.is_infinite() {
        return if narrow > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{narrow:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.abs())
    } else {
        format!("{narrow}")
    }
}

/// At most 40 characters of a text, for messages.
pub(super) fn clip(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
