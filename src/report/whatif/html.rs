//! The report as one HTML file that needs nothing else: no script, no font, no network.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::sim::play::Play;
use crate::whatif::{Cell, Results, Sensitivity, Suggestion, Summary, Sweep, Worth};

use super::words::{
    Quality, change_text, endings, estimate_text, interval_text, lines, number_text, of_hundred,
    percent, quality, seconds_text, suggestion_effects, value_text, verdict,
};
use super::{Study, pictures};

/// Changes that are told as suggestions at most.
const SUGGESTIONS_MAX: usize = 3;

/// Colours of [`crate::report::plot`], so that pictures are of a piece with the page.
const STYLE: &str = "
:root{--paper:#fff;--ink:#1f2328;--faint:#59636e;--line:#d1d9e0;--good:#1a7f37;--bad:#c2410c;--card:#f6f8fa}
@media (prefers-color-scheme:dark){:root{--paper:#0d1117;--ink:#e6edf3;--faint:#9198a1;--line:#3d444d;--good:#3fb950;--bad:#ff8a4c;--card:#151b23}}
*{box-sizing:border-box}
html{color-scheme:light dark}
body{margin:0 auto;padding:1rem;max-width:60rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
h1{font-size:1.5rem;line-height:1.25;margin:.25rem 0 .75rem}
h2{font-size:1.2rem;margin:2.25rem 0 .5rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}
h3{font-size:1rem;margin:1.25rem 0 .25rem}
p,ul,ol{margin:.5rem 0}
.name,.faint,figcaption,caption{color:var(--faint)}
.good h1{color:var(--good)}.poor h1{color:var(--bad)}
.numbers{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;margin:1rem 0;padding:0;list-style:none}
.numbers li{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem}
.numbers b{display:block;font-size:1.75rem;line-height:1.2}
.numbers small{color:var(--faint)}
figure{margin:1rem 0}
figure svg{display:block;max-width:100%;height:auto}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem;margin:.5rem 0}
caption{text-align:left;padding-bottom:.25rem}
th,td{border-bottom:1px solid var(--line);padding:.3rem .75rem .3rem 0;text-align:left;vertical-align:top}
pre,code{font-family:ui-monospace,SFMono-Regular,Menlo,'DejaVu Sans Mono',monospace;font-size:.85rem}
code{overflow-wrap:anywhere}
pre{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere}
summary{cursor:pointer}
@media print{body{max-width:none;padding:0}figure,.numbers li,tr{break-inside:avoid}h2,h3{break-after:avoid}}
";

/// What a page shows beside the figures.
#[derive(Debug, Clone, Copy)]
pub struct Examples<'p> {
    /// Runs whose course is typical.
    pub healthy: &'p Play,
    pub bad: &'p Play,
}

/// The whole page.
///
/// # Errors
/// The text of the drawing backend's error; none is known to occur.
pub fn html(study: &Study, examples: Option<Examples<'_>>) -> Result<String, String> {
    let title = format!("What if: {}", study.rollout);
    let first = first_screen(study)?;
    let details = html! {
        (results(study))
        @if let Some(examples) = examples { (courses(examples)?) }
        @if let Some(curve) = &study.curve { (operating_curve(curve, study)?) }
        (harm(study)?)
        @if let Some(sweep) = &study.sweep { (varied(sweep, study)?) }
        @if let Some(sensitivity) = &study.sensitivity { (changes(sensitivity)?) }
        (method(study))
    };
    let is_good = quality(study) == Quality::Good;
    Ok(page(&title, is_good, &first, &details))
}

/// A page with its first screen, coloured by whether the verdict is good.
pub(super) fn page(title: &str, is_good: bool, first: &Markup, details: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // An empty icon keeps browsers from asking for one.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    section class=(if is_good { "good" } else { "poor" }) aria-label="Verdict" {
                        (first)
                    }
                    (details)
                }
            }
        }
    };
    format!("{}\n", with_bound_percent_signs(&page.into_string()))
}

