//! No bytes make lint or its formats panic, and its places lie in the text.
//!
//! `cargo +nightly fuzz run lint -- -dict=fuzz/yaml.dict`

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollproof::lint::{Settings, lint, output};
use rollproof::source::Sources;
use rollproof::spec::bundle::Bundle;

fuzz_target!(|bytes: &[u8]| {
    let mut sources = Sources::new();
    let (bundle, problems) = Bundle::read(&mut sources, &[("a.yaml", bytes)]);
    let report = lint(&sources, &bundle, problems, &Settings::default());
    for finding in &report.findings {
        let related = finding.related.iter().map(|(span, _)| *span);
        for span in finding.span.into_iter().chain(related) {
            let text = sources.text(span.source);
            assert!(text.get(span.start as usize..span.end as usize).is_some());
        }
    }
    let _ = output::json::render(&sources, &report);
    let _ = output::sarif::render(&sources, &report, "https://example.com");
    let _ = output::junit::render(&sources, &report);
    let _ = output::github::render(&sources, &report);
    let _ = output::gitlab::render(&sources, &report);
    let _ = output::checkstyle::render(&sources, &report);
});
