//! Traces of any bytes in any format: series and problems, never a panic; places lie in the text.
//!
//! The first byte chooses the format, or leaves it to the content.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollproof::promql::load::{Format, Loader};
use rollproof::source::Sources;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    // Notation may stand for far more samples than it has bytes.
    let format = match Format::ALL.get(usize::from(*choice)) {
        Some(Format::Notation) => return,
        Some(format) => Some(*format),
        None => None,
    };
    if std::str::from_utf8(rest)
        .is_ok_and(|text| Format::detect("", text) == Some(Format::Notation))
    {
        return;
    }
    let mut sources = Sources::new();
    let mut loader = Loader::new();
    let (first, second) = rest.split_at(rest.len() / 2);
    loader.add(&mut sources, "a", rest.to_vec(), format, &mut |_| {});
    for half in [first, second] {
        loader.add(
            &mut sources,
            "half",
            half.to_vec(),
            format.or(Some(Format::Dump)),
            &mut |_| {},
        );
    }
    let loaded = loader.finish();
    for problem in &loaded.problems {
        let span = problem.span.expect("a problem has a place");
        assert!(span.start <= span.end);
        assert!(span.end as usize <= sources.text(span.source).len());
        let _ = sources.describe(span);
    }
    for (_, data) in loaded.store.series() {
        let times: Vec<i64> = data.floats().map(|(time, _)| time).collect();
        assert!(times.is_sorted_by(|a, b| a < b));
    }
});
