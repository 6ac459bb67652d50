//! The raw tree to values: aliases, merge keys, duplicates and scalars as Kubernetes reads them.

use std::collections::{BTreeMap, BTreeSet};

use super::node::{Entry, Map, Node, Value};
use super::parse::{Id, Range, Raw, RawKind, RawNode};
use super::scalar::{self, Scalar, Tag};
use crate::source::{Problem, SourceId, Span};

/// Nested collections after aliases are put in.
const DEPTH_MAX: usize = super::parse::NESTING_MAX;
/// Bytes of text that aliases may repeat in one document.
const ALIAS_BYTES_MAX: usize = 64 << 20;
/// From this many keys on a map is searched by an index.
const INDEX_FROM: usize = 16;

/// Builds the tree of a document. Problems that forbid any use of it give `None`.
pub(super) fn build(raw: &Raw<'_>, source: SourceId, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut builder = Builder {
        raw,
        source,
        problems,
        active: BTreeSet::new(),
        values: 0,
        alias_values: 0,
        alias_bytes: 0,
        alias_depth: 0,
        stopped: false,
    };
    let node = builder.value(raw.root?, 0);
    (!builder.stopped).then_some(node)
}

struct Builder<'r, 't, 'p> {
    raw: &'r Raw<'t>,
    source: SourceId,
    problems: &'p mut Vec<Problem>,
    /// Aliases being followed.
    active: BTreeSet<Id>,
    /// Values made, and those of them made through aliases: the reference's measure for a bomb.
    values: usize,
    alias_values: usize,
    alias_bytes: usize,
    alias_depth: usize,
    stopped: bool,
}

