//! Mails from the outbox to the mail server, through every way in which that fails.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use email::{Email, Mailer, Welcome};
use kernel::{EmailAddress, Id};
use simulators::mailbox::{Fault, Message};
use sqlx::query_as;
use testing::TestApp;

const ADA: &str = "ada@example.com";

#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
struct Row {
    status: String,
    attempts: i32,
    has_body: bool,
    error: Option<String>,
}

fn mailer(app: &TestApp) -> Mailer {
    let url = app.settings.public_url();
    Mailer::new(app.db.clone(), app.clock.clone(), &app.settings.email, url).unwrap()
}

async fn queue(app: &TestApp) -> Id<Email> {
    let (mut tx, ada) = (app.db.begin().await.unwrap(), ADA.parse::<EmailAddress>().unwrap());
    let id = mailer(app).queue(&mut tx, &ada, None, &Welcome { name: "Ada" }).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn row(app: &TestApp, id: Id<Email>) -> Row {
    let row = query_as(
        "select status, attempts, error, html is not null or text is not null as has_body
         from emails where id = $1",
    );
    row.bind(id).fetch_one(app.db.pool()).await.unwrap()
}

/// Lets the pause before a retry pass.
async fn make_due(app: &TestApp) {
    let due = "update graphile_worker._private_jobs set run_at = now()";
    sqlx::query(due).execute(app.db.pool()).await.unwrap();
}

fn received(app: &TestApp) -> Vec<Arc<Message>> {
    app.simulators.mailbox.messages_to(ADA)
}

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
    let sent = Row { status: "sent".into(), attempts: 1, has_body: false, error: None };
    assert_eq!(row(&app, id).await, sent);
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
async fn a_mail_that_is_refused_for_good_is_given_up_at_once() {
    let app = TestApp::start().await;
    app.simulators.mailbox.next(Fault::Refuse);
    let id = queue(&app).await;

    app.run_jobs().await;
    make_due(&app).await;
    app.run_jobs().await;

    let row = row(&app, id).await;
    assert_eq!((row.status.as_str(), row.attempts, row.has_body), ("dead", 1, false));
    assert!(row.error.unwrap().contains("550"));
    assert_eq!(app.simulators.mailbox.counters().attempts, 1);
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

        let sent = Row { status: "sent".into(), attempts: 2, has_body: false, error: None };
        assert_eq!(row(&app, id).await, sent, "{fault:?}");
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
    let app = TestApp::start_with(|settings| settings.email.email_timeout_seconds = 1).await;
    app.simulators.mailbox.next(Fault::Hang);
    let (hung, next) = (queue(&app).await, queue(&app).await);
    let started = Instant::now();

    app.run_jobs().await;
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
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
    assert_eq!((row.status.as_str(), row.attempts, row.has_body), ("dead", 10, false));
    assert_eq!(app.simulators.mailbox.counters().attempts, 10);
}
