//! What people read: strings only, nothing is printed here.

pub mod tests;
pub mod timeline;
