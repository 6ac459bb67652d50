//! Go's `time.Time` and `*time.Location`: an instant together with the zone it is told in.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::time::Duration;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
/// Seconds from 0001-01-01T00:00:00Z, Go's zero time, to the epoch.
const SECONDS_BEFORE_EPOCH: i64 = 62_135_596_800;
/// Instants farther away than this many seconds are refused; about 30 million years.
const MAX_SECONDS: i64 = 1 << 50;

pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A time zone.
#[derive(Clone, Debug)]
pub enum Zone {
    Utc,
    /// The zone of the machine, which is UTC: nothing here depends on the machine.
    Local,
    /// A name and seconds east of UTC, as written in a time.
    Fixed(Arc<str>, i64),
    /// An entry of the time zone database.
    Named(Arc<str>, TimeZone),
}

impl Zone {
    /// The zone that Go's `time.LoadLocation` finds.
    ///
    /// # Errors
    /// Names outside of the bundled IANA database.
    pub fn load(name: &str) -> Result<Self, String> {
        match name {
            "" | "UTC" => return Ok(Self::Utc),
            "Local" => return Ok(Self::Local),
            _ => {}
        }
        if name.contains("..") || name.starts_with(['/', '\\']) || name.contains('\\') {
            return Err("time: invalid location name".to_owned());
        }
        // The database ignores case, Go's does not.
        match TimeZoneDatabase::bundled().get(name) {
            Ok(zone) if zone.iana_name() == Some(name) => Ok(Self::Named(Arc::from(name), zone)),
            Ok(_) | Err(_) => Err(format!("unknown time zone {name}")),
        }
    }

    /// The name of the zone.
    pub fn name(&self) -> &str {
        match self {
            Self::Utc => "UTC",
            Self::Local => "Local",
            Self::Fixed(name, _) | Self::Named(name, _) => name,
        }
    }

    /// Seconds east of UTC, abbreviation and daylight saving at `seconds` since the epoch.
    pub fn at(&self, seconds: i64) -> (i64, String, bool) {
        match self {
            Self::Utc | Self::Local => (0, "UTC".to_owned(), false),
            Self::Fixed(name, offset) => (*offset, name.to_string(), false),
            Self::Named(_, zone) => {
                let seconds = seconds.clamp(
                    jiff::Timestamp::MIN.as_second(),
                    jiff::Timestamp::MAX.as_second(),
                );
                let instant = jiff::Timestamp::from_second(seconds).unwrap_or_default();
                let info = zone.to_offset_info(instant);
                (
                    i64::from(info.offset().seconds()),
                    info.abbreviation().to_owned(),
                    info.dst().is_dst(),
                )
            }
        }
    }

    /// The offset that local time `seconds` (counted as if it were UTC) has in this zone.
    fn offset_of_local(&self, seconds: i64) -> i64 {
        match self.at(seconds).0 {
            0 => 0,
            offset => self.at(seconds - offset).0,
        }
    }

