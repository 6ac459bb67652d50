//! What the grammar cannot say: types of operands and arguments, and the rules of matching.

use super::ast::{
    AggregateOp, Binary, Call, Cardinality, Expr, ExprKind, Span, ValueType, VectorSelector,
};
use super::functions::FunctionId;
use super::gofmt::quote;
use super::labels::METRIC_NAME;

type Report<'a> = &'a mut dyn FnMut(Span, String);

/// Checks the tree, reports problems in the order Prometheus finds them, and settles the
/// cardinality of set operators.
pub fn check(expr: &mut Expr, input: &str, report: Report<'_>) {
    check_node(expr, input, false, report);
}

fn check_node(expr: &mut Expr, input: &str, info_selector: bool, report: Report<'_>) -> ValueType {
    let value_type = expr.value_type();
    let span = expr.span;
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => {}
        ExprKind::Vector(selector) => check_selector(selector, span, info_selector, report),
        ExprKind::Matrix(matrix) => {
            check_selector(&matrix.selector, matrix.selector_span, false, report);
        }
        ExprKind::Subquery(subquery) => {
            let inner = check_node(&mut subquery.expr, input, false, report);
            if inner != ValueType::Vector {
                let got = inner.api_name();
                report(
                    span,
                    format!("subquery is only allowed on instant vector, got {got} instead"),
                );
            }
        }
        ExprKind::Paren(inner) => {
            check_node(inner, input, false, report);
        }
        ExprKind::Unary { negative: _, expr } => {
            let inner = check_node(expr, input, false, report);
            if !matches!(inner, ValueType::Scalar | ValueType::Vector) {
                let got = quote(inner.documented());
                report(
                    span,
                    format!(
                        "unary expression only allowed on expressions of type scalar or instant vector, got {got}"
                    ),
                );
            }
        }
        ExprKind::Aggregate(aggregate) => {
            expect(
                &mut aggregate.expr,
                ValueType::Vector,
                "aggregation expression",
                input,
                report,
            );
            let parameter_type = match aggregate.op {
                AggregateOp::CountValues => ValueType::String,
                AggregateOp::Bottomk
                | AggregateOp::Limitk
                | AggregateOp::LimitRatio
                | AggregateOp::Quantile
                | AggregateOp::Topk
                | AggregateOp::Avg
                | AggregateOp::Count
                | AggregateOp::Group
                | AggregateOp::Max
                | AggregateOp::Min
                | AggregateOp::Stddev
                | AggregateOp::Stdvar
                | AggregateOp::Sum => ValueType::Scalar,
            };
            if let Some(parameter) = &mut aggregate.parameter {
                expect(
                    parameter,
                    parameter_type,
                    "aggregation parameter",
                    input,
                    report,
                );
            }
        }
        ExprKind::Binary(binary) => check_binary(binary, span, input, report),
        ExprKind::Call(call) => check_call(call, span, input, report),
    }
    value_type
}

fn expect(expr: &mut Expr, want: ValueType, place: &str, input: &str, report: Report<'_>) {
    let got = check_node(expr, input, false, report);
    if got != want {
        report(
            expr.span,
            format!(
                "expected type {} in {place}, got {}",
                want.documented(),
                got.documented()
            ),
        );
    }
}

fn check_selector(selector: &VectorSelector, span: Span, info_selector: bool, report: Report<'_>) {
    if let Some(name) = &selector.name {
        let in_braces = selector.matchers.len().saturating_sub(1);
        for matcher in selector
            .matchers
            .iter()
            .take(in_braces)
            .filter(|m| m.name == METRIC_NAME)
        {
            report(
                span,
                format!(
                    "metric name must not be set twice: {} or {}",
                    quote(name),
                    quote(&matcher.value)
                ),
            );
        }
        return;
    }
    if !info_selector && selector.matchers.iter().all(|matcher| matcher.matches("")) {
        report(
            span,
            "vector selector must contain at least one non-empty matcher".to_owned(),
        );
    }
}

