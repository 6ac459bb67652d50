//! Leader election by a Lease: of several controllers one writes.
//!
//! As client-go's `tools/leaderelection`: who holds the lease renews it; who does not takes it when it
//! has not changed for its duration, counted on the own clock from when the change was seen, so that
//! clocks need not agree. The leader stops writing at its renew deadline, which is shorter ([`Fence`]);
//! the difference is the time that a write which is under way may still take.

#![allow(clippy::disallowed_methods)] // A lease is a promise about time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;

/// The reference's name of the lease, so that it and this controller never lead together.
const LEASE_NAME: &str = "argo-rollouts-controller-lock";

/// Where the lease is, who one is, and how long what lasts.
#[derive(Debug, Clone)]
pub struct Election {
    pub namespace: String,
    pub name: String,
    /// Unique among the candidates.
    pub identity: String,
    /// How long others wait after the last renewal.
    pub lease_duration: Duration,
    /// How long the leader goes on without a renewal.
    pub renew_deadline: Duration,
    /// Between two attempts.
    pub retry_period: Duration,
}

/// The name of the lease of the controllers with this instance id.
pub fn lease_name(instance_id: Option<&str>) -> String {
    match instance_id.filter(|id| !id.is_empty()) {
        Some(id) => format!("{LEASE_NAME}-{id}"),
        None => LEASE_NAME.to_owned(),
    }
}

/// A name that no other process has ever had: of the machine since it was started, the process among
/// those it can see, and when that began.
pub fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let here = Here::now();
    match here.started(std::process::id()) {
        Some(started) => format!("{host}_{here}_{}_{started}", std::process::id()),
        // No such files: the time has to do.
        None => format!("{host}_{}_{}", std::process::id(), jiff::Timestamp::now()),
    }
}

/// Whether a holder is a process of this machine that is gone. Nobody has to wait for it.
fn is_dead(holder: &str) -> bool {
    let here = Here::now();
    let mut parts = holder.rsplitn(4, '_');
    let (Some(started), Some(process), Some(place)) = (parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let (Ok(process), false) = (process.parse::<u32>(), here.boot.is_empty()) else {
        return false;
    };
    place == here.to_string() && here.started(process).as_deref() != Some(started)
}

/// A space of process numbers.
struct Here {
    /// Of the machine's last start.
    boot: String,
    /// Of the namespace: containers have their own.
    namespace: String,
}

impl Here {
    fn now() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect();
        Self {
            boot: boot.trim().to_owned(),
            namespace: digits(&namespace.to_string_lossy()),
        }
    }

    /// When a process was started, in ticks since the machine was.
    fn started(&self, process: u32) -> Option<String> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        fields.split_whitespace().nth(19).map(str::to_owned)
    }
}

impl std::fmt::Display for Here {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}", self.boot, self.namespace)
    }
}

impl Election {
    /// # Errors
    /// Durations that could make two leaders, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.lease_duration.as_secs() == 0 {
            return Err("the lease duration is at least a second".to_owned());
        }
        if self.renew_deadline >= self.lease_duration {
            return Err("the renew deadline has to be shorter than the lease duration".to_owned());
        }
        // client-go's JitterFactor
        if self.retry_period.mul_f64(1.2) >= self.renew_deadline {
            return Err("the retry period has to be shorter than the renew deadline".to_owned());
        }
        if self.retry_period.is_zero() || self.namespace.is_empty() || self.identity.is_empty() {
            return Err("leader election needs a namespace, an identity and a retry period".into());
        }
        Ok(())
    }
}

/// Whether this process may write, at this instant.
#[derive(Debug, Clone)]
pub struct Fence {
    /// None: whatever the time. Else until then.
    until: Option<Arc<Mutex<Option<Instant>>>>,
    /// How long a write that was begun in time may take.
    patience: Duration,
}

/// How long a write may take where there is no election.
const MAX_PATIENCE: Duration = Duration::from_secs(60);

impl Fence {
    /// For a controller that is alone.
    pub fn open() -> Self {
        Self {
            until: None,
            patience: MAX_PATIENCE,
        }
    }

    /// For a candidate; closed until it leads.
    pub fn closed(election: &Election) -> Self {
        Self {
            until: Some(Arc::default()),
            // Over before another one may take the lease.
            patience: election
                .lease_duration
                .saturating_sub(election.renew_deadline)
                / 2,
        }
    }

    /// Until when a write that begins now has to be over; none: it must not begin.
    pub fn limit(&self) -> Option<Instant> {
        let now = Instant::now();
        let Some(until) = &self.until else {
            return Some(now + self.patience);
        };
        let until = *until.lock().unwrap_or_else(PoisonError::into_inner);
        let until = until.filter(|until| now < *until)?;
        Some((until + self.patience).min(now + MAX_PATIENCE))
    }

    fn set(&self, to: Option<Instant>) {
        if let Some(until) = &self.until {
            *until.lock().unwrap_or_else(PoisonError::into_inner) = to;
        }
    }
}

