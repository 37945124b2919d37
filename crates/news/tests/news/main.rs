//! Digests and reminders: once each, to those who want them, whatever breaks.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};
use email::Mailer;
use news::News;
use serde_json::json;
use testing::{Client, PASSWORD, TestApp};
use web::Role;

/// Moves to the next Monday at nine, when digests are sent.
fn advance_to_monday(app: &TestApp) {
    let now = app.clock.now();
    let days = 7 - u64::from(now.weekday().num_days_from_monday());
    let monday: DateTime<Utc> = (now.date_naive() + Days::new(days))
        .and_time(NaiveTime::from_hms_opt(9, 0, 0).unwrap())
        .and_utc();
    app.advance(monday - now);
    assert_eq!(app.clock.now().weekday(), Weekday::Mon);
}

async fn call(client: &Client) {
    let chat = json!({
        "model": "gpt-4o-mini", "max_tokens": 10,
        "messages": [{ "role": "user", "content": "hello" }],
    });
    client.post("/v1/chat/completions", chat).await.ok();
}

async fn queue(app: &TestApp, job: &str) {
    sqlx::query("select from graphile_worker.add_job($1, '{\"job\": {}}')")
        .bind(job)
        .execute(app.db.pool())
        .await
        .unwrap();
}

async fn run(app: &TestApp, job: &str) {
    queue(app, job).await;
    app.run_jobs().await;
}

const DIGEST: &str = "news.weekly_digest";
const NUDGE: &str = "news.inactivity_nudges";

fn mails(app: &TestApp, to: &Client) -> Vec<String> {
    let mails = app.simulators.mailbox.messages_to(&to.email);
    mails.iter().map(|mail| mail.text.clone().unwrap()).collect()
}

/// Row 80.
#[tokio::test]
async fn digests_are_due_on_mondays_at_nine_utc_and_at_no_other_minute_of_the_week() {
    let app = TestApp::start().await;
    let (db, clock, secret) =
        (app.db.clone(), app.clock.clone(), app.settings.auth.auth_secret.clone());
    let (config, url) = (&app.settings.email, app.settings.public_url());
    let mailer = Mailer::new(db.clone(), clock.clone(), config, url, secret).unwrap();
    let schedules = news::module(News { db, clock, mailer }).schedules;
    let digests = schedules.iter().find(|it| it.name() == DIGEST).unwrap();
    let sunday = NaiveDate::from_ymd_opt(2026, 11, 29).unwrap().and_time(NaiveTime::MIN);
    let week = (0..7 * 24 * 60).map(|minute| sunday + TimeDelta::minutes(minute));
    let due: Vec<_> = week.filter(|minute| digests.runs_at(minute)).collect();
    assert_eq!(due, [sunday + TimeDelta::hours(24 + 9)]);
}

/// Row 80.
#[tokio::test]
async fn members_are_told_what_their_org_did_in_the_week_before() {
    let app = TestApp::start().await;
    let (busy, idle) = (app.owner().await, app.owner().await);
    let viewer = app.member(&busy, Role::Viewer).await;
    for _ in 0..2 {
        call(&busy).await;
    }
    advance_to_monday(&app);
    run(&app, DIGEST).await;
    run(&app, DIGEST).await;

    for member in [&busy, &viewer] {
        let [digest] = &mails(&app, member)[..] else { panic!("{:?}", mails(&app, member)) };
        assert!(digest.contains("Calls: 2") && digest.contains("gpt-4o-mini: 2"), "{digest}");
        assert!(digest.contains("Cost: $0.00") && digest.contains("Credits: 0"), "{digest}");
        assert!(digest.contains("/v1/email-unsubscribes/"), "{digest}");
        assert!(!digest.contains("Compared"), "there was no week before: {digest}");
    }
    assert!(mails(&app, &idle).is_empty());

    let credentials = json!({ "email": busy.email, "password": PASSWORD });
    let session = app.anonymous().post("/v1/sessions", credentials).await.ok();
    let busy_again = busy.with_key(session["access_token"].as_str().unwrap());
    for _ in 0..4 {
        call(&busy_again).await;
    }
    advance_to_monday(&app);
    run(&app, DIGEST).await;
    assert!(mails(&app, &busy)[1].contains("Compared with the week before: +100 %"));
}

