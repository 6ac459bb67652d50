//! Go's time layouts: `2006-01-02T15:04:05Z07:00` is both pattern and example.

use std::fmt::Write;
use std::sync::Arc;

use super::moment::{MONTHS, Moment, WEEKDAYS, Zone, is_day};
use super::quote::quote;

/// Go's `time.RFC3339`.
pub const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
/// Go's `time.RFC3339Nano`.
pub const RFC3339_NANO: &str = "2006-01-02T15:04:05.999999999Z07:00";
/// The layouts that `date()` tries in turn.
pub const DATE_LAYOUTS: [&str; 7] = [
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    RFC3339,
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    ZoneName,
    Offset(OffsetStyle),
    /// Digits after the separator, all of them.
    Fraction(usize),
    /// Digits after the separator, without trailing zeros.
    ShortFraction(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct OffsetStyle {
    /// `Z` stands for UTC.
    z: bool,
    colon: bool,
    minutes: bool,
    seconds: bool,
}

const OFFSETS: [(&str, OffsetStyle); 10] = [
    ("Z070000", offset(true, false, true, true)),
    ("Z07:00:00", offset(true, true, true, true)),
    ("Z0700", offset(true, false, true, false)),
    ("Z07:00", offset(true, true, true, false)),
    ("Z07", offset(true, false, false, false)),
    ("-070000", offset(false, false, true, true)),
    ("-07:00:00", offset(false, true, true, true)),
    ("-0700", offset(false, false, true, false)),
    ("-07:00", offset(false, true, true, false)),
    ("-07", offset(false, false, false, false)),
];

const fn offset(z: bool, colon: bool, minutes: bool, seconds: bool) -> OffsetStyle {
    OffsetStyle {
        z,
        colon,
        minutes,
        seconds,
    }
}

/// Literal text, an element as it is written, the rest.
type Split<'l> = (&'l [u8], Option<(Element, &'l [u8])>, &'l [u8]);

/// Splits at the first element.
fn split(layout: &[u8]) -> Split<'_> {
    for at in 0..layout.len() {
        let rest = &layout[at..];
        let found = |element, length: usize| {
            (
                &layout[..at],
                Some((element, &rest[..length])),
                &rest[length..],
            )
        };
        let lower_follows = |length: usize| rest.get(length).is_some_and(u8::is_ascii_lowercase);
        match rest[0] {
            b'J' if rest.starts_with(b"January") => return found(Element::LongMonth, 7),
            b'J' if rest.starts_with(b"Jan") && !lower_follows(3) => {
                return found(Element::Month, 3);
            }
            b'M' if rest.starts_with(b"Monday") => return found(Element::LongWeekday, 6),
            b'M' if rest.starts_with(b"Mon") && !lower_follows(3) => {
                return found(Element::Weekday, 3);
            }
            b'M' if rest.starts_with(b"MST") => return found(Element::ZoneName, 3),
            b'0' => match rest.get(1) {
                Some(b'0') if rest.get(2) == Some(&b'2') => {
                    return found(Element::ZeroYearDay, 3);
                }
                Some(b'1') => return found(Element::ZeroMonth, 2),
                Some(b'2') => return found(Element::ZeroDay, 2),
                Some(b'3') => return found(Element::ZeroHour12, 2),
                Some(b'4') => return found(Element::ZeroMinute, 2),
                Some(b'5') => return found(Element::ZeroSecond, 2),
                Some(b'6') => return found(Element::Year, 2),
                _ => {}
            },
            b'1' if rest.starts_with(b"15") => return found(Element::Hour, 2),
            b'1' => return found(Element::NumMonth, 1),
            b'2' if rest.starts_with(b"2006") => return found(Element::LongYear, 4),
            b'2' => return found(Element::Day, 1),
            b'_' if rest.starts_with(b"_2006") => {
                return (
                    &layout[..=at],
                    Some((Element::LongYear, &rest[1..5])),
                    &rest[5..],
                );
            }
            b'_' if rest.starts_with(b"_2") => return found(Element::UnderDay, 2),
            b'_' if rest.starts_with(b"__2") => return found(Element::UnderYearDay, 3),
            b'3' => return found(Element::Hour12, 1),
            b'4' => return found(Element::Minute, 1),
            b'5' => return found(Element::Second, 1),
            b'P' if rest.starts_with(b"PM") => return found(Element::UpperPm, 2),
            b'p' if rest.starts_with(b"pm") => return found(Element::LowerPm, 2),
            b'-' | b'Z' => {
                for (text, style) in OFFSETS {
                    if rest.starts_with(text.as_bytes()) {
                        return found(Element::Offset(style), text.len());
                    }
                }
            }
            b'.' | b',' => {
                if let Some(&digit @ (b'0' | b'9')) = rest.get(1) {
                    let digits = rest[1..].iter().take_while(|b| **b == digit).count();
                    if !rest.get(1 + digits).is_some_and(u8::is_ascii_digit) {
                        let element = if digit == b'0' {
                            Element::Fraction(digits)
                        } else {
                            Element::ShortFraction(digits)
                        };
                        return found(element, 1 + digits);
                    }
                }
            }
            _ => {}
        }
    }
    (layout, None, &[])
}

/// `moment` in a layout.
pub fn format(moment: &Moment, layout: &[u8]) -> Vec<u8> {
    let civil = moment.civil();
    let (offset, abbreviation, _) = moment.offset();
    let mut out = String::new();
    let mut bytes = Vec::new();
    let mut layout = layout;
    while !layout.is_empty() {
        let (literal, element, rest) = split(layout);
        bytes.extend_from_slice(literal);
        layout = rest;
        let Some((element, text)) = element else {
            break;
        };
        let hour12 = match civil.hour % 12 {
            0 => 12,
            hour => hour,
        };
        let month = usize::try_from(civil.month - 1).unwrap_or(0);
        let month = MONTHS.get(month).copied().unwrap_or("");
        let weekday = WEEKDAYS.get(usize::from(civil.weekday)).copied();
        let weekday = weekday.unwrap_or("");
        out.clear();
        // Writing to a String cannot fail.
        let _ = match element {
            Element::LongMonth => write!(out, "{month}"),
            Element::Month => write!(out, "{month:.3}"),
            Element::NumMonth => write!(out, "{}", civil.month),
            Element::ZeroMonth => write!(out, "{:02}", civil.month),
            Element::LongWeekday => write!(out, "{weekday}"),
            Element::Weekday => write!(out, "{weekday:.3}"),
            Element::Day => write!(out, "{}", civil.day),
            Element::UnderDay => write!(out, "{:2}", civil.day),
            Element::ZeroDay => write!(out, "{:02}", civil.day),
            Element::UnderYearDay => write!(out, "{:3}", civil.year_day),
            Element::ZeroYearDay => write!(out, "{:03}", civil.year_day),
            Element::Hour => write!(out, "{:02}", civil.hour),
            Element::Hour12 => write!(out, "{hour12}"),
            Element::ZeroHour12 => write!(out, "{hour12:02}"),
            Element::Minute => write!(out, "{}", civil.minute),
            Element::ZeroMinute => write!(out, "{:02}", civil.minute),
            Element::Second => write!(out, "{}", civil.second),
            Element::ZeroSecond => write!(out, "{:02}", civil.second),
            Element::LongYear if civil.year < 0 => write!(out, "-{:04}", -civil.year),
            Element::LongYear => write!(out, "{:04}", civil.year),
            Element::Year => write!(out, "{:02}", civil.year.abs() % 100),
            Element::UpperPm => write!(out, "{}", if civil.hour >= 12 { "PM" } else { "AM" }),
            Element::LowerPm => write!(out, "{}", if civil.hour >= 12 { "pm" } else { "am" }),
            Element::ZoneName if abbreviation.is_empty() => {
                let minutes = offset / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                let minutes = minutes.abs();
                write!(out, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
            }
            Element::ZoneName => write!(out, "{abbreviation}"),
            Element::Offset(style) if style.z && offset == 0 => write!(out, "Z"),
            Element::Offset(style) => {
                write_offset(&mut out, offset, style);
                Ok(())
            }
            Element::Fraction(digits) => {
                let separator = text.first().map_or('.', |b| char::from(*b));
                let fraction = format!("{:09}", moment.nanos());
                let fraction = fraction.get(..digits.min(9)).unwrap_or("");
                write!(out, "{separator}{fraction}")
            }
            Element::ShortFraction(digits) => {
                let separator = text.first().map_or('.', |b| char::from(*b));
                let fraction = format!("{:09}", moment.nanos());
                let fraction = fraction.get(..digits.min(9)).unwrap_or("");
                match fraction.trim_end_matches('0') {
                    "" => Ok(()),
                    fraction => write!(out, "{separator}{fraction}"),
                }
            }
        };
        bytes.extend_from_slice(out.as_bytes());
    }
    bytes
}

fn write_offset(out: &mut String, offset: i64, style: OffsetStyle) {
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.abs();
    let colon = if style.colon { ":" } else { "" };
    let _ = write!(out, "{sign}{:02}", offset / 3600);
    if style.minutes {
        let _ = write!(out, "{colon}{:02}", offset / 60 % 60);
    }
    if style.seconds {
        let _ = write!(out, "{colon}{:02}", offset % 60);
    }
}

/// What was read before it is put together.
#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: u32,
    am: bool,
    pm: bool,
    utc: bool,
    offset: Option<i64>,
    zone_name: Option<String>,
}

enum Failure {
    Syntax,
    OutOfRange(&'static str),
}

/// Reads `value` in `layout`; times without a zone are in `zone`, UTC if there is none.
///
/// # Errors
/// Values that do not fit the layout.
pub fn parse(layout: &[u8], value: &[u8], zone: Option<&Zone>) -> Result<Moment, String> {
    let whole_value = value;
    let whole_layout = layout;
    let fail = |failure: Failure, rest: &[u8], element: &[u8]| match failure {
        Failure::Syntax => format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quote(whole_value),
            quote(whole_layout),
            quote(rest),
            quote(element)
        ),
        Failure::OutOfRange(what) => {
            format!("parsing time {}: {what} out of range", quote(whole_value))
        }
    };
    let mut fields = Fields::default();
    let mut layout = layout;
    let mut value = value;
    loop {
        let (literal, element, rest) = split(layout);
        let before = value;
        value = skip(value, literal).ok_or_else(|| fail(Failure::Syntax, before, literal))?;
        let Some((element, text)) = element else {
            if !value.is_empty() {
                return Err(format!(
                    "parsing time {}: extra text: {}",
                    quote(whole_value),
                    quote(value)
                ));
            }
            break;
        };
        layout = rest;
        let hold = value;
        value = fields
            .read(element, value, layout)
            .map_err(|failure| fail(failure, hold, text))?;
    }
    fields
        .assemble(zone)
        .map_err(|failure| fail(failure, whole_value, whole_layout))
}

/// Removes a literal; spaces match any number of spaces.
fn skip<'v>(mut value: &'v [u8], mut literal: &[u8]) -> Option<&'v [u8]> {
    while let Some(first) = literal.first() {
        if *first == b' ' {
            if value.first().is_some_and(|b| *b != b' ') {
                return None;
            }
            literal = trim_spaces(literal);
            value = trim_spaces(value);
            continue;
        }
        value = value.strip_prefix(std::slice::from_ref(first))?;
        literal = &literal[1..];
    }
    Some(value)
}

