//! Writing other values into manifests, with comments and order kept.

use serde_json::Value;

use super::Edit;
use super::edits::{insert_entry, set_entry};
use crate::source::Sources;
use crate::spec::bundle::Bundle;
use crate::spec::edit;
use crate::spec::yaml::{Node, Step};

/// A value for a place in one of the objects of the files, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct NewValue {
    pub object: usize,
    pub steps: Vec<Step>,
    /// A scalar.
    pub value: Value,
}

/// The text of each file with the new values; none where nothing changes. What is written is read
/// again and compared with what is wanted.
///
/// # Errors
/// A value cannot be written where it stands, such as an alias.
pub fn write_values(
    files: &[(String, Vec<u8>)],
    values: &[NewValue],
    wanted: &[Value],
) -> Result<Vec<Option<String>>, String> {
    let mut present = files.to_vec();
    // One by one: two new entries of one map would be at the same place.
    for new in values {
        let (sources, bundle) = read(&present);
        let object = bundle
            .objects()
            .get(new.object)
            .ok_or("there is no such object")?;
        let place = crate::spec::yaml::path::display(&new.steps);
        let cannot = || {
            format!(
                "{}: {place} of {}/{} cannot be written: change it by hand",
                sources.name(object.source),
                object.kind,
                object.name
            )
        };
        let edit = edit_for(&sources, &object.node, new).ok_or_else(cannot)?;
        let text = sources.text(object.source);
        let changed = edit::apply(text, [std::slice::from_ref(&edit)]);
        let file = sources.ids().position(|id| id == object.source);
        let (_, bytes) = file
            .and_then(|file| present.get_mut(file))
            .ok_or_else(cannot)?;
        // What was not read as it is written cannot be written back.
        if text.as_bytes() != bytes.as_slice() {
            return Err(cannot());
        }
        *bytes = changed.into_bytes();
    }
    let (_, bundle) = read(&present);
    let found = bundle.objects().iter().map(|object| object.json());
    if !found.eq(wanted.iter()) {
        return Err(
            "the values cannot be written without changing more than them: change them by hand"
                .to_owned(),
        );
    }
    let texts = present.into_iter().zip(files);
    Ok(texts
        .map(|((_, new), (_, old))| {
            (new != *old).then(|| String::from_utf8_lossy(&new).into_owned())
        })
        .collect())
}

fn read(files: &[(String, Vec<u8>)]) -> (Sources, Bundle) {
    let named: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    let mut sources = Sources::new();
    let (bundle, _) = Bundle::read(&mut sources, &named);
    (sources, bundle)
}

fn edit_for(sources: &Sources, object: &Node, new: &NewValue) -> Option<Edit> {
    let (last, parents) = new.steps.split_last()?;
    let mut parent = object;
    for step in parents {
        parent = match step {
            Step::Key(key) => parent.get(key)?,
            Step::Index(index) => parent.as_seq()?.get(*index)?,
        };
    }
    let Step::Key(key) = last else { return None };
    let Some(node) = parent.get(key) else {
        return insert_entry(sources, parent, key, &scalar(&new.value)?);
    };
    if let (Some(before), Some(after)) = (node.as_str(), new.value.as_str()) {
        let written = sources.slice(node.span);
        let numbers = |letter: char| letter.is_ascii_digit() || letter == '.';
        if before.replace(numbers, "") == after.replace(numbers, "") && written.contains(before) {
            // Only numbers differ: it may stay as it is quoted.
            return Some(Edit {
                span: node.span,
                replacement: written.replacen(before, after, 1),
            });
        }
        if written.starts_with(['|', '>']) || written.contains('\n') {
            let replacement = with_other_lines(written, before, after)?;
            return Some(Edit {
                span: node.span,
                replacement,
            });
        }
    }
    set_entry(sources, parent, key, &scalar(&new.value)?)
}

/// A text of several lines as it is written, with those lines exchanged that differ.
fn with_other_lines(written: &str, before: &str, after: &str) -> Option<String> {
    if before.lines().count() != after.lines().count() {
        return None;
    }
    let mut out = String::new();
    let mut rest = written;
    for (before, after) in before.lines().zip(after.lines()) {
        let at = rest.find(before)?;
        out.push_str(rest.get(..at)?);
        out.push_str(after);
        rest = rest.get(at + before.len()..)?;
    }
    out.push_str(rest);
    Some(out)
}

/// A scalar on one line as YAML; none of lists and objects.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::String(text) => {
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
            let is_word = text.starts_with(|letter: char| letter.is_ascii_digit())
                && text.ends_with(|letter: char| letter.is_ascii_alphabetic())
                && text.chars().all(is_plain)
                && !text.contains(['e', 'E', 'x', 'o', 'b']);
            Some(if is_word {
                text.clone()
            } else {
                // JSON's strings are YAML's.
                value.to_string()
            })
        }
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::yaml::path;
    use serde_json::json;

    const MANIFEST: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: a}
spec:
  metrics:
    - name: errors # of all
      interval: 30s  # often
      successCondition: len(result) > 0 && result[0] >= 0.98
      provider:
        prometheus:
          address: http://p
          # The share.
          query: |
            rate(a[1m])
            /
            rate(b[1m])
";

    fn written(values: &[(&str, Value)]) -> Result<String, String> {
        let files = [("a.yaml".to_owned(), MANIFEST.as_bytes().to_vec())];
        let (_, bundle) = read(&files);
        let mut wanted = vec![bundle.objects()[0].json().clone()];
        let values: Vec<NewValue> = values
            .iter()
            .map(|(place, value)| {
                let field = crate::whatif::vary::find(&wanted, place).expect("a field");
                wanted = crate::whatif::vary::with_value(&wanted, &field, value);
                NewValue {
                    object: 0,
                    steps: path::parse(place),
                    value: value.clone(),
                }
            })
            .collect();
        let texts = write_values(&files, &values, &wanted)?;
        Ok(texts.into_iter().flatten().collect())
    }

    #[test]
    fn comments_and_order_are_kept() {
        let metric = "spec.metrics[0]";
        let text = written(&[
            (&format!("{metric}.interval"), json!("1m0s")),
            (&format!("{metric}.failureLimit"), json!(2)),
            (&format!("{metric}.consecutiveErrorLimit"), json!(8)),
            (
                &format!("{metric}.successCondition"),
                json!("len(result) > 0 && result[0] >= 0.95"),
            ),
            (
                &format!("{metric}.provider.prometheus.query"),
                json!("rate(a[2m])\n/\nrate(b[2m])\n"),
            ),
        ])
        .expect("writable");
        let wanted = MANIFEST
            .replace("[1m]", "[2m]")
            .replace("30s", "1m0s")
            .replace("0.98", "0.95")
            .replace(
                "# of all\n",
                "# of all\n      consecutiveErrorLimit: 8\n      failureLimit: 2\n",
            );
        assert_eq!(text, wanted);
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let error = written(&[(
            "spec.metrics[0].provider.prometheus.query",
            json!("rate(a[2m])"),
        )])
        .expect_err("fewer lines");
        assert!(error.contains("change it by hand"), "{error}");
    }
}
