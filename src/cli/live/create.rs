//! `rollproof create`.

use std::io;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};
use serde_json::Value;

use super::{Connection, Outcome, on_cluster, out};
use crate::cli::{input, problems};
use crate::engine::objects::Kind;
use crate::engine::verbs::{NewRun, new_analysis_run};
use crate::live::user::failure::Failure;
use crate::source::Sources;
use crate::spec::analysis::Argument;
use crate::spec::bundle::Bundle;

/// Create rollouts, experiments, templates or runs from files, or a run from a template.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  rollproof create -f experiment.yaml -n shop
  rollproof create analysisrun --from success-rate -a service=demo -n shop
  rollproof create analysisrun --from-file template.yaml -n shop"
)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,

    /// Manifests: files, folders, or - for standard input.
    #[arg(long = "filename", short = 'f', required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Create a run of an AnalysisTemplate or ClusterAnalysisTemplate.
    #[command(name = "analysisrun", visible_alias = "ar")]
    AnalysisRun(RunArguments),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("template").required(true).args(["from", "from_file"])))]
struct RunArguments {
    /// Template of the cluster.
    #[arg(long, value_name = "NAME")]
    from: Option<String>,

    /// File with the template.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,

    /// The template of the cluster is a ClusterAnalysisTemplate.
    #[arg(long)]
    global: bool,

    /// Value of an argument of the template; may be given several times.
    #[arg(long = "argument", short = 'a', value_name = "NAME=VALUE", value_parser = argument)]
    arguments: Vec<Argument>,

    /// Name of the run; else the template's, and some characters.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// What the run's name starts with.
    #[arg(long, value_name = "PREFIX", conflicts_with = "name")]
    generate_name: Option<String>,

    /// Instance of the controller that is to do it.
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,
}

fn argument(text: &str) -> Result<Argument, String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "arguments must be in the form NAME=VALUE".to_owned())?;
    Ok(Argument {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    })
}

pub(super) fn run(arguments: &Arguments, outer: &Connection) -> io::Result<Outcome> {
    let connection = &arguments.connection;
    match &arguments.what {
        Some(What::AnalysisRun(run)) => create_run(run, connection, outer),
        None => create_objects(&arguments.files, connection, outer),
    }
}

fn create_objects(
    files: &[PathBuf],
    connection: &Connection,
    outer: &Connection,
) -> io::Result<Outcome> {
    let Some(objects) = read(files)? else {
        return Ok(Outcome::WrongUse);
    };
    if objects.is_empty() {
        eprintln!("error: the files hold no object");
        return Ok(Outcome::WrongUse);
    }
    on_cluster(&connection.settings(outer), async |cluster| {
        for (kind, object) in &objects {
            let created = cluster.create(kind, object).await?;
            out(&created_line(kind, &created))?;
        }
        Ok(Outcome::Clean)
    })
}

fn create_run(
    arguments: &RunArguments,
    connection: &Connection,
    outer: &Connection,
) -> io::Result<Outcome> {
    let from_file = match &arguments.from_file {
        None => None,
        Some(path) => match read_template(path)? {
            Some(template) => Some(template),
            None => return Ok(Outcome::WrongUse),
        },
    };
    on_cluster(&connection.settings(outer), async |cluster| {
        let template = match (from_file, &arguments.from) {
            (Some(template), _) => template,
            (None, Some(name)) => {
                let kind = if arguments.global {
                    Kind::ClusterAnalysisTemplate
                } else {
                    Kind::AnalysisTemplate
                };
                cluster.get(&kind, name).await?
            }
            (None, None) => return Ok(Outcome::WrongUse),
        };
        let wanted = NewRun {
            name: arguments.name.clone(),
            generate_name: arguments.generate_name.clone(),
            namespace: cluster.namespace.clone(),
            instance_id: arguments.instance_id.clone(),
            arguments: arguments.arguments.clone(),
        };
        let run = new_analysis_run(&template, &wanted).map_err(Failure::Refused)?;
        let created = cluster.create(&Kind::AnalysisRun, &run).await?;
        out(&created_line(&Kind::AnalysisRun, &created))?;
        Ok(Outcome::Clean)
    })
}

fn created_line(kind: &Kind, created: &Value) -> String {
    let name = created.pointer("/metadata/name").and_then(Value::as_str);
    let kind = kind.as_str().to_lowercase();
    format!("{kind}.argoproj.io/{} created\n", name.unwrap_or_default())
}

/// Objects of the files with their kinds; none where a file cannot be used, which is shown.
fn read(files: &[PathBuf]) -> io::Result<Option<Vec<(Kind, Value)>>> {
    let files = input::read_paths(files)?;
    let named: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    let mut sources = Sources::new();
    let (bundle, found) = Bundle::read(&mut sources, &named);
    if problems::show(&sources, &found) {
        return Ok(None);
    }
    let mut objects = Vec::new();
    for object in bundle.objects() {
        let kind = Kind::of(&object.api_version, &object.kind);
        match kind {
            Kind::Rollout
            | Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate
            | Kind::AnalysisRun
            | Kind::Experiment => objects.push((kind, object.json().clone())),
            Kind::ReplicaSet
            | Kind::Pod
            | Kind::Service
            | Kind::Secret
            | Kind::Other { group: _, kind: _ } => {
                eprintln!(
                    "error: a {} is not created by this command; use kubectl create",
                    object.kind
                );
                return Ok(None);
            }
        }
    }
    Ok(Some(objects))
}

fn read_template(path: &Path) -> io::Result<Option<Value>> {
    let Some(objects) = read(&[path.to_owned()])? else {
        return Ok(None);
    };
    let mut templates = objects
        .into_iter()
        .filter(|(kind, _)| matches!(kind, Kind::AnalysisTemplate | Kind::ClusterAnalysisTemplate));
    match (templates.next(), templates.next()) {
        (Some((_, template)), None) => Ok(Some(template)),
        (None, _) | (Some(_), Some(_)) => {
            eprintln!("error: {} is to hold one template", path.display());
            Ok(None)
        }
    }
}
