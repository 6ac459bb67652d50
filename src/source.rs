//! Source ids and spans.
