//! Binary operators: between scalars, a vector and a scalar, and vectors matched by labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::annotations::{Note, Operation};
use super::ast::{BinaryOp, Cardinality, Matching, Span, ValueType};
use super::eval::plan::BinaryPlan;
use super::eval::{
    Collector, EvalError, Evaluator, FloatPoint, HistogramPoint, PointValue, Series, Steps, Walker,
};
use super::histogram::{Histogram, IncompatibleSchemas};
use super::labels::Labels;

pub(crate) fn eval(
    evaluator: &mut Evaluator<'_>,
    plan: &BinaryPlan<'_>,
    span: Span,
    steps: Steps,
) -> Result<Vec<Series>, EvalError> {
    let BinaryPlan {
        op,
        lhs,
        rhs,
        matching,
        return_bool,
    } = plan;
    match (lhs.value_type, rhs.value_type) {
        (ValueType::Scalar, ValueType::Scalar) => {
            let a = evaluator.eval_scalar(lhs, steps)?;
            let b = evaluator.eval_scalar(rhs, steps)?;
            let mut floats = Vec::with_capacity(a.len());
            for (time, (a, b)) in steps.iter().zip(a.iter().zip(&b)) {
                floats.push(FloatPoint {
                    time,
                    value: scalars(*op, *a, *b)?,
                });
            }
            Ok(vec![Series {
                floats,
                ..Series::default()
            }])
        }
        (ValueType::Vector, ValueType::Scalar) => {
            let series = evaluator.eval(lhs, steps)?;
            let scalar = evaluator.eval_scalar(rhs, steps)?;
            with_scalar(
                evaluator,
                *op,
                series,
                &scalar,
                false,
                *return_bool,
                span,
                steps,
            )
        }
        (ValueType::Scalar, ValueType::Vector) => {
            let scalar = evaluator.eval_scalar(lhs, steps)?;
            let series = evaluator.eval(rhs, steps)?;
            with_scalar(
                evaluator,
                *op,
                series,
                &scalar,
                true,
                *return_bool,
                span,
                steps,
            )
        }
        _ => {
            let left = evaluator.eval(lhs, steps)?;
            let right = evaluator.eval(rhs, steps)?;
            let Some(matching) = matching else {
                return Ok(Vec::new());
            };
            if op.is_set() {
                set_operation(evaluator, *op, &left, &right, matching, steps)
            } else {
                let pair = VectorPair {
                    op: *op,
                    matching,
                    return_bool: *return_bool,
                    span,
                };
                pair.eval(evaluator, &left, &right, steps)
            }
        }
    }
}

fn arithmetic(op: BinaryOp, a: f64, b: f64) -> Option<f64> {
    Some(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        BinaryOp::Eq
        | BinaryOp::Ne
        | BinaryOp::Gt
        | BinaryOp::Lt
        | BinaryOp::Ge
        | BinaryOp::Le
        | BinaryOp::TrimUpper
        | BinaryOp::TrimLower
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Unless => return None,
    })
}

fn comparison(op: BinaryOp, a: f64, b: f64) -> Option<bool> {
    Some(match op {
        BinaryOp::Eq => a == b,
        BinaryOp::Ne => a != b,
        BinaryOp::Gt => a > b,
        BinaryOp::Lt => a < b,
        BinaryOp::Ge => a >= b,
        BinaryOp::Le => a <= b,
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Mod
        | BinaryOp::Pow
        | BinaryOp::Atan2
        | BinaryOp::TrimUpper
        | BinaryOp::TrimLower
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Unless => return None,
    })
}

fn scalars(op: BinaryOp, a: f64, b: f64) -> Result<f64, EvalError> {
    arithmetic(op, a, b)
        .or_else(|| comparison(op, a, b).map(|holds| f64::from(u8::from(holds))))
        .ok_or_else(|| {
            EvalError::execution(format!(
                "operator {:?} not allowed for Scalar operations",
                op.text()
            ))
        })
}

/// An element of a vector.
#[derive(Clone)]
enum Element {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Element {
    fn kind(&self) -> &'static str {
        match self {
            Self::Float(_) => "float",
            Self::Histogram(_) => "histogram",
        }
    }

    fn as_point(&self) -> PointValue<'_> {
        match self {
            Self::Float(value) => PointValue::Float(*value),
            Self::Histogram(histogram) => PointValue::Histogram(histogram),
        }
    }
}

