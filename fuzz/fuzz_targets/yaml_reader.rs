//! No bytes make the reader, the typed objects or the references panic, and spans lie in the text.
//!
//! `cargo +nightly fuzz run yaml_reader -- -dict=fuzz/yaml.dict`

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollproof::source::Sources;
use rollproof::spec::bundle::Bundle;

fuzz_target!(|bytes: &[u8]| {
    let mut sources = Sources::new();
    let (bundle, problems) = Bundle::read(&mut sources, &[("a.yaml", bytes)]);
    let missing = bundle.missing_references();
    let missing = missing.iter().map(|(_, problem)| problem);
    for problem in problems.iter().chain(missing) {
        let span = problem.span.expect("a problem has a place");
        assert!(span.start <= span.end);
        assert!(span.end as usize <= sources.text(span.source).len());
        let _ = sources.start(span);
    }
    for object in bundle.objects() {
        let text = sources.text(object.source);
        assert!(text.get(object.span.start as usize..object.span.end as usize).is_some());
    }
});
