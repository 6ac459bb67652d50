//! Where pod templates are written.

use crate::lint::context::{Context, RolloutView};
use crate::spec::bundle::{Object, ROLLOUTS_GROUP, Workload};
use crate::spec::yaml::Node;

/// A pod template in an object.
#[derive(Clone, Debug)]
pub struct PodTemplatePlace<'b> {
    pub object: &'b Object,
    /// Path in the object, such as `spec.template`.
    pub path: String,
    pub node: &'b Node,
}

/// The pod template of a rollout: its own or that of its workload; none where it is not there.
pub fn of_rollout<'b>(rollout: &RolloutView<'b>) -> Option<PodTemplatePlace<'b>> {
    let (object, path) = match rollout.workload {
        Workload::None => (rollout.object, "spec.template"),
        Workload::Resolved(workload) if workload.kind == "PodTemplate" => (workload, "template"),
        Workload::Resolved(workload) => (workload, "spec.template"),
        Workload::Missing(_) | Workload::Refused(_) => return None,
    };
    at(object, path.to_owned())
}

/// The pod templates of rollouts, experiments and of jobs that measure, each once.
pub fn all<'b>(context: &Context<'b>) -> Vec<PodTemplatePlace<'b>> {
    let mut places: Vec<PodTemplatePlace<'b>> = Vec::new();
    let mut add = |place: Option<PodTemplatePlace<'b>>| {
        if let Some(place) = place
            && !places
                .iter()
                .any(|known| std::ptr::eq(known.node, place.node))
        {
            places.push(place);
        }
    };
    for rollout in &context.rollouts {
        add(of_rollout(rollout));
    }
    let objects = context.bundle.objects().iter();
    for object in objects.filter(|object| object.group() == ROLLOUTS_GROUP) {
        let (list, inner) = match object.kind.as_str() {
            "Experiment" => ("spec.templates", "template"),
            "AnalysisTemplate" | "ClusterAnalysisTemplate" | "AnalysisRun" => {
                ("spec.metrics", "provider.job.spec.template")
            }
            _ => continue,
        };
        let count = object
            .node
            .at(list)
            .and_then(Node::as_seq)
            .map_or(0, <[Node]>::len);
        for index in 0..count {
            add(at(object, format!("{list}[{index}].{inner}")));
        }
    }
    places
}

fn at(object: &Object, path: String) -> Option<PodTemplatePlace<'_>> {
    let node = object.node.at(&path)?;
    Some(PodTemplatePlace { object, path, node })
}
