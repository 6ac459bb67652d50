//! Calendar functions over seconds since the epoch, UTC.

use super::FunctionId;

/// Seconds from the start of the proleptic calendar's first full cycle that Go counts from.
const EPOCH_OFFSET_SECONDS: u64 = 9_223_371_966_579_724_800;
const SECONDS_PER_DAY: u64 = 86_400;

/// A moment in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    /// Days since the epoch.
    days: i128,
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_before_month(year: i64, month: u32) -> u32 {
    const BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let before = BEFORE.get(month as usize - 1).copied().unwrap_or(0);
    before + u32::from(month > 2 && is_leap(year))
}

impl Civil {
    /// The time wraps as Go's does far outside the years people use.
    pub fn from_unix(seconds: i64) -> Self {
        let absolute = (seconds as u64).wrapping_add(EPOCH_OFFSET_SECONDS);
        let days = i128::from(absolute / SECONDS_PER_DAY)
            - i128::from(EPOCH_OFFSET_SECONDS / SECONDS_PER_DAY);
        let second_of_day = (absolute % SECONDS_PER_DAY) as u32;
        // Days from 1 March of year 0, so that a leap day ends its year.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * march_month + 2) / 5 + 1) as u32;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        } as u32;
        let year = (year_of_era + era * 400) as i64 + i64::from(month <= 2);
        Self {
            year,
            month,
            day,
            hour: second_of_day / 3600,
            minute: second_of_day / 60 % 60,
            second: second_of_day % 60,
            days,
        }
    }

    fn day_of_year(self) -> u32 {
        days_before_month(self.year, self.month) + self.day
    }

    fn days_in_month(self) -> u32 {
        match self.month {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u32::from(is_leap(self.year)),
            _ => 31,
        }
    }
}

/// `1970-01-01T00:05:00Z`.
pub fn rfc3339(seconds: i64) -> String {
    let t = Civil::from_unix(seconds);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        t.year, t.month, t.day, t.hour, t.minute, t.second
    )
}

/// The part of a date that the function names; `None` for other functions.
pub fn part(function: FunctionId, unix_seconds: f64) -> Option<f64> {
    // What does not fit becomes the smallest integer, as on the reference's platform.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&unix_seconds);
    let t = Civil::from_unix(if fits { unix_seconds as i64 } else { i64::MIN });
    Some(match function {
        FunctionId::DayOfMonth => f64::from(t.day),
        FunctionId::DayOfWeek => (t.days + 4).rem_euclid(7) as f64,
        FunctionId::DayOfYear => f64::from(t.day_of_year()),
        FunctionId::DaysInMonth => f64::from(t.days_in_month()),
        FunctionId::Hour => f64::from(t.hour),
        FunctionId::Minute => f64::from(t.minute),
        FunctionId::Month => f64::from(t.month),
        FunctionId::Year => t.year as f64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
        assert_eq!(part(FunctionId::DayOfWeek, 0.0), Some(4.0));
        assert_eq!(part(FunctionId::DayOfYear, 1_709_164_800.0), Some(60.0));
        assert_eq!(part(FunctionId::DaysInMonth, 1_709_164_800.0), Some(29.0));
    }
}
