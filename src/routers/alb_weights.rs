//! Whether the weights of an AWS load balancer have taken effect
//! (argo-rollouts `rollout/trafficrouting/alb/alb.go`, `utils/aws/aws.go`).
//!
//! Who asks AWS is no matter here: the answers come in as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spec::rollout::Rollout;
use crate::spec::rollout_status::{AlbStatus, AwsResourceRef};

use super::alb::Balancer;
use super::json::{clamped, list_at, text_at};
use super::{Note, Objects, Split, ingress};

/// Tag that the AWS load balancer controller gives its target groups.
const RESOURCE_TAG: &str = "ingress.k8s.aws/resource";

/// What AWS says, load balancers by their DNS name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetWeights {
    pub load_balancers: BTreeMap<String, LoadBalancer>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadBalancer {
    pub name: String,
    pub arn: String,
    pub target_groups: Vec<TargetGroup>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetGroup {
    pub name: String,
    pub arn: String,
    /// `<namespace>/<ingress>-<service>:<port>`, from its tag.
    pub resource: String,
    /// Absent where no rule forwards to it by weight.
    pub weight: Option<i32>,
}

impl TargetWeights {
    /// Reads answers of the Elastic Load Balancing API, as its command line prints them, merged
    /// into one object: `LoadBalancers`, `TargetGroups`, `TagDescriptions` and `Rules`.
    pub fn from_aws(answers: &Value) -> Self {
        let tag_of = |arn: &str| {
            list_at(answers, "/TagDescriptions")
                .iter()
                .filter(|described| text_at(described, "/ResourceArn") == arn)
                .flat_map(|described| list_at(described, "/Tags"))
                .find(|tag| text_at(tag, "/Key") == RESOURCE_TAG)
                .map_or("", |tag| text_at(tag, "/Value"))
        };
        let weight_of = |arn: &str| {
            list_at(answers, "/Rules")
                .iter()
                .flat_map(|rule| list_at(rule, "/Actions"))
                .flat_map(|action| list_at(action, "/ForwardConfig/TargetGroups"))
                // The last rule counts.
                .rfind(|group| text_at(group, "/TargetGroupArn") == arn)
                .and_then(|group| group.get("Weight")?.as_i64())
                .map(clamped)
        };
        let groups_of = |balancer: &str| {
            list_at(answers, "/TargetGroups")
                .iter()
                .filter(|group| {
                    list_at(group, "/LoadBalancerArns")
                        .iter()
                        .any(|arn| arn.as_str() == Some(balancer))
                })
                .map(|group| {
                    let arn = text_at(group, "/TargetGroupArn");
                    TargetGroup {
                        name: text_at(group, "/TargetGroupName").to_owned(),
                        arn: arn.to_owned(),
                        resource: tag_of(arn).to_owned(),
                        weight: weight_of(arn),
                    }
                })
                .collect()
        };
        let balancers = list_at(answers, "/LoadBalancers").iter();
        Self {
            load_balancers: balancers
                .map(|balancer| {
                    let arn = text_at(balancer, "/LoadBalancerArn");
                    let read = LoadBalancer {
                        name: text_at(balancer, "/LoadBalancerName").to_owned(),
                        arn: arn.to_owned(),
                        target_groups: groups_of(arn),
                    };
                    (text_at(balancer, "/DNSName").to_owned(), read)
                })
                .collect(),
        }
    }
}

/// What came of a comparison with [`TargetWeights`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verification {
    /// Whether every ingress and every service of an experiment has its weight.
    pub is_verified: bool,
    /// For `status.albs`, one an ingress.
    pub balancers: Vec<AlbStatus>,
    /// Normal events.
    pub notes: Vec<Note>,
    pub warnings: Vec<Note>,
}

/// Compares what the load balancers of a Rollout do with what the split says. None where it has no
/// ALB.
pub fn verify(
    rollout: &Rollout,
    objects: &Objects,
    split: &Split,
    answers: &TargetWeights,
) -> Option<Verification> {
    let balancer = Balancer::of(rollout)?;
    let names = balancer.ingress_names();
    let mut result = Verification::default();
    let mut verified: usize = 0;
    for name in names {
        let mut status = AlbStatus::default();
        let hosts = ingress::find(objects, name).map_or(&[][..], |(_, object)| {
            list_at(object, "/status/loadBalancer/ingress")
        });
        for host in hosts {
            let host = text_at(host, "/hostname");
            if host.is_empty() {
                continue;
            }
            let Some(found) = answers.load_balancers.get(host) else {
                result.warnings.push(Note {
                    reason: "LoadBalancerNotFound",
                    message: format!("Failed to find load balancer: {host}"),
                });
                return Some(result);
            };
            status.ingress.clone_from(name);
            status.load_balancer = reference(&found.name, &found.arn, 2);
            let resource = |service: &str| {
                let namespace = &rollout.metadata.namespace;
                format!("{namespace}/{name}-{service}:{}", balancer.alb.service_port)
            };
            let expected = std::iter::once((balancer.canary, split.canary.weight)).chain(
                (split.additional.iter()).map(|other| (other.service_name.as_str(), other.weight)),
            );
            let expected: Vec<(&str, i32)> = expected.collect();
            for group in &found.target_groups {
                if group.resource == resource(balancer.canary) {
                    status.canary_target_group = reference(&group.name, &group.arn, 1);
                } else if group.resource == resource(balancer.stable) {
                    status.stable_target_group = reference(&group.name, &group.arn, 1);
                }
                let wanted = expected
                    .iter()
                    .find(|(service, _)| group.resource == resource(service));
                let (Some((service, wanted)), Some(weight)) = (wanted, group.weight) else {
                    continue;
                };
                let about = format!("Service {service} (TargetGroup {})", group.arn);
                if weight == *wanted {
                    verified += 1;
                    result.notes.push(Note {
                        reason: "TargetGroupVerified",
                        message: format!("{about} verified: canary weight {wanted} set"),
                    });
                } else {
                    result.warnings.push(Note {
                        reason: "TargetGroupUnverified",
                        message: format!(
                            "{about} not verified: canary weight {wanted} not yet set (current: {weight})"
                        ),
                    });
                }
            }
        }
        result.balancers.push(status);
    }
    result.is_verified = verified == names.len() + split.additional.len();
    Some(result)
}

/// The full name is the ARN after its first `skipped` slashes; "" if it has no more.
fn reference(name: &str, arn: &str, skipped: usize) -> AwsResourceRef {
    AwsResourceRef {
        name: name.to_owned(),
        arn: arn.to_owned(),
        full_name: arn
            .splitn(skipped + 1, '/')
            .nth(skipped)
            .unwrap_or_default()
            .to_owned(),
    }
}
