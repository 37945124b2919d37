use auth::{Name, Registration};
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde_json::{Value, json};
use simulators::stripe::Card;
use testing::{Client, PASSWORD, TestApp};
use web::Role;

use crate::run;

/// Lets the deletions that are due be carried out, as in the next half hour.
pub(crate) async fn carry_out(app: &TestApp) {
    for _ in 0..5 {
        carry_out_once(app).await;
    }
}

async fn carry_out_once(app: &TestApp) {
    app.advance(TimeDelta::minutes(6));
    run(app, "privacy.carry_out_deletions", json!({})).await;
    app.simulators.stripe.settled().await;
}

/// Asks for the end of an account or an org, and lets the time to think it over pass.
pub(crate) async fn deleted(app: &TestApp, client: &Client, what: &str) -> String {
    let asked = client.post(&format!("/v1/{what}/deletion"), json!(null)).await.ok();
    app.run_jobs().await;
    app.advance(TimeDelta::days(31));
    carry_out(app).await;
    asked["id"].as_str().unwrap().to_owned()
}

async fn sign_in(app: &TestApp, email: &str) -> testing::Reply {
    let credentials = json!({ "email": email, "password": PASSWORD });
    app.anonymous().post("/v1/sessions", credentials).await
}

fn at_stripe(app: &TestApp, kind: &str) -> Vec<Value> {
    let state = app.simulators.stripe.state().expect("the simulator's state");
    let objects = state["state"]["objects"][kind].as_object().cloned().unwrap_or_default();
    objects.into_iter().map(|(_, object)| object).collect()
}

pub(crate) async fn count(app: &TestApp, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(app.db.pool()).await.unwrap()
}

async fn subscribe(app: &TestApp, client: &Client) {
    let item = json!({ "item": "plan-pro-month" });
    let checkout = client.post("/v1/billing/checkout-sessions", item).await.ok();
    let session = checkout["url"].as_str().unwrap().rsplit('/').next().unwrap();
    app.simulators.stripe.pay(session, Card::Accepted).expect("pay");
    app.simulators.stripe.settled().await;
    app.run_jobs().await;
}

/// Security case 128, pitfall F17.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_account_is_gone_with_its_org_and_pays_for_nothing() {
    let app = TestApp::start_with(|settings| {
        settings.backups.backup_dir = settings.storage.storage_dir.join("backups");
        settings.backups.backup_key = Some("for tests: thirty-two bytes at least".into());
    })
    .await;
    let (ada, operator) = (app.owner().await, app.operator().await);
    subscribe(&app, &ada).await;
    let entries = count(&app, "select count(*) from ledger_entries").await;
    assert!(entries > 0);
    let key = ada.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    let program = ada.with_key(key["secret"].as_str().unwrap());
    let elsewhere = sign_in(&app, &ada.email).await.ok();
    let elsewhere = ada.with_key(elsewhere["access_token"].as_str().unwrap());

    let asked = ada.post("/v1/me/deletion", json!(null)).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    for out in [&program, &elsewhere] {
        assert_eq!(out.get("/v1/me").await.status, 401, "it ends at once");
    }
    assert!(ada.get("/v1/me/deletion").await.ok()["started_at"].is_null());
    carry_out(&app).await;
    assert_eq!(sign_in(&app, &ada.email).await.status, 201, "there is time to think it over");

    app.advance(TimeDelta::days(31));
    carry_out(&app).await;
    let id = asked.body["id"].as_str().unwrap();
    let shown = operator_again(&app, &operator).await;
    let certificate = shown.get(&format!("/admin/v1/deletions/{id}/certificate")).await.ok();
    assert_eq!(certificate["genuine"], true, "{certificate}");
    let time = |name: &str| -> DateTime<Utc> {
        certificate["certificate"][name].as_str().unwrap().parse().unwrap()
    };
    assert_eq!(time("backups_until") - time("done_at"), TimeDelta::days(30));
    assert_eq!(certificate["certificate"]["erased"]["users, accounts: overwritten"], 1);
    let kept = certificate["certificate"]["kept"]["audit_events"].as_str().unwrap();
    assert!(kept.contains("by ids only"), "{kept}");
    assert_eq!(at_stripe(&app, "subscription")[0]["status"], "canceled");
    assert_eq!(at_stripe(&app, "customer")[0]["deleted"], true);
    assert_eq!(sign_in(&app, &ada.email).await.status, 401);
    assert_eq!(count(&app, "select count(*) from ledger_entries").await, entries, "books stay");
    assert_eq!(count(&app, "select count(*) from memberships").await, 0);
    let last = app.simulators.mailbox.messages_to(&ada.email).pop().unwrap();
    assert_eq!(last.subject, "Your account is being deleted");
    app.assert_books_balance().await;

    app.audit.seal().await.unwrap();
    let log = app.audit.verify(None).await.unwrap();
    assert!(log.breaks.is_empty() && log.redacted > 0, "{log:?}");
    let registration = Registration {
        email: ada.email.parse().unwrap(),
        name: Name::new("Ada").unwrap(),
        password: PASSWORD.into(),
    };
    let again = app.auth.register_verified(&registration).await.unwrap();
    assert_ne!(again.user, ada.user(), "whoever comes back is somebody new");

    let forge = "update deletions set certificate = certificate || '{\"erased\": {}}' where done_at is not null";
    sqlx::query(forge).execute(app.db.pool()).await.unwrap();
    let certificate = shown.get(&format!("/admin/v1/deletions/{id}/certificate")).await.ok();
    assert_eq!(certificate["genuine"], false);
}

