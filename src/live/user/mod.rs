//! What users do to a cluster from their terminals: one request after the other, no caches.
//!
//! | file | job |
//! |---|---|
//! | `cluster` | a client, a namespace, and the requests made of it |
//! | `failure` | why a request failed, and what to do next |
//! | `follow`, `views` | objects as they change; what is shown of them |
//! | `verbs` | promote, abort, undo and so on, as the engine says |

pub mod cluster;
pub mod failure;
pub mod follow;
pub mod verbs;
pub mod views;
