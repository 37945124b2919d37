use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, Org};
use serde_json::{Value, json};
use testing::{Client, TestApp};
use uuid::Uuid;

/// A payment of `org` for `item`, as it is recorded when Stripe tells of it.
async fn pay(
    app: &TestApp,
    org: Id<Org>,
    item: &str,
    cents: i64,
    currency: &str,
    at: DateTime<Utc>,
) -> String {
    let (checkout, stripe) = (Uuid::now_v7(), format!("pi_{}", Uuid::now_v7().simple()));
    let mut tx = app.db.begin().await.unwrap();
    sqlx::query(
        "insert into checkouts (id, org_id, user_id, item, status, created_at)
         select $1, $2, user_id, $3, 'paid', $4 from memberships where org_id = $2 limit 1",
    )
    .bind(checkout)
    .bind(org)
    .bind(item)
    .bind(at)
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query(
        "insert into payments (id, org_id, checkout_id, stripe_id, amount_cents, currency, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(Uuid::now_v7())
    .bind(org)
    .bind(checkout)
    .bind(&stripe)
    .bind(cents)
    .bind(currency)
    .bind(at)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    stripe
}

/// A pack of 100 credits of which `spent` were spent a day later.
async fn spend(app: &TestApp, org: Id<Org>, stripe: &str, spent: i64, at: DateTime<Utc>) {
    let grant = quotas::NewGrant {
        org,
        source: quotas::GrantSource::Pack,
        amount: 100,
        expires_at: None,
        external_id: format!("stripe:{stripe}"),
    };
    let mut tx = app.db.begin().await.unwrap();
    grant.give(&mut tx, at).await.unwrap();
    sqlx::query(
        "with spent as (update grants set spent = spent + $2 where external_id = $1 returning id, org_id)
         insert into ledger_entries
             (id, org_id, unit, from_account, to_account, amount, grant_id, external_id, created_at)
         select gen_random_uuid(), org_id, 'credits', 'available', 'spent', $2, id, 'test', $3 from spent",
    )
    .bind(format!("stripe:{stripe}"))
    .bind(spent)
    .bind(at + TimeDelta::days(1))
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

/// Rolls up every call: other databases of the server have transactions of their own.
async fn roll_up(app: &TestApp) {
    app.assert_books_balance().await;
    let left = "select exists (select from usage_fresh)";
    while sqlx::query_scalar::<_, bool>(left).fetch_one(app.db.pool()).await.unwrap() {
        let mut tx = app.db.begin().await.unwrap();
        usage::roll_up(&mut tx, i64::MAX).await.unwrap();
        tx.commit().await.unwrap();
    }
}

async fn revenue(operator: &Client, from: DateTime<Utc>, to: DateTime<Utc>) -> i64 {
    let path = format!("/admin/v1/margins?from={}&to={}", from.date_naive(), to.date_naive());
    operator.get(&path).await.ok()["total"]["revenue_nano_usd"].as_i64().unwrap()
}

#[tokio::test]
async fn a_plan_is_earned_day_by_day_and_days_add_up_to_what_was_paid() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let paid_at = app.clock.now() - TimeDelta::days(60);
    pay(&app, owner.org(), "plan-pro-month", 4_901, "usd", paid_at).await;
    let day = |n: i64| paid_at + TimeDelta::days(n);

    let mut sum = 0;
    for n in 0..40 {
        let earned = revenue(&operator, day(n), day(n + 1)).await;
        assert!(earned < 2_000_000_000, "a day of a month of 49 dollars: {earned}");
        sum += earned;
    }

    assert_eq!(sum, 49_010_000_000);
    assert_eq!(revenue(&operator, day(-5), day(45)).await, 49_010_000_000);
    let before =
        format!("/admin/v1/margins?from={}&to={}", day(-5).date_naive(), day(0).date_naive());
    assert_eq!(operator.get(&before).await.ok()["items"], json!([]));
    pay(&app, owner.org(), "plan-pro-year", 49_000, "usd", paid_at).await;
    let in_fifty_days = revenue(&operator, day(-5), day(45)).await - 49_010_000_000;
    assert!((59_500_000_000..60_000_000_000).contains(&in_fifty_days), "{in_fifty_days}");
}

#[tokio::test]
async fn a_pack_is_earned_as_its_credits_are_spent_and_other_currencies_stand_apart() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let at = app.clock.now() - TimeDelta::days(10);
    let pack = pay(&app, owner.org(), "pack-100", 1_000, "usd", at).await;
    spend(&app, owner.org(), &pack, 25, at).await;
    pay(&app, owner.org(), "pack-100", 900, "eur", at).await;

    let report = operator.get("/admin/v1/margins?by=plan").await.ok();

    assert_eq!(report["total"]["received_nano_usd"], 10_000_000_000_i64);
    assert_eq!(report["total"]["revenue_nano_usd"], 2_500_000_000_i64);
    assert_eq!(report["total"]["margin_percent"], 100);
    assert_eq!(report["items"][0]["plan"], "free");
    let euros = json!([{ "currency": "eur", "received": 900, "revenue": 0 }]);
    assert_eq!(report["other_currencies"], euros, "a pack without credits is not earned");
    assert_eq!(revenue(&operator, at - TimeDelta::days(1), at + TimeDelta::days(1)).await, 0);
}

