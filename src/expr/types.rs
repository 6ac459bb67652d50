//! Static types: what the checker knows of a value before there is one.

use std::sync::Arc;

use super::builtin::Builtin;
use super::value::Value;

/// A static type. [`Type::of`] is the type that the reference compiles a condition with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Nothing is known.
    Unknown,
    /// Go `interface {}`: anything, decided when running.
    Any,
    /// The type of `nil`.
    Nil,
    Bool,
    Int,
    Int64,
    Byte,
    Float,
    String,
    /// Go `types.StatusCode` of CloudWatch.
    StatusCode,
    /// A slice or array, and what is known of its elements beyond the Go type.
    Array(ArrayKind, Option<Arc<Type>>),
    Map(MapKind),
    Struct(StructKind),
    Pointer(Arc<Type>),
    Time,
    Duration,
    Month,
    Weekday,
    /// Go `*time.Location`.
    Location,
    Function(Arc<Signature>),
}

/// The Go type of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArrayKind {
    /// `[]interface {}`
    Any,
    /// `[]int`
    Int,
    /// `[]float64`
    Float,
    /// `[]string`
    String,
    /// `[]uint8`
    Byte,
    /// `[]map[string]interface {}`
    Map,
    /// `[2]interface {}`, the only one with a fixed length.
    Pair,
    /// `[][2]interface {}`
    Pairs,
    /// `[]time.Time`
    Time,
    /// `[]types.MetricDataResult`
    MetricDataResult,
    /// `[]types.MessageData`
    MessageData,
}

/// The Go type of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapKind {
    /// `map[string]interface {}`
    StringAny,
    /// `map[interface {}]interface {}`, the result of `fromPairs`.
    AnyAny,
    /// `map[interface {}][]interface {}`, the result of `groupBy`.
    AnyArray,
}

/// The Go type of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StructKind {
    /// `types.MetricDataResult` of CloudWatch.
    MetricDataResult,
    /// `types.MessageData` of CloudWatch.
    MessageData,
    /// `time.Location`, behind its pointer.
    Location,
}

/// The type of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// With the receiver first for a method.
    pub params: Vec<Type>,
    /// The last parameter takes any number of arguments.
    pub variadic: bool,
    pub results: Vec<Type>,
    /// A trailing `error`.
    pub fails: bool,
    pub method: bool,
    /// Set where a builtin is named without being called.
    pub builtin: Option<Builtin>,
}

/// A function value.
#[derive(Clone, Debug)]
pub enum Function {
    /// A function of the environment.
    Environment(EnvironmentFunction),
    /// A method and the value it belongs to.
    Method(Arc<Value>, Method),
}

/// The functions that Argo Rollouts adds to the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvironmentFunction {
    AsInt,
    AsFloat,
    IsNaN,
    IsInf,
    IsNil,
    Default,
}

impl EnvironmentFunction {
    /// Every function of the environment.
    pub const ALL: [Self; 6] = [
        Self::AsInt,
        Self::AsFloat,
        Self::IsNaN,
        Self::IsInf,
        Self::IsNil,
        Self::Default,
    ];

    /// The name in a condition.
    pub fn name(self) -> &'static str {
        match self {
            Self::AsInt => "asInt",
            Self::AsFloat => "asFloat",
            Self::IsNaN => "isNaN",
            Self::IsInf => "isInf",
            Self::IsNil => "isNil",
            Self::Default => "default",
        }
    }

    /// Its type.
    pub fn signature(self) -> Signature {
        match self {
            Self::AsInt => Signature::new(vec![Type::Any], Type::Int64),
            Self::AsFloat => Signature::new(vec![Type::Any], Type::Float),
            Self::IsNaN | Self::IsInf => Signature::new(vec![Type::Float], Type::Bool),
            Self::IsNil => Signature::new(vec![Type::Any], Type::Bool),
            Self::Default => Signature::new(vec![Type::Any, Type::Any], Type::Any),
        }
    }
}

/// Go's kinds, as far as they occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Invalid,
    Interface,
    Bool,
    Int,
    Int64,
    Byte,
    Float,
    String,
    Slice,
    Array,
    Map,
    Struct,
    Pointer,
    Function,
}

impl Kind {
    /// The name in error texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Interface => "interface",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Byte => "uint8",
            Self::Float => "float64",
            Self::String => "string",
            Self::Slice => "slice",
            Self::Array => "array",
            Self::Map => "map",
            Self::Struct => "struct",
            Self::Pointer => "ptr",
            Self::Function => "func",
        }
    }
}

