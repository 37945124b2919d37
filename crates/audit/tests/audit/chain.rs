//! Nobody changes the log unnoticed, not even who owns the database.

use audit::{Audit, Break, Entry, Origin, Redaction};
use chrono::TimeDelta;
use futures::future::join_all;
use kernel::{Id, Org};
use serde_json::json;
use testing::TestApp;
use uuid::Uuid;

async fn write(app: &TestApp, org: Option<Id<Org>>, subject: usize) {
    let mut tx = app.db.begin().await.unwrap();
    let entry = Entry::new(&Origin::SYSTEM, org, "thing.changed", subject);
    entry.after(json!({ "n": subject })).record(&mut tx, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn breaks(audit: &Audit) -> Vec<&'static str> {
    audit.seal().await.unwrap();
    audit.verify(None).await.unwrap().breaks.into_iter().map(|it| it.what).collect()
}

/// What somebody does who owns the tables: triggers hold nobody like that.
async fn tamper(app: &TestApp, statement: &'static str) {
    let mut tx = app.db.begin().await.unwrap();
    for switch in [
        "alter table audit_events disable trigger user",
        "alter table audit_seals disable trigger user",
        statement,
        "alter table audit_events enable trigger user",
        "alter table audit_seals enable trigger user",
    ] {
        sqlx::query(switch).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_have_no_gap_however_many_write_and_seal_at_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let orgs = [None, Some(owner.org())];
    let writing = join_all((0..100).map(|n| write(&app, orgs[n % 2], n)));
    let sealing = join_all((0..8).map(|_| app.audit.seal()));

    let (_, sealed) = tokio::join!(writing, sealing);

    assert!(sealed.into_iter().all(|it| it.is_ok()));
    app.audit.seal().await.unwrap();
    let found = app.audit.verify(None).await.unwrap();
    assert_eq!((found.breaks, found.waiting), (vec![], 0));
    let (seals, last): (i64, i64) =
        sqlx::query_as("select count(*), max(seq) from audit_seals where org_id = $1")
            .bind(owner.org())
            .fetch_one(app.db.pool())
            .await
            .unwrap();
    assert_eq!(seals, last, "no gap");
    assert!(seals >= 50);
    assert!(found.chains >= 2);
}

#[tokio::test]
async fn who_writes_waits_for_nobody_who_has_written_but_not_committed() {
    let app = TestApp::start().await;
    let org = Some(app.owner().await.org());
    let mut slow = app.db.begin().await.unwrap();
    let entry = Entry::new(&Origin::SYSTEM, org, "thing.changed", "slow");
    entry.record(&mut slow, app.clock.now()).await.unwrap();

    write(&app, org, 1).await;
    app.audit.seal().await.unwrap();
    let sealed_before = app.audit.verify(org).await.unwrap().seals;
    slow.commit().await.unwrap();
    assert_eq!(app.audit.verify(org).await.unwrap().waiting, 1);
    app.audit.seal().await.unwrap();

    let after = app.audit.verify(org).await.unwrap();
    assert_eq!(after.seals, sealed_before + 1, "the late one follows, though its id is smaller");
    assert_eq!(after.breaks, []);
}

#[tokio::test]
async fn whatever_the_owner_of_the_database_does_to_an_event_shows() {
    for (statement, expected) in [
        (
            "update audit_events set subject = 'x' where subject = '2'",
            vec!["the event was changed"],
        ),
        (
            r#"update audit_events set after = '{"n": 3}' where subject = '2'"#,
            vec!["the event was changed"],
        ),
        (
            "update audit_events set actor_kind = 'user', actor_id = id where subject = '2'",
            vec!["the event was changed"],
        ),
        ("delete from audit_events where subject = '2'", vec!["the event is gone"]),
        (
            "insert into audit_events (id, org_id, actor_kind, action, subject, created_at)
             values (gen_random_uuid(), null, 'system', 'thing.changed', '2', now())",
            vec!["the event was written past the log"],
        ),
        (
            "delete from audit_seals where event_id in (select id from audit_events where subject = '2')",
            vec!["the chain is broken here", "the event was written past the log"],
        ),
        (
            "update audit_seals set event_at = event_at - interval '1 day' where seq = 2",
            vec!["the chain is broken here"],
        ),
    ] {
        let app = TestApp::start().await;
        for n in 1..=3 {
            write(&app, None, n).await;
        }
        assert_eq!(breaks(&app.audit).await, [""; 0]);
        tamper(&app, statement).await;
        let found = breaks(&app.audit).await;
        assert!(expected.iter().all(|it| found.contains(it)), "{statement}: {found:?}");
    }
}

#[tokio::test]
async fn a_chain_computed_anew_without_the_secret_is_noticed_and_never_confirmed() {
    let app = TestApp::start().await;
    write(&app, None, 1).await;
    write(&app, None, 2).await;
    app.audit.seal().await.unwrap();
    // The last event and its seal are taken away, and the chain ends before them.
    tamper(&app, "delete from audit_events where subject = '2'").await;
    tamper(&app, "delete from audit_seals where org_id is null and seq = (select max(seq) from audit_seals where org_id is null)").await;
    sqlx::query(
        "update audit_chains c set seq = c.seq - 1,
            hash = (select hash from audit_seals s where s.org_id is null and s.seq = c.seq - 1)
         where org_id is null",
    )
    .execute(app.db.pool())
    .await
    .unwrap();
    let end = ["the end of the chain was not written by us"];
    assert_eq!(breaks(&app.audit).await, end);

    write(&app, None, 3).await;
    assert_eq!(breaks(&app.audit).await, end, "what follows does not make it right");
}

#[tokio::test]
async fn chains_outlive_an_exchange_of_the_secret() {
    let app = TestApp::start().await;
    write(&app, None, 1).await;
    app.audit.seal().await.unwrap();
    let old = app.settings.auth.auth_secret.clone().unwrap();
    let new: secrecy::SecretString = "another secret that is only used by tests".into();
    let config = &app.settings.audit;
    let audit = |secrets: Vec<secrecy::SecretString>| {
        Audit::new(app.db.clone(), app.clock.clone(), secrets, config).unwrap()
    };

    assert_eq!(breaks(&audit(vec![new.clone(), old])).await, [""; 0]);
    write(&app, None, 2).await;
    // An instance that was not told of the exchange yet leaves the chain alone.
    app.audit.seal().await.unwrap();
    assert_eq!(breaks(&audit(vec![new])).await, [""; 0], "the old one is not needed any more");
}

#[tokio::test]
async fn months_that_are_over_are_dropped_and_what_is_kept_can_still_be_verified() {
    let app = TestApp::start_with(|settings| settings.audit.audit_retention_months = 1).await;
    write(&app, None, 1).await;
    app.audit.seal().await.unwrap();
    let mut db = app.db.pool().acquire().await.unwrap();
    app.advance(TimeDelta::days(70));
    db::create_partitions(&mut db, "audit_events", app.clock.now(), 1).await.unwrap();
    write(&app, None, 2).await;

    app.audit.drop_old().await.unwrap();

    let kept: Vec<String> =
        sqlx::query_scalar("select subject from audit_events where action = 'thing.changed'")
            .fetch_all(app.db.pool())
            .await
            .unwrap();
    assert_eq!(kept, ["2"]);
    app.audit.seal().await.unwrap();
    assert_eq!(app.audit.verify(None).await.unwrap().breaks, Vec::<Break>::new());
}

/// Redacts everything of an org; answers how many events were new to that.
async fn redact(app: &TestApp, org: Id<Org>) -> u64 {
    let mut tx = app.db.begin().await.unwrap();
    let (mut after, mut new) = (Uuid::nil(), 0);
    while let Some(redacted) = app.audit.redact(&mut tx, Redaction::Org(org), after).await.unwrap()
    {
        (after, new) = (redacted.last, new + redacted.new);
    }
    tx.commit().await.unwrap();
    new
}

#[tokio::test]
async fn what_an_erasure_takes_out_of_an_event_is_no_tampering_and_hides_none() {
    for tampering in [
        "update audit_events set subject = 'x' where action = 'thing.changed'",
        "delete from audit_redactions where event_id in (select id from audit_events where action = 'thing.changed')",
        "with event as (update audit_events set subject = 'x'
                        where action = 'thing.changed' returning id)
         update audit_redactions set digest = sha256('x') where event_id in (select id from event)",
    ] {
        let app = TestApp::start().await;
        let owner = app.owner().await;
        write(&app, Some(owner.org()), 1).await;
        app.audit.seal().await.unwrap();
        let redacted = redact(&app, owner.org()).await;
        assert_eq!(redact(&app, owner.org()).await, 0, "again, nothing is new");
        let found = app.audit.verify(None).await.unwrap();
        assert_eq!((found.breaks.as_slice(), found.redacted), (&[][..], redacted));
        let seen = "select count(*) from audit_events where org_id = $1 and (before is not null or after is not null or ip is not null)";
        let seen: i64 =
            sqlx::query_scalar(seen).bind(owner.org()).fetch_one(app.db.pool()).await.unwrap();
        assert_eq!(seen, 0);

        tamper(&app, tampering).await;
        assert_eq!(breaks(&app.audit).await, ["the event was changed"], "{tampering}");
    }
}

#[tokio::test]
async fn redactions_outlive_an_exchange_of_the_secret() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    write(&app, Some(owner.org()), 1).await;
    app.audit.seal().await.unwrap();
    let redacted = redact(&app, owner.org()).await;
    let old = app.settings.auth.auth_secret.clone().unwrap();
    let new: secrecy::SecretString = "another secret that is only used by tests".into();
    let audit = |secrets: Vec<secrecy::SecretString>| {
        Audit::new(app.db.clone(), app.clock.clone(), secrets, &app.settings.audit).unwrap()
    };
    assert_eq!(breaks(&audit(vec![new.clone(), old])).await, [""; 0]);
    let found = audit(vec![new]).verify(None).await.unwrap();
    assert_eq!((found.breaks.as_slice(), found.redacted), (&[][..], redacted));
}
