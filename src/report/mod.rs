//! What people read: strings only, nothing is printed here.

pub mod timeline;
pub mod tests;
