//! What users write: manifests read from YAML or JSON into a tree with spans, then into types.

pub mod analysis;
pub mod bundle;
pub mod decode;
pub mod decode_node;
pub mod defaults;
pub mod edit;
pub mod experiment;
pub mod field_path;
pub(crate) mod go_text;
pub(crate) mod go_types;
pub mod kubernetes;
pub mod meta;
pub mod metric_provider;
pub mod object_key;
pub(crate) mod quantity;
pub mod rollout;
pub mod rollout_status;
pub mod schema;
pub mod shared;
pub mod string_map;
pub mod templates;
mod text_enum;
pub mod traffic_routing;
pub mod validation;
pub mod yaml;

#[cfg(test)]
mod round_trip_tests;