fn check_binary(binary: &mut Binary, span: Span, input: &str, report: Report<'_>) {
    let lhs = check_node(&mut binary.lhs, input, false, report);
    let rhs = check_node(&mut binary.rhs, input, false, report);
    let op = binary.op;
    let op_span = operator_span(binary, input);
    if binary.return_bool && !op.is_comparison() {
        report(
            op_span,
            "bool modifier can only be used on comparison operators".to_owned(),
        );
    }
    if op.is_comparison()
        && !binary.return_bool
        && lhs == ValueType::Scalar
        && rhs == ValueType::Scalar
    {
        report(
            op_span,
            "comparisons between scalars must use BOOL modifier".to_owned(),
        );
    }
    let Some(matching) = &mut binary.matching else {
        return;
    };
    if op.is_set() && matching.cardinality == Cardinality::OneToOne {
        matching.cardinality = Cardinality::ManyToMany;
    }
    if matching.on {
        for label in matching
            .labels
            .iter()
            .filter(|label| matching.include.contains(label))
        {
            report(
                op_span,
                format!(
                    "label {} must not occur in ON and GROUP clause at once",
                    quote(label)
                ),
            );
        }
    }
    for (value_type, operand) in [(lhs, &binary.lhs), (rhs, &binary.rhs)] {
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            let message = "binary expression must contain only scalar and instant vector types";
            report(operand.span, message.to_owned());
        }
    }
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    if lhs != ValueType::Vector || rhs != ValueType::Vector {
        if !matching.labels.is_empty() {
            report(
                span,
                "vector matching only allowed between instant vectors".to_owned(),
            );
        }
        if fills {
            report(
                span,
                "filling in missing series only allowed between instant vectors".to_owned(),
            );
        }
        binary.matching = None;
    } else if op.is_set() {
        if matching.cardinality != Cardinality::ManyToMany {
            report(
                span,
                format!("no grouping allowed for {} operation", quote(op.text())),
            );
            report(
                span,
                "set operations must always be many-to-many".to_owned(),
            );
        }
        if fills {
            report(
                span,
                "filling in missing series not allowed for set operators".to_owned(),
            );
        }
    }
    if op.is_set() && (lhs == ValueType::Scalar || rhs == ValueType::Scalar) {
        report(
            span,
            format!(
                "set operator {} not allowed in binary scalar expression",
                quote(op.text())
            ),
        );
    }
}

/// The operator with its modifiers: what lies between the operands, without the white space.
fn operator_span(binary: &Binary, input: &str) -> Span {
    let (start, end) = (binary.lhs.span.end, binary.rhs.span.start);
    let between = input.get(start..end).unwrap_or("");
    let leading = between.len() - between.trim_start().len();
    let trailing = between.len() - between.trim_end().len();
    Span::locate(input, start + leading, end.saturating_sub(trailing))
}

fn check_call(call: &mut Call, span: Span, input: &str, report: Report<'_>) {
    let function = call.function;
    let name = quote(function.name);
    let (declared, given) = (function.args.len(), call.args.len());
    match function.variadic {
        0 if declared != given => {
            report(
                span,
                format!("expected {declared} argument(s) in call to {name}, got {given}"),
            );
        }
        0 => {}
        extra => {
            let least = declared - 1;
            if given < least {
                report(
                    span,
                    format!("expected at least {least} argument(s) in call to {name}, got {given}"),
                );
            } else if let Ok(extra) = usize::try_from(extra)
                && given > least + extra
            {
                let most = least + extra;
                report(
                    span,
                    format!("expected at most {most} argument(s) in call to {name}, got {given}"),
                );
            }
        }
    }
    let is_info = function.id == FunctionId::Info;
    if is_info && let Some(second) = call.args.get(1) {
        if second.value_type() != ValueType::Vector {
            let got = second.value_type().documented();
            report(
                span,
                format!("expected type instant vector in call to function {name}, got {got}"),
            );
        }
        match &second.kind {
            ExprKind::Vector(selector) if selector.name.is_some() => {
                report(
                    second.span,
                    "expected label selectors only, got vector selector instead".to_owned(),
                );
            }
            ExprKind::Vector(_) => {}
            _ => report(second.span, "expected label selectors only".to_owned()),
        }
    }
    for (i, arg) in call.args.iter_mut().enumerate() {
        let want = match function.args.get(i).or(function.args.last()) {
            Some(want) if i < declared || function.variadic != 0 => *want,
            _ => break,
        };
        let got = check_node(arg, input, is_info && i == 1, report);
        if got != want {
            report(
                arg.span,
                format!(
                    "expected type {} in call to function {name}, got {}",
                    want.documented(),
                    got.documented()
                ),
            );
        }
    }
}
