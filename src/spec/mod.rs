//! What users write: manifests read from YAML or JSON into a tree with spans, then into types.
