use chrono::{DateTime, Datelike, Months, TimeDelta, Utc};
use testing::TestApp;
use usage::{Report, ReportQuery};

use crate::{call, roll_up_all, write};

async fn run(app: &TestApp, job: &str) {
    sqlx::query("select from graphile_worker.add_job($1, '{\"job\": {}}')")
        .bind(job)
        .execute(app.db.pool())
        .await
        .unwrap();
    app.run_jobs().await;
}

/// The months that have partitions, the oldest first.
async fn months(app: &TestApp) -> Vec<String> {
    sqlx::query_scalar(
        "select right(inhrelid::regclass::text, 7) from pg_inherits
         where inhparent = 'usage_records'::regclass and inhrelid::regclass::text <> 'usage_records_default'
         order by 1",
    )
    .fetch_all(app.db.pool())
    .await
    .unwrap()
}

fn month(now: DateTime<Utc>, from_now: i32) -> String {
    let first = now.date_naive().with_day(1).unwrap();
    let months = Months::new(from_now.unsigned_abs());
    let month = if from_now < 0 { first - months } else { first + months };
    month.format("%Y_%m").to_string()
}

#[tokio::test]
async fn months_are_made_ahead_and_dropped_when_they_are_old_while_their_sums_stay() {
    let app = TestApp::start_with(|settings| settings.usage.usage_retention_months = 3).await;
    let owner = app.owner().await;
    let began = app.clock.now();
    for round in 1..=8 {
        write(&app, &[call(&app, owner.org(), TimeDelta::zero())]).await;
        roll_up_all(&app).await;
        run(&app, "server.create_partitions").await;
        run(&app, "usage.drop_old_calls").await;

        let now = app.clock.now();
        let months = months(&app).await;
        assert_eq!(months.last(), Some(&month(now, 2)), "two months ahead");
        assert!(months[0] >= month(now, -3), "{months:?} in {now}");
        let kept: (i64, i64) = sqlx::query_as(
            "select count(*), count(*) filter (where tableoid = 'usage_records_default'::regclass)
             from usage_records",
        )
        .fetch_one(app.db.pool())
        .await
        .unwrap();
        assert_eq!(kept, (round.min(4), 0), "three months and this one, each in its partition");
        let mut tx = app.db.tenant(owner.org()).await.unwrap();
        let all = ReportQuery {
            from: Some(began.into()),
            tz: Some("Asia/Kolkata".into()),
            ..Default::default()
        };
        let report = Report::of(&mut tx, owner.org(), &all, now).await.unwrap();
        assert_eq!(report.split.total.calls, round);
        app.advance(now.checked_add_months(Months::new(1)).unwrap() - now);
    }
    assert_eq!(usage::violations(app.db.pool()).await.unwrap(), []);
}
