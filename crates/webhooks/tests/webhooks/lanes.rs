use std::time::{Duration, Instant};

use testing::{Client, TestApp};
use tokio::time::timeout;

use crate::{count, happen, listen};

const EVENTS: i64 = 1000;
const LONG: Duration = Duration::from_mins(2);

/// How long the events take to one endpoint that answers at once.
async fn time_to_deliver(app: &TestApp, owner: &Client, path: &str) -> Duration {
    let began = Instant::now();
    happen(app, owner, EVENTS).await;
    let all = usize::try_from(EVENTS).unwrap();
    timeout(LONG, app.simulators.sink.wait_for(path, all)).await.expect("all of them arrive");
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_and_a_slow_endpoint_do_not_hold_up_a_fast_one() {
    let app = TestApp::start().await;
    let (alone, owner) = (app.owner().await, app.owner().await);
    listen(&app, &alone, "/alone").await;
    listen(&app, &owner, "/fast").await;
    listen(&app, &owner, "/slow").await;
    listen(&app, &owner, "/dead").await;
    app.simulators.sink.hold("/slow");
    app.simulators.sink.reply("/dead", 500);
    let _worker = app.start_worker().await;

    let by_itself = time_to_deliver(&app, &alone, "/alone").await;
    let among_others = time_to_deliver(&app, &owner, "/fast").await;

    println!(
        "1,000 events alone {by_itself:?}, beside a dead and a slow endpoint {among_others:?}"
    );
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
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for n in 0..9 {
        listen(&app, &owner, &format!("/slow/{n}")).await;
        app.simulators.sink.hold(&format!("/slow/{n}"));
    }
    // They are known to be slow.
    crate::execute(&app, "update webhook_endpoints set slow = true").await;
    listen(&app, &owner, "/fast").await;
    let _worker = app.start_worker().await;

    happen(&app, &owner, 100).await;
    timeout(LONG, app.simulators.sink.wait_for("/fast", 100)).await.expect("it is not held up");

    let begun: Vec<_> = (0..9)
        .map(|n| app.simulators.sink.received(&format!("/slow/{n}")).len())
        .filter(|it| *it > 0)
        .collect();
    assert!(begun.len() <= 2, "{begun:?}: a quarter of ten jobs is for slow ones");
    (0..9).for_each(|n| app.simulators.sink.release(&format!("/slow/{n}")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_workers_there_are_an_endpoint_sees_so_many_at_a_time() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/a").await;
    app.simulators.sink.hold("/a");
    let _workers = (app.start_worker().await, app.start_worker().await, app.start_worker().await);
    happen(&app, &owner, 50).await;
    timeout(LONG, app.simulators.sink.wait_for("/a", 5)).await.unwrap();
    // Whoever else wants to deliver has been turned away by then.
    let nothing_queued = "select count(*) from graphile_worker.jobs
                          where run_at <= now() and locked_at is null";
    while count(&app, nothing_queued).await > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(app.simulators.sink.received("/a").len(), 5);
    app.simulators.sink.release("/a");
    timeout(LONG, app.simulators.sink.wait_for("/a", 50)).await.expect("and then the rest");
    let mut ids: Vec<_> = app.simulators.sink.received("/a");
    ids.sort_by_key(|it| it.headers["webhook-id"].clone());
    ids.dedup_by_key(|it| it.headers["webhook-id"].clone());
    assert_eq!(ids.len(), 50, "each once");
}
