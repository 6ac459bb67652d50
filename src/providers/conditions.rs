//! Judges a result by a metric's conditions (argo-rollouts `utils/evaluate`).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::expr::{self, ConditionError, Program, Type, Value};
use crate::spec::analysis::{AnalysisPhase, Metric};
use crate::time::Timestamp;

/// Conditions compiled for the type of the result that they judged last, for those who judge the
/// same metrics over and over.
#[derive(Debug, Clone, Default)]
pub struct Compiled(BTreeMap<String, (Type, Program)>);

impl Compiled {
    /// The condition for results of a type.
    ///
    /// # Errors
    /// See [`expr::compile`].
    pub fn program(
        &mut self,
        condition: &str,
        result_type: &Type,
    ) -> Result<&Program, expr::Error> {
        let entry = match self.0.entry(condition.to_owned()) {
            Entry::Occupied(mut entry) => {
                if entry.get().0 != *result_type {
                    let program = expr::compile(condition, result_type)?;
                    entry.insert((result_type.clone(), program));
                }
                entry.into_mut()
            }
            Entry::Vacant(entry) => {
                let program = expr::compile(condition, result_type)?;
                entry.insert((result_type.clone(), program))
            }
        };
        Ok(&entry.1)
    }

    fn holds(
        &mut self,
        condition: &str,
        result: &Value,
        now: Timestamp,
    ) -> Result<bool, ConditionError> {
        let result_type = Type::of(result);
        match self.0.get(condition) {
            Some((known, program)) if *known == result_type => program.holds(result, Some(now)),
            Some(_) | None => self
                .program(condition, &result_type)?
                .holds(result, Some(now)),
        }
    }
}

/// The phase of a measurement with this result; `now` is what `now()` gives in a condition.
///
/// # Errors
/// A condition that cannot be evaluated, in the reference's words.
pub fn judge(
    metric: &Metric,
    result: &Value,
    now: Timestamp,
    compiled: &mut Compiled,
) -> Result<AnalysisPhase, String> {
    let mut evaluate = |kind: &str, condition: &str| -> Result<Option<bool>, String> {
        if condition.is_empty() {
            return Ok(None);
        }
        compiled
            .holds(condition, result, now)
            .map(Some)
            .map_err(|error| {
                let reason = if is_nil_or_empty(result) {
                    "metric result is nil or empty: no data returned from the metric provider"
                        .to_owned()
                } else {
                    error.to_string()
                };
                format!("could not evaluate {kind} \"{condition}\": {reason}")
            })
    };
    let success = evaluate("successCondition", &metric.success_condition)?;
    let failure = evaluate("failureCondition", &metric.failure_condition)?;
    // A condition that is absent is the contrary of the other one.
    let (succeeded, failed) = match (success, failure) {
        (None, None) => (true, false),
        (Some(success), None) => (success, !success),
        (None, Some(failure)) => (!failure, failure),
        (Some(success), Some(failure)) => (success, failure),
    };
    Ok(if failed {
        AnalysisPhase::Failed
    } else if succeeded {
        AnalysisPhase::Successful
    } else {
        AnalysisPhase::Inconclusive
    })
}

fn is_nil_or_empty(result: &Value) -> bool {
    matches!(result, Value::Nil)
        || matches!(result, Value::Array(items) if items.items().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::decode::decode;
    use serde_json::json;

    fn phase(conditions: serde_json::Value, result: Value) -> Result<AnalysisPhase, String> {
        let metric: Metric = decode(conditions).unwrap();
        judge(&metric, &result, Timestamp::EPOCH, &mut Compiled::default())
    }

    #[test]
    fn an_absent_condition_is_the_contrary_of_the_other() {
        let float = Value::Float(0.9);
        for (conditions, wanted) in [
            (json!({}), AnalysisPhase::Successful),
            (
                json!({"successCondition": "result > 0.5"}),
                AnalysisPhase::Successful,
            ),
            (
                json!({"successCondition": "result > 0.95"}),
                AnalysisPhase::Failed,
            ),
            (
                json!({"failureCondition": "result > 0.95"}),
                AnalysisPhase::Successful,
            ),
            (
                json!({"successCondition": "result > 0.95", "failureCondition": "result < 0.5"}),
                AnalysisPhase::Inconclusive,
            ),
        ] {
            assert_eq!(phase(conditions, float.clone()), Ok(wanted));
        }
    }

    #[test]
    fn missing_data_is_said_to_be_missing() {
        let error = phase(
            json!({"successCondition": "result[0] > 1"}),
            Value::floats([]),
        )
        .unwrap_err();
        assert_eq!(
            error,
            "could not evaluate successCondition \"result[0] > 1\": metric result is nil or empty: no data returned from the metric provider"
        );
    }
}