async fn operator_again(app: &TestApp, operator: &Client) -> Client {
    let code = app.totp_code(operator.totp_url.as_deref().unwrap());
    let proof = json!({ "email": operator.email, "password": PASSWORD, "code": code });
    let session = app.anonymous().post("/admin/v1/sessions", proof).await.ok();
    operator.with_key(session["token"].as_str().unwrap())
}

#[tokio::test]
async fn somebody_who_is_called_like_a_word_takes_no_mails_or_jobs_of_others_along() {
    let app = TestApp::start().await;
    let (you, others) = (app.owner().await, app.owner().await);
    sqlx::query("update users set name = 'mail', email = 'a@b.example' where id = $1")
        .bind(you.user())
        .execute(app.db.pool())
        .await
        .unwrap();
    you.post("/v1/me/deletion", json!(null)).await.ok();
    app.run_jobs().await;
    app.advance(TimeDelta::days(31));
    let waits = "insert into emails (id, user_id, recipient, template, subject, html, text, status, created_at)
                 values (gen_random_uuid(), $1, 'ada@b.example', 'test', 'A mail', 'mail', 'a mail', 'queued', $2)";
    // From after the beginning, so that the erasure does not wait for it.
    let later = app.clock.now() + TimeDelta::days(1);
    sqlx::query(waits).bind(others.user()).bind(later).execute(app.db.pool()).await.unwrap();
    let job = "select graphile_worker.add_job('test', json_build_object('to', 'ada@b.example'),
                                              run_at := now() + interval '1 year')";
    sqlx::query(job).execute(app.db.pool()).await.unwrap();
    // Longer than an erasure waits for jobs.
    carry_out(&app).await;
    app.advance(TimeDelta::hours(1));
    carry_out(&app).await;

    let done = "select count(*) from deletions where done_at is not null";
    assert_eq!(count(&app, done).await, 2, "of the person, and of the org that goes along");
    let kept = "select count(*) from emails where status = 'queued' and html = 'mail'";
    assert_eq!(count(&app, kept).await, 1);
    let kept = "select count(*) from graphile_worker._private_jobs where payload::text like '%ada@b.example%'";
    assert_eq!(count(&app, kept).await, 1);
}

