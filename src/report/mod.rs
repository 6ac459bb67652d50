//! What people read: strings only, nothing is printed here.

pub mod test_results;
pub mod timeline;
