use chrono::TimeDelta;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Costly, Echo, Running, Wait, World};

#[tokio::test]
async fn what_may_pass_is_tried_again_later_and_only_that() {
    let world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Echo::item("a"), Echo::passing("b", 2)]).await;
    world.run().await;
    let job = owner.get(&format!("/v1/jobs/{id}")).await.ok();
    assert_eq!((&job["status"], &job["percent"]), (&json!("queued"), &json!(50)));
    world.run_all().await;
    assert_eq!(world.said(), ["a", "b"], "its pause is not over");

    for pause in [15, 60] {
        world.app.advance(TimeDelta::seconds(pause));
        wake(&world).await;
    }
    assert_eq!(world.said(), ["a", "b", "b", "b"]);
    let job = owner.get(&format!("/v1/jobs/{id}")).await.ok();
    assert_eq!((&job["status"], &job["succeeded"]), (&json!("succeeded"), &json!(2)));
}

#[tokio::test]
async fn what_failed_waits_for_its_pause_while_the_rest_goes_on_turn_by_turn() {
    let world = World::start_with(&["--org-jobs-turn-seconds=0"]).await;
    let owner = world.app.owner().await;
    let items = [Echo::passing("a", 1), Echo::item("b"), Echo::item("c")];
    let id = world.queue(&owner, &items).await;
    world.run_all().await;
    assert_eq!(world.said(), ["a", "b", "c"]);

    world.app.advance(TimeDelta::seconds(15));
    wake(&world).await;
    assert_eq!(world.said(), ["a", "b", "c", "a"]);
    assert_eq!(owner.get(&format!("/v1/jobs/{id}")).await.ok()["status"], "succeeded");
}

#[tokio::test]
async fn what_never_passes_is_given_up() {
    let world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Echo::passing("a", 99)]).await;
    world.run().await;
    for _ in 0..6 {
        world.app.advance(TimeDelta::hours(2));
        wake(&world).await;
    }
    assert_eq!(world.said(), ["a"; 5]);
    // Their session is over by now.
    let ended: (String, serde_json::Value) = sqlx::query_as(
        "select j.status, i.problem from jobs j join job_items i on i.job_id = j.id where j.id = $1",
    )
    .bind(id)
    .fetch_one(world.app.db.pool())
    .await
    .unwrap();
    assert_eq!((ended.0.as_str(), &ended.1["code"]), ("failed", &json!("unavailable")));
}

/// What the sweep does every minute, and what comes of it.
async fn wake(world: &World) {
    let sweep = "select graphile_worker.add_job('org_jobs.sweep', '{\"job\": {}}')";
    sqlx::query(sweep).execute(world.app.db.pool()).await.unwrap();
    world.run_all().await;
    world.run_all().await;
}

/// Leaves behind what a worker does that was killed in the middle of every item.
async fn kill(worker: &Running, db: &PgPool) {
    // Or it might fetch its own job again before another does.
    worker.tell_to_stop();
    sqlx::raw_sql(
        "update graphile_worker._private_jobs set locked_by = null, locked_at = null, attempts = 1, run_at = now()
             where locked_at is not null;
         delete from graphile_worker._private_workers",
    )
    .execute(db)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_job_whose_worker_was_killed_goes_on_where_it_was() {
    let mut world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Wait("a".into()), Wait("b".into())]).await;
    let dead = world.work();
    world.next().await;
    world.go(1);
    assert_eq!(world.next().await, "b");
    kill(&dead, world.app.db.pool()).await;

    let worker = world.work();
    assert_eq!(world.next().await, "b", "what was done is not done again");
    // The one that was taken for dead comes to life again: it has no say any more.
    world.go(2);
    let job = world.until(&owner, id, |job| job["status"] == "succeeded").await;
    assert_eq!((&job["succeeded"], &job["failed"]), (&json!(2), &json!(0)));
    worker.stop().await;
    dead.stop().await;
    assert_eq!(owner.get(&format!("/v1/jobs/{id}")).await.ok()["revision"], job["revision"]);
}

#[tokio::test]
async fn an_item_that_must_not_be_begun_twice_is_not() {
    let mut world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Costly("a".into()), Costly("b".into())]).await;
    let dead = world.work();
    world.next().await;
    kill(&dead, world.app.db.pool()).await;

    let worker = world.work();
    assert_eq!(world.next().await, "b");
    world.go(2);
    world.until(&owner, id, |job| job["status"] == "succeeded").await;
    let items = owner.get(&format!("/v1/jobs/{id}/items")).await.ok();
    assert_eq!(items[0]["problem"]["code"], "outcome_unknown");
    assert_eq!(items[1]["status"], "succeeded");
    worker.stop().await;
    dead.stop().await;
}

#[tokio::test]
async fn a_job_whose_workers_die_again_and_again_is_given_up() {
    let mut world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Wait("a".into())]).await;
    let dead = world.work();
    world.next().await;
    let spent = "update graphile_worker._private_jobs
                 set locked_by = null, locked_at = null, attempts = max_attempts";
    sqlx::query(spent).execute(world.app.db.pool()).await.unwrap();

    wake(&world).await;
    // The worker that is taken for dead may have fetched the sweep.
    let job = world.until(&owner, id, |job| job["status"] == "failed").await;
    assert_eq!(job["problem"]["code"], json!("job_lost"));
    world.go(1);
    dead.stop().await;
    assert_eq!(owner.get(&format!("/v1/jobs/{id}")).await.ok(), job);
}

#[tokio::test]
async fn a_job_whose_ticket_was_lost_is_found() {
    let world = World::start().await;
    let owner = world.app.owner().await;
    world.queue(&owner, &[Echo::item("a")]).await;
    world.queue(&owner, &[Echo::item("b")]).await;
    sqlx::query("delete from graphile_worker._private_jobs")
        .execute(world.app.db.pool())
        .await
        .unwrap();
    wake(&world).await;
    assert_eq!(world.said(), ["a", "b"]);
}

#[tokio::test]
async fn jobs_are_forgotten_after_a_week() {
    let world = World::start().await;
    let owner = world.app.owner().await;
    let id = world.queue(&owner, &[Echo::item("a")]).await;
    world.run().await;
    let purge = async || {
        let purge = "select graphile_worker.add_job('org_jobs.purge', '{\"job\": {}}')";
        sqlx::query(purge).execute(world.app.db.pool()).await.unwrap();
        world.run().await;
        let left = sqlx::query_scalar::<_, i64>("select count(*) from jobs where id = $1").bind(id);
        left.fetch_one(world.app.db.pool()).await.unwrap()
    };
    assert_eq!(purge().await, 1);
    world.app.advance(TimeDelta::days(8));
    assert_eq!(purge().await, 0);
}
