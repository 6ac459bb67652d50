//! The language of `successCondition` and `failureCondition`: expr-lang 1.17.8 as Argo Rollouts
//! 1.10 calls it.
//!
//! # How a condition is read
//!
//! | step | module | job |
//! |---|---|---|
//! | 1 | `lexer` | text to tokens |
//! | 2 | `parser`, `ast` | tokens to a tree; every node keeps its place |
//! | 3 | `check`, `check_builtin`, `types` | static types, with the type of the metric's result |
//! | 4 | `optimize` | the rewriting that the reference does, which decides what errors are reached |
//! | 5 | `eval`, `ops`, `builtins`, `methods` | the value |
//!
//! Beside them: `value` (values keep their Go type), `builtin` (names and signatures), `number`,
//! `strings`, `regexp`, `quote`, `format`, `sort` (what Go does with these), `moment` and `layout`
//! (times), `budget` (what an evaluation may use up), `error`.
//!
//! # What is the same, however odd
//!
//! `findLast` and `findLastIndex` leave bools on the stack of the reference: as anything but the
//! first operand they replace the operand before them (`1 == findLastIndex(a, p)` is an error).
//! Literals in `in` match only their own type (`x in ['a']` fails for a number `x`). `isNil(x)` and
//! `default(x, d)` look at the result, not at `x`.
//!
//! # What differs from the reference
//!
//! Maps have the order of their keys. `now()` is an argument. The zone `Local` is UTC. Conditions
//! nest 64 levels deep, rows of operators 256, values that a condition builds 512; an evaluation
//! ends after 20 million steps or 64 MiB. Sorting more than 12 elements keeps equal ones in order.
//! Powers with fractional exponents may differ in the last bit.

mod ast;
mod budget;
mod builtin;
mod builtins;
mod check;
mod check_builtin;
mod error;
mod eval;
mod format;
mod layout;
mod lexer;
mod methods;
mod moment;
mod number;
mod ops;
mod optimize;
mod parser;
mod quote;
mod regexp;
mod sort;
mod strings;
mod types;
mod value;

pub use error::{ConditionError, Error, Stage};
pub use moment::{Moment, Zone};
pub use types::{
    ArrayKind, EnvironmentFunction, FieldType, Function, MapKind, Method, MethodInfo, Signature,
    StructKind, Type,
};
pub use value::{Array, Key, Map, OrderedFloat, Struct, Text, Value};

pub use builtin::Builtin;

use std::sync::{Arc, LazyLock};

use crate::time::Timestamp;

/// A condition that was checked against the type of a result.
#[derive(Clone, Debug)]
pub struct Program {
    tree: ast::Node,
    value_type: Type,
    /// Whether the result and the functions of Argo Rollouts are in sight.
    has_environment: bool,
}

impl Program {
    /// The type that the value will have; unknown where it depends on the result.
    pub fn value_type(&self) -> &Type {
        &self.value_type
    }

    /// The value of the condition for `result`, which should be of the type that was compiled for.
    /// `now` is what `now()` gives.
    ///
    /// # Errors
    /// What cannot be computed; `now()` without a time.
    pub fn eval(&self, result: &Value, now: Option<Timestamp>) -> Result<Value, Error> {
        let inputs = eval::Inputs {
            result: self.has_environment.then_some(result),
            now,
        };
        eval::eval(&self.tree, &inputs)
    }

    /// Whether it holds for `result`; see [`evaluate_condition`].
    ///
    /// # Errors
    /// A condition that cannot be computed, or is no bool.
    pub fn holds(&self, result: &Value, now: Option<Timestamp>) -> Result<bool, ConditionError> {
        match self.eval(result, now)? {
            Value::Bool(verdict) => Ok(verdict),
            other => Err(ConditionError::NotBool(other.type_name())),
        }
    }
}

/// What conditions see beside their result.
static FUNCTIONS: LazyLock<check::Environment> = LazyLock::new(|| {
    EnvironmentFunction::ALL
        .into_iter()
        .map(|function| {
            let ty = Type::Function(Arc::new(function.signature()));
            (function.name().to_owned(), ty)
        })
        .collect()
});

/// Compiles a condition for results of a type.
///
/// # Errors
/// Syntax and type errors, also in parts that would not be reached.
pub fn compile(source: &str, result_type: &Type) -> Result<Program, Error> {
    let mut environment = FUNCTIONS.clone();
    environment.insert("result".to_owned(), result_type.clone());
    compile_in(source, &environment, true)
}

/// The instant that an expression of time gives, with `isNaN` and `isInf` in sight beside the
/// language itself (argo-rollouts `utils/evaluate`).
///
/// # Errors
/// Expressions that do not compile, cannot be computed, or give no time; in the reference's words.
pub fn evaluate_time(expression: &str, now: Timestamp) -> Result<Timestamp, String> {
    let environment = [EnvironmentFunction::IsNaN, EnvironmentFunction::IsInf]
        .into_iter()
        .map(|function| {
            let ty = Type::Function(Arc::new(function.signature()));
            (function.name().to_owned(), ty)
        })
        .collect();
    let value = compile_in(expression, &environment, true)
        .and_then(|program| program.eval(&Value::Nil, Some(now)))
        .map_err(|error| error.to_string())?;
    match value {
        Value::Time(moment) => {
            let nanos = moment
                .instant()
                .clamp(i128::from(i64::MIN), i128::from(i64::MAX));
            Ok(Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(0)))
        }
        other => Err(format!("expected time.Time, but got {}", other.type_name())),
    }
}

/// Compiles an expression of the language itself, without a result.
///
/// # Errors
/// See [`compile`].
pub fn compile_plain(source: &str) -> Result<Program, Error> {
    compile_in(source, &check::Environment::new(), false)
}

fn compile_in(
    source: &str,
    environment: &check::Environment,
    has_environment: bool,
) -> Result<Program, Error> {
    let mut tree = parser::parse(source, &|name| environment.contains_key(name))?;
    check::check(&mut tree, environment)?;
    let value_type = tree.ty.clone();
    optimize::optimize(&mut tree)?;
    Ok(Program {
        tree,
        value_type,
        has_environment,
    })
}

/// Whether `condition` holds for `result`, as the analysis of Argo Rollouts 1.10 decides it.
///
/// The condition is compiled with the type of this very result. `now` is what `now()` gives.
///
/// # Errors
/// Conditions that do not compile, cannot be computed, or are no bool. `Display` has the
/// reference's text.
pub fn evaluate_condition(
    condition: &str,
    result: &Value,
    now: Option<Timestamp>,
) -> Result<bool, ConditionError> {
    compile(condition, &Type::of(result))?.holds(result, now)
}
