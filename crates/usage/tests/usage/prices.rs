use audit::Origin;
use chrono::{DateTime, TimeDelta, Utc};
use kernel::NanoUsd;
use serde_json::json;
use testing::TestApp;
use usage::{
    DailyCost, Drift, Error, ModelKind, NewPrice, Payer, PriceBook, PriceVersion, ProviderCost,
    Quantities, Scenario, UnitEconomics, replay,
};

use crate::{call, record::Record, roll_up_all, write};

fn new_price(name: &str, effective_from: DateTime<Utc>) -> NewPrice {
    let price = json!({
        "provider": "openai", "name": name, "kind": "chat", "max_output_tokens": 1000,
        "effective_from": effective_from, "source": "https://example.com/prices",
        "input_per_million": 1_000_000_000_i64, "output_per_million": 2_000_000_000_i64,
        "batch_percent": 50, "credits": 2, "credits_by_tier": { "free": 3 },
    });
    serde_json::from_value(price).unwrap()
}

async fn propose(app: &TestApp, price: &NewPrice) -> usage::Result<()> {
    let mut tx = app.db.begin().await.unwrap();
    price.propose(&mut tx, &Origin::SYSTEM, app.clock.now()).await?;
    tx.commit().await.unwrap();
    Ok(())
}

/// A fresh book, which has nothing cached.
async fn find(app: &TestApp, name: &str) -> usage::Result<usage::Model> {
    let book = PriceBook::new(app.db.clone(), app.clock.clone());
    book.find("openai", name, ModelKind::Chat).await
}

#[tokio::test]
async fn a_price_begins_on_its_date_and_can_be_withdrawn_before() {
    let app = TestApp::start().await;
    let in_a_week = app.clock.now() + TimeDelta::days(7);
    let old = find(&app, "gpt-4o-mini").await.unwrap().price;
    propose(&app, &new_price("gpt-4o-mini", in_a_week)).await.unwrap();
    propose(&app, &new_price("gpt-4o", in_a_week)).await.unwrap();
    let versions = PriceVersion::list(app.db.pool()).await.unwrap();
    let coming = versions.iter().find(|it| it.price.name == "gpt-4o").unwrap();
    assert_eq!(coming.price.effective_from, in_a_week);
    assert_eq!(coming.price.credits_by_tier, new_price("gpt-4o", in_a_week).credits_by_tier);

    let mut tx = app.db.begin().await.unwrap();
    let now = app.clock.now();
    PriceVersion::withdraw(&mut tx, coming.id, &Origin::SYSTEM, now).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(find(&app, "gpt-4o-mini").await.unwrap().price, old, "not yet");
    app.advance(TimeDelta::days(7));

    let price = find(&app, "gpt-4o-mini").await.unwrap().price;
    assert_eq!(price.input_per_million, NanoUsd::from_dollars(1));
    assert_eq!(price.for_tier(web::Tier::Free).credits, 3);
    assert_ne!(find(&app, "gpt-4o").await.unwrap().price.input_per_million.0, 1_000_000_000);
    let audited: i64 =
        sqlx::query_scalar("select count(*) from audit_events where action like 'price.%'")
            .fetch_one(app.db.pool())
            .await
            .unwrap();
    assert_eq!(audited, 3);
}

#[tokio::test]
async fn a_price_that_has_begun_is_never_changed() {
    let app = TestApp::start().await;
    let now = app.clock.now();
    let past = propose(&app, &new_price("gpt-4o-mini", now - TimeDelta::seconds(1))).await;
    assert!(matches!(past, Err(Error::PriceInThePast)));
    let current = find(&app, "gpt-4o-mini").await.unwrap().price.id;

    let mut tx = app.db.begin().await.unwrap();
    let withdrawn = PriceVersion::withdraw(&mut tx, current, &Origin::SYSTEM, now).await;
    assert!(matches!(withdrawn, Err(Error::PriceInThePast)));
}

