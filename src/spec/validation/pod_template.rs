//! Pod templates.

use super::field::{FieldError, Path};
use crate::spec::kubernetes::PodTemplate;

pub(super) fn validate_pod_template(_template: &PodTemplate, _path: &Path) -> Vec<FieldError> {
    Vec::new()
}
