//! Services of an Experiment's templates (argo-rollouts `experiments/service.go`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::engine::{Action, ReplicaSet};
use crate::spec::experiment::{TemplateSpec, TemplateStatus, TemplateStatusCode};
use crate::spec::kubernetes::{PodTemplate, Service, ServicePort, ServiceSpec};
use crate::spec::meta::IntOrString;
use crate::spec::string_map::StringMap;

use super::context::{Context, template_of};

impl Context<'_> {
    /// Creates the Service of a template that has one once its ReplicaSet exists, and deletes it
    /// after the last pod has gone.
    pub(super) fn reconcile_service(
        &mut self,
        template: &TemplateSpec,
        set: &ReplicaSet,
        desired: i32,
        status: &mut TemplateStatus,
    ) {
        match &template.service {
            Some(service) if desired != 0 => {
                self.create_service(template, &service.name, set, status);
            }
            Some(_) if set.status.available_replicas != 0 => {}
            Some(_) | None => self.delete_service(template, status),
        }
    }

    /// It offers the container ports; without any there is no Service.
    fn create_service(
        &mut self,
        template: &TemplateSpec,
        name: &str,
        set: &ReplicaSet,
        status: &mut TemplateStatus,
    ) {
        let ports = container_ports(&set.template);
        let named_like_set = self
            .services
            .get(&template.name)
            .is_some_and(|service| service.metadata.name == set.name());
        if named_like_set || ports.is_empty() {
            return;
        }
        let name = if name.is_empty() { set.name() } else { name };
        match self.observed.services.get(name) {
            Some(present) => {
                let owner = template_of(self.experiment, &present.metadata);
                if owner != Some(template.name.as_str()) {
                    status.status = TemplateStatusCode::Error;
                    status.message = format!(
                        "Failed to create Service {name} for template '{0}': service {name} \
                         already exists and is not owned by experiment template {0}",
                        template.name
                    );
                    return;
                }
            }
            None => {
                let service = Service {
                    api_version: "v1".to_owned(),
                    kind: "Service".to_owned(),
                    metadata: self.template_metadata(name.to_owned(), &template.name),
                    spec: ServiceSpec {
                        selector: StringMap::clone(&set.metadata.labels),
                        ports,
                        rest: Map::new(),
                    },
                    rest: Map::new(),
                };
                self.act(Action::CreateService(Box::new(service)));
            }
        }
        name.clone_into(&mut status.service_name);
        set.hash().clone_into(&mut status.pod_template_hash);
    }

    fn delete_service(&mut self, template: &TemplateSpec, status: &mut TemplateStatus) {
        if let Some(service) = self.services.remove(&template.name) {
            self.act(Action::DeleteService {
                name: service.metadata.name.clone(),
            });
            status.service_name.clear();
            status.pod_template_hash.clear();
        }
    }
}

/// Whether pods have a port that a Service could offer.
pub(crate) fn offers_ports(pods: &PodTemplate) -> bool {
    !container_ports(pods).is_empty()
}

fn container_ports(pods: &PodTemplate) -> Vec<ServicePort> {
    let ports_of = |container: &Map<String, Value>| {
        container
            .get("ports")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    pods.containers()
        .flat_map(ports_of)
        .filter_map(|port| service_port(&port))
        .collect()
}

/// None for what is no container port.
fn service_port(port: &Value) -> Option<ServicePort> {
    let number = i32::try_from(port.get("containerPort")?.as_i64()?).ok()?;
    let protocol = port.get("protocol").filter(|protocol| protocol.is_string());
    let rest: BTreeMap<String, Value> = protocol
        .map(|protocol| ("protocol".to_owned(), protocol.clone()))
        .into_iter()
        .collect();
    Some(ServicePort {
        name: port
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        port: number,
        target_port: Some(IntOrString::Int(number)),
        rest: rest.into_iter().collect(),
    })
}
