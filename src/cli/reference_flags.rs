//! Flags of the reference controller that ours has no use for (argo-rollouts `cmd/rollouts-controller`).
//!
//! They are read and told about, so that the arguments of a Deployment can stay as they are.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

/// A flag and why it changes nothing.
struct Unused {
    name: &'static str,
    takes: Takes,
    why: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// `--flag` or `--flag=true`.
    Switch,
    /// `--flag value`, once or more.
    Value,
}

const VERSIONS: &str = "the version that the API server serves is found by asking it";
const THREADS: &str = "this work belongs to the looks at Rollouts, see --rollout-threads";
const CLASSES: &str = "each Ingress that a Rollout names is looked at, of whatever class";
const TARGET_GROUPS: &str = "AWS is not asked: weights count as soon as they are written";

const UNUSED: &[Unused] = &[
    value(
        "rollout-resync",
        "watches miss nothing that a resync would find",
    ),
    value("kloglevel", "there is one log, see --loglevel"),
    value("service-threads", THREADS),
    value("ingress-threads", THREADS),
    value("ephemeral-metadata-threads", THREADS),
    value(
        "ephemeral-metadata-update-pod-retries",
        "what fails is tried again until it succeeds",
    ),
    value("istio-api-version", VERSIONS),
    value("ambassador-api-version", VERSIONS),
    value("traffic-split-api-version", VERSIONS),
    value("traefik-api-version", VERSIONS),
    value("ingress-api-version", VERSIONS),
    value("appmesh-crd-version", VERSIONS),
    value("aws-target-group-binding-api-version", VERSIONS),
    value(
        "traefik-api-group",
        "Traefik is not built; a Rollout that names it gets a condition",
    ),
    value("alb-ingress-classes", CLASSES),
    value("nginx-ingress-classes", CLASSES),
    value("alb-tag-key-resource-id", TARGET_GROUPS),
    switch("alb-verify-weight", TARGET_GROUPS),
    switch("aws-verify-target-group", TARGET_GROUPS),
    switch(
        "self-service-notification-enabled",
        "no notifications are sent; all that happens is told by events and metrics",
    ),
    value("enable-pprof-address", "there are no profiles to serve"),
];

const fn value(name: &'static str, why: &'static str) -> Unused {
    Unused {
        name,
        takes: Takes::Value,
        why,
    }
}

const fn switch(name: &'static str, why: &'static str) -> Unused {
    Unused {
        name,
        takes: Takes::Switch,
        why,
    }
}

/// What was given of them.
#[derive(Debug, Default)]
pub(super) struct ReferenceFlags {
    /// Names and reasons.
    given: Vec<(&'static str, &'static str)>,
}

impl ReferenceFlags {
    /// Tells the log of each that it changes nothing.
    pub(super) fn warn(&self) {
        for (name, why) in &self.given {
            tracing::warn!("--{name} is not used: {why}");
        }
    }
}

impl FromArgMatches for ReferenceFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let is_given = |flag: &&Unused| match flag.takes {
            Takes::Switch => matches.get_one::<bool>(flag.name).copied().unwrap_or(false),
            Takes::Value => matches.contains_id(flag.name),
        };
        let given = UNUSED.iter().filter(is_given);
        Ok(Self {
            given: given.map(|flag| (flag.name, flag.why)).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for ReferenceFlags {
    fn augment_args(command: Command) -> Command {
        command.args(UNUSED.iter().map(|flag| {
            let arg = Arg::new(flag.name).long(flag.name).hide(true);
            match flag.takes {
                Takes::Switch => arg
                    .action(ArgAction::Set)
                    .num_args(0..=1)
                    .require_equals(true)
                    .value_parser(clap::value_parser!(bool))
                    .default_missing_value("true"),
                Takes::Value => arg.action(ArgAction::Append),
            }
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(arguments: &[&str]) -> Vec<&'static str> {
        let command = ReferenceFlags::augment_args(Command::new("controller"));
        let arguments = std::iter::once(&"controller").chain(arguments);
        let matches = command.try_get_matches_from(arguments).unwrap();
        let flags = ReferenceFlags::from_arg_matches(&matches).unwrap();
        flags.given.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn flags_are_read_in_each_way_that_go_reads_them() {
        assert_eq!(given(&[]), [""; 0]);
        assert_eq!(
            given(&["--kloglevel", "0", "--istio-api-version=v1beta1"]),
            ["kloglevel", "istio-api-version"]
        );
        assert_eq!(
            given(&["--alb-ingress-classes", "a", "--alb-ingress-classes=b"]),
            ["alb-ingress-classes"]
        );
        assert_eq!(given(&["--alb-verify-weight"]), ["alb-verify-weight"]);
        assert_eq!(given(&["--alb-verify-weight=false"]), [""; 0]);
    }
}
