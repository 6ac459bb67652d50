//! The settings file, `rollproof.toml`.
//!
//! ```toml
//! traffic_rps = 120
//! scrape_interval = "15s"
//!
//! [rules]
//! no-analysis = "off"
//! oversized-first-weight = { severity = "error", max_first_weight = 30 }
//!
//! [[overrides]]
//! files = ["legacy/**"]
//! rules = { indefinite-pause = "off" }
//! ```

use std::collections::BTreeMap;

use glob::Pattern;
use serde_json::{Value as Json, json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::settings::{Level, Override, Settings};
use super::{Rule, rules};
use crate::source::{Problem, SourceId, Sources, Span};

/// Its name.
pub const FILE_NAME: &str = "rollproof.toml";
/// Code of what is wrong in it.
const CODE: &str = "settings";

/// What a settings file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub settings: Settings,
    /// The least severity that makes the command fail, where it is given.
    pub fail_on: Option<Level>,
}

/// Reads a settings file. What is wrong in it is a problem with its place; the rest holds.
pub fn read(sources: &Sources, source: SourceId) -> (Config, Vec<Problem>) {
    let mut reader = Reader {
        source,
        known: serde_json::to_value(Settings::default()).unwrap_or_default(),
        config: Config::default(),
        problems: Vec::new(),
    };
    match DeTable::parse(sources.text(source)) {
        Ok(table) => reader.file(table.get_ref()),
        Err(error) => {
            let range = error.span().unwrap_or_default();
            let span = Span::new(source, range.start, range.end);
            reader
                .problems
                .push(Problem::error(CODE, error.message(), span));
        }
    }
    (reader.config, reader.problems)
}

struct Reader {
    source: SourceId,
    /// Settings as JSON: which there are, and what has been read so far.
    known: Json,
    config: Config,
    problems: Vec<Problem>,
}

