//! Over SMTP, to a real server. Fault F12.

use std::time::{Duration, Instant};

use email::{SystemAlert, VerifyEmail, Welcome};
use simulators::mailbox::Fault;
use testing::TestApp;

use crate::{ADA, digest, mailer, make_due, queue, queue_to, received, row, status};

#[tokio::test]
async fn a_mail_is_sent_and_then_erased() {
    let app = TestApp::start().await;
    let id = queue(&app).await;
    assert!(row(&app, id).await.has_body);

    app.run_jobs().await;

    let [mail] = &received(&app)[..] else { panic!("one mail") };
    assert_eq!(mail.subject, "Welcome to Slipway");
    assert_eq!(mail.from, "hello@localhost.localdomain");
    assert!(mail.text.as_ref().unwrap().contains("Hello Ada,"));
    assert!(mail.html.as_ref().unwrap().contains("Hello Ada,"));
    assert_eq!(mail.header("Message-ID").unwrap(), format!("<{id}@localhost.localdomain>"));
    assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated"));
    let sent = row(&app, id).await;
    assert_eq!((sent.status.as_str(), sent.attempts, sent.has_body), ("sent", 1, false));
    assert_eq!((sent.error, sent.provider_id.as_deref()), (None, Some("2.0.0 Kept")));
}

#[tokio::test]
async fn what_is_rolled_back_is_not_sent() {
    let app = TestApp::start().await;
    let mut tx = app.db.begin().await.unwrap();
    let ada = ADA.parse().unwrap();
    mailer(&app).queue(&mut tx, &ada, None, &Welcome { name: "Ada" }).await.unwrap();
    tx.rollback().await.unwrap();

    app.run_jobs().await;

    assert_eq!(app.simulators.mailbox.counters().attempts, 0);
}

#[tokio::test]
async fn a_job_that_runs_twice_sends_once() {
    let app = TestApp::start().await;
    let id = queue(&app).await;
    let again = "select from graphile_worker.add_job('email.send', json_build_object(
                     'job', json_build_object('email', $1::uuid)))";
    sqlx::query(again).bind(id).execute(app.db.pool()).await.unwrap();

    app.run_jobs().await;

    assert_eq!(app.simulators.mailbox.counters().attempts, 1);
    assert_eq!(row(&app, id).await.attempts, 1);
}

#[tokio::test]
async fn two_jobs_of_one_mail_at_the_same_time_send_it_once() {
    let app = TestApp::start().await;
    let id = queue(&app).await;
    let again = "select from graphile_worker.add_job('email.send', json_build_object(
                     'job', json_build_object('email', $1::uuid)))";
    sqlx::query(again).bind(id).execute(app.db.pool()).await.unwrap();
    app.simulators.mailbox.next(Fault::Hang);

    let other = async {
        app.simulators.mailbox.wait_until(|it| it.attempts == 1).await;
        app.run_jobs().await;
        app.simulators.mailbox.release();
    };
    tokio::join!(app.run_jobs(), other);
    make_due(&app).await;
    app.run_jobs().await;

    assert_eq!(app.simulators.mailbox.counters().attempts, 1);
    let row = row(&app, id).await;
    assert_eq!((row.status.as_str(), row.attempts), ("sent", 1));
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_given_up_at_once() {
    let app = TestApp::start().await;
    app.simulators.mailbox.next(Fault::Refuse);
    let id = queue(&app).await;

    app.run_jobs().await;
    make_due(&app).await;
    app.run_jobs().await;

    let row = row(&app, id).await;
    assert_eq!((row.status.as_str(), row.attempts), ("dead", 1));
    assert!(row.error.unwrap().contains("550"));
    assert_eq!(app.simulators.mailbox.counters().attempts, 1);
}

