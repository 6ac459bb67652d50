//! The releases that a question compares: scenarios of a healthy and of a bad one.

use crate::sim::scenario::random::ReleaseKind;
use crate::sim::scenario::traffic::{
    Behaviour, ErrorChange, ErrorChanges, ErrorShare, Latency, LatencyModel, Load, Moments, Noise,
    Percentiles, TrafficModel,
};
use crate::sim::scenario::{Period, Scenario};
use crate::time::Duration;

/// A bad release fails this many times as often as the stable version, unless the scenario says so.
const BAD_FACTOR: f64 = 5.0;
/// Share of its requests that fail where the stable version has no errors.
const BAD_SHARE: f64 = 0.05;
/// Of versions whose latency the scenario does not say (see `traffic.latency`).
const USUAL_LATENCY: Latency = Latency::Percentiles(Percentiles {
    p50: Period(Duration::from_millis(50)),
    p99: Period(Duration::from_millis(200)),
});

/// A scenario of one release.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    pub scenario: Scenario,
    /// How it fares, in words.
    pub about: String,
}

/// The two releases of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Releases {
    pub healthy: Release,
    pub bad: Release,
    /// What the reader should know of how they came about.
    pub notes: Vec<String>,
}

/// The healthy and the bad release that a scenario speaks of.
///
/// # Errors
/// The scenario tells the two apart in nothing.
pub fn releases(scenario: &Scenario) -> Result<Releases, String> {
    let what_if = scenario.what_if.clone().unwrap_or_default();
    let mut notes = Vec::new();
    let mut bad = what_if.bad;
    if let Some(traffic) = &scenario.traffic {
        if bad.is_empty() && !traffic.release.is_empty() {
            let Behaviour {
                errors,
                latency,
                error_code,
            } = traffic.release.clone();
            bad = ReleaseKind {
                errors,
                latency,
                error_code,
                ..ReleaseKind::default()
            };
        } else if bad.is_empty() {
            bad.errors = Some(bad_errors(traffic.stable.errors.as_ref()));
            notes.push(format!(
                "the scenario does not say what a bad release is: taken is one whose requests fail {}",
                match &traffic.stable.errors {
                    Some(errors) if highest(errors) > 0.0 =>
                        "5 times as often as those of the stable version".to_owned(),
                    Some(_) | None => format!("with a probability of {}", percent(BAD_SHARE)),
                }
            ));
        }
        if traffic.noise == Noise::None {
            notes.push("requests come and fail by chance (noise: poisson)".to_owned());
        }
        if !traffic.versions.is_empty() {
            notes.push(
                "versions that `traffic.versions` names answer as it says in both releases"
                    .to_owned(),
            );
        }
    } else if bad.measurements.is_empty() {
        return Err(
            "nothing tells a bad release from a healthy one: describe the requests (`traffic`), or \
             how often measurements of a bad release fail (`whatIf.bad.measurements`)"
                .to_owned(),
        );
    }
    if !scenario.metrics.is_empty() {
        let names: Vec<&str> = scenario.metrics.keys().map(String::as_str).collect();
        notes.push(format!(
            "the scenario has fixed answers for {}: they do not depend on chance",
            names.join(", ")
        ));
    }
    Ok(Releases {
        healthy: release(scenario, &what_if.healthy),
        bad: release(scenario, &bad),
        notes,
    })
}

/// The healthy release of a scenario with another share of failed requests or slower answers.
pub fn altered(
    scenario: &Scenario,
    errors: Option<f64>,
    added_latency: Option<Duration>,
) -> Release {
    let mut kind = scenario.what_if.clone().unwrap_or_default().healthy;
    if let Some(share) = errors {
        kind.errors = Some(ErrorShare::Always(share));
    }
    if let Some(added) = added_latency {
        kind.added_latency = Some(Period(added));
    }
    release(scenario, &kind)
}

/// The scenario with this many requests a second, of the same course.
///
/// # Errors
/// It has no traffic, or no requests whose number could be changed in proportion.
pub fn with_requests(scenario: &Scenario, mean: f64) -> Result<Scenario, String> {
    let mut scenario = scenario.clone();
    let traffic = scenario
        .traffic
        .as_mut()
        .ok_or("the scenario has no traffic")?;
    traffic.requests = match &traffic.requests {
        Load::Constant(_) => Load::Constant(mean),
        Load::Ramp(_) | Load::Daily(_) | Load::Points(_) => {
            return Err(
                "the requests of the scenario change in time: only a constant number can be varied"
                    .to_owned(),
            );
        }
    };
    Ok(scenario)
}

