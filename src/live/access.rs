//! What the controller may do, and why: the one table from which RBAC is made and which tests hold
//! against what is called. Routers say themselves what they read and write.

use std::collections::{BTreeMap, BTreeSet};

use crate::routers;

/// Where a right is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// In the namespaces that are looked at: all, or the one of `--namespaced`.
    Watched,
    /// Objects without a namespace; not had by an installation for one namespace.
    Cluster,
    /// In the controller's own namespace.
    Own,
}

/// A right, and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    pub scope: Scope,
    /// "" for the core group.
    pub group: &'static str,
    /// The plural, with `/subresource` where it is one.
    pub resource: &'static str,
    pub verbs: &'static [&'static str],
    pub reason: &'static str,
}

const fn watched(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    reason: &'static str,
) -> Access {
    Access {
        scope: Scope::Watched,
        group,
        resource,
        verbs,
        reason,
    }
}

const ARGO: &str = "argoproj.io";
/// `get` is for reading again after a conflict.
const FOLLOW: &[&str] = &["get", "list", "watch"];
const FOLLOW_AND_PATCH: &[&str] = &["get", "list", "watch", "patch"];
const FOLLOW_AND_MANAGE: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// All that the controller calls, but for what routers declare.
const CONTROLLER: &[Access] = &[
    watched(
        ARGO,
        "rollouts",
        FOLLOW_AND_PATCH,
        "revision and counts in annotations",
    ),
    watched(ARGO, "rollouts/status", &["patch"], "what was decided"),
    watched(ARGO, "rollouts/finalizers", &["update"], OWNS),
    watched(
        ARGO,
        "analysisruns",
        FOLLOW_AND_MANAGE,
        "runs of steps and in the background",
    ),
    watched(ARGO, "analysisruns/finalizers", &["update"], OWNS),
    watched(
        ARGO,
        "experiments",
        FOLLOW_AND_MANAGE,
        "experiments of steps",
    ),
    watched(ARGO, "experiments/finalizers", &["update"], OWNS),
    watched(ARGO, "analysistemplates", FOLLOW, "what runs are made from"),
    Access {
        scope: Scope::Cluster,
        ..watched(
            ARGO,
            "clusteranalysistemplates",
            FOLLOW,
            "what runs are made from",
        )
    },
    watched(
        "apps",
        "replicasets",
        FOLLOW_AND_MANAGE,
        "revisions, and templates of experiments",
    ),
    watched(
        "apps",
        "deployments",
        FOLLOW_AND_PATCH,
        "workloadRef: template, and scaling down",
    ),
    watched("", "podtemplates", FOLLOW, "workloadRef: template"),
    watched(
        "",
        "services",
        FOLLOW_AND_MANAGE,
        "selectors; services of experiments",
    ),
    watched(
        "",
        "pods",
        &["list", "patch"],
        "restarts, metadata of canary and stable, ends of Jobs",
    ),
    watched("", "pods/eviction", &["create"], "restarts"),
    watched(
        "",
        "secrets",
        &["get"],
        "arguments of runs, credentials of metric providers",
    ),
    watched("", "events", &["create", "patch"], "what happened"),
    watched(
        "batch",
        "jobs",
        &["get", "list", "watch", "create", "delete"],
        "the job provider",
    ),
    Access {
        scope: Scope::Own,
        group: "coordination.k8s.io",
        resource: "leases",
        verbs: &["get", "create", "update", "patch"],
        reason: "who leads",
    },
];

/// Where `OwnerReferencesPermissionEnforcement` is on, owning an object needs this.
const OWNS: &str = "owner of what it makes";

/// A rule of RBAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub group: &'static str,
    pub resources: Vec<&'static str>,
    pub verbs: Vec<&'static str>,
}

/// All rights of one scope: each resource once, those alike in one rule, in a stable order.
pub fn rules(scope: Scope) -> Vec<Rule> {
    let mut rights: BTreeMap<(&str, &str), BTreeSet<usize>> = BTreeMap::new();
    let mut grant = |group, resource, verbs: &[&str]| {
        let granted = rights.entry((group, resource)).or_default();
        granted.extend(verbs.iter().filter_map(|verb| rank(verb)));
    };
    for access in CONTROLLER.iter().filter(|access| access.scope == scope) {
        grant(access.group, access.resource, access.verbs);
    }
    if scope == Scope::Watched {
        for kind in routers::facts().flat_map(|facts| facts.kinds) {
            grant(kind.group, kind.resource, FOLLOW);
            for verb in kind.verbs {
                // What a router calls an update is sent as a patch of what differs.
                let sent = if *verb == "update" { "patch" } else { verb };
                grant(kind.group, kind.resource, &[sent]);
            }
        }
    }
    let mut alike: BTreeMap<(&'static str, BTreeSet<usize>), Vec<&'static str>> = BTreeMap::new();
    for ((group, resource), verbs) in rights {
        alike.entry((group, verbs)).or_default().push(resource);
    }
    let rules = alike.into_iter().map(|((group, verbs), resources)| Rule {
        group,
        resources,
        verbs: verbs
            .into_iter()
            .filter_map(|rank| VERBS.get(rank).copied())
            .collect(),
    });
    rules.collect()
}

/// In the order in which they are written.
const VERBS: [&str; 7] = [
    "get", "list", "watch", "create", "update", "patch", "delete",
];

/// Place in [`VERBS`].
fn rank(verb: &str) -> Option<usize> {
    VERBS.iter().position(|known| *known == verb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::objects::Kind;
    use crate::live::resource::Resource;

    fn may(group: &str, resource: &str, verb: &str) -> bool {
        [Scope::Watched, Scope::Cluster, Scope::Own]
            .into_iter()
            .flat_map(rules)
            .any(|rule| {
                rule.group == group
                    && rule.resources.contains(&resource)
                    && rule.verbs.contains(&verb)
            })
    }

    #[test]
    fn every_kind_that_is_followed_may_be_followed() {
        let mut kinds = vec![
            Kind::Rollout,
            Kind::AnalysisTemplate,
            Kind::ClusterAnalysisTemplate,
            Kind::AnalysisRun,
            Kind::Experiment,
            Kind::ReplicaSet,
            Kind::Service,
            Kind::of("apps/v1", "Deployment"),
            Kind::of("v1", "PodTemplate"),
            Kind::of("batch/v1", "Job"),
        ];
        kinds.extend(
            routers::facts()
                .flat_map(|facts| facts.kinds)
                .map(|kind| Kind::of(&format!("{}/{}", kind.group, kind.version), kind.kind)),
        );
        for kind in kinds {
            let resource = Resource::of(&kind).unwrap();
            for verb in FOLLOW {
                let (group, plural) = (resource.group.as_str(), resource.plural.as_str());
                assert!(may(group, plural, verb), "{verb} {plural}.{group}");
            }
        }
    }

    #[test]
    fn nothing_is_granted_that_was_not_asked_for() {
        assert!(may("", "secrets", "get") && !may("", "secrets", "list"));
        assert!(!may("", "pods", "delete") && !may("", "configmaps", "get"));
        assert!(may("networking.istio.io", "virtualservices", "patch"));
        assert!(!may("networking.istio.io", "virtualservices", "delete"));
        for access in CONTROLLER {
            assert!(!access.reason.is_empty());
            assert!(access.verbs.iter().all(|verb| VERBS.contains(verb)));
        }
    }
}
