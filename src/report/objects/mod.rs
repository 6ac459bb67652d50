//! Rollouts and Experiments as people look at them: a summary and a tree, in the shape that the
//! kubectl plugin of Argo Rollouts has made usual (`pkg/kubectl-argo-rollouts`).
//!
//! | file | job |
//! |---|---|
//! | `view` | what is shown, made from objects |
//! | `pods` | what is shown of a pod |
//! | `text` | a view as text |
//! | `lists` | tables of Rollouts and Experiments |
//! | `age` | lengths of time, in two digits or so |

mod age;
mod lists;
mod pods;
mod text;
mod view;

pub use age::age;
pub use lists::{ListTable, experiment_cells, rollout_cells};
pub use pods::PodView;
pub use text::{experiment_text, rollout_text};
pub use view::{
    ExperimentView, ImageUse, Item, Kind, Mark, Replicas, RevisionView, RolloutView,
    displayed_phase, experiment_view, rollout_view,
};