    fn rank(&self) -> (u8, &str, i64) {
        match self {
            Self::Utc => (0, "", 0),
            Self::Local => (1, "", 0),
            Self::Fixed(name, offset) => (2, name, *offset),
            Self::Named(name, _) => (3, name, 0),
        }
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Zone {}

impl PartialOrd for Zone {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Zone {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

/// An instant in a zone. Comparison by `==` includes the zone; see [`Moment::instant`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    seconds: i64,
    nanos: u32,
    zone: Zone,
}

/// A moment on the calendar and the clock of its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    /// 0 is Sunday.
    pub weekday: u8,
    /// 1 to 366.
    pub year_day: i64,
}

impl Moment {
    /// An instant in UTC; `None` if it is out of range.
    pub fn from_instant(nanos: i128, zone: Zone) -> Option<Self> {
        let seconds = i64::try_from(nanos.div_euclid(NANOS_PER_SECOND)).ok()?;
        let nanos = u32::try_from(nanos.rem_euclid(NANOS_PER_SECOND)).ok()?;
        (seconds.abs() <= MAX_SECONDS).then_some(Self {
            seconds,
            nanos,
            zone,
        })
    }

    /// Calendar and clock in `zone`, normalized: day 0 is the last of the month before.
    /// `None` if it is out of range.
    pub fn from_civil(
        (year, month, day): (i64, i64, i64),
        (hour, minute, second): (i64, i64, i64),
        nanos: u32,
        zone: Zone,
    ) -> Option<Self> {
        let local = civil_seconds((year, month, day), (hour, minute, second))?;
        if local.abs() > MAX_SECONDS {
            return None;
        }
        Some(Self {
            seconds: local - zone.offset_of_local(local),
            nanos,
            zone,
        })
    }

    /// Nanoseconds since the epoch.
    pub fn instant(&self) -> i128 {
        i128::from(self.seconds) * NANOS_PER_SECOND + i128::from(self.nanos)
    }

    /// Seconds since the epoch, rounded towards the past.
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds within the second.
    pub fn nanos(&self) -> u32 {
        self.nanos
    }

    /// The zone the time is told in.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Seconds east of UTC, abbreviation and daylight saving.
    pub fn offset(&self) -> (i64, String, bool) {
        self.zone.at(self.seconds)
    }

    /// The same instant told in `zone`.
    pub fn in_zone(&self, zone: Zone) -> Self {
        Self {
            zone,
            ..self.clone()
        }
    }

    /// `self + duration`; `None` if it is out of range.
    pub fn add(&self, duration: Duration) -> Option<Self> {
        let nanos = self.instant() + i128::from(duration.as_nanos());
        Self::from_instant(nanos, self.zone.clone())
    }

    /// Time from `earlier` to `self`; saturates.
    pub fn since(&self, earlier: &Self) -> Duration {
        let nanos = self.instant() - earlier.instant();
        let limits = i128::from(i64::MIN)..=i128::from(i64::MAX);
        let nanos = nanos.clamp(*limits.start(), *limits.end());
        Duration::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// Adds to the calendar date, keeping the clock; `None` if it is out of range.
    pub fn add_date(&self, years: i64, months: i64, days: i64) -> Option<Self> {
        let civil = self.civil();
        Self::from_civil(
            (
                civil.year.checked_add(years)?,
                civil.month.checked_add(months)?,
                civil.day.checked_add(days)?,
            ),
            (civil.hour, civil.minute, civil.second),
            self.nanos,
            self.zone.clone(),
        )
    }

    /// Rounded down to a multiple of `step` since the zero time.
    pub fn truncate(&self, step: Duration) -> Option<Self> {
        Self::from_instant(self.instant() - self.remainder(step), self.zone.clone())
    }

    /// Rounded to the nearest multiple of `step` since the zero time, half up.
    pub fn round(&self, step: Duration) -> Option<Self> {
        let rest = self.remainder(step);
        let up = rest > 0 && rest * 2 >= i128::from(step.as_nanos());
        let nanos = self.instant() - rest;
        let nanos = if up {
            nanos + i128::from(step.as_nanos())
        } else {
            nanos
        };
        Self::from_instant(nanos, self.zone.clone())
    }

    fn remainder(&self, step: Duration) -> i128 {
        let step = i128::from(step.as_nanos());
        if step <= 0 {
            return 0;
        }
        let since_zero = self.instant() + i128::from(SECONDS_BEFORE_EPOCH) * NANOS_PER_SECOND;
        since_zero.rem_euclid(step)
    }

    /// Whether this is Go's zero time.
    pub fn is_zero(&self) -> bool {
        self.seconds == -SECONDS_BEFORE_EPOCH && self.nanos == 0
    }

    /// Calendar and clock.
    pub fn civil(&self) -> Civil {
        let local = self.seconds + self.offset().0;
        let days = local.div_euclid(86_400);
        let clock = local.rem_euclid(86_400);
        let (year, month, day) = civil_from_days(days);
        Civil {
            year,
            month,
            day,
            hour: clock / 3600,
            minute: clock / 60 % 60,
            second: clock % 60,
            weekday: u8::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
            year_day: days - days_from_civil(year, 1, 1) + 1,
        }
    }

    /// The ISO 8601 year and week.
    pub fn iso_week(&self) -> (i64, i64) {
        let civil = self.civil();
        let days = days_from_civil(civil.year, civil.month, civil.day);
        let monday_based = (i64::from(civil.weekday) + 6) % 7;
        let (year, _, _) = civil_from_days(days - monday_based + 3);
        let first = days_from_civil(year, 1, 1);
        (year, (days - monday_based + 3 - first) / 7 + 1)
    }
}

/// Whether `day` exists in that month.
pub fn is_day(year: i64, month: i64, day: i64) -> bool {
    civil_from_days(days_from_civil(year, month, day)) == (year, month, day)
}

fn civil_seconds(
    (year, month, day): (i64, i64, i64),
    (hour, minute, second): (i64, i64, i64),
) -> Option<i64> {
    let months = year.checked_mul(12)?.checked_add(month.checked_sub(1)?)?;
    let year = months.div_euclid(12);
    if year.abs() > 1 << 40 {
        return None;
    }
    let days = days_from_civil(year, months.rem_euclid(12) + 1, 1).checked_add(day - 1)?;
    days.checked_mul(86_400)?
        .checked_add(hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, by eras of 400 years.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
