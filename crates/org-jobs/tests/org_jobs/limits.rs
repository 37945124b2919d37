use axum::response::IntoResponse;
use futures::future::join_all;
use serde_json::json;
use web::Problem;

use crate::support::{Echo, World};

fn refusal(problem: &Problem) -> (u16, &'static str) {
    (problem.status.as_u16(), problem.code)
}

fn says_when_to_come_back(problem: Problem) -> bool {
    problem.into_response().headers().contains_key("retry-after")
}

#[tokio::test]
async fn parallel_callers_never_queue_more_of_an_org_than_may_wait() {
    let world = World::start_with(&["--org-jobs-waiting=5"]).await;
    let (owner, other) = (world.app.owner().await, world.app.owner().await);

    let all =
        join_all((0..20).map(|_| async { world.try_queue(&owner, &[Echo::item("a")]).await }))
            .await;
    let refused: Vec<_> = all.iter().filter_map(|it| it.as_ref().err()).map(refusal).collect();
    assert_eq!(refused, [(429, "too_many_jobs"); 15]);
    let mut refused = all.into_iter().filter_map(Result::err);
    assert!(refused.all(says_when_to_come_back));
    world.queue(&other, &[Echo::item("b")]).await;

    world.run().await;
    world.queue(&owner, &[Echo::item("c")]).await;
}

#[tokio::test]
async fn a_queue_that_is_full_refuses_everybody_for_a_while() {
    let world = World::start_with(&["--org-jobs-waiting-in-all=2"]).await;
    let (owner, other) = (world.app.owner().await, world.app.owner().await);
    sqlx::query(
        "insert into jobs (id, org_id, user_id, kind, items, created_at, not_before, expires_at)
         select gen_random_uuid(), $1, $2, 'test.echo', 1, now(), now(), now()
         from generate_series(1, 2)",
    )
    .bind(owner.org())
    .bind(owner.user())
    .execute(world.app.db.pool())
    .await
    .unwrap();

    let refused = world.try_queue(&other, &[Echo::item("a")]).await.unwrap_err();
    assert_eq!(refusal(&refused), (503, "job_queue_full"));
    assert!(refused.is_retryable() && says_when_to_come_back(refused));
}

#[tokio::test]
async fn a_job_has_items_but_not_too_many() {
    let world = World::start().await;
    let owner = world.app.owner().await;
    let many: Vec<_> = (0..10_001).map(|_| Echo::item("a")).collect();
    for items in [&many[..0], &many[..]] {
        let refused = world.try_queue(&owner, items).await.unwrap_err();
        assert_eq!(refusal(&refused), (422, "wrong_number_of_items"));
    }
    let id = world.queue(&owner, &many[1..]).await;
    assert_eq!(owner.get(&format!("/v1/jobs/{id}")).await.ok()["items"], json!(10_000));
}
