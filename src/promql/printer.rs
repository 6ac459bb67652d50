//! The tree back to PromQL: on one line (`Display`), or laid out over several (`pretty`).

use std::fmt::{self, Display, Formatter};

use super::ast::{
    Aggregate, At, Binary, BinaryOp, Cardinality, DurationExpr, DurationKind, Expr, ExprKind,
    Extension, Length, Matching, MatrixSelector, Modifiers, NumberLiteral, Subquery,
    VectorSelector,
};
use super::labels::{METRIC_NAME, MatchOp, display_name};
use super::{duration, gofmt};

/// A line longer than this many characters is split where the grammar allows.
const LINE_WIDTH: usize = 100;

/// Lays the expression out over several lines, two spaces a level; short parts stay on one line.
pub fn pretty(expr: &Expr) -> String {
    let mut out = String::new();
    pretty_into(expr, 0, &mut out);
    out
}

/// The base `Inf` of a power without the sign that it has elsewhere: read again, the sign would
/// apply to the power, and be printed once more.
fn infinite_base(binary: &Binary) -> Option<&'static str> {
    match binary.lhs.kind {
        ExprKind::Number(number) if number.value == f64::INFINITY => {
            (binary.op == BinaryOp::Pow).then_some("Inf")
        }
        ExprKind::Number(_)
        | ExprKind::String(_)
        | ExprKind::Vector(_)
        | ExprKind::Matrix(_)
        | ExprKind::Subquery(_)
        | ExprKind::Paren(_)
        | ExprKind::Unary { .. }
        | ExprKind::Binary(_)
        | ExprKind::Call(_)
        | ExprKind::Aggregate(_) => None,
    }
}

fn indent(level: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", level));
}

fn pretty_into(expr: &Expr, level: usize, out: &mut String) {
    let line = expr.to_string();
    if line.len() <= LINE_WIDTH {
        indent(level, out);
        out.push_str(&line);
        return;
    }
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Vector(_) | ExprKind::Matrix(_) => {
            indent(level, out);
            out.push_str(&line);
        }
        ExprKind::Subquery(subquery) => {
            pretty_into(&subquery.expr, level, out);
            out.push_str(&subquery_suffix(subquery));
        }
        ExprKind::Paren(inner) => pretty_block("(", &[inner], level, out),
        ExprKind::Unary { negative, expr } => {
            let mut operand = String::new();
            pretty_into(expr, level, &mut operand);
            indent(level, out);
            out.push(if *negative { '-' } else { '+' });
            out.push_str(operand.trim_start());
        }
        ExprKind::Binary(binary) => {
            match infinite_base(binary) {
                Some(base) => {
                    indent(level + 1, out);
                    out.push_str(base);
                }
                None => pretty_into(&binary.lhs, level + 1, out),
            }
            out.push('\n');
            indent(level, out);
            out.push_str(&operator_text(binary));
            out.push('\n');
            pretty_into(&binary.rhs, level + 1, out);
        }
        ExprKind::Call(call) => {
            let args: Vec<&Expr> = call.args.iter().collect();
            pretty_block(&format!("{}(", call.function.name), &args, level, out);
        }
        ExprKind::Aggregate(aggregate) => {
            let args: Vec<&Expr> = aggregate
                .parameter
                .iter()
                .chain(std::iter::once(&aggregate.expr))
                .collect();
            pretty_block(
                &format!("{}(", aggregate_head(aggregate)),
                &args,
                level,
                out,
            );
        }
    }
}

fn pretty_block(head: &str, parts: &[&Expr], level: usize, out: &mut String) {
    indent(level, out);
    out.push_str(head);
    out.push('\n');
    for (i, part) in parts.iter().enumerate() {
        pretty_into(part, level + 1, out);
        out.push_str(if i + 1 < parts.len() { ",\n" } else { "\n" });
    }
    indent(level, out);
    out.push(')');
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(number) => number.fmt(f),
            ExprKind::String(text) => f.write_str(&gofmt::quote(text)),
            ExprKind::Vector(selector) => {
                write_selector(selector, f)?;
                write_at(&selector.modifiers, f)?;
                write_extension(selector.extension, f)?;
                write_offset(&selector.modifiers, f)
            }
            ExprKind::Matrix(MatrixSelector {
                selector,
                selector_span: _,
                range,
            }) => {
                write_selector(selector, f)?;
                write!(f, "[{range}]")?;
                write_extension(selector.extension, f)?;
                write_at(&selector.modifiers, f)?;
                write_offset(&selector.modifiers, f)
            }
            ExprKind::Subquery(subquery) => {
                write!(f, "{}{}", subquery.expr, subquery_suffix(subquery))
            }
            ExprKind::Paren(inner) => write!(f, "({inner})"),
            ExprKind::Unary { negative, expr } => {
                write!(f, "{}{expr}", if *negative { '-' } else { '+' })
            }
            ExprKind::Binary(binary) => {
                match infinite_base(binary) {
                    Some(base) => f.write_str(base)?,
                    None => binary.lhs.fmt(f)?,
                }
                write!(f, " {} {}", operator_text(binary), binary.rhs)
            }
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                for (i, arg) in call.args.iter().enumerate() {
                    write!(f, "{}{arg}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            ExprKind::Aggregate(aggregate) => {
                write!(f, "{}(", aggregate_head(aggregate))?;
                if let Some(parameter) = &aggregate.parameter {
                    write!(f, "{parameter}, ")?;
                }
                write!(f, "{})", aggregate.expr)
            }
        }
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_duration {
            f.write_str(&signed_duration((self.value * 1e9) as i64))
        } else {
            f.write_str(&gofmt::format_f(self.value))
        }
    }
}

