//! `too-few-samples`.

use std::collections::BTreeMap;

use crate::lint::context::{AnalysisPlace, Context, QueryView};
use crate::lint::facts::canary::{Telling, telling};
use crate::lint::facts::limits::Limits;
use crate::lint::facts::samples::{Outcome, Sampled, limit_of};
use crate::lint::facts::schedule::{Measurements, Schedule, is_timing_guessed, measurements};
use crate::lint::facts::selectors::{known_window, ratios, selectors};
use crate::lint::facts::{Used, is_guessed, metrics_in_use};
use crate::lint::{Confidence, Counterexample, Findings, Rule, Setting};
use crate::promql::ast::{BinaryOp, Expr, ExprKind};
use crate::source::Severity;
use crate::time::Duration;

pub static RULE: Rule = Rule {
    name: "too-few-samples",
    summary: "a measurement is taken from too few requests to be sure",
    severity: Severity::Warning,
    finds: "
Ratios of good or bad requests in the analysis of a canary, or after a promotion, whose verdict is mostly
chance. At `traffic_rps` requests a second in all and the weight at the time of each measurement, 1000
releases are simulated: of a healthy version, of which half as many requests are bad as the limit allows,
and of a version at twice the limit. Found are metrics that stop more healthy releases than
`max_false_abort_rate`, or let more bad ones pass than `max_miss_rate`. The limit is found by asking the
conditions. Queries that do not tell the new version apart, latencies and other metrics are left out.",
    hurts: "
At 10 requests a second, 5% of the traffic and a window of a minute, a measurement sees 30 requests: two
errors are a success rate of 93%. Healthy releases are aborted by bad luck, bad ones pass by good luck,
and nobody trusts the analysis.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 10
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
  strategy:
    canary:
      analysis:
        templates:
          - templateName: success-rate
        args:
          - name: hash
            valueFrom:
              podTemplateHashValue: Latest
      steps:
        - setWeight: 5
        - pause: {duration: 10m}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  args:
    - name: hash
  metrics:
    - name: success-rate
      interval: 1m
      successCondition: result[0] >= 0.99
      failureLimit: 0
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_requests_total{code!~\"5..\",pod_template_hash=\"{{args.hash}}\"}[1m]))
              /
              sum(rate(http_requests_total{pod_template_hash=\"{{args.hash}}\"}[1m]))
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: 10
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: shop
          image: shop:1.0.0
  strategy:
    canary:
      analysis:
        templates:
          - templateName: success-rate
        args:
          - name: hash
            valueFrom:
              podTemplateHashValue: Latest
      steps:
        - setWeight: 20
        - pause: {duration: 10m}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  args:
    - name: hash
  metrics:
    - name: success-rate
      interval: 5m
      initialDelay: 5m
      successCondition: result[0] >= 0.95
      failureLimit: 0
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_requests_total{code!~\"5..\",pod_template_hash=\"{{args.hash}}\"}[5m]))
              /
              sum(rate(http_requests_total{pod_template_hash=\"{{args.hash}}\"}[5m]))
",
    settings: &[
        Setting {
            name: "traffic_rps",
            default: "10.0",
            about: "requests per second that a rollout gets in all",
        },
        Setting {
            name: "max_false_abort_rate",
            default: "0.05",
            about: "largest share of healthy releases that may be stopped, 0 to 1",
        },
        Setting {
            name: "max_miss_rate",
            default: "0.2",
            about: "largest share of releases at twice the limit that may pass, 0 to 1",
        },
    ],
    check,
};

/// More measurements are not simulated: the verdict is near by then.
const MEASUREMENTS_MAX: i64 = 50;

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    // Teams share what works: the same texts and numbers are looked at once.
    let (mut limits, mut known) = (BTreeMap::new(), BTreeMap::new());
    for used in metrics_in_use(context) {
        if let Some(case) = case_of(context, &used, &mut limits) {
            judge(context, &used, &case, &mut known, findings);
        }
    }
}

/// A metric that can be simulated.
struct Case<'m> {
    sampled: Sampled<'m>,
    /// Requests to the new version per second, by the second from which on they come; in order.
    rates: Vec<(f64, f64)>,
}

/// Limits, number of measurements, and the bits of all other numbers.
type CaseKey = (Option<Limits>, usize, Vec<u64>);

impl Case<'_> {
    /// All that a simulation depends on.
    fn key(&self) -> CaseKey {
        let Sampled {
            metric,
            limit,
            times,
            window,
        } = &self.sampled;
        let rates = self.rates.iter().flat_map(|(from, rate)| [*from, *rate]);
        let numbers = [*limit, *window].into_iter().chain(times.iter().copied());
        (
            Limits::of(metric),
            times.len(),
            numbers.chain(rates).map(f64::to_bits).collect(),
        )
    }

    fn rate(&self, at: f64) -> f64 {
        let reached = self.rates.iter().rev().find(|(from, _)| *from <= at);
        reached.map_or(0.0, |(_, rate)| *rate)
    }
}

/// Limits by conditions, whole, and type of the query.
type KnownLimits = BTreeMap<(String, String, u64, String), Option<f64>>;

fn case_of<'c>(
    context: &'c Context<'_>,
    used: &Used<'c, '_>,
    limits: &mut KnownLimits,
) -> Option<Case<'c>> {
    let metric = used.metric;
    let query = metric.query.as_ref()?;
    let parsed = query.parsed().as_ref().ok()?;
    let is_known = !is_timing_guessed(metric)
        && Limits::of(metric).is_some()
        && [
            &metric.written.success_condition,
            &metric.written.failure_condition,
        ]
        .into_iter()
        .all(|condition| !is_guessed(metric, condition));
    if metric.is_dry_run || !is_known || telling(used) == Some(Telling::Alike) {
        return None;
    }
    let whole = ratio_of_requests(parsed)?;
    let window = window_of(context, query, parsed)?;
    let (rates, start) = rates(context, used)?;
    let key = (
        metric.metric.success_condition.clone(),
        metric.metric.failure_condition.clone(),
        whole.to_bits(),
        format!("{:?}", parsed.value_type()),
    );
    let limit = *limits.entry(key).or_insert_with(|| limit_of(metric, whole));
    let limit = limit.filter(|limit| *limit <= 0.4)?;
    let number = match measurements(used) {
        Measurements::Number(number) => number.min(MEASUREMENTS_MAX),
        Measurements::Endless | Measurements::Unknown => return None,
    };
    let interval = metric.interval().unwrap_or(Duration::ZERO).as_secs_f64();
    let first = start + metric.initial_delay().as_secs_f64();
    let times: Vec<f64> = (0..number)
        .map(|index| first + index as f64 * interval)
        .collect();
    (!times.is_empty() && window > 0.0).then_some(Case {
        sampled: Sampled {
            metric,
            limit,
            times,
            window,
        },
        rates,
    })
}

/// Shares of healthy releases that are stopped and of bad ones that pass, where they are too large.
type Judgement = (Option<f64>, Option<f64>);

fn judge(
    context: &Context<'_>,
    used: &Used<'_, '_>,
    case: &Case<'_>,
    known: &mut BTreeMap<CaseKey, Judgement>,
    findings: &mut Findings<'_>,
) {
    let Case { sampled, rates: _ } = case;
    let rate = |at: f64| case.rate(at);
    let requests = sampled.requests(&rate);
    let Some(fewest) = requests
        .iter()
        .copied()
        .filter(|requests| *requests > 0.0)
        .reduce(f64::min)
    else {
        return;
    };
    // Thousands of requests are sure: chance moves them by a small part of the limit.
    if fewest * sampled.limit > 100.0 {
        return;
    }
    let settings = context.settings;
    let (stopped, missed) = *known.entry(case.key()).or_insert_with(|| {
        let (most, limit) = (settings.max_false_abort_rate, sampled.limit);
        (
            sampled.share_above(most, Outcome::Stopped, limit / 2.0, &rate),
            sampled.share_above(settings.max_miss_rate, Outcome::Passed, limit * 2.0, &rate),
        )
    });
    let metric = used.metric;
    let percent = |share: f64| format!("{:.0}%", share * 100.0);
    let what = match (stopped, missed) {
        (None, None) => return,
        (Some(stopped), Some(missed)) => format!(
            "stops {} of healthy releases and lets {} of bad ones pass",
            percent(stopped),
            percent(missed)
        ),
        (Some(stopped), None) => format!("stops {} of healthy releases", percent(stopped)),
        (None, Some(missed)) => format!("lets {} of bad releases pass", percent(missed)),
    };
    let message = format!(
        "metric `{}` {what}: a measurement sees about {fewest:.0} requests",
        metric.metric.name
    );
    let finding = findings.report(
        metric.object,
        metric.path_of("provider.prometheus.query"),
        message,
    );
    finding
        .help(format!(
            "look back for longer, measure at a larger weight, or change `failureLimit`; set `traffic_rps` if there are not {} requests a second",
            settings.traffic_rps
        ))
        .confidence(Confidence::Medium)
        .counterexample(Counterexample {
            given: format!(
                "{} requests a second; {:.3}% of them bad in a healthy version, {:.3}% in a bad one",
                settings.traffic_rps,
                sampled.limit * 50.0,
                sampled.limit * 200.0
            ),
            evaluated: format!(
                "1000 releases of each with {} measurements",
                sampled.times.len()
            ),
            outcome: format!("a metric that {what}"),
        });
    used.analysis.relate(metric, finding);
}

/// Requests per second to the new version over time, in seconds from the first step, and the start
/// of the run.
fn rates(context: &Context<'_>, used: &Used<'_, '_>) -> Option<(Vec<(f64, f64)>, f64)> {
    let all = context.settings.traffic_rps;
    let rollout = used.rollout?;
    let first = match used.analysis.place {
        AnalysisPlace::PostPromotion => return Some((vec![(f64::NEG_INFINITY, all)], 0.0)),
        AnalysisPlace::Background { starting_step } => starting_step,
        AnalysisPlace::Step { step } => step,
        AnalysisPlace::PrePromotion
        | AnalysisPlace::ExperimentStep {
            step: _,
            analysis: _,
        }
        | AnalysisPlace::Experiment { analysis: _ }
        | AnalysisPlace::Run
        | AnalysisPlace::Alone => return None,
    };
    let schedule = Schedule::new(rollout)?;
    let mut rates = Vec::new();
    for (step, weight) in schedule.weights.iter().enumerate() {
        let percent = rollout.percent_at(*weight)?;
        let from = schedule.known_time(0, step).as_secs_f64();
        let share = if *weight == 0 { 0.0 } else { percent / 100.0 };
        rates.push((from, all * share));
    }
    Some((rates, schedule.known_time(0, first).as_secs_f64()))
}

/// Whether the query is a ratio of requests, possibly as percent or as the rest to the whole: then
/// what the whole is, 1 or 100.
fn ratio_of_requests(query: &Expr) -> Option<f64> {
    let found = ratios(query);
    let [(good, all)] = found.as_slice() else {
        return None;
    };
    let names = |expr| {
        let selected = selectors(expr);
        let all_rates = selected.iter().all(|one| one.window().is_some());
        let mut names: Vec<String> = selected
            .iter()
            .filter_map(|one| one.name().map(str::to_owned))
            .collect();
        names.dedup();
        match (all_rates, names.as_slice()) {
            (true, [name]) => Some(name.clone()),
            (_, _) => None,
        }
    };
    let (part, whole) = (names(good)?, names(all)?);
    let is_time = |name: &str| name.ends_with("_sum") || name.ends_with("_bytes");
    // Quotients of different things are averages, unless both are called requests or errors.
    let is_alike = part == whole
        || [&part, &whole].into_iter().all(|name| {
            ["request", "error", "fail", "success"]
                .iter()
                .any(|word| name.contains(word))
        }) && !is_time(&part);
    is_alike.then_some(if multiplies_by_hundred(query) {
        100.0
    } else {
        1.0
    })
}

fn multiplies_by_hundred(query: &Expr) -> bool {
    let mut pending = vec![query];
    while let Some(expr) = pending.pop() {
        if let ExprKind::Binary(binary) = &expr.kind
            && binary.op == BinaryOp::Mul
            && [&binary.lhs, &binary.rhs].into_iter().any(|side| {
                matches!(&side.unparenthesized().kind, ExprKind::Number(number) if number.value == 100.0)
            })
        {
            return true;
        }
        pending.extend(expr.children());
    }
    false
}

/// Seconds that the query looks back; `irate` sees no more than the last two samples.
fn window_of(context: &Context<'_>, query: &QueryView, parsed: &Expr) -> Option<f64> {
    let scrape: Duration = context.settings.scrape_interval.parse().ok()?;
    let mut longest: Option<Duration> = None;
    for selected in selectors(parsed) {
        let (window, _) = known_window(query, &selected)?;
        let window = if selected.function() == Some("irate") {
            scrape
        } else {
            window
        };
        longest = Some(longest.map_or(window, |longest| longest.max(window)));
    }
    longest.map(Duration::as_secs_f64)
}
