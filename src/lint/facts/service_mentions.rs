//! Which services the objects of the files send requests to, or ask about.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::lint::context::{Context, RolloutView};
use crate::spec::bundle::Object;

/// Names of services that are mentioned, by namespace. Whatever looks like a name counts, so that
/// what is not mentioned surely is not.
#[derive(Debug, Default)]
pub struct ServiceMentions<'b> {
    names: BTreeSet<(&'b str, &'b str)>,
}

impl<'b> ServiceMentions<'b> {
    /// Reads all objects but Rollouts and Services. It walks through everything: ask once.
    pub fn new(context: &Context<'b>) -> Self {
        let mut mentions = Self::default();
        for object in context.bundle.objects() {
            if matches!(object.kind.as_str(), "Rollout" | "Service") {
                continue;
            }
            mentions.add_object(object);
        }
        mentions
    }

    /// Whether an object mentions the service, or the rollout itself does in an analysis.
    pub fn holds(&self, rollout: &RolloutView<'_>, service: &str) -> bool {
        let namespace = rollout.object.namespace_or_default();
        if self.names.contains(&(namespace, service)) {
            return true;
        }
        let mut is_found = false;
        let canary = rollout.object.json.pointer("/spec/strategy/canary");
        let fields = canary.and_then(Json::as_object);
        for (_, value) in fields
            .into_iter()
            .flatten()
            .filter(|(field, _)| !field.ends_with("Service"))
        {
            each_text(value, &mut |text| {
                is_found |= words(text).any(|word| word == service);
            });
        }
        is_found
    }

    fn add_object(&mut self, object: &'b Object) {
        let namespace = object.namespace_or_default();
        let fields = object.json.as_object();
        // What an object is called says nothing about where it sends requests.
        for (_, value) in fields
            .into_iter()
            .flatten()
            .filter(|(field, _)| *field != "metadata")
        {
            each_text(value, &mut |text| {
                let mut previous = None;
                for word in words(text) {
                    self.names.insert((namespace, word));
                    // `service.namespace.svc`
                    if let Some(service) = previous {
                        self.names.insert((word, service));
                    }
                    previous = Some(word);
                }
            });
        }
    }
}

/// What may be the name of a service in a text: a host name, an address, a query.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(|word| !word.is_empty())
}

/// Depth is bounded by that of the reader.
fn each_text<'j>(value: &'j Json, visit: &mut dyn FnMut(&'j str)) {
    match value {
        Json::String(text) => visit(text),
        Json::Array(items) => items.iter().for_each(|item| each_text(item, visit)),
        Json::Object(members) => members.values().for_each(|member| each_text(member, visit)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}
