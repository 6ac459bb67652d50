//! The pictures of a report, as SVG.

use plotters::prelude::*;

use crate::report::plot::{
    Area, COLOURS, Drawn, FAINT_INK, FONT, GRID, INK, SCALE, ValueAxis, picture, value_steps,
    value_text,
};
use crate::sim::play::Play;
use crate::sim::timeline::EntryKind;
use crate::whatif::tune::{Tuned, Tuning};
use crate::whatif::{Ending, Histogram, Results, Share, Summary, Sweep};

use super::words::{percent, value_text as json_text};

/// Narrow enough to be read on a phone.
const WIDTH: i32 = 540;
const HEIGHT: i32 = 270;
/// Font sizes.
const LARGE: i32 = 15;
const SMALL: i32 = 13;
/// On coloured areas, on light and dark pages alike.
const ON_COLOUR: RGBColor = RGBColor(16, 16, 16);

const BLUE: RGBColor = COLOURS[0];
const RED: RGBColor = COLOURS[1];
const GREEN: RGBColor = COLOURS[2];

/// The colour of an ending.
fn colour_of(ending: Ending) -> RGBColor {
    match ending {
        Ending::Promoted => GREEN,
        Ending::Aborted => RED,
        Ending::Inconclusive => COLOURS[5],
        Ending::WaitsForPeople => COLOURS[4],
        Ending::Stuck => COLOURS[3],
        Ending::Unfinished | Ending::NotReleased => COLOURS[6],
    }
}

fn font(size: i32, colour: RGBColor) -> TextStyle<'static> {
    (FONT, size * SCALE).into_font().color(&colour)
}

/// What becomes of healthy and of bad releases: two bars of 100 %.
pub(super) fn endings(healthy: &Summary, bad: &Summary) -> Result<String, String> {
    picture((WIDTH, 190), |root| {
        let (left, right) = (16, WIDTH - 16);
        for (row, (name, summary)) in [("healthy releases", healthy), ("bad releases", bad)]
            .into_iter()
            .enumerate()
        {
            let top = 8 + 84 * row as i32;
            root.draw_text(name, &font(LARGE, INK), (left * SCALE, top * SCALE))?;
            let mut from = f64::from(left);
            for ending in Ending::ALL {
                let share = summary.share(ending).share;
                let to = from + share * f64::from(right - left);
                if share > 0.0 {
                    bar(root, (from, to), top + 22, colour_of(ending))?;
                    if to - from > 44.0 {
                        let text = percent((share * 1000.0).round() / 1000.0);
                        let place = (scaled(from + 6.0), (top + 34) * SCALE);
                        root.draw_text(&text, &font(LARGE, ON_COLOUR), place)?;
                    }
                }
                from = to;
            }
        }
        let mut at = left;
        for ending in Ending::ALL {
            if healthy.share(ending).count + bad.share(ending).count == 0 {
                continue;
            }
            let swatch = [(at * SCALE, 168 * SCALE), ((at + 12) * SCALE, 180 * SCALE)];
            root.draw(&Rectangle::new(swatch, colour_of(ending).filled()))?;
            let name = ending.as_str();
            root.draw_text(name, &font(SMALL, INK), ((at + 18) * SCALE, 166 * SCALE))?;
            at += 36 + 8 * name.chars().count() as i32;
        }
        Ok(())
    })
}

fn bar(root: &Area<'_>, (from, to): (f64, f64), top: i32, colour: RGBColor) -> Drawn {
    let area = [
        (scaled(from), top * SCALE),
        (scaled(to), (top + 38) * SCALE),
    ];
    root.draw(&Rectangle::new(area, colour.filled()))
}

fn scaled(value: f64) -> i32 {
    (value * f64::from(SCALE)).round() as i32
}

/// Two axes with names, and how their values are written.
struct Axes<'p> {
    x: (f64, f64),
    y: (f64, f64),
    x_name: &'p str,
    y_name: &'p str,
    /// Whether y is a share, to be written in percent.
    y_is_share: bool,
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<ValueAxis, ValueAxis>>;

