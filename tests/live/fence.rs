//! Candidates for one lease on a real API server: their fences are never open together.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rollproof::live::client;
use rollproof::live::leader::{self, Election, Fence};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::control_plane::with_control_plane;

const LEASE: Duration = Duration::from_secs(4);

struct Candidate {
    fence: Fence,
    leads: watch::Receiver<bool>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn candidate(kubeconfig: &Path, name: &str, identity: &str) -> Candidate {
    let settings = client::Settings {
        kubeconfig: Some(kubeconfig.to_owned()),
        ..client::Settings::default()
    };
    let config = client::configure(&settings).await.unwrap();
    let election = Election {
        namespace: "default".into(),
        name: name.to_owned(),
        identity: identity.to_owned(),
        lease_duration: LEASE,
        renew_deadline: Duration::from_secs(2),
        retry_period: Duration::from_millis(300),
    };
    election.check().unwrap();
    let fence = Fence::closed(&election);
    let (sender, leads) = watch::channel(false);
    let (stop, stopped) = oneshot::channel();
    let client = client::client(config).unwrap();
    let task = tokio::spawn(leader::run(
        client,
        election,
        fence.clone(),
        sender,
        async {
            let _ = stopped.await;
        },
    ));
    Candidate {
        fence,
        leads,
        stop,
        task,
    }
}

async fn until_leads(candidate: &mut Candidate) -> Duration {
    let began = Instant::now();
    let leads = candidate.leads.wait_for(|leads| *leads);
    tokio::time::timeout(Duration::from_secs(15), leads)
        .await
        .expect("it leads in time")
        .unwrap();
    began.elapsed()
}

#[test]
#[ignore = "takes about half a minute"]
fn one_leads_at_a_time() {
    with_control_plane("fence", |plane| {
        let kubeconfig = plane.file("kubeconfig");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(play(&kubeconfig));
    });
}

async fn play(kubeconfig: &Path) {
    let name = "rollproof-test";
    let mut first = candidate(kubeconfig, name, "first").await;
    println!("the first leads after {:?}", until_leads(&mut first).await);
    let mut second = candidate(kubeconfig, name, "second").await;

    // Both fences are watched all the time.
    let fences = [first.fence.clone(), second.fence.clone()];
    let both = Arc::new(AtomicUsize::new(0));
    let looks = Arc::new(AtomicUsize::new(0));
    let watcher = tokio::spawn({
        let (both, looks) = (both.clone(), looks.clone());
        async move {
            loop {
                let open = fences.iter().filter(|it| it.limit().is_some()).count();
                both.fetch_add(usize::from(open > 1), Ordering::Relaxed);
                looks.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    tokio::time::sleep(LEASE + LEASE / 2).await;
    assert!(first.fence.limit().is_some() && second.fence.limit().is_none());

    // Death: nothing is given back.
    first.task.abort();
    let took = until_leads(&mut second).await;
    println!("after a death the other leads within {took:?}");
    assert!(took <= LEASE + Duration::from_secs(1), "{took:?}");
    assert!(first.fence.limit().is_none());

    // An end in order: nobody has to wait.
    let mut third = candidate(kubeconfig, name, "third").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(third.fence.limit().is_none());
    second.stop.send(()).unwrap();
    second.task.await.unwrap();
    let took = until_leads(&mut third).await;
    println!("after an end in order the other leads within {took:?}");
    assert!(took < LEASE / 2, "{took:?}");
    third.stop.send(()).unwrap();
    third.task.await.unwrap();
    watcher.abort();
    let looks = looks.load(Ordering::Relaxed);
    println!(
        "looked {looks} times: two led {} times",
        both.load(Ordering::Relaxed)
    );
    assert_eq!(both.load(Ordering::Relaxed), 0);
}
