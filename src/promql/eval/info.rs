//! `info`: adds labels of info series (such as `target_info`) to the series they describe.

use std::collections::{BTreeMap, BTreeSet};

use super::evaluator::{Collector, Evaluator, PointValue, Walker};
use super::plan::{Node, NodeKind, Selector};
use super::{EvalError, Series, Steps};
use crate::promql::ast::Extension;
use crate::promql::labels::{Labels, METRIC_NAME, MatchOp, Matcher};

/// The labels by which an info series and the series it describes are found to belong together.
const IDENTIFYING: [&str; 2] = ["instance", "job"];
const DEFAULT_INFO_METRIC: &str = "target_info";
const INFO_NAME_PATTERN: &str = ".+_info";

/// Where the first selector below reads its data: under `@`, and with which offset.
fn reference(node: &Node<'_>) -> Option<(Option<i64>, i64)> {
    match &node.kind {
        NodeKind::Vector(selector) => Some((selector.at, selector.offset)),
        NodeKind::Matrix(range) => Some((range.selector.at, range.selector.offset)),
        NodeKind::Subquery(subquery) => {
            let (at, offset) = reference(&subquery.node)?;
            Some(match at {
                Some(at) => (Some(at), offset),
                None => (subquery.at, offset.saturating_add(subquery.offset)),
            })
        }
        NodeKind::Negate(inner) | NodeKind::Fixed(inner) => reference(inner),
        NodeKind::Binary(binary) => reference(&binary.lhs).or_else(|| reference(&binary.rhs)),
        NodeKind::Call { function: _, args } => args.iter().find_map(reference),
        NodeKind::Aggregate(aggregate) => {
            reference(&aggregate.node).or_else(|| aggregate.parameter.as_ref().and_then(reference))
        }
        NodeKind::Number(_) | NodeKind::Text(_) => None,
    }
}

/// Which metrics are info metrics, from the matchers on the name.
fn name_matchers(given: Vec<Matcher>) -> Result<Vec<Matcher>, EvalError> {
    if given.is_empty() {
        return Ok(vec![Matcher::equal(METRIC_NAME, DEFAULT_INFO_METRIC)]);
    }
    if given
        .iter()
        .any(|matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::Regex))
    {
        return Ok(given);
    }
    let any = Matcher::new(MatchOp::Regex, METRIC_NAME, INFO_NAME_PATTERN)
        .map_err(EvalError::execution)?;
    Ok(std::iter::once(any).chain(given).collect())
}

fn identity(labels: &Labels) -> Labels {
    Labels::new(IDENTIFYING.iter().map(|name| (*name, labels.get(name))))
}

