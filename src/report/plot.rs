//! Time series as an SVG picture.

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged};
use plotters::prelude::*;

use crate::promql::gofmt::{format_g, format_g_precision};
use crate::promql::query_time::Extent;
use crate::time::Timestamp;

/// What to draw.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    /// Stands above the picture.
    pub title: String,
    /// Below the title; what the lines have in common.
    pub subtitle: String,
    pub lines: Vec<Line>,
    /// The times shown, in milliseconds since the epoch.
    pub extent: Extent,
    /// Milliseconds between points; a longer gap interrupts a line. 0: nothing does.
    pub step: i64,
}

/// A line of a plot.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// In the legend.
    pub name: String,
    /// Times in milliseconds, in order; values that are not finite interrupt the line.
    pub points: Vec<(i64, f64)>,
}

/// Drawn this much larger than shown, since the backend knows whole pixels only.
pub(super) const SCALE: i32 = 8;
const WIDTH: i32 = 960;
const PLOT_HEIGHT: i32 = 400;
const LEGEND_ROW: i32 = 20;
const LEGEND_MAX: usize = 24;
const TITLE_CHARACTERS: usize = 110;
pub(super) const FONT: &str =
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);
pub(super) const INK: RGBColor = RGBColor(31, 35, 40);
pub(super) const FAINT_INK: RGBColor = RGBColor(89, 99, 110);
pub(super) const GRID: RGBColor = RGBColor(225, 228, 232);
/// The same in a dark surrounding: the style in the picture exchanges them.
const DARK: [(RGBColor, &str); 4] = [
    (PAPER, "#0D1117"),
    (INK, "#E6EDF3"),
    (FAINT_INK, "#9198A1"),
    (GRID, "#2A3038"),
];
/// Told apart also without colour vision (Okabe and Ito), and on light and dark paper alike.
pub(super) const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(200, 140, 0),
    RGBColor(128, 128, 128),
];

/// Draws the plot, as the text of an SVG file with its own colours for light and dark pages.
///
/// # Errors
/// The text of the drawing backend's error; none is known to occur.
pub fn svg(plot: &Plot) -> Result<String, String> {
    let legend = Legend::new(plot);
    let height = PLOT_HEIGHT + legend.height();
    picture((WIDTH, height), |root| draw(root, plot, &legend))
}

