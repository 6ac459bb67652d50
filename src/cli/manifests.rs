//! `rollproof manifests`.

use std::io;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{Outcome, print};
use crate::live::manifests::{Installation, Part};

/// Print what a cluster needs to run the controller: CRDs, rights and Deployment, as YAML.
///
/// Rights are those that the controller uses, no others: its own and those of each traffic router.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollproof manifests | kubectl apply --server-side -f -
  rollproof manifests --only crds | kubectl apply --server-side -f -
  rollproof manifests --namespaced -n shop --only rbac,controller | kubectl apply -f -

CRDs are too long for the annotation of a client-side apply: use --server-side.")]
pub(super) struct Arguments {
    /// Namespace to run in.
    #[arg(long, short, value_name = "NAME", default_value = "rollproof")]
    namespace: String,

    /// Look at that namespace only, which needs a Role instead of a ClusterRole.
    #[arg(long)]
    namespaced: bool,

    /// Image of the controller.
    #[arg(long, value_name = "IMAGE", default_value = concat!("rollproof:", env!("CARGO_PKG_VERSION")))]
    image: String,

    /// Look only at objects with this label argo-rollouts.argoproj.io/controller-instance-id.
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,

    /// Pods of the controller, of which one leads.
    #[arg(long, value_name = "N", default_value_t = 1)]
    replicas: u32,

    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    only: Vec<Chosen>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Chosen {
    Namespace,
    Crds,
    /// Account, roles and their bindings.
    Rbac,
    /// Deployment, and the Service of its metrics.
    Controller,
}

pub(super) fn run(arguments: &Arguments) -> io::Result<Outcome> {
    let installation = Installation {
        namespace: arguments.namespace.clone(),
        namespaced: arguments.namespaced,
        image: arguments.image.clone(),
        instance_id: arguments.instance_id.clone(),
        replicas: arguments.replicas,
    };
    let parts = [
        (Chosen::Namespace, Part::Namespace),
        (Chosen::Crds, Part::Crds),
        (Chosen::Rbac, Part::Rbac),
        (Chosen::Controller, Part::Controller),
    ];
    for (chosen, part) in parts {
        if arguments.only.is_empty() || arguments.only.contains(&chosen) {
            for object in installation.objects(part) {
                print(&document(&object)?)?;
            }
        }
    }
    Ok(Outcome::Clean)
}

/// A document of a YAML stream.
fn document(object: &Value) -> io::Result<String> {
    let text = serde_saphyr::to_string(object).map_err(io::Error::other)?;
    Ok(format!("---\n{}\n", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;
    use crate::spec::yaml;

    #[test]
    fn the_yaml_is_read_as_what_was_written() {
        for namespaced in [false, true] {
            let installation = Installation {
                namespace: "on".into(),
                namespaced,
                image: "rollproof:1e3".into(),
                instance_id: Some("007".into()),
                replicas: 2,
            };
            for part in [Part::Namespace, Part::Crds, Part::Rbac, Part::Controller] {
                for object in installation.objects(part) {
                    let text = document(&object).unwrap();
                    let stream = yaml::read_bytes(&mut Sources::new(), "m", text.as_bytes()).1;
                    assert_eq!(stream.problems.len(), 0, "{:?}", stream.problems);
                    let [document] = stream.documents.as_slice() else {
                        panic!("not one document");
                    };
                    assert_eq!(document.root.to_json(), object);
                }
            }
        }
    }
}
