use std::{
    future::Future,
    time::{Duration, Instant},
};

use futures::future::join_all;
use serde_json::json;
use testing::{Client, TestApp, eventually, in_time};
use tokio::time::timeout;

use crate::{count, deliver, execute, happen, listen, path, taken_over, value};

const EVENTS: i64 = 1000;

/// The product, with more patience for receivers than a test takes on a busy machine.
fn patient() -> impl Future<Output = TestApp> {
    TestApp::start_with(|settings| settings.webhooks.webhooks_timeout_seconds = 600)
}

/// How long that many more events take to one endpoint that answers at once.
async fn time_to_deliver(app: &TestApp, owner: &Client, path: &str) -> Duration {
    let before = app.simulators.sink.received(path).len();
    let began = Instant::now();
    happen(app, owner, EVENTS).await;
    let all = before + usize::try_from(EVENTS).unwrap();
    in_time("all of them arrive", app.simulators.sink.wait_for(path, all)).await;
    began.elapsed()
}

/// Whether the fast one takes at most twice as long beside others as alone. On a machine that does other things
/// meanwhile the better of three times tells.
async fn is_as_fast_beside_others(app: &TestApp, alone: &Client, owner: &Client) -> bool {
    for _ in 0..3 {
        let by_itself = time_to_deliver(app, alone, "/alone").await;
        let among_others = time_to_deliver(app, owner, "/fast").await;
        println!(
            "1,000 events alone {by_itself:?}, beside a dead and a slow endpoint {among_others:?}"
        );
        if among_others <= 2 * by_itself {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_and_a_slow_endpoint_do_not_hold_up_a_fast_one() {
    let app = patient().await;
    let (alone, owner) = (app.owner().await, app.owner().await);
    listen(&app, &alone, "/alone").await;
    listen(&app, &owner, "/fast").await;
    listen(&app, &owner, "/slow").await;
    listen(&app, &owner, "/dead").await;
    app.simulators.sink.hold("/slow");
    app.simulators.sink.reply("/dead", 500);
    let _worker = app.start_worker().await;

    assert!(is_as_fast_beside_others(&app, &alone, &owner).await);

    // What the others were given while the fast one got everything.
    assert_eq!(app.simulators.sink.received("/slow").len(), 5, "no more at a time than allowed");
    let dead = app.simulators.sink.received("/dead").len();
    assert!(dead <= 7, "{dead} were sent to an endpoint that takes none");
    let waiting = "select count(*) from webhook_deliveries where status = 'pending'";
    assert!(count(&app, waiting).await >= 2 * EVENTS - 1, "they are kept");
    app.simulators.sink.release("/slow");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_endpoints_leave_room_for_others_however_many_they_are() {
    let app = patient().await;
    let owner = app.owner().await;
    for n in 0..9 {
        listen(&app, &owner, &format!("/slow/{n}")).await;
        app.simulators.sink.hold(&format!("/slow/{n}"));
    }
    // They are known to be slow.
    execute(&app, "update webhook_endpoints set slow = true").await;
    listen(&app, &owner, "/fast").await;
    let _worker = app.start_worker().await;

    happen(&app, &owner, 100).await;
    in_time("it is not held up", app.simulators.sink.wait_for("/fast", 100)).await;

    let begun: Vec<_> = (0..9)
        .map(|n| app.simulators.sink.received(&format!("/slow/{n}")).len())
        .filter(|it| *it > 0)
        .collect();
    assert!(begun.len() <= 2, "{begun:?}: a quarter of ten jobs is for slow ones");
    (0..9).for_each(|n| app.simulators.sink.release(&format!("/slow/{n}")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_workers_there_are_an_endpoint_sees_so_many_at_a_time() {
    let app = patient().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/a").await;
    app.simulators.sink.hold("/a");
    let _workers = (app.start_worker().await, app.start_worker().await, app.start_worker().await);
    happen(&app, &owner, 50).await;
    in_time("it gets as many as it may", app.simulators.sink.wait_for("/a", 5)).await;
    // Whoever else wants to deliver has been turned away by then.
    let nothing_queued = "select count(*) from graphile_worker.jobs
                          where run_at <= now() and locked_at is null";
    eventually("nobody else wants to", async || count(&app, nothing_queued).await == 0).await;
    assert_eq!(app.simulators.sink.received("/a").len(), 5);
    app.simulators.sink.release("/a");
    in_time("and then the rest", app.simulators.sink.wait_for("/a", 50)).await;
    let mut ids: Vec<_> = app.simulators.sink.received("/a");
    ids.sort_by_key(|it| it.headers["webhook-id"].clone());
    ids.dedup_by_key(|it| it.headers["webhook-id"].clone());
    assert_eq!(ids.len(), 50, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_endpoints_take_turns_if_there_are_more_of_them_than_places() {
    // One place.
    let app = TestApp::start_with(|settings| settings.jobs.jobs_concurrency = 2).await;
    let owner = app.owner().await;
    let paths = ["/0", "/1", "/2"];
    for path in paths {
        listen(&app, &owner, path).await;
    }
    let _worker = app.start_worker().await;
    let busiest = "select min(waiting) from (
                       select count(d.event_id) filter (where d.status = 'pending') as waiting
                       from webhook_endpoints n left join webhook_deliveries d on d.endpoint_id = n.id
                       group by n.id) it";
    let all = || join_all(paths.map(|path| app.simulators.sink.wait_for(path, 1)));
    let feed = async {
        // None ever runs dry, so that only turns help.
        while timeout(Duration::from_millis(100), all()).await.is_err() {
            if count(&app, busiest).await < 300 {
                happen(&app, &owner, 300).await;
            }
        }
    };
    in_time("each gets its turn", feed).await;
}

#[tokio::test]
async fn a_lane_that_fails_is_free_for_the_next_at_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/a").await;
    happen(&app, &owner, 1).await;
    execute(&app, "alter table webhook_attempts rename to mislaid").await;
    app.run_jobs().await;
    assert_eq!(app.simulators.sink.received("/a").len(), 1);
    let taken =
        "select count(*) from webhook_endpoints where lane is not null or lane_until is not null";
    assert_eq!(count(&app, taken).await, 0);
}

#[tokio::test]
async fn a_process_whose_clock_is_a_day_ahead_takes_no_lane_that_another_works_in() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/a").await;
    app.simulators.sink.hold("/a");
    happen(&app, &owner, 1).await;
    let meanwhile = async {
        app.simulators.sink.wait_for("/a", 1).await;
        app.advance(chrono::TimeDelta::days(1));
        deliver(&app).await;
        assert_eq!(app.simulators.sink.received("/a").len(), 1);
        app.simulators.sink.release("/a");
    };
    tokio::join!(app.run_jobs(), meanwhile);
    deliver(&app).await;
    assert_eq!(app.simulators.sink.received("/a").len(), 1);
}

#[tokio::test]
async fn a_process_that_was_asleep_sends_nothing_more_in_a_lane_that_is_anothers() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/a").await;
    app.simulators.sink.hold("/a");
    happen(&app, &owner, 8).await;
    let meanwhile = async {
        app.simulators.sink.wait_for("/a", 5).await;
        taken_over(&app).await;
        app.simulators.sink.release("/a");
    };
    tokio::join!(app.run_jobs(), meanwhile);
    assert_eq!(app.simulators.sink.received("/a").len(), 5, "what it had begun");

    execute(&app, "update webhook_endpoints set lane_until = clock_timestamp()").await;
    deliver(&app).await;
    assert_eq!(app.simulators.sink.received("/a").len(), 8, "and the rest in the next lane");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_our_database_takes_is_not_the_receivers_time() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let endpoint = listen(&app, &owner, "/a").await;
    app.simulators.sink.hold("/a");
    happen(&app, &owner, 2).await;
    let meanwhile = async {
        app.simulators.sink.wait_for("/a", 2).await;
        let mut lock = app.db.begin().await.unwrap();
        sqlx::query("select from webhook_endpoints for update").execute(&mut *lock).await.unwrap();
        app.simulators.sink.release("/a");
        let waits = "select count(*) from pg_stat_activity
                     where datname = current_database() and wait_event_type = 'Lock'";
        eventually("its end waits to be noted", async || count(&app, waits).await > 0).await;
        // Longer than a receiver may take that is not slow.
        tokio::time::sleep(Duration::from_secs(5)).await;
        lock.rollback().await.unwrap();
    };
    tokio::join!(app.run_jobs(), meanwhile);
    let log = owner.get(&format!("{}/attempts", path(&endpoint))).await.ok();
    let longest = log["items"].as_array().unwrap().iter().map(|it| it["duration_ms"].as_i64());
    let longest = longest.max().flatten().unwrap();
    assert!(longest < 5000, "{log}");
    // The machine may have been so busy that the receiver did take long.
    let slow = value(&app, "select slow::text from webhook_endpoints").await.unwrap();
    assert_eq!(slow, (longest >= 2000).to_string());
    assert_eq!(log["items"][1]["status"], json!(200));
}
