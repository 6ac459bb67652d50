//! `spec.restartAt`: pods that are older are evicted, a few at a time; and pod metadata.

use crate::engine::{Action, Pod};
use crate::spec::string_map::StringMap;
use crate::time::{Duration, Timestamp};

use super::context::Context;
use super::{just_after, metadata, replicas};

/// How long to wait for the next pods to restart if nothing else calls earlier.
const RETRY: Duration = Duration::from_secs(30);

impl Context<'_> {
    /// Evicts pods that are older than `restartAt` as availability allows; returns how many.
    pub(super) fn restart_pods(&mut self) -> usize {
        let Some(restart_at) = self.rollout.spec.restart_at else {
            return 0;
        };
        if self.rollout.status.restarted_at == Some(restart_at) {
            return 0;
        }
        if self.now <= restart_at {
            self.decision.wake(just_after(restart_at));
            return 0;
        }
        let mut order: Vec<usize> = self.stable.into_iter().collect();
        order.extend(self.new.filter(|new| Some(*new) != self.stable));
        order.extend(self.other_indices());
        let pods: Vec<Pod> = order
            .iter()
            .filter_map(|index| self.set(*index))
            .flat_map(|set| {
                self.observed.pods.values().filter(|pod| {
                    pod.metadata
                        .controller()
                        .is_some_and(|owner| owner.uid == set.metadata.uid)
                })
            })
            .map(|pod| Pod::clone(pod))
            .collect();
        let total: i64 = self
            .replica_sets
            .iter()
            .map(|set| i64::from(set.replicas))
            .sum();
        let available = pods.iter().filter(|pod| self.is_pod_available(pod)).count();
        let available = i64::try_from(available).unwrap_or(i64::MAX);
        let concurrent = i64::from(replicas::max_unavailable(&self.rollout.spec).max(1));
        let min_available = i64::from(self.replicas()).max(total) - concurrent;
        let mut may_restart = available - min_available;
        let (mut outdated, mut restarted) = (0_usize, 0_usize);
        for pod in &pods {
            if pod
                .metadata
                .creation_timestamp
                .is_some_and(|created| created >= restart_at)
            {
                continue;
            }
            outdated += 1;
            if may_restart <= 0 || pod.metadata.deletion_timestamp.is_some() {
                continue;
            }
            self.act(Action::EvictPod {
                name: pod.metadata.name.clone(),
            });
            may_restart -= 1;
            restarted += 1;
        }
        if outdated == restarted {
            self.next.restarted_at = Some(restart_at);
        } else {
            self.decision.wake(self.now + RETRY);
        }
        restarted
    }

    fn is_pod_available(&self, pod: &Pod) -> bool {
        let min_ready = Duration::from_secs(i64::from(self.rollout.spec.min_ready_seconds));
        let available_since: Option<Timestamp> = pod.ready_since.map(|since| since + min_ready);
        pod.metadata.deletion_timestamp.is_none()
            && available_since.is_some_and(|since| since <= self.now)
    }

    /// Labels and annotations that canary, stable, preview or active pods carry for the time of
    /// their role.
    pub(super) fn reconcile_pod_metadata(&mut self) {
        let strategy = self.rollout.spec.strategy.clone();
        let (new_metadata, stable_metadata) = match (&strategy.canary, &strategy.blue_green) {
            (Some(canary), _) => (&canary.canary_metadata, &canary.stable_metadata),
            (None, Some(blue_green)) => (&blue_green.preview_metadata, &blue_green.active_metadata),
            (None, None) => return,
        };
        if new_metadata.is_none() && stable_metadata.is_none() {
            return;
        }
        let stable_hash = self.rollout.status.stable_rs.clone();
        let steady = stable_hash.is_empty() || stable_hash == self.new_hash();
        let mut wanted = Vec::new();
        if steady {
            wanted.extend(self.new.map(|index| (index, stable_metadata.as_ref())));
        } else {
            wanted.extend(self.new.map(|index| (index, new_metadata.as_ref())));
            wanted.extend(self.stable.map(|index| (index, stable_metadata.as_ref())));
        }
        wanted.extend(self.other_indices().into_iter().map(|index| (index, None)));
        for (index, wanted) in wanted {
            let Some(set) = self.set(index) else {
                continue;
            };
            let before = metadata::injected_metadata(set);
            let mut changed = set.clone();
            let modified = metadata::sync_replica_set_metadata(&mut changed, wanted);
            let (uid, replicas) = (set.metadata.uid.clone(), set.replicas);
            if modified {
                self.update_set(index, |set| {
                    metadata::sync_replica_set_metadata(set, wanted);
                });
            }
            if replicas == 0 {
                continue;
            }
            let mut updates = Vec::new();
            for pod in self.observed.pods.values() {
                if pod
                    .metadata
                    .controller()
                    .is_none_or(|owner| owner.uid != uid)
                {
                    continue;
                }
                let mut changed = pod.metadata.clone();
                if metadata::sync_pod_metadata(&mut changed, before.as_ref(), wanted) {
                    updates.push(Action::UpdatePodMetadata {
                        name: changed.name,
                        labels: StringMap::clone(&changed.labels),
                        annotations: StringMap::clone(&changed.annotations),
                    });
                }
            }
            self.decision.actions.extend(updates);
        }
    }
}
