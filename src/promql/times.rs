//! Timestamps in little memory, and columns that grow without much slack.

use std::borrow::Cow;
use std::ops::Range;

/// Milliseconds in ascending order. Regular ones take no memory of their own, irregular ones four
/// bytes each while they span less than 49 days, eight beyond.
#[derive(Clone, Debug)]
pub(crate) enum Times {
    Regular { first: i64, step: i64, len: usize },
    Offsets { first: i64, offsets: Vec<u32> },
    Plain(Vec<i64>),
}

/// Times that were listed last: all series of a scrape have the same ones.
#[derive(Default)]
pub(crate) struct ListedTimes {
    /// First, step and number, if they are regular.
    regular: Option<(i64, i64, usize)>,
    times: Vec<i64>,
    place: Option<Place>,
}

/// Where times stand that lie between two.
#[derive(Clone, Copy)]
struct Place {
    after: i64,
    until: i64,
    /// Of the regular times that they are among.
    step: i64,
    last: i64,
    len: usize,
    /// So many are after the first of the two times.
    rest: usize,
    count: usize,
}

impl Place {
    /// Where they stand among other regular times, if they are the same ones there.
    #[inline]
    fn among(&self, step: i64, last: i64, len: usize) -> Option<Range<usize>> {
        let ends_alike = self.step == step && self.last == last;
        // Times that begin earlier or later are the same if both begin before the window.
        let is_same = ends_alike && (self.len == len || self.len.min(len) > self.rest);
        let low = len.wrapping_sub(self.rest);
        is_same.then(|| low..low.wrapping_add(self.count))
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::Regular {
            first: 0,
            step: 0,
            len: 0,
        }
    }
}

impl Times {
    pub fn len(&self) -> usize {
        match self {
            Self::Regular {
                first: _,
                step: _,
                len,
            } => *len,
            Self::Offsets { first: _, offsets } => offsets.len(),
            Self::Plain(times) => times.len(),
        }
    }

    pub fn last(&self) -> Option<i64> {
        match self {
            Self::Regular {
                first: _,
                step: _,
                len: 0,
            } => None,
            Self::Regular { first, step, len } => Some(nth(*first, *step, *len - 1)),
            Self::Offsets { first, offsets } => offsets.last().map(|o| first + i64::from(*o)),
            Self::Plain(times) => times.last().copied(),
        }
    }

    /// Appends the time if it is the next one of regular times. Otherwise nothing is done.
    #[inline]
    pub fn push_next(&mut self, time: i64) -> bool {
        let Self::Regular { first, step, len } = self else {
            return false;
        };
        let last = nth(*first, *step, len.wrapping_sub(1));
        let is_next = *step > 0 && time > last && time.wrapping_sub(last) == *step;
        *len += usize::from(is_next);
        is_next
    }

    /// Appends so many times from `start` on, `every` after the one before, if they go on regularly
    /// from those that are there. Otherwise nothing is done.
    pub fn push_run(&mut self, start: i64, every: i64, count: usize) -> bool {
        let Self::Regular { first, step, len } = self else {
            return false;
        };
        let goes_on = match *len {
            0 => true,
            1 => start.checked_sub(*first) == Some(every),
            _ => *step == every && nth(*first, *step, *len).wrapping_sub(start) == 0,
        };
        let is_run = goes_on && every > 0 && count > 1;
        if is_run {
            if *len == 0 {
                *first = start;
            }
            *step = every;
            *len += count;
        }
        is_run
    }

