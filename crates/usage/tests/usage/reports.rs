use chrono::TimeDelta;
use kernel::Id;
use serde_json::Value;
use testing::TestApp;
use usage::{Outcome, Payer};
use uuid::Uuid;

use crate::{call, roll_up_all, total, write};

#[tokio::test]
async fn the_sums_over_buckets_are_the_total_in_every_time_zone() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let calls: Vec<_> = (0..200_i32)
        .map(|n| call(&app, owner.org(), TimeDelta::minutes(i64::from(n) * 211)))
        .collect();
    write(&app, &calls[..150]).await;
    roll_up_all(&app).await;
    write(&app, &calls[150..]).await;
    let from = (app.clock.now() - TimeDelta::days(40)).format("%Y-%m-%dT%H:%M:%SZ");

    for zone in ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Pacific/Chatham"] {
        for bucket in ["hour", "day", "month"] {
            let path = format!("/v1/usage?from={from}&tz={zone}&bucket={bucket}&group_by=");
            let report = owner.get(&path).await.ok();
            assert_eq!(report["total"]["calls"], 200, "{zone} {bucket}");
            let groups = report["groups"].as_array().unwrap();
            let calls: i64 = groups.iter().map(|group| group["calls"].as_i64().unwrap()).sum();
            assert_eq!(calls, 200, "{zone} {bucket}");
            let starts: Vec<&str> = groups.iter().map(|it| it["start"].as_str().unwrap()).collect();
            assert!(starts.is_sorted(), "{starts:?}");
        }
    }
}

#[tokio::test]
async fn days_begin_where_the_org_is_unless_asked_otherwise() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    sqlx::query("update orgs set time_zone = 'Asia/Kathmandu' where id = $1")
        .bind(owner.org())
        .execute(app.db.pool())
        .await
        .unwrap();
    write(&app, &[call(&app, owner.org(), TimeDelta::zero())]).await;

    let report = owner.get("/v1/usage?bucket=day").await.ok();
    let utc = owner.get("/v1/usage?bucket=day&tz=UTC").await.ok();

    assert_eq!(report["time_zone"], "Asia/Kathmandu");
    let last = |report: &Value| {
        let groups = report["groups"].as_array().unwrap().clone();
        groups.last().unwrap()["start"].as_str().unwrap()[11..].to_owned()
    };
    assert_eq!((last(&report).as_str(), last(&utc).as_str()), ("18:15:00Z", "00:00:00Z"));
}

#[tokio::test]
async fn calls_are_grouped_and_filtered_by_whatever_they_have() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (project, key) = (Uuid::now_v7(), Id::new());
    let mut calls = vec![call(&app, owner.org(), TimeDelta::zero()); 6];
    for (n, call) in calls.iter_mut().enumerate() {
        call.id = Uuid::now_v7();
        call.model = format!("model-{}", n % 2);
        call.user = Some(owner.user());
        call.project_id = (n < 3).then_some(project);
        call.api_key = (n == 0).then_some(key);
    }
    write(&app, &calls).await;

    for rolled_up in [false, true] {
        if rolled_up {
            roll_up_all(&app).await;
        }
        let report = owner.get("/v1/usage?group_by=project,model").await.ok();
        let groups = report["groups"].as_array().unwrap();
        assert_eq!(groups.len(), 4);
        let of_project = groups.iter().filter(|it| it["project"] == project.to_string());
        assert_eq!(of_project.map(|it| it["calls"].as_i64().unwrap()).sum::<i64>(), 3);
        assert_eq!(total(&owner, &format!("project={project}")).await["calls"], 3);
        assert_eq!(total(&owner, &format!("key={key}")).await["calls"], 1);
        assert_eq!(total(&owner, &format!("user={}", owner.user())).await["calls"], 6);
        assert_eq!(total(&owner, "model=model-1&provider=openai&operation=chat").await["calls"], 3);
        assert_eq!(total(&owner, "model=model-9").await["calls"], 0);
    }
}

