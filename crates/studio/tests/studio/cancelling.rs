use serde_json::json;
use testing::{Client, TestApp, eventually, in_time};

use crate::{asked, briefs, charged, order, start};

async fn ended(client: &Client, job: &str) {
    eventually("the job ends", async || client.get(job).await.ok()["finished_at"].is_string())
        .await;
}

async fn calls_arrive(app: &TestApp, count: usize) {
    in_time("the calls reach the provider", app.simulators.ai.wait_for_calls(count)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn called_off_what_is_asked_ends_and_is_charged_and_nothing_is_asked_after() {
    let (app, owner) = start().await;
    app.simulators.ai.hold();
    let _worker = app.start_worker().await;
    let (job, creations) = order(&owner, briefs(&["A slogan"])).await;
    calls_arrive(&app, 1).await;
    owner.put(&format!("{job}/cancellation"), json!({})).await.ok();
    app.simulators.ai.release();
    ended(&owner, &job).await;

    let creation = owner.get(&creations[0]).await.ok();
    assert_eq!(creation["status"], "cancelled", "{creation}");
    let [plan, result] = creation["steps"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&plan["status"], &result["status"]), (&json!("answered"), &json!("waiting")));
    assert_eq!((asked(&app), charged(&app).await), (1, (1, 0)));
    let usage = owner.get("/v1/usage").await.ok();
    assert_eq!(usage["total"]["cost_nano_usd"], plan["cost_nano_usd"]);
    let holds: i64 =
        sqlx::query_scalar("select count(*) from holds").fetch_one(app.db.pool()).await.unwrap();
    assert_eq!(holds, 0);
    app.assert_books_balance().await;

    // What it has is not lost: it goes on where it was.
    let retry = owner.post(&format!("{}/steps/result/retries", creations[0]), json!({})).await;
    let again = retry.header("location").unwrap().to_owned();
    ended(&owner, &again).await;
    assert_eq!(owner.get(&creations[0]).await.ok()["status"], "succeeded");
    assert_eq!((asked(&app), charged(&app).await), (2, (2, 0)));
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn called_off_in_the_moment_of_its_result_it_is_charged_for_exactly_what_it_has() {
    let (app, owner) = start().await;
    let _worker = app.start_worker().await;
    for round in 1..=3 {
        app.simulators.ai.hold();
        let before = charged(&app).await.0;
        let (job, creations) = order(&owner, briefs(&["A slogan"])).await;
        calls_arrive(&app, asked(&app).max(usize::try_from(before).unwrap() + 1)).await;
        let cancellation = format!("{job}/cancellation");
        let (_, ()) = tokio::join!(owner.put(&cancellation, json!({})), async {
            app.simulators.ai.release();
        });
        ended(&owner, &job).await;
        let creation = owner.get(&creations[0]).await.ok();
        let steps = creation["steps"].as_array().unwrap();
        let answered = steps.iter().filter(|it| it["status"] == "answered").count();
        let whole = creation["status"] == "succeeded";
        assert!(whole == (answered == 2), "round {round}: {creation}");
        assert_eq!(charged(&app).await, (before + i64::try_from(answered).unwrap(), 0));
    }
    app.assert_books_balance().await;
}
