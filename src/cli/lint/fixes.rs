//! Applying fixes to files.

use std::fs;
use std::io;

use anstyle::AnsiColor;
use similar::{ChangeTag, TextDiff};

use crate::lint::{Settings, fixes};
use crate::report::timeline::Look;

/// The text of each file after its fixes; none where there are none, and for standard input.
pub(super) fn fix(
    files: &[(String, Vec<u8>)],
    settings: &Settings,
    is_unsafe: bool,
) -> Vec<Option<String>> {
    let fixed = fixes::fix(files, settings, is_unsafe).into_iter();
    let is_file = |name: &str| name != "<stdin>";
    fixed
        .zip(files)
        .map(|(text, (name, _))| text.filter(|_| is_file(name)))
        .collect()
}

/// Writes the fixed files.
pub(super) fn write(files: &mut [(String, Vec<u8>)], fixed: Vec<Option<String>>) -> io::Result<()> {
    let mut count = 0;
    for ((name, bytes), text) in files.iter_mut().zip(fixed) {
        if let Some(text) = text {
            fs::write(&*name, &text)
                .map_err(|error| io::Error::other(format!("{name}: {error}")))?;
            *bytes = text.into_bytes();
            count += 1;
        }
    }
    if count > 0 {
        eprintln!("fixed {count} file{}", if count == 1 { "" } else { "s" });
    }
    Ok(())
}

/// A unified diff of all files that fixes change.
pub(in crate::cli) fn diff(
    files: &[(String, Vec<u8>)],
    fixed: &[Option<String>],
    look: Look,
) -> String {
    let mut out = String::new();
    for ((name, bytes), text) in files.iter().zip(fixed) {
        let Some(text) = text else { continue };
        let old = String::from_utf8_lossy(bytes);
        let diff = TextDiff::from_lines(old.as_ref(), text.as_str());
        out.push_str(&format!("--- a/{name}\n+++ b/{name}\n"));
        for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
            out.push_str(&format!("{}\n", hunk.header()));
            for change in hunk.iter_changes() {
                let line = change.to_string_lossy();
                let line = line.trim_end_matches('\n');
                out.push_str(&match change.tag() {
                    ChangeTag::Equal => format!(" {line}"),
                    ChangeTag::Delete => {
                        look.paint(AnsiColor::Red.on_default(), &format!("-{line}"))
                    }
                    ChangeTag::Insert => {
                        look.paint(AnsiColor::Green.on_default(), &format!("+{line}"))
                    }
                });
                out.push('\n');
            }
        }
    }
    out
}