/// No line ends between a number and its percent sign. Commands and fields stay as they are, since people
/// copy them.
fn with_bound_percent_signs(page: &str) -> String {
    let mut bound = String::with_capacity(page.len());
    let mut rest = page;
    loop {
        let start = ["<code", "<pre", "<style"]
            .iter()
            .filter_map(|tag| rest.find(tag))
            .min()
            .unwrap_or(rest.len());
        let (text, element) = rest.split_at(start);
        bound.push_str(&text.replace(" %", "\u{a0}%"));
        let end = element.find("</").unwrap_or(element.len());
        let (kept, after) = element.split_at(end);
        bound.push_str(kept);
        if after.is_empty() {
            return bound;
        }
        let (tag, after) = after.split_at(2);
        bound.push_str(tag);
        rest = after;
    }
}

/// A picture with words for those who do not see it.
pub(super) fn figure(svg: &str, alternative: &str, caption: &str) -> Markup {
    html! {
        figure {
            div role="img" aria-label=(alternative) { (PreEscaped(svg)) }
            @if !caption.is_empty() { figcaption { (caption) } }
        }
    }
}

fn first_screen(study: &Study) -> Result<Markup, String> {
    let (healthy, bad) = (&study.healthy.summary, &study.bad.summary);
    let stopped = 1.0 - healthy.promoted.share;
    let picture = pictures::endings(healthy, bad)?;
    let words = format!(
        "Of 100 healthy releases, {}. Of 100 bad releases, {}.",
        endings(healthy),
        endings(bad)
    );
    Ok(html! {
        p class="name" { "What if " (study.rollout) " is released?" }
        h1 { (verdict(study)) }
        p {
            "Healthy: " (study.healthy.about) ". Bad: " (study.bad.about) "."
        }
        ul class="numbers" {
            li {
                b { (percent(stopped)) }
                "of healthy releases are stopped" br;
                small { (share_range(1.0 - healthy.promoted.high, 1.0 - healthy.promoted.low)) }
            }
            li {
                b { (percent(bad.promoted.share)) }
                "of bad releases reach everybody" br;
                small { (share_range(bad.promoted.low, bad.promoted.high)) }
            }
            @match &bad.failed_because_of_release {
                Some(failed) => li {
                    b { (number_text(failed.mean.value)) }
                    "requests fail because of a bad release, on average" br;
                    small { "between " (number_text(failed.mean.low)) " and " (number_text(failed.mean.high)) }
                },
                None => @if let Some(time) = &bad.seconds_to_abort {
                    li {
                        b { (seconds_text(time.median.value)) }
                        "until a bad release is aborted" br;
                        small { "between " (seconds_text(time.median.low)) " and " (seconds_text(time.median.high)) }
                    }
                },
            }
        }
        (figure(&picture, &words, &words))
        (suggestions(study))
    })
}

fn share_range(low: f64, high: f64) -> String {
    format!(
        "between {} and {}",
        percent(low.max(0.0)),
        percent(high.min(1.0))
    )
}

fn suggestions(study: &Study) -> Markup {
    let Some(sensitivity) = &study.sensitivity else {
        return html! {};
    };
    let good: Vec<&Suggestion> = sensitivity
        .changes
        .iter()
        .filter(|change| change.worth.is_better())
        .take(SUGGESTIONS_MAX)
        .collect();
    html! {
        h2 { "What to change" }
        @if good.is_empty() {
            p {
                "None of " (sensitivity.changes.len()) " small changes that were tried is surely better."
            }
        } @else {
            ol {
                @for change in good {
                    li {
                        code { (change_text(change)) } br;
                        (suggestion_effects(change))
                    }
                }
            }
            p class="faint" {
                "Each change was played " (sensitivity.runs) " times with the same chance as the manifests as they are."
            }
        }
    }
}

