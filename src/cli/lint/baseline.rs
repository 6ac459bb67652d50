//! Findings that were there before: a file lists them, and only new ones are shown.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cli::input::named;
use crate::lint::Report;
use crate::source::Sources;

#[derive(Debug, Serialize, Deserialize)]
struct Baseline {
    version: u32,
    /// How often each finding is there, by fingerprint.
    findings: BTreeMap<String, usize>,
}

pub(super) fn write(path: &Path, sources: &Sources, report: &Report) -> io::Result<()> {
    let mut findings = BTreeMap::new();
    for finding in &report.findings {
        *findings.entry(finding.fingerprint(sources)).or_insert(0) += 1;
    }
    let baseline = Baseline {
        version: 1,
        findings,
    };
    let text = serde_json::to_string_pretty(&baseline)?;
    fs::write(path, text + "\n").map_err(|error| named(path, &error.to_string()))
}

/// Takes the findings of the baseline out of the report.
pub(super) fn subtract(path: &Path, sources: &Sources, report: &mut Report) -> io::Result<()> {
    let text = fs::read(path).map_err(|error| named(path, &error.to_string()))?;
    let mut baseline: Baseline =
        serde_json::from_slice(&text).map_err(|error| named(path, &error.to_string()))?;
    if baseline.version != 1 {
        return Err(named(
            path,
            "is a baseline of another version: write it anew",
        ));
    }
    report.findings.retain(|finding| {
        match baseline.findings.get_mut(&finding.fingerprint(sources)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            Some(_) | None => true,
        }
    });
    let gone: usize = baseline.findings.values().sum();
    if gone > 0 {
        eprintln!(
            "note: {gone} findings of {} are gone; --write-baseline writes it anew",
            path.display()
        );
    }
    Ok(())
}