#[tokio::test]
async fn a_margin_is_told_by_model_and_as_csv_and_a_loss_has_no_percentage() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let question =
        json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "a" }] });
    owner.post("/v1/chat/completions", question).await.ok();
    roll_up(&app).await;

    let report = operator.get("/admin/v1/margins?by=model").await.ok();
    let line = &report["items"][0];
    assert_eq!((&line["model"], &line["calls"]), (&json!("gpt-4o-mini"), &json!(1)));
    assert!(line["margin_nano_usd"].as_i64().unwrap() < 0);
    assert_eq!(line["margin_percent"], Value::Null);
    let csv = operator.get("/admin/v1/margins?by=org&format=csv").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = csv.ok_text();
    let cells: Vec<&str> = text.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(cells[..5], [&owner.org().to_string(), "free", "", "", "1"]);
    assert_eq!(cells[10], "", "{text}");
    for wrong in ["by=moon", "from=2026-02-01&to=2026-01-01", "from=yesterday", "depth=2"] {
        let refused = operator.get(&format!("/admin/v1/margins?{wrong}")).await.problem();
        assert!([400, 422].contains(&refused.0), "{wrong}: {refused:?}");
    }
    assert_eq!(owner.get("/admin/v1/margins").await.problem().0, 403);
}

#[tokio::test]
async fn operators_see_the_usage_of_everybody_and_of_one_org() {
    let app = TestApp::start().await;
    let (operator, one, other) = (app.operator().await, app.owner().await, app.owner().await);
    let question =
        json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "a" }] });
    for owner in [&one, &one, &other] {
        owner.post("/v1/chat/completions", question.clone()).await.ok();
    }
    for rolled_up in [false, true] {
        if rolled_up {
            roll_up(&app).await;
        }
        let all = operator.get("/admin/v1/usage?group_by=model&bucket=day").await.ok();
        assert_eq!(all["total"]["calls"], 3, "rolled up: {rolled_up}");
        let path = format!("/admin/v1/orgs/{}/usage?group_by=user", one.org());
        let org = operator.get(&path).await.ok();
        assert_eq!(
            (&org["total"]["calls"], org["groups"].as_array().unwrap().len()),
            (&json!(2), 1)
        );
    }
    let people = operator.get("/admin/v1/usage?group_by=user").await;
    assert_eq!(people.problem(), (422, "no_detail".into()));
    let nobody = format!("/admin/v1/orgs/{}/usage", Uuid::now_v7());
    assert_eq!(operator.get(&nobody).await.problem(), (404, "org_not_found".into()));
    assert_eq!(one.get("/admin/v1/usage").await.problem().0, 403);
}
