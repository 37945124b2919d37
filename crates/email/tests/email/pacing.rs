//! How many mails leave in a day, and reach a person.

use chrono::TimeDelta;
use email::Welcome;
use testing::TestApp;

use crate::{ADA, digest, make_due, queue, queue_to, received, row, status};

#[tokio::test]
async fn a_person_gets_a_few_optional_mails_a_day_and_all_that_they_need() {
    let app = TestApp::start_with(|settings| settings.email.email_optional_per_person = 2).await;
    let (ada, bob) = (app.owner().await, app.owner().await);
    for _ in 0..4 {
        queue_to(&app, &ada.email, ada.user, &digest()).await;
        queue_to(&app, &ada.email, ada.user, &Welcome { name: "Ada" }).await;
    }
    queue_to(&app, &bob.email, bob.user, &digest()).await;
    app.run_jobs().await;
    assert_eq!(app.simulators.mailbox.messages_to(&ada.email).len(), 2 + 4);
    assert_eq!(app.simulators.mailbox.messages_to(&bob.email).len(), 1);

    app.advance(TimeDelta::days(1));
    let next = queue_to(&app, &ada.email, ada.user, &digest()).await;
    app.run_jobs().await;
    assert_eq!(status(&app, next).await, "sent");
}

#[tokio::test]
async fn past_the_limit_of_the_day_only_what_people_need_is_sent_and_the_rest_tomorrow() {
    let app = TestApp::start_with(|settings| settings.email.email_daily_limit = Some(3)).await;
    for _ in 0..2 {
        queue_to(&app, ADA, None, &digest()).await;
    }
    for _ in 0..2 {
        queue(&app).await;
    }
    app.run_jobs().await;
    assert_eq!(received(&app).len(), 3);
    for _ in 0..2 {
        queue(&app).await;
    }
    app.run_jobs().await;
    assert_eq!(received(&app).len(), 5);
    // What waits is no failure and no attempt.
    let waiting: i64 =
        sqlx::query_scalar("select count(*) from emails where status = 'queued' and attempts = 0")
            .fetch_one(app.db.pool())
            .await
            .unwrap();
    assert_eq!(waiting, 1);

    app.advance(TimeDelta::hours(13));
    make_due(&app).await;
    app.run_jobs().await;
    assert_eq!(received(&app).len(), 6);
}

#[tokio::test]
async fn a_mail_that_waits_for_tomorrow_takes_no_place_of_today() {
    let app = TestApp::start_with(|settings| {
        settings.email.email_optional_per_person = 1;
        settings.email.email_daily_limit = Some(0);
    })
    .await;
    let ada = app.owner().await;
    let id = queue_to(&app, &ada.email, ada.user, &digest()).await;
    for _ in 0..2 {
        app.run_jobs().await;
        make_due(&app).await;
    }
    assert_eq!(status(&app, id).await, "queued", "put off, not dropped");
}

#[tokio::test]
async fn a_new_domain_sends_more_from_day_to_day() {
    let app = TestApp::start_with(|settings| {
        let email = &mut settings.email;
        email.email_warm_up_since = Some(kernel::Clock::System.now().date_naive());
        (email.email_warm_up_first_day, email.email_warm_up_growth_percent) = (2, 100);
    })
    .await;
    for _ in 0..7 {
        queue_to(&app, ADA, None, &digest()).await;
    }
    app.run_jobs().await;
    assert_eq!(received(&app).len(), 2);
    app.advance(TimeDelta::days(1));
    make_due(&app).await;
    app.run_jobs().await;
    assert_eq!(received(&app).len(), 2 + 4);
}

#[tokio::test]
async fn news_that_has_waited_for_days_is_not_sent_any_more() {
    let app = TestApp::start().await;
    let (news, needed) = (queue_to(&app, ADA, None, &digest()).await, queue(&app).await);
    app.advance(TimeDelta::days(4));
    app.run_jobs().await;
    assert_eq!(status(&app, news).await, "suppressed");
    assert!(row(&app, news).await.error.unwrap().contains("too long"));
    assert_eq!(status(&app, needed).await, "sent");
}

/// Mails that several workers send at once pass no cap.
#[tokio::test]
async fn caps_hold_when_many_workers_send_at_once() {
    let app = TestApp::start_with(|settings| {
        settings.email.email_daily_limit = Some(5);
        settings.email.email_optional_per_person = 3;
    })
    .await;
    let (ada, bob) = (app.owner().await, app.owner().await);
    for person in [&ada, &bob] {
        for _ in 0..8 {
            queue_to(&app, &person.email, person.user, &digest()).await;
        }
    }
    tokio::join!(app.run_jobs(), app.run_jobs(), app.run_jobs(), app.run_jobs());
    assert_eq!(app.simulators.mailbox.counters().deliveries, 5);
    assert!(app.simulators.mailbox.messages_to(&ada.email).len() <= 3);
    assert!(app.simulators.mailbox.messages_to(&bob.email).len() <= 3);
}