impl From<PointValue<'_>> for Element {
    fn from(point: PointValue<'_>) -> Self {
        match point {
            PointValue::Float(value) => Self::Float(value),
            PointValue::Histogram(histogram) => Self::Histogram(Arc::clone(histogram)),
        }
    }
}

/// The result of an operator on two elements.
struct Combination {
    value: Element,
    /// A comparison holds, or there was nothing to compare.
    keep: bool,
    /// A remark on a result that there is.
    note: Option<Note>,
}

/// Why two elements have no result.
enum NoResult {
    Types(Note),
    Schemas,
}

fn combine(op: BinaryOp, a: &Element, b: &Element) -> Result<Combination, NoResult> {
    let kept = |value| {
        Ok(Combination {
            value,
            keep: true,
            note: None,
        })
    };
    let histogram = |mut result: Histogram, change: &dyn Fn(&mut Histogram)| {
        change(&mut result);
        Element::Histogram(Arc::new(result))
    };
    let unsupported = || {
        Err(NoResult::Types(Note::IncompatibleTypes {
            lhs: a.kind(),
            op: op.text(),
            rhs: b.kind(),
        }))
    };
    match (a, b) {
        (Element::Float(x), Element::Float(y)) => {
            if let Some(value) = arithmetic(op, *x, *y) {
                return kept(Element::Float(value));
            }
            match comparison(op, *x, *y) {
                Some(keep) => Ok(Combination {
                    value: Element::Float(*x),
                    keep,
                    note: None,
                }),
                None => unsupported(),
            }
        }
        (Element::Float(factor), Element::Histogram(h)) => match op {
            BinaryOp::Mul => kept(histogram(Histogram::clone(h), &|h| {
                h.scale_by(*factor);
                h.compact();
            })),
            _ => unsupported(),
        },
        (Element::Histogram(h), Element::Float(y)) => {
            let change: &dyn Fn(&mut Histogram) = match op {
                BinaryOp::Mul => &|h| {
                    h.scale_by(*y);
                    h.compact();
                },
                BinaryOp::Div => &|h| {
                    h.divide_by(*y);
                    h.compact();
                },
                BinaryOp::TrimUpper => &|h| h.trim_above(*y),
                BinaryOp::TrimLower => &|h| h.trim_below(*y),
                _ => return unsupported(),
            };
            kept(histogram(Histogram::clone(h), change))
        }
        (Element::Histogram(x), Element::Histogram(y)) => match op {
            BinaryOp::Add | BinaryOp::Sub => {
                let mut result = Histogram::clone(x);
                let (combined, operation) = if op == BinaryOp::Add {
                    (result.add(y), Operation::Addition)
                } else {
                    (result.subtract(y), Operation::Subtraction)
                };
                let combined = combined.map_err(|IncompatibleSchemas| NoResult::Schemas)?;
                if op == BinaryOp::Sub {
                    result.hint = super::histogram::ResetHint::Gauge;
                }
                result.compact();
                // A collision leaves the result out, as in the reference.
                if combined.reset_collision {
                    return Err(NoResult::Types(Note::ResetCollision(operation)));
                }
                let note = combined
                    .bounds_reconciled
                    .then_some(Note::MismatchedCustomBuckets(operation));
                Ok(Combination {
                    value: Element::Histogram(Arc::new(result)),
                    keep: true,
                    note,
                })
            }
            BinaryOp::Eq => Ok(Combination {
                value: a.clone(),
                keep: x.same_data(y),
                note: None,
            }),
            BinaryOp::Ne => Ok(Combination {
                value: a.clone(),
                keep: !x.same_data(y),
                note: None,
            }),
            _ => unsupported(),
        },
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one operation")]
fn with_scalar(
    evaluator: &mut Evaluator<'_>,
    op: BinaryOp,
    mut series: Vec<Series>,
    scalar: &[f64],
    scalar_is_left: bool,
    return_bool: bool,
    span: Span,
    steps: Steps,
) -> Result<Vec<Series>, EvalError> {
    // Of several remarks at a step the last one counts.
    let mut notes: BTreeMap<i64, Note> = BTreeMap::new();
    let drops_name = op.changes_schema() || return_bool;
    for one in &mut series {
        if drops_name {
            evaluator.drop_name(one);
        }
        evaluator.spend(one.floats.len() + one.histograms.len())?;
        let at = |time: i64| scalar.get(steps.index(time)).copied().unwrap_or(f64::NAN);
        one.floats.retain_mut(|point| {
            let vector_value = point.value;
            let s = at(point.time);
            let (a, b) = if scalar_is_left {
                (s, vector_value)
            } else {
                (vector_value, s)
            };
            if let Some(value) = arithmetic(op, a, b) {
                point.value = value;
                return true;
            }
            match comparison(op, a, b) {
                Some(holds) => {
                    if return_bool {
                        point.value = f64::from(u8::from(holds));
                    }
                    holds || return_bool
                }
                None => {
                    let note = Note::IncompatibleTypes {
                        lhs: "float",
                        op: op.text(),
                        rhs: "float",
                    };
                    notes.insert(point.time, note);
                    false
                }
            }
        });
        for HistogramPoint { time, histogram } in std::mem::take(&mut one.histograms) {
            let (vector_value, s) = (Element::Histogram(histogram), Element::Float(at(time)));
            let result = if scalar_is_left {
                combine(op, &s, &vector_value)
            } else {
                combine(op, &vector_value, &s)
            };
            match result {
                Ok(Combination {
                    value: Element::Histogram(histogram),
                    keep: true,
                    note: _,
                }) => {
                    one.histograms.push(HistogramPoint { time, histogram });
                }
                Ok(_) => {}
                Err(NoResult::Types(note)) => {
                    notes.insert(time, note);
                }
                Err(NoResult::Schemas) => {}
            }
        }
    }
    for note in notes.into_values() {
        evaluator.note(note, span);
    }
    series.retain(|one| !one.is_empty());
    evaluator.resolve_collisions(series)
}

/// A number for each group of series that match each other; equal on both sides.
fn signatures(
    left: &[Series],
    right: &[Series],
    matching: &Matching,
) -> (Vec<usize>, Vec<usize>, usize) {
    let mut ordinals: BTreeMap<Labels, usize> = BTreeMap::new();
    let mut of = |series: &[Series]| -> Vec<usize> {
        series
            .iter()
            .map(|one| {
                let next = ordinals.len();
                *ordinals
                    .entry(one.labels.matching(matching.on, &matching.labels))
                    .or_insert(next)
            })
            .collect()
    };
    let (left, right) = (of(left), of(right));
    (left, right, ordinals.len())
}

fn set_operation(
    evaluator: &mut Evaluator<'_>,
    op: BinaryOp,
    left: &[Series],
    right: &[Series],
    matching: &Matching,
    steps: Steps,
) -> Result<Vec<Series>, EvalError> {
    let (left_signatures, right_signatures, count) = signatures(left, right, matching);
    let mut left_walkers: Vec<Walker<'_>> = left.iter().map(Walker::new).collect();
    let mut right_walkers: Vec<Walker<'_>> = right.iter().map(Walker::new).collect();
    let mut collector = Collector::new(evaluator, steps);
    let mut left_slots = vec![None; left.len()];
    let mut right_slots = vec![None; right.len()];
    let mut present = vec![false; count];
    for time in steps.iter() {
        evaluator.spend(left.len() + right.len())?;
        present.fill(false);
        let left_values: Vec<_> = left_walkers
            .iter_mut()
            .map(|walker| walker.at(time))
            .collect();
        let right_values: Vec<_> = right_walkers
            .iter_mut()
            .map(|walker| walker.at(time))
            .collect();
        let (deciding, deciding_signatures) = match op {
            BinaryOp::Or => (&left_values, &left_signatures),
            _ => (&right_values, &right_signatures),
        };
        for (_, signature) in deciding
            .iter()
            .zip(deciding_signatures)
            .filter(|(value, _)| value.is_some())
        {
            if let Some(slot) = present.get_mut(*signature) {
                *slot = true;
            }
        }
        let is_present = |signature: &usize| present.get(*signature).copied().unwrap_or(false);
        for (i, (value, signature)) in left_values.iter().zip(&left_signatures).enumerate() {
            let wanted = match op {
                BinaryOp::And => is_present(signature),
                BinaryOp::Unless => !is_present(signature),
                _ => true,
            };
            if let (Some(value), true) = (value, wanted) {
                push_through(&mut collector, left, &mut left_slots, i, time, *value)?;
            }
        }
        if op == BinaryOp::Or {
            for (i, (value, signature)) in right_values.iter().zip(&right_signatures).enumerate() {
                if let (Some(value), false) = (value, is_present(signature)) {
                    push_through(&mut collector, right, &mut right_slots, i, time, *value)?;
                }
            }
        }
    }
    Ok(collector.finish())
}

/// Passes a point of an input series on under its own labels.
fn push_through(
    collector: &mut Collector,
    series: &[Series],
    slots: &mut [Option<usize>],
    i: usize,
    time: i64,
    value: PointValue<'_>,
) -> Result<(), EvalError> {
    let (Some(one), Some(slot)) = (series.get(i), slots.get_mut(i)) else {
        return Ok(());
    };
    let slot = *slot.get_or_insert_with(|| collector.slot(&one.labels, one.drop_name));
    collector.push(slot, time, value)
}

/// An arithmetic, comparison or trim operator between two vectors.
struct VectorPair<'a> {
    op: BinaryOp,
    matching: &'a Matching,
    return_bool: bool,
    span: Span,
}

/// Which series a result comes from; `None` where a fill value stood in.
type Origin = (Option<usize>, Option<usize>);

/// The state that lasts over the steps.
struct Matched {
    collector: Collector,
    slots: BTreeMap<Origin, (Labels, usize)>,
    /// Signatures that have a result at this step (one-to-one).
    matched: Vec<bool>,
    /// Labels of the results of each signature at this step (grouped).
    results: Vec<BTreeSet<Labels>>,
}

impl VectorPair<'_> {
    fn eval(
        &self,
        evaluator: &mut Evaluator<'_>,
        left: &[Series],
        right: &[Series],
        steps: Steps,
    ) -> Result<Vec<Series>, EvalError> {
        // The side that may have several series for one of the other comes first.
        let swapped = self.matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped {
            (right, left)
        } else {
            (left, right)
        };
        let (many_signatures, one_signatures, count) = signatures(many, one, self.matching);
        let mut many_walkers: Vec<Walker<'_>> = many.iter().map(Walker::new).collect();
        let mut one_walkers: Vec<Walker<'_>> = one.iter().map(Walker::new).collect();
        let mut state = Matched {
            collector: Collector::new(evaluator, steps),
            slots: BTreeMap::new(),
            matched: vec![false; count],
            results: vec![BTreeSet::new(); count],
        };
        let fills = self.matching.fill_left.is_some() || self.matching.fill_right.is_some();
        let mut one_at: Vec<Option<(usize, PointValue<'_>)>> = vec![None; count];
        for time in steps.iter() {
            evaluator.spend(many.len() + one.len() + 1)?;
            one_at.fill(None);
            state.matched.fill(false);
            state.results.iter_mut().for_each(BTreeSet::clear);
            let many_values: Vec<_> = many_walkers
                .iter_mut()
                .map(|walker| walker.at(time))
                .collect();
            let one_values: Vec<_> = one_walkers
                .iter_mut()
                .map(|walker| walker.at(time))
                .collect();
            let many_empty = many_values.iter().all(Option::is_none);
            let one_empty = one_values.iter().all(Option::is_none);
            if (many_empty && one_empty) || ((many_empty || one_empty) && !fills) {
                continue;
            }
            for (i, (value, signature)) in one_values.iter().zip(&one_signatures).enumerate() {
                let (Some(value), Some(slot)) = (value, one_at.get_mut(*signature)) else {
                    continue;
                };
                if let Some((other, _)) = slot {
                    return Err(self.duplicate(&one[i].labels, &one[*other].labels));
                }
                *slot = Some((i, *value));
            }
            let mut last_note = None;
            for (i, (value, signature)) in many_values.iter().zip(&many_signatures).enumerate() {
                let Some(value) = value else {
                    continue;
                };
                let (j, other) = match (
                    one_at.get(*signature).copied().flatten(),
                    self.matching.fill_right,
                ) {
                    (Some((j, other)), _) => (Some(j), Element::from(other)),
                    (None, Some(fill)) => (None, Element::Float(fill)),
                    (None, None) => continue,
                };
                let pair = ((Some(i), Element::from(*value)), (j, other));
                self.pair(
                    evaluator,
                    &mut state,
                    many,
                    one,
                    *signature,
                    pair,
                    time,
                    &mut last_note,
                )?;
            }
            if let Some(fill) = self.matching.fill_left {
                for (j, (value, signature)) in one_values.iter().zip(&one_signatures).enumerate() {
                    let grouped = self.matching.cardinality != Cardinality::OneToOne;
                    let already = if grouped {
                        state
                            .results
                            .get(*signature)
                            .is_some_and(|results| !results.is_empty())
                    } else {
                        state.matched.get(*signature).copied().unwrap_or(false)
                    };
                    if let (Some(value), false) = (value, already) {
                        let pair = (
                            (None, Element::Float(fill)),
                            (Some(j), Element::from(*value)),
                        );
                        self.pair(
                            evaluator,
                            &mut state,
                            many,
                            one,
                            *signature,
                            pair,
                            time,
                            &mut last_note,
                        )?;
                    }
                }
            }
            if let Some(note) = last_note {
                evaluator.note(note, self.span);
            }
        }
        Ok(state.collector.finish())
    }

    fn duplicate(&self, a: &Labels, b: &Labels) -> EvalError {
        let side = if self.matching.cardinality == Cardinality::OneToMany {
            "left"
        } else {
            "right"
        };
        let group = a.matching(self.matching.on, &self.matching.labels);
        let (mut first, mut second) = (a.to_string(), b.to_string());
        if first > second {
            std::mem::swap(&mut first, &mut second);
        }
        EvalError::execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
             [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one pair of a loop over several lists"
    )]
    fn pair(
        &self,
        evaluator: &Evaluator<'_>,
        state: &mut Matched,
        many: &[Series],
        one: &[Series],
        signature: usize,
        pair: ((Option<usize>, Element), (Option<usize>, Element)),
        time: i64,
        last_note: &mut Option<Note>,
    ) -> Result<(), EvalError> {
        let ((i, many_value), (j, one_value)) = pair;
        let result = if self.matching.cardinality == Cardinality::OneToMany {
            combine(self.op, &one_value, &many_value)
        } else {
            combine(self.op, &many_value, &one_value)
        };
        let Combination {
            mut value,
            keep,
            note,
        } = match result {
            Ok(combination) => combination,
            Err(NoResult::Types(note)) => {
                *last_note = Some(note);
                return Ok(());
            }
            Err(NoResult::Schemas) => {
                *last_note = Some(Note::IncompatibleBucketLayout { op: self.op.text() });
                return Ok(());
            }
        };
        if note.is_some() {
            *last_note = note;
        }
        if self.return_bool {
            value = Element::Float(f64::from(u8::from(keep)));
        }
        let labels = match state.slots.get(&(i, j)) {
            Some((labels, _)) => labels.clone(),
            None => {
                let group = |series: &[Series], at: Option<usize>| {
                    at.and_then(|at| series.get(at)).map(|s| s.labels.clone())
                };
                let matching =
                    |labels: &Labels| labels.matching(self.matching.on, &self.matching.labels);
                let (many_labels, one_labels) = (group(many, i), group(one, j));
                let (many_labels, one_labels) = match (many_labels, one_labels) {
                    (Some(a), Some(b)) => (a, b),
                    (Some(a), None) => (a.clone(), matching(&a)),
                    (None, Some(b)) => (matching(&b), b),
                    (None, None) => return Ok(()),
                };
                self.result_labels(evaluator, &many_labels, &one_labels)
            }
        };
        if self.matching.cardinality == Cardinality::OneToOne {
            if let Some(matched) = state.matched.get_mut(signature) {
                if *matched {
                    return Err(EvalError::execution(
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                    ));
                }
                *matched = true;
            }
        } else if let Some(results) = state.results.get_mut(signature)
            && !results.insert(labels.clone())
        {
            return Err(EvalError::execution(
                "multiple matches for labels: grouping labels must ensure unique matches",
            ));
        }
        if !keep && !self.return_bool {
            return Ok(());
        }
        let slot = match state.slots.get(&(i, j)) {
            Some((_, slot)) => *slot,
            None => {
                let slot = state.collector.slot(&labels, self.return_bool);
                state.slots.insert((i, j), (labels, slot));
                slot
            }
        };
        state.collector.push(slot, time, value.as_point())
    }

    fn result_labels(&self, evaluator: &Evaluator<'_>, many: &Labels, one: &Labels) -> Labels {
        let drops_name = !evaluator.settings.delayed_name_removal && self.return_bool;
        let mut labels = many.clone();
        if drops_name || self.op.changes_schema() {
            labels = labels.drop_metadata();
        }
        if self.matching.cardinality == Cardinality::OneToOne {
            labels = if self.matching.on {
                labels.keep(&self.matching.labels)
            } else {
                labels.without(&self.matching.labels)
            };
        }
        for name in &self.matching.include {
            labels = labels.with(name, one.get(name));
        }
        labels
    }
}
