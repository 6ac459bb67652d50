//! What has been fixed can still be read, and fixing it again changes nothing.
//!
//! `cargo +nightly fuzz run fix -- -dict=fuzz/yaml.dict`

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollproof::lint::{Settings, fixes};
use rollproof::source::Sources;
use rollproof::spec::yaml;

fn fix(text: &str, is_unsafe: bool) -> Option<String> {
    let files = [("a.yaml".to_owned(), text.as_bytes().to_vec())];
    fixes::fix(&files, &Settings::default(), is_unsafe).remove(0)
}

fn can_be_read(text: &str) -> bool {
    let mut sources = Sources::new();
    let (_, stream) = yaml::read_bytes(&mut sources, "a.yaml", text.as_bytes());
    !stream.has_errors()
}

fuzz_target!(|text: &str| {
    for is_unsafe in [false, true] {
        let Some(fixed) = fix(text, is_unsafe) else {
            continue;
        };
        assert!(!can_be_read(text) || can_be_read(&fixed), "{fixed}");
        assert_eq!(fix(&fixed, is_unsafe), None, "{fixed}");
    }
});
