//! promtool's notation, through [`crate::promql::notation`]. Time 0 is the epoch.

use crate::promql::histogram::Histogram;
use crate::promql::labels::Labels;
use crate::promql::notation::{self, Item, Sink};

use super::collect::GivenHistogram;
use super::reading::{Reading, lines};

pub(super) fn read(reading: &mut Reading<'_>) {
    let text = reading.text;
    let places: Vec<(usize, usize)> = lines(text)
        .map(|(offset, line)| {
            let indent = line.len() - line.trim_start().len();
            (offset + indent, offset + line.len())
        })
        .collect();
    let place_of = |line: usize| {
        let place = line.checked_sub(1).and_then(|at| places.get(at));
        place.copied().unwrap_or((text.len(), text.len()))
    };
    let mut given = Given {
        reading: &mut *reading,
        place_of: &place_of,
    };
    for error in notation::run(&mut given, text) {
        let (start, end) = place_of(error.line);
        let help = if error.message.starts_with("invalid command") {
            "series stand below a line such as `load 30s`, without empty lines between"
        } else {
            "the notation: `name{label=\"value\"} 0+60x20 _ stale`, one series a line"
        };
        reading.error(start, end, error.message, help);
    }
}

struct Given<'a, 'b, F> {
    reading: &'a mut Reading<'b>,
    place_of: &'a F,
}

impl<F: Fn(usize) -> (usize, usize)> Sink for Given<'_, '_, F> {
    fn clear(&mut self) {
        self.reading.collected.clear();
    }

    fn sample(
        &mut self,
        line: usize,
        labels: &Labels,
        start: i64,
        time: i64,
        value: &Item,
    ) -> Result<(), String> {
        let (offset, _) = (self.place_of)(line);
        let place = self.reading.place(offset);
        let collected = &mut *self.reading.collected;
        let series = collected.series(labels);
        match value {
            Item::Omitted => {}
            Item::Float(value) => {
                collected.push_float(series, time, *value, place);
                if start != 0 {
                    collected.push_start(series, time, start);
                }
            }
            Item::Histogram {
                histogram,
                hint_given: _,
            } => {
                let given = GivenHistogram::Exact(Histogram::clone(histogram));
                collected.push_histogram(series, time, start, given, place);
            }
        }
        Ok(())
    }
}
