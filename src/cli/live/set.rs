//! `rollproof set`.

use std::io;

use clap::{Args, Subcommand};

use super::{Connection, Outcome, do_to_each};
use crate::engine::verbs::Verb;

/// Change a part of a rollout.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rollproof set image demo app=registry/app:v2 -n shop")]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    what: What,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Set the image of a container, or of all, which starts an update.
    ///
    /// Where the rollout refers to a workload, that one is changed.
    #[command(after_help = "Examples:
  rollproof set image demo app=registry/app:v2 -n shop
  rollproof set image demo '*=registry/app:v2' -n shop")]
    Image {
        /// The rollout.
        name: String,

        /// The container (init and ephemeral ones too), or * for all, and its image.
        #[arg(value_name = "CONTAINER=IMAGE", value_parser = container_image)]
        image: ContainerImage,
    },
}

#[derive(Debug, Clone)]
struct ContainerImage {
    /// None: all.
    container: Option<String>,
    image: String,
}

fn container_image(text: &str) -> Result<ContainerImage, String> {
    match text.split_once('=') {
        Some((container, image)) if !container.is_empty() && !image.is_empty() => {
            Ok(ContainerImage {
                container: (container != "*").then(|| container.to_owned()),
                image: image.to_owned(),
            })
        }
        Some(_) | None => Err("it is to be CONTAINER=IMAGE, or '*=IMAGE'".to_owned()),
    }
}

pub(super) fn run(arguments: &Arguments, outer: &Connection) -> io::Result<Outcome> {
    let What::Image { name, image } = &arguments.what;
    do_to_each(
        &arguments.connection.settings(outer),
        std::slice::from_ref(name),
        |_| Verb::SetImage {
            container: image.container.clone(),
            image: image.image.clone(),
        },
        |_, written| {
            let lines = written.iter().map(|object| {
                let kind = object.kind.to_lowercase();
                format!("{kind} \"{}\" image updated", object.name)
            });
            lines.collect::<Vec<_>>().join("\n")
        },
    )
}