impl Signature {
    /// A plain function.
    pub fn new(params: Vec<Type>, result: Type) -> Self {
        Self {
            params,
            variadic: false,
            results: vec![result],
            fails: false,
            method: false,
            builtin: None,
        }
    }

    /// The type of the first result.
    pub fn result(&self) -> Type {
        self.results.first().cloned().unwrap_or(Type::Unknown)
    }

    fn name(&self) -> String {
        let last = self.params.len().saturating_sub(1);
        let params: Vec<String> = self
            .params
            .iter()
            .enumerate()
            .map(|(i, param)| {
                if self.variadic && i == last {
                    format!("...{}", param.name())
                } else {
                    param.name()
                }
            })
            .collect();
        let mut results: Vec<String> = self.results.iter().map(Type::name).collect();
        if self.fails {
            results.push("error".to_owned());
        }
        match results.as_slice() {
            [] => format!("func({})", params.join(", ")),
            [one] => format!("func({}) {one}", params.join(", ")),
            many => format!("func({}) ({})", params.join(", "), many.join(", ")),
        }
    }
}

impl ArrayKind {
    /// The Go name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "[]interface {}",
            Self::Int => "[]int",
            Self::Float => "[]float64",
            Self::String => "[]string",
            Self::Byte => "[]uint8",
            Self::Map => "[]map[string]interface {}",
            Self::Pair => "[2]interface {}",
            Self::Pairs => "[][2]interface {}",
            Self::Time => "[]time.Time",
            Self::MetricDataResult => "[]types.MetricDataResult",
            Self::MessageData => "[]types.MessageData",
        }
    }

    /// The Go type of the elements.
    pub fn element(self) -> Type {
        match self {
            Self::Any | Self::Pair => Type::Any,
            Self::Int => Type::Int,
            Self::Float => Type::Float,
            Self::String => Type::String,
            Self::Byte => Type::Byte,
            Self::Map => Type::Map(MapKind::StringAny),
            Self::Pairs => Type::Array(Self::Pair, None),
            Self::Time => Type::Time,
            Self::MetricDataResult => Type::Struct(StructKind::MetricDataResult),
            Self::MessageData => Type::Struct(StructKind::MessageData),
        }
    }
}

impl MapKind {
    /// The Go name.
    pub fn name(self) -> &'static str {
        match self {
            Self::StringAny => "map[string]interface {}",
            Self::AnyAny => "map[interface {}]interface {}",
            Self::AnyArray => "map[interface {}][]interface {}",
        }
    }

    /// The Go type of the keys.
    pub fn key(self) -> Type {
        match self {
            Self::StringAny => Type::String,
            Self::AnyAny | Self::AnyArray => Type::Any,
        }
    }

    /// The Go type of the elements.
    pub fn element(self) -> Type {
        match self {
            Self::StringAny | Self::AnyAny => Type::Any,
            Self::AnyArray => Type::Array(ArrayKind::Any, None),
        }
    }
}

impl StructKind {
    /// The Go name.
    pub fn name(self) -> &'static str {
        match self {
            Self::MetricDataResult => "types.MetricDataResult",
            Self::MessageData => "types.MessageData",
            Self::Location => "time.Location",
        }
    }

    /// Names and types of the fields.
    pub fn fields(self) -> &'static [(&'static str, FieldType)] {
        match self {
            Self::MetricDataResult => &[
                ("Id", FieldType::StringPointer),
                ("Label", FieldType::StringPointer),
                ("Messages", FieldType::Messages),
                ("StatusCode", FieldType::StatusCode),
                ("Timestamps", FieldType::Times),
                ("Values", FieldType::Floats),
            ],
            Self::MessageData => &[
                ("Code", FieldType::StringPointer),
                ("Value", FieldType::StringPointer),
            ],
            Self::Location => &[],
        }
    }
}

/// The types that fields of structs have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// `*string`
    StringPointer,
    /// `[]types.MessageData`
    Messages,
    /// `types.StatusCode`
    StatusCode,
    /// `[]time.Time`
    Times,
    /// `[]float64`
    Floats,
}

impl FieldType {
    /// The static type.
    pub fn to_type(self) -> Type {
        match self {
            Self::StringPointer => Type::Pointer(Arc::new(Type::String)),
            Self::Messages => Type::Array(ArrayKind::MessageData, None),
            Self::StatusCode => Type::StatusCode,
            Self::Times => Type::Array(ArrayKind::Time, None),
            Self::Floats => Type::Array(ArrayKind::Float, None),
        }
    }
}