impl Reader {
    fn file(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("rules", DeValue::Table(entries)) => {
                    let levels = self.rules(entries, true);
                    self.config.settings.levels.extend(levels);
                }
                ("overrides", DeValue::Array(entries)) => {
                    for entry in entries {
                        self.one_override(entry);
                    }
                }
                ("rules" | "overrides", _) => {
                    self.wrong(value, "this has to be a table");
                }
                ("fail_on", _) => self.config.fail_on = self.level(value),
                (name, _) => self.setting(name, key, value, None),
            }
        }
    }

    /// Levels by rule; where `settings` is true an entry may also have settings of its rule.
    fn rules(&mut self, entries: &DeTable<'_>, settings: bool) -> BTreeMap<String, Level> {
        let mut levels = BTreeMap::new();
        for (key, value) in entries {
            let name: &str = key.get_ref();
            let Some(rule) = rules::find(name) else {
                let near = nearest(name, rules::RULES.iter().map(|rule| rule.name));
                self.unknown(key, format!("there is no rule `{name}`"), near);
                continue;
            };
            match value.get_ref() {
                DeValue::Table(fields) if settings => {
                    for (key, value) in fields {
                        match key.get_ref().as_ref() {
                            "severity" => {
                                let level = self.level(value);
                                levels.extend(level.map(|level| (name.to_owned(), level)));
                            }
                            setting => self.setting(setting, key, value, Some(rule)),
                        }
                    }
                }
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => {
                    let level = self.level(value);
                    levels.extend(level.map(|level| (name.to_owned(), level)));
                }
            }
        }
        levels
    }

    fn one_override(&mut self, entry: &Spanned<DeValue<'_>>) {
        let DeValue::Table(fields) = entry.get_ref() else {
            return self.wrong(entry, "an override is a table with `files` and `rules`");
        };
        let mut read = Override::default();
        for (key, value) in fields {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("files", DeValue::Array(patterns)) => {
                    for pattern in patterns {
                        match pattern.get_ref().as_str().map(Pattern::new) {
                            Some(Ok(pattern)) => read.files.push(pattern),
                            Some(Err(error)) => self.wrong(pattern, &error.to_string()),
                            None => self.wrong(pattern, "a pattern of file names is a text"),
                        }
                    }
                }
                ("rules", DeValue::Table(entries)) => read.levels = self.rules(entries, false),
                ("files" | "rules", _) => {
                    self.wrong(value, "`files` is a list of patterns, `rules` a table");
                }
                (name, _) => self.unknown(key, format!("an override has no `{name}`"), None),
            }
        }
        self.config.settings.overrides.push(read);
    }

    /// Sets one setting; inside the table of a rule, only one that the rule reads.
    fn setting(
        &mut self,
        name: &str,
        key: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
        rule: Option<&Rule>,
    ) {
        let reads = |rule: &Rule| rule.settings.iter().any(|setting| setting.name == name);
        let is_reserved = matches!(name, "levels" | "today");
        if is_reserved || self.known.get(name).is_none() || rule.is_some_and(|rule| !reads(rule)) {
            let (what, names): (String, Vec<&str>) = match rule {
                Some(rule) => (
                    format!("the rule `{}` has no setting `{name}`", rule.name),
                    rule.settings.iter().map(|setting| setting.name).collect(),
                ),
                None => (
                    format!("there is no setting `{name}`"),
                    rules::RULES
                        .iter()
                        .flat_map(|rule| rule.settings)
                        .map(|it| it.name)
                        .collect(),
                ),
            };
            let near = nearest(name, names.into_iter());
            return self.unknown(key, what, near);
        }
        let Some(read) = to_json(value.get_ref()) else {
            return self.wrong(value, "this value has no meaning here");
        };
        let read = match (name, read.as_str().and_then(version)) {
            ("target_version", Some(version)) => version,
            _ => read,
        };
        let mut known = self.known.clone();
        known[name] = read;
        match serde_json::from_value::<Settings>(known.clone()) {
            Ok(mut settings) => {
                settings.levels = std::mem::take(&mut self.config.settings.levels);
                settings.overrides = std::mem::take(&mut self.config.settings.overrides);
                self.config.settings = settings;
                self.known = known;
            }
            Err(error) => self.wrong(value, &error.to_string()),
        }
    }

    fn level(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Level> {
        let level = value
            .get_ref()
            .as_str()
            .and_then(|text| serde_json::from_value(json!(text)).ok());
        if level.is_none() {
            self.wrong(
                value,
                "a severity is \"off\", \"info\", \"warning\" or \"error\"",
            );
        }
        level
    }

    fn span(&self, value: &Spanned<impl Sized>) -> Span {
        let range = value.span();
        Span::new(self.source, range.start, range.end)
    }

    fn wrong(&mut self, value: &Spanned<impl Sized>, what: &str) {
        let problem = Problem::error(CODE, what, self.span(value));
        self.problems.push(problem);
    }

    fn unknown(&mut self, key: &Spanned<impl Sized>, what: String, near: Option<&str>) {
        let mut problem = Problem::error(CODE, what, self.span(key));
        if let Some(near) = near {
            problem = problem.with_help(format!("is `{near}` meant?"));
        }
        self.problems.push(problem);
    }
}

/// The name that differs least, if it does not differ much.
fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let distance = |other: &str| strsim::damerau_levenshtein(name, other);
    let found = names.min_by_key(|other| distance(other))?;
    (distance(found) * 3 <= name.len()).then_some(found)
}

/// `1.10` as the settings have it.
fn version(text: &str) -> Option<Json> {
    let (major, minor) = text.trim_start_matches('v').split_once('.')?;
    let minor = minor.split('.').next().unwrap_or(minor);
    Some(json!([
        major.parse::<u32>().ok()?,
        minor.parse::<u32>().ok()?
    ]))
}

fn to_json(value: &DeValue<'_>) -> Option<Json> {
    Some(match value {
        DeValue::String(text) => json!(text.as_ref()),
        DeValue::Integer(number) => {
            json!(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Float(number) => json!(number.as_str().parse::<f64>().ok()?),
        DeValue::Boolean(value) => json!(value),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| to_json(item.get_ref()));
            Json::Array(items.collect::<Option<_>>()?)
        }
        DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}
