//! Everything at once, while something breaks every few seconds, which by chance and by seed: nothing is lost,
//! nothing is done twice, and the books are exact. A short round runs with the other tests; `just soak-faults`
//! runs for ten minutes.

mod end;
mod faults;
mod load;

use std::{
    env,
    path::Path,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use testing::{Client, TestApp};

use crate::processes::Process;

/// Where the org's own program listens.
const RECEIVER: &str = "/soak";

/// The product, as those see it who use it.
struct World {
    app: TestApp,
    owner: Client,
    /// Where the instances are now.
    instances: RwLock<Vec<String>>,
    is_over: AtomicBool,
}

impl World {
    async fn begin() -> Self {
        let app = TestApp::live().await;
        let owner = app.owner().await;
        let mut tx = app.db.begin().await.unwrap();
        let grant = quotas::NewGrant {
            org: owner.org(),
            source: quotas::GrantSource::Pack,
            amount: 1_000_000,
            expires_at: None,
            external_id: "soak".to_owned(),
        };
        grant.give(&mut tx, app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        let url = format!("{}{RECEIVER}", app.simulators.sink.url());
        owner.post("/v1/webhook-endpoints", json!({ "url": url })).await.ok();
        // A key outlives a soak, an access token does not.
        let key = owner.post("/v1/api-keys", json!({ "name": "soak" })).await.ok();
        let owner = owner.with_key(key["secret"].as_str().unwrap());
        Self { app, owner, instances: RwLock::default(), is_over: AtomicBool::new(false) }
    }

    /// A client of one of the instances.
    fn client(&self, turn: usize) -> Client {
        let instances = self.instances.read().unwrap();
        self.owner.at(&instances[turn % instances.len()])
    }

    async fn start(&self, instance: usize, directory: &Path) -> Process {
        let process = Process::beside(&self.app, directory).await;
        let mut instances = self.instances.write().unwrap();
        if instances.len() == instance {
            instances.push(process.url.clone());
        } else {
            instances[instance].clone_from(&process.url);
        }
        process
    }
}

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|it| it.parse().expect("a number"))
}

#[expect(clippy::print_stdout, reason = "the seed, and what happened, to make it happen again")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_nothing_is_lost_or_done_twice() {
    let length = Duration::from_secs(setting("SOAK_SECONDS").unwrap_or(9));
    let pause = Duration::from_secs(setting("SOAK_PAUSE_SECONDS").unwrap_or(1));
    let seed = setting("SOAK_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("SOAK_SEED={seed} SOAK_SECONDS={}", length.as_secs());
    let mut chance = StdRng::seed_from_u64(seed);
    let world = Arc::new(World::begin().await);
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut processes = Vec::new();
    for (instance, directory) in directories.iter().enumerate() {
        processes.push(world.start(instance, directory.path()).await);
    }
    let load = load::begin(&world);

    let begun = Instant::now();
    while begun.elapsed() < length {
        // The rhythm of the faults, not a wait for something.
        tokio::time::sleep(pause).await;
        let fault = faults::FAULTS[chance.random_range(0..faults::FAULTS.len())];
        println!("{:>4} s: {fault:?}", begun.elapsed().as_secs());
        let instance = chance.random_range(0..processes.len());
        fault.strike(&world, &mut processes[instance]).await;
        if processes[instance].child.try_wait().unwrap().is_some() {
            processes[instance] = world.start(instance, directories[instance].path()).await;
        }
    }
    faults::heal(&world);
    world.is_over.store(true, Relaxed);
    let accepted = load.end().await;
    println!("{accepted}");

    end::comes_to_rest(&world).await;
    end::nothing_is_lost_or_doubled(&world, &accepted).await;
    world.app.assert_books_balance().await;
}