/// Fault F23.
#[tokio::test]
async fn a_clock_that_jumps_ahead_and_back_sends_nothing_twice_and_skips_no_week() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    call(&owner).await;
    advance_to_monday(&app);
    run(&app, DIGEST).await;
    // A day ahead, back again, and an hour and half a day too far: that is the week before.
    for jump in [24, -24, -1, -12, 13] {
        app.advance(TimeDelta::hours(jump));
        run(&app, DIGEST).await;
        run(&app, NUDGE).await;
        assert_eq!(mails(&app, &owner).len(), 1, "{jump} h");
    }

    let credentials = json!({ "email": owner.email, "password": PASSWORD });
    let session = app.anonymous().post("/v1/sessions", credentials).await.ok();
    call(&owner.with_key(session["access_token"].as_str().unwrap())).await;
    advance_to_monday(&app);
    run(&app, DIGEST).await;
    assert_eq!(mails(&app, &owner).len(), 2);

    // Two weeks of absence, told once although the day comes twice.
    app.advance(TimeDelta::days(15));
    for jump in [0, 24, -25, 24] {
        app.advance(TimeDelta::hours(jump));
        run(&app, NUDGE).await;
        assert_eq!(mails(&app, &owner).len(), 3, "{jump} h");
    }
}

#[tokio::test]
async fn whoever_turned_digests_off_or_has_no_confirmed_address_gets_none() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (unwilling, unconfirmed) =
        (app.member(&owner, Role::Member).await, app.member(&owner, Role::Member).await);
    unwilling.patch("/v1/me/email-preferences", json!({ "digest": false })).await.ok();
    sqlx::query("update users set email_verified_at = null where id = $1")
        .bind(unconfirmed.user())
        .execute(app.db.pool())
        .await
        .unwrap();
    call(&owner).await;
    advance_to_monday(&app);
    run(&app, DIGEST).await;
    assert_eq!(mails(&app, &owner).len(), 1);
    assert!(mails(&app, &unwilling).is_empty() && mails(&app, &unconfirmed).is_empty());
}

/// Makes the job fail at the `n`th mail of a kind, as if the process had been killed there: the transaction
/// of that page is lost, those before it are not.
async fn die_at(app: &TestApp, template: &str, n: i64) {
    let die = format!(
        "create function die() returns trigger language plpgsql as $$
         begin
             if (select count(*) from emails where template = '{template}') >= {n} - 1 then
                 raise exception 'killed';
             end if;
             return new;
         end $$;
         create trigger die before insert on emails for each row
             when (new.template = '{template}') execute function die();"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(die)).execute(app.db.pool()).await.unwrap();
}

async fn live(app: &TestApp) {
    sqlx::raw_sql("drop trigger die on emails; drop function die()")
        .execute(app.db.pool())
        .await
        .unwrap();
    sqlx::query("update graphile_worker._private_jobs set run_at = now()")
        .execute(app.db.pool())
        .await
        .unwrap();
}

/// Fault F19.
#[tokio::test]
async fn a_digest_that_is_interrupted_goes_on_where_it_stopped_and_nobody_gets_two() {
    let app = TestApp::start().await;
    let mut owners = Vec::new();
    for _ in 0..5 {
        let owner = app.owner().await;
        call(&owner).await;
        owners.push(owner);
    }
    advance_to_monday(&app);
    die_at(&app, "weekly_digest", 3).await;
    run(&app, DIGEST).await;
    let sent: usize = owners.iter().map(|owner| mails(&app, owner).len()).sum();
    assert_eq!(sent, 2, "interrupted after two of five");

    live(&app).await;
    // Another instance thinks that it is its turn, too.
    queue(&app, DIGEST).await;
    tokio::join!(app.run_jobs(), app.run_jobs());
    for owner in &owners {
        assert_eq!(mails(&app, owner).len(), 1);
    }
    let finished: bool = sqlx::query_scalar("select finished_at is not null from digest_runs")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert!(finished);
}

#[tokio::test]
async fn an_org_whose_digest_fails_each_time_keeps_nobody_elses_back() {
    let app = TestApp::start().await;
    let mut owners = Vec::new();
    for _ in 0..3 {
        let owner = app.owner().await;
        call(&owner).await;
        owners.push(owner);
    }
    advance_to_monday(&app);
    let first = owners.iter().min_by_key(|owner| owner.org().uuid()).unwrap();
    let refuse = format!(
        "create function refuse() returns trigger language plpgsql as $$
         begin raise exception 'never'; end $$;
         create trigger refuse before insert on emails for each row
             when (new.template = 'weekly_digest' and new.recipient = '{}') execute function refuse();",
        first.email
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(refuse)).execute(app.db.pool()).await.unwrap();
    run(&app, DIGEST).await;
    for _ in 1..10 {
        sqlx::query("update graphile_worker._private_jobs set run_at = now()")
            .execute(app.db.pool())
            .await
            .unwrap();
        app.run_jobs().await;
    }
    for owner in &owners {
        let told = usize::from(owner.org() != first.org());
        assert_eq!(mails(&app, owner).len(), told);
    }
}

/// More members than a page holds: the memory that it takes does not grow with them.
#[tokio::test]
async fn an_org_with_more_members_than_a_page_is_told_page_by_page() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    call(&owner).await;
    let many = "with people as (
                    insert into users (id, email, name, created_at, email_verified_at)
                    select gen_random_uuid(), 'p' || n || '@example.com', 'P', now(), now()
                    from generate_series(1, 450) n returning id)
                insert into memberships (org_id, user_id, role, created_at)
                select $1, id, 'viewer', now() from people";
    sqlx::query(many).bind(owner.org()).execute(app.db.pool()).await.unwrap();
    advance_to_monday(&app);
    // The second page is lost once.
    die_at(&app, "weekly_digest", 300).await;
    run(&app, DIGEST).await;
    live(&app).await;
    app.run_jobs().await;
    let (mails, people): (i64, i64) = sqlx::query_as(
        "select count(*), count(distinct recipient) from emails where template = 'weekly_digest'",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap();
    assert_eq!((mails, people), (451, 451));
}