#[tokio::test]
async fn a_price_that_charges_nothing_by_omission_is_refused() {
    let app = TestApp::start().await;
    let whole = new_price("new", app.clock.now());
    let refused = [
        NewPrice { output_per_million: None, ..whole.clone() },
        NewPrice { free: true, ..whole.clone() },
        NewPrice { input_per_million: Some(-1), ..whole.clone() },
        NewPrice { cache_write_per_million: Some(-1), ..whole.clone() },
        NewPrice { batch_percent: Some(0), ..whole.clone() },
        NewPrice { credits: -1, ..whole.clone() },
        NewPrice { source: String::new(), ..whole.clone() },
        NewPrice { kind: ModelKind::Image, ..whole.clone() },
    ];
    for price in refused {
        let result = propose(&app, &price).await;
        assert!(matches!(result, Err(Error::InvalidPrice { .. })), "{price:?}");
    }
    assert!(find(&app, "new").await.is_err(), "and left nothing behind");
    let free = NewPrice { input_per_million: None, output_per_million: None, free: true, ..whole };
    propose(&app, &free).await.unwrap();
    assert!(find(&app, "new").await.unwrap().price.free);
}

#[tokio::test]
async fn a_dated_name_costs_what_its_family_does_unless_it_has_a_price_of_its_own() {
    let app = TestApp::start().await;

    let family = find(&app, "gpt-4o").await.unwrap();
    let dated = find(&app, "gpt-4o-2024-08-06").await.unwrap();
    let dearer = find(&app, "gpt-4o-2024-05-13").await.unwrap();

    assert_eq!((dated.price, dated.priced_as), (family.price.clone(), "gpt-4o".into()));
    assert!(dearer.price.input_per_million > family.price.input_per_million);
    assert_eq!(dearer.priced_as, "gpt-4o-2024-05-13");
    assert!(find(&app, "gpt-4o-2030-01-01").await.is_err(), "nobody knows what it costs");
}

#[tokio::test]
async fn calls_are_replayed_one_by_one_on_other_models_and_prices() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let calls: Vec<_> = (0..3).map(|n| call(&app, owner.org(), TimeDelta::hours(n))).collect();
    write(&app, &calls).await;
    let book = PriceBook::new(app.db.clone(), app.clock.clone());
    let book = book.models().await.unwrap();
    let (from, to) = (app.clock.now() - TimeDelta::days(1), app.clock.now() + TimeDelta::days(1));
    let run = async |scenario: Scenario| {
        let mut tx = app.db.begin().await.unwrap();
        replay(&mut tx, &book, None, from, to, &scenario).await.unwrap()
    };

    let same = run(Scenario::default()).await;
    assert_eq!((same.actual_nano_usd, same.replayed_nano_usd), (NanoUsd(13_500), NanoUsd(13_500)));
    let map = [("gpt-4o-mini".to_owned(), "gpt-4o".to_owned())].into();
    let dearer = run(Scenario { models: map, prices: Vec::new() }).await;
    assert_eq!(dearer.replayed_nano_usd, NanoUsd(3 * (10 * 2_500 + 5 * 10_000)));
    assert_eq!(dearer.models[0].answered_by, "gpt-4o");
    let prices = vec![NewPrice { input_per_million: Some(1), ..new_price("gpt-4o-mini", to) }];
    let rounded = run(Scenario { models: [].into(), prices }).await;
    assert_eq!(rounded.replayed_nano_usd, NanoUsd(3 * (5 * 2_000 + 1)), "each call is rounded up");
    let map = [("gpt-4o-mini".to_owned(), "unheard-of".to_owned())].into();
    let unheard_of = Scenario { models: map, prices: Vec::new() };
    let mut tx = app.db.begin().await.unwrap();
    let refused = replay(&mut tx, &book, None, from, to, &unheard_of).await;
    assert!(matches!(refused, Err(Error::UnknownModel { .. })));
}

