//! Answers of Prometheus' HTTP API to range and instant queries, also without their envelope as
//! `promtool query --format=json` prints them; several may follow each other in a file.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::promql::gofmt::quote;
use crate::promql::histogram::Bounded;
use crate::promql::labels::Labels;

use super::collect::{GivenHistogram, SeriesIndex};
use super::native::BucketList;
use super::reading::{Reading, number, push_float, scaled_time};

const HELP: &str = "an answer to a range query: {\"status\": \"success\", \"data\": {\"resultType\": \
                    \"matrix\", \"result\": [{\"metric\": {...}, \"values\": [[seconds, \"value\"]]}]}}";

/// Whether a text is JSON rather than a series in braces.
pub(super) fn looks_like(text: &str) -> bool {
    let text = text.trim_start();
    if let Some(rest) = text.strip_prefix('[') {
        return rest.trim_start().starts_with(['{', '[', ']']);
    }
    let Some(body) = text
        .strip_prefix('{')
        .and_then(|t| t.trim_start().strip_prefix('"'))
    else {
        return false;
    };
    let after = body.split_once('"').map_or("", |(_, after)| after);
    after.trim_start().starts_with(':')
}

/// The envelope of an answer, or the data in it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    status: Option<String>,
    error_type: Option<String>,
    error: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    result_type: Option<String>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Element<'a> {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    values: Vec<&'a RawValue>,
    #[serde(borrow)]
    histogram: Option<&'a RawValue>,
    #[serde(borrow, default)]
    histograms: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct ListedHistogram {
    count: String,
    sum: String,
    #[serde(default)]
    buckets: Vec<(u8, String, String, String)>,
}

pub(super) fn read(reading: &mut Reading<'_>) {
    let text = reading.text;
    for document in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        match document {
            Ok(document) => read_document(reading, document, true),
            Err(error) => {
                fail_in(reading, text, &error);
                return;
            }
        }
    }
}

fn read_document(reading: &mut Reading<'_>, document: &RawValue, may_wrap: bool) {
    if document.get().starts_with('[') {
        return read_result(reading, document);
    }
    let object: Object<'_> = match serde_json::from_str(document.get()) {
        Ok(object) => object,
        Err(error) => return fail_in(reading, document.get(), &error),
    };
    if object.status.as_deref() == Some("error") {
        let message = format!(
            "the answer is an error: {}: {}",
            object.error_type.unwrap_or_default(),
            object.error.unwrap_or_default()
        );
        return fail(reading, document, message);
    }
    match (object.data, object.result_type.as_deref(), object.result) {
        (Some(data), None, None) if may_wrap && data.get().starts_with('{') => {
            read_document(reading, data, false);
        }
        (None, Some("matrix" | "vector"), Some(result)) => read_result(reading, result),
        (None, Some(other), Some(result)) => {
            let message = format!("a result of type {} holds no series", quote(other));
            fail(reading, result, message);
        }
        (None | Some(_), None | Some(_), None | Some(_)) => {
            fail(reading, document, "no answer of the query API".to_owned());
        }
    }
}

fn read_result(reading: &mut Reading<'_>, result: &RawValue) {
    match serde_json::from_str::<Vec<&RawValue>>(result.get()) {
        Ok(elements) => {
            for element in elements {
                read_element(reading, element);
            }
        }
        Err(error) => fail_in(reading, result.get(), &error),
    }
}

fn read_element(reading: &mut Reading<'_>, raw: &RawValue) {
    reading.reached(offset_in(reading.text, raw.get()));
    let element: Element<'_> = match serde_json::from_str(raw.get()) {
        Ok(element) => element,
        Err(error) => return fail_in(reading, raw.get(), &error),
    };
    let Element {
        metric,
        value,
        values,
        histogram,
        histograms,
    } = element;
    if value.is_none() && histogram.is_none() && values.is_empty() && histograms.is_empty() {
        return fail(reading, raw, "a series without values".to_owned());
    }
    let series = reading.collected.series(&Labels::new(metric));
    for point in value.into_iter().chain(values) {
        if let Err(message) = read_float(reading, series, point) {
            fail(reading, point, message);
        }
    }
    for point in histogram.into_iter().chain(histograms) {
        if let Err(message) = read_histogram(reading, series, point) {
            fail(reading, point, message);
        }
    }
}

fn read_float(
    reading: &mut Reading<'_>,
    series: SeriesIndex,
    point: &RawValue,
) -> Result<(), String> {
    let (time, value): (f64, &str) = serde_json::from_str(point.get())
        .map_err(|_| "a point is [seconds, \"value\"]".to_owned())?;
    let time = seconds(time)?;
    let value = number_in(value)?;
    let offset = offset_in(reading.text, point.get());
    push_float(reading, series, time, value, offset);
    Ok(())
}

