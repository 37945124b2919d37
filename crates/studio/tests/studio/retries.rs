use serde_json::json;
use simulators::ai::Fault;

use crate::{asked, briefs, charged, made, order, prompts, start};

#[tokio::test]
async fn a_step_whose_answer_was_lost_waits_for_its_person() {
    let (app, owner) = start().await;
    app.simulators.ai.next(Fault::Reset);
    let path = made(&app, &owner, "A slogan").await;
    app.run_jobs().await;
    assert_eq!(asked(&app), 1, "it is not asked again by itself");
    let creation = owner.get(&path).await.ok();
    assert_eq!(
        (&creation["status"], &creation["steps"][0]["status"]),
        (&json!("failed"), &json!("unknown"))
    );

    let early = owner.post(&format!("{path}/steps/result/retries"), json!({})).await;
    assert_eq!(early.problem(), (409, "step_not_ready".into()));
    owner.post(&format!("{path}/steps/plan/retries"), json!({})).await.ok();
    app.run_jobs().await;
    let creation = owner.get(&path).await.ok();
    assert_eq!(creation["status"], "succeeded", "{creation}");
    assert_eq!(creation["steps"][0]["attempt"], 2);
    assert_eq!((asked(&app), charged(&app).await), (3, (2, 1)));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn of_two_retries_at_once_one_is_made() {
    let (app, owner) = start().await;
    app.simulators.ai.next(Fault::Status { status: 400, retry_after: None });
    let path = made(&app, &owner, "A slogan").await;
    let retries = format!("{path}/steps/plan/retries");

    let (one, other) =
        tokio::join!(owner.post(&retries, json!({})), owner.post(&retries, json!({})));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409], "{one:?} {other:?}");
    app.run_jobs().await;
    assert_eq!(charged(&app).await, (2, 0));
    assert_eq!(asked(&app), 3);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_result_follows_a_plan_of_ones_own() {
    let (app, owner) = start().await;
    let path = made(&app, &owner, "A slogan").await;
    let result = format!("{path}/steps/result/retries");
    owner.put(&format!("{path}/rating"), json!({ "stars": 1, "note": "Dull" })).await.ok();
    owner.post(&result, json!({ "plan": "Only four words." })).await.ok();
    let waiting = owner.get(&path).await.ok();
    assert_eq!((&waiting["status"], &waiting["quality"]), (&json!("queued"), &json!(null)));
    assert_eq!(waiting["stars"], json!(null), "what is not there yet is not rated");
    app.run_jobs().await;

    let asked = prompts(&app);
    assert_eq!(asked.len(), 3, "the plan is not made anew");
    assert_eq!(asked[2][2]["content"], "Only four words.");
    let made = owner.get(&path).await.ok();
    assert_eq!(
        (&made["status"], &made["steps"][0]["output"]),
        (&json!("succeeded"), &json!("Only four words."))
    );

    let twice = owner.post(&format!("{path}/steps/plan/retries"), json!({ "plan": "x" })).await;
    assert_eq!(twice.problem(), (422, "invalid_field".into()));
    let none = owner.post(&format!("{path}/steps/end/retries"), json!({})).await;
    assert_eq!(none.problem().0, 404);
}

/// What another process had begun, whose answer nobody can know.
#[tokio::test]
async fn a_step_that_was_found_asked_is_not_asked_again() {
    let (app, owner) = start().await;
    let (job, creations) = order(&owner, briefs(&["A slogan"])).await;
    let asked_before =
        "update creation_steps set status = 'asked', attempt = 1 where step = 'plan'";
    sqlx::query(asked_before).execute(app.db.pool()).await.unwrap();
    app.run_jobs().await;
    assert_eq!(asked(&app), 0);
    assert_eq!(owner.get(&job).await.ok()["problem"]["code"], "outcome_unknown");
    assert_eq!(owner.get(&creations[0]).await.ok()["steps"][0]["status"], "unknown");
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again_at_the_step_where_it_was() {
    let (app, owner) = start().await;
    let whom = simulators::ai::Whom::Model("gpt-4o-mini".to_owned());
    let (job, creations) = order(&owner, briefs(&["A slogan"])).await;
    app.simulators.ai.always(whom, Fault::Status { status: 503, retry_after: None });
    app.run_jobs().await;
    let waiting = owner.get(&creations[0]).await.ok();
    assert_eq!(
        (&waiting["status"], &waiting["steps"][0]["status"]),
        (&json!("queued"), &json!("failed"))
    );

    app.simulators.ai.recover();
    app.advance(chrono::TimeDelta::minutes(2));
    let due = "update graphile_worker._private_jobs set run_at = now() where run_at > now()";
    sqlx::query(due).execute(app.db.pool()).await.unwrap();
    app.run_jobs().await;
    assert_eq!(owner.get(&job).await.ok()["status"], "succeeded");
    assert_eq!(owner.get(&creations[0]).await.ok()["status"], "succeeded");
    assert_eq!(charged(&app).await, (2, 0));
    app.assert_books_balance().await;
}
