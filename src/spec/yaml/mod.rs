//! Reads YAML and JSON as Kubernetes does (sigs.k8s.io/yaml 1.6), into a tree with a span everywhere.
//!
//! Reading never fails: it gives the documents that could be read, plus problems. A document with an
//! error of syntax is left out and hides no other; a smaller error leaves the rest of its document.
//! Reading is strict: a key that is set twice is an error, and the tree holds the last.

mod build;
mod node;
mod parse;
pub mod path;
mod requote;
mod scalar;
mod split;
mod template;
#[cfg(test)]
mod tests;

pub use node::{Entry, Kind, Map, Node, Number, Value};
pub use path::{Place, Step};

use crate::source::{Problem, Severity, SourceId, Sources, Span};

/// Bytes of a file that are read at most.
pub const BYTES_MAX: usize = 64 << 20;
/// Values and comments of a file at most.
pub const NODES_MAX: usize = 3_000_000;
/// Documents of a file at most.
pub const DOCUMENTS_MAX: usize = 100_000;
/// Problems that are kept for a file.
pub const PROBLEMS_MAX: usize = 1_000;

/// A comment in a document, for directives to tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// From `#` to the end of the line.
    pub span: Span,
    /// What follows `#`, trimmed.
    pub text: String,
}

/// One document of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The document with its comments, from its `---` line on.
    pub span: Span,
    /// Null for a document of comments only.
    pub root: Node,
    pub comments: Vec<Comment>,
}

/// What a text holds. Blank documents are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    pub documents: Vec<Document>,
    /// In the order of the text, document by document.
    pub problems: Vec<Problem>,
}

/// Registers a file and reads it. Bytes over [`BYTES_MAX`] or that are no UTF-8 give a problem; of the
/// latter, what precedes the first wrong byte is registered so that its place can be shown.
pub fn read_bytes(sources: &mut Sources, name: &str, bytes: &[u8]) -> (SourceId, Stream) {
    if bytes.len() > BYTES_MAX {
        let id = sources.add(name, "");
        let problem = Problem::error(
            "yaml-too-large",
            format!(
                "the file has {} bytes, more than the {BYTES_MAX} that are read",
                bytes.len()
            ),
            Span::new(id, 0, 0),
        )
        .with_help("split the file");
        return (id, Stream::refused(problem));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let id = sources.add(name, text);
            (id, read(sources, id))
        }
        Err(error) => {
            let valid = error.valid_up_to();
            let before = bytes
                .get(..valid)
                .map(String::from_utf8_lossy)
                .unwrap_or_default();
            let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
            let id = sources.add(name, before);
            let problem = Problem::error(
                "yaml-encoding",
                format!("the byte at offset {valid} is not UTF-8"),
                Span::new(id, valid, valid),
            )
            .with_help(if utf16 {
                "the file looks like UTF-16: store it as UTF-8"
            } else {
                "store the file as UTF-8"
            });
            (id, Stream::refused(problem))
        }
    }
}

/// Reads a registered text.
pub fn read(sources: &Sources, source: SourceId) -> Stream {
    let text = sources.text(source);
    let mut stream = Stream::default();
    if text.len() > BYTES_MAX {
        return Stream::refused(Problem::error(
            "yaml-too-large",
            format!("the text has more than {BYTES_MAX} bytes"),
            Span::new(source, 0, 0),
        ));
    }
    let mut budget = NODES_MAX;
    for (index, chunk) in split::split(text).into_iter().enumerate() {
        if index >= DOCUMENTS_MAX {
            let problem = Problem::error(
                "yaml-too-large",
                format!("the file holds more than {DOCUMENTS_MAX} documents"),
                Span::new(source, chunk.start, chunk.start),
            )
            .with_help("split the file");
            push(&mut stream.problems, problem);
            break;
        }
        read_document(text, source, chunk, &mut budget, &mut stream);
        if budget == 0 {
            break;
        }
    }
    if stream.problems.len() >= PROBLEMS_MAX {
        stream.problems.push(Problem {
            severity: Severity::Info,
            code: "yaml-more-problems",
            message: format!("only the first {PROBLEMS_MAX} problems of this file are shown"),
            help: None,
            span: Some(Span::new(source, 0, 0)),
            related: Vec::new(),
        });
    }
    stream
}

impl Stream {
    /// Whether Kubernetes would refuse any part.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }

    fn refused(problem: Problem) -> Self {
        Self {
            documents: Vec::new(),
            problems: vec![problem],
        }
    }
}

