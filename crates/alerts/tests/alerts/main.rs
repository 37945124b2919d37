//! Who is told of what, and how often.

mod channels;
mod rules;
mod support;

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::json;

use support::World;

#[tokio::test]
async fn an_alert_is_told_once_and_once_more_when_it_is_over() {
    let world = World::start().await;
    world.break_a_rule().await;
    for _ in 0..3 {
        world.evaluate().await;
    }
    assert_eq!(world.receiver.kinds(), ["alert.firing"]);
    let open = world.operator.get("/admin/v1/alerts?resolved=false").await.ok();
    let alert = &open["items"][0];
    assert_eq!((&alert["rule"], &alert["value"]), (&json!("dead_letters"), &json!(1)));

    world.mend_the_rule().await;
    world.evaluate().await;
    assert_eq!(world.receiver.kinds(), ["alert.firing"], "it may come back yet");
    world.app.advance(TimeDelta::minutes(5));
    world.evaluate().await;
    world.evaluate().await;

    assert_eq!(world.receiver.kinds(), ["alert.firing", "alert.resolved"]);
    let over = world.operator.get("/admin/v1/alerts?resolved=true").await.ok();
    assert_eq!(over["items"][0]["id"], alert["id"]);
    let subjects: Vec<_> = world.mails().await;
    assert_eq!(
        subjects,
        [
            "Alert: Background jobs have failed for good",
            "Resolved: Background jobs have failed for good"
        ]
    );
}

#[tokio::test]
async fn what_comes_and_goes_is_one_alert() {
    let world = World::start().await;
    for _ in 0..3 {
        world.break_a_rule().await;
        world.evaluate().await;
        world.mend_the_rule().await;
        world.app.advance(TimeDelta::minutes(1));
        world.evaluate().await;
        world.app.advance(TimeDelta::minutes(1));
    }
    assert_eq!(world.receiver.kinds(), ["alert.firing"]);
}

#[tokio::test]
async fn an_alert_that_lasts_is_told_again_after_a_while() {
    let world = World::start().await;
    world.break_a_rule().await;
    world.evaluate().await;
    world.app.advance(TimeDelta::minutes(239));
    world.evaluate().await;
    assert_eq!(world.receiver.kinds(), ["alert.firing"]);
    world.app.advance(TimeDelta::minutes(1));
    world.evaluate().await;
    world.evaluate().await;
    assert_eq!(world.receiver.kinds(), ["alert.firing", "alert.reminder"]);
}

#[tokio::test]
async fn instances_that_look_at_the_same_time_tell_once() {
    let world = World::start().await;
    world.break_a_rule().await;
    for _ in 0..5 {
        world.queue_evaluation().await;
    }
    join_all((0..5).map(|_| world.app.run_jobs())).await;
    assert_eq!(world.receiver.kinds(), ["alert.firing"]);
    let all: i64 = sqlx::query_scalar("select count(*) from alerts")
        .fetch_one(world.app.db.pool())
        .await
        .unwrap();
    assert_eq!(all, 1);
}

#[tokio::test]
async fn what_is_silenced_is_told_when_the_silence_ends_if_it_lasts() {
    let world = World::start().await;
    let until = world.app.clock.now() + TimeDelta::minutes(10);
    let silence = json!({ "rule": "dead_letters", "until": until, "reason": "We know" });
    let made = world.operator.post("/admin/v1/alert-silences", silence).await;
    assert_eq!(made.status, 201);
    world.break_a_rule().await;
    world.evaluate().await;
    assert_eq!(world.receiver.kinds(), [""; 0]);
    assert_eq!(world.mails().await, [""; 0]);

    world.app.advance(TimeDelta::minutes(10));
    world.evaluate().await;
    assert_eq!(world.receiver.kinds(), ["alert.firing"]);
    let log = world.operator.get("/admin/v1/audit-log?action=alert_silence.begun").await.ok();
    assert_eq!(log["items"][0]["after"]["reason"], "We know");
}

#[tokio::test]
async fn an_alert_that_ends_during_a_silence_is_told_to_be_over() {
    let world = World::start().await;
    world.break_a_rule().await;
    world.evaluate().await;
    let until = world.app.clock.now() + TimeDelta::days(1);
    let silence = json!({ "until": until, "reason": "We are at it" });
    world.operator.post("/admin/v1/alert-silences", silence).await.ok();
    world.mend_the_rule().await;
    world.evaluate().await;
    world.app.advance(TimeDelta::minutes(5));
    world.evaluate().await;
    assert_eq!(world.receiver.kinds(), ["alert.firing", "alert.resolved"]);
}

#[tokio::test]
async fn a_silence_of_everything_can_be_ended_early() {
    let world = World::start().await;
    let until = world.app.clock.now() + TimeDelta::days(1);
    let silence = json!({ "until": until, "reason": "Migration" });
    let made = world.operator.post("/admin/v1/alert-silences", silence).await.ok();
    world.break_a_rule().await;
    world.evaluate().await;
    let path = format!("/admin/v1/alert-silences/{}", made["id"].as_str().unwrap());
    assert_eq!(world.operator.delete(&path).await.status, 204);
    assert_eq!(world.operator.delete(&path).await.problem(), (404, "silence_not_found".into()));
    assert_eq!(world.operator.get("/admin/v1/alert-silences").await.ok(), json!([]));
    world.evaluate().await;
    assert_eq!(world.receiver.kinds(), ["alert.firing"]);
}

#[tokio::test]
async fn a_silence_that_makes_no_sense_is_refused() {
    let world = World::start().await;
    let now = world.app.clock.now();
    for silence in [
        json!({ "until": now, "reason": "r" }),
        json!({ "until": now + TimeDelta::days(31), "reason": "r" }),
        json!({ "until": now + TimeDelta::days(1), "reason": " " }),
        json!({ "until": now + TimeDelta::days(1), "reason": "r", "rule": "moon" }),
    ] {
        let refused = world.operator.post("/admin/v1/alert-silences", silence).await;
        assert_eq!(refused.problem(), (422, "invalid_field".into()));
    }
}
