//! The traces that a scenario names.

use std::io;
use std::path::Path;

use crate::promql::Store;
use crate::promql::load::Loader;
use crate::promql::query_time::Extent;
use crate::sim::scenario::{Scenario, TraceFile};
use crate::source::Sources;

use super::{input, problems};

/// Reads the traces of a scenario from its folder, with times from the release on; none where one
/// of them cannot be read.
pub(super) fn read(
    sources: &mut Sources,
    folder: &Path,
    scenario: &Scenario,
) -> io::Result<Option<Store>> {
    let mut all = Store::new();
    for trace in &scenario.traces {
        let TraceFile { file, release_at } = trace;
        let (name, bytes) = input::read_trace(&folder.join(file))?;
        let mut loader = Loader::new();
        loader.add(sources, &name, bytes, None, &mut |_| {});
        let loaded = loader.finish();
        if problems::show(sources, &loaded.problems) {
            return Ok(None);
        }
        let extent = loaded
            .extent
            .map(|(first, last)| Extent { first, last })
            .unwrap_or_default();
        let release = match release_at {
            None => extent.first,
            Some(text) => match extent.parse(text) {
                Ok(time) => time,
                Err(error) => {
                    eprintln!("error: releaseAt of {name}: {error}");
                    return Ok(None);
                }
            },
        };
        all.append_all(&loaded.store, i64::MIN, release.saturating_neg());
    }
    Ok(Some(all))
}

/// The folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}