    /// Appends a time that is after all others.
    pub fn push(&mut self, time: i64) {
        match self {
            Self::Regular {
                first,
                step: _,
                len,
            } if *len == 0 => {
                *first = time;
                *len = 1;
                return;
            }
            Self::Regular { first, step, len } => {
                let expected = match *len {
                    1 => time.checked_sub(*first),
                    _ => i64::try_from(*len)
                        .ok()
                        .and_then(|len| step.checked_mul(len))
                        .and_then(|offset| first.checked_add(offset))
                        .and_then(|next| (next == time).then_some(*step)),
                };
                if let Some(expected) = expected {
                    *step = expected;
                    *len += 1;
                    return;
                }
            }
            Self::Offsets { first, offsets } => {
                if let Ok(offset) = offset_from(*first, time) {
                    push_tightly(offsets, offset);
                    return;
                }
            }
            Self::Plain(times) => {
                push_tightly(times, time);
                return;
            }
        }
        // It does not fit: change to the next wider form.
        let all = self.slice(0..self.len()).into_owned();
        let first = all.first().copied().unwrap_or(time);
        let offsets: Option<Vec<u32>> = all
            .iter()
            .chain(std::iter::once(&time))
            .map(|time| offset_from(first, *time).ok())
            .collect();
        *self = match offsets {
            Some(offsets) => Self::Offsets { first, offsets },
            None => {
                let mut times = all;
                push_tightly(&mut times, time);
                Self::Plain(times)
            }
        };
    }

    /// How many are at or before `time`.
    pub fn count_until(&self, time: i64) -> usize {
        match self {
            Self::Regular { first, step, len } => {
                if time < *first {
                    return 0;
                }
                let steps = time.abs_diff(*first) / step.unsigned_abs().max(1);
                usize::try_from(steps).map_or(*len, |steps| steps.saturating_add(1).min(*len))
            }
            Self::Offsets { first, offsets } => match offset_from(*first, time) {
                Ok(past) => offsets.partition_point(|offset| *offset <= past),
                Err(_) if time < *first => 0,
                Err(_) => offsets.len(),
            },
            Self::Plain(times) => times.partition_point(|t| *t <= time),
        }
    }

    /// The times at `range`, which has to lie within them.
    pub fn slice(&self, range: Range<usize>) -> Cow<'_, [i64]> {
        match self {
            Self::Regular {
                first,
                step,
                len: _,
            } => {
                let mut time = nth(*first, *step, range.start);
                let times = range.map(|_| {
                    let this = time;
                    time = time.wrapping_add(*step);
                    this
                });
                Cow::Owned(times.collect())
            }
            Self::Offsets { first, offsets } => {
                let offsets = offsets.get(range).unwrap_or_default();
                Cow::Owned(offsets.iter().map(|o| first + i64::from(*o)).collect())
            }
            Self::Plain(times) => Cow::Borrowed(times.get(range).unwrap_or_default()),
        }
    }

    /// The times after `after`, up to `until`, and where they stand. They are taken from `listed`
    /// where those of the series before were the same.
    #[inline(always)]
    pub fn between<'a>(
        &'a self,
        after: i64,
        until: i64,
        listed: &'a mut ListedTimes,
    ) -> (Range<usize>, &'a [i64]) {
        if let Self::Regular { first, step, len } = self {
            let last = nth(*first, *step, len.wrapping_sub(1));
            if let Some(place) = &listed.place
                && (place.after, place.until) == (after, until)
                && let Some(range) = place.among(*step, last, *len)
            {
                return (range, &listed.times);
            }
            // Many series end before.
            if last <= after || *len == 0 {
                return (*len..*len, &[]);
            }
        }
        self.list_between(after, until, listed)
    }

    fn list_between<'a>(
        &'a self,
        after: i64,
        until: i64,
        listed: &'a mut ListedTimes,
    ) -> (Range<usize>, &'a [i64]) {
        let low = self.count_until(after);
        let range = low..self.count_until(until).max(low);
        if range.is_empty() {
            return (range, &[]);
        }
        let regular = match self {
            Self::Regular { first, step, len } => {
                listed.place = Some(Place {
                    after,
                    until,
                    step: *step,
                    last: nth(*first, *step, len.wrapping_sub(1)),
                    len: *len,
                    rest: len.saturating_sub(low),
                    count: range.len(),
                });
                Some((nth(*first, *step, low), *step, range.len()))
            }
            Self::Offsets {
                first: _,
                offsets: _,
            } => {
                listed.place = None;
                None
            }
            Self::Plain(times) => {
                return (range.clone(), times.get(range).unwrap_or_default());
            }
        };
        if regular.is_none() || regular != listed.regular {
            listed.times = self.slice(range.clone()).into_owned();
            listed.regular = regular;
        }
        (range, &listed.times)
    }

    pub fn shrink_to_fit(&mut self) {
        match self {
            Self::Regular {
                first: _,
                step: _,
                len: _,
            } => {}
            Self::Offsets { first: _, offsets } => offsets.shrink_to_fit(),
            Self::Plain(times) => times.shrink_to_fit(),
        }
    }
}

