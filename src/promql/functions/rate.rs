//! Rates, increases and differences: extrapolated to the window, anchored or smoothed at its
//! borders, or between the last two samples.

use crate::promql::annotations::{Annotations, Note, Operation};
use crate::promql::ast::{Extension, Span};
use crate::promql::eval::{FloatPoint, RangeCall, RangeValue, Window};
use crate::promql::functions::FunctionId;
use crate::promql::histogram::{Histogram, IncompatibleSchemas, ResetHint};
use crate::promql::series::HistogramSample;

/// Whether a start timestamp tells of a reset between two samples.
pub(crate) fn start_shows_reset(previous: (i64, i64), current: (i64, i64)) -> bool {
    let ((previous_start, previous_time), (start, time)) = (previous, current);
    if start == 0 || start >= time || start < previous_time {
        return false;
    }
    if start > previous_time {
        return true;
    }
    // It points at the previous sample: a reset if that one's own start is known, as in a series
    // of deltas; not for a cumulative series whose start is unknown.
    previous_start <= previous_time && previous_start != 0 && previous_start != previous_time
}

fn starts_overlap(previous: (i64, i64), start: i64) -> bool {
    let (previous_start, previous_time) = previous;
    start != 0 && start < previous_time && start != previous_start
}

/// The value at `time` on the line between two points. A counter that fell began again at 0.
pub(crate) fn interpolate(from: (i64, f64), to: (i64, f64), time: i64, is_counter: bool) -> f64 {
    let start = if is_counter && to.1 < from.1 {
        0.0
    } else {
        from.1
    };
    start + (to.1 - start) * ((time - from.0) as f64) / ((to.0 - from.0) as f64)
}

/// As [`interpolate`], for histograms.
pub(crate) fn interpolate_histograms(
    from: (i64, &Histogram),
    to: (i64, &Histogram),
    time: i64,
    is_counter: bool,
    annotations: &mut Annotations,
    span: Span,
) -> Result<Histogram, IncompatibleSchemas> {
    if time == from.0 {
        return Ok(from.1.clone());
    }
    if time == to.0 {
        return Ok(to.1.clone());
    }
    let fraction = (time - from.0) as f64 / (to.0 - from.0) as f64;
    let mut result = to.1.clone();
    if is_counter && to.1.detect_reset(from.1) {
        result.scale_by(fraction);
        return Ok(result);
    }
    if result.subtract(from.1)?.bounds_reconciled {
        annotations.add(Note::MismatchedCustomBuckets(Operation::Subtraction), span);
    }
    result.scale_by(fraction);
    if result.add(from.1)?.bounds_reconciled {
        annotations.add(Note::MismatchedCustomBuckets(Operation::Addition), span);
    }
    Ok(result)
}

/// First and last sample that matter for an extended window; `None` if none does.
fn extended_indices(
    count: usize,
    time: impl Fn(usize) -> i64,
    start: i64,
    end: i64,
    smoothed: bool,
) -> Option<(usize, usize)> {
    let search =
        |last: usize, found: &dyn Fn(usize) -> bool| (0..last).find(|i| found(*i)).unwrap_or(last);
    let mut last = count.checked_sub(1)?;
    let first = search(last, &|i| time(i) > start).saturating_sub(1);
    if smoothed {
        last = search(last, &|i| time(i) >= end);
    }
    if time(last) <= start || (smoothed && time(first) > end) {
        return None;
    }
    Some((first, last))
}

struct Extended {
    first: usize,
    last: usize,
    left: f64,
    right: f64,
}

fn extend_floats(
    times: &[i64],
    values: &[f64],
    start: i64,
    end: i64,
    smoothed: bool,
    is_counter: bool,
) -> Option<Extended> {
    let (first, last) = extended_indices(times.len(), |i| times[i], start, end, smoothed)?;
    let point = |i: usize| (times[i], values[i]);
    let left = if smoothed && times[first] < start && first + 1 < times.len() {
        interpolate(point(first), point(first + 1), start, is_counter)
    } else {
        values[first]
    };
    let right = if smoothed && last > 0 && times[last] > end {
        interpolate(point(last - 1), point(last), end, is_counter)
    } else {
        values[last]
    };
    Some(Extended {
        first,
        last,
        left,
        right,
    })
}

