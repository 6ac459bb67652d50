//! Finds the templates of an analysis and gives its arguments their values.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::analysis::{
    AnalysisPlace, AnalysisUse, ArgumentOrigin, ArgumentView, LATEST_HASH, MetricView,
    MissingTemplate, STABLE_HASH, TemplateUse, patterns,
};
use crate::source::{Sources, Span};
use crate::spec::analysis::{AnalysisRunSpec, AnalysisTemplateSpec, Argument, DryRun};
use crate::spec::bundle::{Bundle, Object, ROLLOUTS_GROUP, Typed};
use crate::spec::field_path;
use crate::spec::rollout::{AnalysisRunArgument, AnalysisTemplateRef, Rollout};

/// An argument that an owner passes.
pub(super) struct GivenArgument {
    name: String,
    value: Option<String>,
    origin: ArgumentOrigin,
    span: Span,
}

/// An analysis to be resolved.
pub(super) struct Wanted<'b, 'r> {
    pub place: AnalysisPlace,
    pub owner: &'b Object,
    pub path: String,
    /// References to templates, each with its path in the owner.
    pub references: Vec<(AnalysisTemplateRef, String)>,
    pub given: Vec<GivenArgument>,
    pub dry_run: &'r [DryRun],
}

/// What the analysis would run with.
pub(super) fn resolve<'b>(
    sources: &Sources,
    bundle: &'b Bundle,
    wanted: Wanted<'b, '_>,
) -> AnalysisUse<'b> {
    let Wanted {
        place,
        owner,
        path,
        references,
        given,
        dry_run,
    } = wanted;
    let (templates, missing) = find_templates(bundle, owner, references);
    let specs: Vec<(&'b Object, &'b AnalysisTemplateSpec)> = templates
        .iter()
        .filter_map(|template| Some((template.object, template_spec(template.object)?)))
        .collect();
    let (arguments, undeclared) = merge_arguments(&specs, given);
    let arguments = Arc::new(arguments);
    let dry_run = patterns(
        dry_run
            .iter()
            .chain(specs.iter().flat_map(|(_, spec)| &spec.dry_run)),
    );
    // A metric is large, and mostly there is one: no room for more.
    let count = specs.iter().map(|(_, spec)| spec.metrics.len()).sum();
    let mut metrics = Vec::with_capacity(count);
    for (object, spec) in &specs {
        for (index, metric) in spec.metrics.iter().enumerate() {
            let path = format!("spec.metrics[{index}]");
            let view = MetricView::new(sources, object, path, metric, &arguments, &dry_run);
            metrics.push(view);
        }
    }
    AnalysisUse {
        place,
        owner,
        path,
        templates,
        missing,
        arguments,
        undeclared,
        metrics,
    }
}

/// A template by itself, with its own values.
pub(super) fn alone<'b>(
    sources: &Sources,
    object: &'b Object,
    spec: &'b AnalysisTemplateSpec,
) -> AnalysisUse<'b> {
    let (arguments, _) = merge_arguments(&[(object, spec)], Vec::new());
    own_metrics(
        sources,
        object,
        AnalysisPlace::Alone,
        arguments,
        &spec.metrics,
        &spec.dry_run,
    )
}

/// An AnalysisRun.
pub(super) fn run<'b>(
    sources: &Sources,
    object: &'b Object,
    spec: &'b AnalysisRunSpec,
) -> AnalysisUse<'b> {
    let arguments = declared(object, &spec.args)
        .map(|argument| ArgumentView {
            origin: match argument.origin {
                ArgumentOrigin::Default => ArgumentOrigin::Given,
                other => other,
            },
            ..argument
        })
        .collect();
    own_metrics(
        sources,
        object,
        AnalysisPlace::Run,
        arguments,
        &spec.metrics,
        &spec.dry_run,
    )
}

fn own_metrics<'b>(
    sources: &Sources,
    object: &'b Object,
    place: AnalysisPlace,
    arguments: Vec<ArgumentView>,
    metrics: &'b [crate::spec::analysis::Metric],
    dry_run: &[DryRun],
) -> AnalysisUse<'b> {
    let arguments = Arc::new(arguments);
    let dry_run = patterns(dry_run);
    AnalysisUse {
        place,
        owner: object,
        path: "spec".to_owned(),
        templates: Vec::new(),
        missing: Vec::new(),
        metrics: metrics
            .iter()
            .enumerate()
            .map(|(index, metric)| {
                let path = format!("spec.metrics[{index}]");
                MetricView::new(sources, object, path, metric, &arguments, &dry_run)
            })
            .collect(),
        arguments,
        undeclared: Vec::new(),
    }
}

/// The arguments that a rollout passes, written at `path` of its object.
pub(super) fn given_by_rollout(
    rollout: &Rollout,
    object: &Object,
    path: &str,
    args: &[AnalysisRunArgument],
) -> Vec<GivenArgument> {
    let args = args.iter().enumerate();
    args.map(|(index, argument)| {
        let from = argument.value_from.as_ref();
        let hash = from.and_then(|from| from.pod_template_hash_value.as_deref());
        let field = from.and_then(|from| from.field_ref.as_ref());
        let (value, origin) = match (hash, field) {
            (Some("Latest"), _) => (Some(LATEST_HASH.to_owned()), ArgumentOrigin::LatestHash),
            (Some("Stable"), _) => (Some(STABLE_HASH.to_owned()), ArgumentOrigin::StableHash),
            (Some(_), _) | (None, None) => (Some(argument.value.clone()), ArgumentOrigin::Given),
            (None, Some(field)) => (
                field_path::value_at(rollout, &field.field_path).ok(),
                ArgumentOrigin::Field(field.field_path.clone()),
            ),
        };
        let place = format!("{path}[{index}]");
        let part = if from.is_some() { "valueFrom" } else { "value" };
        GivenArgument {
            name: argument.name.clone(),
            value,
            origin,
            span: object.span_of(&format!("{place}.{part}")),
        }
    })
    .collect()
}

