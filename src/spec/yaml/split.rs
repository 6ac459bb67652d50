//! Cuts a stream into documents by its `---` and `...` lines, as Kubernetes' own reader does before it
//! parses: so a broken document never hides another.

/// A document's part of the text, its `---` line included. Byte offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub start: usize,
    pub end: usize,
    /// Something that is no comment stands on the `---` line: from, to.
    pub beside_marker: Option<(usize, usize)>,
    /// Text between a `...` and the next `---`, which Kubernetes does not read: from, to.
    pub unread: Option<(usize, usize)>,
    /// One of several JSON values, or a JSON text alone: read by JSON's rules where those differ.
    pub json: bool,
}

/// All documents of a text, in order, without those that are blank; at most one more than are read.
pub(super) fn split(text: &str) -> Vec<Chunk> {
    let mut splitter = Splitter {
        text,
        chunks: Vec::new(),
        open: Chunk::at(0),
        // Only comments, directives and blank lines so far: they belong to the document that follows.
        only_prefix: true,
        ended_at: None,
    };
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if splitter.chunks.len() > super::DOCUMENTS_MAX {
            return splitter.chunks;
        }
        let end = offset + line.len();
        // A BOM may stand before each document.
        let content = line.strip_prefix('\u{feff}').unwrap_or(line);
        if is_marker(content, "---") {
            splitter.start_document(offset, end, content);
        } else if is_marker(content, "...") {
            if splitter.ended_at.is_none() {
                splitter.open.end = offset;
                splitter.ended_at = Some(end);
                splitter.only_prefix = true;
            }
        } else if splitter.only_prefix && !is_prefix(content) {
            splitter.only_prefix = false;
        }
        offset = end;
    }
    splitter.close(offset);
    splitter.chunks
}

impl Chunk {
    fn at(start: usize) -> Self {
        Self {
            start,
            end: start,
            beside_marker: None,
            unread: None,
            json: false,
        }
    }
}

struct Splitter<'t> {
    text: &'t str,
    chunks: Vec<Chunk>,
    open: Chunk,
    only_prefix: bool,
    /// Behind the `...` line that ended the open document.
    ended_at: Option<usize>,
}

impl Splitter<'_> {
    fn start_document(&mut self, line_start: usize, line_end: usize, content: &str) {
        let prefix_start = match self.ended_at {
            Some(ended_at) => self.only_prefix.then_some(ended_at),
            None => self.only_prefix.then_some(self.open.start),
        };
        let marked = self.open.end > self.open.start;
        match prefix_start {
            Some(start) if self.ended_at.is_some() => {
                self.close(start);
                self.open = Chunk::at(start);
            }
            Some(start) if !marked => self.open = Chunk::at(start),
            Some(_) | None => {
                self.close(line_start);
                self.open = Chunk::at(line_start);
            }
        }
        // From here on the document has begun, even if only comments follow.
        self.open.end = line_end;
        self.only_prefix = false;
        let beside = content.get(3..).unwrap_or_default().trim();
        if !beside.is_empty() && !beside.starts_with('#') {
            let start = line_start + self.line_offset(line_start, beside);
            self.open.beside_marker = Some((start, start + beside.len()));
        }
    }

    fn line_offset(&self, line_start: usize, part: &str) -> usize {
        self.text
            .get(line_start..)
            .and_then(|rest| rest.find(part))
            .unwrap_or(0)
    }

    fn close(&mut self, end: usize) {
        let mut chunk = self.open;
        match self.ended_at.take() {
            Some(ended_at) => {
                if !self.only_prefix {
                    let rest = self.text.get(ended_at..end).unwrap_or_default();
                    let start = ended_at + (rest.len() - rest.trim_start().len());
                    chunk.unread = Some((start, start + rest.trim().len()));
                }
            }
            None => chunk.end = end,
        }
        let body = self.text.get(chunk.start..chunk.end).unwrap_or_default();
        if chunk.unread.is_none() && is_blank(body) {
            return;
        }
        if body.trim_start_matches(blank).starts_with('{') {
            self.push_json(chunk, body);
        } else {
            self.chunks.push(chunk);
        }
    }

    /// Kubernetes reads what starts with `{` as a stream of JSON values, and as YAML where that fails.
    fn push_json(&mut self, chunk: Chunk, body: &str) {
        let lead = body.len() - body.trim_start_matches(blank).len();
        let base = chunk.start + lead;
        let json = body.get(lead..).unwrap_or_default();
        let mut ends = Vec::new();
        let mut values =
            serde_json::Deserializer::from_str(json).into_iter::<serde::de::IgnoredAny>();
        while let Some(value) = values.next() {
            if value.is_err() {
                self.chunks.push(chunk);
                return;
            }
            ends.push(base + values.byte_offset());
            if ends.len() > super::DOCUMENTS_MAX {
                break;
            }
        }
        let mut start = chunk.start;
        let last = ends.len().saturating_sub(1);
        for (index, end) in ends.into_iter().enumerate() {
            self.chunks.push(Chunk {
                start,
                end: if index == last { chunk.end } else { end },
                beside_marker: None,
                unread: chunk.unread.filter(|_| index == last),
                json: true,
            });
            start = end;
        }
    }
}

fn blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{feff}'
}

/// Nothing but blanks and `---` without content.
fn is_blank(body: &str) -> bool {
    let body = body.trim_start_matches(blank);
    let body = body.strip_prefix("---").unwrap_or(body);
    body.chars().all(blank)
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn is_prefix(line: &str) -> bool {
    line.starts_with('%') || {
        let line = line.trim();
        line.is_empty() || line.starts_with('#')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<&str> {
        split(text)
            .iter()
            .map(|chunk| &text[chunk.start..chunk.end])
            .collect()
    }

    #[test]
    fn cuts_at_markers() {
        assert_eq!(parts("a\n---\nb\n"), ["a\n", "---\nb\n"]);
        assert_eq!(parts("---\n---\n--- # c\nb"), ["--- # c\nb"]);
        assert_eq!(parts("%YAML 1.1\n---\na\n"), ["%YAML 1.1\n---\na\n"]);
        assert_eq!(
            parts("# c\n---\na\n---\n# d\n"),
            ["# c\n---\na\n", "---\n# d\n"]
        );
        assert_eq!(
            parts("a: |\n  ---\n  x\n---x\n"),
            ["a: |\n  ---\n  x\n---x\n"]
        );
        assert_eq!(parts(""), Vec::<&str>::new());
    }

    #[test]
    fn reading_stops_behind_an_end_marker() {
        let text = "a: 1\n...\nb: 2\n---\nc: 3\n";
        let chunks = split(text);
        assert_eq!(parts(text), ["a: 1\n", "---\nc: 3\n"]);
        let (start, end) = chunks[0].unread.unwrap();
        assert_eq!(&text[start..end], "b: 2");
        assert_eq!(split("a: 1\n...\n# c\n---\nc: 3\n")[0].unread, None);
    }

    #[test]
    fn json_values_follow_each_other() {
        assert_eq!(
            parts("{\"a\": 1}\n{\"b\": 2}\n"),
            ["{\"a\": 1}", "\n{\"b\": 2}\n"]
        );
        assert!(!split("{{ .Values.x }}")[0].json);
        assert!(split("{\"a\": 1}")[0].json);
    }
}