/// The samples strictly inside the window, between the extended indices.
fn inside(extended: &Extended, times: &[i64], start: i64, end: i64) -> std::ops::Range<usize> {
    let first = extended.first + usize::from(times[extended.first] <= start);
    let until = extended.last + usize::from(times[extended.last] < end);
    first..until.max(first)
}

/// An anchored or smoothed range vector: a point at each border and the samples between.
pub(crate) fn extended_points(
    times: &[i64],
    values: &[f64],
    start: i64,
    end: i64,
    extension: Extension,
) -> Vec<FloatPoint> {
    let smoothed = extension == Extension::Smoothed;
    let Some(extended) = extend_floats(times, values, start, end, smoothed, false) else {
        return Vec::new();
    };
    let mut out = vec![FloatPoint {
        time: start,
        value: extended.left,
    }];
    for i in inside(&extended, times, start, end) {
        out.push(FloatPoint {
            time: times[i],
            value: values[i],
        });
    }
    out.push(FloatPoint {
        time: end,
        value: extended.right,
    });
    out
}

fn extended_float_rate(
    call: &RangeCall<'_>,
    window: Window<'_>,
    is_counter: bool,
    is_rate: bool,
) -> Option<RangeValue> {
    let Window {
        times,
        values,
        starts: _,
        falls: _,
        histograms: _,
    } = window;
    let smoothed = call.extension == Extension::Smoothed;
    let extended = extend_floats(times, values, call.start, call.end, smoothed, is_counter)?;
    let mut result = extended.right - extended.left;
    if is_counter {
        let mut correction = 0.0;
        let mut previous = extended.left;
        let between = &values[inside(&extended, times, call.start, call.end)];
        for value in between.iter().chain(std::iter::once(&extended.right)) {
            if *value < previous {
                correction += previous;
            }
            previous = *value;
        }
        result += correction;
    }
    if is_rate {
        result /= call.range_seconds;
    }
    Some(RangeValue::Float(result))
}

/// Adds or subtracts with annotations; `false` if the schemas do not go together.
fn combine(
    base: &mut Histogram,
    other: &Histogram,
    operation: Operation,
    call: &RangeCall<'_>,
    annotations: &mut Annotations,
) -> bool {
    let combined = match operation {
        Operation::Subtraction => base.subtract(other),
        Operation::Addition | Operation::Aggregation => base.add(other),
    };
    match combined {
        Ok(combined) => {
            if combined.bounds_reconciled {
                annotations.add(Note::MismatchedCustomBuckets(operation), call.span);
            }
            true
        }
        Err(IncompatibleSchemas) => {
            annotations.add(
                Note::MixedExponentialCustom {
                    metric: call.metric(),
                },
                call.span,
            );
            false
        }
    }
}