fn chart(
    root: &Area<'_>,
    axes: &Axes<'_>,
    draw: impl FnOnce(&mut Chart<'_, '_>) -> Drawn,
) -> Drawn {
    let Axes {
        x,
        y,
        x_name,
        y_name,
        y_is_share,
    } = axes;
    let (x_steps, y_steps) = (value_steps(x.0, x.1), value_steps(y.0, y.1));
    root.draw_text(y_name, &font(SMALL, FAINT_INK), (14 * SCALE, 8 * SCALE))?;
    let mut chart = ChartBuilder::on(root)
        .margin_top(32 * SCALE)
        .margin_left(8 * SCALE)
        .margin_right(24 * SCALE)
        .margin_bottom(4 * SCALE)
        .x_label_area_size(44 * SCALE)
        .y_label_area_size(52 * SCALE)
        .build_cartesian_2d(
            ValueAxis {
                low: x.0,
                high: x.1,
                steps: x_steps.clone(),
            },
            ValueAxis {
                low: y.0,
                high: y.1,
                steps: y_steps.clone(),
            },
        )?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(GRID.stroke_width(0))
        .bold_line_style(GRID.stroke_width(SCALE as u32))
        .axis_style(FAINT_INK.stroke_width(SCALE as u32))
        .x_labels(x_steps.len())
        .y_labels(y_steps.len())
        .set_all_tick_mark_size(4 * SCALE)
        .label_style(font(SMALL, FAINT_INK))
        .axis_desc_style(font(SMALL, FAINT_INK))
        .x_desc(*x_name)
        .x_label_formatter(&|value| value_text(*value, &x_steps))
        .y_label_formatter(&|value| {
            if *y_is_share {
                format!("{:.0} %", value * 100.0)
            } else {
                value_text(*value, &y_steps)
            }
        })
        .draw()?;
    draw(&mut chart)
}

/// A line with a band of its intervals.
struct Curve {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, Share)>,
}

fn curves(axes: &Axes<'_>, curves: &[Curve]) -> Result<String, String> {
    let legend = if curves.len() > 1 { 24 } else { 0 };
    picture((WIDTH, HEIGHT + legend), |root| {
        let (upper, lower) = root.split_vertically(HEIGHT * SCALE);
        chart(&upper, axes, |chart| {
            for curve in curves {
                let lows = curve.points.iter().map(|(x, share)| (*x, share.low));
                let highs = curve.points.iter().rev().map(|(x, share)| (*x, share.high));
                let band: Vec<(f64, f64)> = lows.chain(highs).collect();
                let style = curve.colour.mix(0.25);
                chart.draw_series(std::iter::once(Polygon::new(band, style)))?;
                let line: Vec<(f64, f64)> = curve
                    .points
                    .iter()
                    .map(|(x, share)| (*x, share.share))
                    .collect();
                let dots = line
                    .iter()
                    .map(|point| Circle::new(*point, 3 * SCALE, curve.colour.filled()));
                chart.draw_series(dots)?;
                let style = curve.colour.stroke_width(2 * SCALE as u32);
                chart.draw_series(std::iter::once(PathElement::new(line, style)))?;
            }
            Ok(())
        })?;
        let mut at = 60;
        for curve in curves.iter().filter(|_| legend > 0) {
            let swatch = [(at * SCALE, 4 * SCALE), ((at + 12) * SCALE, 16 * SCALE)];
            lower.draw(&Rectangle::new(swatch, curve.colour.filled()))?;
            lower.draw_text(
                curve.name,
                &font(SMALL, INK),
                ((at + 18) * SCALE, 2 * SCALE),
            )?;
            at += 200;
        }
        Ok(())
    })
}

/// Results of one varied number as curves; none where the values are no numbers.
pub(super) fn one_dimension(sweep: &Sweep) -> Option<Result<String, String>> {
    let [dimension] = sweep.dimensions.as_slice() else {
        return None;
    };
    let scale = if dimension.is_error_rate { 100.0 } else { 1.0 };
    let numbers: Option<Vec<f64>> = dimension
        .values
        .iter()
        .map(|value| match value.as_str() {
            Some(text) => crate::time::Duration::parse_go(text)
                .ok()
                .map(crate::time::Duration::as_secs_f64),
            None => value.as_f64().map(|number| number * scale),
        })
        .collect();
    let numbers = numbers.filter(|numbers| numbers.len() > 1)?;
    let of = |name, colour, pick: &dyn Fn(&Results) -> Option<Share>| {
        let points = numbers
            .iter()
            .zip(&sweep.cells)
            .filter_map(|(x, cell)| Some((*x, pick(&cell.results)?)));
        Curve {
            name,
            colour,
            points: points.collect(),
        }
    };
    let all = [
        of("healthy: promoted", GREEN, &|results| match results {
            Results::Two { healthy, bad: _ } => Some(healthy.promoted),
            Results::One { .. } => None,
        }),
        of("bad: promoted", RED, &|results| match results {
            Results::Two { healthy: _, bad } => Some(bad.promoted),
            Results::One { .. } => None,
        }),
        of("aborted", BLUE, &|results| match results {
            Results::Two { .. } => None,
            Results::One { release } => Some(release.aborted),
        }),
    ];
    let drawn: Vec<Curve> = all.into_iter().filter(|it| !it.points.is_empty()).collect();
    let unit = match (dimension.is_error_rate, dimension.values.first()) {
        (true, _) => " (% of requests)",
        (false, Some(value)) if value.is_string() => " (seconds)",
        (false, _) => "",
    };
    let name = crate::report::plot::shortened(&format!("{}{unit}", dimension.name), 70);
    let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low >= high {
        return None;
    }
    let axes = Axes {
        x: (low, high),
        y: (0.0, 1.0),
        x_name: &name,
        y_name: "share of the releases (band: 95 % interval)",
        y_is_share: true,
    };
    Some(curves(&axes, &drawn))
}

