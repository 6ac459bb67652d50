//! What people read: strings only, nothing is printed here.

pub mod objects;
pub mod plot;
pub mod prove;
pub mod query_result;
pub mod test_results;
pub mod timeline;
pub mod whatif;
pub mod xml;