fn extended_histogram_rate(
    call: &RangeCall<'_>,
    samples: &[HistogramSample],
    annotations: &mut Annotations,
    is_counter: bool,
    is_rate: bool,
) -> Option<RangeValue> {
    let smoothed = call.extension == Extension::Smoothed;
    let (first, last) = extended_indices(
        samples.len(),
        |i| samples[i].time,
        call.start,
        call.end,
        smoothed,
    )?;
    let used = samples.get(first..=last)?;
    let metric = || call.metric();
    let custom = used.first()?.histogram.uses_custom_buckets();
    for sample in used {
        if sample.histogram.uses_custom_buckets() != custom {
            annotations.add(Note::MixedExponentialCustom { metric: metric() }, call.span);
            return None;
        }
        if is_counter && sample.histogram.hint == ResetHint::Gauge {
            annotations.add(Note::HistogramNotCounter { metric: metric() }, call.span);
        }
    }
    let border = |at: usize, other: Option<usize>, time: i64, annotations: &mut Annotations| {
        let Some(other) = other else {
            return Some(Histogram::clone(&samples[at].histogram));
        };
        let (a, b) = (at.min(other), at.max(other));
        let from = (samples[a].time, &*samples[a].histogram);
        let to = (samples[b].time, &*samples[b].histogram);
        match interpolate_histograms(from, to, time, is_counter, annotations, call.span) {
            Ok(histogram) => Some(histogram),
            Err(IncompatibleSchemas) => {
                annotations.add(Note::MixedExponentialCustom { metric: metric() }, call.span);
                None
            }
        }
    };
    let left_partner = (smoothed && samples[first].time < call.start && first + 1 < samples.len())
        .then_some(first + 1);
    let right_partner = (smoothed && last > 0 && samples[last].time > call.end).then(|| last - 1);
    let left = border(first, left_partner, call.start, annotations)?;
    let right = border(last, right_partner, call.end, annotations)?;
    if !is_counter && (left.hint != ResetHint::Gauge || right.hint != ResetHint::Gauge) {
        annotations.add(Note::HistogramNotGauge { metric: metric() }, call.span);
    }
    let mut result = right.clone();
    if !combine(
        &mut result,
        &left,
        Operation::Subtraction,
        call,
        annotations,
    ) {
        return None;
    }
    if is_counter {
        // The first sample is represented by `left`, the last one by `right`.
        let mut from = first + 1;
        let mut previous = &left;
        if smoothed
            && samples[first].time < call.start
            && let Some(second) = samples.get(first + 1)
            && second.histogram.detect_reset(&samples[first].histogram)
        {
            // The interpolation at the left border went across this reset already.
            previous = &second.histogram;
            from += 1;
        }
        if from <= last {
            let mut correction: Option<Histogram> = None;
            let between = samples
                .get(from..last)
                .unwrap_or_default()
                .iter()
                .map(|s| &*s.histogram);
            for current in between.chain(std::iter::once(&right)) {
                if current.detect_reset(previous) {
                    match &mut correction {
                        None => correction = Some(previous.clone()),
                        Some(sum) => {
                            if !combine(sum, previous, Operation::Addition, call, annotations) {
                                return None;
                            }
                        }
                    }
                }
                previous = current;
            }
            if let Some(correction) = correction
                && !combine(
                    &mut result,
                    &correction,
                    Operation::Addition,
                    call,
                    annotations,
                )
            {
                return None;
            }
        }
    }
    if is_rate {
        result.divide_by(call.range_seconds);
    }
    result.hint = ResetHint::Gauge;
    result.compact();
    Some(RangeValue::Histogram(result))
}

/// How far a result is extrapolated beyond the samples of a window, in seconds.
#[derive(Clone, Copy)]
struct Spacing {
    to_start: f64,
    to_end: f64,
    /// From the first sample to the last.
    sampled: f64,
    threshold: f64,
    average: f64,
}

impl Spacing {
    /// Of `count` samples, as far as the window's borders are.
    fn new(call: &RangeCall<'_>, first_time: i64, last_time: i64, count: usize) -> Self {
        let sampled = (last_time - first_time) as f64 / 1000.0;
        let average = if count > 1 {
            sampled / (count - 1) as f64
        } else {
            0.0
        };
        Self {
            to_start: (first_time - call.start) as f64 / 1000.0,
            to_end: (call.end - last_time) as f64 / 1000.0,
            sampled,
            threshold: average * 1.1,
            average,
        }
    }

    /// A border closer than about one sampling interval is taken to belong to the series;
    /// otherwise the series is assumed to reach half an interval beyond its samples.
    fn limited(&self, border: f64) -> f64 {
        if border >= self.threshold {
            self.average / 2.0
        } else {
            border
        }
    }

    /// What the increase between the samples is multiplied with.
    fn factor(&self, call: &RangeCall<'_>) -> f64 {
        let factor = if self.sampled == 0.0 {
            1.0
        } else {
            (self.sampled + self.to_start + self.to_end) / self.sampled
        };
        if call.id == FunctionId::Rate {
            factor / call.range_seconds
        } else {
            factor
        }
    }
}

/// What was found for a window of the same call; regular samples lie alike in most windows.
#[derive(Default)]
pub(crate) struct KnownSpacing(Option<(Layout, Spacing, f64)>);

/// From the window's start to the first sample, to the last sample, to the window's end, in
/// milliseconds, and the number of samples.
type Layout = (i64, i64, i64, usize);

impl KnownSpacing {
    /// The limited spacing of several samples, and its factor.
    #[inline]
    fn of(&mut self, call: &RangeCall<'_>, times: &[i64]) -> Option<(Spacing, f64)> {
        let (first, last) = (*times.first()?, *times.last()?);
        let layout = (
            first.wrapping_sub(call.start),
            last.wrapping_sub(first),
            call.end.wrapping_sub(last),
            times.len(),
        );
        if let Some((known, spacing, factor)) = &self.0
            && *known == layout
        {
            return Some((*spacing, *factor));
        }
        let mut spacing = Spacing::new(call, first, last, times.len());
        spacing.to_start = spacing.limited(spacing.to_start);
        spacing.to_end = spacing.limited(spacing.to_end);
        let factor = spacing.factor(call);
        self.0 = Some((layout, spacing, factor));
        Some((spacing, factor))
    }
}

