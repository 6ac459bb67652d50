//! What makes a finding the same one after lines have moved.

use std::hash::Hasher;

use fnv::FnvHasher;

use super::Finding;
use crate::source::Sources;

impl Finding {
    /// Sixteen hex digits that depend on rule, file, object, path and message, not on lines.
    pub fn fingerprint(&self, sources: &Sources) -> String {
        let mut hasher = FnvHasher::default();
        let mut feed = |text: &str| {
            hasher.write(text.as_bytes());
            hasher.write_u8(0);
        };
        feed(self.rule);
        feed(self.span.map_or("", |span| sources.name(span.source)));
        if let Some(object) = &self.object {
            feed(&object.kind);
            feed(&object.namespace);
            feed(&object.name);
        }
        feed(&self.path);
        feed(&self.message);
        format!("{:016x}", hasher.finish())
    }
}
