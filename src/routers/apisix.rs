//! Apache APISIX: weights in the rules of an `ApisixRoute`; a header route is a second one of
//! higher priority (argo-rollouts `rollout/trafficrouting/apisix/apisix.go`).

use serde_json::{Value, json};

use crate::spec::object_key::ObjectKey;
use crate::spec::rollout::{HeaderRoutingMatch, Rollout, SetHeaderRoute, StringMatch};
use crate::spec::traffic_routing::{ApisixRoute, RolloutTrafficRouting};

use super::json::{clamped, descendant, list_at, text_at, weight_of};
use super::managed::managed_names;
use super::owned::{copy_for_creation, is_owned};
use super::{Change, Facts, Objects, Refusal, Router, RouterKind, Split, Writing};

pub(super) struct Apisix;

const APISIX_ROUTE: RouterKind = RouterKind {
    group: "apisix.apache.org",
    version: "v2",
    kind: "ApisixRoute",
    resource: "apisixroutes",
    verbs: &["create", "update", "delete"],
};

const FACTS: Facts = Facts {
    name: "Apache APISIX",
    field: "apisix",
    header_routes: true,
    mirror_routes: false,
    experiment_weights: false,
    ping_pong: false,
    needs_services: true,
    max_traffic_weight: false,
    verifies_weights: false,
    kinds: &[APISIX_ROUTE],
    limits: &[
        "Every split rule has to name both services as backends.",
        "A header route is an ApisixRoute of its own, named like the managed route; one of that name that belongs to another is refused.",
        "A header prefix becomes a regular expression.",
    ],
};

impl Router for Apisix {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn is_used(&self, routing: &RolloutTrafficRouting) -> bool {
        settings(routing).is_some()
    }

    fn write(
        &self,
        rollout: &Rollout,
        objects: &Objects,
        split: &Split,
    ) -> Result<Writing, Refusal> {
        let mut writing = Writing::default();
        let Some(gateway) = Gateway::of(rollout, objects)? else {
            return Ok(writing);
        };
        gateway.remove_header_routes(objects, &split.header_routes, &mut writing);
        for route in &split.header_routes {
            gateway.set_header_route(objects, route, &mut writing)?;
        }
        let mut changed = gateway.object.clone();
        // Rules hold no services of experiments: theirs stays with stable.
        let stable = split.max_weight.saturating_sub(split.canary.weight);
        gateway.for_each_rule(&mut changed, |rule| {
            set_weight(rule, gateway.canary, split.canary.weight)?;
            set_weight(rule, gateway.stable, stable)
        })?;
        if changed != *gateway.object {
            writing.changes.push(Change::Update {
                key: gateway.key.clone(),
                object: changed,
            });
        }
        Ok(writing)
    }

    fn clear_routes(&self, rollout: &Rollout, objects: &Objects) -> Result<Writing, Refusal> {
        let mut writing = Writing::default();
        if let Some(gateway) = Gateway::of(rollout, objects)? {
            gateway.remove_header_routes(objects, &[], &mut writing);
        }
        Ok(writing)
    }

    fn read(&self, rollout: &Rollout, objects: &Objects) -> Result<Split, Refusal> {
        let mut split = Split {
            max_weight: 100,
            ..Split::default()
        };
        let Some(gateway) = Gateway::of(rollout, objects)? else {
            return Ok(split);
        };
        split.stable.service_name = gateway.stable.to_owned();
        split.canary.service_name = gateway.canary.to_owned();
        let names = gateway.rule_names();
        let rule = list_at(gateway.object, "/spec/http")
            .iter()
            .find(|rule| names.first() == Some(&text_at(rule, "/name")));
        for backend in rule.map_or(&[][..], |rule| list_at(rule, "/backends")) {
            let weight = clamped(weight_of(backend, 100));
            let service = text_at(backend, "/serviceName");
            if service == gateway.canary {
                split.canary.weight = weight;
            } else if service == gateway.stable {
                split.stable.weight = weight;
            }
        }
        for name in managed_names(rollout) {
            let route = objects.get(&APISIX_ROUTE.key(name));
            if let Some(route) = route.filter(|route| is_owned(route, rollout)) {
                split
                    .header_routes
                    .push(gateway.read_header_route(name, route));
            }
        }
        Ok(split)
    }
}

fn settings(routing: &RolloutTrafficRouting) -> Option<&ApisixRoute> {
    routing.apisix.as_ref()?.route.as_ref()
}

struct Gateway<'a> {
    rollout: &'a Rollout,
    route: &'a ApisixRoute,
    stable: &'a str,
    canary: &'a str,
    key: ObjectKey,
    object: &'a Value,
}

impl<'a> Gateway<'a> {
    fn of(rollout: &'a Rollout, objects: &'a Objects) -> Result<Option<Self>, Refusal> {
        let Some(canary) = &rollout.spec.strategy.canary else {
            return Ok(None);
        };
        let Some(route) = canary.traffic_routing.as_deref().and_then(settings) else {
            return Ok(None);
        };
        let key = APISIX_ROUTE.key(&route.name);
        let object = objects.get(&key).ok_or_else(|| {
            Refusal::not_found("TrafficRoutingError", &key, APISIX_ROUTE.resource)
        })?;
        Ok(Some(Self {
            rollout,
            route,
            stable: &canary.stable_service,
            canary: &canary.canary_service,
            key,
            object,
        }))
    }

