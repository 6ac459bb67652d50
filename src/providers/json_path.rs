//! Kubernetes' JSONPath templates (`k8s.io/client-go/util/jsonpath`): text and `{...}` actions.

use serde_json::{Value, json};

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    parts: Vec<Vec<Node>>,
}

/// Nesting of filters and unions, and of values under `..`.
const MAX_DEPTH: usize = 64;
/// Values that one action may yield.
const MAX_RESULTS: usize = 100_000;

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// A text, number or truth value stands for itself.
    Literal(Value),
    Field(String),
    Wildcard,
    Recursive,
    Slice(Slice),
    Union(Vec<Vec<Node>>),
    Filter(Filter),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Slice {
    start: Option<i64>,
    end: Option<i64>,
    /// `end` follows from a single index.
    is_index: bool,
    step: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
struct Filter {
    left: Vec<Node>,
    /// None: whether `left` finds anything.
    comparison: Option<(Operator, Vec<Node>)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Less,
    Greater,
    Equal,
    NotEqual,
    LessEqual,
    GreaterEqual,
}

impl JsonPath {
    /// # Errors
    /// A template that cannot be read, or one with `range`, which yields no single value.
    pub fn parse(template: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = template;
        while !rest.is_empty() {
            let Some(open) = rest.find('{') else {
                parts.push(vec![Node::Literal(rest.into())]);
                break;
            };
            let (text, action) = rest.split_at(open);
            if !text.is_empty() {
                parts.push(vec![Node::Literal(text.into())]);
            }
            let mut parser = Parser {
                rest: action.get(1..).unwrap_or_default(),
            };
            parts.push(parser.action(0)?);
            rest = parser.rest;
        }
        Ok(Self { parts })
    }

    /// The values found, in order.
    ///
    /// # Errors
    /// A field that is missing, an index out of bounds, or a comparison that makes no sense.
    pub fn find(&self, data: &Value) -> Result<Vec<Value>, String> {
        let mut found = Vec::new();
        for part in &self.parts {
            found.extend(walk(vec![data], part)?.into_iter().map(Found::into_value));
        }
        Ok(found)
    }

    /// A small document in which the template finds `value` first; none for a template that does
    /// not begin with a path, and for paths whose result is never a value of the document.
    pub fn document_with(&self, value: Value) -> Option<Value> {
        let path = self.parts.first().filter(|path| path.len() <= MAX_DEPTH)?;
        document(path, value)
    }
}

fn document(path: &[Node], value: Value) -> Option<Value> {
    let Some((first, rest)) = path.split_first() else {
        return Some(value);
    };
    let inner = document(rest, value)?;
    match first {
        Node::Field(name) => Some(json!({ name.as_str(): inner })),
        // Its own level is the first that `..` looks at.
        Node::Recursive => Some(inner),
        Node::Wildcard => Some(json!([inner])),
        Node::Slice(slice) => {
            let index = usize::try_from(slice.start.unwrap_or(0)).ok()?;
            let mut items = vec![Value::Null; index.min(MAX_DEPTH)];
            items.push(inner);
            Some(Value::Array(items))
        }
        Node::Union(members) => document(members.first()?, inner),
        Node::Filter(filter) => Some(json!([passing(filter, inner)?])),
        Node::Literal(_) => None,
    }
}

/// `item` with what lets it pass the filter.
fn passing(filter: &Filter, item: Value) -> Option<Value> {
    let wanted = match &filter.comparison {
        None => json!(true),
        Some((Operator::Equal | Operator::LessEqual | Operator::GreaterEqual, right)) => {
            match right.as_slice() {
                [Node::Literal(literal)] => literal.clone(),
                _ => return None,
            }
        }
        Some((Operator::NotEqual | Operator::Less | Operator::Greater, _)) => return None,
    };
    match (document(&filter.left, wanted)?, item) {
        (Value::Object(mut fields), Value::Object(item)) => {
            fields.extend(item);
            Some(Value::Object(fields))
        }
        _ => None,
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    /// Reads up to and including the closing brace.
    fn action(&mut self, depth: usize) -> Result<Vec<Node>, String> {
        if depth > MAX_DEPTH {
            return Err("nested too deeply".into());
        }
        let mut nodes = Vec::new();
        loop {
            if self.take("}") {
                return Ok(nodes);
            }
            if self.take("[?(") {
                nodes.push(self.filter(depth)?);
                continue;
            }
            if self.take("..") {
                if nodes.last() == Some(&Node::Recursive) {
                    return Err("invalid multiple recursive descent".into());
                }
                nodes.push(Node::Recursive);
                if self
                    .rest
                    .starts_with(|c: char| c == '_' || c.is_alphanumeric())
                {
                    nodes.push(self.field());
                }
                continue;
            }
            let Some(first) = self.rest.chars().next() else {
                return Err("unclosed action".into());
            };
            match first {
                '\r' | '\n' => return Err("unclosed action".into()),
                ' ' | '@' | '$' => self.skip(first),
                '[' => self.array(&mut nodes, depth)?,
                '"' | '\'' => nodes.push(Node::Literal(self.quoted(first)?.into())),
                '.' => {
                    self.skip(first);
                    nodes.push(self.field());
                }
                '+' | '-' | '0'..='9' => nodes.push(self.number()?),
                c if c == '_' || c.is_alphanumeric() => {
                    let word = self.word();
                    nodes.push(match word {
                        "true" => Node::Literal(true.into()),
                        "false" => Node::Literal(false.into()),
                        _ => return Err(format!("unrecognized identifier {word}")),
                    });
                }
                c => {
                    return Err(format!(
                        "unrecognized character in action: U+{:04X} '{c}'",
                        u32::from(c)
                    ));
                }
            }
        }
    }

    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip(&mut self, c: char) {
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find(is_terminator).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn field(&mut self) -> Node {
        let mut name = String::new();
        let mut escaped = false;
        let mut end = self.rest.len();
        for (index, c) in self.rest.char_indices() {
            if escaped {
                name.push(c);
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if is_terminator(c) {
                end = index;
                break;
            } else {
                name.push(c);
            }
        }
        self.rest = self.rest.get(end..).unwrap_or_default();
        if name == "*" {
            Node::Wildcard
        } else {
            Node::Field(name)
        }
    }

    fn number(&mut self) -> Result<Node, String> {
        let end = self
            .rest
            .char_indices()
            .find(|(index, c)| {
                !(c.is_ascii_digit() || *c == '.' || (*index == 0 && matches!(c, '+' | '-')))
            })
            .map_or(self.rest.len(), |(index, _)| index);
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        if let Ok(number) = text.parse::<i64>() {
            return Ok(Node::Literal(number.into()));
        }
        match text.parse::<f64>() {
            Ok(number) => Ok(Node::Literal(number.into())),
            Err(_) => Err(format!("cannot parse number {text}")),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut text = String::new();
        let mut escaped = false;
        for (index, c) in self.rest.char_indices().skip(1) {
            if escaped {
                text.push(match c {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                self.rest = self.rest.get(index + c.len_utf8()..).unwrap_or_default();
                return Ok(text);
            } else if c == '\n' {
                break;
            } else {
                text.push(c);
            }
        }
        Err("unterminated quoted string".into())
    }

    fn array(&mut self, nodes: &mut Vec<Node>, depth: usize) -> Result<(), String> {
        let end = self
            .rest
            .find([']', '\n'])
            .filter(|end| self.rest.as_bytes().get(*end) == Some(&b']'))
            .ok_or("unterminated array")?;
        let text = self.rest.get(1..end).unwrap_or_default();
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        let text = if text == "*" { ":" } else { text };
        if text.contains(',') {
            let mut union = Vec::new();
            for member in text.split(',') {
                union.push(parse_action(
                    &format!("[{}]", member.trim_matches(' ')),
                    depth + 1,
                )?);
            }
            nodes.push(Node::Union(union));
            return Ok(());
        }
        let key = text
            .strip_prefix('\'')
            .and_then(|text| text.strip_suffix('\''))
            .filter(|key| !key.contains('\''));
        if let Some(key) = key {
            nodes.extend(parse_action(&format!(".{key}"), depth + 1)?);
            return Ok(());
        }
        nodes.push(Node::Slice(slice(text)?));
        Ok(())
    }

    fn filter(&mut self, depth: usize) -> Result<Node, String> {
        let mut quote: Option<char> = None;
        let mut previous = ' ';
        let mut end = None;
        for (index, c) in self.rest.char_indices() {
            match (quote, c) {
                (_, '\n') => break,
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if c == open && previous != '\\' => quote = None,
                (None, ')') => {
                    end = Some(index);
                    break;
                }
                _ => {}
            }
            previous = c;
        }
        let end = end.ok_or("unterminated filter")?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        if !self.take("]") {
            return Err("unclosed array expect ]".into());
        }
        let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
        let Some(start) = text.find(is_operator).filter(|start| *start > 0) else {
            return Ok(Node::Filter(Filter {
                left: parse_action(text, depth + 1)?,
                comparison: None,
            }));
        };
        let (left, tail) = text.split_at(start);
        let operator_end = tail.find(|c| !is_operator(c)).unwrap_or(tail.len());
        let (operator, right) = tail.split_at(operator_end);
        let operator = match operator {
            "<" => Operator::Less,
            ">" => Operator::Greater,
            "==" => Operator::Equal,
            "!=" => Operator::NotEqual,
            "<=" => Operator::LessEqual,
            ">=" => Operator::GreaterEqual,
            other => return Err(format!("unrecognized filter operator {other}")),
        };
        Ok(Node::Filter(Filter {
            left: parse_action(left, depth + 1)?,
            comparison: Some((operator, parse_action(right, depth + 1)?)),
        }))
    }
}

fn parse_action(text: &str, depth: usize) -> Result<Vec<Node>, String> {
    let closed = format!("{text}}}");
    Parser { rest: &closed }.action(depth)
}

fn slice(text: &str) -> Result<Slice, String> {
    let invalid = || format!("invalid array index {text}");
    let mut parts = text.split(':');
    let number = |present: Option<&str>| -> Result<Option<i64>, String> {
        match present {
            None | Some("") => Ok(None),
            Some(digits)
                if digits
                    .strip_prefix('-')
                    .unwrap_or(digits)
                    .bytes()
                    .all(|b| b.is_ascii_digit()) =>
            {
                digits
                    .parse()
                    .map(Some)
                    .map_err(|_| format!("array index {digits} is not a number"))
            }
            Some(_) => Err(invalid()),
        }
    };
    let (first, second, third) = (parts.next(), parts.next(), parts.next());
    if parts.next().is_some() {
        return Err(invalid());
    }
    let start = number(first)?;
    let is_index = second.is_none();
    Ok(Slice {
        start,
        end: if is_index {
            Some(start.unwrap_or(0).saturating_add(1))
        } else {
            number(second)?
        },
        is_index,
        step: number(third)?,
    })
}

fn is_terminator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}'
    )
}

/// A value of the data, or one of the template.
#[derive(Clone)]
enum Found<'a> {
    Data(&'a Value),
    Literal(Value),
}

impl<'a> Found<'a> {
    fn as_value(&self) -> &Value {
        match self {
            Found::Data(value) => value,
            Found::Literal(value) => value,
        }
    }

    fn into_value(self) -> Value {
        match self {
            Found::Data(value) => value.clone(),
            Found::Literal(value) => value,
        }
    }
}

fn walk<'a>(start: Vec<&'a Value>, nodes: &[Node]) -> Result<Vec<Found<'a>>, String> {
    let mut current: Vec<Found<'a>> = start.into_iter().map(Found::Data).collect();
    for node in nodes {
        current = step(current, node)?;
        if current.len() > MAX_RESULTS {
            return Err(format!("more than {MAX_RESULTS} values"));
        }
    }
    Ok(current)
}

fn step<'a>(input: Vec<Found<'a>>, node: &Node) -> Result<Vec<Found<'a>>, String> {
    if let Node::Literal(value) = node {
        return Ok(input
            .iter()
            .map(|_| Found::Literal(value.clone()))
            .collect());
    }
    let is_empty = input.is_empty();
    // Literals have nothing inside.
    let data: Vec<&'a Value> = input
        .into_iter()
        .filter_map(|found| match found {
            Found::Data(value) => Some(value),
            Found::Literal(_) => None,
        })
        .collect();
    let mut out: Vec<&'a Value> = Vec::new();
    match node {
        Node::Literal(_) => {}
        Node::Field(name) => {
            out.extend(data.iter().filter_map(|value| value.as_object()?.get(name)));
            if out.is_empty() && !is_empty {
                return Err(format!("{name} is not found"));
            }
        }
        Node::Wildcard => data.iter().for_each(|value| out.extend(children(value))),
        Node::Recursive => {
            for value in data {
                descend(value, &mut out, 0)?;
            }
        }
        Node::Slice(slice) => {
            for value in data {
                match value {
                    Value::Null => {}
                    Value::Array(items) => out.extend(sliced(items, *slice)?),
                    Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                        return Err(format!("{} is not array or slice", go_type(value)));
                    }
                }
            }
        }
        Node::Union(members) => {
            let mut all = Vec::new();
            for member in members {
                all.extend(walk(data.clone(), member)?);
            }
            return Ok(all);
        }
        Node::Filter(filter) => {
            for value in data {
                let Value::Array(items) = value else {
                    return Err(format!(
                        "{value} is not array or slice and cannot be filtered"
                    ));
                };
                for item in items {
                    if passes(item, filter)? {
                        out.push(item);
                    }
                }
            }
        }
    }
    Ok(out.into_iter().map(Found::Data).collect())
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => {
            // Go's order of a map's keys is random; ours is sorted.
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            sorted.into_iter().map(|(_, value)| value).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn descend<'a>(value: &'a Value, out: &mut Vec<&'a Value>, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH * 2 || out.len() > MAX_RESULTS {
        return Err("too much under a recursive descent".into());
    }
    let inside = children(value);
    if !inside.is_empty() {
        out.push(value);
        for child in inside {
            descend(child, out, depth + 1)?;
        }
    }
    Ok(())
}