#[tokio::test]
async fn what_a_mail_said_that_is_given_up_is_kept_for_a_week_unless_it_lets_somebody_in() {
    let app = TestApp::start().await;
    app.simulators.mailbox.next_n(2, Fault::Refuse);
    let link = "https://app.example.com/v1/email-verifications/secret".parse().unwrap();
    let news = queue_to(&app, ADA, None, &Welcome { name: "Ada" }).await;
    let mail = VerifyEmail { link: &link, hours: 24 };
    let key = queue_to(&app, "bob@example.com", None, &mail).await;
    app.run_jobs().await;
    assert_eq!((status(&app, news).await, status(&app, key).await), ("dead".into(), "dead".into()));
    assert!(row(&app, news).await.has_body && !row(&app, key).await.has_body);

    app.advance(chrono::TimeDelta::days(8));
    let purge = "select from graphile_worker.add_job('email.purge', '{\"job\": {}}')";
    sqlx::query(purge).execute(app.db.pool()).await.unwrap();
    app.run_jobs().await;
    assert!(!row(&app, news).await.has_body);
}

#[tokio::test]
async fn old_mails_are_deleted_with_what_was_told_of_them_and_who_must_get_none_is_not_forgotten() {
    let app = TestApp::start().await;
    app.simulators.mailbox.next(Fault::Refuse);
    let (old, queued) =
        (queue(&app).await, queue_to(&app, "bob@example.com", None, &digest()).await);
    app.run_jobs().await;
    let told = "insert into email_events (id, email_id, kind, occurred_at, received_at)
                select 'old', $1, 'bounced', $2, $2";
    let told = sqlx::query(told).bind(old).bind(app.clock.now());
    told.execute(app.db.pool()).await.unwrap();
    sqlx::query("update emails set status = 'queued' where id = $1")
        .bind(queued)
        .execute(app.db.pool())
        .await
        .unwrap();

    let purge = async |days| {
        app.advance(chrono::TimeDelta::days(days));
        let purge = "select from graphile_worker.add_job('email.purge', '{\"job\": {}}')";
        sqlx::query(purge).execute(app.db.pool()).await.unwrap();
        app.run_jobs().await;
        let left = "select (select count(*) from emails) + (select count(*) from email_events)";
        sqlx::query_scalar::<_, i64>(left).fetch_one(app.db.pool()).await.unwrap()
    };
    assert_eq!(purge(89).await, 3);
    let new = queue(&app).await;
    assert_eq!(purge(2).await, 1);
    assert_eq!(status(&app, new).await, "suppressed");
}

#[tokio::test]
async fn a_test_mail_tells_at_once_what_became_of_it() {
    let app = TestApp::start().await;
    let ada = ADA.parse().unwrap();
    let sent = mailer(&app).send_test(&ada, "somebody").await.unwrap();
    assert_eq!((sent.status, sent.provider.as_deref()), (email::Status::Sent, Some("smtp")));
    assert!(received(&app)[0].text.as_ref().unwrap().contains("somebody"));

    app.simulators.mailbox.next(Fault::Defer);
    let deferred = mailer(&app).send_test(&ada, "somebody").await.unwrap();
    assert_eq!(deferred.status, email::Status::Dead);
    assert!(deferred.error.unwrap().contains("451"));
}

/// Security case 113: what a mail server says, or a mail's link, is no secret of anybody in the log.
#[tokio::test]
async fn the_log_shows_neither_links_nor_bodies() {
    let app = TestApp::start().await;
    let link = "https://app.example.com/v1/password-resets/canary-link".parse().unwrap();
    let reset = email::PasswordReset { name: "Ada", link: &link, minutes: 10 };
    queue_to(&app, ADA, None, &reset).await;
    let operator = app.operator().await;
    assert!(!operator.get("/admin/v1/emails").await.ok().to_string().contains("canary"));
    app.run_jobs().await;
    let left: Vec<String> = sqlx::query_scalar("select emails::text from emails")
        .fetch_all(app.db.pool())
        .await
        .unwrap();
    assert!(left.iter().all(|row| !row.contains("canary")), "{left:?}");
    let queued: Vec<String> =
        sqlx::query_scalar("select j::text from graphile_worker._private_jobs j")
            .fetch_all(app.db.pool())
            .await
            .unwrap();
    assert!(queued.iter().all(|row| !row.contains("canary")), "{queued:?}");
}