/// Security case 128.
#[tokio::test]
async fn a_deletion_is_called_off_until_it_begins() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    for what in ["me", "org"] {
        let path = format!("/v1/{what}/deletion");
        assert_eq!(ada.get(&path).await.problem(), (404, "no_deletion".into()));
        ada.post(&path, json!(null)).await.ok();
        assert_eq!(ada.delete(&path).await.status, 204);
        assert_eq!(ada.delete(&path).await.problem(), (404, "no_deletion".into()));
        ada.post(&path, json!(null)).await.ok();
        assert_eq!(ada.delete(&path).await.status, 204, "asked for again, called off again");
    }
    let of = "select count(*) from audit_events where action = 'deletion.requested'";
    assert_eq!(count(&app, of).await, 4);
    let of = "select count(*) from audit_events where action = 'deletion.cancelled'";
    assert_eq!(count(&app, of).await, 4);
    app.advance(TimeDelta::days(31));
    carry_out(&app).await;
    assert_eq!(sign_in(&app, &ada.email).await.status, 201);
    assert_eq!(count(&app, "select count(*) from deletions where started_at is not null").await, 0);
}

/// Security case 128.
#[tokio::test]
async fn who_asks_by_letter_is_served_by_an_operator_and_can_call_it_off() {
    let app = TestApp::start().await;
    let (operator, ada) = (app.operator().await, app.owner().await);
    let ask = async |body: Value| operator.post("/admin/v1/deletions", body).await;
    let asked = ask(json!({ "user_id": ada.user() })).await;
    assert_eq!(asked.status, 202);
    let asked = asked.ok();
    assert_eq!(ada.get("/v1/me").await.status, 401, "sessions end, whoever sits there");
    app.run_jobs().await;
    assert_eq!(app.simulators.mailbox.messages_to(&ada.email).len(), 1, "they are told");
    let session = sign_in(&app, &ada.email).await.ok();
    let again = ada.with_key(session["access_token"].as_str().unwrap());
    assert_eq!(again.get("/v1/me/deletion").await.ok()["id"], asked["id"]);
    assert_eq!(again.delete("/v1/me/deletion").await.status, 204);
    let path = format!("/admin/v1/deletions/{}", asked["id"].as_str().unwrap());
    assert_eq!(operator.delete(&path).await.problem(), (404, "no_deletion".into()));

    let asked = ask(json!({ "org_id": ada.org() })).await.ok();
    let path = format!("/admin/v1/deletions/{}", asked["id"].as_str().unwrap());
    assert_eq!(operator.delete(&path).await.status, 204);
    let nobody = ask(json!({ "user_id": ada.org() })).await.problem();
    assert_eq!(nobody, (404, "subject_not_found".into()));
    for both in [json!({}), json!({ "user_id": ada.user(), "org_id": ada.org() })] {
        assert_eq!(ask(both).await.problem().0, 422);
    }
}

#[tokio::test]
async fn the_only_owner_of_an_org_with_others_hands_it_over_first() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let bob = app.member(&ada, Role::Member).await;
    let refused = ada.post("/v1/me/deletion", json!(null)).await;
    assert_eq!(refused.body["orgs"], json!([ada.org()]));
    assert_eq!(refused.problem(), (409, "sole_owner".into()));

    app.set_role(&ada, &bob, Role::Owner).await;
    ada.post("/v1/me/deletion", json!(null)).await.ok();
    app.set_role(&ada, &bob, Role::Member).await;
    app.advance(TimeDelta::days(31));
    carry_out(&app).await;
    assert_eq!(count(&app, "select count(*) from deletions where started_at is not null").await, 0);
    let mail = app.simulators.mailbox.messages_to(&ada.email).pop().unwrap();
    assert_eq!(mail.subject, "Your account could not be deleted yet");

    app.set_role(&ada, &bob, Role::Owner).await;
    app.advance(TimeDelta::days(2));
    carry_out(&app).await;
    assert_eq!(count(&app, "select count(*) from deletions where done_at is not null").await, 1);
    assert_eq!(count(&app, "select count(*) from orgs where name = ''").await, 0, "it is Bob's");
}