/// A picture of this width and height, drawn in units of [`SCALE`]ths, with its own colours for light
/// and dark pages.
pub(super) fn picture(
    (width, height): (i32, i32),
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String, String> {
    let mut text = String::new();
    {
        let size = ((width * SCALE) as u32, (height * SCALE) as u32);
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&PAPER).map_err(|error| error.to_string())?;
        draw(&root).map_err(|error| error.to_string())?;
        root.present().map_err(|error| error.to_string())?;
    }
    Ok(finished(&text, width, height))
}

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
pub(super) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(root: &Area<'_>, plot: &Plot, legend: &Legend) -> Drawn {
    let (upper, lower) = root.split_vertically(PLOT_HEIGHT * SCALE);
    let label = |size: i32, colour: &RGBColor| (FONT, size * SCALE).into_font().color(colour);
    let title = shortened(&plot.title, TITLE_CHARACTERS);
    upper.draw_text(&title, &label(15, &INK), (20 * SCALE, 14 * SCALE))?;
    let subtitle = shortened(&plot.subtitle, TITLE_CHARACTERS + 20);
    upper.draw_text(&subtitle, &label(12, &FAINT_INK), (20 * SCALE, 36 * SCALE))?;

    let values = plot
        .lines
        .iter()
        .flat_map(|line| line.points.iter().map(|(_, value)| *value))
        .filter(|value| value.is_finite());
    let (low, high) = value_range(values);
    let times = TimeAxis::new(plot.extent);
    let steps = value_steps(low, high);
    let widest = steps
        .iter()
        .map(|value| value_text(*value, &steps).len())
        .max();
    // The mean width of a digit is a bit over half the size of the font.
    let left = 24 + 8 * i32::try_from(widest.unwrap_or(1)).unwrap_or(1).min(30);
    let mut chart = ChartBuilder::on(&upper)
        .margin_top(62 * SCALE)
        .margin_left(10 * SCALE)
        .margin_right(28 * SCALE)
        .margin_bottom(6 * SCALE)
        .x_label_area_size(30 * SCALE)
        .y_label_area_size(left * SCALE)
        .build_cartesian_2d(
            times.clone(),
            ValueAxis {
                low,
                high,
                steps: steps.clone(),
            },
        )?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(GRID.stroke_width(0))
        .bold_line_style(GRID.stroke_width(SCALE as u32))
        .axis_style(FAINT_INK.stroke_width(SCALE as u32))
        .x_labels(times.ticks.len())
        .y_labels(steps.len())
        .set_all_tick_mark_size(4 * SCALE)
        .label_style(label(12, &FAINT_INK))
        .x_label_formatter(&|time| times.text(*time))
        .y_label_formatter(&|value| value_text(*value, &steps))
        .draw()?;
    for (at, line) in plot.lines.iter().enumerate() {
        let colour = colour(at);
        for run in runs(&line.points, plot.step) {
            if let [(time, value)] = run.as_slice() {
                let dot = Circle::new((*time, *value), 3 * SCALE, colour.filled());
                chart.draw_series(std::iter::once(dot))?;
            } else {
                let style = colour.stroke_width(2 * SCALE as u32);
                chart.draw_series(std::iter::once(PathElement::new(run, style)))?;
            }
        }
    }
    if plot.lines.iter().all(|line| line.points.is_empty()) {
        let middle = (WIDTH / 2 * SCALE - 40 * SCALE, PLOT_HEIGHT / 2 * SCALE);
        upper.draw_text("no data", &label(16, &FAINT_INK), middle)?;
    }
    for (at, (column, row, name)) in legend.entries.iter().enumerate() {
        let (x, y) = (20 + column * legend.column_width, row * LEGEND_ROW + 4);
        if at < plot.lines.len().min(LEGEND_MAX) {
            let swatch = [
                (x * SCALE, (y + 2) * SCALE),
                ((x + 16) * SCALE, (y + 6) * SCALE),
            ];
            lower.draw(&Rectangle::new(swatch, colour(at).filled()))?;
        }
        lower.draw_text(name, &label(12, &INK), ((x + 24) * SCALE, (y - 1) * SCALE))?;
    }
    Ok(())
}

fn colour(at: usize) -> RGBColor {
    COLOURS[at % COLOURS.len()]
}