/// Bars of a histogram.
pub(super) fn histogram(
    histogram: &Histogram,
    x_name: &str,
    in_minutes: bool,
) -> Result<String, String> {
    let unit = if in_minutes { 60.0 } else { 1.0 };
    let width = histogram.width / unit;
    let total: u64 = histogram.counts.iter().sum();
    let share = |count: u64| count as f64 / total.max(1) as f64;
    let highest = histogram.counts.iter().copied().max().unwrap_or(0);
    let axes = Axes {
        x: (0.0, width * histogram.counts.len().max(1) as f64),
        y: (0.0, share(highest).max(0.01) * 1.1),
        x_name,
        y_name: "share of the runs",
        y_is_share: true,
    };
    picture((WIDTH, HEIGHT), |root| {
        chart(root, &axes, |chart| {
            let bars = histogram.counts.iter().enumerate().map(|(at, count)| {
                let from = width * at as f64;
                let corners = [(from, 0.0), (from + width, share(*count))];
                let mut bar = Rectangle::new(corners, BLUE.filled());
                bar.set_margin(0, 0, SCALE as u32, SCALE as u32);
                bar
            });
            chart.draw_series(bars)?;
            Ok(())
        })
    })
}

/// A heat map of two varied things: the share of `pick`, darker where it is more.
pub(super) fn heat_map(
    sweep: &Sweep,
    pick: impl Fn(&Results) -> Share,
) -> Option<Result<String, String>> {
    let [down, across] = sweep.dimensions.as_slice() else {
        return None;
    };
    let (rows, columns) = (down.values.len(), across.values.len());
    if rows == 0 || columns == 0 {
        return None;
    }
    let label = |value: &serde_json::Value, is_error_rate: bool| match value.as_f64() {
        Some(share) if is_error_rate => percent(share),
        Some(_) | None => json_text(value),
    };
    let (left, top, row_height) = (110, 30, 34);
    let cell_width = f64::from(WIDTH - left - 16) / columns as f64;
    let height = top + row_height * rows as i32 + 50;
    Some(picture((WIDTH, height), |root| {
        let name = crate::report::plot::shortened(&down.name, 62);
        root.draw_text(&name, &font(SMALL, FAINT_INK), (14 * SCALE, 8 * SCALE))?;
        for (row, value) in down.values.iter().enumerate() {
            let y = top + row_height * row as i32;
            let text = crate::report::plot::shortened(&label(value, down.is_error_rate), 12);
            root.draw_text(&text, &font(SMALL, INK), (14 * SCALE, (y + 11) * SCALE))?;
            for column in 0..columns {
                let Some(cell) = sweep.cells.get(row * columns + column) else {
                    continue;
                };
                let share = pick(&cell.results).share;
                let x = f64::from(left) + cell_width * column as f64;
                let corners = [
                    (scaled(x), y * SCALE),
                    (scaled(x + cell_width - 2.0), (y + row_height - 2) * SCALE),
                ];
                root.draw(&Rectangle::new(corners, shade(share).filled()))?;
                if cell_width >= 34.0 {
                    let text = format!("{:.0}", share * 100.0);
                    let colour = if share > 0.55 {
                        PAPER_ALWAYS
                    } else {
                        ON_COLOUR
                    };
                    let place = (scaled(x + 6.0), (y + 10) * SCALE);
                    root.draw_text(&text, &font(SMALL, colour), place)?;
                }
            }
        }
        let every = (60.0 / cell_width).ceil().max(1.0) as usize;
        for (column, value) in across.values.iter().enumerate().step_by(every) {
            let x = f64::from(left) + cell_width * column as f64;
            let y = top + row_height * rows as i32 + 4;
            let text = crate::report::plot::shortened(&label(value, across.is_error_rate), 9);
            root.draw_text(&text, &font(SMALL, INK), (scaled(x), y * SCALE))?;
        }
        let name = crate::report::plot::shortened(&across.name, 56);
        let y = top + row_height * rows as i32 + 24;
        root.draw_text(&name, &font(SMALL, FAINT_INK), (left * SCALE, y * SCALE))?;
        Ok(())
    }))
}

