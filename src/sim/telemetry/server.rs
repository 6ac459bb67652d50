//! What a Prometheus server answers to a provider: its HTTP API over a store.

use crate::promql::ast::Expr;
use crate::promql::diagnose::{Asked, explain_empty};
use crate::promql::eval::ErrorKind;
use crate::promql::query_time::Extent;
use crate::promql::{Engine, EvalError, Outcome, ParseErrors, Recall, Store, http_api};
use crate::providers::Response;
use crate::providers::prometheus::Times;
use crate::time::{Duration, Timestamp};

/// Most steps of a range query.
const MAX_STEPS: i64 = 11_000;

/// What a stock server that holds these series finds; otherwise what it answers. That of a success
/// need not be written only to be read again.
pub(super) fn answer(
    store: &Store,
    expr: &Result<Expr, ParseErrors>,
    times: Times,
    recall: &mut Recall,
) -> Result<Outcome, Response> {
    let engine = Engine::default();
    let found = match times {
        Times::Instant(at) => {
            engine.instant_recalling(store, parsed(expr)?, millis(at), Some(recall))
        }
        Times::Range { start, end, step } => {
            check_range(start, end, step)?;
            let (start, end) = (millis(start), millis(end));
            engine.range(store, parsed(expr)?, start, end, step.as_millis())
        }
    };
    found.map_err(|error| evaluation_failed(&error))
}

/// Why a query gives nothing, in words.
pub(super) fn why_empty(store: &Store, expr: &Expr, times: Times) -> Vec<String> {
    let asked = match times {
        Times::Instant(at) => Asked {
            start: millis(at),
            end: millis(at),
            step: 0,
        },
        Times::Range { start, end, step } => Asked {
            start: millis(start),
            end: millis(end),
            step: step.as_millis(),
        },
    };
    let sampled = || {
        store
            .series()
            .flat_map(|(_, data)| data.floats().map(|(time, _)| time))
    };
    let extent = Extent {
        first: sampled().min().unwrap_or_default(),
        last: sampled().max().unwrap_or_default(),
    };
    explain_empty(&Engine::default(), store, expr, asked, extent)
        .into_iter()
        .map(|finding| match finding.help {
            Some(help) => format!("{} ({help})", finding.message),
            None => finding.message,
        })
        .collect()
}

pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_nanos().div_euclid(1_000_000)
}

fn parsed(expr: &Result<Expr, ParseErrors>) -> Result<&Expr, Response> {
    expr.as_ref().map_err(|errors| {
        let body = http_api::bad_parameter("query", &errors.to_string());
        Response::status(400, body.to_string())
    })
}

fn check_range(start: Timestamp, end: Timestamp, step: Duration) -> Result<(), Response> {
    let refused = if end < start {
        http_api::bad_parameter("end", "end timestamp must not be before start time")
    } else if step.as_millis() <= 0 {
        http_api::bad_parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        )
    } else if end.since(start).as_nanos() / step.as_nanos() > MAX_STEPS {
        http_api::bad_request(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        )
    } else {
        return Ok(());
    };
    Err(Response::status(400, refused.to_string()))
}

fn evaluation_failed(error: &EvalError) -> Response {
    let status = match error.kind {
        ErrorKind::Execution | ErrorKind::TooManySamples => 422,
        ErrorKind::Timeout => 503,
    };
    Response::status(status, http_api::failure(error).to_string())
}
