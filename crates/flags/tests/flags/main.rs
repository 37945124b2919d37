//! Flags are on for whom they say, everywhere at once; experiments count each person once and end.

use flags::{Flags, Variant};
use futures::future::join_all;
use serde_json::{Value, json};
use testing::{Client, TestApp, is_noticed};
use tokio::task::JoinSet;

async fn set(operator: &Client, key: &str, rule: Value) -> Value {
    operator.put(&format!("/admin/v1/flags/{key}"), rule).await.ok()
}

async fn is_on(person: &Client, key: &str) -> bool {
    person.get("/v1/flags").await.ok()["flags"][key] == true
}

/// Row 154.
#[tokio::test]
async fn a_flag_is_on_for_its_orgs_and_tiers_and_for_nobody_once_removed() {
    let app = TestApp::start().await;
    let (operator, one, other) = (app.operator().await, app.owner().await, app.owner().await);
    let named = json!({ "description": "New", "enabled": true, "orgs": [one.org()] });
    set(&operator, "editor", named).await;
    assert!(is_on(&one, "editor").await && !is_on(&other, "editor").await);
    let free = json!({ "description": "New", "enabled": true, "tiers": ["free"] });
    set(&operator, "editor", free).await;
    assert!(is_on(&one, "editor").await && is_on(&other, "editor").await);
    let off = json!({ "description": "New", "enabled": false, "percentage": 100 });
    set(&operator, "editor", off).await;
    assert!(!is_on(&one, "editor").await);

    assert_eq!(operator.delete("/admin/v1/flags/editor").await.status, 204);
    assert_eq!(one.get("/v1/flags").await.ok(), json!({ "flags": {} }));
    let (status, code) = operator.delete("/admin/v1/flags/editor").await.problem();
    assert_eq!((status, code.as_str()), (404, "flag_not_found"));
    let log = operator.get("/admin/v1/audit-log?action=flag.changed").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 3, "{log}");
    let log = operator.get("/admin/v1/audit-log?action=flag.removed").await.ok();
    assert_eq!(log["items"][0]["before"]["percentage"], 100, "{log}");
}

#[tokio::test]
async fn a_flag_that_makes_no_sense_is_refused() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let rule = json!({ "description": "", "enabled": true });
    for key in ["Editor", "9lives", "a%20b", &"a".repeat(64)] {
        let refused = operator.put(&format!("/admin/v1/flags/{key}"), rule.clone()).await;
        assert_eq!(refused.problem().0, 422, "{key}");
    }
    for (field, value) in [
        ("percentage", json!(101)),
        ("percentage", json!(-1)),
        ("tiers", json!(["gold"])),
        ("orgs", json!(["me"])),
        ("description", json!("x".repeat(501))),
        ("until", json!("tomorrow")),
    ] {
        let mut rule = rule.clone();
        rule[field] = value;
        let refused = operator.put("/admin/v1/flags/editor", rule).await.problem();
        assert!(matches!(refused.0, 400 | 422), "{field}: {refused:?}");
    }
}

#[tokio::test]
async fn another_instance_knows_of_a_changed_flag_within_a_second() {
    let app = TestApp::start().await;
    let (operator, person) = (app.operator().await, app.owner().await);
    let db = db::Db::new(app.db.pool().clone());
    let heard = tokio::spawn(db::listen(db.changes().clone(), db.pool().clone()));
    testing::eventually("it listens", async || db.changes().are_heard()).await;
    let elsewhere = Flags::new(db, app.clock.clone());
    let caller = web::Caller {
        user: person.user(),
        org: person.org(),
        role: web::Role::Owner,
        tier: web::Tier::Free,
        credential: web::Credential::Session(person.user().uuid()),
    };
    assert!(!elsewhere.is_on("editor", &caller).await);
    for on in [true, false, true] {
        set(&operator, "editor", json!({ "description": "", "enabled": on, "percentage": 100 }))
            .await;
        let known = async || elsewhere.is_on("editor", &caller).await == on;
        is_noticed("a flag was changed", known).await;
    }
    heard.abort();
}

async fn begin(operator: &Client, sample: i32) -> testing::Reply {
    let asked = json!({
        "key": "button", "description": "Do more buy if it is green?",
        "percentage": 100, "sample": sample, "days": 14,
    });
    operator.post("/admin/v1/experiments", asked).await
}

async fn expose(person: &Client) -> Value {
    person.post("/v1/experiments/button/exposures", json!(null)).await.ok()["variant"].clone()
}

async fn report(operator: &Client) -> Value {
    operator.get("/admin/v1/experiments").await.ok()[0].clone()
}