impl Builder<'_, '_, '_> {
    fn node(&mut self, id: Id, depth: usize) -> Node {
        let Some(raw) = self.raw.nodes.get(id) else {
            return self.null((0, 0));
        };
        if self.stopped || !self.count(raw.span) {
            return self.null(raw.span);
        }
        if depth > DEPTH_MAX {
            self.stop(Problem::error(
                "yaml-nesting",
                format!("aliases nest more than {DEPTH_MAX} lists and maps"),
                self.span(raw.span),
            ));
            return self.null(raw.span);
        }
        match &raw.kind {
            RawKind::Scalar {
                text, tag, inline, ..
            } => {
                // Most texts hold no brace.
                if *inline && memchr::memchr(b'{', text.as_bytes()).is_some() && text.contains("{{")
                {
                    self.warn_template(text, raw.span);
                }
                self.scalar(text, *tag, raw.span)
            }
            RawKind::Seq(children) => {
                let items = children
                    .iter()
                    .map(|child| self.value(*child, depth + 1))
                    .collect();
                Node {
                    span: self.span(raw.span),
                    value: Value::Seq(items),
                }
            }
            RawKind::Map(children) => Node {
                span: self.span(raw.span),
                value: Value::Map({
                    let mut out = MapBuilder::default();
                    self.fill(&mut out, children, depth, None);
                    out.map
                }),
            },
            RawKind::Alias(target) => {
                let target = *target;
                if !self.active.insert(id) {
                    self.error(
                        "yaml-recursive-anchor",
                        "this alias stands inside the value that it repeats",
                        raw.span,
                    );
                    return self.null(raw.span);
                }
                self.alias_depth += 1;
                let mut node = self.node(target, depth);
                self.alias_depth -= 1;
                self.active.remove(&id);
                node.span = self.span(raw.span);
                node
            }
            RawKind::Unknown(name) => {
                self.error(
                    "yaml-unknown-anchor",
                    &format!("no anchor `&{name}` before this alias in the document"),
                    raw.span,
                );
                self.null(raw.span)
            }
        }
    }

    fn scalar(&mut self, text: &str, tag: Tag, span: Range) -> Node {
        if self.alias_depth > 0 {
            self.alias_bytes = self.alias_bytes.saturating_add(text.len());
        }
        let value = match scalar::resolve(tag, text) {
            Ok(Scalar::Null) => Value::Null,
            Ok(Scalar::Bool(value)) => Value::Bool(value),
            Ok(Scalar::Int(value)) => Value::Int(value),
            Ok(Scalar::UInt(value)) => Value::UInt(value),
            // Whether it is refused depends on its place: a key may be `.inf`.
            Ok(Scalar::Float(value)) => Value::Float(value),
            Ok(Scalar::String(text)) => Value::String(text),
            Err(message) => {
                self.error("yaml-tag", &message, span);
                Value::Null
            }
        };
        Node {
            span: self.span(span),
            value,
        }
    }

    /// A value, which unlike a key must be finite.
    fn value(&mut self, id: Id, depth: usize) -> Node {
        let mut node = self.node(id, depth);
        if let Value::Float(value) = node.value
            && !value.is_finite()
        {
            let span = node.span;
            self.push(
                Problem::error(
                    "yaml-number",
                    format!("{value} cannot be written as JSON, so Kubernetes refuses it"),
                    span,
                )
                .with_help("put it in quotes if a text is meant"),
            );
            node.value = Value::Null;
        }
        node
    }

    /// Sets the entries of a mapping in `out`, in the order of writing: what comes later wins, also over
    /// what a merge has set and the other way round.
    fn fill(&mut self, out: &mut MapBuilder, children: &[Id], depth: usize, merge: Option<Range>) {
        for pair in children.chunks_exact(2) {
            let &[key_id, value_id] = pair else {
                continue;
            };
            if self.stopped {
                return;
            }
            if self.is_merge(key_id) {
                self.merge(out, value_id, depth + 1);
                continue;
            }
            let key = self.node(key_id, depth + 1);
            let value = self.value(value_id, depth + 1);
            match key_text(key.value) {
                Ok((text, kind)) => {
                    if self.alias_depth > 0 {
                        self.alias_bytes = self.alias_bytes.saturating_add(text.len());
                    }
                    let entry = Entry {
                        key: text,
                        key_span: key.span,
                        value,
                    };
                    if let Some(clash) = out.set(entry, kind) {
                        self.report_clash(clash, merge);
                    }
                }
                Err(what) => self.push(
                    Problem::error(
                        "yaml-key-type",
                        format!("{what} cannot be the key of a map"),
                        key.span,
                    )
                    .with_help("put the key in quotes"),
                ),
            }
        }
    }

    fn is_merge(&self, id: Id) -> bool {
        match self.raw.nodes.get(id).map(|node| &node.kind) {
            Some(RawKind::Scalar {
                text,
                tag,
                implicit,
                ..
            }) => text == "<<" && (*implicit || *tag == Tag::Merge),
            Some(RawKind::Seq(_) | RawKind::Map(_) | RawKind::Alias(_) | RawKind::Unknown(_))
            | None => false,
        }
    }

    fn merge(&mut self, out: &mut MapBuilder, id: Id, depth: usize) {
        let raw = self.raw;
        match raw.nodes.get(id) {
            Some(RawNode {
                kind: RawKind::Seq(items),
                ..
            }) => {
                // From the last to the first, so that the first wins.
                for item in items.iter().rev() {
                    self.merge_one(out, *item, depth);
                }
            }
            Some(_) => self.merge_one(out, id, depth),
            None => {}
        }
    }

    fn merge_one(&mut self, out: &mut MapBuilder, id: Id, depth: usize) {
        let raw = self.raw;
        let Some(node) = raw.nodes.get(id) else {
            return;
        };
        if self.stopped || !self.count(node.span) {
            return;
        }
        if depth > DEPTH_MAX {
            self.stop(Problem::error(
                "yaml-nesting",
                format!("merges nest more than {DEPTH_MAX} maps"),
                self.span(node.span),
            ));
            return;
        }
        match &node.kind {
            RawKind::Map(children) => self.fill(out, children, depth, Some(node.span)),
            RawKind::Alias(target) => {
                let Some(RawNode {
                    kind: RawKind::Map(children),
                    ..
                }) = raw.nodes.get(*target)
                else {
                    self.report_no_map(node.span);
                    return;
                };
                if !self.active.insert(id) {
                    self.error(
                        "yaml-recursive-anchor",
                        "this alias stands inside the value that it repeats",
                        node.span,
                    );
                    return;
                }
                self.alias_depth += 1;
                if self.count(node.span) {
                    self.fill(out, children, depth, Some(node.span));
                }
                self.alias_depth -= 1;
                self.active.remove(&id);
            }
            RawKind::Unknown(_) => {
                self.node(id, depth);
            }
            RawKind::Scalar { .. } | RawKind::Seq(_) => self.report_no_map(node.span),
        }
    }

    fn report_no_map(&mut self, span: Range) {
        self.error("yaml-merge", "`<<` merges a map, or a list of maps", span);
    }

    fn report_clash(&mut self, clash: Clash, merge: Option<Range>) {
        let Clash {
            key,
            first,
            second,
            same_kind,
        } = clash;
        let key = scalar::clip(&key);
        // A merged key lies elsewhere: point at the merge.
        let (place, last) = match merge {
            Some(merge) => (self.span(merge), Some(second)),
            None => (second, None),
        };
        let mut problem = if same_kind {
            Problem::error(
                "yaml-duplicate-key",
                format!("the key `{key}` is set twice in this map"),
                place,
            )
            .with_help("keep one: strict reading refuses both, lenient reading takes the last")
        } else {
            Problem::warning(
                "yaml-key-collision",
                format!("two keys of this map become the same text `{key}`"),
                place,
            )
            .with_help("keep one: Kubernetes takes either of them at random")
        };
        problem = problem.with_related(first, "first set here");
        if let Some(last) = last {
            problem = problem.with_related(last, "merged from here");
        }
        self.push(problem);
    }

    fn warn_template(&mut self, text: &str, span: Range) {
        if let Some(action) = super::template::helm_action(text) {
            let place = self.span(span);
            let message = format!("`{}` is left over from a template", scalar::clip(action));
            self.push(
                Problem::warning("yaml-template", message, place)
                    .with_help(super::template::RENDER_HELP),
            );
        }
    }

    /// Counts a value; `false` where aliases have made too many, by the reference's measure.
    fn count(&mut self, span: Range) -> bool {
        self.values += 1;
        if self.alias_depth > 0 {
            self.alias_values += 1;
        }
        let too_many = self.alias_values > 100
            && self.values > 1000
            && ratio(self.alias_values, self.values) > allowed_ratio(self.values);
        if too_many || self.alias_bytes > ALIAS_BYTES_MAX {
            let place = self.span(span);
            self.stop(
                Problem::error(
                    "yaml-alias-bomb",
                    "aliases blow this document up beyond what Kubernetes reads",
                    place,
                )
                .with_help("write the values out, or repeat less"),
            );
            return false;
        }
        true
    }

    fn stop(&mut self, problem: Problem) {
        self.stopped = true;
        self.push(problem);
    }

    fn error(&mut self, code: &'static str, message: &str, span: Range) {
        let place = self.span(span);
        self.push(Problem::error(code, message, place));
    }

    fn push(&mut self, problem: Problem) {
        super::push(self.problems, problem);
    }

    fn span(&self, (start, end): Range) -> Span {
        Span::new(self.source, start, end)
    }

    fn null(&self, span: Range) -> Node {
        Node {
            span: self.span(span),
            value: Value::Null,
        }
    }
}