fn read_document(
    text: &str,
    source: SourceId,
    chunk: split::Chunk,
    budget: &mut usize,
    stream: &mut Stream,
) {
    let body = text.get(chunk.start..chunk.end).unwrap_or_default();
    let mut blanks = requote::Blanks::default();
    for quotes in 0..=requote::QUOTES_MAX {
        let indented = blanks.apply(body);
        let mut left = *budget;
        let mut raw = parse::parse(&indented, chunk.start, chunk.json, &mut left);
        let quote = raw.failure.as_ref().and_then(|failure| failure.quote);
        if let Some((from, at)) = quote
            && quotes < requote::QUOTES_MAX
            && blanks.indent(&indented, from, at)
        {
            continue;
        }
        *budget = left;
        blanks.restore(&mut raw, chunk.start);
        finish_document(body, source, chunk, raw, stream);
        return;
    }
}

fn finish_document(
    body: &str,
    source: SourceId,
    chunk: split::Chunk,
    raw: parse::Raw<'_>,
    stream: &mut Stream,
) {
    let first_problem = stream.problems.len();
    if let Some((start, end)) = chunk.beside_marker {
        let problem = Problem::warning(
            "yaml-separator",
            "kubectl refuses anything but a comment on a `---` line",
            Span::new(source, start, end),
        )
        .with_help("write it on the next line");
        push(&mut stream.problems, problem);
    }
    if !body.is_ascii()
        && let Some((at, separator)) = body
            .match_indices(['\u{85}', '\u{2028}', '\u{2029}'])
            .next()
    {
        let start = chunk.start + at;
        let problem = Problem::warning(
            "yaml-line-separator",
            "Kubernetes reads this invisible character as the end of the line",
            Span::new(source, start, start + separator.len()),
        )
        .with_help("remove it, or write it as an escape inside double quotes");
        push(&mut stream.problems, problem);
    }
    let root = match &raw.failure {
        Some(failure) => {
            let span = Span::new(source, failure.span.0, failure.span.1);
            let mut problem = Problem::error(failure.code, failure.message.clone(), span);
            problem.help = failure.help.map(str::to_owned);
            push(&mut stream.problems, problem);
            None
        }
        None => build::build(&raw, source, &mut stream.problems),
    };
    explain_templates(
        body,
        chunk.start,
        source,
        stream.problems.get_mut(first_problem..).unwrap_or_default(),
    );
    if let Some((start, end)) = chunk.unread {
        let problem = Problem::warning(
            "yaml-after-end",
            "Kubernetes does not read what follows a `...` line up to the next `---`",
            Span::new(source, start, end),
        )
        .with_help("separate documents with `---`");
        push(&mut stream.problems, problem);
    }
    let broken = raw.failure.is_some();
    let comments: Vec<Comment> = raw
        .comments
        .into_iter()
        .map(|((start, end), text)| Comment {
            span: Span::new(source, start, end),
            text,
        })
        .collect();
    let span = Span::new(source, chunk.start, chunk.end);
    let root = root.or_else(|| {
        let empty = raw.root.is_none() && !broken && !comments.is_empty();
        empty.then_some(Node {
            span,
            value: Value::Null,
        })
    });
    if let Some(root) = root
        && !(root.is_null() && comments.is_empty())
    {
        stream.documents.push(Document {
            span,
            root,
            comments,
        });
    }
}

/// What a template breaks in YAML shows as some other error: say so.
fn explain_templates(body: &str, base: usize, source: SourceId, problems: &mut [Problem]) {
    let Some(problem) = problems
        .iter_mut()
        .find(|problem| matches!(problem.code, "yaml-syntax" | "yaml-key-type"))
    else {
        return;
    };
    let Some(action) = template::helm_action(body) else {
        if template::bare_action(body).is_some() {
            problem.help = Some("put a value that starts with `{{` in quotes".to_owned());
        }
        return;
    };
    let start = base + template::before(body, action).len();
    let place = Span::new(source, start, start + action.len());
    let message = format!("`{}` is part of a template", scalar::clip(action));
    let was = std::mem::replace(
        problem,
        Problem::error("yaml-template", message, place).with_help(template::RENDER_HELP),
    );
    if let Some(span) = was.span {
        problem.related.push((span, was.message));
    }
}

/// Keeps a problem unless there are too many.
fn push(problems: &mut Vec<Problem>, problem: Problem) {
    if problems.len() < PROBLEMS_MAX {
        problems.push(problem);
    }
}
