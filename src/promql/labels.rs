//! Label sets and label matchers.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::{gofmt, regexp};

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";
/// The label that holds the upper bound of a classic histogram bucket.
pub const BUCKET_BOUND: &str = "le";

/// The labels that describe the metric rather than the thing measured.
pub const METADATA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// Whether the label describes the metric rather than the thing measured.
pub fn is_metadata(name: &str) -> bool {
    METADATA.contains(&name)
}

/// Whether `name` needs no quotes in PromQL.
pub fn is_legacy_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .enumerate()
            .all(|(i, b)| b == b'_' || b.is_ascii_alphabetic() || (i > 0 && b.is_ascii_digit()))
}

/// Whether `name` can name a label: any text but the empty one.
pub fn is_valid_name(name: &str) -> bool {
    !name.is_empty() && gofmt::is_valid_utf8(name)
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    pub name: Arc<str>,
    pub value: Arc<str>,
}

/// A set of labels, sorted by name, without empty values. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[Label]>);

impl Default for Labels {
    fn default() -> Self {
        Self(Arc::from(Vec::new()))
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    /// Label by label, name before value; a prefix sorts first.
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            Ordering::Equal
        } else {
            self.0.cmp(&other.0)
        }
    }
}

impl Labels {
    /// Sorts by name; of equal names the last wins; empty values are left out.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let labels = pairs
            .into_iter()
            .map(|(name, value)| Label {
                name: Arc::from(name.as_ref()),
                value: Arc::from(value.as_ref()),
            })
            .collect();
        Self::from_vec(labels)
    }

    fn from_vec(mut labels: Vec<Label>) -> Self {
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        labels.reverse();
        labels.dedup_by(|a, b| a.name == b.name);
        labels.reverse();
        labels.retain(|label| !label.value.is_empty());
        Self(Arc::from(labels))
    }

    /// Only the labels whose names are to be kept.
    pub(crate) fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        if self.0.iter().all(|label| keep(&label.name)) {
            return self.clone();
        }
        Self(
            self.0
                .iter()
                .filter(|label| keep(&label.name))
                .cloned()
                .collect(),
        )
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|label| (&*label.name, &*label.value))
    }

    /// Sorted by name.
    pub(crate) fn labels(&self) -> &[Label] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value, empty when the label is absent.
    pub fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|label| &*label.name == name)
            .map_or("", |label| &label.value)
    }

    /// The text of the value; none when the label is absent. It is looked for at `place` first,
    /// which is set to where it stands: in many series at the same place.
    pub(crate) fn value_near(&self, name: &str, place: &mut usize) -> Option<&Arc<str>> {
        let is_it = |label: &Label| &*label.name == name;
        if !self.0.get(*place).is_some_and(is_it) {
            *place = self.0.iter().position(is_it)?;
        }
        self.0.get(*place).map(|label| &label.value)
    }

    /// The metric name, empty when there is none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// With the label set; an empty value removes it.
    pub fn with(&self, name: &str, value: &str) -> Self {
        self.with_all(&[Label {
            name: Arc::from(name),
            value: Arc::from(value),
        }])
    }

    /// With these labels set, whose texts are shared; an empty value removes one.
    pub(crate) fn with_all(&self, more: &[Label]) -> Self {
        let mut labels: Vec<Label> = Vec::with_capacity(self.0.len() + more.len());
        labels.extend(self.0.iter().cloned());
        for label in more {
            let found = labels.binary_search_by(|known| known.name.cmp(&label.name));
            match (found, label.value.is_empty()) {
                (Ok(at), true) => {
                    labels.remove(at);
                }
                (Ok(at), false) => {
                    if let Some(known) = labels.get_mut(at) {
                        *known = label.clone();
                    }
                }
                (Err(_), true) => {}
                (Err(at), false) => labels.insert(at, label.clone()),
            }
        }
        Self(Arc::from(labels))
    }

    /// Only the labels named.
    pub fn keep(&self, names: &[String]) -> Self {
        self.filtered(|name| names.iter().any(|n| n == name))
    }

    /// Without the labels named.
    pub fn without(&self, names: &[String]) -> Self {
        self.filtered(|name| !names.iter().any(|n| n == name))
    }

    /// Without the labels named and without the metric name.
    pub fn without_and_name(&self, names: &[String]) -> Self {
        self.filtered(|name| name != METRIC_NAME && !names.iter().any(|n| n == name))
    }

    /// Without one label.
    pub fn without_one(&self, excluded: &str) -> Self {
        self.filtered(|name| name != excluded)
    }

    /// Without metric name, type and unit.
    pub fn drop_metadata(&self) -> Self {
        self.filtered(|name| !is_metadata(name))
    }

    /// The labels that decide a match under `on`/`ignoring`.
    pub fn matching(&self, on: bool, names: &[String]) -> Self {
        if on {
            self.keep(names)
        } else {
            self.without_and_name(names)
        }
    }

    /// The same labels in texts that `share` gives for them, to hold equal texts once.
    pub(crate) fn shared(&self, share: impl FnMut(&Label) -> Label) -> Self {
        Self(self.0.iter().map(share).collect())
    }

    /// A hash for looking equal sets up within one process, of eight bytes at a time.
    pub(crate) fn index_hash(&self) -> u64 {
        /// An odd number whose bits look random: 2 to the 64th by the golden ratio.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut hash = 0_u64;
        let mut take = |word: u64| hash = (hash.rotate_left(26) ^ word).wrapping_mul(FACTOR);
        for label in self.0.iter() {
            // What the names are follows mostly from the values.
            take((label.name.len() as u64) << 32 ^ label.value.len() as u64);
            let (words, rest) = label.value.as_bytes().as_chunks();
            words
                .iter()
                .for_each(|word| take(u64::from_le_bytes(*word)));
            if !rest.is_empty() {
                take(rest.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)));
            }
        }
        hash
    }

    /// xxHash64 over length-prefixed names and values: the hash behind `limit_ratio`.
    pub fn hash64(&self) -> u64 {
        let mut bytes = Vec::with_capacity(64);
        let mut push = |text: &str| {
            match u8::try_from(text.len()) {
                Ok(length) if length < 255 => bytes.push(length),
                _ => {
                    bytes.push(255);
                    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
                }
            }
            bytes.extend_from_slice(text.as_bytes());
        };
        for label in self.0.iter() {
            push(&label.name);
            push(&label.value);
        }
        twox_hash::XxHash64::oneshot(0, &bytes)
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(&display_name(name))?;
            f.write_str("=")?;
            f.write_str(&gofmt::quote(value))?;
        }
        f.write_str("}")
    }
}