impl Type {
    /// The type that the reference gives to a value.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Bool(_) => Self::Bool,
            Value::Int(_) => Self::Int,
            Value::Int64(_) => Self::Int64,
            Value::Byte(_) => Self::Byte,
            Value::Float(_) => Self::Float,
            Value::String(_) => Self::String,
            Value::Array(array) => Self::Array(array.kind(), None),
            Value::Map(map) => Self::Map(map.kind()),
            Value::Struct(value) => Self::Struct(value.kind()),
            Value::Pointer(inner) => Self::Pointer(Arc::new(Self::of(inner))),
            Value::StatusCode(_) => Self::StatusCode,
            Value::Time(_) => Self::Time,
            Value::Duration(_) => Self::Duration,
            Value::Month(_) => Self::Month,
            Value::Weekday(_) => Self::Weekday,
            Value::Location(_) => Self::Location,
            Value::Function(Function::Environment(function)) => {
                Self::Function(Arc::new(function.signature()))
            }
            Value::Function(Function::Method(receiver, method)) => {
                let mut signature = method.signature(Self::of(receiver));
                signature.params.remove(0);
                signature.method = false;
                Self::Function(Arc::new(signature))
            }
        }
    }

    /// The type as error texts name it.
    pub fn name(&self) -> String {
        match self {
            Self::Unknown | Self::Nil => "unknown".to_owned(),
            Self::Any => "interface {}".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Int => "int".to_owned(),
            Self::Int64 => "int64".to_owned(),
            Self::Byte => "uint8".to_owned(),
            Self::Float => "float64".to_owned(),
            Self::String => "string".to_owned(),
            Self::StatusCode => "types.StatusCode".to_owned(),
            Self::Array(kind, _) => kind.name().to_owned(),
            Self::Map(kind) => kind.name().to_owned(),
            Self::Struct(kind) => kind.name().to_owned(),
            Self::Pointer(inner) => format!("*{}", inner.name()),
            Self::Time => "time.Time".to_owned(),
            Self::Duration => "time.Duration".to_owned(),
            Self::Month => "time.Month".to_owned(),
            Self::Weekday => "time.Weekday".to_owned(),
            Self::Location => "*time.Location".to_owned(),
            Self::Function(signature) => signature.name(),
        }
    }

    /// Go's kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unknown | Self::Nil => Kind::Invalid,
            Self::Any => Kind::Interface,
            Self::Bool => Kind::Bool,
            Self::Int | Self::Month | Self::Weekday => Kind::Int,
            Self::Int64 | Self::Duration => Kind::Int64,
            Self::Byte => Kind::Byte,
            Self::Float => Kind::Float,
            Self::String | Self::StatusCode => Kind::String,
            Self::Array(ArrayKind::Pair, _) => Kind::Array,
            Self::Array(_, _) => Kind::Slice,
            Self::Map(_) => Kind::Map,
            Self::Struct(_) | Self::Time => Kind::Struct,
            Self::Pointer(_) | Self::Location => Kind::Pointer,
            Self::Function(_) => Kind::Function,
        }
    }

    /// Whether only running can tell.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown | Self::Any)
    }

    pub(crate) fn is_integer(&self) -> bool {
        matches!(self, Self::Int | Self::Int64 | Self::Byte)
    }

    pub(crate) fn is_number(&self) -> bool {
        self.is_integer() || *self == Self::Float
    }

    pub(crate) fn is_string(&self) -> bool {
        self.kind() == Kind::String
    }

    pub(crate) fn is_array(&self) -> bool {
        matches!(self, Self::Array(_, _))
    }

    /// The type behind pointers.
    pub(crate) fn deref(&self) -> Self {
        let mut inner = self;
        while let Self::Pointer(next) = inner {
            inner = next;
        }
        match inner {
            Self::Location => Self::Struct(StructKind::Location),
            other => other.clone(),
        }
    }

    /// What a variable of this type holds when indexed.
    pub(crate) fn element(&self) -> Self {
        match self {
            Self::Array(_, Some(element)) => element.as_ref().clone(),
            Self::Array(kind, None) => kind.element(),
            Self::Map(kind) => kind.element(),
            Self::Pointer(inner) => inner.as_ref().clone(),
            _ => Self::Unknown,
        }
    }

    /// `[]interface {}` of which more is known.
    pub(crate) fn array_of(element: Self) -> Self {
        Self::Array(ArrayKind::Any, Some(Arc::new(element)))
    }

    /// The Go type alone, without what else is known.
    pub(crate) fn go_type(&self) -> Self {
        match self {
            Self::Array(kind, _) => Self::Array(*kind, None),
            Self::Unknown => Self::Any,
            other => other.clone(),
        }
    }

    /// Whether Go would assign a value of this type to a variable of `target`.
    pub(crate) fn is_assignable_to(&self, target: &Self) -> bool {
        if *self == Self::Nil {
            return matches!(
                target.kind(),
                Kind::Pointer | Kind::Interface | Kind::Function | Kind::Map | Kind::Slice
            );
        }
        if *self == Self::Unknown || matches!(target, Self::Unknown | Self::Nil) {
            return false;
        }
        *target == Self::Any || self.is_same_go_type(target)
    }

    pub(crate) fn is_same_go_type(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array(a, _), Self::Array(b, _)) => a == b,
            (Self::Function(a), Self::Function(b)) => a.name() == b.name(),
            (a, b) => a == b,
        }
    }
}