/// Takes part in an election until `stop`, then gives the lease back. `leads` and `fence` say
/// whether this process leads.
pub async fn run(
    client: Client,
    election: Election,
    fence: Fence,
    leads: watch::Sender<bool>,
    stop: impl Future<Output = ()>,
) {
    let mut candidate = Candidate {
        leases: Api::namespaced(client, &election.namespace),
        election,
        fence,
        leads,
        seen: None,
        held_until: None,
    };
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = candidate.attempt() => {}
            () = &mut stop => break,
        }
        tokio::select! {
            () = tokio::time::sleep(candidate.election.retry_period) => {}
            () = &mut stop => break,
        }
    }
    candidate.release().await;
}

struct Candidate {
    election: Election,
    leases: Api<Lease>,
    fence: Fence,
    leads: watch::Sender<bool>,
    /// The lease as it was seen last, and since when it has been so.
    seen: Option<(Lease, Instant)>,
    /// None: does not lead.
    held_until: Option<Instant>,
}

/// What to do about a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is ours.
    Renew,
    /// Nobody holds it any more.
    Take,
    /// Somebody else holds it.
    Wait,
}

impl Candidate {
    /// Renews or takes the lease if that is possible.
    async fn attempt(&mut self) {
        let began = Instant::now();
        // A renewal that comes later is worth nothing.
        let limit = match self.held_until {
            Some(until) => until,
            None => began + self.election.renew_deadline,
        };
        let outcome = tokio::time::timeout_at(limit, self.renew_or_take()).await;
        let identity = &self.election.identity;
        match outcome {
            Ok(Ok(true)) => {
                let until = began + self.election.renew_deadline;
                self.held_until = Some(until);
                self.fence.set(Some(until));
                if !self.leads.send_replace(true) {
                    tracing::info!(%identity, "this controller leads now");
                }
            }
            Ok(Ok(false)) => self.step_down("another controller holds the lease"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the lease cannot be renewed or taken");
                // The answer is lost, or the server is: it may be tried again until the deadline.
                if self.held_until.is_some_and(|until| Instant::now() >= until) {
                    self.step_down("the lease could not be renewed in time");
                }
            }
            Err(_) => self.step_down("the lease could not be renewed in time"),
        }
    }

    fn step_down(&mut self, why: &str) {
        self.fence.set(None);
        self.held_until = None;
        if self.leads.send_replace(false) {
            tracing::warn!("this controller does not lead any more: {why}");
        }
    }