/// White that stays white on dark pages.
const PAPER_ALWAYS: RGBColor = RGBColor(254, 254, 254);

/// From light to dark blue.
fn shade(share: f64) -> RGBColor {
    let between = |from: f64, to: f64| (from + (to - from) * share.clamp(0.0, 1.0)) as u8;
    RGBColor(
        between(222.0, 8.0),
        between(235.0, 48.0),
        between(247.0, 107.0),
    )
}

/// Settings by time and harm: those tried, the best, the present and the chosen ones.
pub(super) fn front(
    tuning: &Tuning,
    chosen: Option<usize>,
    harm_is_requests: bool,
) -> Result<String, String> {
    let unit = if harm_is_requests { 1.0 } else { 60.0 };
    let place = |tuned: &Tuned| Some((tuned.seconds? / 60.0, tuned.harm? / unit));
    let front: Vec<(f64, f64)> = tuning.front.iter().filter_map(place).collect();
    let present = place(&tuning.present);
    // Far from all that matters, dots would only make the rest small.
    let told = || front.iter().chain(&present).copied();
    let (x_end, y_end) = told().fold((0.0, 0.0), |(x, y): (f64, f64), it| {
        (x.max(it.0), y.max(it.1))
    });
    let (x_end, y_end) = (x_end.max(0.1) * 1.6, y_end.max(0.1) * 1.6);
    let dots: Vec<(f64, f64, bool)> = tuning
        .dots
        .iter()
        .map(|dot| (dot.seconds / 60.0, dot.harm / unit, dot.is_allowed))
        .filter(|(x, y, _)| *x <= x_end && *y <= y_end)
        .collect();
    let axes = Axes {
        x: (0.0, x_end),
        y: (0.0, y_end),
        x_name: "minutes until a healthy release has reached everybody",
        y_name: if harm_is_requests {
            "requests that fail because of a bad release"
        } else {
            "minutes until a bad release is aborted"
        },
        y_is_share: false,
    };
    picture((WIDTH, HEIGHT + 60), |root| {
        chart(root, &axes, |chart| {
            for (x, y, is_allowed) in &dots {
                let size = if *is_allowed { 3 } else { 2 };
                let dot = Circle::new((*x, *y), size * SCALE, COLOURS[6].filled());
                chart.draw_series(std::iter::once(dot))?;
            }
            let style = GREEN.stroke_width(2 * SCALE as u32);
            chart.draw_series(std::iter::once(PathElement::new(front.clone(), style)))?;
            for (index, point) in front.iter().enumerate() {
                let dot = Circle::new(*point, 5 * SCALE, GREEN.filled());
                chart.draw_series(std::iter::once(dot))?;
                if chosen == Some(index) {
                    let style = INK.stroke_width(2 * SCALE as u32);
                    let ring = Circle::new(*point, 8 * SCALE, style);
                    chart.draw_series(std::iter::once(ring))?;
                }
            }
            if let Some(point) = present {
                let dot = Circle::new(point, 5 * SCALE, RED.filled());
                chart.draw_series(std::iter::once(dot))?;
            }
            Ok(())
        })
    })
}