/// The label name, quoted if it has to be.
pub fn display_name(name: &str) -> String {
    if is_legacy_name(name) {
        name.to_owned()
    } else {
        gofmt::quote(name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

impl MatchOp {
    pub fn text(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// A condition on one label. An absent label counts as empty.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub op: MatchOp,
    pub name: String,
    pub value: String,
    pattern: Option<regexp::Pattern>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.name == other.name && self.value == other.value
    }
}

impl Matcher {
    /// # Errors
    /// The regular expression does not compile; the text says why.
    pub fn new(
        op: MatchOp,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, String> {
        let value = value.into();
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(regexp::Pattern::new(&value)?),
        };
        Ok(Self {
            op,
            name: name.into(),
            value,
            pattern,
        })
    }

    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            op: MatchOp::Equal,
            name: name.into(),
            value: value.into(),
            pattern: None,
        }
    }

    pub fn matches(&self, value: &str) -> bool {
        let fits = self
            .pattern
            .as_ref()
            .is_some_and(|pattern| pattern.is_match(value));
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regex => fits,
            MatchOp::NotRegex => !fits,
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}{}",
            display_name(&self.name),
            self.op.text(),
            gofmt::quote(&self.value)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_sorted_and_without_empty_values() {
        let labels = Labels::new([("b", "2"), ("a", "1"), ("c", ""), ("b", "3")]);
        assert_eq!(labels.to_string(), r#"{a="1", b="3"}"#);
        assert_eq!(labels.with("a", "").to_string(), r#"{b="3"}"#);
        assert_eq!(Labels::new([("a b", "x")]).to_string(), r#"{"a b"="x"}"#);
        assert!(Labels::new([("a", "1")]) < labels);
    }

    #[test]
    fn absent_labels_match_as_empty() {
        assert!(Matcher::new(MatchOp::Regex, "a", "x|").is_ok_and(|m| m.matches("")));
        assert!(Matcher::new(MatchOp::NotRegex, "a", ".+").is_ok_and(|m| m.matches("")));
        assert!(
            Matcher::new(MatchOp::Regex, "a", "b.c")
                .is_ok_and(|m| m.matches("b\nc") && !m.matches("abxc"))
        );
    }
}
