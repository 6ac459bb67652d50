//! See the architecture page of the crate.
