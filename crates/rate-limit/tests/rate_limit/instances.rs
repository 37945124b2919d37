//! Several instances over one Postgres, without Redis.

use testing::TestApp;

use crate::support::{instance, served};

const IP: &str = "203.0.113.7";

#[tokio::test]
async fn alone_an_instance_gives_the_whole_quota() {
    let app = TestApp::start().await;
    let alone = instance(&app);
    alone.beat().await.unwrap();
    assert_eq!(served(&[&alone], IP).await, 5);
}

#[tokio::test]
async fn one_that_joins_gives_nothing_that_another_may_have_given() {
    let app = TestApp::start().await;
    let (first, second) = (instance(&app), instance(&app));
    first.beat().await.unwrap();
    assert_eq!(served(&[&first], IP).await, 5);
    second.beat().await.unwrap();
    assert_eq!(served(&[&first, &second], IP).await, 0, "the first has not noticed");
    first.beat().await.unwrap();
    assert_eq!(served(&[&first, &second], IP).await, 0);
}

#[tokio::test]
async fn of_two_that_begin_at_once_not_both_are_alone() {
    let app = TestApp::start().await;
    let (one, other) = (instance(&app), instance(&app));
    let (first, second) = tokio::join!(one.beat(), other.beat());
    first.and(second).unwrap();
    assert!(served(&[&one, &other], IP).await <= 5);
}

#[tokio::test]
async fn once_it_noticed_an_instance_gives_its_share() {
    let app = TestApp::start().await;
    let (first, second) = (instance(&app), instance(&app));
    first.beat().await.unwrap();
    second.beat().await.unwrap();
    first.beat().await.unwrap();
    assert_eq!(served(&[&first], IP).await, 2, "five by two");
}

#[tokio::test]
async fn what_a_dead_instance_may_have_given_comes_back_with_time() {
    let app = TestApp::start().await;
    let (first, dying) = (instance(&app), instance(&app));
    first.beat().await.unwrap();
    dying.beat().await.unwrap();
    first.beat().await.unwrap();
    sqlx::query("update instances set expires_at = now() - interval '1 second'")
        .execute(app.db.pool())
        .await
        .unwrap();
    first.beat().await.unwrap();
    assert_eq!(served(&[&first], IP).await, 2, "half of five at once, and then the whole rate");
    let left: i64 = sqlx::query_scalar("select count(*) from instances")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(left, 1);
}
