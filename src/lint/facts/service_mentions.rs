//! Which services the objects of the files send requests to, or ask about.

use std::collections::BTreeSet;
use std::hash::Hasher;

use fnv::FnvHasher;

use crate::lint::context::{Context, RolloutView};
use crate::spec::bundle::Object;
use crate::spec::yaml::{Map, Node};

/// Which of some services are mentioned, by namespace. Whatever looks like a name counts, so that
/// what is not mentioned surely is not.
#[derive(Debug)]
pub struct ServiceMentions<'b> {
    wanted: NameFilter,
    names: BTreeSet<(&'b str, &'b str)>,
}

impl<'b> ServiceMentions<'b> {
    /// Looks for services of these names in all objects but Rollouts and Services. It walks
    /// through everything: ask once.
    pub fn new<'s>(context: &Context<'b>, services: impl Iterator<Item = &'s str>) -> Self {
        let mut mentions = Self {
            wanted: NameFilter::new(services),
            names: BTreeSet::new(),
        };
        for object in context.bundle.objects() {
            if matches!(object.kind.as_str(), "Rollout" | "Service") {
                continue;
            }
            mentions.add_object(object);
        }
        mentions
    }

    /// Whether an object mentions the service, or the rollout itself does in an analysis. The
    /// service has to be one of those that were asked for.
    pub fn holds(&self, rollout: &RolloutView<'_>, service: &str) -> bool {
        let namespace = rollout.object.namespace_or_default();
        if self.names.contains(&(namespace, service)) {
            return true;
        }
        let mut is_found = false;
        let canary = ["spec", "strategy", "canary"]
            .into_iter()
            .try_fold(&rollout.object.node, Node::get);
        for entry in canary.and_then(Node::as_map).map_or(&[][..], Map::entries) {
            if !entry.key.ends_with("Service") {
                entry.value.each_text(&mut |text| {
                    is_found |= words(text).any(|word| word == service);
                });
            }
        }
        is_found
    }

    fn add_object(&mut self, object: &'b Object) {
        let namespace = object.namespace_or_default();
        for entry in object.node.as_map().map_or(&[][..], Map::entries) {
            // What an object is called says nothing about where it sends requests.
            if entry.key == "metadata" {
                continue;
            }
            entry.value.each_text(&mut |text| {
                let mut previous = None;
                for word in words(text) {
                    let service = self.wanted.may_hold(word).then_some(word);
                    if let Some(service) = service {
                        self.names.insert((namespace, service));
                    }
                    // `service.namespace.svc`
                    if let Some(service) = previous {
                        self.names.insert((word, service));
                    }
                    previous = service;
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

/// Tells most words that are no wanted name at a glance.
#[derive(Debug)]
struct NameFilter {
    /// A bit for each hash of a name.
    bits: Vec<u64>,
}

impl NameFilter {
    fn new<'s>(names: impl Iterator<Item = &'s str>) -> Self {
        let names: Vec<&str> = names.collect();
        let mut filter = Self {
            bits: vec![0; names.len().max(1).next_power_of_two()],
        };
        for name in names {
            let (word, bit) = filter.place(name);
            if let Some(word) = filter.bits.get_mut(word) {
                *word |= bit;
            }
        }
        filter
    }

    fn may_hold(&self, name: &str) -> bool {
        let (word, bit) = self.place(name);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    /// The index of the word, which is in range, and the bit in it.
    fn place(&self, name: &str) -> (usize, u64) {
        let mut hasher = FnvHasher::default();
        hasher.write(name.as_bytes());
        let hash = hasher.finish();
        let words = self.bits.len() as u64;
        let word = usize::try_from((hash >> 6) % words).unwrap_or(0);
        (word, 1 << (hash & 63))
    }
}
