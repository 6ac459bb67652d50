//! A query made ready for given times: durations computed, `@ start()` resolved, calls that are
//! constant for the query folded, parts that do not depend on the step marked.

use super::{EvalError, TimeRange};
use crate::promql::ast::{
    AggregateOp, At, BinaryOp, DurationExpr, DurationKind, DurationOp, Expr, ExprKind, Extension,
    Length, Matching, Modifiers, Span, ValueType, VectorSelector,
};
use crate::promql::duration::NANOS_PER_MILLI;
use crate::promql::functions::{Function, FunctionId};
use crate::promql::labels::Matcher;

pub(crate) struct Node<'e> {
    pub kind: NodeKind<'e>,
    pub span: Span,
    pub value_type: ValueType,
}

pub(crate) enum NodeKind<'e> {
    Number(f64),
    Text(&'e str),
    Vector(Selector<'e>),
    Matrix(RangeSelector<'e>),
    Subquery(Box<SubqueryPlan<'e>>),
    Negate(Box<Node<'e>>),
    Binary(Box<BinaryPlan<'e>>),
    Call {
        function: &'static Function,
        args: Vec<Node<'e>>,
    },
    Aggregate(Box<AggregatePlan<'e>>),
    /// The same at every step: evaluated at the first, repeated at the others.
    Fixed(Box<Node<'e>>),
}

#[derive(Clone, Copy)]
pub(crate) struct Selector<'e> {
    pub matchers: &'e [Matcher],
    /// Milliseconds.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub at: Option<i64>,
    pub extension: Extension,
    /// Only count and sum of histograms are needed.
    pub stats_only: bool,
}

pub(crate) struct RangeSelector<'e> {
    pub selector: Selector<'e>,
    pub range_nanos: i64,
}

pub(crate) struct SubqueryPlan<'e> {
    pub node: Node<'e>,
    pub range_nanos: i64,
    /// Milliseconds.
    pub step: Option<i64>,
    /// Milliseconds.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub at: Option<i64>,
}

pub(crate) struct BinaryPlan<'e> {
    pub op: BinaryOp,
    pub lhs: Node<'e>,
    pub rhs: Node<'e>,
    pub matching: Option<&'e Matching>,
    pub return_bool: bool,
}

pub(crate) struct AggregatePlan<'e> {
    pub op: AggregateOp,
    pub node: Node<'e>,
    pub parameter: Option<Node<'e>>,
    pub without: bool,
    pub grouping: &'e [String],
}

/// Prepares an expression.
pub(crate) fn plan<'e>(expr: &'e Expr, times: TimeRange) -> Result<Node<'e>, EvalError> {
    let planned = Planner { times }.node(expr, Stats::default())?;
    Ok(if planned.wrap {
        fixed(planned.node)
    } else {
        planned.node
    })
}

fn fixed(node: Node<'_>) -> Node<'_> {
    Node {
        span: node.span,
        value_type: node.value_type,
        kind: NodeKind::Fixed(Box::new(node)),
    }
}

struct Planned<'e> {
    node: Node<'e>,
    /// Does not depend on the step.
    invariant: bool,
    /// Worth marking as fixed, unless what is around it is.
    wrap: bool,
}

/// Whether the functions around a selector need only count and sum of histograms.
#[derive(Clone, Copy, Default)]
struct Stats {
    enough: bool,
    prevented: bool,
}

struct Planner {
    times: TimeRange,
}