#[tokio::test]
async fn what_a_cache_was_written_with_and_what_was_in_a_batch_is_replayed_so() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let now = app.clock.now();
    let dear = NewPrice { cache_write_per_million: Some(1_250_000_000), ..new_price("new", now) };
    let dear = NewPrice { long_cache_write_per_million: Some(2_000_000_000), ..dear };
    propose(&app, &dear).await.unwrap();
    let mut written = call(&app, owner.org(), TimeDelta::hours(1));
    written.model = "new".into();
    written.quantities = Quantities {
        input_tokens: 100,
        cache_write_tokens: 40,
        long_cache_write_tokens: 20,
        ..Quantities::default()
    };
    let batched = Record { id: uuid::Uuid::now_v7(), in_batch: true, ..written.clone() };
    write(&app, &[written, batched]).await;
    let book = PriceBook::new(app.db.clone(), app.clock.clone()).models().await.unwrap();
    let mut tx = app.db.begin().await.unwrap();

    let (from, to) = (now - TimeDelta::days(1), now + TimeDelta::days(1));
    let replayed = replay(&mut tx, &book, None, from, to, &Scenario::default()).await.unwrap();

    let whole = 40 * 1000 + 40 * 1250 + 20 * 2000;
    assert_eq!(replayed.replayed_nano_usd, NanoUsd(whole + whole / 2));
    assert_eq!(replayed.uncached_nano_usd, NanoUsd(100_000 + 50_000));
    let listed = owner.get("/v1/usage/records").await.ok();
    let in_batch = |it: &serde_json::Value| it["in_batch"] == json!(true);
    assert_eq!(listed["items"].as_array().unwrap().iter().filter(|it| in_batch(it)).count(), 1);
    assert_eq!(listed["items"][0]["long_cache_write_tokens"], 20);
}

#[tokio::test]
async fn savings_are_told_against_a_dearer_model_and_without_cached_prompts() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut cached = call(&app, owner.org(), TimeDelta::hours(1));
    cached.quantities = Quantities {
        input_tokens: 1000,
        cached_input_tokens: 1000,
        output_tokens: 0,
        ..Quantities::default()
    };
    cached.cost_nano_usd = NanoUsd(75_000);
    write(&app, &[cached]).await;

    let savings = owner.get("/v1/usage/savings?baseline=gpt-4o").await.ok();

    assert_eq!(savings["cost_nano_usd"], 75_000);
    assert_eq!(savings["prompt_cache"]["saved_nano_usd"], 75_000);
    assert_eq!(savings["prompt_cache"]["percent"], 50);
    assert_eq!(savings["model_choice"]["without_nano_usd"], 1_250_000);
    assert_eq!(savings["model_choice"]["percent"], 94);
    let unknown = owner.get("/v1/usage/savings?baseline=none").await.problem();
    assert_eq!(unknown, (404, "unknown_model".into()));
    let stranger = app.owner().await.get("/v1/usage/savings").await.ok();
    assert_eq!(stranger["cost_nano_usd"], 0);
}