impl Evaluator<'_> {
    pub(super) fn info(
        &mut self,
        args: &[Node<'_>],
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        let Some((vector, rest)) = args.split_first() else {
            return Ok(Vec::new());
        };
        let (at, offset) = reference(vector).unwrap_or((None, 0));
        let base = self.eval(vector, steps)?;
        let given = match rest.first().map(|selector| &unfixed(selector).kind) {
            Some(NodeKind::Vector(selector)) => selector.matchers,
            _ => &[],
        };
        let (names, data): (Vec<Matcher>, Vec<Matcher>) = given
            .iter()
            .cloned()
            .partition(|matcher| matcher.name == METRIC_NAME);
        let names = name_matchers(names)?;
        let is_info = |labels: &Labels| names.iter().all(|m| m.matches(labels.metric_name()));
        let ignored: Vec<bool> = base.iter().map(|one| is_info(&one.labels)).collect();
        let info = self.info_series(&base, &ignored, &data, is_info, at, offset, steps)?;
        self.add_info_labels(&base, &ignored, &info, &data, steps)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one step of `info`, split off for length"
    )]
    fn info_series(
        &mut self,
        base: &[Series],
        ignored: &[bool],
        data: &[Matcher],
        is_info: impl Fn(&Labels) -> bool,
        at: Option<i64>,
        offset: i64,
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (one, _) in base.iter().zip(ignored).filter(|(_, ignored)| !**ignored) {
            for name in IDENTIFYING {
                let value = one.labels.get(name);
                if !value.is_empty() {
                    wanted.entry(name).or_default().insert(value);
                }
            }
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let selector = Selector {
            matchers: &[],
            offset,
            at,
            extension: Extension::None,
            stats_only: false,
        };
        let matches = |labels: &Labels| {
            is_info(labels)
                && wanted
                    .iter()
                    .all(|(name, values)| values.contains(labels.get(name)))
                && data
                    .iter()
                    .all(|matcher| matcher.matches(labels.get(&matcher.name)))
        };
        self.sample_times(matches, &selector, steps)
    }

    fn add_info_labels(
        &mut self,
        base: &[Series],
        ignored: &[bool],
        info: &[Series],
        data: &[Matcher],
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        let base_identities: Vec<Labels> = base.iter().map(|one| identity(&one.labels)).collect();
        let info_identities: Vec<Labels> = info.iter().map(|one| identity(&one.labels)).collect();
        let mut base_walkers: Vec<Walker<'_>> = base.iter().map(Walker::new).collect();
        let mut info_walkers: Vec<Walker<'_>> = info.iter().map(Walker::new).collect();
        let keeps_unmatched = data.iter().all(|matcher| matcher.matches(""));
        let mut collector = Collector::strict();
        for time in steps.iter() {
            self.spend(base.len() + info.len() + 1)?;
            let base_values: Vec<_> = base_walkers
                .iter_mut()
                .map(|walker| walker.at(time))
                .collect();
            // Of each info metric and identity, the series with the newest sample.
            let mut newest: BTreeMap<&Labels, BTreeMap<&str, (f64, &Series)>> = BTreeMap::new();
            let any_base = base_values.iter().any(Option::is_some);
            for ((one, walker), key) in info.iter().zip(&mut info_walkers).zip(&info_identities) {
                let Some(PointValue::Float(sampled)) = walker.at(time) else {
                    continue;
                };
                let by_name = newest.entry(key).or_default();
                match by_name.get(one.labels.metric_name()) {
                    Some((existing, other)) if *existing == sampled && any_base => {
                        return Err(EvalError::execution(format!(
                            "found duplicate series for info metric: existing {} @ {existing}, new {} @ {sampled}",
                            other.labels, one.labels
                        )));
                    }
                    Some((existing, _)) if *existing >= sampled => {}
                    Some(_) | None => {
                        by_name.insert(one.labels.metric_name(), (sampled, one));
                    }
                }
            }
            for (i, (one, value)) in base.iter().zip(base_values).enumerate() {
                let Some(value) = value else {
                    continue;
                };
                let mut labels = one.labels.clone();
                if !ignored.get(i).copied().unwrap_or(false) {
                    let found = base_identities.get(i).and_then(|key| newest.get(key));
                    if found.is_none() && !keeps_unmatched {
                        continue;
                    }
                    labels = joined(&one.labels, found, data)?;
                }
                let slot = collector.slot(&labels, one.drop_name);
                collector.push(slot, time, value)?;
            }
        }
        Ok(collector.finish())
    }
}

/// The labels with those that the info series add. Two info series must not disagree.
fn joined(
    base: &Labels,
    found: Option<&BTreeMap<&str, (f64, &Series)>>,
    data: &[Matcher],
) -> Result<Labels, EvalError> {
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    for (_, info) in found.into_iter().flat_map(BTreeMap::values) {
        for (name, value) in info.labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
            if !data.is_empty() && !data.iter().any(|matcher| matcher.name == name) {
                continue;
            }
            if added.get(name).is_some_and(|existing| *existing != value) {
                return Err(EvalError::execution(format!("conflicting label: {name}")));
            }
            if base.get(name).is_empty() {
                added.insert(name, value);
            }
        }
    }
    Ok(added
        .into_iter()
        .fold(base.clone(), |labels, (name, value)| {
            labels.with(name, value)
        }))
}

fn unfixed<'a, 'e>(node: &'a Node<'e>) -> &'a Node<'e> {
    match &node.kind {
        NodeKind::Fixed(inner) => inner,
        _ => node,
    }
}