fn sliced(items: &[Value], slice: Slice) -> Result<Vec<&Value>, String> {
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let mut start = slice.start.unwrap_or(0);
    if start < 0 {
        start += length;
    }
    let mut end = slice.end.unwrap_or(length);
    if end < 0 || (end == 0 && slice.is_index) {
        end += length;
    }
    if start == end {
        return Ok(Vec::new());
    }
    if start >= length || start < 0 {
        return Err(format!(
            "array index out of bounds: index {start}, length {length}"
        ));
    }
    if end > length || end < 0 {
        return Err(format!(
            "array index out of bounds: index {}, length {length}",
            end - 1
        ));
    }
    if start > end {
        return Err(format!(
            "starting index {start} is greater than ending index {end}"
        ));
    }
    let step = slice.step.unwrap_or(1);
    if step <= 0 {
        return Err("step must be > 0".into());
    }
    let index = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    let range = items.get(index(start)..index(end)).unwrap_or_default();
    Ok(range.iter().step_by(index(step)).collect())
}

fn passes(item: &Value, filter: &Filter) -> Result<bool, String> {
    let Some((operator, right)) = &filter.comparison else {
        return Ok(walk(vec![item], &filter.left).is_ok_and(|found| !found.is_empty()));
    };
    let left = walk(vec![item], &filter.left)?;
    let right = walk(vec![item], right)?;
    match (left.as_slice(), right.as_slice()) {
        ([], _) | (_, []) => Ok(false),
        ([left], [right]) => compare(left.as_value(), *operator, right.as_value()),
        _ => Err("can only compare one element at a time".into()),
    }
}

