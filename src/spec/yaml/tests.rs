use proptest::prelude::*;

use super::*;
use crate::source::Position;

fn read_text(text: &str) -> (Sources, Stream) {
    let mut sources = Sources::new();
    let (_, stream) = read_bytes(&mut sources, "a.yaml", text.as_bytes());
    (sources, stream)
}

/// `code line:column` of each problem.
fn problems(text: &str) -> Vec<String> {
    let (sources, stream) = read_text(text);
    stream
        .problems
        .iter()
        .map(|problem| {
            let place = problem.span.map(|span| sources.start(span).to_string());
            format!("{} {}", problem.code, place.unwrap_or_default())
        })
        .collect()
}

/// The JSON of all documents.
fn json(text: &str) -> Vec<serde_json::Value> {
    let (_, stream) = read_text(text);
    stream
        .documents
        .iter()
        .map(|document| document.root.to_json())
        .collect()
}

#[test]
fn a_broken_document_hides_no_other() {
    let text = "a: 1\n---\nb: [\n---\nc: \t\n  x\n d: 1\n---\n\"e\n---\nf: 2\n";
    assert_eq!(
        json(text),
        [serde_json::json!({"a": 1}), serde_json::json!({"f": 2})]
    );
    let (_, stream) = read_text(text);
    assert_eq!(stream.problems.len(), 3);
}

#[test]
fn spans_lead_to_keys_and_values() {
    let text =
        "# héad\nspec:\n  steps:\n  - setWeight: 20\n  - pause: {}\n  text: |\n    x\n\n  none:\n";
    let (sources, stream) = read_text(text);
    let root = &stream.documents[0].root;
    let at = |path: &str| {
        let place = root.span_of(path);
        (
            place.key.map(|key| sources.slice(key).to_owned()),
            sources.slice(place.value).to_owned(),
            place.missing,
        )
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        at("spec.steps[0].setWeight"),
        (some("setWeight"), "20".into(), 0)
    );
    assert_eq!(
        at("spec.steps[1].pause.duration"),
        (some("pause"), "{}".into(), 1)
    );
    assert_eq!(
        at("spec.steps[7]"),
        (some("steps"), "- setWeight: 20\n  - pause: {}".into(), 1)
    );
    assert_eq!(at("spec.none"), (some("none"), String::new(), 0));
    assert_eq!(sources.slice(root.span_of("spec.none").best()), "none");
    assert_eq!(sources.slice(root.span_of("spec.text").value).trim(), "x");
    assert_eq!(
        sources.slice(stream.documents[0].comments[0].span),
        "# héad"
    );
    assert_eq!(stream.documents[0].comments[0].text, "héad");
}