#[tokio::test]
async fn members_of_a_deleted_org_go_on_elsewhere() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let bob = app.member(&ada, Role::Member).await;
    assert_eq!(bob.post("/v1/org/deletion", json!(null)).await.status, 403);
    ada.post("/v1/projects", json!({ "name": "Doomed" })).await.ok();
    deleted(&app, &ada, "org").await;

    for person in [&ada, &bob] {
        assert_eq!(sign_in(&app, &person.email).await.status, 201);
        let told = app.simulators.mailbox.messages_to(&person.email);
        assert!(told.iter().any(|it| it.subject == "An organization of yours was deleted"));
    }
    assert_eq!(count(&app, "select count(*) from projects").await, 0);
    assert_eq!(count(&app, "select count(*) from deletions where done_at is not null").await, 1);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_is_asked_for_many_times_at_once_is_one() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let replies = join_all((0..8).map(|_| ada.post("/v1/me/deletion", json!(null)))).await;
    let ids: std::collections::BTreeSet<String> =
        replies.into_iter().map(|it| it.ok()["id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    app.run_jobs().await;
    let mails = app.simulators.mailbox.messages_to(&ada.email);
    assert_eq!(mails.iter().filter(|it| it.subject == "Your account will be deleted").count(), 1);
}

#[tokio::test]
async fn a_deletion_takes_a_recent_proof_of_who_asks() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    app.advance(TimeDelta::minutes(11));
    for what in ["me", "org"] {
        assert_eq!(ada.post(&format!("/v1/{what}/deletion"), json!(null)).await.status, 401);
    }
}

/// After each single step everything fails. What was erased is the same as of an account like it, undisturbed.
#[tokio::test]
async fn a_deletion_that_fails_after_any_step_goes_on_there_and_counts_nothing_twice() {
    let mut certificates = vec![];
    for fails in [false, true] {
        let app = TestApp::start().await;
        let ada = app.owner().await;
        ada.post("/v1/projects", json!({ "name": "One" })).await.ok();
        ada.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
        ada.post("/v1/me/exports", json!(null)).await.ok();
        ada.post("/v1/me/deletion", json!(null)).await.ok();
        app.run_jobs().await;
        app.advance(TimeDelta::days(31));
        let fail = "create table steps_to_do as select 0 as steps;
             create function fail() returns trigger language plpgsql as $$ begin
                 if (select count(*) from deletion_steps) >= (select steps from steps_to_do) then
                     raise exception 'on purpose';
                 end if;
                 return new;
             end $$;
             create trigger fail before insert or update on deletion_steps for each row execute function fail()";
        if fails {
            sqlx::raw_sql(fail).execute(app.db.pool()).await.unwrap();
        }
        let mut runs = 0;
        while count(&app, "select count(*) from deletions where done_at is null").await > 0 {
            if fails {
                sqlx::query("update steps_to_do set steps = steps + 1")
                    .execute(app.db.pool())
                    .await
                    .unwrap();
            }
            carry_out_once(&app).await;
            runs += 1;
            assert!(runs < 500, "it never ends");
        }
        assert!(!fails || runs > 50, "it failed only {runs} times");
        let mails = app.simulators.mailbox.messages_to(&ada.email);
        assert_eq!(
            mails.iter().filter(|it| it.subject == "Your account is being deleted").count(),
            1
        );
        let erased = "select certificate -> 'erased' from deletions order by org_id";
        let erased: Vec<Value> = sqlx::query_scalar(erased).fetch_all(app.db.pool()).await.unwrap();
        certificates.push(erased);
    }
    let [undisturbed, failed] = certificates.as_slice() else { unreachable!() };
    assert_eq!(undisturbed, failed);
    assert_eq!(undisturbed[0]["api_keys, keys of programs: deleted"], 1, "{undisturbed:?}");
    assert_eq!(undisturbed[1]["objects"], 1, "{undisturbed:?}");
}