fn compare(left: &Value, operator: Operator, right: &Value) -> Result<bool, String> {
    use std::cmp::Ordering;
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left.as_f64(), right.as_f64());
            left.partial_cmp(&right)
        }
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => match operator {
            Operator::Equal | Operator::NotEqual => Some(left.cmp(right)),
            Operator::Less | Operator::Greater | Operator::LessEqual | Operator::GreaterEqual => {
                return Err("invalid type for comparison".into());
            }
        },
        _ => return Err("incompatible types for comparison".into()),
    };
    Ok(match operator {
        Operator::Less => order == Some(Ordering::Less),
        Operator::Greater => order == Some(Ordering::Greater),
        Operator::Equal => order == Some(Ordering::Equal),
        Operator::NotEqual => order != Some(Ordering::Equal),
        Operator::LessEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Operator::GreaterEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    })
}

/// Go's type of a decoded value.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn find(template: &str) -> Result<Vec<Value>, String> {
        let data = json!({
            "a": {"b.c": 1, "d": [10, 20, 30]},
            "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}, {"v": 3}]
        });
        JsonPath::parse(template)?.find(&data)
    }

    #[test]
    fn paths_find_values() {
        for (template, wanted) in [
            ("{$.a.d[1]}", json!([20])),
            ("{.a.d[-1]}", json!([30])),
            ("{.a.d[0:2]}", json!([10, 20])),
            ("{.a.d[*]}", json!([10, 20, 30])),
            ("{.a.d[0,2]}", json!([10, 30])),
            ("{.a['b\\.c']}", json!([1])),
            ("{.a.b\\.c}", json!([1])),
            ("{.list[?(@.v==2)].n}", json!(["y"])),
            ("{.list[?(@.v>=2)].v}", json!([2, 3])),
            ("{.list[?(@.n)].v}", json!([1, 2])),
            ("{..v}", json!([1, 2, 3])),
            ("text {.a.d[0]}", json!(["text ", 10])),
            ("{'quoted'}", json!(["quoted"])),
        ] {
            assert_eq!(find(template).map(Value::from), Ok(wanted), "{template}");
        }
    }

    #[test]
    fn errors_are_worded_as_in_client_go() {
        for (template, error) in [
            ("{.x}", "x is not found"),
            ("{.a.d[3]}", "array index out of bounds: index 3, length 3"),
            ("{.a[0]}", "map[string]interface {} is not array or slice"),
            ("{.list[?(@.n==\"y\")].v}", "n is not found"),
            ("{.a", "unclosed action"),
            ("{.a[b]}", "invalid array index b"),
            ("{range .list[*]}{.v}{end}", "unrecognized identifier range"),
        ] {
            assert_eq!(find(template), Err(error.to_owned()), "{template}");
        }
    }
}