fn trim_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|b| **b == b' ').count();
    &text[spaces..]
}

/// One or two digits, exactly two if `fixed`.
fn number(value: &[u8], fixed: bool) -> Result<(i64, &[u8]), Failure> {
    match value {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', rest @ ..] => {
            Ok((i64::from(a - b'0') * 10 + i64::from(b - b'0'), rest))
        }
        [a @ b'0'..=b'9', rest @ ..] if !fixed => Ok((i64::from(a - b'0'), rest)),
        _ => Err(Failure::Syntax),
    }
}

/// `count` digits.
fn digits(value: &[u8], count: usize) -> Result<(i64, &[u8]), Failure> {
    let (head, rest) = value.split_at_checked(count).ok_or(Failure::Syntax)?;
    let mut number = 0;
    for byte in head {
        if !byte.is_ascii_digit() {
            return Err(Failure::Syntax);
        }
        number = number * 10 + i64::from(byte - b'0');
    }
    Ok((number, rest))
}

fn name<'v>(names: &[&str], length: Option<usize>, value: &'v [u8]) -> Option<(i64, &'v [u8])> {
    for (i, name) in names.iter().enumerate() {
        let name = &name.as_bytes()[..length.unwrap_or(name.len()).min(name.len())];
        if let Some((head, rest)) = value.split_at_checked(name.len())
            && head.eq_ignore_ascii_case(name)
        {
            return Some((i64::try_from(i).unwrap_or(0), rest));
        }
    }
    None
}