fn offset_from(first: i64, time: i64) -> Result<u32, std::num::TryFromIntError> {
    u32::try_from(i128::from(time) - i128::from(first))
}

/// Times that were pushed do not overflow; others are not asked for.
fn nth(first: i64, step: i64, index: usize) -> i64 {
    first.wrapping_add(step.wrapping_mul(index as i64))
}

/// Appends with at most an eighth of a long column in reserve, where a `Vec` by itself may hold as
/// much again.
#[inline]
pub(crate) fn push_tightly<T>(column: &mut Vec<T>, item: T) {
    if column.len() == column.capacity() {
        grow_tightly(column);
    }
    column.push(item);
}

/// The same for several items.
#[inline]
pub(crate) fn extend_tightly<T>(column: &mut Vec<T>, items: impl ExactSizeIterator<Item = T>) {
    if column.len() + items.len() > column.capacity() {
        let length = column.len();
        column.reserve_exact(reserve_of(length).max(items.len()));
    }
    column.extend(items);
}

#[inline(never)]
fn grow_tightly<T>(column: &mut Vec<T>) {
    column.reserve_exact(reserve_of(column.len()));
}

fn reserve_of(length: usize) -> usize {
    match length {
        0 => 4,
        1..64 => length,
        _ => length / 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(times: &[i64]) -> Times {
        let mut packed = Times::default();
        times.iter().for_each(|time| packed.push(*time));
        packed
    }

    #[test]
    fn every_form_gives_back_what_was_pushed() {
        let regular: Vec<i64> = (0..50).map(|i| -40 + i * 15).collect();
        let gap: Vec<i64> = (0..50).map(|i| i * 15 + i64::from(i > 20)).collect();
        let jump = vec![-5, 0, 5, 10, 1 << 40, i64::MAX];
        let ends = vec![i64::MIN, 0, i64::MAX];
        for times in [vec![], vec![7], vec![7, 9], regular, gap, jump, ends] {
            let packed = packed(&times);
            assert_eq!(packed.len(), times.len());
            assert_eq!(packed.last(), times.last().copied());
            assert_eq!(*packed.slice(0..times.len()), *times);
            for at in times
                .iter()
                .flat_map(|t| [t.saturating_sub(1), *t, t.saturating_add(1)])
            {
                assert_eq!(
                    packed.count_until(at),
                    times.partition_point(|time| *time <= at)
                );
            }
        }
    }

    #[test]
    fn runs_go_on_regularly_or_not_at_all() {
        for (before, run, fits) in [
            (&[][..], (-7, 5, 3), true),
            (&[10], (15, 5, 2), true),
            (&[10], (16, 5, 2), false),
            (&[0, 5, 10], (15, 5, 4), true),
            (&[0, 5, 10], (20, 5, 2), false),
            (&[0, 5, 10], (15, 6, 2), false),
            (&[0, 5, 11], (16, 5, 2), false),
            (&[i64::MAX - 1], (i64::MAX, 1, 1), false),
        ] {
            let mut found = packed(before);
            let (start, every, count) = run;
            assert_eq!(
                found.push_run(start, every, count),
                fits,
                "{before:?} {run:?}"
            );
            let more = (0..count as i64).map(|i| start + i * every);
            let all: Vec<i64> = before
                .iter()
                .copied()
                .chain(more.filter(|_| fits))
                .collect();
            assert_eq!(*found.slice(0..found.len()), *all);
        }
    }

    #[test]
    fn regular_times_take_no_memory_and_others_little() {
        assert!(matches!(
            packed(&[0, 15, 30, 45]),
            Times::Regular { step: 15, .. }
        ));
        assert!(matches!(
            packed(&[0, 15, 30, 46, 60]),
            Times::Offsets { .. }
        ));
        assert!(matches!(packed(&[0, 15, i64::MAX]), Times::Plain(_)));
    }
}