fn read_histogram(
    reading: &mut Reading<'_>,
    series: SeriesIndex,
    point: &RawValue,
) -> Result<(), String> {
    let (time, listed): (f64, ListedHistogram) = serde_json::from_str(point.get())
        .map_err(|error| format!("not a histogram at a time: {error}"))?;
    let time = seconds(time)?;
    let mut list = BucketList {
        count: number_in(&listed.count)?,
        sum: number_in(&listed.sum)?,
        buckets: Vec::with_capacity(listed.buckets.len()),
    };
    for (boundaries, lower, upper, count) in &listed.buckets {
        // 0: (lower, upper], 1: [lower, upper), 2: (lower, upper), 3: [lower, upper].
        if *boundaries > 3 {
            return Err(format!("{boundaries} is no kind of bucket boundaries"));
        }
        list.buckets.push(Bounded {
            lower: number_in(lower)?,
            upper: number_in(upper)?,
            lower_inclusive: matches!(boundaries, 1 | 3),
            upper_inclusive: matches!(boundaries, 0 | 3),
            count: number_in(count)?,
        });
    }
    let place = reading.place(offset_in(reading.text, point.get()));
    let given = GivenHistogram::Listed(list);
    reading
        .collected
        .push_histogram(series, time, 0, given, place);
    Ok(())
}

fn seconds(time: f64) -> Result<i64, String> {
    scaled_time(time, 1000.0).ok_or_else(|| format!("{time} is no time in seconds"))
}

fn number_in(text: &str) -> Result<f64, String> {
    number(text).ok_or_else(|| format!("{} is no number", quote(text)))
}

/// Where a part of the text that was borrowed from it begins.
fn offset_in(text: &str, part: &str) -> usize {
    let offset = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    offset.min(text.len())
}

fn fail(reading: &mut Reading<'_>, part: &RawValue, message: String) {
    let start = offset_in(reading.text, part.get());
    // The first line is enough to show where it is.
    let length = part.get().lines().next().map_or(0, str::len);
    reading.error(start, start + length, message, HELP);
}

/// An error of the JSON reader, which counts lines and columns from the start of the part.
fn fail_in(reading: &mut Reading<'_>, part: &str, error: &serde_json::Error) {
    let line_start: usize = part
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let within = (line_start + error.column().saturating_sub(1)).min(part.len());
    let at = offset_in(reading.text, part) + within;
    let full = error.to_string();
    let message = full
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned();
    reading.error(at, at, message, HELP);
}

#[cfg(test)]
mod tests {
    use crate::promql::load::tests::load;

    const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[
{"metric":{"__name__":"up","job":"a"},"values":[[1435781430.781,"1"],[1435781445,"+Inf"]]},
{"metric":{},"histograms":[[1.5,{"count":"5","sum":"18.4","buckets":[[1,"-2","-1","1"],[3,"-0.001","0.001","2"],[0,"1","2","1"],[0,"2","4","1"]]}]]}
]},"infos":["x"]}
"#;

    #[test]
    fn answers_are_read() {
        let vector = r#"[{"metric":{"__name__":"up","job":"a"},"value":[1.5,"3"]}]"#;
        let (series, problems) = load("x", &format!("{MATRIX}{vector}"));
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            series,
            [
                "{__name__=\"up\", job=\"a\"} 1500=3 1435781430781=1 1435781445000=+Inf",
                "{} 1500={count:5, sum:18.4, [-2,-1):1, [-0.001,0.001]:2, (1,2]:1, (2,4]:1}",
            ]
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, problem) in [
            (
                "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"no\"}",
                "x:1:1 the answer is an error: bad_data: no",
            ),
            (
                "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"2\"]}}",
                "x:1:60 a result of type \"scalar\" holds no series",
            ),
            ("{\"__name__\":\"up\"}", "x:1:1 no answer of the query API"),
            ("[{\"metric\":{}}]", "x:1:2 a series without values"),
            (
                "[{\"value\":[1,\"b\"]},\n{\"value\":[1,2]}]",
                "x:1:11 \"b\" is no number",
            ),
            (
                "[{\n\"metric\":{\"a\":1}}]",
                "x:2:15 invalid type: integer `1`, expected a string",
            ),
            ("[{\"metric\":", "x:1:11 EOF while parsing a value"),
        ] {
            let (_, problems) = load("x", text);
            assert_eq!(problems.first().map(String::as_str), Some(problem));
        }
        let (series, problems) = load("x", &MATRIX.replace("\"1\"]", "1]"));
        assert_eq!(
            series.first().map(String::as_str),
            Some("{__name__=\"up\", job=\"a\"} 1435781445000=+Inf")
        );
        assert_eq!(problems.len(), 2);
    }
}
