//! Builtins whose arguments are checked by a rule of their own instead of a signature.

use super::builtin::Builtin;
use super::types::{ArrayKind, Kind, MapKind, Type};

/// The type of a call with arguments of these types.
///
/// # Errors
/// The text of the first argument that cannot work.
pub fn validate(builtin: Builtin, arguments: &[Type]) -> Result<Type, String> {
    let count = arguments.len();
    let name = builtin.name();
    let one = || match arguments {
        [only] => Ok(only),
        _ => Err(format!(
            "invalid number of arguments (expected 1, got {count})"
        )),
    };
    let any_array = || Type::Array(ArrayKind::Any, None);
    let is_sequence = |kind: Kind| matches!(kind, Kind::Interface | Kind::Slice | Kind::Array);
    let is_map = |kind: Kind| matches!(kind, Kind::Interface | Kind::Map);
    let is_number = |kind: Kind| matches!(kind, Kind::Int | Kind::Int64 | Kind::Byte | Kind::Float);
    match builtin {
        Builtin::Len => {
            let argument = one()?;
            match kind(argument) {
                Kind::Array | Kind::Slice | Kind::Map | Kind::String | Kind::Interface => {
                    Ok(Type::Int)
                }
                _ => Err(invalid(name, argument)),
            }
        }
        Builtin::Abs | Builtin::Ceil | Builtin::Floor | Builtin::Round => {
            let argument = one()?;
            let kind = kind(argument);
            if !is_number(kind) && kind != Kind::Interface {
                return Err(invalid(name, argument));
            }
            Ok(if builtin == Builtin::Abs {
                argument.go_type()
            } else {
                Type::Float
            })
        }
        Builtin::Int | Builtin::Float => {
            let argument = one()?;
            let kind = kind(argument);
            if !is_number(kind) && !matches!(kind, Kind::Interface | Kind::String) {
                return Err(invalid(name, argument));
            }
            Ok(if builtin == Builtin::Int {
                Type::Int
            } else {
                Type::Float
            })
        }
        Builtin::Max | Builtin::Min | Builtin::Mean | Builtin::Median => {
            let Some(first) = arguments.first() else {
                return Err(format!("not enough arguments to call {name}"));
            };
            for argument in arguments {
                let kind = kind(argument);
                if is_sequence(kind) {
                    return Ok(Type::Any);
                }
                if !is_number(kind) {
                    return Err(invalid(name, argument));
                }
            }
            Ok(first.go_type())
        }
        Builtin::Now => match arguments {
            [] | [Type::Location] => Ok(Type::Time),
            _ => Err(format!(
                "invalid number of arguments (expected 0, got {count})"
            )),
        },
        Builtin::Date => {
            if count < 1 {
                return Err(format!(
                    "invalid number of arguments (expected at least 1, got {count})"
                ));
            }
            let rest = count - usize::from(arguments.first() == Some(&Type::Location));
            if rest > 3 {
                return Err(format!(
                    "invalid number of arguments (expected at most 3, got {rest})"
                ));
            }
            Ok(Type::Time)
        }
        Builtin::First | Builtin::Last => {
            let argument = one()?;
            match kind(argument) {
                Kind::Interface => Ok(Type::Any),
                Kind::Slice | Kind::Array => Ok(argument.deref().go_type().element()),
                _ => Err(format!(
                    "cannot get {name} element from {}",
                    type_name(argument)
                )),
            }
        }
        Builtin::Take => {
            let [array, number] = arguments else {
                return Err(format!(
                    "invalid number of arguments (expected 2, got {count})"
                ));
            };
            if !is_sequence(kind(array)) {
                return Err(format!("cannot take from {}", type_name(array)));
            }
            if !matches!(kind(number), Kind::Interface | Kind::Int | Kind::Int64) {
                return Err(format!("cannot take {} elements", type_name(number)));
            }
            Ok(array.go_type())
        }
        Builtin::Keys | Builtin::Values => {
            let argument = one()?;
            if !is_map(kind(argument)) {
                return Err(format!("cannot get {name} from {}", type_name(argument)));
            }
            Ok(any_array())
        }
        Builtin::ToPairs => {
            let argument = one()?;
            if !is_map(kind(argument)) {
                return Err(format!("cannot transform {} to pairs", type_name(argument)));
            }
            Ok(any_array())
        }
        Builtin::FromPairs => {
            let argument = one()?;
            if !is_sequence(kind(argument)) {
                return Err(format!(
                    "cannot transform {} from pairs",
                    type_name(argument)
                ));
            }
            Ok(Type::Map(MapKind::AnyAny))
        }
        Builtin::Reverse | Builtin::Uniq | Builtin::Flatten => {
            let argument = one()?;
            if !is_sequence(kind(argument)) {
                return Err(format!("cannot {name} {}", type_name(argument)));
            }
            Ok(any_array())
        }
        Builtin::Concat => {
            if arguments.is_empty() {
                return Err("invalid number of arguments (expected at least 1, got 0)".to_owned());
            }
            for argument in arguments {
                if !is_sequence(kind(argument)) {
                    return Err(format!("cannot concat {}", type_name(argument)));
                }
            }
            Ok(any_array())
        }
        // Every other builtin has signatures, or is checked with its predicate.
        _ => Ok(Type::Unknown),
    }
}

/// The kind behind pointers; what is not known counts as `interface {}`.
fn kind(ty: &Type) -> Kind {
    match ty {
        Type::Unknown => Kind::Interface,
        other => other.deref().kind(),
    }
}

/// The name of a type, and what Go prints where there is none.
fn type_name(ty: &Type) -> String {
    match ty {
        Type::Nil => "%!s(<nil>)".to_owned(),
        other => other.name(),
    }
}

fn invalid(name: &str, ty: &Type) -> String {
    format!("invalid argument for {name} (type {})", type_name(ty))
}