pub(super) fn shortened(text: &str, characters: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= characters {
        return text;
    }
    let kept: String = text.chars().take(characters.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// The parts of a line between gaps and values that cannot be drawn.
fn runs(points: &[(i64, f64)], step: i64) -> Vec<Vec<(i64, f64)>> {
    let mut runs: Vec<Vec<(i64, f64)>> = Vec::new();
    let mut open: Option<i64> = None;
    for (time, value) in points {
        if !value.is_finite() {
            open = None;
            continue;
        }
        let far = |last: i64| step > 0 && time.saturating_sub(last) > step.saturating_add(step / 2);
        match (open, runs.last_mut()) {
            (Some(last), Some(run)) if !far(last) => run.push((*time, *value)),
            (Some(_) | None, Some(_) | None) => runs.push(vec![(*time, *value)]),
        }
        open = Some(*time);
    }
    runs
}

/// Names in columns below the picture.
struct Legend {
    column_width: i32,
    rows: i32,
    /// Column, row, text.
    entries: Vec<(i32, i32, String)>,
}

impl Legend {
    fn new(plot: &Plot) -> Self {
        let mut names: Vec<String> = plot
            .lines
            .iter()
            .take(LEGEND_MAX)
            .map(|line| shortened(&line.name, 120))
            .collect();
        if plot.lines.len() > LEGEND_MAX {
            names.push(format!("and {} more", plot.lines.len() - LEGEND_MAX));
        }
        let longest = names.iter().map(|name| name.chars().count()).max();
        let wanted = 48 + 7 * i32::try_from(longest.unwrap_or(0)).unwrap_or(120);
        let columns = ((WIDTH - 40) / wanted.max(1)).clamp(1, 4);
        let count = i32::try_from(names.len()).unwrap_or(0);
        let rows = (count + columns - 1) / columns;
        let entries = (0..).zip(names);
        Self {
            column_width: (WIDTH - 40) / columns,
            rows,
            entries: entries
                .map(|(at, name): (i32, String)| (at % columns, at / columns, name))
                .collect(),
        }
    }

    fn height(&self) -> i32 {
        self.rows * LEGEND_ROW + 14
    }
}

/// The lowest and the highest value with a margin; 0 is taken in where it is near.
fn value_range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut low, mut high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    if low > high {
        return (0.0, 1.0);
    }
    // Half of the range, so that the widest one does not overflow.
    let half = high / 2.0 - low / 2.0;
    if half == 0.0 {
        let margin = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
        (low, high) = (low - margin, high + margin);
    } else {
        if low > 0.0 && low / 2.0 < half {
            low = 0.0;
        } else if low < 0.0 {
            low -= half * 0.1;
        }
        if high > 0.0 {
            high += half * 0.1;
        }
    }
    (low.max(f64::MIN / 4.0), high.min(f64::MAX / 4.0))
}

/// Multiples of 1, 2 or 5 times a power of ten within the range.
pub(super) fn value_steps(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 6.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    let first = (low / step).ceil();
    (0..20)
        .map(|at| (first + f64::from(at)) * step)
        .take_while(|value| *value <= high)
        .collect()
}

pub(super) fn value_text(value: f64, steps: &[f64]) -> String {
    let apart = match steps {
        [first, second, ..] => second - first,
        [_] | [] => value.abs(),
    };
    // As many digits as tell the steps apart.
    let size = value.abs().max(apart);
    let digits = (size / apart).log10().floor();
    let digits = if digits.is_finite() {
        digits.clamp(0.0, 15.0) as usize
    } else {
        0
    };
    let rounded = format_g_precision(value, digits + 2);
    match rounded.parse::<f64>() {
        // Thousands without an exponent.
        Ok(number) if (1e-4..1e7).contains(&number.abs()) => format!("{number}"),
        Ok(number) => format_g(number + 0.0),
        Err(_) => rounded,
    }
}

pub(super) struct ValueAxis {
    pub low: f64,
    pub high: f64,
    pub steps: Vec<f64>,
}

impl Ranged for ValueAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        between((value - self.low) / (self.high - self.low), limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.steps.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

impl plotters::coord::ranged1d::ValueFormatter<f64> for ValueAxis {}

fn between(share: f64, (from, to): (i32, i32)) -> i32 {
    let share = share.clamp(-1.0, 2.0);
    (f64::from(from) + share * f64::from(to - from)).round() as i32
}

/// Times with ticks at full minutes, hours or days.
#[derive(Clone)]
struct TimeAxis {
    extent: Extent,
    end: i64,
    step: i64,
    ticks: Vec<i64>,
}

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const TIME_STEPS: [i64; 28] = [
    1,
    10,
    100,
    500,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    30 * DAY,
    90 * DAY,
    365 * DAY,
    3650 * DAY,
];
const TICKS_MAX: i64 = 8;

impl TimeAxis {
    fn new(extent: Extent) -> Self {
        let end = extent.last.max(extent.first.saturating_add(1));
        let length = end.saturating_sub(extent.first);
        let step = TIME_STEPS
            .into_iter()
            .find(|step| length / step <= TICKS_MAX)
            .unwrap_or(length / TICKS_MAX);
        // Counted from the start where times do, else from the epoch: at full hours and days.
        let origin = if extent.counts_from_zero() {
            extent.first
        } else {
            0
        };
        let offset = extent.first.saturating_sub(origin);
        let first = origin + offset + (step - offset.rem_euclid(step)) % step;
        let ticks = (0..=TICKS_MAX)
            .map(|at| first.saturating_add(at.saturating_mul(step)))
            .take_while(|time| *time <= end)
            .collect();
        Self {
            extent,
            end,
            step,
            ticks,
        }
    }

    fn text(&self, time: i64) -> String {
        if self.extent.counts_from_zero() {
            return self.extent.show(time);
        }
        let text = Timestamp::from_nanos(time.saturating_mul(1_000_000)).to_string();
        let (date, clock) = text.split_once('T').unwrap_or((&text, ""));
        let clock = clock.trim_end_matches('Z');
        if self.step >= DAY {
            return date.to_owned();
        }
        let clock = if self.step % MINUTE == 0 {
            clock.get(..5).unwrap_or(clock)
        } else {
            clock
        };
        // The date once, and wherever a day begins.
        if self.ticks.first() == Some(&time) || time.rem_euclid(DAY) == 0 {
            format!("{date} {clock}")
        } else {
            clock.to_owned()
        }
    }
}

impl Ranged for TimeAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = i64;

    fn map(&self, value: &i64, limit: (i32, i32)) -> i32 {
        let passed = value.saturating_sub(self.extent.first) as f64;
        let length = self.end.saturating_sub(self.extent.first) as f64;
        between(passed / length, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<i64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<i64> {
        self.extent.first..self.end
    }
}

impl plotters::coord::ranged1d::ValueFormatter<i64> for TimeAxis {}

/// Shows the picture at its size, with the style for dark pages.
fn finished(svg: &str, width: i32, height: i32) -> String {
    let mut style = String::from("<style>@media (prefers-color-scheme: dark) {");
    for (light, dark) in DARK {
        let RGBColor(red, green, blue) = light;
        let light = format!("#{red:02X}{green:02X}{blue:02X}");
        style.push_str(&format!(
            "[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}"
        ));
    }
    style.push_str("}</style>");
    let large = format!("width=\"{}\" height=\"{}\"", width * SCALE, height * SCALE);
    let shown = format!("width=\"{width}\" height=\"{height}\"");
    let text = svg.replacen(&large, &shown, 1);
    match text
        .find("<svg")
        .and_then(|at| Some(at + text.get(at..)?.find('>')? + 1))
    {
        Some(end) => {
            let (head, body) = text.split_at(end);
            format!("{head}\n{style}{body}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_values_can_be_drawn() {
        for values in [
            vec![],
            vec![0.0],
            vec![f64::NAN, f64::INFINITY, 1.0],
            vec![f64::MAX, f64::MIN, 1e-300],
            vec![1e-320, 2e-320],
            vec![1e15, 1e15 + 1.0],
        ] {
            let points: Vec<(i64, f64)> = (0..).step_by(15_000).zip(values).collect();
            let last = points.last().map_or(0, |(time, _)| *time);
            let plot = Plot {
                title: "a < b".to_owned(),
                lines: vec![Line {
                    name: "x".to_owned(),
                    points,
                }],
                extent: Extent { first: 0, last },
                ..Plot::default()
            };
            let svg = svg(&plot).expect("a picture");
            assert!(svg.contains("a &lt; b") && svg.trim_end().ends_with("</svg>"));
        }
    }

    #[test]
    fn gaps_interrupt_a_line() {
        let points = [(0, 1.0), (10, 2.0), (20, f64::NAN), (30, 3.0), (60, 4.0)];
        let lengths: Vec<usize> = runs(&points, 10).iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1, 1]);
        assert_eq!(runs(&points, 0).len(), 2);
    }

    #[test]
    fn axes_have_round_numbers() {
        let steps = value_steps(0.0, 0.105);
        let texts: Vec<String> = steps.iter().map(|v| value_text(*v, &steps)).collect();
        assert_eq!(texts, ["0", "0.02", "0.04", "0.06", "0.08", "0.1"]);
        let day = TimeAxis::new(Extent {
            first: 1_769_860_860_000,
            last: 1_769_947_200_000,
        });
        let texts: Vec<String> = day.ticks.iter().map(|time| day.text(*time)).collect();
        assert_eq!(texts.first().map(String::as_str), Some("2026-01-31 15:00"));
        assert!(texts.contains(&"2026-02-01 00:00".to_owned()));
    }
}
