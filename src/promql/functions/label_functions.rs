//! `label_replace` and `label_join`: they change labels, whatever the values.

use crate::promql::eval::plan::{Node, NodeKind};
use crate::promql::eval::{EvalError, Evaluator, Series, Steps, merge_same_labels};
use crate::promql::labels::{METRIC_NAME, is_valid_name};
use crate::promql::regexp;

fn text<'e>(args: &[Node<'e>], at: usize) -> &'e str {
    match args.get(at).map(|arg| &arg.kind) {
        Some(NodeKind::Text(text)) => text,
        _ => "",
    }
}

fn set_label(series: &mut Series, name: &str, value: &str) {
    series.labels = series.labels.with(name, value);
    if name == METRIC_NAME {
        series.drop_name = false;
    }
}

pub(crate) fn label_replace(
    evaluator: &mut Evaluator<'_>,
    args: &[Node<'_>],
    steps: Steps,
) -> Result<Vec<Series>, EvalError> {
    let [destination, replacement, source, pattern] = [1, 2, 3, 4].map(|at| text(args, at));
    let regex = regexp::compile_anchored(pattern).map_err(|_| {
        EvalError::execution(format!(
            "invalid regular expression in label_replace(): {pattern}"
        ))
    })?;
    if !is_valid_name(destination) {
        return Err(EvalError::execution(format!(
            "invalid destination label name in label_replace(): {destination}"
        )));
    }
    let Some(vector) = args.first() else {
        return Ok(Vec::new());
    };
    let mut series = evaluator.eval(vector, steps)?;
    for one in &mut series {
        let labels = one.labels.clone();
        if let Some(captures) = regex.captures(labels.get(source)) {
            set_label(one, destination, &regexp::expand(&captures, replacement));
        }
    }
    merge_same_labels(series)
}

pub(crate) fn label_join(
    evaluator: &mut Evaluator<'_>,
    args: &[Node<'_>],
    steps: Steps,
) -> Result<Vec<Series>, EvalError> {
    let (destination, separator) = (text(args, 1), text(args, 2));
    let sources: Vec<&str> = (3..args.len()).map(|at| text(args, at)).collect();
    if let Some(source) = sources.iter().find(|source| !is_valid_name(source)) {
        return Err(EvalError::execution(format!(
            "invalid source label name in label_join(): {source}"
        )));
    }
    if !is_valid_name(destination) {
        return Err(EvalError::execution(format!(
            "invalid destination label name in label_join(): {destination}"
        )));
    }
    let Some(vector) = args.first() else {
        return Ok(Vec::new());
    };
    let mut series = evaluator.eval(vector, steps)?;
    for one in &mut series {
        let labels = one.labels.clone();
        let values: Vec<&str> = sources.iter().map(|source| labels.get(source)).collect();
        set_label(one, destination, &values.join(separator));
    }
    merge_same_labels(series)
}