    /// Whether it is ours now.
    async fn renew_or_take(&mut self) -> Result<bool, kube::Error> {
        // Who leads knows the lease, and is told by a conflict that it has changed.
        if self.held_until.is_some()
            && let Some((lease, _)) = self.seen.clone()
        {
            let renewed = self.renewed(lease.clone(), Verdict::Renew);
            match self.replace(renewed).await {
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                outcome => return outcome.map(|()| true),
            }
        }
        let Some(lease) = self.leases.get_opt(&self.election.name).await? else {
            let lease = self.renewed(Lease::default(), Verdict::Take);
            return match self.leases.create(&PostParams::default(), &lease).await {
                Ok(created) => {
                    self.seen = Some((created, Instant::now()));
                    Ok(true)
                }
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
                Err(error) => Err(error),
            };
        };
        self.see(&lease);
        let verdict = self.verdict(Instant::now());
        if verdict == Verdict::Wait {
            return Ok(false);
        }
        match self.replace(self.renewed(lease, verdict)).await {
            Ok(()) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn replace(&mut self, lease: Lease) -> Result<(), kube::Error> {
        let name = self.election.name.clone();
        let parameters = PostParams::default();
        let stored = self.leases.replace(&name, &parameters, &lease).await?;
        self.seen = Some((stored, Instant::now()));
        Ok(())
    }

    fn see(&mut self, lease: &Lease) {
        let is_known = self
            .seen
            .as_ref()
            .is_some_and(|(seen, _)| seen.spec == lease.spec);
        if is_known {
            return;
        }
        let holder = |lease: &Lease| lease.spec.as_ref()?.holder_identity.clone();
        let before = self.seen.as_ref().and_then(|(seen, _)| holder(seen));
        if let Some(leader) = holder(lease).filter(|now| Some(now) != before.as_ref()) {
            tracing::info!(%leader, "a controller leads");
        }
        self.seen = Some((lease.clone(), Instant::now()));
    }

    fn verdict(&self, now: Instant) -> Verdict {
        let Some((lease, seen_at)) = &self.seen else {
            return Verdict::Wait;
        };
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref());
        if holder == Some(&self.election.identity) {
            return Verdict::Renew;
        }
        // As the holder promised it, which may have other settings.
        let promised = spec.and_then(|spec| spec.lease_duration_seconds);
        let lasts = promised.map_or(self.election.lease_duration, |seconds| {
            Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
        });
        match holder {
            None | Some("") => Verdict::Take,
            Some(holder) if is_dead(holder) => Verdict::Take,
            Some(_) if *seen_at + lasts <= now => Verdict::Take,
            Some(_) => Verdict::Wait,
        }
    }

    /// The lease as this candidate holds it from now on.
    fn renewed(&self, lease: Lease, verdict: Verdict) -> Lease {
        let now = MicroTime(jiff::Timestamp::now());
        let Lease {
            mut metadata, spec, ..
        } = lease;
        let mut spec = spec.unwrap_or_default();
        if metadata.name.is_none() {
            metadata = ObjectMeta {
                name: Some(self.election.name.clone()),
                namespace: Some(self.election.namespace.clone()),
                ..ObjectMeta::default()
            };
            spec.lease_transitions = Some(0);
            spec.acquire_time = Some(now.clone());
        } else if verdict == Verdict::Take {
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
            spec.acquire_time = Some(now.clone());
        }
        spec.holder_identity = Some(self.election.identity.clone());
        let seconds = self.election.lease_duration.as_secs();
        spec.lease_duration_seconds = Some(i32::try_from(seconds).unwrap_or(i32::MAX));
        spec.renew_time = Some(now);
        Lease {
            metadata,
            spec: Some(spec),
        }
    }

    /// Gives the lease back, so that nobody has to wait for its end.
    async fn release(mut self) {
        let was_leader = self.held_until.is_some();
        let limit = self.held_until.unwrap_or_else(Instant::now);
        self.step_down("it ends");
        let Some((mut lease, _)) = self.seen.take().filter(|_| was_leader) else {
            return;
        };
        lease.spec = Some(LeaseSpec {
            holder_identity: None,
            lease_duration_seconds: Some(1),
            ..lease.spec.unwrap_or_default()
        });
        let released = tokio::time::timeout_at(limit, self.replace(lease)).await;
        if !matches!(released, Ok(Ok(()))) {
            tracing::warn!("the lease is not given back; others have to wait for its end");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate() -> Candidate {
        crate::live::client::use_ring();
        let nowhere = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
        Candidate {
            election: Election {
                namespace: "ns".into(),
                name: lease_name(None),
                identity: "me".into(),
                lease_duration: Duration::from_secs(15),
                renew_deadline: Duration::from_secs(10),
                retry_period: Duration::from_secs(2),
            },
            leases: Api::namespaced(Client::try_from(nowhere).unwrap(), "ns"),
            fence: Fence::open(),
            leads: watch::channel(false).0,
            seen: None,
            held_until: None,
        }
    }

    fn held_by(holder: &str, seconds: i32) -> Lease {
        Lease {
            metadata: ObjectMeta::default(),
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(seconds),
                ..LeaseSpec::default()
            }),
        }
    }

    #[tokio::test]
    async fn a_lease_is_taken_when_it_has_not_changed_for_its_duration() {
        let mut me = candidate();
        let start = Instant::now();
        for (holder, seconds, after, wanted) in [
            ("me", 15, 0, Verdict::Renew),
            ("", 15, 0, Verdict::Take),
            ("other", 15, 14, Verdict::Wait),
            ("other", 15, 15, Verdict::Take),
            ("other", 60, 15, Verdict::Wait),
        ] {
            me.seen = Some((held_by(holder, seconds), start));
            assert_eq!(me.verdict(start + Duration::from_secs(after)), wanted);
        }
        // The same again does not start the wait anew; a renewal does.
        me.seen = Some((held_by("other", 15), start));
        me.see(&held_by("other", 15));
        assert_eq!(me.seen.as_ref().map(|(_, at)| *at), Some(start));
        me.see(&held_by("other", 16));
        assert_ne!(me.seen.as_ref().map(|(_, at)| *at), Some(start));
    }

    #[tokio::test(start_paused = true)]
    async fn the_fence_closes_by_itself() {
        let fence = Fence::closed(&candidate().election);
        assert_eq!(fence.limit(), None);
        let start = Instant::now();
        fence.set(Some(start + Duration::from_secs(10)));
        assert_eq!(fence.limit(), Some(start + Duration::from_millis(12_500)));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(fence.limit(), None);
        assert!(Fence::open().limit().is_some());
    }

    #[test]
    fn only_a_process_of_here_can_be_known_to_be_dead() {
        let me = identity();
        assert!(!is_dead(&me));
        assert!(!is_dead("host_3b3f2c-uuid"));
        let Some((start, _)) = me
            .rsplit_once('_')
            .filter(|_| !Here::now().namespace.is_empty())
        else {
            return;
        };
        // The same number, given to another process since.
        assert!(is_dead(&format!("{start}_1")));
        assert!(!is_dead(&format!(
            "x{}_1",
            start.replace(&Here::now().boot, "other")
        )));
    }

    #[tokio::test]
    async fn settings_that_allow_two_leaders_are_refused() {
        let good = candidate().election;
        assert_eq!(good.check(), Ok(()));
        let bad = Election {
            renew_deadline: Duration::from_secs(15),
            ..good
        };
        assert!(bad.check().is_err());
        assert_eq!(lease_name(Some("x")), "argo-rollouts-controller-lock-x");
    }
}
