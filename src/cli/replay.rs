//! `rollproof replay`.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde_json::Value;

use crate::live::record;
use crate::report::timeline::Look;
use crate::sim::recording::{Difference, Replay, Replayed};

use super::{Outcome, print};

/// Decide again on everything that was recorded, and compare.
///
/// A recording comes from `rollproof controller --record DIR` or `rollproof simulate --record DIR`.
/// The same version of rollproof decides the same; another version shows what it decides otherwise.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof replay recording/

Exit codes: 0 the same again, 1 a decision differs, 2 wrong use, 3 internal error")]
pub(super) struct Arguments {
    /// Folder of a recording.
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Show so many decisions that differ.
    #[arg(long, default_value_t = 5, value_name = "N")]
    show: usize,
}

/// Characters of a value that are shown.
const MAX_SHOWN: usize = 200;

#[derive(Default)]
struct Tally {
    decisions: usize,
    differing: usize,
    hanging: usize,
    objects: std::collections::BTreeSet<String>,
    text: String,
}

pub(super) fn run(arguments: &Arguments, look: Look) -> io::Result<Outcome> {
    let Arguments { folder, show } = arguments;
    let files = match record::files(folder) {
        Ok(files) if files.is_empty() => {
            eprintln!("error: there is no recording in {}", folder.display());
            return Ok(Outcome::WrongUse);
        }
        Ok(files) => files,
        Err(error) => {
            eprintln!("error: {} cannot be read: {error}", folder.display());
            return Ok(Outcome::WrongUse);
        }
    };
    let mut tally = Tally::default();
    for file in &files {
        if let Err(reason) = replay(file, *show, look, &mut tally) {
            print(&tally.text)?;
            eprintln!("error: {}: {reason}", file.display());
            return Ok(Outcome::WrongUse);
        }
    }
    let Tally {
        decisions,
        differing,
        hanging,
        objects,
        mut text,
    } = tally;
    if differing > *show {
        text.push_str(&format!("and {} more\n", differing - show));
    }
    if hanging > 0 {
        text.push_str(&format!(
            "{hanging} decisions hang on the value of a secret; replayed is what follows without it\n"
        ));
    }
    let objects = objects.len();
    let (decisions, objects) = (counted(decisions, "decision"), counted(objects, "object"));
    let verdict = match differing {
        0 => "the same again".to_owned(),
        differing => format!("{} otherwise", counted(differing, "decision")),
    };
    text.push_str(&format!("{decisions} on {objects}: {verdict}\n"));
    print(&text)?;
    Ok(if differing == 0 {
        Outcome::Clean
    } else {
        Outcome::Findings
    })
}

/// # Errors
/// Which line cannot be used, and why.
fn replay(path: &Path, show: usize, look: Look, tally: &mut Tally) -> Result<(), String> {
    let mut file = BufReader::new(File::open(path).map_err(|error| error.to_string())?);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut replay = Replay::default();
    let mut line = String::new();
    for number in 1usize.. {
        line.clear();
        let read = file.read_line(&mut line);
        if read.map_err(|error| format!("line {number}: {error}"))? == 0 {
            break;
        }
        if !line.ends_with('\n') {
            eprintln!("note: {name}:{number}: the end is missing, as after a crash");
            break;
        }
        let replayed = replay
            .line(&line)
            .map_err(|error| format!("line {number}: {error}"))?;
        let Some(replayed) = replayed else {
            continue;
        };
        tally.decisions += 1;
        tally.hanging += usize::from(replayed.hangs_on_secrets);
        if !replayed.differences.is_empty() {
            if tally.differing < show {
                let place = format!("{name}:{number}");
                tally.text.push_str(&shown(&replayed, &place, look));
            }
            tally.differing += 1;
        }
        tally.objects.insert(replayed.object);
    }
    Ok(())
}

fn shown(replayed: &Replayed, place: &str, look: Look) -> String {
    let Replayed {
        object,
        now,
        hangs_on_secrets: _,
        differences,
    } = replayed;
    let paint = |colour: AnsiColor, text: &str| {
        if look.colour {
            let style = Style::new().fg_color(Some(colour.into()));
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    };
    let mut text = format!("{object} at {now} ({place})\n");
    for Difference {
        path,
        recorded,
        now,
    } in differences
    {
        let recorded = paint(AnsiColor::Red, &short(recorded.as_ref()));
        let now = paint(AnsiColor::Green, &short(now.as_ref()));
        text.push_str(&format!(
            "  {path}\n    recorded  {recorded}\n    now       {now}\n"
        ));
    }
    text.push('\n');
    text
}

fn short(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "absent".to_owned();
    };
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{} ...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
