//! What `promtool tsdb dump` prints: `{__name__="up", job="api"} 1 1700000000000`, a sample a
//! line, times in milliseconds, native histograms as `{count:3, sum:4.5, (1,2]:3}`.
//!
//! A dump writes staleness markers as `NaN`, like real NaNs, so that a reader cannot tell them
//! apart; a remark says so where it matters.

use crate::promql::gofmt;
use crate::promql::histogram::Bounded;
use crate::promql::notation;

use super::collect::{GivenHistogram, SeriesIndex};
use super::info;
use super::native::BucketList;
use super::reading::{Reading, SeriesByText, lines, number, push_float, time_in_millis};

pub(super) fn read(reading: &mut Reading<'_>) {
    let text = reading.text;
    let mut known = SeriesByText::new();
    // Offset of the first NaN, and how many there are.
    let mut nans: Option<(usize, usize)> = None;
    for (offset, line) in lines(text) {
        reading.reached(offset);
        if line.trim_start().is_empty() || line.starts_with('#') {
            continue;
        }
        match read_line(reading, &mut known, line) {
            Ok((series, time, Read::Float(value))) => {
                if value.is_nan() {
                    nans.get_or_insert((offset, 0)).1 += 1;
                }
                push_float(reading, series, time, value, offset);
            }
            Ok((series, time, Read::Histogram(list))) => {
                let place = reading.place(offset);
                let given = GivenHistogram::Listed(list);
                reading
                    .collected
                    .push_histogram(series, time, 0, given, place);
            }
            Err(message) => reading.error(
                offset,
                offset + line.len(),
                message,
                "a line of a dump: {__name__=\"up\", job=\"api\"} 1 1700000000000",
            ),
        }
    }
    if let Some((offset, count)) = nans {
        let span = reading.span(offset, offset);
        let (what, verb) = if count == 1 {
            ("one sample".to_owned(), "is")
        } else {
            (format!("{count} samples"), "are")
        };
        let message =
            format!("{what} {verb} NaN, as promtool also prints the marker of a series' end");
        reading.report(info("trace-nan", message, span));
    }
}

enum Read {
    Float(f64),
    Histogram(BucketList),
}

fn read_line<'a>(
    reading: &mut Reading<'_>,
    known: &mut SeriesByText<'a, SeriesIndex>,
    line: &'a str,
) -> Result<(SeriesIndex, i64, Read), String> {
    let end = braces_end(line).ok_or("no set of labels in braces")?;
    let (name, rest) = line.split_at(end);
    let series = known.get(name, || {
        let (labels, taken) = notation::parse_metric(name.trim_start())?;
        if taken == name.trim_start().len() {
            Ok(reading.collected.series(&labels))
        } else {
            Err(format!("text after the labels: {}", gofmt::quote(name)))
        }
    })?;
    let (value, time) = rest
        .rsplit_once([' ', '\t'])
        .ok_or("value and time are missing")?;
    let time = time_in_millis(time)
        .ok_or_else(|| format!("{} is no time in whole milliseconds", gofmt::quote(time)))?;
    let value = value.trim();
    if value.is_empty() {
        return Err("the value or the time is missing".to_owned());
    }
    let read = if let Some(body) = value.strip_prefix('{') {
        Read::Histogram(
            histogram(body).ok_or_else(|| {
                format!("{} is no histogram as dumps have it", gofmt::quote(value))
            })?,
        )
    } else {
        Read::Float(number(value).ok_or_else(|| format!("{} is no number", gofmt::quote(value)))?)
    };
    Ok((series, time, read))
}

/// One past the brace that closes the label set.
pub(super) fn braces_end(line: &str) -> Option<usize> {
    let open = memchr::memchr(b'{', line.as_bytes())?;
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate().skip(open + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Reads `count:3, sum:4.5, [-1,-0.5):1, [-0.1,0.1]:1, (1,2]:1}`.
fn histogram(body: &str) -> Option<BucketList> {
    let body = body.strip_suffix('}')?;
    let mut list = BucketList::default();
    for (at, part) in body.split(", ").enumerate() {
        match at {
            0 => list.count = number(part.strip_prefix("count:")?)?,
            1 => list.sum = number(part.strip_prefix("sum:")?)?,
            _ => list.buckets.push(bucket(part)?),
        }
    }
    Some(list)
}

fn bucket(part: &str) -> Option<Bounded> {
    let (bounds, count) = part.rsplit_once(':')?;
    let lower_inclusive = bounds.starts_with('[');
    let upper_inclusive = bounds.ends_with(']');
    let inner = bounds.strip_prefix(['[', '('])?.strip_suffix([']', ')'])?;
    let (lower, upper) = inner.split_once(',')?;
    Some(Bounded {
        lower: number(lower)?,
        upper: number(upper)?,
        lower_inclusive,
        upper_inclusive,
        count: number(count)?,
    })
}

#[cfg(test)]
mod tests {
    use crate::promql::load::tests::load;

    #[test]
    fn samples_of_all_kinds_are_read() {
        let text = r#"{__name__="up", job="a b", path="C:\\x\"}\n"} 1e+06 1000
{__name__="up", job="a b", path="C:\\x\"}\n"} +Inf 2000
{__name__="h"} {count:5, sum:18.4, [-2,-1):1, [-0.001,0.001]:2, (1,2]:1, (2,4]:1} 1000
"#;
        let (series, problems) = load("x.dump", text);
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            series,
            [
                "{__name__=\"up\", job=\"a b\", path=\"C:\\\\x\\\"}\\n\"} 1000=1e+06 2000=+Inf",
                "{__name__=\"h\"} 1000={count:5, sum:18.4, [-2,-1):1, [-0.001,0.001]:2, (1,2]:1, (2,4]:1}",
            ]
        );
    }

    #[test]
    fn a_bad_line_is_named_and_hides_no_other() {
        let text = "{__name__=\"a\"} 1 1000\n{__name__=\"a\"} x 2000\n{__name__=\"a\" 1 3000\n{__name__=\"a\"} NaN 4000\n";
        let (series, problems) = load("x", text);
        assert_eq!(series, ["{__name__=\"a\"} 1000=1 4000=NaN"]);
        assert_eq!(
            problems,
            [
                "x:2:1 \"x\" is no number",
                "x:3:1 no set of labels in braces",
                "x:4:1 one sample is NaN, as promtool also prints the marker of a series' end",
            ]
        );
    }
}
