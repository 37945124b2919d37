use serde_json::json;
use tokio::time::timeout;

use crate::support::{Costly, Echo, PATIENCE, Wait, World, pause};

#[tokio::test]
async fn an_org_with_hundreds_of_jobs_does_not_delay_the_one_job_of_another() {
    let world = World::start().await;
    let (busy, other, third) =
        (world.app.owner().await, world.app.owner().await, world.app.owner().await);
    for _ in 0..300 {
        world.queue(&busy, &[Echo::item("busy")]).await;
    }
    world.queue(&other, &[Echo::item("other")]).await;
    world.queue(&third, &[Echo::item("third")]).await;
    world.queue(&third, &[Echo::item("third")]).await;

    world.run().await;

    let said = world.said();
    assert_eq!(said.len(), 303);
    let turns = &said[..6];
    assert!(turns.contains(&"other".to_owned()), "{turns:?}");
    assert_eq!(turns.iter().filter(|it| *it == "third").count(), 2, "{turns:?}");
}

#[tokio::test]
async fn a_single_org_has_as_much_running_as_it_may_and_no_more() {
    let mut world = World::start_with(&["--jobs-slow-concurrency=4"]).await;
    let (busy, other) = (world.app.owner().await, world.app.owner().await);
    for _ in 0..4 {
        world.queue(&busy, &[Wait("busy".into())]).await;
    }
    let worker = world.work();
    assert_eq!([world.next().await, world.next().await], ["busy", "busy"]);

    // The tickets of the other two have come up in vain; one that comes now is served at once.
    world.queue(&other, &[Wait("other".into())]).await;
    assert_eq!(world.next().await, "other");
    let running = "select count(*) from jobs where status = 'running' and org_id = $1";
    let count: i64 =
        sqlx::query_scalar(running).bind(busy.org()).fetch_one(world.app.db.pool()).await.unwrap();
    assert_eq!(count, 2);

    world.go(3);
    for _ in 0..2 {
        assert_eq!(world.next().await, "busy", "whoever ends lets the next begin");
    }
    world.go(2);
    testing::eventually("all are done", async || {
        busy.get("/v1/jobs?status=succeeded").await.ok()["items"].as_array().unwrap().len() == 4
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_big_job_makes_room_for_the_job_of_another_org() {
    let flags = ["--org-jobs-turn-seconds=0", "--jobs-slow-concurrency=1"];
    let mut world = World::start_with(&flags).await;
    let (busy, other) = (world.app.owner().await, world.app.owner().await);
    let big = world.queue(&busy, &["a", "b", "c"].map(|it| Wait(it.into()))).await;
    let worker = world.work();
    assert_eq!(world.next().await, "a");
    world.queue(&other, &[Wait("other".into())]).await;

    for next in ["other", "b", "c"] {
        world.go(1);
        assert_eq!(world.next().await, next);
    }
    world.go(1);
    let job = world.until(&busy, big, |job| job["status"] == "succeeded").await;
    assert_eq!((&job["succeeded"], &job["failed"]), (&json!(3), &json!(0)));
    worker.stop().await;
}

#[tokio::test]
async fn what_a_worker_that_stops_has_not_begun_is_left_for_the_next() {
    let mut world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &["a", "b", "c"].map(|it| Costly(it.into()))).await;
    let worker = world.work();
    assert_eq!(world.next().await, "a");
    worker.tell_to_stop();
    world.go(1);
    worker.stop().await;

    assert!(world.started.try_recv().is_err(), "the next item was begun");
    let job = owner.get(&format!("/v1/jobs/{id}")).await.ok();
    assert_eq!((&job["status"], &job["succeeded"]), (&json!("queued"), &json!(1)));

    let worker = world.work();
    for next in ["b", "c"] {
        assert_eq!(world.next().await, next);
        world.go(1);
    }
    let job = world.until(&owner, id, |job| job["status"] == "succeeded").await;
    assert_eq!((&job["succeeded"], &job["failed"]), (&json!(3), &json!(0)));
    worker.stop().await;
}

#[tokio::test]
async fn jobs_that_have_one_ticket_left_between_them_all_get_their_turn() {
    let mut world = World::start_with(&["--jobs-slow-concurrency=4"]).await;
    let owner = world.app.owner().await;
    let jobs = [
        world.queue(&owner, &[Wait("a".into())]).await,
        world.queue(&owner, &[Wait("b".into())]).await,
    ];
    // What two jobs leave that ended at the same time: each saw the ticket that the other took.
    let lost = "delete from graphile_worker._private_jobs
                where id = (select min(id) from graphile_worker._private_jobs)";
    let lost = sqlx::query(lost).execute(world.app.db.pool()).await.unwrap();
    assert_eq!(lost.rows_affected(), 1);

    let worker = world.work();
    let mut begun = [world.next().await, world.next().await];
    begun.sort();
    assert_eq!(begun, ["a", "b"], "two tickets, taken side by side, in whichever order");
    world.go(2);
    for id in jobs {
        world.until(&owner, id, |job| job["status"] == "succeeded").await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn two_workers_do_each_job_once() {
    let world = World::start_with(&["--org-jobs-running=100"]).await;
    let owner = world.app.owner().await;
    for number in 0..60 {
        world.queue(&owner, &[Echo::item(&number.to_string())]).await;
    }
    let workers = [world.work(), world.work()];
    let done = async || -> i64 {
        sqlx::query_scalar("select count(*) from jobs where status = 'succeeded'")
            .fetch_one(world.app.db.pool())
            .await
            .unwrap()
    };
    let all = async {
        while done().await < 60 {
            pause().await;
        }
    };
    timeout(PATIENCE, all).await.expect("every job is done");
    for worker in workers {
        worker.stop().await;
    }
    let mut said: Vec<u32> = world.said().iter().map(|it| it.parse().unwrap()).collect();
    said.sort_unstable();
    assert_eq!(said, (0..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_kind_that_no_process_knows_waits_and_holds_up_nobody() {
    let world = World::start().await;
    let owner = world.app.owner().await;
    let unknown = world.queue(&owner, &[Echo::item("a")]).await;
    sqlx::query("update jobs set kind = 'test.unknown'")
        .execute(world.app.db.pool())
        .await
        .unwrap();
    world.queue(&owner, &[Echo::item("b")]).await;

    world.run().await;

    assert_eq!(world.said(), ["b"]);
    let job = owner.get(&format!("/v1/jobs/{unknown}")).await.ok();
    assert_eq!(job["status"], json!("queued"));
}
