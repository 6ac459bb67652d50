//! A play as text: timeline, outcome, totals.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::sim::TrafficTotals;
use crate::sim::play::{Check, Play, Totals, Verdict};
use crate::sim::timeline::{Entry, EntryKind, Explanation, Sample};
use crate::time::Duration;

/// How a text is to look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// ANSI colours.
    pub colour: bool,
    /// Columns of the terminal; 0 for no limit.
    pub width: usize,
}

impl Look {
    /// `text` in a style, where there is colour.
    pub fn paint(self, style: Style, text: &str) -> String {
        if self.colour {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

const BAR: usize = 10;

/// The whole report of a play.
pub fn render(play: &Play, look: Look) -> String {
    let mut out = String::new();
    let bold = Style::new().bold();
    let title = format!("{}/{}", play.namespace, play.rollout);
    push(&mut out, &look.paint(bold, &title));
    push(&mut out, "");
    let dim = Style::new().dimmed();
    push(&mut out, &look.paint(dim, "    time  release     what"));
    for entry in &play.timeline {
        push(
            &mut out,
            &line(entry, share_at(&play.samples, entry.at), look),
        );
    }
    push(&mut out, "");
    out.push_str(&summary(play, look));
    for check in &play.checks {
        push(&mut out, &check_line(check, look));
    }
    out
}

/// Outcome and totals.
pub fn summary(play: &Play, look: Look) -> String {
    let mut out = String::new();
    let outcome = &play.outcome;
    let word = look.paint(
        verdict_style(outcome.verdict).bold(),
        outcome.verdict.as_str(),
    );
    let mut text = format!("outcome   {word}");
    // The reason and `Rollout aborted update to revision n` say what the verdict says.
    let message = match outcome.verdict {
        Verdict::Aborted => outcome.message.splitn(3, ": ").last().unwrap_or_default(),
        Verdict::Promoted
        | Verdict::WaitsForPeople
        | Verdict::Healthy
        | Verdict::Invalid
        | Verdict::Unfinished
        | Verdict::Stuck => &outcome.message,
    };
    if !message.is_empty() {
        let _ = write!(text, ": {message}");
    }
    push(&mut out, &text);
    if !outcome.stable_image.is_empty() {
        push(&mut out, &format!("stable    {}", outcome.stable_image));
    }
    let Totals {
        time_to_full_promotion,
        time_to_first_failure: _,
        time_to_abort: _,
        time_to_return: _,
        time_at_share,
        served_by_release,
        highest_share,
        peak_pods,
        measurements,
        traffic,
    } = &play.totals;
    if let Some(seconds) = time_to_full_promotion {
        push(
            &mut out,
            &format!(
                "took      {} until the release was stable",
                length(*seconds)
            ),
        );
    }
    // A release that rests before its end has the share of the last moment for as long as it is left alone.
    let stays_at = match outcome.verdict {
        Verdict::WaitsForPeople | Verdict::Stuck => play.samples.last().map(|it| it.share),
        Verdict::Promoted
        | Verdict::Aborted
        | Verdict::Healthy
        | Verdict::Invalid
        | Verdict::Unfinished => None,
    };
    let mut shares: Vec<String> = time_at_share
        .iter()
        .filter(|entry| entry.share > 0.0 && entry.seconds >= 0.05)
        .filter(|entry| stays_at != Some(entry.share))
        .map(|entry| format!("{} for {}", percent(entry.share), length(entry.seconds)))
        .collect();
    if let Some(share) = stays_at.filter(|share| *share > 0.0) {
        shares.push(format!("{} until somebody acts", percent(share)));
    }
    if !shares.is_empty() {
        push(&mut out, &format!("traffic   {}", shares.join(", ")));
    }
    if *highest_share > 0.0 {
        let text = format!(
            "served    {} of the requests meanwhile, if they come evenly; {} at most",
            percent(*served_by_release),
            percent(*highest_share)
        );
        push(&mut out, &text);
    }
    if let Some(traffic) = traffic {
        push(&mut out, &requests_line(traffic));
    }
    let text = format!("pods      {peak_pods} at the peak");
    push(&mut out, &text);
    match measurements {
        0 => {}
        1 => push(&mut out, "measured  once"),
        _ => push(&mut out, &format!("measured  {measurements} times")),
    }
    for note in &play.notes {
        push(&mut out, &format!("note      {note}"));
    }
    out
}

fn requests_line(totals: &TrafficTotals) -> String {
    let TrafficTotals {
        requests,
        failed,
        of_release: _,
        failed_of_release: _,
        failed_because_of_release,
    } = totals;
    let share = if *requests > 0.0 {
        failed_because_of_release / requests
    } else {
        0.0
    };
    format!(
        "requests  {requests:.0} since the release; {failed:.0} failed, {failed_because_of_release:.0} of them \
         because of it ({})",
        fine_percent(share)
    )
}

/// What was decided at the time, and why: the decisions of that moment, else the last before it.
pub fn explain(explanations: &[Explanation], at: Duration, look: Look) -> String {
    let moment = explanations
        .iter()
        .map(|it| it.at)
        .filter(|it| *it <= at)
        .max();
    let Some(moment) = moment else {
        return "nothing was decided until then\n".to_owned();
    };
    let mut out = String::new();
    for explanation in explanations.iter().filter(|it| it.at == moment) {
        let Explanation {
            at,
            object,
            reasons,
            actions,
            failure,
        } = explanation;
        let title = format!("{}  {object}", clock(*at));
        push(&mut out, &look.paint(Style::new().bold(), &title));
        for action in actions {
            push(&mut out, &format!("    does     {action}"));
        }
        for reason in reasons {
            push(&mut out, &format!("    because  {reason}"));
        }
        if let Some(failure) = failure {
            push(&mut out, &format!("    failed   {failure}"));
        }
        if actions.is_empty() && reasons.is_empty() && failure.is_none() {
            push(&mut out, "    has nothing to do");
        }
    }
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

fn line(entry: &Entry, share: f64, look: Look) -> String {
    let Entry {
        at,
        kind,
        text,
        why,
    } = entry;
    let clock = format!("{:>8}", clock(*at));
    let kind_text = look.paint(kind_style(*kind), &format!("{:<10}", kind.as_str()));
    let mut text = text.replace('\n', " ");
    if !why.is_empty() {
        let _ = write!(text, "  ({why})");
    }
    let prefix = 8 + 2 + BAR + 2 + 10 + 1;
    if look.width > prefix + 20 {
        text = shorten(&text, look.width - prefix);
    }
    format!("{clock}  {}  {kind_text} {text}", bar(share))
}

fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The share as a bar of ten blocks; a share above nothing is always visible.
fn bar(share: f64) -> String {
    let exact = share.clamp(0.0, 1.0) * BAR as f64;
    let mut full = exact.round() as usize;
    if share > 0.0 && full == 0 {
        full = 1;
    }
    if share < 1.0 && full == BAR {
        full = BAR - 1;
    }
    (0..BAR)
        .map(|index| if index < full { '█' } else { '░' })
        .collect()
}

fn share_at(samples: &[Sample], at: Duration) -> f64 {
    samples
        .iter()
        .rev()
        .find(|sample| sample.at <= at)
        .map_or(0.0, |sample| sample.share)
}

fn check_line(check: &Check, look: Look) -> String {
    let Check {
        passed,
        expected,
        found,
    } = check;
    if *passed {
        let mark = look.paint(AnsiColor::Green.on_default(), "passed");
        format!("{mark}    {expected}")
    } else {
        let mark = look.paint(AnsiColor::Red.on_default().bold(), "FAILED");
        format!("{mark}    {expected}; found: {found}")
    }
}

fn kind_style(kind: EntryKind) -> Style {
    match kind {
        EntryKind::User => AnsiColor::Cyan.on_default(),
        EntryKind::Problem | EntryKind::Abort => AnsiColor::Red.on_default(),
        EntryKind::Promotion => AnsiColor::Green.on_default(),
        EntryKind::Pause => AnsiColor::Yellow.on_default(),
        EntryKind::Analysis | EntryKind::Measurement | EntryKind::Experiment => {
            AnsiColor::Magenta.on_default()
        }
        EntryKind::Step | EntryKind::Weight | EntryKind::Traffic => AnsiColor::Blue.on_default(),
        EntryKind::Scale | EntryKind::Pods | EntryKind::Service | EntryKind::Phase => Style::new(),
    }
}

fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Promoted | Verdict::Healthy => AnsiColor::Green.on_default(),
        Verdict::WaitsForPeople | Verdict::Unfinished => AnsiColor::Yellow.on_default(),
        Verdict::Aborted | Verdict::Invalid | Verdict::Stuck => AnsiColor::Red.on_default(),
    }
}

/// Minutes, seconds and tenths: `12:05.0`, with hours where there are any.
pub fn clock(at: Duration) -> String {
    let tenths = (at.as_secs_f64() * 10.0).round() as i64;
    let sign = if tenths < 0 { "-" } else { "" };
    let tenths = tenths.abs();
    let (seconds, tenth) = (tenths / 10, tenths % 10);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{sign}{hours}:{minutes:02}:{seconds:02}.{tenth}")
    } else {
        format!("{sign}{minutes}:{seconds:02}.{tenth}")
    }
}

fn length(seconds: f64) -> String {
    let rounded = (seconds * 10.0).round() / 10.0;
    Duration::from_secs_f64(rounded).to_string()
}

/// With two significant digits: small shares of failures matter.
fn fine_percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 1.0 {
        let digits = (-percent.log10()).ceil() as usize + 1;
        format!("{percent:.digits$} %")
    } else {
        format!("{} %", (percent * 10.0).round() / 10.0)
    }
}

fn percent(share: f64) -> String {
    let percent = (share * 1000.0).round() / 10.0;
    format!("{percent} %")
}
