//! The names of the builtin functions, and what the checker knows of their types.

use super::types::{ArrayKind, MapKind, Signature, Type};

macro_rules! builtins {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// A builtin function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Builtin {
            $(#[doc = $name] $variant),*
        }

        impl Builtin {
            /// Every builtin.
            pub const ALL: &[Builtin] = &[$(Self::$variant),*];

            /// The name in a condition.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The builtin of that name.
            pub fn find(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

builtins! {
    All "all", NoneOf "none", Any "any", One "one", Filter "filter", Map "map", Find "find",
    FindIndex "findIndex", FindLast "findLast", FindLastIndex "findLastIndex", Count "count",
    Sum "sum", GroupBy "groupBy", SortBy "sortBy", Reduce "reduce",
    Len "len", Type "type", Abs "abs", Ceil "ceil", Floor "floor", Round "round", Int "int",
    Float "float", String "string", Trim "trim", TrimPrefix "trimPrefix", TrimSuffix "trimSuffix",
    Upper "upper", Lower "lower", Split "split", SplitAfter "splitAfter", Replace "replace",
    Repeat "repeat", Join "join", IndexOf "indexOf", LastIndexOf "lastIndexOf",
    HasPrefix "hasPrefix", HasSuffix "hasSuffix", Max "max", Min "min", Mean "mean",
    Median "median", ToJson "toJSON", FromJson "fromJSON", ToBase64 "toBase64",
    FromBase64 "fromBase64", Now "now", Duration "duration", Date "date", Timezone "timezone",
    First "first", Last "last", Get "get", Take "take", Keys "keys", Values "values",
    ToPairs "toPairs", FromPairs "fromPairs", Reverse "reverse", Uniq "uniq", Concat "concat",
    Flatten "flatten", Sort "sort", BitAnd "bitand", BitOr "bitor", BitXor "bitxor",
    BitNand "bitnand", BitShl "bitshl", BitShr "bitshr", BitUshr "bitushr", BitNot "bitnot",
}

/// One argument of a builtin that runs a predicate over an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    Expression,
    Predicate,
}

impl Builtin {
    /// The arguments of builtins that take a predicate, and how many of them are required.
    pub fn predicate_arguments(self) -> Option<(&'static [Argument], usize)> {
        use Argument::{Expression, Predicate};
        match self {
            Self::All
            | Self::NoneOf
            | Self::Any
            | Self::One
            | Self::Filter
            | Self::Map
            | Self::Find
            | Self::FindIndex
            | Self::FindLast
            | Self::FindLastIndex
            | Self::GroupBy => Some((&[Expression, Predicate], 2)),
            Self::Count | Self::Sum => Some((&[Expression, Predicate], 1)),
            Self::SortBy | Self::Reduce => Some((&[Expression, Predicate, Expression], 2)),
            _ => None,
        }
    }

    /// The signatures a call may match, in the order in which they are tried. Empty for builtins
    /// whose arguments are checked by a rule of their own.
    pub fn signatures(self) -> Vec<Signature> {
        use Type::{Any, Bool, Int, String};
        let of = |params: &[Type], result: Type| Signature::new(params.to_vec(), result);
        let any_array = || Type::Array(ArrayKind::Any, None);
        let strings = || Type::Array(ArrayKind::String, None);
        let floats = || Type::Array(ArrayKind::Float, None);
        let ints = || Type::Array(ArrayKind::Int, None);
        let predicate = |result: Type| Type::Function(of(&[Any], result).into());
        let fallible = |params: &[Type], result: Type| Signature {
            fails: true,
            ..of(params, result)
        };
        match self {
            Self::All | Self::NoneOf | Self::Any | Self::One => {
                vec![of(&[any_array(), predicate(Bool)], Bool)]
            }
            Self::Filter => vec![of(&[any_array(), predicate(Bool)], any_array())],
            Self::Map => vec![of(&[any_array(), predicate(Any)], any_array())],
            Self::Find | Self::FindLast => vec![of(&[any_array(), predicate(Bool)], Any)],
            Self::FindIndex | Self::FindLastIndex | Self::Count | Self::Sum => {
                vec![of(&[any_array(), predicate(Bool)], Int)]
            }
            Self::GroupBy => vec![of(
                &[any_array(), predicate(Any)],
                Type::Map(MapKind::AnyArray),
            )],
            Self::SortBy => vec![of(&[any_array(), predicate(Bool), String], any_array())],
            Self::Reduce => {
                let two = Type::Function(of(&[Any, Any], Any).into());
                vec![of(&[any_array(), two, Any], Any)]
            }
            Self::Type => vec![of(&[Any], String)],
            Self::String | Self::ToJson => vec![of(&[Any], String)],
            Self::Trim => vec![of(&[String], String), of(&[String, String], String)],
            Self::TrimPrefix | Self::TrimSuffix => {
                vec![of(&[String, String], String), of(&[String], String)]
            }
            Self::Upper | Self::Lower | Self::ToBase64 | Self::FromBase64 => {
                vec![of(&[String], String)]
            }
            Self::Split | Self::SplitAfter => vec![
                of(&[String, String], strings()),
                of(&[String, String, Int], strings()),
            ],
            Self::Replace => vec![
                of(&[String, String, String, Int], String),
                of(&[String, String, String], String),
            ],
            Self::Repeat => vec![of(&[String, Int], String)],
            Self::Join => vec![
                of(&[strings(), String], String),
                of(&[any_array(), String], String),
                of(&[any_array()], String),
                of(&[strings(), String], String),
                of(&[strings()], String),
            ],
            Self::IndexOf | Self::LastIndexOf => vec![of(&[String, String], Int)],
            Self::HasPrefix | Self::HasSuffix => vec![of(&[String, String], Bool)],
            Self::FromJson => vec![of(&[String], Any)],
            Self::Duration => vec![fallible(&[String], Type::Duration)],
            Self::Timezone => vec![fallible(&[String], Type::Location)],
            Self::Sort => vec![
                of(&[any_array(), String], any_array()),
                of(&[ints(), String], any_array()),
                of(&[floats(), String], any_array()),
                of(&[strings(), String], any_array()),
                of(&[any_array()], any_array()),
                of(&[floats()], any_array()),
                of(&[strings()], any_array()),
                of(&[ints()], any_array()),
            ],
            Self::BitAnd
            | Self::BitOr
            | Self::BitXor
            | Self::BitNand
            | Self::BitShl
            | Self::BitShr
            | Self::BitUshr => vec![of(&[Int, Int], Int)],
            Self::BitNot => vec![of(&[Int], Int)],
            Self::Len
            | Self::Abs
            | Self::Ceil
            | Self::Floor
            | Self::Round
            | Self::Int
            | Self::Float
            | Self::Max
            | Self::Min
            | Self::Mean
            | Self::Median
            | Self::Now
            | Self::Date
            | Self::First
            | Self::Last
            | Self::Get
            | Self::Take
            | Self::Keys
            | Self::Values
            | Self::ToPairs
            | Self::FromPairs
            | Self::Reverse
            | Self::Uniq
            | Self::Concat
            | Self::Flatten => Vec::new(),
        }
    }

    /// The type of the builtin where it is named without being called.
    pub fn signature(self) -> Signature {
        let mut signature = match self.signatures().into_iter().next() {
            Some(first) => first,
            None => Signature {
                variadic: true,
                fails: true,
                ..Signature::new(vec![Type::Any], Type::Any)
            },
        };
        signature.builtin = Some(self);
        signature
    }
}