fn release(scenario: &Scenario, kind: &ReleaseKind) -> Release {
    let mut scenario = scenario.clone();
    scenario.expect.clear();
    let ReleaseKind {
        errors,
        latency,
        added_latency,
        error_code,
        measurements,
    } = kind;
    let mut random = scenario.random.take().unwrap_or_default();
    random.measurements = measurements
        .iter()
        .cloned()
        .chain(random.measurements)
        .collect();
    scenario.random = Some(random);
    if let Some(traffic) = &mut scenario.traffic {
        if traffic.noise == Noise::None {
            traffic.noise = Noise::Poisson;
        }
        let latency = latency.clone().or(traffic.stable.latency.clone());
        let latency = match added_latency {
            Some(added) => Some(
                latency
                    .unwrap_or(LatencyModel::Always(USUAL_LATENCY))
                    .longer_by(*added),
            ),
            None => latency,
        };
        traffic.release = Behaviour {
            errors: errors.clone().or(traffic.stable.errors.clone()),
            latency,
            error_code: *error_code,
        };
    }
    let about = about(scenario.traffic.as_ref(), kind);
    Release { scenario, about }
}

fn bad_errors(stable: Option<&ErrorShare>) -> ErrorShare {
    let worse = |share: f64| (share * BAD_FACTOR).min(1.0);
    match stable {
        Some(errors) if highest(errors) > 0.0 => match errors {
            ErrorShare::Always(share) => ErrorShare::Always(worse(*share)),
            ErrorShare::Changing(changes) => ErrorShare::Changing(ErrorChanges {
                from: changes
                    .from
                    .iter()
                    .map(|change| ErrorChange {
                        at: change.at,
                        share: worse(change.share),
                    })
                    .collect(),
            }),
        },
        Some(_) | None => ErrorShare::Always(BAD_SHARE),
    }
}

fn highest(errors: &ErrorShare) -> f64 {
    match errors {
        ErrorShare::Always(share) => *share,
        ErrorShare::Changing(changes) => {
            let shares = changes.from.iter().map(|change| change.share);
            shares.fold(0.0, f64::max)
        }
    }
}

/// How a release answers, in words.
fn about(traffic: Option<&TrafficModel>, kind: &ReleaseKind) -> String {
    let mut parts = Vec::new();
    if let Some(traffic) = traffic {
        parts.push(match &traffic.release.errors {
            None => "no request fails".to_owned(),
            Some(ErrorShare::Always(share)) => format!("{} of its requests fail", percent(*share)),
            Some(ErrorShare::Changing(changes)) => {
                let shares: Vec<String> = changes
                    .from
                    .iter()
                    .map(|change| format!("{} from {} on", percent(change.share), change.at.0))
                    .collect();
                format!("of its requests fail {}", shares.join(", "))
            }
        });
        if traffic.release.latency != traffic.stable.latency
            && let Some(latency) = &traffic.release.latency
        {
            parts.push(match latency {
                LatencyModel::Always(latency) => latency_text(*latency),
                LatencyModel::Changing(changes) => {
                    let texts: Vec<String> = changes
                        .from
                        .iter()
                        .map(|it| format!("{} from {} on", latency_text(it.latency), it.at.0))
                        .collect();
                    texts.join(", ")
                }
            });
        }
    }
    for entry in &kind.measurements {
        let whose = entry.metric.as_deref().unwrap_or("any metric");
        let outcomes = [
            (entry.failed, "fail"),
            (entry.inconclusive, "are inconclusive"),
            (entry.error, "err"),
            (entry.no_data, "get no data"),
        ];
        for (share, what) in outcomes {
            if let Some(share) = share.filter(|share| *share > 0.0) {
                parts.push(format!(
                    "{} of the measurements of {whose} {what}",
                    percent(share)
                ));
            }
        }
    }
    if parts.is_empty() {
        "measurements succeed".to_owned()
    } else {
        parts.join("; ")
    }
}

fn latency_text(latency: Latency) -> String {
    match latency {
        Latency::Constant(period) => format!("each takes {}", period.0),
        Latency::Percentiles(Percentiles { p50, p99 }) => {
            format!(
                "half of them take at most {}, 99 % at most {}",
                p50.0, p99.0
            )
        }
        Latency::Moments(Moments { mean, sd: _ }) => format!("they take {} on average", mean.0),
    }
}

fn percent(share: f64) -> String {
    let percent = (share * 1e6).round() / 1e4;
    format!("{percent} %")
}