/// The first `count` bytes after the separator as nanoseconds.
fn nanoseconds(value: &[u8], count: usize) -> Result<(u32, &[u8]), Failure> {
    let (head, rest) = value.split_at_checked(1 + count).ok_or(Failure::Syntax)?;
    if !matches!(head.first(), Some(b'.' | b',')) {
        return Err(Failure::Syntax);
    }
    let mut nanos = 0;
    for place in 0..9 {
        let digit = match head.get(1 + place) {
            Some(b) if b.is_ascii_digit() => u32::from(b - b'0'),
            Some(_) => return Err(Failure::Syntax),
            None => 0,
        };
        nanos = nanos * 10 + digit;
    }
    if head.iter().skip(10).any(|b| !b.is_ascii_digit()) {
        return Err(Failure::Syntax);
    }
    Ok((nanos, rest))
}

fn fraction_length(value: &[u8]) -> usize {
    match value {
        [b'.' | b',', rest @ ..] => rest.iter().take_while(|b| b.is_ascii_digit()).count(),
        _ => 0,
    }
}

impl Fields {
    fn read<'v>(
        &mut self,
        element: Element,
        value: &'v [u8],
        layout: &[u8],
    ) -> Result<&'v [u8], Failure> {
        match element {
            Element::Year => {
                let (year, rest) = digits(value, 2)?;
                self.year = if year >= 69 { 1900 } else { 2000 } + year;
                Ok(rest)
            }
            Element::LongYear => {
                let (year, rest) = digits(value, 4)?;
                self.year = year;
                Ok(rest)
            }
            Element::LongMonth | Element::Month => {
                let length = (element == Element::Month).then_some(3);
                let (month, rest) = name(&MONTHS, length, value).ok_or(Failure::Syntax)?;
                self.month = Some(month + 1);
                Ok(rest)
            }
            Element::NumMonth | Element::ZeroMonth => {
                let (month, rest) = number(value, element == Element::ZeroMonth)?;
                if !(1..=12).contains(&month) {
                    return Err(Failure::OutOfRange("month"));
                }
                self.month = Some(month);
                Ok(rest)
            }
            Element::LongWeekday | Element::Weekday => {
                let length = (element == Element::Weekday).then_some(3);
                let (_, rest) = name(&WEEKDAYS, length, value).ok_or(Failure::Syntax)?;
                Ok(rest)
            }
            Element::Day | Element::UnderDay | Element::ZeroDay => {
                let value = match value {
                    [b' ', rest @ ..] if element == Element::UnderDay => rest,
                    other => other,
                };
                let (day, rest) = number(value, element == Element::ZeroDay)?;
                self.day = Some(day);
                Ok(rest)
            }
            Element::UnderYearDay | Element::ZeroYearDay => {
                let mut value = value;
                let mut spaces = 0;
                while element == Element::UnderYearDay && spaces < 2 && value.first() == Some(&b' ')
                {
                    value = &value[1..];
                    spaces += 1;
                }
                let fixed = element == Element::ZeroYearDay;
                let available = value.iter().take_while(|b| b.is_ascii_digit()).count();
                let count = available.min(3);
                if count == 0 || (fixed && count < 3) {
                    return Err(Failure::Syntax);
                }
                let (day, rest) = digits(value, count)?;
                self.year_day = Some(day);
                Ok(rest)
            }
            Element::Hour => {
                let (hour, rest) = number(value, false)?;
                if hour >= 24 {
                    return Err(Failure::OutOfRange("hour"));
                }
                self.hour = hour;
                Ok(rest)
            }
            Element::Hour12 | Element::ZeroHour12 => {
                let (hour, rest) = number(value, element == Element::ZeroHour12)?;
                if hour > 12 {
                    return Err(Failure::OutOfRange("hour"));
                }
                self.hour = hour;
                Ok(rest)
            }
            Element::Minute | Element::ZeroMinute => {
                let (minute, rest) = number(value, element == Element::ZeroMinute)?;
                if minute >= 60 {
                    return Err(Failure::OutOfRange("minute"));
                }
                self.minute = minute;
                Ok(rest)
            }
            Element::Second | Element::ZeroSecond => {
                let (second, rest) = number(value, element == Element::ZeroSecond)?;
                if second >= 60 {
                    return Err(Failure::OutOfRange("second"));
                }
                self.second = second;
                // A fraction may follow even if the layout does not say so.
                let length = fraction_length(rest);
                let announced = matches!(
                    split(layout).1,
                    Some((Element::Fraction(_) | Element::ShortFraction(_), _))
                );
                if length == 0 || announced {
                    return Ok(rest);
                }
                let (nanos, rest) = nanoseconds(rest, length)?;
                self.nanos = nanos;
                Ok(rest)
            }
            Element::UpperPm | Element::LowerPm => {
                let (head, rest) = value.split_at_checked(2).ok_or(Failure::Syntax)?;
                match (element, head) {
                    (Element::UpperPm, b"PM") | (Element::LowerPm, b"pm") => self.pm = true,
                    (Element::UpperPm, b"AM") | (Element::LowerPm, b"am") => self.am = true,
                    _ => return Err(Failure::Syntax),
                }
                Ok(rest)
            }
            Element::Offset(style) => self.read_offset(style, value),
            Element::ZoneName => {
                if let Some(rest) = value.strip_prefix(b"UTC") {
                    self.utc = true;
                    return Ok(rest);
                }
                let length = zone_name_length(value).ok_or(Failure::Syntax)?;
                let (head, rest) = value.split_at_checked(length).ok_or(Failure::Syntax)?;
                self.zone_name = Some(String::from_utf8_lossy(head).into_owned());
                Ok(rest)
            }
            Element::Fraction(digits) => {
                let (nanos, rest) = nanoseconds(value, digits)?;
                self.nanos = nanos;
                Ok(rest)
            }
            Element::ShortFraction(_) => match fraction_length(value) {
                0 => Ok(value),
                length => {
                    let (nanos, rest) = nanoseconds(value, length.min(9))?;
                    self.nanos = nanos;
                    Ok(rest)
                }
            },
        }
    }

    fn read_offset<'v>(
        &mut self,
        style: OffsetStyle,
        value: &'v [u8],
    ) -> Result<&'v [u8], Failure> {
        if style.z
            && let Some(rest) = value.strip_prefix(b"Z")
        {
            self.utc = true;
            return Ok(rest);
        }
        let (sign, rest) = match value {
            [b'+', rest @ ..] => (1, rest),
            [b'-', rest @ ..] => (-1, rest),
            _ => return Err(Failure::Syntax),
        };
        let part = |rest: &'v [u8]| -> Result<(i64, &'v [u8]), Failure> {
            let rest = if style.colon {
                rest.strip_prefix(b":").ok_or(Failure::Syntax)?
            } else {
                rest
            };
            digits(rest, 2)
        };
        let (hours, mut rest) = digits(rest, 2)?;
        let (mut minutes, mut seconds) = (0, 0);
        if style.minutes {
            (minutes, rest) = part(rest)?;
        }
        if style.seconds {
            (seconds, rest) = part(rest)?;
        }
        if hours > 24 {
            return Err(Failure::OutOfRange("time zone offset hour"));
        }
        if minutes > 60 {
            return Err(Failure::OutOfRange("time zone offset minute"));
        }
        if seconds > 60 {
            return Err(Failure::OutOfRange("time zone offset second"));
        }
        self.offset = Some(sign * (hours * 3600 + minutes * 60 + seconds));
        Ok(rest)
    }

    fn assemble(self, zone: Option<&Zone>) -> Result<Moment, Failure> {
        let hour = match self.hour {
            hour if self.pm && hour < 12 => hour + 12,
            12 if self.am => 0,
            hour => hour,
        };
        let (month, day) = match self.year_day {
            Some(year_day) => self.month_and_day(year_day)?,
            None => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        if day < 1 || !is_day(self.year, month, day) {
            return Err(Failure::OutOfRange("day"));
        }
        let at = |zone: Zone| {
            Moment::from_civil(
                (self.year, month, day),
                (hour, self.minute, self.second),
                self.nanos,
                zone,
            )
            .ok_or(Failure::OutOfRange("year"))
        };
        let default = zone.cloned().unwrap_or(Zone::Utc);
        // Where offsets and abbreviations are looked up.
        let local = zone.cloned().unwrap_or(Zone::Local);
        if self.utc {
            return at(Zone::Utc);
        }
        if let Some(offset) = self.offset {
            let name = self.zone_name.clone().unwrap_or_default();
            let told = at(Zone::Fixed(Arc::from(name.as_str()), offset))?;
            let (local_offset, local_name, _) = local.at(told.seconds());
            if local_offset == offset && (name.is_empty() || name == local_name) {
                return Ok(told.in_zone(local));
            }
            return Ok(told);
        }
        if let Some(name) = &self.zone_name {
            let told = at(local.clone())?;
            if told.offset().1 == *name {
                return Ok(told);
            }
            let hours = name.strip_prefix("GMT").and_then(|h| h.parse::<i64>().ok());
            let offset = hours.unwrap_or(0) * 3600;
            // Go keeps the clock as UTC and only labels it.
            let utc = at(Zone::Utc)?;
            return Ok(utc.in_zone(Zone::Fixed(Arc::from(name.as_str()), offset)));
        }
        at(default)
    }

    fn month_and_day(&self, year_day: i64) -> Result<(i64, i64), Failure> {
        let days = if is_day(self.year, 2, 29) { 366 } else { 365 };
        if !(1..=days).contains(&year_day) {
            return Err(Failure::OutOfRange("day-of-year"));
        }
        let civil = Moment::from_civil((self.year, 1, year_day), (0, 0, 0), 0, Zone::Utc)
            .ok_or(Failure::OutOfRange("year"))?
            .civil();
        if self.month.is_some_and(|month| month != civil.month)
            || self.day.is_some_and(|day| day != civil.day)
        {
            return Err(Failure::OutOfRange("day-of-year does not match month"));
        }
        Ok((civil.month, civil.day))
    }
}

/// How long the zone abbreviation at the start is.
fn zone_name_length(value: &[u8]) -> Option<usize> {
    if value.len() < 3 {
        return None;
    }
    if value.starts_with(b"ChST") || value.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = value.strip_prefix(b"GMT") {
        return Some(3 + signed_hours_length(rest));
    }
    if matches!(value.first(), Some(b'+' | b'-')) {
        return match signed_hours_length(value) {
            0 => None,
            length => Some(length),
        };
    }
    let upper = value.iter().take(6).take_while(|b| b.is_ascii_uppercase());
    match upper.count() {
        5 if value.get(4) == Some(&b'T') => Some(5),
        4 if value.get(3) == Some(&b'T') || value.starts_with(b"WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}

/// The length of `+h` or `-hh` with at most 23 hours, 0 if there is none.
fn signed_hours_length(value: &[u8]) -> usize {
    let [b'+' | b'-', rest @ ..] = value else {
        return 0;
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let text = std::str::from_utf8(&rest[..digits]).unwrap_or("");
    match text.parse::<u32>() {
        Ok(hours) if hours <= 23 => 1 + digits,
        _ => 0,
    }
}
