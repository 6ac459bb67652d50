//! Scenarios of any bytes: problems, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollproof::sim::scenario;
use rollproof::source::Sources;

fuzz_target!(|bytes: &[u8]| {
    let mut sources = Sources::new();
    let (scenarios, problems) = scenario::read_bytes(&mut sources, "fuzz", bytes);
    assert!(!scenarios.is_empty() || !problems.is_empty());
    for problem in &problems {
        if let Some(span) = problem.span {
            sources.describe(span);
        }
    }
});
