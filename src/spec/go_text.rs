//! Text as Go prints it, for messages that tools compare.

use std::fmt::{self, Write as _};

use serde_json::Value;

/// Go's `%q`: printable characters stay, the rest is escaped.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if c < ' ' || c == '\u{7f}' => escape(&mut out, format_args!("\\x{:02x}", c as u32)),
            c if c.is_control()
                || (c.is_whitespace() && c != ' ')
                || c == '\u{feff}'
                || c == '\u{ad}' =>
            {
                let code = c as u32;
                if code < 0x1_0000 {
                    escape(&mut out, format_args!("\\u{code:04x}"));
                } else {
                    escape(&mut out, format_args!("\\U{code:08x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Go's `json.Marshal`: compact, with `<`, `>` and `&` escaped. Members keep their order.
pub fn json(value: &Value) -> String {
    let plain = value.to_string();
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            // These occur inside strings only.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escape(&mut out, format_args!("\\u{:04x}", c as u32))
            }
            c => out.push(c),
        }
    }
    out
}

fn escape(out: &mut String, escaped: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(escaped);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_in_go() {
        assert_eq!(quote("a\"b\\\n\u{1}é\u{85}"), r#""a\"b\\\n\x01é\u0085""#);
        assert_eq!(
            json(&serde_json::json!({"a": "<&>"})),
            r#"{"a":"\u003c\u0026\u003e"}"#
        );
    }
}