impl Display for Length {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(nanos) => f.write_str(&signed_duration(*nanos)),
            Self::Computed(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.wrapped {
            f.write_str("(")?;
        }
        match &self.kind {
            DurationKind::Number(number) => number.fmt(f)?,
            DurationKind::Step => f.write_str("step()")?,
            DurationKind::Range => f.write_str("range()")?,
            DurationKind::MinOf(a, b) => write!(f, "min_of({a}, {b})")?,
            DurationKind::MaxOf(a, b) => write!(f, "max_of({a}, {b})")?,
            DurationKind::Plus(inner) => inner.fmt(f)?,
            DurationKind::Minus(inner) => write!(f, "-{inner}")?,
            DurationKind::Binary(op, a, b) => write!(f, "{a} {} {b}", op.text())?,
        }
        if self.wrapped {
            f.write_str(")")?;
        }
        Ok(())
    }
}

fn signed_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    format!("{sign}{}", duration::format_nanos(nanos.saturating_abs()))
}

fn write_selector(selector: &VectorSelector, f: &mut Formatter<'_>) -> fmt::Result {
    let name = selector.name.as_deref().unwrap_or("");
    f.write_str(name)?;
    let mut matchers: Vec<String> = selector
        .matchers
        .iter()
        .filter(|m| {
            !(m.name == METRIC_NAME
                && m.op == MatchOp::Equal
                && m.value == name
                && !name.is_empty())
        })
        .map(ToString::to_string)
        .collect();
    matchers.sort();
    if !matchers.is_empty() || name.is_empty() {
        write!(f, "{{{}}}", matchers.join(","))?;
    }
    Ok(())
}

fn write_at(modifiers: &Modifiers, f: &mut Formatter<'_>) -> fmt::Result {
    match modifiers.at {
        None => Ok(()),
        Some(At::Time(millis)) => write!(f, " @ {:.3}", millis as f64 / 1000.0),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
    }
}

fn write_extension(extension: Extension, f: &mut Formatter<'_>) -> fmt::Result {
    match extension {
        Extension::None => Ok(()),
        Extension::Anchored => f.write_str(" anchored"),
        Extension::Smoothed => f.write_str(" smoothed"),
    }
}

fn write_offset(modifiers: &Modifiers, f: &mut Formatter<'_>) -> fmt::Result {
    match &modifiers.offset {
        None | Some(Length::Fixed(0)) => Ok(()),
        Some(offset) => write!(f, " offset {offset}"),
    }
}

fn subquery_suffix(subquery: &Subquery) -> String {
    struct Suffix<'a>(&'a Subquery);
    impl Display for Suffix<'_> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            write!(f, "[{}:", self.0.range)?;
            if let Some(step) = &self.0.step {
                step.fmt(f)?;
            }
            f.write_str("]")?;
            write_at(&self.0.modifiers, f)?;
            write_offset(&self.0.modifiers, f)
        }
    }
    Suffix(subquery).to_string()
}

fn join_names(names: &[String]) -> String {
    names
        .iter()
        .map(|name| display_name(name))
        .collect::<Vec<_>>()
        .join(", ")
}

fn aggregate_head(aggregate: &Aggregate) -> String {
    let op = aggregate.op.text();
    if aggregate.without {
        format!("{op} without ({}) ", join_names(&aggregate.grouping))
    } else if aggregate.grouping.is_empty() {
        op.to_owned()
    } else {
        format!("{op} by ({}) ", join_names(&aggregate.grouping))
    }
}

fn operator_text(binary: &Binary) -> String {
    let mut out = binary.op.text().to_owned();
    if binary.return_bool {
        out.push_str(" bool");
    }
    let Some(Matching {
        cardinality,
        on,
        labels,
        include,
        fill_left,
        fill_right,
    }) = &binary.matching
    else {
        return out;
    };
    let side = match cardinality {
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
        Cardinality::ManyToOne => Some("left"),
        Cardinality::OneToMany => Some("right"),
    };
    if !labels.is_empty() || *on || side.is_some() {
        let word = if *on { "on" } else { "ignoring" };
        out.push_str(&format!(" {word} ({})", join_names(labels)));
    }
    if let Some(side) = side {
        out.push_str(&format!(" group_{side} ({})", join_names(include)));
    }
    match (fill_left, fill_right) {
        (Some(left), Some(right)) if left == right => {
            out.push_str(&format!(" fill ({})", gofmt::format_g(*left)));
        }
        _ => {
            if let Some(left) = fill_left {
                out.push_str(&format!(" fill_left ({})", gofmt::format_g(*left)));
            }
            if let Some(right) = fill_right {
                out.push_str(&format!(" fill_right ({})", gofmt::format_g(*right)));
            }
        }
    }
    out
}
