//! Commands about money and mail, as processes of their own.

use secrecy::ExposeSecret;
use serde_json::json;
use testing::TestApp;
use tokio::process::Command;

/// Runs `slipway` over the database of `app`; answers whether it succeeded and what it printed.
pub(crate) async fn slipway(app: &TestApp, arguments: &[&str]) -> (bool, String) {
    let output = command(app, arguments).output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// `slipway` over the database and the simulators of `app`.
pub(crate) fn command(app: &TestApp, arguments: &[&str]) -> Command {
    let secret =
        |it: &Option<secrecy::SecretString>| it.as_ref().unwrap().expose_secret().to_owned();
    let settings = &app.settings;
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("APP_URL", &app.url)
        .env("DATABASE_URL", app.database_url())
        .env("AUTH_SECRET", secret(&settings.auth.auth_secret))
        .env("STRIPE_SECRET_KEY", secret(&settings.billing.stripe_secret_key))
        .env("STRIPE_WEBHOOK_SECRET", secret(&settings.billing.stripe_webhook_secret))
        .env("STRIPE_BASE_URL", settings.billing.stripe_base_url.as_ref().unwrap().to_string())
        .env("SMTP_URL", secret(&settings.email.smtp_url))
        .env("LOG_LEVEL", "error")
        .current_dir(settings.storage.storage_dir.clone());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_self_test_goes_through_the_webhook_and_tells_of_the_last_event() {
    let app = TestApp::live().await;
    let (passed, text) = slipway(&app, &["inbox", "test"]).await;
    assert!(passed && text.contains("received and stored evt_"), "{text}");
    assert!(text.contains("Stripe never sent an event"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_books_are_verified_rebuilt_closed_and_exported_by_command() {
    let app = TestApp::live().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    let path = format!("/admin/v1/orgs/{}/grants", owner.org());
    let gift = json!({ "credits": 10, "reason": "a gift", "reference": "1" });
    operator.post(&path, gift).await.ok();
    assert!(slipway(&app, &["ledger", "verify"]).await.0);

    sqlx::query("update grants set spent = 3").execute(app.db.pool()).await.unwrap();
    let (right, text) = slipway(&app, &["ledger", "verify"]).await;
    assert!(!right && text.contains("grant_spent_is_booked"), "{text}");
    assert!(text.contains("spent shows 3, should 0"), "{text}");
    assert!(slipway(&app, &["ledger", "rebuild", "--dry-run"]).await.0);
    assert!(!slipway(&app, &["ledger", "verify"]).await.0, "nothing was changed");
    assert!(slipway(&app, &["ledger", "rebuild"]).await.0);
    assert!(slipway(&app, &["ledger", "verify"]).await.0);

    assert!(!slipway(&app, &["ledger", "export"]).await.0, "it is not closed");
    assert!(slipway(&app, &["ledger", "close"]).await.0);
    let first = slipway(&app, &["ledger", "export"]).await;
    assert!(first.0 && first.1.starts_with("month,org_id,unit,"), "{first:?}");
    assert_eq!(slipway(&app, &["ledger", "export"]).await, first);
    assert!(!slipway(&app, &["ledger", "close", "2999-01"]).await.0, "it is not over");
    assert!(!slipway(&app, &["ledger", "close", "november"]).await.0);
}

/// Row 397.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_mail_says_what_the_provider_answered_and_is_in_the_log() {
    let app = TestApp::live().await;
    let command = ["mail", "test", "--to", "ada@example.com"];
    let (sent, text) = slipway(&app, &command).await;
    assert!(sent && text.contains("smtp took the mail to ada@example.com: 2.0.0 Kept"), "{text}");
    assert_eq!(app.simulators.mailbox.messages_to("ada@example.com").len(), 1);

    app.simulators.mailbox.next(simulators::mailbox::Fault::Refuse);
    let (sent, text) = slipway(&app, &command).await;
    assert!(!sent && text.contains("550"), "{text}");
    // From now on the address is suppressed, and the command says so.
    let (sent, text) = slipway(&app, &command).await;
    assert!(!sent && text.contains("an earlier mail to the address bounced"), "{text}");
    assert!(!slipway(&app, &["mail", "test", "--to", "nobody"]).await.0);
}
