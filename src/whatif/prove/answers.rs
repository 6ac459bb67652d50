//! What a provider may answer to a metric, and what that says.

use serde_json::{Value, json};

use crate::promql::ast::{BinaryOp, Expr, ExprKind};
use crate::promql::eval::SampleValue;
use crate::promql::{self, Engine, Store, parse};
use crate::sim::explore::Asked;
use crate::spec::analysis::AnalysisPhase;

/// An answer that is possible.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Possible {
    pub value: Value,
    /// Whether it is a success that rests on data.
    pub is_evidence: bool,
}

/// All answers that make a difference: one of each phase that conditions give to data, an error, no
/// data as the provider would answer, and not a number where the query can come to that.
pub(super) fn possible(asked: &Asked) -> Vec<Possible> {
    let mut all: Vec<Possible> = asked
        .judged
        .iter()
        .map(|(phase, value)| Possible {
            value: value.clone(),
            is_evidence: *phase == AnalysisPhase::Successful,
        })
        .collect();
    let mut add = |value: Value| {
        all.push(Possible {
            value,
            is_evidence: false,
        });
    };
    // Other providers report missing data as an error or in ways of their own.
    if let Some(prometheus) = &asked.metric.provider.prometheus
        && let Ok(query) = parse(&prometheus.query)
    {
        if let Some(value) = without_series(&query) {
            add(value);
        }
        if can_be_nan(&query) {
            add(json!("NaN"));
        }
    }
    add(json!("error"));
    all
}

/// An answer of a failing version, where conditions can tell.
pub(super) fn bad(asked: &Asked) -> Option<Value> {
    let bad = asked
        .judged
        .iter()
        .find(|(phase, _)| *phase == AnalysisPhase::Failed);
    bad.map(|(_, value)| value.clone())
}

/// An answer of a healthy version.
pub(super) fn good(asked: &Asked) -> Value {
    let good = asked
        .judged
        .iter()
        .find(|(phase, _)| *phase == AnalysisPhase::Successful);
    good.map_or(json!(1), |(_, value)| value.clone())
}

/// What a server without any series answers; none to a query that asks just that.
fn without_series(query: &Expr) -> Option<Value> {
    if !query.reads_series() || any(query, &|expr| is_call(expr, "absent")) {
        return None;
    }
    let outcome = Engine::default().instant(&Store::new(), query, 0).ok()?;
    match outcome.value {
        promql::Value::Vector(samples) => samples
            .iter()
            .map(|sample| match &sample.value {
                SampleValue::Float(value) => Some(number(*value)),
                SampleValue::Histogram(_) => None,
            })
            .collect(),
        promql::Value::Scalar(value) => Some(json!([number(value)])),
        promql::Value::Matrix(_) | promql::Value::String(_) => None,
    }
}

fn number(value: f64) -> Value {
    if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "Inf" } else { "-Inf" })
    } else {
        json!(value)
    }
}

/// Whether a version without requests can bring the query to 0/0 or to a quantile of nothing. A
/// denominator that is compared is taken to leave zero out.
fn can_be_nan(query: &Expr) -> bool {
    any(query, &|expr| match &expr.kind {
        ExprKind::Binary(binary) => {
            let compares = |expr: &Expr| match &expr.unparenthesized().kind {
                ExprKind::Binary(inner) => matches!(
                    inner.op,
                    BinaryOp::Gt | BinaryOp::Ge | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le
                ),
                _ => false,
            };
            binary.op == BinaryOp::Div && binary.rhs.reads_series() && !compares(&binary.rhs)
        }
        _ => is_call(expr, "histogram_quantile"),
    })
}

fn is_call(expr: &Expr, start: &str) -> bool {
    match &expr.kind {
        ExprKind::Call(call) => call.function.name.starts_with(start),
        _ => false,
    }
}

fn any(query: &Expr, holds: &dyn Fn(&Expr) -> bool) -> bool {
    let mut pending = vec![query];
    while let Some(expr) = pending.pop() {
        if holds(expr) {
            return true;
        }
        pending.extend(expr.children());
    }
    false
}