/// Security case 129.
#[tokio::test]
async fn a_mail_of_somebody_who_is_gone_stops_nothing() {
    let app = TestApp::start().await;
    let (gone, poison) = (queue(&app).await, queue(&app).await);
    let last = queue(&app).await;
    sqlx::query("delete from emails where id = $1")
        .bind(gone)
        .execute(app.db.pool())
        .await
        .unwrap();
    sqlx::query("update emails set recipient = 'no address' where id = $1")
        .bind(poison)
        .execute(app.db.pool())
        .await
        .unwrap();
    app.run_jobs().await;
    assert_eq!(status(&app, poison).await, "dead");
    assert_eq!(status(&app, last).await, "sent");
}

#[tokio::test]
async fn people_go_before_news() {
    let app = TestApp::start().await;
    queue_to(&app, ADA, None, &crate::digest()).await;
    let alert = SystemAlert { name: "", subject: "Look", paragraphs: &["Here.".to_owned()] };
    queue_to(&app, ADA, None, &alert).await;
    app.run_jobs().await;
    let subjects: Vec<_> = received(&app).iter().map(|mail| mail.subject.clone()).collect();
    assert_eq!(subjects, ["Look", "Analytical Engines: the week in figures"]);
}

#[tokio::test]
async fn a_mail_that_is_put_off_is_sent_later() {
    for fault in [Fault::Defer, Fault::Close] {
        let app = TestApp::start().await;
        app.simulators.mailbox.next(fault);
        let id = queue(&app).await;

        app.run_jobs().await;
        let waiting = row(&app, id).await;
        assert_eq!((waiting.status.as_str(), waiting.has_body), ("queued", true), "{fault:?}");
        assert!(waiting.error.is_some());
        make_due(&app).await;
        app.run_jobs().await;

        let sent = row(&app, id).await;
        assert_eq!(
            (sent.status.as_str(), sent.attempts, sent.error),
            ("sent", 2, None),
            "{fault:?}"
        );
        assert_eq!(received(&app).len(), 1);
    }
}

#[tokio::test]
async fn a_mail_whose_acceptance_got_lost_is_repeated_as_the_same_mail() {
    let app = TestApp::start().await;
    app.simulators.mailbox.next(Fault::CloseAfterData);
    queue(&app).await;

    app.run_jobs().await;
    make_due(&app).await;
    app.run_jobs().await;

    let [first, second] = &received(&app)[..] else { panic!("two copies") };
    assert_eq!(first.header("Message-ID"), second.header("Message-ID"));
    assert_eq!(first.header("Date"), second.header("Date"));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_on_in_time_and_does_not_disturb_the_next_mail() {
    let app = TestApp::start_with(|settings| settings.email.email_timeout_seconds = 4).await;
    app.simulators.mailbox.next(Fault::Hang);
    let (hung, next) = (queue(&app).await, queue(&app).await);
    let started = Instant::now();

    app.run_jobs().await;
    assert!(started.elapsed() < Duration::from_secs(19), "{:?}", started.elapsed());
    app.simulators.mailbox.release();

    assert_eq!(row(&app, next).await.status, "sent");
    let row = row(&app, hung).await;
    assert_eq!(row.status, "queued");
    assert!(row.error.unwrap().contains("in time"));
    assert_eq!(received(&app).len(), 1);
}

#[tokio::test]
async fn the_last_attempt_that_fails_gives_the_mail_up() {
    let app = TestApp::start().await;
    app.simulators.mailbox.next_n(10, Fault::Defer);
    let id = queue(&app).await;

    for _ in 0..11 {
        app.run_jobs().await;
        make_due(&app).await;
    }

    let row = row(&app, id).await;
    assert_eq!((row.status.as_str(), row.attempts), ("dead", 10));
    assert_eq!(app.simulators.mailbox.counters().attempts, 10);
}
