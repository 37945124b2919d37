//! Several instances over one Redis, in health and in sickness. These tests need `redis-server` or
//! `valkey-server`, and say so where there is none.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::future::join_all;
use kernel::Id;
use rate_limit::RateLimit;
use tempfile::TempDir;
use testing::TestApp;
use uuid::Uuid;
use web::{Caller, Credential, Role, Tier};

use crate::support::{ask, chat, eventually, instance_over, served};

const IP: &str = "203.0.113.7";
/// Redis is waited for as long as it takes, for tests of what it answers.
const PATIENT: u64 = 60_000;

/// A server of its own for every test, killed with it. It listens on a socket in a directory of its own, which
/// nobody else can take.
struct Server {
    directory: TempDir,
    process: Child,
}

impl Server {
    /// `None`, said aloud: none is installed.
    async fn start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let Some(process) = run(directory.path()) else {
            eprintln!("SKIPPED: neither redis-server nor valkey-server is installed");
            return None;
        };
        let server = Self { directory, process };
        server.answers().await;
        Some(server)
    }

    fn url(&self) -> String {
        format!("redis+unix://{}", socket(self.directory.path()))
    }

    async fn answers(&self) {
        testing::eventually("redis-server answers", async || {
            self.try_tell(&["PING"]).await.is_ok()
        })
        .await;
    }

    async fn try_tell(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await
    }

    async fn tell(&self, words: &[&str]) -> redis::Value {
        self.try_tell(words).await.unwrap()
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// With nothing in it.
    async fn restart(&mut self) {
        self.process = run(self.directory.path()).expect("it was there a moment ago");
        self.answers().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn socket(directory: &Path) -> String {
    directory.join("redis").display().to_string()
}

fn run(directory: &Path) -> Option<Child> {
    ["redis-server", "valkey-server"].iter().find_map(|program| {
        let mut command = Command::new(program);
        command.args(["--port", "0", "--unixsocket", &socket(directory), "--save", ""]);
        command.current_dir(directory).stdout(Stdio::null()).spawn().ok()
    })
}

/// Two instances that know of each other, over `server`, and wait so many milliseconds for it.
async fn two(app: &TestApp, server: &Server, patience: u64) -> [RateLimit; 2] {
    let two = [(); 2].map(|()| instance_over(app, &server.url(), patience));
    for limits in two.iter().chain(&two[..1]) {
        limits.beat().await.unwrap();
    }
    two
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_together_give_exactly_the_quota() {
    let Some(server) = Server::start().await else { return };
    let app = TestApp::start().await;
    let [one, other] = two(&app, &server, PATIENT).await;
    assert_eq!(served(&[&one, &other], IP).await, 5);
    let told = ask(&other, IP).await;
    assert_eq!(told.headers()["ratelimit-policy"], "\"project-writes\";q=5;w=60");
    let wait = told.headers()["retry-after"].to_str().unwrap().to_owned();
    assert_eq!(told.headers()["ratelimit"], format!("\"project-writes\";r=0;t={wait}"));
    assert!((1..=12).contains(&wait.parse().unwrap()), "{wait}");
    assert_eq!(served(&[&one, &other], "203.0.113.8").await, 5, "another address");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_leaves_each_its_share_and_one_that_comes_back_counts_again() {
    let Some(mut server) = Server::start().await else { return };
    let app = TestApp::start().await;
    let [one, other] = two(&app, &server, PATIENT).await;
    assert_eq!(served(&[&one], IP).await, 5);

    server.kill();
    assert_eq!(served(&[&one, &other], IP).await, 0, "what was given is given");
    assert!(served(&[&one], "203.0.113.8").await <= 2);

    server.restart().await;
    let counted = async || matches!(server.tell(&["DBSIZE"]).await, redis::Value::Int(1..));
    eventually(&one, counted).await;
    eventually(&other, async || ask(&other, "198.51.100.1").await.status() == 429).await;
    assert_eq!(served(&[&one, &other], "203.0.113.9").await, 5, "together again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_does_not_answer_costs_nobody_much_time_and_opens_nothing() {
    let Some(server) = Server::start().await else { return };
    let app = TestApp::start().await;
    let mut took = Vec::new();
    while took.last().is_none_or(|last| *last >= Duration::from_millis(500)) {
        assert!(took.len() < 10, "{took:?}");
        let ip = format!("203.0.113.{}", took.len());
        server.answers().await;
        let [one, other] = two(&app, &server, 50).await;
        // Fewer, if Redis is as slow as that on this machine.
        assert!(served(&[&one], &ip).await <= 5);

        server.tell(&["CLIENT", "PAUSE", "3000", "ALL"]).await;
        let began = Instant::now();
        assert_eq!(served(&[&one, &other], &ip).await, 0);
        took.push(began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_everything_gives_one_more_quota_and_not_two() {
    let Some(server) = Server::start().await else { return };
    let app = TestApp::start().await;
    let [one, other] = two(&app, &server, PATIENT).await;
    assert_eq!(served(&[&one, &other], IP).await, 5);
    server.tell(&["FLUSHALL"]).await;
    server.tell(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(served(&[&one, &other], IP).await, 5);
    assert_eq!(served(&[&one, &other], IP).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_refuses_to_write_leaves_each_its_share() {
    let Some(server) = Server::start().await else { return };
    let app = TestApp::start().await;
    let [one, _] = two(&app, &server, PATIENT).await;
    let key = format!("rate-limit:{{{IP}}}:project-writes");
    let cases: [(&[&str], &[&str]); 3] = [
        (&["RPUSH", &key, "no number"], &["DEL", &key]),
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]),
    ];
    let mut given = 0;
    for (breaking, mending) in cases {
        server.tell(breaking).await;
        given += served(&[&one], IP).await;
        server.tell(mending).await;
    }
    assert_eq!(given, 2, "the share of one of two, once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_count_the_calls_in_flight_of_an_org_together_until_they_end() {
    let Some(server) = Server::start().await else { return };
    let app = TestApp::start().await;
    let [one, other] = two(&app, &server, PATIENT).await;
    let credential = Credential::Session(Uuid::nil());
    let (user, org, role) = (Id::new(), Id::new(), Role::Owner);
    let caller = Caller { user, org, role, tier: Tier::Free, credential };

    let begun = [&one, &other].into_iter().cycle().take(12).map(|it| chat(it, &caller));
    let mut open = join_all(begun).await;
    open.retain(|answer| answer.status() == 200);
    assert_eq!(open.len(), 5, "five at once on both together");

    let dropped = open.pop();
    assert_eq!(chat(&other, &caller).await.status(), 429);
    drop(dropped);
    let key = format!("rate-limit:{{{org}}}:calls-at-once");
    let four = async || server.tell(&["ZCARD", &key]).await == redis::Value::Int(4);
    eventually(&one, four).await;
    assert_eq!(chat(&other, &caller).await.status(), 200);
}

#[tokio::test]
async fn the_health_check_says_when_redis_does_not_count() {
    let Some(mut server) = Server::start().await else { return };
    let url = server.url();
    let app =
        TestApp::start_with(|settings| settings.rate_limit.redis_url = Some(url.into())).await;
    let status = async || app.anonymous().get("/health").await.body["checks"]["redis"].take();
    assert_eq!(status().await[0]["status"], "pass");
    server.kill();
    app.advance(chrono::TimeDelta::minutes(1));
    assert_eq!(status().await[0]["status"], "warn");
    assert_eq!(app.anonymous().get("/health/ready").await.status, 200);
}
