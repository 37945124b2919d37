//! Over Resend's API: exactly once, whatever gets lost. Fault F12, pitfall F13.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use email::Welcome;
use simulators::resend::Fault;
use testing::TestApp;

use crate::{ADA, digest, make_due, queue, queue_to, row, status, with_resend};

#[tokio::test]
async fn a_mail_goes_through_the_api_with_everything_in_it() {
    let (app, resend) = with_resend(|_| {}).await;
    let id = queue_to(&app, ADA, None, &digest()).await;
    app.run_jobs().await;

    let [mail] = &resend.mails()[..] else { panic!("one mail") };
    assert_eq!(mail.request.from, "Slipway <hello@localhost.localdomain>");
    assert_eq!(mail.request.to, [ADA]);
    assert_eq!(mail.request.subject, "Analytical Engines: the week in figures");
    assert!(mail.request.html.as_ref().unwrap().contains("Hello Ada,"));
    assert!(mail.request.text.as_ref().unwrap().contains("Hello Ada,"));
    assert!(mail.request.headers["List-Unsubscribe"].contains("/v1/email-unsubscribes/"));
    assert_eq!(mail.request.headers["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click");
    let tags: Vec<_> = mail.request.tags.iter().map(|tag| (&*tag.name, &*tag.value)).collect();
    assert_eq!(tags, [("email", &*id.to_string()), ("category", "digest")]);
    let sent = row(&app, id).await;
    assert_eq!((sent.status.as_str(), sent.has_body), ("sent", false));
    assert_eq!(sent.provider_id.as_ref(), Some(&mail.id));
}

#[tokio::test]
async fn a_mail_whose_answer_got_lost_is_sent_exactly_once() {
    for fault in [Fault::DropAnswer, Fault::Garbage, Fault::Endless, Fault::Reset] {
        let (app, resend) = with_resend(|_| {}).await;
        resend.next(fault);
        let id = queue(&app).await;

        app.run_jobs().await;
        assert_eq!(status(&app, id).await, "queued", "{fault:?}");
        assert!(row(&app, id).await.error.is_some(), "{fault:?}");
        make_due(&app).await;
        app.run_jobs().await;

        assert_eq!((resend.mails().len(), resend.requests()), (1, 2), "{fault:?}");
        let keys = resend.keys();
        assert!(keys[0] == keys[1] && keys[0].contains(&id.to_string()), "{keys:?}");
        let sent = row(&app, id).await;
        assert_eq!(sent.status, "sent", "{fault:?}");
        assert_eq!(sent.provider_id.unwrap(), resend.mails()[0].id, "{fault:?}");
    }
}

#[tokio::test]
async fn an_api_that_does_not_answer_is_given_up_on_in_time_and_the_mail_is_sent_once() {
    let (app, resend) = with_resend(|settings| settings.email.email_timeout_seconds = 4).await;
    resend.next(Fault::Hang);
    let id = queue(&app).await;
    let started = Instant::now();
    app.run_jobs().await;
    assert!(started.elapsed() < Duration::from_secs(19), "{:?}", started.elapsed());
    assert!(row(&app, id).await.error.unwrap().contains("in time"));
    resend.release();

    make_due(&app).await;
    app.run_jobs().await;
    assert_eq!((status(&app, id).await.as_str(), resend.mails().len()), ("sent", 1));
}

#[tokio::test]
async fn a_failure_that_passes_is_waited_out_and_one_that_stays_is_not() {
    for (code, after) in [
        (500, "queued"),
        (503, "queued"),
        (408, "queued"),
        (401, "queued"),
        (403, "queued"),
        (400, "dead"),
        (422, "dead"),
        (413, "dead"),
    ] {
        let (app, resend) = with_resend(|_| {}).await;
        resend.next(Fault::Status { status: code });
        let id = queue(&app).await;
        app.run_jobs().await;
        assert_eq!(status(&app, id).await, after, "{code}");
        make_due(&app).await;
        app.run_jobs().await;
        let sent = usize::from(after == "queued");
        assert_eq!(resend.mails().len(), sent, "{code}");
    }
}

#[tokio::test]
async fn a_busy_api_is_asked_again_when_it_says_and_no_attempt_is_used_up() {
    let (app, resend) = with_resend(|_| {}).await;
    resend.next_n(12, Fault::Busy { retry_after: Some(30) });
    let id = queue(&app).await;
    for _ in 0..12 {
        app.run_jobs().await;
        let pause: i64 = sqlx::query_scalar(
            "select extract(epoch from run_at - created_at)::bigint from graphile_worker._private_jobs
             where attempts = 0 and key is not null order by id desc limit 1",
        )
        .fetch_one(app.db.pool())
        .await
        .unwrap();
        assert!((30..=60).contains(&pause), "{pause}");
        make_due(&app).await;
    }
    assert_eq!((status(&app, id).await.as_str(), row(&app, id).await.attempts), ("queued", 0));

    app.run_jobs().await;
    assert_eq!((status(&app, id).await.as_str(), row(&app, id).await.attempts), ("sent", 1));
    assert_eq!(resend.mails().len(), 1);
}

#[tokio::test]
async fn a_mail_that_a_busy_api_puts_off_takes_one_place_of_its_day() {
    let (app, resend) = with_resend(|settings| {
        settings.email.email_optional_per_person = 1;
        settings.email.email_daily_limit = Some(1);
    })
    .await;
    let reader = app.owner().await;
    app.run_jobs().await;
    sqlx::query("delete from email_days").execute(app.db.pool()).await.unwrap();
    resend.next_n(3, Fault::Busy { retry_after: Some(0) });
    let id = queue_to(&app, &reader.email, reader.user, &digest()).await;
    for _ in 0..4 {
        app.run_jobs().await;
        make_due(&app).await;
    }
    assert_eq!(status(&app, id).await, "sent");
}

#[tokio::test]
async fn a_mail_that_is_put_off_for_a_day_is_given_up() {
    let (app, resend) = with_resend(|_| {}).await;
    resend.next_n(2, Fault::Busy { retry_after: None });
    let id = queue(&app).await;
    app.run_jobs().await;
    assert_eq!(status(&app, id).await, "queued");
    app.advance(TimeDelta::hours(25));
    make_due(&app).await;
    app.run_jobs().await;
    assert_eq!(status(&app, id).await, "dead");
}

#[tokio::test]
async fn a_mail_that_was_given_up_is_sent_again_by_hand_under_its_key() {
    let (app, resend) = with_resend(|_| {}).await;
    // The last attempt arrived, and its answer got lost.
    resend.next_n(9, Fault::Reset);
    resend.next(Fault::DropAnswer);
    let id = queue(&app).await;
    for _ in 0..10 {
        app.run_jobs().await;
        make_due(&app).await;
    }
    assert_eq!((status(&app, id).await.as_str(), resend.mails().len()), ("dead", 1));

    let operator = app.operator().await;
    let again = format!("/admin/v1/emails/{id}/retries");
    assert_eq!(operator.post(&again, serde_json::json!({})).await.status, 202);
    app.run_jobs().await;
    assert_eq!((status(&app, id).await.as_str(), resend.mails().len()), ("sent", 1));
    assert_eq!(operator.post(&again, serde_json::json!({})).await.problem().0, 409);
    let log = operator.get("/admin/v1/audit-log").await.ok().to_string();
    assert!(log.contains("email.retried"), "{log}");
}

#[tokio::test]
async fn a_missing_api_shows_in_health_and_loses_no_mail() {
    let app = TestApp::start_with(|settings| {
        settings.email.smtp_url = None;
        settings.email.resend_api_key = Some("re_simulator".into());
        settings.email.resend_base_url = "http://127.0.0.1:1".parse().unwrap();
    })
    .await;
    let id = queue_to(&app, ADA, None, &Welcome { name: "Ada" }).await;
    app.run_jobs().await;
    assert_eq!(status(&app, id).await, "queued");
    assert!(app.anonymous().get("/health/ready").await.status.is_success());
    let health = app.anonymous().get("/health").await.body;
    assert_eq!(health["checks"]["email"][0]["status"], "warn", "{health}");
}