fn results(study: &Study) -> Markup {
    let rows = lines(&study.healthy.summary, &study.bad.summary);
    html! {
        h2 { "Results" }
        div class="wide" {
            table {
                caption {
                    (study.healthy.summary.runs) " simulated runs of each release. In brackets: the range in "
                    "which the true value lies, with 95 % confidence. Times are medians, numbers are means."
                }
                thead { tr { th scope="col" { "" } th scope="col" { "healthy release" } th scope="col" { "bad release" } } }
                tbody {
                    @for line in rows {
                        tr { th scope="row" { (line.what) } td { (line.healthy) } td { (line.bad) } }
                    }
                }
            }
        }
        @if !study.gates.is_empty() {
            h3 { "Conditions" }
            ul {
                @for gate in &study.gates {
                    li {
                        code { (gate.condition) } ": "
                        (if gate.is_met { "FAILED" } else { "passed" })
                        @if !gate.is_certain { " (not certain: more runs would tell)" }
                    }
                }
            }
        }
    }
}

fn courses(examples: Examples<'_>) -> Result<Markup, String> {
    let mut parts = Vec::new();
    for (name, play) in [("healthy", examples.healthy), ("bad", examples.bad)] {
        let picture = pictures::timeline(play)?;
        let outcome = play.outcome.verdict.as_str();
        let words = format!(
            "Traffic and pods of a {name} release over time; it ends {outcome}. The events stand below."
        );
        parts.push(html! {
            h3 { "A typical " (name) " release: " (outcome) }
            (figure(&picture, &words, ""))
            details {
                summary { "The same as a list of events" }
                div class="wide" {
                    table {
                        thead { tr { th scope="col" { "time" } th scope="col" { "what" } th scope="col" { "" } } }
                        tbody {
                            @for entry in &play.timeline {
                                tr {
                                    td { (crate::report::timeline::clock(entry.at)) }
                                    td { (entry.kind.as_str()) }
                                    td { (entry.text) }
                                }
                            }
                        }
                    }
                }
            }
            p class="faint" { "Run with " code { "rollproof simulate --seed " (play.seed) } }
        });
    }
    Ok(html! { h2 { "What happens" } @for part in parts { (part) } })
}

fn operating_curve(curve: &Sweep, study: &Study) -> Result<Markup, String> {
    let picture = match pictures::one_dimension(curve) {
        Some(picture) => picture?,
        None => return Ok(html! {}),
    };
    Ok(html! {
        h2 { "How bad must a release be to be stopped?" }
        p {
            "Releases with rising shares of failed requests. A good analysis is low at the error rate of "
            "healthy releases and rises steeply to 100 % above it (statisticians call this the operating "
            "characteristic)."
        }
        (figure(&picture, "Share of releases that are aborted, by the share of their requests that fail. The table below has the numbers.", ""))
        (sweep_table(curve))
        p class="faint" { "Again: " code { (curve_command(curve, study)) } }
    })
}

fn curve_command(curve: &Sweep, study: &Study) -> String {
    let values: Vec<String> = curve
        .dimensions
        .iter()
        .flat_map(|dimension| &dimension.values)
        .map(value_text)
        .collect();
    format!(
        "{} --error-rate {} --runs {}",
        study.base_command,
        values.join(","),
        curve.runs
    )
}

fn harm(study: &Study) -> Result<Markup, String> {
    let bad = &study.bad.summary;
    let mut parts = Vec::new();
    if let (Some(histogram), Some(time)) = (&bad.seconds_to_abort_histogram, &bad.seconds_to_abort)
    {
        let picture =
            pictures::histogram(histogram, "minutes from the release to its abort", true)?;
        let words = format!(
            "Half of the aborts come within {}, 95 % within {}, all within {}.",
            estimate_text(&time.median, seconds_text),
            estimate_text(&time.p95, seconds_text),
            seconds_text(time.max)
        );
        parts.push(html! {
            h3 { "Time until a bad release is aborted" }
            (figure(&picture, &words, &words))
        });
    }
    if let (Some(histogram), Some(failed)) = (
        &bad.failed_because_of_release_histogram,
        &bad.failed_because_of_release,
    ) {
        let picture = pictures::histogram(
            histogram,
            "requests that fail because of the release",
            false,
        )?;
        let words = format!(
            "On average {}; in 95 of 100 runs at most {}, in the worst run {}.",
            estimate_text(&failed.mean, number_text),
            estimate_text(&failed.p95, number_text),
            number_text(failed.max)
        );
        parts.push(html! {
            h3 { "Requests that a bad release costs (blast radius)" }
            (figure(&picture, &words, &words))
        });
    }
    Ok(html! {
        @if !parts.is_empty() { h2 { "How fast, and at what cost" } }
        @for part in parts { (part) }
    })
}

