//! The best settings of a rollout: which weights, pauses, counts, intervals, limits and thresholds are fast
//! and do little harm, under limits for wrong decisions.
//!
//! | module | job |
//! |---|---|
//! | `knobs` | what can be set, and to which values |
//! | `search` | which combinations are played, and how often |
//! | `front` | which of them are best |

mod front;
mod knobs;
mod search;

pub use front::{Choice, Demands, Dot, FieldChange, Tuned, Tuning};
pub use search::{Bounds, tune};
