use secrecy::SecretString;
use serde_json::json;
use server::{
    Settings,
    commands::preflight::{Report, State},
};

use super::world::World;

/// What fails, by name; each says what to do.
fn failing(report: &Report) -> Vec<&str> {
    let failing: Vec<_> = report.0.iter().filter(|line| line.state == State::Fail).collect();
    for line in &failing {
        assert!(line.action.as_ref().is_some_and(|it| it.len() > 10), "{line:?}");
    }
    failing.iter().map(|line| line.name.as_str()).collect()
}

fn found<'a>(report: &'a Report, name: &str) -> &'a str {
    let line = report.0.iter().find(|line| line.name == name);
    &line.unwrap_or_else(|| panic!("no line {name}: {report:?}")).found
}

/// An address at which nobody listens: no other test is given this port.
const NOBODY: &str = "http://127.0.0.1:9";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_has_everything_is_ready() {
    let Some(world) = World::start().await else { return };
    let report = world.examine_with(|_| {}).await;
    assert_eq!(failing(&report), [""; 0], "{report:#?}");
    assert!(report.is_ready());
    assert!(report.count(State::Pass) > 20, "{report:#?}");
    let envelopes = world.outside.envelopes();
    assert!(
        envelopes.iter().any(|it| it.contains("Slipway's preflight: errors arrive.")),
        "{envelopes:?}"
    );
    // What is not for a launch is said, without holding it up.
    for name in ["environment", "shared limits", "Stripe key"] {
        let line = report.0.iter().find(|line| line.name == name).unwrap();
        assert_eq!(line.state, State::Warn, "{line:?}");
    }
    let text = format!("{report:?}");
    for secret in [
        "2VtGkYz0q1h8mXw5pQb7Rc3dNf6sJ9aL",
        "sk_test_simulator",
        "whsec_simulator",
        "used by tests",
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
}

type Change = Box<dyn Fn(&mut Settings)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_setting_that_is_wrong_is_named() {
    let Some(world) = World::start().await else { return };
    let (nobody, bare) = (NOBODY.to_owned(), world.outside.url());
    let elsewhere = tempfile::tempdir().unwrap();
    let nowhere = elsewhere.path().join("backups");
    let (closed, other) = (nobody.clone(), nobody.clone());
    let elsewhere_too = bare.clone();
    let smtp = nobody.replace("http", "smtp");
    let cases: Vec<(&[&str], Change)> = vec![
        (&["settings"], Box::new(|it| it.db.database_url = Some("mysql://x".into()))),
        (&["connections"], Box::new(|it| it.db.database_pool_size = 10_000)),
        (&["backups"], Box::new(|it| it.backups.backup_key = None)),
        (&["backups"], Box::new(move |it| it.backups.backup_dir.clone_from(&nowhere))),
        (
            &["email"],
            Box::new(move |it| it.email.smtp_url = Some(SecretString::from(smtp.clone()))),
        ),
        (&["ai"], Box::new(move |it| it.ai.openai_base_url = format!("{closed}/v1"))),
        (&["AI budget"], Box::new(|it| it.quotas.ai_budget_per_day_usd = 0)),
        (&["Stripe prices"], Box::new(move |it| it.billing.stripe_base_url = other.parse().ok())),
        (
            &["Stripe webhook"],
            Box::new(|it| it.billing.stripe_webhook_secret = Some("whsec_other".into())),
        ),
        (&["CDN"], Box::new(move |it| it.assets.cdn_url = elsewhere_too.parse().ok())),
        (&["alerts"], Box::new(|it| it.alerts.alert_slack_url = None)),
        (&["error tracking"], Box::new(|it| it.telemetry.sentry_dsn = None)),
        (
            &["error tracking"],
            Box::new(|it| it.telemetry.sentry_dsn = Some("https://sentry.example.com".into())),
        ),
        (
            &["Stripe webhook", "public address"],
            Box::new(move |it| it.app_url = nobody.parse().ok()),
        ),
        (
            &["Stripe webhook", "security headers", "health"],
            Box::new(move |it| it.app_url = bare.parse().ok()),
        ),
    ];
    for (names, change) in cases {
        let report = world.examine_with(|settings| change(settings)).await;
        let mut expected = names.to_vec();
        let mut failed = failing(&report);
        expected.sort_unstable();
        failed.sort_unstable();
        assert_eq!(failed, expected, "{report:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_thing_that_is_broken_outside_of_the_settings_is_named() {
    let Some(world) = World::start().await else { return };
    let report = async || world.examine_with(|_| {}).await;

    world.outside.set(|it| {
        it.texts.remove("example.com");
        it.texts.insert("_dmarc.example.com".into(), vec!["v=DMARC1; p=none", "v=DMARC1; p=none"]);
    });
    assert_eq!(failing(&report().await), ["SPF", "DMARC"]);
    world.outside.set(|it| {
        it.texts.insert("example.com".into(), vec!["v=spf1 -all"]);
        it.texts.insert("_dmarc.example.com".into(), vec!["v=DMARC1; p=none"]);
        it.answer = 403;
    });
    assert_eq!(failing(&report().await), ["error tracking", "alerts"]);
    world.outside.set(|it| it.answer = 200);

    world.execute("update restore_drills set error = 'the books are wrong'").await;
    let failed = report().await;
    assert_eq!(failing(&failed), ["restore drill"]);
    assert!(found(&failed, "restore drill").contains("the books are wrong"));
    world.execute("delete from restore_drills").await;
    assert_eq!(failing(&report().await), ["restore drill"]);
    world
        .execute(
            "insert into restore_drills (id, backup_id, started_at, finished_at)
             values (gen_random_uuid(), gen_random_uuid(), now(), now())",
        )
        .await;

    world.execute("delete from _sqlx_migrations where version = 160").await;
    let failed = report().await;
    assert_eq!(failing(&failed), ["migrations"]);
    assert!(found(&failed, "migrations").contains("the first is 0160"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_books_are_named() {
    let Some(world) = World::start().await else { return };
    let (owner, operator) = (world.app.owner().await, world.app.operator().await);
    let gift = json!({ "credits": 10, "reason": "a gift", "reference": "1" });
    operator.post(&format!("/admin/v1/orgs/{}/grants", owner.org()), gift).await.ok();
    world.execute("update grants set spent = 3").await;
    let failed = world.examine_with(|_| {}).await;
    assert_eq!(failing(&failed), ["ledger", "health"]);
    assert!(found(&failed, "health").contains("ledger"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_without_a_worker_is_named() {
    let Some(mut world) = World::start().await else { return };
    let worker = world.worker.take();
    drop(worker);
    crate::processes::eventually("the worker is gone", async || {
        jobs::instances(world.app.db.pool()).await.unwrap().is_empty()
    })
    .await;
    let report = world.examine_with(|_| {}).await;
    assert_eq!(failing(&report), ["workers", "canary job"], "{report:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn production_needs_https() {
    let Some(world) = World::start().await else { return };
    let report = world
        .examine_with(|settings| {
            settings.app_env = kernel::Environment::Production;
            settings.app_url = world.app.url.parse().ok();
        })
        .await;
    let failed = failing(&report);
    for name in ["settings", "TLS", "security headers"] {
        assert!(failed.contains(&name), "{name}: {failed:?}");
    }
    let all: Vec<_> = report.0.iter().filter(|line| line.name == "settings").collect();
    assert!(all.len() > 2, "every problem is a line: {all:?}");
}
