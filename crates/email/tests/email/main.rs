//! Mails from the outbox to their reader, through every way in which that fails.

mod dkim;
mod docs;
mod domains;
mod events;
mod pacing;
mod preferences;
mod previews;
mod resend;
mod sendgrid;
mod smtp;
mod suppressions;
mod tls;

use std::sync::Arc;

use chrono::NaiveDate;
use email::{Email, Mailer, Template, WeeklyDigest, Welcome};
use kernel::{EmailAddress, Id, User};
use server::Settings;
use simulators::{
    mailbox::Message,
    resend::{Resend, WEBHOOK_SECRET},
};
use sqlx::query_as;
use testing::TestApp;

const ADA: &str = "ada@example.com";

#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
struct Row {
    status: String,
    attempts: i32,
    has_body: bool,
    error: Option<String>,
    provider_id: Option<String>,
}

fn mailer(app: &TestApp) -> Mailer {
    let (url, secret) = (app.settings.public_url(), app.settings.auth.auth_secret.clone());
    let (db, clock) = (app.db.clone(), app.clock.clone());
    Mailer::new(db, clock, &app.settings.email, url, secret).unwrap()
}

/// Queues a mail that people need.
async fn queue(app: &TestApp) -> Id<Email> {
    queue_to(app, ADA, None, &Welcome { name: "Ada" }).await
}

async fn queue_to<T: Template>(
    app: &TestApp,
    to: &str,
    user: Option<Id<User>>,
    mail: &T,
) -> Id<Email> {
    let (mut tx, to) = (app.db.begin().await.unwrap(), to.parse::<EmailAddress>().unwrap());
    let id = mailer(app).queue(&mut tx, &to, user, mail).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// A mail that people can do without.
fn digest() -> WeeklyDigest<'static> {
    WeeklyDigest {
        name: "Ada",
        org: "Analytical Engines",
        week: NaiveDate::from_ymd_opt(2026, 1, 26).unwrap(),
        calls: 1,
        cost: "$1.00",
        credits: 0,
        growth: None,
        models: &[],
    }
}

async fn row(app: &TestApp, id: Id<Email>) -> Row {
    let row = query_as(
        "select status, attempts, error, provider_id,
                html is not null or text is not null as has_body
         from emails where id = $1",
    );
    row.bind(id).fetch_one(app.db.pool()).await.unwrap()
}

async fn status(app: &TestApp, id: Id<Email>) -> String {
    row(app, id).await.status
}

/// Lets the pause before a retry pass.
async fn make_due(app: &TestApp) {
    let due = "update graphile_worker._private_jobs set run_at = now()";
    sqlx::query(due).execute(app.db.pool()).await.unwrap();
}

fn received(app: &TestApp) -> Vec<Arc<Message>> {
    app.simulators.mailbox.messages_to(ADA)
}

/// The product with Resend instead of a mail server.
async fn with_resend(adjust: impl FnOnce(&mut Settings)) -> (TestApp, Resend) {
    let resend = Resend::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let url = resend.url().parse().unwrap();
    let app = TestApp::start_with(|settings| {
        settings.email.smtp_url = None;
        settings.email.resend_api_key = Some("re_simulator".into());
        settings.email.resend_base_url = url;
        settings.email.resend_webhook_secret = Some(WEBHOOK_SECRET.into());
        adjust(settings);
    });
    (app.await, resend)
}
