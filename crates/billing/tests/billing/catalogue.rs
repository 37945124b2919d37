use reqwest::Method;
use serde_json::{Value, json};
use testing::{Client, TestApp};

use crate::support::{
    at_dashboard, at_stripe, bought, buy, count, credits, plan, send_event, settle,
};

/// The catalogue in force, to be changed.
async fn read(operator: &Client) -> Value {
    let catalogue = operator.get("/admin/v1/catalogue").await.ok();
    json!({ "plans": catalogue["plans"], "packs": catalogue["packs"] })
}

async fn publish(operator: &Client, catalogue: &Value) -> Value {
    operator.put("/admin/v1/catalogue", catalogue.clone()).await.ok()
}

fn active_prices(app: &TestApp) -> Vec<(String, i64)> {
    let mut prices: Vec<_> = at_stripe(app, "price")
        .iter()
        .filter(|price| price["active"] == true)
        .map(|price| {
            let key = price["lookup_key"].as_str().unwrap_or_default().to_owned();
            (key, price["unit_amount"].as_i64().unwrap_or_default())
        })
        .collect();
    prices.sort();
    prices
}

#[tokio::test]
async fn syncing_makes_stripe_agree_and_syncing_again_changes_nothing() {
    let app = TestApp::start().await;
    let planned = app.billing.sync_catalogue(None, true).await.unwrap();
    assert_eq!(at_stripe(&app, "product").len(), 0, "a dry run changes nothing");
    assert_eq!(count(&app, "select count(*) from catalogues").await, 0);

    let done = app.billing.sync_catalogue(None, false).await.unwrap();
    let names = |differences: &[billing::Difference]| -> Vec<String> {
        let mut names: Vec<_> = differences.iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(names(&planned), names(&done), "a dry run says what will be done");
    assert_eq!(at_stripe(&app, "product").len(), 9, "three plans, seats of two, four packs");
    assert_eq!(active_prices(&app).len(), 14);
    assert!(active_prices(&app).contains(&("plan-pro-year".into(), 49_000)));

    let events = app.simulators.stripe.events().len();
    assert_eq!(app.billing.sync_catalogue(None, false).await.unwrap(), []);
    assert_eq!(app.simulators.stripe.events().len(), events);
    assert_eq!(count(&app, "select count(*) from catalogues").await, 1);
}

#[tokio::test]
async fn a_sync_that_was_interrupted_is_finished_by_the_next() {
    let app = TestApp::start().await;
    app.billing.sync_catalogue(None, false).await.unwrap();
    // As if the process had died after Stripe's answers and before they were noted; then somebody
    // renames a product and archives a price by hand.
    sqlx::query("delete from stripe_prices").execute(app.db.pool()).await.unwrap();
    at_dashboard(&app, Method::POST, "products/plan-pro", &[("name", "Old")]).await;
    let prices = at_stripe(&app, "price");
    let price = prices.iter().find(|it| it["lookup_key"] == "pack-10").unwrap();
    let path = format!("prices/{}", price["id"].as_str().unwrap());
    at_dashboard(&app, Method::POST, &path, &[("active", "false")]).await;

    let done = app.billing.sync_catalogue(None, false).await.unwrap();
    let mut done: Vec<_> = done.iter().map(ToString::to_string).collect();
    done.sort();
    assert_eq!(done, ["~ price pack-10: 200 cents, for sale again", "~ product plan-pro"]);
    assert_eq!(at_stripe(&app, "price").len(), 14, "none was made twice");
    assert_eq!(count(&app, "select count(*) from stripe_prices where active").await, 14);
}

#[tokio::test]
async fn a_changed_price_is_for_new_purchases_and_subscribers_keep_theirs() {
    let app = TestApp::start().await;
    let (operator, owner, late) = (app.operator().await, app.owner().await, app.owner().await);
    bought(&app, &owner, "plan-pro-month").await;
    let mut catalogue = read(&operator).await;
    catalogue["plans"][2]["month_cents"] = 5_900.into();
    let published = publish(&operator, &catalogue).await;
    assert_eq!(published["version"], 1);
    app.run_jobs().await;

    let of_pro = |prices: &[(String, i64)]| -> Vec<i64> {
        prices.iter().filter(|it| it.0 == "plan-pro-month").map(|it| it.1).collect()
    };
    assert_eq!(of_pro(&active_prices(&app)), [5_900], "the old price is archived");
    let monthly_for_sale = at_stripe(&app, "price").into_iter().filter(|it| {
        let monthly = it["recurring"]["interval"] == "month";
        it["product"] == "plan-pro" && monthly && it["active"] == true
    });
    assert_eq!(monthly_for_sale.count(), 1, "under whatever name");
    let subscription = at_stripe(&app, "subscription").remove(0);
    assert_eq!(subscription["items"]["data"][0]["price"]["unit_amount"], 4_900);
    settle(&app).await;
    assert_eq!(plan(&owner).await, "pro");

    buy(&late, "plan-pro-month").await.ok();
    let sessions = at_stripe(&app, "checkout.session");
    assert!(sessions.iter().any(|session| session["amount_total"] == 5_900), "{sessions:?}");

    catalogue["plans"][2]["month_cents"] = 4_900.into();
    publish(&operator, &catalogue).await;
    app.run_jobs().await;
    assert_eq!(of_pro(&active_prices(&app)), [4_900], "the old price is for sale again");
    let of_pro = at_stripe(&app, "price");
    let of_pro = of_pro.iter().filter(|it| it["product"] == "plan-pro").count();
    assert_eq!(of_pro, 3, "two monthly and one yearly, none twice");
}

#[tokio::test]
async fn what_a_plan_gives_more_is_there_at_once_and_what_it_gives_less_with_the_next_period() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    bought(&app, &owner, "plan-pro-month").await;
    let mut catalogue = read(&operator).await;
    catalogue["plans"][2]["seats"] = 9.into();
    catalogue["plans"][2]["generations_per_day"] = 40.into();
    publish(&operator, &catalogue).await;
    app.run_jobs().await;
    let entitled = "select seats from entitlements where plan = 'pro'";
    assert_eq!(count(&app, entitled).await, 9);
    let per_day = "select amount from budgets b join entitlements e using (org_id)
                   where b.kind = 'included' and b.period = 'day' and e.plan = 'pro'";
    assert_eq!(count(&app, per_day).await, 50, "it was paid for");
    let news = json!({ "id": "evt_news", "type": "invoice.updated", "livemode": false,
                       "data": { "object": { "customer": at_stripe(&app, "customer")[0]["id"] } } });
    send_event(&app, &news).await.ok_text();
    app.run_jobs().await;
    assert_eq!(count(&app, per_day).await, 50, "also after news of the subscription");

    let id = at_stripe(&app, "subscription")[0]["id"].as_str().unwrap().to_owned();
    app.simulators.stripe.advance(&id, simulators::stripe::Card::Accepted).unwrap();
    settle(&app).await;
    assert_eq!(count(&app, per_day).await, 40);
    assert_eq!(count(&app, entitled).await, 9);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_changed_free_plan_is_everybodys_who_has_it_and_new_orgs_too() {
    let app = TestApp::start().await;
    let (operator, old) = (app.operator().await, app.owner().await);
    let mut catalogue = read(&operator).await;
    catalogue["plans"][0]["storage_bytes"] = 200_000_000.into();
    publish(&operator, &catalogue).await;
    app.run_jobs().await;
    let new = app.owner().await;
    for owner in [&old, &new] {
        let bytes: i64 =
            sqlx::query_scalar("select storage_bytes from entitlements where org_id = $1")
                .bind(owner.org().uuid())
                .fetch_one(app.db.pool())
                .await
                .unwrap();
        assert_eq!(bytes, 200_000_000);
    }
}

#[tokio::test]
async fn a_catalogue_that_breaks_a_rule_or_is_stale_is_refused_and_every_version_is_kept() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let catalogue = read(&operator).await;
    let put = |catalogue: &Value| operator.put("/admin/v1/catalogue", catalogue.clone());

    let mut lacking = catalogue.clone();
    lacking["packs"].as_array_mut().unwrap().remove(0);
    assert_eq!(put(&lacking).await.problem(), (422, "invalid_catalogue".into()));
    let mut upside_down = catalogue.clone();
    upside_down["plans"][1]["month_cents"] = 50_000.into();
    assert_eq!(put(&upside_down).await.problem(), (422, "invalid_catalogue".into()));
    let mut unknown = catalogue.clone();
    unknown["plans"][1]["colour"] = "red".into();
    assert_eq!(put(&unknown).await.problem(), (422, "invalid_body".into()));

    let mut retired = catalogue.clone();
    retired["packs"][0]["retired"] = true.into();
    assert_eq!(put(&retired).await.ok()["version"], 1);
    let stale = operator.header("if-match", "\"0\"");
    let stale = stale.put("/admin/v1/catalogue", catalogue.clone()).await;
    assert_eq!(stale.problem(), (412, "stale_version".into()));
    assert_eq!(put(&catalogue).await.ok()["version"], 2);

    let versions = operator.get("/admin/v1/catalogue/versions").await.ok();
    assert_eq!((&versions[0]["version"], &versions[1]["version"]), (&json!(2), &json!(1)));
    assert_eq!(versions[1]["packs"][0]["retired"], true);
    assert!(versions[0]["created_by"].is_string() && versions[0]["created_at"].is_string());
    let change = sqlx::query("update catalogues set content = '{}'").execute(app.db.pool()).await;
    assert!(change.is_err(), "a version can be changed");
    let audited = "select count(*) from audit_events where action = 'catalogue.published'";
    assert_eq!(count(&app, audited).await, 2);
}

#[tokio::test]
async fn what_is_retired_is_not_sold_but_kept_by_who_has_it() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    bought(&app, &owner, "plan-creator-month").await;
    let mut catalogue = read(&operator).await;
    catalogue["plans"][1]["retired"] = true.into();
    publish(&operator, &catalogue).await;
    app.run_jobs().await;
    assert_eq!(buy(&app.owner().await, "plan-creator-month").await.problem().1, "unknown_item");
    assert!(!active_prices(&app).iter().any(|it| it.0.starts_with("plan-creator")));
    let shown = app.anonymous().get("/v1/plans").await.ok();
    assert_eq!(shown["items"].as_array().unwrap().len(), 3);

    let id = at_stripe(&app, "subscription")[0]["id"].as_str().unwrap().to_owned();
    app.simulators.stripe.advance(&id, simulators::stripe::Card::Accepted).unwrap();
    settle(&app).await;
    assert_eq!((plan(&owner).await.as_str(), credits(&owner).await), ("creator", 200));
}