#[tokio::test]
async fn what_providers_charged_is_compared_by_day_and_family() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut dated = call(&app, owner.org(), TimeDelta::zero());
    dated.model = "gpt-4o-mini-2024-07-18".into();
    let mut unknown = call(&app, owner.org(), TimeDelta::zero());
    (unknown.outcome, unknown.paid_by) = (usage::Outcome::Unknown, Payer::Platform);
    write(&app, &[call(&app, owner.org(), TimeDelta::zero()), dated, unknown]).await;
    roll_up_all(&app).await;
    let day = app.clock.now().date_naive();
    let file = format!(
        "provider,model,day,cost_nano_usd\nopenai,gpt-4o-mini,{day},5000\n\
         openai,gpt-4o-mini-2024-07-18,{day},4000\nopenai,gpt-4o,{day},7\n"
    );
    let costs = ProviderCost::from_csv(file.as_bytes()).unwrap();
    for _ in 0..2 {
        let mut tx = app.db.begin().await.unwrap();
        ProviderCost::import(&mut tx, &costs, &Origin::SYSTEM, app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    let drifts = Drift::list(app.db.pool(), day, day.succ_opt().unwrap()).await.unwrap();

    let of = |model: &str| drifts.iter().find(|it| it.model == model).unwrap().clone();
    let mini = of("gpt-4o-mini");
    assert_eq!(mini.charged_nano_usd, Some(NanoUsd(9_000)));
    assert_eq!((mini.recorded_nano_usd, mini.unknown_nano_usd), (NanoUsd(9_000), NanoUsd(4_500)));
    assert!(mini.is_within(0));
    assert!(!of("gpt-4o").is_within(1), "nobody recorded a call of it");
    assert_eq!(drifts.len(), 2);
}

#[tokio::test]
async fn operators_see_the_cost_of_each_org_and_of_each_active_user() {
    let app = TestApp::start().await;
    let (one, other) = (app.owner().await, app.owner().await);
    let mut calls = Vec::new();
    for owner in [&one, &one, &other] {
        let mut call = call(&app, owner.org(), TimeDelta::zero());
        call.user = Some(owner.user());
        calls.push(call);
    }
    write(&app, &calls).await;
    roll_up_all(&app).await;
    let (from, to) = (app.clock.now() - TimeDelta::days(1), app.clock.now() + TimeDelta::days(1));

    let costs = DailyCost::list(app.db.pool(), from, to).await.unwrap();
    let of_one = costs.iter().find(|it| it.org == one.org()).unwrap();
    assert_eq!((of_one.calls, of_one.cost_nano_usd), (2, NanoUsd(9_000)));
    let target = NanoUsd::from_dollars(150);
    let economics = UnitEconomics::of(app.db.pool(), from, to, target).await.unwrap();
    assert_eq!((economics.active_users, economics.cost_nano_usd), (2, NanoUsd(13_500)));
    assert_eq!(economics.per_active_user_nano_usd, NanoUsd(6_750));
}

#[tokio::test]
async fn calls_of_months_long_past_are_dropped_and_their_sums_kept() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let recent = call(&app, owner.org(), TimeDelta::zero());
    write(&app, &[call(&app, owner.org(), TimeDelta::days(800)), recent]).await;
    sqlx::query(
        "create table usage_records_2024_01 partition of usage_records
                 for values from ('2024-01-01') to ('2024-02-01')",
    )
    .execute(app.db.pool())
    .await
    .unwrap();
    let run = async || {
        let job = "select from graphile_worker.add_job('usage.drop_old_calls', '{\"job\": {}}')";
        sqlx::query(job).execute(app.db.pool()).await.unwrap();
        app.run_jobs().await;
        sqlx::query_scalar::<_, i64>("select count(*) from usage_records")
            .fetch_one(app.db.pool())
            .await
            .unwrap()
    };

    assert_eq!(run().await, 2, "nothing is dropped that is not rolled up");
    roll_up_all(&app).await;
    sqlx::query("update usage_rollups set calls = 7 where slot < now() - interval '700 days'")
        .execute(app.db.pool())
        .await
        .unwrap();
    assert_eq!(run().await, 2, "nor what is rolled up wrong");
    let mut tx = app.db.begin().await.unwrap();
    usage::rebuild(&mut tx).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(run().await, 1);
    let gone: Option<String> =
        sqlx::query_scalar("select to_regclass('usage_records_2024_01')::text")
            .fetch_one(app.db.pool())
            .await
            .unwrap();
    assert_eq!(gone, None);
    assert_eq!(usage::violations(app.db.pool()).await.unwrap(), []);
    let long_ago = (app.clock.now() - TimeDelta::days(900)).format("%Y-%m-%dT00:00:00Z");
    let to = (app.clock.now() - TimeDelta::days(700)).format("%Y-%m-%dT00:00:00Z");
    let total = crate::total(&owner, &format!("from={long_ago}&to={to}")).await;
    assert_eq!(total["calls"], 1);
    let mut tx = app.db.begin().await.unwrap();
    usage::rebuild(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(crate::total(&owner, &format!("from={long_ago}&to={to}")).await["calls"], 1);
}
