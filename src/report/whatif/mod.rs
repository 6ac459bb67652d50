//! What-if reports: one model, several forms.
//!
//! | module | job |
//! |---|---|
//! | `words` | the verdict in plain words; numbers as people read them |
//! | `text` | for terminals |
//! | `html`, `pictures` | one self-contained page, with pictures as SVG |
//! | `markdown` | for a comment on a pull request |
//! | `difference` | two versions of the manifests compared |
//! | `tuning` | the best settings that were found |
//! | `history` | what past releases would have got |
//! | `tables` | CSV, one line a release and combination of values |

mod difference;
mod history;
mod html;
mod markdown;
mod pictures;
mod tables;
mod text;
mod tuning;
mod words;

use serde::Serialize;

use crate::whatif::gates::GateResult;
use crate::whatif::{Sensitivity, Summary, Sweep};

pub use difference::{Difference, difference_json, difference_markdown, difference_text, is_worse};
pub use history::{History, PastResult, PastSetting, history_csv, history_json, history_text};
pub use html::{Examples, html};
pub use markdown::markdown;
pub use tables::csv;
pub use text::render;
pub use tuning::{TuningReport, tuning_html, tuning_json, tuning_text};
pub use words::{amount_text, interval_text, percent, seconds_text};

/// Everything that a report tells; as JSON it is the report for machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Study {
    /// `namespace/name` of the rollout.
    pub rollout: String,
    /// The command that gives the same report.
    pub command: String,
    /// The same without what was asked beside the two releases: for other questions of the same kind.
    #[serde(skip)]
    pub base_command: String,
    pub seed: u64,
    /// Runs of each release that were asked for; `runs` of the releases are those that were done.
    pub runs_asked: u64,
    pub healthy: ReleaseResult,
    pub bad: ReleaseResult,
    /// Results for varied values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
    /// The operating characteristic: results for rising error rates of the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<Sweep>,
    /// What changes of the manifests would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Sensitivity>,
    pub gates: Vec<GateResult>,
    pub notes: Vec<String>,
}

/// A release and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseResult {
    /// How it fares, in words.
    pub about: String,
    #[serde(flatten)]
    pub summary: Summary,
}

/// The report for machines.
pub fn json(study: &Study) -> String {
    // Numbers and texts only, which always serialize.
    let text = serde_json::to_string_pretty(study).unwrap_or_default();
    format!("{text}\n")
}
