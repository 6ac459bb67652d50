//! The text of one document to a raw tree: syntax only, aliases as references.

use std::borrow::Cow;
use std::collections::BTreeMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StrInput};

use super::scalar::Tag;

/// Nested collections of one style (block, flow) in the text.
pub(super) const NESTING_MAX: usize = 255;

/// Index into [`Raw::nodes`].
pub(super) type Id = usize;

#[derive(Debug, Default)]
pub(super) struct Raw<'t> {
    pub nodes: Vec<RawNode<'t>>,
    /// `None` for an empty document.
    pub root: Option<Id>,
    /// Text behind `#`, with the span of the whole comment.
    pub comments: Vec<(Range, String)>,
    /// Where parsing stopped; the tree is then of no use.
    pub failure: Option<Failure>,
}

/// Byte offsets in the whole source: start, end.
pub(super) type Range = (usize, usize);

#[derive(Debug)]
pub(super) struct RawNode<'t> {
    pub span: Range,
    pub kind: RawKind<'t>,
}

#[derive(Debug)]
pub(super) enum RawKind<'t> {
    Scalar {
        text: Cow<'t, str>,
        tag: Tag,
        /// Resolved as if plain: decides whether `<<` merges.
        implicit: bool,
        /// Written on one line: not a block scalar.
        inline: bool,
    },
    Seq(Vec<Id>),
    /// Keys and values in turn.
    Map(Vec<Id>),
    Alias(Id),
    /// An alias without an anchor; the name.
    Unknown(String),
}

#[derive(Debug)]
pub(super) struct Failure {
    pub code: &'static str,
    pub message: String,
    pub help: Option<&'static str>,
    pub span: Range,
    /// Set where a quoted text is indented too little: the end of what was read before, and the
    /// wrong line; offsets in the parsed text.
    pub quote: Option<(usize, usize)>,
}

/// A collection whose end has not been seen.
struct Open {
    id: Id,
    block: bool,
}

struct Reader<'t, 'b> {
    text: &'t str,
    /// Offset of `text` in the source.
    base: usize,
    /// Bytes of the BOM that was left out before `text`.
    lead: usize,
    /// End of the last thing that was read.
    read_to: usize,
    json: bool,
    has_tabs: bool,
    raw: Raw<'t>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Id>,
    /// Nodes that may still be made, over all documents of the file.
    budget: &'b mut usize,
}

/// Parses one document; `base` is the offset of `text` in its source.
pub(super) fn parse<'t>(text: &'t str, base: usize, json: bool, budget: &mut usize) -> Raw<'t> {
    let stripped = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lead = text.len() - stripped.len();
    let base = base + lead;
    let mut reader = Reader {
        text: stripped,
        base,
        lead,
        read_to: base,
        json,
        has_tabs: memchr::memchr(b'\t', stripped.as_bytes()).is_some(),
        raw: Raw::default(),
        open: Vec::new(),
        anchors: BTreeMap::new(),
        budget,
    };
    if let Err(failure) = reader.run() {
        reader.raw.failure = Some(failure);
    }
    reader.raw
}