/// Was here `days` ago for the last time.
async fn left(app: &TestApp, who: &Client, days: i64) {
    let at = app.clock.now() - TimeDelta::days(days);
    for update in [
        "update sessions set last_seen_at = $2, created_at = $2 where user_id = $1",
        "update users set created_at = $2 where id = $1",
    ] {
        sqlx::query(update).bind(who.user()).bind(at).execute(app.db.pool()).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_stays_away_is_reminded_twice_and_then_left_in_peace_until_they_come_back() {
    let app = TestApp::start().await;
    let (away, here, long_gone) = (app.owner().await, app.owner().await, app.owner().await);
    left(&app, &away, 13).await;
    left(&app, &long_gone, 200).await;
    let mut reminded = Vec::new();
    for day in 13..=100 {
        run(&app, NUDGE).await;
        if mails(&app, &away).len() > reminded.len() {
            reminded.push(day);
        }
        app.advance(TimeDelta::days(1));
        left(&app, &here, 0).await;
    }
    assert_eq!(reminded, [14, 45]);
    assert!(mails(&app, &away)[0].contains("14 days ago"), "{:?}", mails(&app, &away));
    assert!(mails(&app, &away)[0].contains("not made a call yet"));
    assert!(mails(&app, &here).is_empty() && mails(&app, &long_gone).is_empty());

    left(&app, &away, 0).await;
    app.advance(TimeDelta::days(14));
    run(&app, NUDGE).await;
    run(&app, NUDGE).await;
    assert_eq!(mails(&app, &away).len(), 3, "a new absence");
}

#[tokio::test]
async fn reminders_that_are_interrupted_reach_everybody_once_but_those_who_do_not_want_them() {
    let app = TestApp::start().await;
    let mut people = Vec::new();
    for _ in 0..4 {
        let person = app.owner().await;
        left(&app, &person, 20).await;
        people.push(person);
    }
    people[3].patch("/v1/me/email-preferences", json!({ "nudges": false })).await.ok();
    left(&app, &people[3], 20).await;
    die_at(&app, "inactivity_nudge", 2).await;
    run(&app, NUDGE).await;
    live(&app).await;
    queue(&app, NUDGE).await;
    tokio::join!(app.run_jobs(), app.run_jobs());
    let counts: Vec<usize> = people.iter().map(|person| mails(&app, person).len()).collect();
    assert_eq!(counts, [1, 1, 1, 0]);
}