#[test]
fn aliases_point_to_where_they_stand() {
    let text = "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2\n";
    let (sources, stream) = read_text(text);
    let root = &stream.documents[0].root;
    assert_eq!(sources.slice(root.span_of("c").value), "*x");
    assert_eq!(
        sources.start(root.span_of("c.b").value),
        Position {
            line: 1,
            column: 11
        }
    );
    assert_eq!(
        sources.start(root.span_of("d.b").value),
        Position {
            line: 1,
            column: 11
        }
    );
    assert_eq!(
        json(text),
        [serde_json::json!({"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}})]
    );
}

#[test]
fn duplicates_show_both_places() {
    let text = "a: 1\nb: 2\na: 3\n";
    assert_eq!(problems(text), ["yaml-duplicate-key 3:1"]);
    let (sources, stream) = read_text(text);
    assert_eq!(sources.start(stream.problems[0].related[0].0).line, 1);
    assert_eq!(json(text), [serde_json::json!({"a": 3, "b": 2})]);
    let many: String = (0..40).map(|n| format!("k{n}: 1\n")).collect();
    assert_eq!(
        problems(&format!("{many}k7: 2\n")),
        ["yaml-duplicate-key 41:1"]
    );
}

#[test]
fn what_follows_an_end_marker_is_not_read() {
    assert_eq!(
        problems("a: 1\n...\nb: 2\n---\nc: 3\n"),
        ["yaml-after-end 3:1"]
    );
    assert_eq!(json("a: 1\n...\nb: 2\n---\nc: 3\n").len(), 2);
    assert_eq!(problems("a: 1\n...\n"), Vec::<String>::new());
    assert_eq!(problems("--- {a: 1}\n"), ["yaml-separator 1:5"]);
}

#[test]
fn templates_are_recognised() {
    assert_eq!(problems("a: {{ .Values.a }}\n"), ["yaml-template 1:4"]);
    assert_eq!(
        problems("{{- if .Values.x }}\na: 1\n{{- end }}\n"),
        ["yaml-template 1:1"]
    );
    assert_eq!(problems("a: b-{{ .Values.a }}\n"), ["yaml-template 1:4"]);
    assert_eq!(problems("a: '{{args.x}}'\n"), Vec::<String>::new());
    let (_, stream) = read_text("a: {{args.x}}\n");
    assert_eq!(stream.problems[0].code, "yaml-key-type");
    assert_eq!(
        stream.problems[0].help.as_deref(),
        Some("put a value that starts with `{{` in quotes")
    );
}

#[test]
fn json_is_read_by_its_own_rules() {
    assert_eq!(
        json("{\"a\": \"\\/ \\ud83d\\ude00\"}\n{\"b\": 1}"),
        [
            serde_json::json!({"a": "/ 😀"}),
            serde_json::json!({"b": 1})
        ]
    );
    assert_eq!(
        json("{\n\t\"a\": [\n\t\t1\n\t]\n}\n"),
        [serde_json::json!({"a": [1]})]
    );
}

#[test]
fn encodings_tabs_and_marks() {
    let mut sources = Sources::new();
    let (id, stream) = read_bytes(&mut sources, "a.yaml", b"a: 1\nb: \xff\n");
    assert_eq!(stream.problems[0].code, "yaml-encoding");
    assert_eq!(
        stream.problems[0].message,
        "the byte at offset 8 is not UTF-8"
    );
    assert_eq!(sources.position(id, 8).to_string(), "2:4");
    assert_eq!(
        json("\u{feff}a: 1\r\nb:\r\n- 2\r\n"),
        [serde_json::json!({"a": 1, "b": [2]})]
    );
    assert_eq!(problems("a:\n\tb: 1\n"), ["yaml-syntax 2:2"]);
    assert_eq!(problems("a: 1\nb: \u{7}\n"), ["yaml-control-character 2:4"]);
    assert_eq!(json(""), Vec::<serde_json::Value>::new());
    assert_eq!(json("---\n---\n# c\n---\n").len(), 1);
    assert_eq!(problems("a: *x\nb: 1\n"), ["yaml-unknown-anchor 1:4"]);
}

#[test]
fn quoted_texts_may_be_indented_too_little() {
    let text = "a:\n  - b: \"x\n  y\n\n z\\\"\"\n    c: 'it''s\n\n  é'\n  - d: *x # 'e\n";
    assert_eq!(
        json(text),
        [serde_json::json!({"a": [{"b": "x y\nz\"", "c": "it's\né"}, {"d": null}]})]
    );
    assert_eq!(problems(text), ["yaml-unknown-anchor 9:8"]);
    let (sources, stream) = read_text(text);
    let root = &stream.documents[0].root;
    assert_eq!(
        sources.slice(root.span_of("a[0].c").value),
        "'it''s\n\n  é'"
    );
    assert_eq!(sources.slice(stream.documents[0].comments[0].span), "# 'e");
}

#[test]
fn hostile_inputs_are_refused() {
    for (text, code) in [
        ("[".repeat(100_000), "yaml-nesting"),
        ("{a: ".repeat(100_000), "yaml-nesting"),
        ("- ".repeat(100_000), "yaml-nesting"),
        (
            (0..2_000)
                .map(|n| format!("{}a:\n", " ".repeat(n)))
                .collect(),
            "yaml-nesting",
        ),
        (bomb(9, "a"), "yaml-alias-bomb"),
        // Few values, much text.
        (
            format!(
                "a: &a {}\nb: [{}]\n",
                "x".repeat(1 << 20),
                "*a,".repeat(300)
            ),
            "yaml-alias-bomb",
        ),
        (chain(20), "yaml-nesting"),
    ] {
        let (_, stream) = read_text(&text);
        assert_eq!(
            stream.problems.first().map(|problem| problem.code),
            Some(code)
        );
        assert!(stream.documents.is_empty());
    }
}

#[test]
fn a_file_of_100_megabytes_is_refused() {
    let bytes = vec![b'#'; 100 << 20];
    let mut sources = Sources::new();
    let (_, stream) = read_bytes(&mut sources, "a.yaml", &bytes);
    assert_eq!(stream.problems[0].code, "yaml-too-large");
}

#[test]
fn documents_are_counted_out() {
    for part in ["a: 1\n---\n", "{\"a\":1}\n"] {
        let (_, stream) = read_text(&part.repeat(DOCUMENTS_MAX + 9));
        assert_eq!(stream.documents.len(), DOCUMENTS_MAX);
        assert_eq!(stream.problems[0].code, "yaml-too-large");
    }
}

#[test]
fn problems_are_counted_out() {
    let (_, stream) = read_text(&"a: 1\n".repeat(PROBLEMS_MAX + 50));
    assert_eq!(stream.problems.len(), PROBLEMS_MAX + 1);
}

/// Each level repeats the one before nine times.
fn bomb(levels: usize, leaf: &str) -> String {
    let mut text = format!("a0: &a0 [{leaf}]\n");
    for level in 1..=levels {
        let inner = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    text
}

/// Each level nests the one before in 15 lists.
fn chain(levels: usize) -> String {
    let mut text = "- &a0 [x]\n".to_owned();
    for level in 1..=levels {
        text.push_str(&format!(
            "- &a{level} {}*a{}{}\n",
            "[".repeat(15),
            level - 1,
            "]".repeat(15)
        ));
    }
    text
}

/// Pieces that make up most of YAML.
const PIECES: [&str; 44] = [
    "a",
    "b: ",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    ": ",
    "? ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "&x ",
    "*x",
    "<<: ",
    "!!int ",
    "!x ",
    "'",
    "\"",
    "\\",
    "|\n",
    ">-\n",
    "#",
    " ",
    "\t",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "{{ .Values.x }}",
    "1e3",
    "0x1f",
    "~",
    "\u{feff}",
    "é",
    "\u{85}",
    "\r\n",
    "\u{0}",
    "y",
    ".inf",
    "\\ud83d",
    "{\"a\":1}",
    "apiVersion: v1\nkind: List\nitems:\n- ",
    "=",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_panics(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
        check(pieces.concat().as_bytes());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }
}

/// Reads, and holds what must be true of any input.
fn check(bytes: &[u8]) {
    let mut sources = Sources::new();
    let (id, stream) = read_bytes(&mut sources, "a.yaml", bytes);
    let length = sources.text(id).len();
    for problem in &stream.problems {
        let span = problem.span.expect("a problem has a place");
        assert!(span.start <= span.end && span.end as usize <= length);
    }
    for document in &stream.documents {
        check_spans(&document.root, &sources, length);
        let _ = document.root.to_json();
    }
    let mut again = Sources::new();
    assert_eq!(read_bytes(&mut again, "a.yaml", bytes).1, stream);
}

fn check_spans(node: &Node, sources: &Sources, length: usize) {
    let span = node.span;
    assert!(span.start <= span.end && span.end as usize <= length);
    assert!(
        sources
            .text(span.source)
            .is_char_boundary(span.start as usize)
    );
    assert!(
        sources
            .text(span.source)
            .is_char_boundary(span.end as usize)
    );
    for item in node.as_seq().unwrap_or_default() {
        check_spans(item, sources, length);
    }
    for entry in node.as_map().map(Map::entries).unwrap_or_default() {
        check_spans(&entry.value, sources, length);
    }
}