/// What a heat map shows.
type Pick = fn(&Results) -> crate::whatif::Share;

fn varied(sweep: &Sweep, study: &Study) -> Result<Markup, String> {
    let mut figures = Vec::new();
    if let Some(picture) = pictures::one_dimension(sweep) {
        figures.push(figure(
            &picture?,
            "Results by the varied value. The table below has the numbers.",
            "",
        ));
    }
    let two = sweep
        .cells
        .first()
        .is_some_and(|cell| matches!(cell.results, Results::Two { .. }));
    let maps: &[(&str, Pick)] = if two {
        &[
            (
                "healthy releases that are promoted, in percent",
                |results| match results {
                    Results::Two { healthy, bad: _ } => healthy.promoted,
                    Results::One { release } => release.promoted,
                },
            ),
            (
                "bad releases that are promoted, in percent",
                |results| match results {
                    Results::Two { healthy: _, bad } => bad.promoted,
                    Results::One { release } => release.promoted,
                },
            ),
        ]
    } else {
        &[(
            "releases that are aborted, in percent",
            |results| match results {
                Results::Two { healthy, bad: _ } => healthy.aborted,
                Results::One { release } => release.aborted,
            },
        )]
    };
    for (what, pick) in maps {
        if let Some(picture) = pictures::heat_map(sweep, pick) {
            let words = format!("Heat map: {what}. The table below has the numbers.");
            figures.push(figure(&picture?, &words, &format!("Share of {what}")));
        }
    }
    Ok(html! {
        h2 { "Varied values" }
        @for figure in figures { (figure) }
        (sweep_table(sweep))
        p class="faint" { "Again: " code { (study.command) } }
    })
}