/// The release's share of the traffic over time, its pods, and its measurements.
pub(super) fn timeline(play: &Play) -> Result<String, String> {
    let end = play
        .timeline
        .iter()
        .filter(|entry| entry.kind != EntryKind::Traffic)
        .map(|entry| entry.at.as_secs_f64() / 60.0)
        .fold(0.5, f64::max)
        * 1.04;
    let most = play.samples.iter().map(|sample| sample.pods).max();
    let most = f64::from(most.unwrap_or(0)).max(1.0) * 1.1;
    let steps = |value: &dyn Fn(&crate::sim::timeline::Sample) -> f64| {
        let mut line: Vec<(f64, f64)> = Vec::new();
        for sample in &play.samples {
            let at = (sample.at.as_secs_f64() / 60.0).clamp(0.0, end);
            if let Some((_, before)) = line.last().copied() {
                line.push((at, before));
            }
            line.push((at, value(sample)));
        }
        if let Some((_, last)) = line.last().copied() {
            line.push((end, last));
        }
        line
    };
    let share = steps(&|sample| sample.share);
    let (release_pods, pods) = (
        steps(&|sample| f64::from(sample.release_pods)),
        steps(&|sample| f64::from(sample.pods)),
    );
    let axes = Axes {
        x: (0.0, end),
        y: (0.0, 1.1),
        x_name: "",
        y_name: "traffic of the release; dots: measurements (at 105 %), red ones failed",
        y_is_share: true,
    };
    let pod_axes = Axes {
        x: (0.0, end),
        y: (0.0, most),
        x_name: "minutes after the release",
        y_name: "pods: of the release (blue), of all versions (grey)",
        y_is_share: false,
    };
    picture((WIDTH, 210 + 180), |root| {
        let (upper, lower) = root.split_vertically(210 * SCALE);
        chart(&upper, &axes, |chart| {
            let style = GREEN.stroke_width(2 * SCALE as u32);
            chart.draw_series(std::iter::once(PathElement::new(share, style)))?;
            for entry in &play.timeline {
                let at = entry.at.as_secs_f64() / 60.0;
                match entry.kind {
                    EntryKind::Measurement => {
                        let failed =
                            entry.text.contains(" Failed") || entry.text.contains(" Error");
                        let colour = if failed { RED } else { GREEN };
                        let dot = Circle::new((at, 1.05), 4 * SCALE, colour.filled());
                        chart.draw_series(std::iter::once(dot))?;
                    }
                    EntryKind::Abort | EntryKind::Promotion => {
                        let colour = if entry.kind == EntryKind::Abort {
                            RED
                        } else {
                            GREEN
                        };
                        let line = vec![(at, 0.0), (at, 1.1)];
                        let style = colour.stroke_width(SCALE as u32);
                        chart.draw_series(std::iter::once(PathElement::new(line, style)))?;
                    }
                    EntryKind::User
                    | EntryKind::Step
                    | EntryKind::Weight
                    | EntryKind::Scale
                    | EntryKind::Pods
                    | EntryKind::Service
                    | EntryKind::Pause
                    | EntryKind::Analysis
                    | EntryKind::Experiment
                    | EntryKind::Phase
                    | EntryKind::Traffic
                    | EntryKind::Problem => {}
                }
            }
            Ok(())
        })?;
        chart(&lower, &pod_axes, |chart| {
            let style = COLOURS[6].stroke_width(2 * SCALE as u32);
            chart.draw_series(std::iter::once(PathElement::new(pods, style)))?;
            let style = BLUE.stroke_width(2 * SCALE as u32);
            chart.draw_series(std::iter::once(PathElement::new(release_pods, style)))?;
            Ok(())
        })
    })
}

/// How much each change alters the share of wrong decisions: bars to the left are better.
pub(super) fn tornado(changes: &[(String, f64, f64)]) -> Result<String, String> {
    let row_height = 44;
    let height = 40 + row_height * changes.len() as i32;
    let widest = changes
        .iter()
        .map(|(_, value, half)| value.abs() + half)
        .fold(0.01, f64::max);
    let middle = f64::from(WIDTH) / 2.0;
    let reach = middle - 20.0;
    picture((WIDTH, height), |root| {
        root.draw_text(
            "← fewer wrong decisions",
            &font(SMALL, FAINT_INK),
            (14 * SCALE, 8 * SCALE),
        )?;
        let more = (scaled(middle + 90.0), 8 * SCALE);
        root.draw_text("more wrong decisions →", &font(SMALL, FAINT_INK), more)?;
        for (row, (name, value, half)) in changes.iter().enumerate() {
            let y = 32 + row_height * row as i32;
            let name = crate::report::plot::shortened(name, 78);
            root.draw_text(&name, &font(SMALL, INK), (14 * SCALE, y * SCALE))?;
            let to = middle + value / widest * reach;
            let (from, to) = if to < middle {
                (to, middle)
            } else {
                (middle, to)
            };
            let colour = if *value < 0.0 { GREEN } else { RED };
            let area = [
                (scaled(from), (y + 18) * SCALE),
                (scaled(to.max(from + 0.5)), (y + 34) * SCALE),
            ];
            root.draw(&Rectangle::new(area, colour.filled()))?;
            let place = |value: f64| scaled(middle + value / widest * reach);
            let ends = vec![
                (place(value - half), (y + 26) * SCALE),
                (place(value + half), (y + 26) * SCALE),
            ];
            root.draw(&PathElement::new(ends, INK.stroke_width(SCALE as u32)))?;
        }
        let line = vec![
            (scaled(middle), 30 * SCALE),
            (scaled(middle), (height - 6) * SCALE),
        ];
        root.draw(&PathElement::new(
            line,
            FAINT_INK.stroke_width(SCALE as u32),
        ))?;
        Ok(())
    })
}