    /// Without names the rule called like the route is meant.
    fn rule_names(&self) -> Vec<&'a str> {
        if self.route.rules.is_empty() {
            vec![&self.route.name]
        } else {
            self.route.rules.iter().map(String::as_str).collect()
        }
    }

    fn for_each_rule(
        &self,
        object: &mut Value,
        mut change: impl FnMut(&mut Value) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let Some(rules) = object
            .pointer_mut("/spec/http")
            .and_then(Value::as_array_mut)
        else {
            return Err(Refusal::shape(
                "spec.http was not found in Apisix Route manifest",
            ));
        };
        for name in self.rule_names() {
            let rule = rules
                .iter_mut()
                .find(|rule| text_at(rule, "/name") == name)
                .ok_or_else(|| {
                    Refusal::shape(format!("Apisix http route rule {name} not found"))
                })?;
            change(rule)?;
        }
        Ok(())
    }

    fn remove_header_routes(
        &self,
        objects: &Objects,
        kept: &[SetHeaderRoute],
        writing: &mut Writing,
    ) {
        for name in managed_names(self.rollout) {
            let key = APISIX_ROUTE.key(name);
            let is_ours = objects
                .get(&key)
                .is_some_and(|route| is_owned(route, self.rollout));
            if is_ours && !kept.iter().any(|route| route.name == name) {
                writing.changes.push(Change::Delete { key });
            }
        }
    }

    fn set_header_route(
        &self,
        objects: &Objects,
        route: &SetHeaderRoute,
        writing: &mut Writing,
    ) -> Result<(), Refusal> {
        let key = APISIX_ROUTE.key(&route.name);
        let present = objects.get(&key);
        if present.is_some_and(|present| !is_owned(present, self.rollout)) {
            return Err(Refusal::shape(format!(
                "duplicate ApisixRoute [{}] already exists",
                route.name
            )));
        }
        let mut object = match present {
            Some(present) => (**present).clone(),
            None => copy_for_creation(self.object, &route.name, self.rollout),
        };
        self.for_each_rule(&mut object, |rule| {
            set_weight(rule, self.canary, 100)?;
            if let Some(backends) = rule.get_mut("backends").and_then(Value::as_array_mut) {
                backends.retain(|backend| text_at(backend, "/serviceName") != self.stable);
            }
            if present.is_none() {
                let priority = rule.get("priority").and_then(Value::as_i64).unwrap_or(0);
                descendant(rule, &[])
                    .insert("priority".to_owned(), priority.saturating_add(1).into());
            }
            descendant(rule, &["match"]).insert("exprs".to_owned(), expressions(route));
            Ok(())
        })?;
        match present {
            None => writing.changes.push(Change::Create { key, object }),
            Some(present) if **present != object => {
                writing.changes.push(Change::Update { key, object });
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn read_header_route(&self, name: &str, route: &Value) -> SetHeaderRoute {
        let names = self.rule_names();
        let rule = list_at(route, "/spec/http")
            .iter()
            .find(|rule| names.first() == Some(&text_at(rule, "/name")));
        let expressions = rule.map_or(&[][..], |rule| list_at(rule, "/match/exprs"));
        let conditions = expressions.iter().map(|expression| {
            let value = text_at(expression, "/value").to_owned();
            let value = if text_at(expression, "/op") == "Equal" {
                StringMatch {
                    exact: value,
                    ..StringMatch::default()
                }
            } else {
                StringMatch {
                    regex: value,
                    ..StringMatch::default()
                }
            };
            HeaderRoutingMatch {
                header_name: text_at(expression, "/subject/name").to_owned(),
                header_value: Some(value),
            }
        });
        SetHeaderRoute {
            name: name.to_owned(),
            match_: conditions.collect(),
        }
    }
}

fn set_weight(rule: &mut Value, service: &str, weight: i32) -> Result<(), Refusal> {
    let Some(backends) = rule.get_mut("backends").and_then(Value::as_array_mut) else {
        return Err(Refusal::shape("Apisix http route backends not found"));
    };
    let backend = backends
        .iter_mut()
        .find(|backend| text_at(backend, "/serviceName") == service)
        .and_then(Value::as_object_mut)
        .ok_or_else(|| Refusal::shape(format!("apisix route {service} backend was not found")))?;
    backend.insert("weight".to_owned(), weight.into());
    Ok(())
}

/// What the requests of a header route have to fulfil, all of it.
fn expressions(route: &SetHeaderRoute) -> Value {
    let mut all = Vec::new();
    for condition in &route.match_ {
        let Some(value) = &condition.header_value else {
            continue;
        };
        let StringMatch {
            exact,
            prefix,
            regex,
        } = value;
        let mut add = |operator: &str, value: String| {
            all.push(json!({
                "subject": {"scope": "Header", "name": condition.header_name},
                "op": operator,
                "value": value,
            }));
        };
        if !exact.is_empty() {
            add("Equal", exact.clone());
        }
        if !regex.is_empty() {
            add("RegexMatch", regex.clone());
        }
        if !prefix.is_empty() {
            add("RegexMatch", format!("^{prefix}.*"));
        }
    }
    all.into()
}