/// The arguments that an Experiment passes.
pub(super) fn given_by_experiment(
    object: &Object,
    path: &str,
    args: &[Argument],
) -> Vec<GivenArgument> {
    let args = args.iter().enumerate();
    args.map(|(index, argument)| {
        let place = format!("{path}[{index}]");
        let (origin, part) = match (&argument.value, &argument.value_from) {
            (Some(_), _) | (None, None) => (ArgumentOrigin::Given, "value"),
            (None, Some(from)) => (origin_of(from), "valueFrom"),
        };
        GivenArgument {
            name: argument.name.clone(),
            value: argument.value.clone(),
            origin,
            span: object.span_of(&format!("{place}.{part}")),
        }
    })
    .collect()
}

/// The spec of a template that could be typed.
pub(super) fn template_spec(object: &Object) -> Option<&AnalysisTemplateSpec> {
    match &object.typed {
        Typed::AnalysisTemplate(template) => Some(&template.spec),
        Typed::ClusterAnalysisTemplate(template) => Some(&template.spec),
        Typed::Rollout(_)
        | Typed::AnalysisRun(_)
        | Typed::Experiment(_)
        | Typed::Service(_)
        | Typed::Deployment(_)
        | Typed::Broken
        | Typed::Untyped => None,
    }
}

/// Depth first, each template once, as the controller collects them.
fn find_templates<'b>(
    bundle: &'b Bundle,
    owner: &'b Object,
    references: Vec<(AnalysisTemplateRef, String)>,
) -> (Vec<TemplateUse<'b>>, Vec<MissingTemplate<'b>>) {
    let namespace = owner.namespace_or_default();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    let mut pending: Vec<(&'b Object, bool, String, String)> = references
        .into_iter()
        .rev()
        .map(|(reference, path)| {
            let is_cluster_scope = reference.is_cluster_scope();
            (owner, is_cluster_scope, reference.template_name, path)
        })
        .collect();
    while let Some((from, is_cluster_scope, name, path)) = pending.pop() {
        let kind = if is_cluster_scope {
            "ClusterAnalysisTemplate"
        } else {
            "AnalysisTemplate"
        };
        if !seen.insert((is_cluster_scope, name.clone())) {
            continue;
        }
        let Some(object) = bundle.find(ROLLOUTS_GROUP, kind, namespace, &name) else {
            missing.push(MissingTemplate {
                kind,
                name,
                from,
                path,
            });
            continue;
        };
        found.push(TemplateUse {
            object,
            from,
            span: from.span_of(&path),
        });
        let nested = template_spec(object).map_or(&[][..], |spec| &spec.templates);
        pending.extend(nested.iter().enumerate().rev().map(|(index, reference)| {
            let path = format!("spec.templates[{index}].templateName");
            let name = reference.template_name.clone();
            (object, reference.is_cluster_scope(), name, path)
        }));
    }
    (found, missing)
}

/// Declared arguments in order, each once: of several declarations the first with a value counts;
/// what is passed goes over it.
fn merge_arguments(
    specs: &[(&Object, &AnalysisTemplateSpec)],
    given: Vec<GivenArgument>,
) -> (Vec<ArgumentView>, Vec<(String, Span)>) {
    let mut merged: Vec<ArgumentView> = Vec::new();
    for argument in specs
        .iter()
        .flat_map(|(object, spec)| declared(object, &spec.args))
    {
        match merged.iter_mut().find(|known| known.name == argument.name) {
            Some(known) if known.value.is_none() => *known = argument,
            Some(_) => {}
            None => merged.push(argument),
        }
    }
    let mut undeclared = Vec::new();
    for argument in given {
        match merged.iter_mut().find(|known| known.name == argument.name) {
            // One without anything says nothing.
            Some(known) if argument.value.is_some() || argument.origin != ArgumentOrigin::Given => {
                known.value = argument.value;
                known.origin = argument.origin;
                known.span = argument.span;
            }
            Some(_) => {}
            None => undeclared.push((argument.name, argument.span)),
        }
    }
    (merged, undeclared)
}

fn declared<'a>(
    object: &'a Object,
    args: &'a [Argument],
) -> impl Iterator<Item = ArgumentView> + 'a {
    args.iter().enumerate().map(|(index, argument)| {
        let path = format!("spec.args[{index}]");
        let declared = object.span_of(&format!("{path}.name"));
        let (origin, part) = match (&argument.value, &argument.value_from) {
            (Some(_), _) => (ArgumentOrigin::Default, "value"),
            (None, Some(from)) => (origin_of(from), "valueFrom"),
            (None, None) => (ArgumentOrigin::Missing, "name"),
        };
        ArgumentView {
            name: argument.name.clone(),
            value: argument.value.clone(),
            origin,
            span: object.span_of(&format!("{path}.{part}")),
            declared,
        }
    })
}

fn origin_of(from: &crate::spec::analysis::ValueFrom) -> ArgumentOrigin {
    match &from.field_ref {
        Some(field) => ArgumentOrigin::Field(field.field_path.clone()),
        None => ArgumentOrigin::Secret,
    }
}