/// `rate`, `increase` and `delta`. `known` serves all windows of one call.
#[inline]
pub(crate) fn extrapolated(
    call: &RangeCall<'_>,
    window: &Window<'_>,
    known: &mut KnownSpacing,
    annotations: &mut Annotations,
) -> Option<RangeValue> {
    let is_counter = call.id != FunctionId::Delta;
    let is_plain = window.histograms.is_empty()
        && call.extension == Extension::None
        && (!call.use_starts || !is_counter || window.starts.is_empty());
    if is_plain {
        let falls = window.falls.iter().map(|fall| fall.before);
        plain_extrapolated(call, window.times, window.values, falls, known).map(RangeValue::Float)
    } else {
        other_extrapolated(call, window, annotations, is_counter)
    }
}

/// As [`extrapolated`], of floats without start timestamps in a window that is not extended.
#[inline]
pub(crate) fn extrapolated_floats(
    call: &RangeCall<'_>,
    times: &[i64],
    values: &[f64],
    known: &mut KnownSpacing,
) -> Option<f64> {
    let pairs = values.windows(2).filter_map(|pair| match pair {
        [before, after] if after < before => Some(*before),
        _ => None,
    });
    plain_extrapolated(call, times, values, pairs, known)
}

/// `falls` gives the values that lower ones follow.
#[inline]
fn plain_extrapolated(
    call: &RangeCall<'_>,
    times: &[i64],
    values: &[f64],
    falls: impl Iterator<Item = f64>,
    known: &mut KnownSpacing,
) -> Option<f64> {
    let [first, .., last] = values else {
        return None;
    };
    let mut increase = last - first;
    let (mut spacing, mut factor) = known.of(call, times)?;
    if call.id != FunctionId::Delta {
        for before in falls {
            increase += before;
        }
        if !is_far_from_zero(&spacing, *first, increase)
            && let Some(to_zero) = time_to_zero(spacing.sampled, *first, increase)
            && to_zero < spacing.to_start
        {
            spacing.to_start = to_zero;
            factor = spacing.factor(call);
        }
    }
    Some(increase * factor)
}

/// How long before the first sample a counter was at 0, below which it does not reach. `None`
/// where that cannot be told.
#[inline]
fn time_to_zero(sampled: f64, first: f64, increase: f64) -> Option<f64> {
    (increase > 0.0 && first >= 0.0).then(|| sampled * (first / increase))
}

/// Whether a counter was at 0 well before the window, so that it does not matter when. `false` if
/// that takes a closer look: a division is most of what a window costs, and mostly tells this only.
#[inline]
fn is_far_from_zero(spacing: &Spacing, first: f64, increase: f64) -> bool {
    // Twice as far makes up for rounding; the smallest numbers round too coarsely for that.
    increase > 1e-290 && spacing.sampled * first > 2.0 * spacing.to_start * increase
}