/// People who have met the experiment, and of each variant how many of ten did what was hoped for.
async fn take_part(app: &TestApp, people: i64, control: i64, treatment: i64) {
    let met = "with people as (
                   insert into users (id, email, name, created_at)
                   select gen_random_uuid(), n || '@many.example', 'Ada', now()
                   from generate_series(1, $1) n
                   returning id),
               numbered as (select id, row_number() over () as n from people)
               insert into experiment_exposures
                   (experiment, user_id, variant, exposed_at, converted_at)
               select 'button', id, case when n % 2 = 0 then 'control' else 'treatment' end, now(),
                      case when n / 2 % 10 < case when n % 2 = 0 then $2 else $3 end then now() end
               from numbered";
    sqlx::query(met)
        .bind(people)
        .bind(control)
        .bind(treatment)
        .execute(app.db.pool())
        .await
        .unwrap();
}

async fn run_end_job(app: &TestApp) {
    sqlx::query("select from graphile_worker.add_job('flags.end_experiments', '{\"job\": {}}')")
        .execute(app.db.pool())
        .await
        .unwrap();
    app.run_jobs().await;
}

/// Row 82.
#[tokio::test]
async fn somebody_always_meets_the_same_variant_and_counts_once() {
    let app = TestApp::start().await;
    let (operator, person, other) = (app.operator().await, app.owner().await, app.owner().await);
    begin(&operator, 10).await.ok();
    let mut answers = JoinSet::new();
    for _ in 0..8 {
        let person = person.clone();
        answers.spawn(async move { expose(&person).await });
    }
    let answers = answers.join_all().await;
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
    let convert = "/v1/experiments/button/conversions";
    for person in [&person, &person, &other] {
        assert_eq!(person.post(convert, json!(null)).await.status, 204);
    }
    let outcome = &report(&operator).await["outcome"];
    let total = |what: &str| -> i64 {
        ["control", "treatment"].iter().map(|it| outcome[it][what].as_i64().unwrap()).sum()
    };
    assert_eq!(
        (total("exposed"), total("converted")),
        (1, 1),
        "who met nothing counts for nothing"
    );
    assert_eq!(begin(&operator, 10).await.problem(), (409, "experiment_exists".into()));
    let log = operator.get("/admin/v1/audit-log?action=experiment.begun").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");
    let (status, code) =
        person.post("/v1/experiments/other/exposures", json!(null)).await.problem();
    assert_eq!((status, code.as_str()), (404, "experiment_not_found"));
}

#[tokio::test]
async fn an_experiment_ends_with_its_sample_and_everybody_is_shown_the_winner() {
    let app = TestApp::start().await;
    let (operator, person) = (app.operator().await, app.owner().await);
    begin(&operator, 500).await.ok();
    take_part(&app, 998, 2, 4).await;
    run_end_job(&app).await;
    let running = report(&operator).await;
    assert_eq!(running["ended_at"], Value::Null, "a person short, however clear it looks");
    assert!(running["outcome"]["p_value"].as_f64().unwrap() < 0.001, "{running}");

    sqlx::query("update experiments set sample = 499").execute(app.db.pool()).await.unwrap();
    run_end_job(&app).await;
    let ended = report(&operator).await;
    assert_eq!(ended["winner"], "treatment", "{ended}");
    assert_eq!(expose(&person).await, "treatment");
    let late = report(&operator).await;
    assert_eq!(late["outcome"], ended["outcome"], "nobody counts any more");
    let again = operator.post("/admin/v1/experiments/button/end", json!(null)).await.problem();
    assert_eq!(again, (409, "experiment_ended".into()));
}

#[tokio::test]
async fn an_experiment_whose_time_is_over_ends_without_an_answer() {
    let app = TestApp::start().await;
    begin(&app.operator().await, 500).await.ok();
    take_part(&app, 100, 0, 9).await;
    app.advance(chrono::TimeDelta::days(14));
    run_end_job(&app).await;
    let ended = report(&app.operator().await).await;
    assert!(ended["ended_at"].is_string() && ended["winner"].is_null(), "{ended}");
    assert_eq!(expose(&app.owner().await).await, "control");
}

#[tokio::test]
async fn nobody_is_counted_after_the_end_however_they_race() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    begin(&operator, 1).await.ok();
    let flags = Flags::new(app.db.clone(), app.clock.clone());
    let people = join_all((0..12).map(|_| app.owner())).await;
    let mut races = JoinSet::new();
    for person in &people {
        let (flags, user) = (flags.clone(), person.user());
        races.spawn(async move { flags.expose("button", user).await.map(|_| ()) });
    }
    let ended = operator.post("/admin/v1/experiments/button/end", json!(null)).await.ok();
    assert!(races.join_all().await.iter().all(Result::is_ok));
    let counted = report(&operator).await["outcome"].clone();
    let log = operator.get("/admin/v1/audit-log?action=experiment.ended").await.ok();
    assert_eq!(log["items"][0]["after"]["outcome"], counted, "as it was when it was answered");
    assert_eq!(ended["variant"], json!(Variant::Control));
}