#[tokio::test]
async fn what_the_platform_pays_for_is_told_apart() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut unknown = call(&app, owner.org(), TimeDelta::zero());
    (unknown.outcome, unknown.paid_by) = (Outcome::Unknown, Payer::Platform);
    let known: Vec<_> = (0..3).map(|_| call(&app, owner.org(), TimeDelta::zero())).collect();
    write(&app, &[unknown]).await;
    write(&app, &known).await;

    let report = owner.get("/v1/usage").await.ok();

    assert_eq!(report["total"]["cost_nano_usd"], 4 * 4_500);
    assert_eq!(report["customer"]["cost_nano_usd"], 3 * 4_500);
    assert_eq!(report["platform"]["cost_nano_usd"], 4_500);
    assert_eq!(report["total"]["success_rate"], 0.75);
    assert_eq!(report["customer"]["success_rate"], 1.0);
}

#[tokio::test]
async fn a_span_is_compared_with_the_one_before_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let ago = |hours| call(&app, owner.org(), TimeDelta::hours(hours));
    write(&app, &[ago(1), ago(2), ago(25), ago(72)]).await;
    let from = (app.clock.now() - TimeDelta::days(1)).format("%Y-%m-%dT%H:%M:%SZ");
    let to = app.clock.now().format("%Y-%m-%dT%H:%M:%SZ");

    let path = format!("/v1/usage?from={from}&to={to}&compare=previous");
    let report = owner.get(&path).await.ok();

    assert_eq!(report["total"]["calls"], 2);
    assert_eq!(report["previous"]["total"]["calls"], 1);
    assert_eq!(report["previous"]["change"]["calls"], 1);
    assert_eq!(report["previous"]["change"]["cost_nano_usd"], 4_500);
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused_by_name() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for (query, code) in [
        ("tz=Mars/Olympus", "unknown_time_zone"),
        ("group_by=colour", "unknown_dimension"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "invalid_range"),
        ("from=2020-01-02T00:00:00Z", "invalid_range"),
        ("bucket=minute", "invalid_query"),
        ("group=model", "invalid_query"),
    ] {
        let problem = owner.get(&format!("/v1/usage?{query}")).await.problem();
        assert_eq!(problem, (422, code.to_owned()), "{query}");
    }
}

#[tokio::test]
async fn the_month_is_forecast_from_its_days() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let days: Vec<_> = (1..=28).map(|n| call(&app, owner.org(), TimeDelta::days(n))).collect();
    write(&app, &days).await;

    let forecast = owner.get("/v1/usage/forecast").await.ok();

    assert_eq!(forecast["days"], 28);
    assert_eq!(forecast["per_day_nano_usd"], 4_500);
    let month = forecast["month_nano_usd"].as_i64().unwrap();
    assert!(month >= forecast["spent_nano_usd"].as_i64().unwrap());
    assert_eq!(forecast["low_nano_usd"], forecast["high_nano_usd"], "every day is like the others");
}

#[tokio::test]
async fn a_span_may_be_written_as_days_which_begin_where_the_report_is_for() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let day = owner.get("/v1/usage?from=2026-10-25&to=2026-10-26&tz=Europe/Berlin").await.ok();

    assert_eq!(day["from"], "2026-10-24T22:00:00Z");
    assert_eq!(day["to"], "2026-10-25T23:00:00Z", "the day on which the clock is put back");
    let refused = owner.get("/v1/usage?from=yesterday").await;
    assert!(
        refused.body["detail"].as_str().unwrap().contains("such as 2026-11-01"),
        "{}",
        refused.body
    );
    assert_eq!(refused.problem().0, 422);
}

#[tokio::test]
async fn a_report_is_a_file_for_a_spreadsheet_too() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    write(&app, &[call(&app, owner.org(), TimeDelta::zero())]).await;

    let reply = owner.get("/v1/usage?group_by=model,user&bucket=month&format=csv").await;

    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = reply.ok_text();
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let heading = rows.headers().unwrap().clone();
    let column = |name: &str| heading.iter().position(|it| it == name).unwrap();
    let (model, calls, cost) = (column("model"), column("calls"), column("cost_usd"));
    let row = rows.records().next().unwrap().unwrap();
    assert_eq!((&row[model], &row[calls], &row[cost]), ("gpt-4o-mini", "1", "0.000004500"));
}