fn other_extrapolated(
    call: &RangeCall<'_>,
    window: &Window<'_>,
    annotations: &mut Annotations,
    is_counter: bool,
) -> Option<RangeValue> {
    let is_rate = call.id == FunctionId::Rate;
    let Window {
        times,
        values,
        starts,
        falls: _,
        histograms,
    } = *window;
    if !histograms.is_empty() && !times.is_empty() {
        annotations.add(
            Note::MixedFloatsHistograms {
                metric: call.metric(),
            },
            call.span,
        );
        return None;
    }
    if call.extension != Extension::None {
        return if histograms.is_empty() {
            extended_float_rate(call, *window, is_counter, is_rate)
        } else {
            extended_histogram_rate(call, histograms, annotations, is_counter, is_rate)
        };
    }
    let use_starts = call.use_starts && is_counter;
    let (first_time, last_time, count, first_start) = match (histograms.first(), histograms.last())
    {
        (Some(first), Some(last)) => (first.time, last.time, histograms.len(), first.start),
        _ => {
            let start = starts.first().copied().unwrap_or(0);
            (*times.first()?, *times.last()?, times.len(), start)
        }
    };
    let first_start = if use_starts { first_start } else { 0 };
    let mut float = 0.0;
    let mut histogram = None;
    if histograms.is_empty() {
        float = increase_with_starts(call, times, values, starts, annotations);
    } else if count > 1 {
        histogram = Some(histogram_increase(
            call,
            histograms,
            is_counter,
            use_starts,
            annotations,
        )?);
    }
    let mut spacing = Spacing::new(call, first_time, last_time, count);
    if first_start != 0 && first_start > call.start && first_start < first_time {
        // Counting began at 0 inside the window: nothing to extrapolate on that side.
        spacing.to_start = 0.0;
        spacing.sampled = (last_time - first_start) as f64 / 1000.0;
        if let Some(first) = histograms.first() {
            match &mut histogram {
                None => histogram = Some(Histogram::clone(&first.histogram)),
                Some(sum) => {
                    if !combine(
                        sum,
                        &first.histogram,
                        Operation::Addition,
                        call,
                        annotations,
                    ) {
                        return None;
                    }
                }
            }
        } else {
            float += values.first()?;
        }
    } else if count == 1 {
        return None;
    } else {
        spacing.to_start = spacing.limited(spacing.to_start);
        let to_zero = match (&histogram, histograms.first()) {
            (Some(sum), Some(first)) => {
                time_to_zero(spacing.sampled, first.histogram.count, sum.count)
            }
            (Some(_), None) => None,
            (None, _) => time_to_zero(spacing.sampled, *values.first()?, float),
        };
        if let Some(to_zero) = to_zero.filter(|_| is_counter)
            && to_zero < spacing.to_start
        {
            spacing.to_start = to_zero;
        }
    }
    spacing.to_end = spacing.limited(spacing.to_end);
    let factor = spacing.factor(call);
    Some(match histogram {
        None => RangeValue::Float(float * factor),
        Some(mut histogram) => {
            histogram.scale_by(factor);
            RangeValue::Histogram(histogram)
        }
    })
}

/// The increase of a counter whose start timestamps count.
fn increase_with_starts(
    call: &RangeCall<'_>,
    times: &[i64],
    values: &[f64],
    starts: &[i64],
    annotations: &mut Annotations,
) -> f64 {
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return 0.0;
    };
    let mut increase = last - first;
    let mut overlap_noted = false;
    for i in 1..values.len().min(times.len()).min(starts.len()) {
        let previous = (starts[i - 1], times[i - 1]);
        if !overlap_noted && starts_overlap(previous, starts[i]) {
            annotations.add(
                Note::StartTimeOverlap {
                    metric: call.metric(),
                },
                call.span,
            );
            overlap_noted = true;
        }
        if values[i] < values[i - 1] || start_shows_reset(previous, (starts[i], times[i])) {
            increase += values[i - 1];
        }
    }
    increase
}

fn histogram_increase(
    call: &RangeCall<'_>,
    samples: &[HistogramSample],
    is_counter: bool,
    use_starts: bool,
    annotations: &mut Annotations,
) -> Option<Histogram> {
    let (first, last) = (&samples.first()?.histogram, &samples.last()?.histogram);
    let metric = || call.metric();
    let moment =
        |sample: &HistogramSample| (if use_starts { sample.start } else { 0 }, sample.time);
    if is_counter && (first.hint == ResetHint::Gauge || last.hint == ResetHint::Gauge) {
        annotations.add(Note::HistogramNotCounter { metric: metric() }, call.span);
    }
    let blank;
    let mut previous: &Histogram = first;
    if is_counter && let Some(second) = samples.get(1) {
        // The layout of a first sample that a reset follows does not matter.
        if start_shows_reset(moment(&samples[0]), moment(second))
            || second.histogram.detect_reset(first)
        {
            blank = Histogram {
                schema: second.histogram.schema,
                custom_bounds: second.histogram.custom_bounds.clone(),
                ..Histogram::default()
            };
            previous = &blank;
        }
    }
    let custom = previous.uses_custom_buckets();
    let mixed = |annotations: &mut Annotations| {
        annotations.add(Note::MixedExponentialCustom { metric: metric() }, call.span);
    };
    if last.uses_custom_buckets() != custom {
        mixed(annotations);
        return None;
    }
    let mut schema = last.schema.min(previous.schema);
    if is_counter {
        for sample in samples.get(1..samples.len() - 1).unwrap_or_default() {
            if sample.histogram.hint == ResetHint::Gauge {
                annotations.add(Note::HistogramNotCounter { metric: metric() }, call.span);
            }
            schema = schema.min(sample.histogram.schema);
            if sample.histogram.uses_custom_buckets() != custom {
                mixed(annotations);
                return None;
            }
        }
    }
    let mut increase = last.at_schema(schema);
    if !combine(
        &mut increase,
        previous,
        Operation::Subtraction,
        call,
        annotations,
    ) {
        return None;
    }
    if is_counter {
        let mut overlap_noted = false;
        for pair in samples.windows(2) {
            let (before, after) = (moment(&pair[0]), moment(&pair[1]));
            if !overlap_noted && starts_overlap(before, after.0) {
                annotations.add(Note::StartTimeOverlap { metric: metric() }, call.span);
                overlap_noted = true;
            }
            let current: &Histogram = &pair[1].histogram;
            if (start_shows_reset(before, after) || current.detect_reset(previous))
                && !combine(
                    &mut increase,
                    previous,
                    Operation::Addition,
                    call,
                    annotations,
                )
            {
                return None;
            }
            previous = current;
        }
    } else if first.hint != ResetHint::Gauge || last.hint != ResetHint::Gauge {
        annotations.add(Note::HistogramNotGauge { metric: metric() }, call.span);
    }
    increase.hint = ResetHint::Gauge;
    increase.compact();
    Some(increase)
}