fn sweep_table(sweep: &Sweep) -> Markup {
    let two = sweep
        .cells
        .first()
        .is_some_and(|cell| matches!(cell.results, Results::Two { .. }));
    let shown = |cell: &Cell| -> Vec<String> {
        cell.values
            .iter()
            .zip(&sweep.dimensions)
            .map(|(value, dimension)| match value.as_f64() {
                Some(share) if dimension.is_error_rate => percent(share),
                Some(_) | None => value_text(value),
            })
            .collect()
    };
    let times = |summary: &Summary| {
        let time = summary.seconds_to_abort.as_ref();
        time.map_or("-".to_owned(), |it| estimate_text(&it.median, seconds_text))
    };
    let failed = |summary: &Summary| {
        let failed = summary.failed_because_of_release.as_ref();
        failed.map_or("-".to_owned(), |it| estimate_text(&it.mean, number_text))
    };
    html! {
        details open[sweep.cells.len() <= 12] {
            summary { "As a table" }
            div class="wide" {
                table {
                    caption { (sweep.runs) " runs each. In brackets: 95 % intervals." }
                    thead {
                        tr {
                            @for dimension in &sweep.dimensions { th scope="col" { (dimension.name) } }
                            @if two {
                                th scope="col" { "healthy: promoted" }
                                th scope="col" { "bad: promoted" }
                                th scope="col" { "bad: median time to abort" }
                                th scope="col" { "bad: failed requests" }
                            } @else {
                                th scope="col" { "aborted" }
                                th scope="col" { "median time to abort" }
                                th scope="col" { "failed because of it" }
                            }
                        }
                    }
                    tbody {
                        @for cell in &sweep.cells {
                            tr {
                                @for value in shown(cell) { th scope="row" { (value) } }
                                @match &cell.results {
                                    Results::Two { healthy, bad } => {
                                        td { (interval_text(&healthy.promoted)) }
                                        td { (interval_text(&bad.promoted)) }
                                        td { (times(bad)) }
                                        td { (failed(bad)) }
                                    },
                                    Results::One { release } => {
                                        td { (interval_text(&release.aborted)) }
                                        td { (times(release)) }
                                        td { (failed(release)) }
                                    },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn changes(sensitivity: &Sensitivity) -> Result<Markup, String> {
    if sensitivity.changes.is_empty() {
        return Ok(html! {});
    }
    let rows: Vec<(String, f64, f64)> = sensitivity
        .changes
        .iter()
        .map(|change| {
            let (value, half) = change.wrong_decisions();
            (change_text(change), value, half)
        })
        .collect();
    let picture = pictures::tornado(&rows)?;
    Ok(html! {
        h2 { "What each change would do" }
        p {
            "Each bar is one change of one thing: how much it alters the share of wrong decisions (healthy "
            "releases that are not promoted, and bad ones that are). The thin line is the 95 % interval."
        }
        (figure(&picture, "Change of the share of wrong decisions for each change that was tried. The table below has the numbers.", ""))
        details {
            summary { "As a table" }
            div class="wide" {
                table {
                    caption { (sensitivity.runs) " runs each, with the same chance. In brackets: 95 % intervals." }
                    thead {
                        tr {
                            th scope="col" { "change" }
                            th scope="col" { "healthy: promoted" }
                            th scope="col" { "bad: promoted" }
                            th scope="col" { "bad: failed requests" }
                            th scope="col" { "healthy: time to promotion" }
                            th scope="col" { "worth it" }
                        }
                    }
                    tbody {
                        @for change in &sensitivity.changes {
                            tr {
                                th scope="row" { (change_text(change)) }
                                td { (interval_text(&change.healthy.promoted)) }
                                td { (interval_text(&change.bad.promoted)) }
                                td { (change.bad.failed_because_of_release.as_ref().map_or("-".to_owned(), |it| estimate_text(&it.mean, number_text))) }
                                td { (change.healthy.seconds_to_promotion.as_ref().map_or("-".to_owned(), |it| estimate_text(&it.median, seconds_text))) }
                                td { (worth_words(change.worth)) }
                            }
                        }
                    }
                }
            }
        }
    })
}

fn worth_words(worth: Worth) -> &'static str {
    match worth {
        Worth::DecidesBetter => "yes: decides better",
        Worth::CostsLess => "yes: costs less",
        Worth::NotWorthIt => "no",
        Worth::DecidesWorse => "no: decides worse",
    }
}

fn method(study: &Study) -> Markup {
    let early = study.healthy.summary.runs < study.runs_asked;
    html! {
        h2 { "How this was found" }
        p {
            "rollproof played " (study.healthy.summary.runs) " releases of each kind"
            @if early { " (" (study.runs_asked) " were asked for)" }
            " on a simulated cluster, with the decisions of Argo Rollouts, requests that come and fail by "
            "chance, and the PromQL queries of the templates evaluated on what Prometheus would have scraped. "
            "Both kinds have the same chance in each run (seed " (study.seed) ")."
        }
        p {
            "A request counts as failed because of the release if the release answers it with an error and the "
            "stable version would not have: requests to the release times the error rate of the release above that of the "
            "stable version, and all requests to the release while it has no ready pod. They are counted up "
            "to the end of the simulation, which is 15 minutes after the rollout came to rest unless the scenario says "
            "otherwise. Time to detect ends with the first failed measurement of a release that is aborted."
        }
        @if !study.notes.is_empty() {
            ul { @for note in &study.notes { li { (note) } } }
        }
        p { "The same report again:" }
        pre tabindex="0" { code { (study.command) } }
        p class="faint" { (of_hundred(0.95)) " of 100 such intervals hold the true value of what is simulated; what they cannot say is how well the scenario describes your service." }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_percent_signs() {
        let page = "<p>5 % of <code>x > 5 %</code>, 7 %</p><pre>a %</pre>";
        let expected = "<p>5\u{a0}% of <code>x > 5 %</code>, 7\u{a0}%</p><pre>a %</pre>";
        assert_eq!(with_bound_percent_signs(page), expected);
    }
}