/// A method of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method(pub &'static MethodInfo);

/// What a method is called and takes.
#[derive(Debug, PartialEq, Eq)]
pub struct MethodInfo {
    pub name: &'static str,
    pub params: &'static [Type],
    pub results: &'static [Type],
    pub fails: bool,
}

impl Method {
    /// The type, receiver first.
    pub fn signature(self, receiver: Type) -> Signature {
        let mut params = vec![receiver];
        params.extend_from_slice(self.0.params);
        Signature {
            params,
            variadic: false,
            results: self.0.results.to_vec(),
            fails: self.0.fails,
            method: true,
            builtin: None,
        }
    }

    /// The method `name` of values of type `receiver`.
    pub fn find(receiver: &Type, name: &str) -> Option<Self> {
        let table = match receiver {
            Type::Time => TIME_METHODS,
            Type::Duration => DURATION_METHODS,
            Type::Month | Type::Weekday | Type::Location => STRING_METHODS,
            _ => return None,
        };
        table.iter().find(|info| info.name == name).map(Method)
    }
}

const fn method(
    name: &'static str,
    params: &'static [Type],
    results: &'static [Type],
) -> MethodInfo {
    MethodInfo {
        name,
        params,
        results,
        fails: false,
    }
}

const STRING_METHODS: &[MethodInfo] = &[method("String", &[], &[Type::String])];

const DURATION_METHODS: &[MethodInfo] = &[
    method("Abs", &[], &[Type::Duration]),
    method("Hours", &[], &[Type::Float]),
    method("Microseconds", &[], &[Type::Int64]),
    method("Milliseconds", &[], &[Type::Int64]),
    method("Minutes", &[], &[Type::Float]),
    method("Nanoseconds", &[], &[Type::Int64]),
    method("Round", &[Type::Duration], &[Type::Duration]),
    method("Seconds", &[], &[Type::Float]),
    method("String", &[], &[Type::String]),
    method("Truncate", &[Type::Duration], &[Type::Duration]),
];

const TIME_METHODS: &[MethodInfo] = &[
    method("Add", &[Type::Duration], &[Type::Time]),
    method("AddDate", &[Type::Int, Type::Int, Type::Int], &[Type::Time]),
    method("After", &[Type::Time], &[Type::Bool]),
    method("Before", &[Type::Time], &[Type::Bool]),
    method("Clock", &[], &[Type::Int, Type::Int, Type::Int]),
    method("Compare", &[Type::Time], &[Type::Int]),
    method("Date", &[], &[Type::Int, Type::Month, Type::Int]),
    method("Day", &[], &[Type::Int]),
    method("Equal", &[Type::Time], &[Type::Bool]),
    method("Format", &[Type::String], &[Type::String]),
    method("Hour", &[], &[Type::Int]),
    method("ISOWeek", &[], &[Type::Int, Type::Int]),
    method("In", &[Type::Location], &[Type::Time]),
    method("IsDST", &[], &[Type::Bool]),
    method("IsZero", &[], &[Type::Bool]),
    method("Local", &[], &[Type::Time]),
    method("Location", &[], &[Type::Location]),
    method("Minute", &[], &[Type::Int]),
    method("Month", &[], &[Type::Month]),
    method("Nanosecond", &[], &[Type::Int]),
    method("Round", &[Type::Duration], &[Type::Time]),
    method("Second", &[], &[Type::Int]),
    method("String", &[], &[Type::String]),
    method("Sub", &[Type::Time], &[Type::Duration]),
    method("Truncate", &[Type::Duration], &[Type::Time]),
    method("UTC", &[], &[Type::Time]),
    method("Unix", &[], &[Type::Int64]),
    method("UnixMicro", &[], &[Type::Int64]),
    method("UnixMilli", &[], &[Type::Int64]),
    method("UnixNano", &[], &[Type::Int64]),
    method("Weekday", &[], &[Type::Weekday]),
    method("Year", &[], &[Type::Int]),
    method("YearDay", &[], &[Type::Int]),
    method("Zone", &[], &[Type::String, Type::Int]),
];