/// A float or histogram sample with its start.
#[derive(Clone, Copy)]
struct Last<'a> {
    time: i64,
    start: i64,
    value: f64,
    histogram: Option<&'a Histogram>,
}

/// `irate` and `idelta`: the last two samples of the window.
pub(crate) fn instant(
    call: &RangeCall<'_>,
    window: Window<'_>,
    annotations: &mut Annotations,
) -> Option<RangeValue> {
    let is_rate = call.id == FunctionId::Irate;
    let use_starts = call.use_starts && is_rate;
    let Window {
        times,
        values,
        starts,
        falls: _,
        histograms,
    } = window;
    let mut last: Vec<Last<'_>> = Vec::with_capacity(4);
    for i in times.len().saturating_sub(2)..times.len() {
        let start = if use_starts {
            starts.get(i).copied().unwrap_or(0)
        } else {
            0
        };
        last.push(Last {
            time: times[i],
            start,
            value: values[i],
            histogram: None,
        });
    }
    for sample in &histograms[histograms.len().saturating_sub(2)..] {
        let start = if use_starts { sample.start } else { 0 };
        last.push(Last {
            time: sample.time,
            start,
            value: 0.0,
            histogram: Some(&sample.histogram),
        });
    }
    last.sort_by_key(|sample| sample.time);
    let [.., before, after] = last.as_slice() else {
        return None;
    };
    let interval = after.time - before.time;
    if interval == 0 {
        return None;
    }
    let metric = || call.metric();
    let reset_by_start = start_shows_reset((before.start, before.time), (after.start, after.time));
    let seconds = interval as f64 / 1000.0;
    match (before.histogram, after.histogram) {
        (None, None) => {
            let reset = is_rate && (after.value < before.value || reset_by_start);
            let difference = if reset {
                after.value
            } else {
                after.value - before.value
            };
            Some(RangeValue::Float(if is_rate {
                difference / seconds
            } else {
                difference
            }))
        }
        (Some(earlier), Some(later)) => {
            let any_gauge = earlier.hint == ResetHint::Gauge || later.hint == ResetHint::Gauge;
            let both_gauge = earlier.hint == ResetHint::Gauge && later.hint == ResetHint::Gauge;
            if is_rate && any_gauge {
                annotations.add(Note::HistogramNotCounter { metric: metric() }, call.span);
            }
            if !is_rate && !both_gauge {
                annotations.add(Note::HistogramNotGauge { metric: metric() }, call.span);
            }
            let mut result = later.clone();
            if (!is_rate || (!reset_by_start && !later.detect_reset(earlier)))
                && !combine(
                    &mut result,
                    earlier,
                    Operation::Subtraction,
                    call,
                    annotations,
                )
            {
                return None;
            }
            result.hint = ResetHint::Gauge;
            result.compact();
            if is_rate {
                result.divide_by(seconds);
            }
            Some(RangeValue::Histogram(result))
        }
        (None, Some(_)) | (Some(_), None) => {
            annotations.add(Note::MixedFloatsHistograms { metric: metric() }, call.span);
            None
        }
    }
}