impl Planner {
    fn node<'e>(&self, expr: &'e Expr, stats: Stats) -> Result<Planned<'e>, EvalError> {
        let make = |kind| Node {
            kind,
            span: expr.span,
            value_type: expr.value_type(),
        };
        let constant = |kind| Planned {
            node: make(kind),
            invariant: true,
            wrap: false,
        };
        Ok(match &expr.kind {
            ExprKind::Number(number) => constant(NodeKind::Number(number.value)),
            ExprKind::String(text) => constant(NodeKind::Text(text)),
            ExprKind::Vector(selector) => {
                let selector = self.selector(selector, stats)?;
                let invariant = selector.at.is_some();
                Planned {
                    node: make(NodeKind::Vector(selector)),
                    invariant,
                    wrap: invariant,
                }
            }
            ExprKind::Matrix(matrix) => {
                let selector = self.selector(&matrix.selector, stats)?;
                let range_nanos = self.length(&matrix.range, false)?;
                let invariant = selector.at.is_some();
                let kind = NodeKind::Matrix(RangeSelector {
                    selector,
                    range_nanos,
                });
                Planned {
                    node: make(kind),
                    invariant,
                    wrap: false,
                }
            }
            ExprKind::Subquery(subquery) => {
                let stats = Stats {
                    prevented: true,
                    ..stats
                };
                let inner = self.node(&subquery.expr, stats)?;
                let node = if inner.invariant {
                    fixed(inner.node)
                } else {
                    inner.node
                };
                let (offset, at) = self.modifiers(&subquery.modifiers)?;
                let step = subquery
                    .step
                    .as_ref()
                    .map(|step| self.length(step, false))
                    .transpose()?;
                let kind = NodeKind::Subquery(Box::new(SubqueryPlan {
                    node,
                    range_nanos: self.length(&subquery.range, false)?,
                    step: step
                        .map(|nanos| nanos / NANOS_PER_MILLI)
                        .filter(|millis| *millis != 0),
                    offset,
                    at,
                }));
                Planned {
                    node: make(kind),
                    invariant: at.is_some(),
                    wrap: false,
                }
            }
            ExprKind::Paren(inner) => self.node(inner, stats)?,
            ExprKind::Unary {
                negative: false,
                expr: inner,
            } => {
                let inner = self.node(inner, stats)?;
                Planned {
                    node: Node {
                        span: expr.span,
                        ..inner.node
                    },
                    ..inner
                }
            }
            ExprKind::Unary {
                negative: true,
                expr: inner,
            } => {
                let inner = self.node(inner, stats)?;
                Planned {
                    node: make(NodeKind::Negate(Box::new(inner.node))),
                    ..inner
                }
            }
            ExprKind::Binary(binary) => {
                let trims = matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
                let stats = Stats {
                    prevented: stats.prevented || trims,
                    ..stats
                };
                let lhs = self.node(&binary.lhs, stats)?;
                let rhs = self.node(&binary.rhs, stats)?;
                let invariant = lhs.invariant && rhs.invariant;
                let kind = NodeKind::Binary(Box::new(BinaryPlan {
                    op: binary.op,
                    lhs: if lhs.wrap && !invariant {
                        fixed(lhs.node)
                    } else {
                        lhs.node
                    },
                    rhs: if rhs.wrap && !invariant {
                        fixed(rhs.node)
                    } else {
                        rhs.node
                    },
                    matching: binary.matching.as_ref(),
                    return_bool: binary.return_bool,
                }));
                Planned {
                    node: make(kind),
                    invariant,
                    wrap: invariant,
                }
            }
            ExprKind::Call(call) => match self.folded(call.function.id) {
                Some(value) => constant(NodeKind::Number(value)),
                None => self.call(expr, call.function, &call.args, stats)?,
            },
            ExprKind::Aggregate(aggregate) => {
                let inner = self.node(&aggregate.expr, stats)?;
                let parameter = aggregate
                    .parameter
                    .as_ref()
                    .map(|p| self.node(p, stats))
                    .transpose()?;
                let kind = NodeKind::Aggregate(Box::new(AggregatePlan {
                    op: aggregate.op,
                    node: inner.node,
                    parameter: parameter.map(|parameter| parameter.node),
                    without: aggregate.without,
                    grouping: &aggregate.grouping,
                }));
                Planned {
                    node: make(kind),
                    invariant: inner.invariant,
                    wrap: inner.wrap,
                }
            }
        })
    }

    fn call<'e>(
        &self,
        expr: &'e Expr,
        function: &'static Function,
        args: &'e [Expr],
        stats: Stats,
    ) -> Result<Planned<'e>, EvalError> {
        let stats = match function.id {
            FunctionId::HistogramCount | FunctionId::HistogramSum | FunctionId::HistogramAvg => {
                Stats {
                    enough: true,
                    ..stats
                }
            }
            FunctionId::HistogramQuantile
            | FunctionId::HistogramQuantiles
            | FunctionId::HistogramFraction => Stats {
                prevented: true,
                ..stats
            },
            _ => stats,
        };
        let mut invariant = !depends_on_step(function.id);
        let mut timestamps_of_fixed = function.id == FunctionId::Timestamp;
        let mut planned = Vec::with_capacity(args.len());
        for arg in args {
            let arg = self.node(arg, stats)?;
            invariant &= arg.invariant;
            timestamps_of_fixed &= arg.invariant && matches!(arg.node.kind, NodeKind::Vector(_));
            planned.push(arg);
        }
        let whole = invariant || timestamps_of_fixed;
        let args = planned
            .into_iter()
            .map(|arg| {
                if arg.wrap && !whole {
                    fixed(arg.node)
                } else {
                    arg.node
                }
            })
            .collect();
        let kind = NodeKind::Call { function, args };
        let node = Node {
            kind,
            span: expr.span,
            value_type: expr.value_type(),
        };
        Ok(Planned {
            node,
            invariant: whole,
            wrap: whole,
        })
    }

    /// Calls that mean a number once the query's times are known.
    fn folded(&self, id: FunctionId) -> Option<f64> {
        let TimeRange { start, end, step } = self.times;
        match id {
            FunctionId::Start => Some(start as f64 / 1000.0),
            FunctionId::End => Some(end as f64 / 1000.0),
            FunctionId::Range => Some(end.saturating_sub(start) as f64 / 1000.0),
            FunctionId::Step => Some(if start == end {
                0.0
            } else {
                step as f64 / 1000.0
            }),
            _ => None,
        }
    }

    fn selector<'e>(
        &self,
        selector: &'e VectorSelector,
        stats: Stats,
    ) -> Result<Selector<'e>, EvalError> {
        let (offset, at) = self.modifiers(&selector.modifiers)?;
        Ok(Selector {
            matchers: &selector.matchers,
            offset,
            at,
            extension: selector.extension,
            stats_only: stats.enough && !stats.prevented,
        })
    }

    fn modifiers(&self, modifiers: &Modifiers) -> Result<(i64, Option<i64>), EvalError> {
        let offset = match &modifiers.offset {
            Some(offset) => self.length(offset, true)? / NANOS_PER_MILLI,
            None => 0,
        };
        let at = modifiers.at.map(|at| match at {
            At::Time(time) => time,
            At::Start => self.times.start,
            At::End => self.times.end,
        });
        Ok((offset, at))
    }

    /// Nanoseconds.
    fn length(&self, length: &Length, may_be_negative: bool) -> Result<i64, EvalError> {
        let expr = match length {
            Length::Fixed(nanos) => return Ok(*nanos),
            Length::Computed(expr) => expr,
        };
        let seconds = self.duration(expr)?;
        let problem = if !seconds.is_finite() {
            "duration is NaN or infinite"
        } else if seconds <= 0.0 && !may_be_negative {
            "duration must be greater than 0"
        } else if seconds.abs() > i64::MAX as f64 / 1e9 {
            "duration is out of range"
        } else {
            return Ok(((seconds * 1000.0) as i64).saturating_mul(NANOS_PER_MILLI));
        };
        Err(duration_error(expr, problem))
    }

    /// Seconds.
    fn duration(&self, expr: &DurationExpr) -> Result<f64, EvalError> {
        let TimeRange { start, end, step } = self.times;
        Ok(match &expr.kind {
            DurationKind::Number(number) => number.value,
            DurationKind::Step => step as f64 / 1000.0,
            DurationKind::Range => end.saturating_sub(start) as f64 / 1000.0,
            DurationKind::MinOf(a, b) => go_min(self.duration(a)?, self.duration(b)?),
            DurationKind::MaxOf(a, b) => go_max(self.duration(a)?, self.duration(b)?),
            DurationKind::Plus(inner) => self.duration(inner)?,
            DurationKind::Minus(inner) => -self.duration(inner)?,
            DurationKind::Binary(op, a, b) => {
                let (a, b) = (self.duration(a)?, self.duration(b)?);
                match op {
                    DurationOp::Add => a + b,
                    DurationOp::Sub => a - b,
                    DurationOp::Mul => a * b,
                    DurationOp::Div if b == 0.0 => {
                        return Err(duration_error(expr, "division by zero"));
                    }
                    DurationOp::Div => a / b,
                    DurationOp::Mod if b == 0.0 => {
                        return Err(duration_error(expr, "modulo by zero"));
                    }
                    DurationOp::Mod => a % b,
                    DurationOp::Pow => a.powf(b),
                }
            }
        })
    }
}

fn duration_error(expr: &DurationExpr, problem: &str) -> EvalError {
    EvalError::execution(format!("{}:{}: {problem}", expr.span.start, expr.span.end))
}

/// Go's `math.Max`: an infinity wins over NaN, NaN over the rest.
pub(crate) fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && a == b {
        if a.is_sign_negative() { b } else { a }
    } else if a > b {
        a
    } else {
        b
    }
}

/// Go's `math.Min`.
pub(crate) fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}

/// Whether a function's result changes with the evaluation time although its arguments do not.
fn depends_on_step(id: FunctionId) -> bool {
    matches!(
        id,
        FunctionId::DaysInMonth
            | FunctionId::DayOfMonth
            | FunctionId::DayOfWeek
            | FunctionId::DayOfYear
            | FunctionId::End
            | FunctionId::Hour
            | FunctionId::Minute
            | FunctionId::Month
            | FunctionId::Year
            | FunctionId::PredictLinear
            | FunctionId::Range
            | FunctionId::Start
            | FunctionId::Step
            | FunctionId::Time
            | FunctionId::Timestamp
    )
}