/// How the reference's limit for aliases falls from 99% to 10% of a document as it grows.
fn allowed_ratio(values: usize) -> f64 {
    const LOW: usize = 400_000;
    const HIGH: usize = 4_000_000;
    match values {
        0..=LOW => 0.99,
        HIGH.. => 0.10,
        _ => 0.99 - 0.89 * ratio(values - LOW, HIGH - LOW),
    }
}

#[allow(clippy::cast_precision_loss)] // counts far below 2^53
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// What a key was before it became text: keys of different kinds are no duplicates of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Bool,
    Int,
    Float,
    String,
}

fn key_text(key: Value) -> Result<(String, KeyKind), &'static str> {
    match key {
        Value::String(text) => Ok((text, KeyKind::String)),
        Value::Bool(value) => Ok((value.to_string(), KeyKind::Bool)),
        Value::Int(value) => Ok((value.to_string(), KeyKind::Int)),
        Value::Float(value) => Ok((scalar::float_key(value), KeyKind::Float)),
        Value::UInt(_) => Err("a number over 9223372036854775807"),
        Value::Null => Err("null"),
        Value::Seq(_) => Err("a list"),
        Value::Map(_) => Err("a map"),
    }
}

/// A key that was there already.
struct Clash {
    key: String,
    first: Span,
    second: Span,
    same_kind: bool,
}

#[derive(Default)]
struct MapBuilder {
    map: Map,
    kinds: Vec<KeyKind>,
    /// Empty for a small map.
    index: BTreeMap<String, usize>,
}

impl MapBuilder {
    /// The last value of a key counts, at the place of the first.
    fn set(&mut self, entry: Entry, kind: KeyKind) -> Option<Clash> {
        let entries = &mut self.map.entries;
        let found = if self.index.is_empty() {
            entries.iter().position(|known| known.key == entry.key)
        } else {
            self.index.get(&entry.key).copied()
        };
        if let Some((known, known_kind)) =
            found.and_then(|at| entries.get_mut(at).zip(self.kinds.get_mut(at)))
        {
            let clash = Clash {
                key: entry.key.clone(),
                first: known.key_span,
                second: entry.key_span,
                same_kind: *known_kind == kind,
            };
            *known = entry;
            *known_kind = kind;
            return Some(clash);
        }
        if !self.index.is_empty() {
            self.index.insert(entry.key.clone(), entries.len());
        }
        entries.push(entry);
        self.kinds.push(kind);
        if self.index.is_empty() && entries.len() >= INDEX_FROM {
            self.index = entries
                .iter()
                .enumerate()
                .map(|(at, entry)| (entry.key.clone(), at))
                .collect();
        }
        None
    }
}
