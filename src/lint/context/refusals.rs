//! What the controller refuses of a rollout, with the places of the errors.

use crate::spec::bundle::{Bundle, Object, Workload};
use crate::spec::rollout::Rollout;
use crate::spec::validation::{
    FieldError, invalid_workload_ref, resolve_references, validate_rollout,
    validate_rollout_references,
};

/// An error of the controller's validation.
#[derive(Clone, Debug)]
pub struct Refusal<'b> {
    pub kind: RefusalKind,
    /// With the path and the words of the reference.
    pub error: FieldError,
    /// The object whose text is wrong: the rollout, or the workload it takes its template from.
    pub object: &'b Object,
    /// Path in that object.
    pub path: String,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The rollout itself.
    Spec,
    /// Its pod template.
    PodTemplate,
    /// What it refers to does not fit, or cannot be used.
    Reference,
}

/// All refusals of a rollout. `written` is the rollout before its workload was filled in,
/// `resolved` after.
pub(super) fn refusals<'b>(
    bundle: &'b Bundle,
    object: &'b Object,
    written: &Rollout,
    resolved: &Rollout,
    workload: &Workload<'b>,
) -> Vec<Refusal<'b>> {
    let own = validate_rollout(written);
    let mut refusals: Vec<Refusal<'b>> = own
        .iter()
        .map(|error| spec_refusal(object, written, error.clone()))
        .collect();
    match workload {
        Workload::None => {}
        // Reported with the other missing references.
        Workload::Missing(_) => return refusals,
        Workload::Refused(reason) => {
            let error = invalid_workload_ref(written, reason);
            refusals.push(reference_refusal(object, written, error));
            return refusals;
        }
        Workload::Resolved(source) => {
            for error in validate_rollout(resolved) {
                if !own.contains(&error) {
                    let mut refusal = spec_refusal(object, resolved, error);
                    if refusal.kind == RefusalKind::PodTemplate {
                        refusal.object = source;
                        if source.kind == "PodTemplate"
                            && let Some(rest) = refusal.path.strip_prefix("spec.")
                        {
                            refusal.path = rest.to_owned();
                        }
                    }
                    refusals.push(refusal);
                }
            }
        }
    }
    let namespace = &resolved.metadata.namespace;
    let view = bundle.in_namespace(namespace);
    let (resources, unresolved) = resolve_references(resolved, &view);
    // What is not there is no mistake of the file.
    let config = unresolved
        .into_iter()
        .filter(|error| !error.detail.ends_with("not found"));
    let errors = config.chain(validate_rollout_references(resolved, &resources));
    refusals.extend(errors.map(|error| reference_refusal(object, resolved, error)));
    refusals
}

fn reference_refusal<'b>(object: &'b Object, rollout: &Rollout, error: FieldError) -> Refusal<'b> {
    Refusal {
        kind: RefusalKind::Reference,
        path: written_path(rollout, &error.path),
        error,
        object,
    }
}

fn spec_refusal<'b>(object: &'b Object, rollout: &Rollout, error: FieldError) -> Refusal<'b> {
    Refusal {
        kind: if error.path.starts_with("spec.template.") {
            RefusalKind::PodTemplate
        } else {
            RefusalKind::Spec
        },
        path: written_path(rollout, &error.path),
        error,
        object,
    }
}

/// Where a path of the reference's validation is written: it leaves out the name of the strategy,
/// and calls a few fields by other names.
fn written_path(rollout: &Rollout, path: &str) -> String {
    let path = match path {
        "spec.strategy.strategy" => return "spec.strategy".to_owned(),
        // Errors about other objects; the rollout names them here.
        "spec.weight" => {
            return "spec.strategy.canary.trafficRouting.ambassador.mappings".to_owned();
        }
        _ if path == "kind" || path.starts_with("spec.routes") => {
            return "spec.strategy.canary.trafficRouting.appMesh.virtualService".to_owned();
        }
        _ => path,
    };
    if let Some(rest) = path.strip_prefix("spec.template.labels") {
        return format!("spec.template.metadata.labels{rest}");
    }
    if let Some(rest) = path.strip_prefix("spec.template.annotations") {
        return format!("spec.template.metadata.annotations{rest}");
    }
    let Some(rest) = path.strip_prefix("spec.strategy.") else {
        return path.to_owned();
    };
    let rest = rest.replace("].analyses", "].analysis.args");
    let rest = rest.replace(
        "antiAffinity.weight",
        "antiAffinity.preferredDuringSchedulingIgnoredDuringExecution.weight",
    );
    if rest.starts_with("canary.") || rest.starts_with("blueGreen.") {
        return format!("spec.strategy.{rest}");
    }
    let strategy = if rollout.spec.strategy.blue_green.is_some() {
        "blueGreen"
    } else {
        "canary"
    };
    format!("spec.strategy.{strategy}.{rest}")
}
