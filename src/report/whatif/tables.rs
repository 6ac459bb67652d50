//! Results as CSV.

use crate::whatif::{Amount, Ending, Results, Summary, Sweep};

use super::Study;

/// One line a release and combination of values. Shares from 0 to 1, times in seconds; intervals of
/// 95 % in columns `_low` and `_high`. Columns of varied values come first.
///
/// # Errors
/// None is known to occur.
pub fn csv(study: &Study) -> Result<String, String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let dimensions: Vec<&str> = study.sweep.iter().flat_map(names).collect();
    let mut header: Vec<String> = dimensions.iter().map(|name| (*name).to_owned()).collect();
    header.extend(["release", "runs"].map(str::to_owned));
    for ending in Ending::ALL {
        let name = ending.as_str().replace(' ', "_");
        header.extend([name.clone(), format!("{name}_low"), format!("{name}_high")]);
    }
    for name in AMOUNTS {
        for part in [
            "mean",
            "mean_low",
            "mean_high",
            "p5",
            "median",
            "p95",
            "max",
        ] {
            header.push(format!("{name}_{part}"));
        }
    }
    let mut lines = vec![header];
    let none = vec![String::new(); dimensions.len()];
    lines.push(line(&none, "healthy", &study.healthy.summary));
    lines.push(line(&none, "bad", &study.bad.summary));
    for cell in study.sweep.iter().flat_map(|sweep| &sweep.cells) {
        let values: Vec<String> = cell
            .values
            .iter()
            .map(|value| value.as_str().map_or(value.to_string(), str::to_owned))
            .collect();
        match &cell.results {
            Results::Two { healthy, bad } => {
                lines.push(line(&values, "healthy", healthy));
                lines.push(line(&values, "bad", bad));
            }
            Results::One { release } => lines.push(line(&values, "varied", release)),
        }
    }
    for line in lines {
        writer
            .write_record(line)
            .map_err(|error| error.to_string())?;
    }
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

const AMOUNTS: [&str; 8] = [
    "seconds_to_promotion",
    "seconds_to_detect",
    "seconds_to_abort",
    "seconds_to_return",
    "failed_because_of_release",
    "requests",
    "peak_pods",
    "measurements",
];

fn names(sweep: &Sweep) -> impl Iterator<Item = &str> {
    sweep.dimensions.iter().map(|it| it.name.as_str())
}

fn line(values: &[String], release: &str, summary: &Summary) -> Vec<String> {
    let mut line = values.to_vec();
    line.extend([release.to_owned(), summary.runs.to_string()]);
    for ending in Ending::ALL {
        let share = summary.share(ending);
        line.extend([share.share, share.low, share.high].map(|it| it.to_string()));
    }
    let amounts: [&Option<Amount>; 8] = [
        &summary.seconds_to_promotion,
        &summary.seconds_to_detect,
        &summary.seconds_to_abort,
        &summary.seconds_to_return,
        &summary.failed_because_of_release,
        &summary.requests,
        &summary.peak_pods,
        &summary.measurements,
    ];
    for amount in amounts {
        match amount {
            Some(amount) => line.extend(
                [
                    amount.mean.value,
                    amount.mean.low,
                    amount.mean.high,
                    amount.p5.value,
                    amount.median.value,
                    amount.p95.value,
                    amount.max,
                ]
                .map(|it| it.to_string()),
            ),
            None => line.extend(std::iter::repeat_n(String::new(), 7)),
        }
    }
    line
}
