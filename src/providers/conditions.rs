//! Judges a result by a metric's conditions (argo-rollouts `utils/evaluate`).

use crate::expr::{Value, evaluate_condition};
use crate::spec::analysis::{AnalysisPhase, Metric};
use crate::time::Timestamp;

/// The phase of a measurement with this result; `now` is what `now()` gives in a condition.
///
/// # Errors
/// A condition that cannot be evaluated, in the reference's words.
pub fn judge(metric: &Metric, result: &Value, now: Timestamp) -> Result<AnalysisPhase, String> {
    let evaluate = |kind: &str, condition: &str| -> Result<Option<bool>, String> {
        if condition.is_empty() {
            return Ok(None);
        }
        evaluate_condition(condition, result, Some(now))
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
        judge(&metric, &result, Timestamp::EPOCH)
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
