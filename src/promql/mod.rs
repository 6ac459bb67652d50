//! PromQL as of Prometheus 3.15: parsed with a span on every node, printed back, and evaluated
//! offline over series in memory.
//!
//! ```
//! use rollproof::promql::{Engine, Store, Value, notation, parse};
//!
//! let mut store = Store::new();
//! notation::load(&mut store, "load 30s\n  requests_total{code=\"200\"} 0+60x20").unwrap();
//! let expr = parse("sum(rate(requests_total[5m]))").unwrap();
//! let outcome = Engine::default().instant(&store, &expr, 600_000).unwrap();
//! assert!(matches!(outcome.value, Value::Vector(samples) if samples.len() == 1));
//! ```
//!
//! # Parts
//!
//! | module | job |
//! |---|---|
//! | `lexer`, `parser`, `typecheck` | text to a checked tree, with Prometheus' messages |
//! | [`ast`], [`printer`] | the tree; the tree as text, on one line or laid out |
//! | [`labels`], `regexp` | label sets, matchers, regular expressions in Go's dialect |
//! | [`series`], [`notation`] | the store; series in promtool's notation |
//! | [`load`] | traces from files: OpenMetrics, dumps, CSV, JSON of the HTTP API |
//! | [`histogram`] | native histograms: layouts, sums, trims |
//! | [`eval`], [`functions`], `aggregations`, `binary` | the engine and what it can call |
//! | [`annotations`] | warnings and infos beside a result |
//! | [`gofmt`], [`duration`] | numbers, strings and durations as Prometheus writes them |
//!
//! # What holds
//!
//! No clock: the time of a query is an argument. No input panics: trees are bounded in height,
//! evaluations in samples held and work done. Series come out in a defined order: that of the
//! store within an instant vector, that of labels in a matrix. Errors and annotations have the
//! texts that Prometheus' users know. Everything experimental is on, except what changes the
//! results of other queries; that is in [`Settings`].
//!
//! Source of the rules: the behaviour of Prometheus' engine as recorded in `shared/promql`, and
//! its documentation. Where its engine shows its own works, such as the count of samples in the
//! note on forced monotonicity, that is followed too.

mod aggregations;
pub mod annotations;
pub mod ast;
mod binary;
pub mod diagnose;
pub mod duration;
pub mod eval;
pub mod functions;
pub mod gofmt;
pub mod histogram;
pub mod http_api;
mod kahan;
pub mod labels;
mod lexer;
pub mod load;
pub mod notation;
mod parser;
pub mod printer;
pub mod query_time;
mod regexp;
pub mod series;
mod times;
mod typecheck;

pub use eval::{Engine, EvalError, Outcome, Recall, Settings, Value};
pub use functions::quantile::almost_equal;
pub use parser::{ParseError, ParseErrors, parse};
pub use series::Store;
