//! `query-window-shorter-than-scrape`.

use crate::lint::context::{Context, QueryView};
use crate::lint::facts::selectors::{
    NEED_TWO_SAMPLES, Selected, known_window, placeholders_in, selectors,
};
use crate::lint::facts::{Used, metrics_in_use};
use crate::lint::{Applicability, Confidence, Counterexample, Edit, Findings, Rule, Setting};
use crate::source::Severity;
use crate::time::Duration;

pub static RULE: Rule = Rule {
    name: "query-window-shorter-than-scrape",
    summary: "the window of a rate holds fewer than two samples",
    severity: Severity::Warning,
    finds: "
Range windows of `rate`, `irate`, `increase`, `delta`, `idelta`, `deriv` and `predict_linear` under twice
`scrape_interval`. Windows that come from an argument without a known value are left alone, and those of
subqueries, which have a step of their own.",
    hurts: "
These functions need two samples. In a window of one scrape interval there is one, or now and then two:
the query gives nothing most of the time, and the analysis errs, or passes if it takes no data as good.",
    bad: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      interval: 1m
      count: 5
      successCondition: result[0] >= 0.95
      failureLimit: 1
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_requests_total{app=\"shop\",code!~\"5..\"}[30s]))
              /
              sum(rate(http_requests_total{app=\"shop\"}[30s]))
",
    good: "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  metrics:
    - name: success-rate
      interval: 1m
      count: 5
      successCondition: result[0] >= 0.95
      failureLimit: 1
      provider:
          prometheus:
            address: http://prometheus.monitoring:9090
            query: |
              sum(rate(http_requests_total{app=\"shop\",code!~\"5..\"}[2m]))
              /
              sum(rate(http_requests_total{app=\"shop\"}[2m]))
",
    settings: &[Setting {
        name: "scrape_interval",
        default: "30s",
        about: "how often Prometheus scrapes, as a Go duration",
    }],
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings<'_>) {
    let Ok(scrape) = context.settings.scrape_interval.parse() else {
        return;
    };
    for used in metrics_in_use(context) {
        let Some(query) = &used.metric.query else {
            continue;
        };
        let Ok(parsed) = query.parsed() else {
            continue;
        };
        for selected in selectors(parsed) {
            let needs_two = selected
                .function()
                .is_some_and(|function| NEED_TWO_SAMPLES.contains(&function));
            if needs_two && !selected.in_subquery {
                check_window(&used, query, &selected, scrape, findings);
            }
        }
    }
}

fn check_window(
    used: &Used<'_, '_>,
    query: &QueryView,
    selected: &Selected<'_>,
    scrape: Duration,
    findings: &mut Findings<'_>,
) {
    let Some((window, place)) = known_window(query, selected) else {
        return;
    };
    if window.as_nanos() >= scrape.saturating_mul(2).as_nanos() {
        return;
    }
    let is_written = placeholders_in(query, &place).next().is_none();
    let metric = used.metric;
    let function = selected.function().unwrap_or("rate");
    let message = format!(
        "`{function}` needs two samples, and a window of {window} has too few: Prometheus scrapes every {scrape}"
    );
    let span = query.text.span(place.start, place.end);
    let enough = scrape.saturating_mul(4);
    let finding = findings.report_at(
        metric.object,
        metric.path_of("provider.prometheus.query"),
        span,
        message,
    );
    finding
        .help(format!(
            "look back {enough} or more, four scrapes; set `scrape_interval` if yours is another"
        ))
        .confidence(Confidence::Medium)
        .counterexample(Counterexample {
            given: format!("a sample every {scrape}"),
            evaluated: format!("{function} over {window}"),
            outcome: if window < scrape {
                "at most 1 sample, no result".to_owned()
            } else {
                "1 sample at most times, no result".to_owned()
            },
        });
    let whole_minutes = enough.as_secs() / 60;
    if is_written && whole_minutes > 0 && enough == Duration::from_secs(whole_minutes * 60) {
        finding.fix(
            Applicability::Unsafe,
            format!("look back {whole_minutes}m"),
            vec![Edit {
                span,
                replacement: format!("{whole_minutes}m"),
            }],
        );
    }
    used.analysis.relate(metric, finding);
}