impl<'t> Reader<'t, '_> {
    fn run(&mut self) -> Result<(), Failure> {
        self.refuse_control_characters()?;
        let options = granit_parser::options! {
            emit_unresolved_aliases: true,
            emit_anchor_events: true,
            flow_nesting_limit: NESTING_MAX,
            block_nesting_limit: NESTING_MAX,
            // A commented-out block is bounded by the size of the text alone.
            max_buffered_comment_events: usize::MAX,
        };
        let parser: Parser<'t, StrInput<'t>> =
            Parser::new_from_str_with_options(self.text, options);
        let mut documents = 0usize;
        for next in parser {
            let (event, span) = next.map_err(|error| self.failure(&error))?;
            let range = span.byte_range().unwrap_or(0..0);
            let range = (self.base + range.start, self.base + range.end);
            self.read_to = self.read_to.max(range.1);
            match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(self.fail(
                            "yaml-syntax",
                            "a second document starts here without `---`",
                            range,
                        ));
                    }
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let node = self.scalar(text, style, tag.as_deref(), range)?;
                    self.add(node, anchor)?;
                }
                Event::SequenceStart(style, anchor, _) => {
                    let node = RawNode {
                        span: range,
                        kind: RawKind::Seq(Vec::new()),
                    };
                    self.begin(node, anchor, style)?;
                }
                Event::MappingStart(style, anchor, _) => {
                    let node = RawNode {
                        span: range,
                        kind: RawKind::Map(Vec::new()),
                    };
                    self.begin(node, anchor, style)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.end(range),
                Event::Alias(anchor) => {
                    let kind = match self.anchors.get(&anchor) {
                        Some(id) => RawKind::Alias(*id),
                        None => RawKind::Unknown(String::new()),
                    };
                    self.add(RawNode { span: range, kind }, 0)?;
                }
                Event::Anchor(_, name) => self.check_anchor_name(&name, range)?,
                Event::UnresolvedAlias(name) => {
                    self.check_anchor_name(&name, range)?;
                    let kind = RawKind::Unknown(name.into_owned());
                    self.add(RawNode { span: range, kind }, 0)?;
                }
                Event::Comment(text, _) => {
                    self.spend(range)?;
                    self.raw.comments.push((range, text.trim().to_owned()));
                }
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                other => {
                    return Err(self.fail(
                        "yaml-syntax",
                        &format!("a part of YAML that is not known here: {other:?}"),
                        range,
                    ));
                }
            }
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        tag: Option<&granit_parser::Tag>,
        span: Range,
    ) -> Result<RawNode<'t>, Failure> {
        let plain = style == ScalarStyle::Plain;
        let inline = !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let source = self.source(span);
        if style == ScalarStyle::DoubleQuoted && !self.json {
            self.refuse_json_escapes(source, span)?;
        }
        // An absent value is given as `~`.
        let mut text = if plain && source.is_empty() {
            Cow::Borrowed("")
        } else {
            text
        };
        if !inline && self.ends_unbroken(span) && text.ends_with('\n') {
            text.to_mut().pop();
        }
        // The span of a block scalar may run on to the next line.
        let trailing = source.len() - source.trim_end_matches([' ', '\n', '\r']).len();
        let span = (span.0, span.1 - trailing);
        let (tag, implicit) = match tag {
            None if plain => (Tag::Plain, true),
            None => (Tag::Quoted, false),
            Some(tag) => {
                let (handle, suffix) = tag.parts();
                let uri = format!("{handle}{suffix}");
                (Tag::of(&uri), uri == "!")
            }
        };
        Ok(RawNode {
            span,
            kind: RawKind::Scalar {
                text,
                tag,
                implicit,
                inline,
            },
        })
    }

    /// YAML 1.1 takes fewer characters than 1.2.
    fn check_anchor_name(&self, name: &str, span: Range) -> Result<(), Failure> {
        let fits = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if fits {
            return Ok(());
        }
        Err(self.fail(
            "yaml-syntax",
            "the name of an anchor may hold only letters, digits, `-` and `_`",
            span,
        ))
    }

    /// Whether a block scalar ends with the text, in a line without a break: the reference's reader adds none.
    fn ends_unbroken(&self, span: Range) -> bool {
        let last = self.text.rsplit(['\n', '\r']).next().unwrap_or_default();
        let line_start = self.base + self.text.len() - last.len();
        span.1 > line_start && !last.trim().is_empty()
    }

    /// Tabs between the start of a line and its first token, which only the indentation may take.
    fn refuse_tab_indent(&self, span: Range) -> Result<(), Failure> {
        if !self.has_tabs || self.open.last().is_some_and(|open| !open.block) {
            return Ok(());
        }
        let before = self
            .text
            .get(..span.0.saturating_sub(self.base))
            .unwrap_or_default();
        let prefix_start = before.trim_end_matches([' ', '\t', '-', '?']).len();
        let prefix = before.get(prefix_start..).unwrap_or_default();
        let from_line_start = prefix_start == 0
            || before
                .get(..prefix_start)
                .is_some_and(|text| text.ends_with('\n'));
        match prefix.find('\t') {
            Some(at) if from_line_start => {
                let start = self.base + prefix_start + at;
                Err(self
                    .fail(
                        "yaml-syntax",
                        "a tab stands before the first value of this line",
                        (start, start + 1),
                    )
                    .with_help("indent with spaces: YAML takes no tabs there"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// YAML 1.1 has neither `\/` nor surrogate pairs.
    fn refuse_json_escapes(&self, source: &str, span: Range) -> Result<(), Failure> {
        let mut rest = source;
        while let Some(at) = rest.find('\\') {
            let escape = rest.get(at + 1..).unwrap_or_default();
            let offset = span.0 + (source.len() - rest.len()) + at;
            if escape.starts_with('/') {
                return Err(self
                    .fail(
                        "yaml-syntax",
                        "`\\/` is an escape of JSON that Kubernetes' YAML reader refuses",
                        (offset, offset + 2),
                    )
                    .with_help("write `/`"));
            }
            let surrogate = escape
                .strip_prefix('u')
                .and_then(|hex| hex.get(..4))
                .and_then(|hex| u16::from_str_radix(hex, 16).ok())
                .is_some_and(|unit| (0xD800..=0xDFFF).contains(&unit));
            if surrogate {
                return Err(self
                    .fail(
                        "yaml-syntax",
                        "a pair of `\\u` escapes is an escape of JSON that Kubernetes' YAML reader refuses",
                        (offset, offset + 6),
                    )
                    .with_help("write the character itself, or `\\U` with eight digits"));
            }
            // Skips the escaped character too, so that `\\/` is a backslash and a slash.
            let skip = 1 + escape.chars().next().map_or(0, char::len_utf8);
            rest = rest.get(at + skip..).unwrap_or_default();
        }
        Ok(())
    }

    fn begin(
        &mut self,
        node: RawNode<'t>,
        anchor: usize,
        style: granit_parser::StructureStyle,
    ) -> Result<(), Failure> {
        let id = self.add(node, anchor)?;
        let block = style == granit_parser::StructureStyle::Block;
        self.open.push(Open { id, block });
        Ok(())
    }

    fn end(&mut self, range: Range) {
        let Some(open) = self.open.pop() else {
            return;
        };
        // A block ends where the next thing begins: its last child says where it really ends.
        let ends = match self.raw.nodes.get(open.id).map(|node| &node.kind) {
            Some(RawKind::Seq(children) | RawKind::Map(children)) if open.block => {
                let at = |id: &Id| self.raw.nodes.get(*id).map(|node| node.span);
                children
                    .first()
                    .and_then(at)
                    .zip(children.last().and_then(at))
            }
            Some(_) | None => None,
        };
        let ends = ends.map(|(first, last)| (self.dash_before(open.id, first.0), last.1));
        if let Some(node) = self.raw.nodes.get_mut(open.id) {
            node.span = match ends {
                Some((start, end)) => (node.span.0.min(start), end),
                None if open.block => node.span,
                None => (node.span.0, range.1),
            };
        }
    }

    /// Where the `-` of the first item stands; the item itself for a map.
    fn dash_before(&self, id: Id, item: usize) -> usize {
        let is_seq = self
            .raw
            .nodes
            .get(id)
            .is_some_and(|node| matches!(node.kind, RawKind::Seq(_)));
        let before = self
            .text
            .get(..item.saturating_sub(self.base))
            .unwrap_or_default()
            .trim_end_matches([' ', '\t']);
        if is_seq && before.ends_with('-') {
            self.base + before.len() - 1
        } else {
            item
        }
    }

    fn add(&mut self, node: RawNode<'t>, anchor: usize) -> Result<Id, Failure> {
        self.spend(node.span)?;
        self.refuse_tab_indent(node.span)?;
        let id = self.raw.nodes.len();
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        self.raw.nodes.push(node);
        match self.open.last().map(|open| open.id) {
            Some(parent) => {
                if let Some(RawKind::Seq(children) | RawKind::Map(children)) =
                    self.raw.nodes.get_mut(parent).map(|node| &mut node.kind)
                {
                    children.push(id);
                }
            }
            None => self.raw.root = Some(id),
        }
        Ok(id)
    }

    fn spend(&mut self, span: Range) -> Result<(), Failure> {
        match self.budget.checked_sub(1) {
            Some(left) => {
                *self.budget = left;
                Ok(())
            }
            None => Err(self
                .fail(
                    "yaml-too-large",
                    &format!(
                        "the file holds more than {} values and comments",
                        super::NODES_MAX
                    ),
                    span,
                )
                .with_help("split the file")),
        }
    }

    /// The reference's reader refuses these anywhere, also in comments.
    fn refuse_control_characters(&self) -> Result<(), Failure> {
        // In blocks, which the compiler makes fast. Most texts end here.
        let is_plain = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
        let are_plain = |block: &[u8]| block.iter().fold(true, |all, byte| all & is_plain(byte));
        if self.text.as_bytes().chunks(64).all(are_plain) {
            return Ok(());
        }
        let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
        match self.text.char_indices().find(|(_, c)| !allowed(*c)) {
            None => Ok(()),
            Some((at, c)) => {
                let start = self.base + at;
                Err(self
                    .fail(
                        "yaml-control-character",
                        &format!("control character U+{:04X} is not allowed in YAML", u32::from(c)),
                        (start, start + c.len_utf8()),
                    )
                    .with_help(
                        "remove it; inside double quotes it can be written as an escape such as `\\x07`",
                    ))
            }
        }
    }

    fn source(&self, span: Range) -> &'t str {
        let start = span.0.saturating_sub(self.base);
        let end = span.1.saturating_sub(self.base);
        self.text.get(start..end).unwrap_or_default()
    }

    fn fail(&self, code: &'static str, message: &str, span: Range) -> Failure {
        Failure {
            code,
            message: message.to_owned(),
            help: None,
            span,
            quote: None,
        }
    }

    fn failure(&self, error: &ScanError) -> Failure {
        let at = error
            .marker()
            .byte_offset()
            .unwrap_or(0)
            .min(self.text.len());
        let width = self
            .text
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .filter(|c| !matches!(c, '\n' | '\r'))
            .map_or(0, char::len_utf8);
        let start = self.base + at;
        let nesting = *error.kind() == ErrorKind::RecursionLimitExceeded;
        let message = if nesting {
            format!("more than {NESTING_MAX} nested lists and maps")
        } else {
            error.kind().to_string()
        };
        let code = if nesting {
            "yaml-nesting"
        } else {
            "yaml-syntax"
        };
        let mut failure = self.fail(code, &message, (start, start + width));
        failure.help = help(error.kind());
        if *error.kind() == ErrorKind::InvalidQuotedScalarIndent {
            let bom = self.lead;
            failure.quote = Some((self.read_to.saturating_sub(self.base) + bom, at + bom));
        }
        failure
    }
}

impl Failure {
    fn with_help(mut self, help: &'static str) -> Self {
        self.help = Some(help);
        self
    }
}

/// What usually leads to an error.
fn help(kind: &ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::TabInIndentation
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => Some("indent with spaces: YAML takes no tabs there"),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            Some("put a value that holds `: ` in quotes, and check the indentation of this line")
        }
        ErrorKind::UnexpectedCharacter { .. } => {
            Some("put a value that starts with this character in quotes")
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            Some("a `:` is missing, or a text over several lines needs quotes or `|`")
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidIndentation => {
            Some("check the indentation: it must be the same for all entries of a map or list")
        }
        ErrorKind::InvalidQuotedScalarIndent => Some(
            "indent the further lines of the quoted text more than its key; Kubernetes does not ask for it, YAML does",
        ),
        ErrorKind::UnclosedQuotedScalar => Some("the closing quote is missing"),
        ErrorKind::UnclosedFlowCollection { .. } => Some("the closing bracket is missing"),
        // The list of another crate, open by its declaration.
        _ => None,
    }
}
