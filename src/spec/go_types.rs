//! The types of a pod template and of canary steps, as Go declares them: a table.

use std::collections::BTreeMap;
use std::sync::OnceLock;

const TABLE: &str = include_str!("go_types.txt");

#[derive(Debug)]
pub(crate) struct Field {
    pub name: &'static str,
    pub kind: Kind,
    /// Left out if empty.
    pub is_optional: bool,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    Flag,
    /// A whole number of 64 bits.
    Number,
    /// A whole number of 32 bits.
    Number32,
    /// A number or a text.
    Port,
    Quantity,
    Time,
    Any,
    Pointer(Box<Kind>),
    List(Box<Kind>),
    Map(Box<Kind>),
    /// By its name in the table.
    Object(&'static str),
}

/// The fields of a type in the order of their declaration; none of a type that is not in the table.
pub(crate) fn fields(type_name: &str) -> &'static [Field] {
    static READ: OnceLock<BTreeMap<&'static str, Vec<Field>>> = OnceLock::new();
    let types = READ.get_or_init(|| {
        let mut types: BTreeMap<_, Vec<Field>> = BTreeMap::new();
        let mut name = "";
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            if !line.starts_with(' ') {
                name = line;
                continue;
            }
            let mut words = line.split_whitespace();
            if let (Some(field), Some(kind)) = (words.next(), words.next()) {
                types.entry(name).or_default().push(Field {
                    name: field,
                    kind: Kind::read(kind),
                    is_optional: words.next().is_some(),
                });
            }
        }
        types
    });
    types.get(type_name).map_or(&[], Vec::as_slice)
}

impl Kind {
    fn read(text: &'static str) -> Self {
        let boxed = |text| Box::new(Kind::read(text));
        let inner = |open, close| text.strip_prefix(open)?.strip_suffix(close);
        if let Some(target) = text.strip_prefix('*') {
            return Kind::Pointer(boxed(target));
        }
        if let Some(items) = inner('[', ']') {
            return Kind::List(boxed(items));
        }
        if let Some(values) = inner('{', '}') {
            return Kind::Map(boxed(values));
        }
        match text {
            "text" => Kind::Text,
            "flag" => Kind::Flag,
            "number" => Kind::Number,
            "number32" => Kind::Number32,
            "port" => Kind::Port,
            "quantity" => Kind::Quantity,
            "time" => Kind::Time,
            "any" => Kind::Any,
            name => Kind::Object(name),
        }
    }
}
