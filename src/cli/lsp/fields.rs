//! The fields of objects by path, with their documentation.

use serde_json::Value as Json;

use crate::spec::schema::definitions;

/// The schema of a field; names of lists stand for their items. None for what is not known.
pub(super) fn schema(kind: &str, path: &[String]) -> Option<Json> {
    let definition = definitions::definition(kind)?;
    let mut schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema")?;
    for name in path {
        schema = item(schema);
        let field = schema.get("properties").and_then(|it| it.get(name));
        schema = field.or_else(|| schema.get("additionalProperties"))?;
    }
    Some(item(schema).clone())
}

fn item(schema: &Json) -> &Json {
    schema.get("items").unwrap_or(schema)
}

/// Where a place of a text is in its object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Of the object; empty where none is written.
    pub(super) kind: String,
    /// Keys from the top; lists have no step of their own.
    pub(super) path: Vec<String>,
    /// The key of the line, where the place is after its colon.
    pub(super) key: Option<String>,
    /// Keys that are written beside the place.
    pub(super) siblings: Vec<String>,
}

/// The place at an offset, by indentation alone: what is being written is often no YAML yet.
pub(super) fn place(text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let mut above: Vec<&str> = before.get(..start).unwrap_or_default().lines().collect();
    if let Some(border) = above.iter().rposition(|line| line.starts_with("---")) {
        above.drain(..=border);
    }
    let after = text.get(start..).unwrap_or_default();
    let below: Vec<&str> = after
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with("---"))
        .collect();
    let current = Line::of(before.get(start..).unwrap_or_default());
    let kind = above
        .iter()
        .chain(&below)
        .find_map(|line| line.strip_prefix("kind:"));
    let mut place = Place {
        kind: kind.unwrap_or_default().trim().to_owned(),
        key: current.key.map(str::to_owned),
        ..Place::default()
    };
    // Lines of the same map stand at `column`; with `dash`, only its list is looked for.
    let mut column = current.dash.unwrap_or(current.column);
    let mut is_list = current.dash.is_some();
    let own = current.column;
    let mut is_beside = !is_list;
    for line in above.iter().rev().map(|line| Line::of(line)) {
        let Some(key) = line.key else { continue };
        if is_beside && line.column == own {
            place.siblings.push(key.to_owned());
        }
        if is_list {
            match line.dash {
                None if line.column <= column => {
                    place.path.push(key.to_owned());
                    (column, is_list) = (line.column, false);
                }
                Some(dash) if line.column <= column && dash < column => {
                    place.path.push(key.to_owned());
                    column = dash;
                }
                Some(_) | None => {}
            }
        } else if line.column < column {
            is_beside = false;
            place.path.push(key.to_owned());
            (column, is_list) = match line.dash {
                Some(dash) => (dash, true),
                None => (line.column, false),
            };
        } else if line.column == column
            && let Some(dash) = line.dash
        {
            is_beside = false;
            (column, is_list) = (dash, true);
        }
    }
    for line in below.iter().map(|line| Line::of(line)) {
        let Some(key) = line.key else { continue };
        if line.column < own || line.dash.is_some_and(|dash| dash < own) {
            break;
        }
        if line.column == own && line.dash.is_none() {
            place.siblings.push(key.to_owned());
        }
    }
    place.path.reverse();
    place
}

/// A line of YAML, roughly.
struct Line<'t> {
    /// Column of the dash, where it begins an item.
    dash: Option<usize>,
    /// Column of the key or of what else there is.
    column: usize,
    /// What stands before a colon.
    key: Option<&'t str>,
}

impl<'t> Line<'t> {
    fn of(text: &'t str) -> Self {
        let mut content = text.trim_start_matches(' ');
        let mut column = text.len() - content.len();
        let mut dash = None;
        while let Some(rest) = content.strip_prefix("- ") {
            dash = dash.or(Some(column));
            let trimmed = rest.trim_start_matches(' ');
            column += content.len() - trimmed.len();
            content = trimmed;
        }
        let key = content.split_once(':').map(|(key, _)| key.trim());
        let is_key = |key: &&str| !key.is_empty() && !key.contains(['#', ' ', '{', '"']);
        Self {
            dash,
            column,
            key: key.filter(is_key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Place {
        let offset = text.find('|').expect("a cursor");
        place(&text.replace('|', ""), offset)
    }

    #[test]
    fn paths_follow_indentation() {
        let head = "a: 1\n---\nkind: Rollout\nspec:\n  strategy:\n    canary:\n      steps:\n";
        let place = at(&format!(
            "{head}      - setWeight: 5\n      - pause:\n          |\n"
        ));
        assert_eq!(place.kind, "Rollout");
        assert_eq!(place.path, ["spec", "strategy", "canary", "steps", "pause"]);
        let place = at(&format!("{head}        - setWeight: 5\n        - |\n"));
        assert_eq!(place.path, ["spec", "strategy", "canary", "steps"]);
        let place = at(&format!(
            "{head}        - analysis:\n            templates:\n              - templateName: x|\n"
        ));
        let path = [
            "spec",
            "strategy",
            "canary",
            "steps",
            "analysis",
            "templates",
        ];
        assert_eq!(place.path, path);
        assert_eq!(place.key.as_deref(), Some("templateName"));
        let place = at(&format!(
            "{head}      maxSurge: 1\n      |\n      maxUnavailable: 1\n"
        ));
        assert_eq!(place.path, ["spec", "strategy", "canary"]);
        assert_eq!(place.siblings, ["maxSurge", "steps", "maxUnavailable"]);
    }

    #[test]
    fn fields_have_documentation() {
        let path = |text: &str| -> Vec<String> { text.split('.').map(str::to_owned).collect() };
        let step = schema("Rollout", &path("spec.strategy.canary.steps")).expect("steps");
        assert!(step["properties"]["setWeight"].is_object());
        assert_eq!(schema("Rollout", &path("spec.nowhere")), None);
        assert_eq!(schema("Nothing", &[]), None);
    }
}
